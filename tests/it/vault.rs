//! A target system of the tests: holds what it is told to hold, and fails as it is told to fail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use hallpass::domain::decision::Approved;
use hallpass::domain::ledger::{Granted, Holder, Revoked};
use hallpass::domain::model::{Access, Account, Instant};
use hallpass::domain::target::{Change, Kind, Names, Order};
use hallpass::providers::{Provider, ProviderError};
use tokio::sync::Notify;

/// What it is.
const KIND: Kind = Kind {
    name: "vault",
    gives: "a role of the tests",
    entitlement: r#"{"type": "object"}"#,
    residual: "Nothing.",
    native_expiry: None,
    names: Names::Exact,
};

/// How one call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens, and the caller is told so.
    Before,
    /// The effect happens, and the caller is told that it failed.
    After,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeSet<(String, String)>,
    effects: Vec<String>,
    calls: usize,
    down: bool,
    hangs: bool,
    /// Calls that hang now.
    hanging: usize,
    /// Accounts that are gone.
    gone: BTreeSet<String>,
    /// When accounts were last used.
    used: BTreeMap<String, Instant>,
    /// Immutable ids of accounts, where the target has them.
    ids: BTreeMap<String, u64>,
    /// Listings do not come back.
    mute: bool,
    panics: bool,
    /// By what else accounts have a role that is taken from them.
    other_way: Option<&'static str>,
    faults: VecDeque<Fault>,
}

impl State {
    /// Whose account that is by now: who has the id that is known, or else the name; `None` where nobody has.
    fn meant(&self, account: &Account) -> Option<String> {
        let named = || (!self.gone.contains(&account.name)).then(|| account.name.clone());
        let Some(id) = &account.id else {
            return named();
        };
        let mut with = self.ids.iter().filter(|(_, has)| has.to_string() == *id);
        with.next().map(|(name, _)| name.clone())
    }
}

/// The target.
#[derive(Debug, Default)]
pub struct Vault(Mutex<State>, Notify);

impl Vault {
    /// Who has `role`, in order.
    pub fn holders(&self, role: &str) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state
            .held
            .iter()
            .filter(|(r, _)| r == role)
            .map(|(_, account)| account.clone())
            .collect()
    }

    /// Everything that changed something, in order: `+role account`, `-role account`. Repeated calls leave no trace.
    pub fn effects(&self) -> Vec<String> {
        self.0.lock().unwrap().effects.clone()
    }

    /// How many calls were made that can change something.
    pub fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    /// Somebody used the account then.
    pub fn uses(&self, account: &str, at: Instant) {
        let mut state = self.0.lock().unwrap();
        state.used.insert(account.to_owned(), at);
    }

    /// Somebody gives `role` by hand.
    pub fn give_by_hand(&self, role: &str, account: &str) {
        self.0
            .lock()
            .unwrap()
            .held
            .insert((role.to_owned(), account.to_owned()));
    }

    /// Somebody takes `role` away by hand.
    pub fn take_by_hand(&self, role: &str, account: &str) {
        let held = (role.to_owned(), account.to_owned());
        self.0.lock().unwrap().held.remove(&held);
    }

    /// The account is removed there, with all that it has.
    pub fn remove_account(&self, account: &str) {
        let mut state = self.0.lock().unwrap();
        state.held.retain(|(_, holder)| holder != account);
        state.gone.insert(account.to_owned());
    }

    /// The account gets an immutable id; another one is another account.
    pub fn identify(&self, account: &str, id: u64) {
        let mut state = self.0.lock().unwrap();
        state.gone.remove(account);
        state.ids.insert(account.to_owned(), id);
    }

    /// The account is called otherwise from now on, and keeps all that it has.
    pub fn rename_account(&self, from: &str, to: &str) {
        let mut state = self.0.lock().unwrap();
        let held = std::mem::take(&mut state.held);
        let renamed = |name: String| if name == from { to.to_owned() } else { name };
        state.held = held.into_iter().map(|(r, a)| (r, renamed(a))).collect();
        if let Some(id) = state.ids.remove(from) {
            state.ids.insert(to.to_owned(), id);
        }
        state.gone.insert(from.to_owned());
    }

    fn id(&self, account: &str) -> Option<String> {
        self.0.lock().unwrap().ids.get(account).map(u64::to_string)
    }

    /// Every call fails while it is down.
    pub fn down(&self, down: bool) {
        self.0.lock().unwrap().down = down;
    }

    /// Calls to grant or revoke do not come back, while it hangs.
    pub fn hangs(&self, hangs: bool) {
        self.0.lock().unwrap().hangs = hangs;
        self.1.notify_waiters();
    }

    /// Whether listings come back.
    pub fn lists(&self, lists: bool) {
        self.0.lock().unwrap().mute = !lists;
        self.1.notify_waiters();
    }

    /// How many calls hang now.
    pub fn hanging(&self) -> usize {
        self.0.lock().unwrap().hanging
    }

    /// Waits while `hangs` says so.
    async fn wait_while(&self, hangs: impl Fn(&State) -> bool) {
        let _counted = Hanging::of(self, &hangs);
        loop {
            let freed = self.1.notified();
            if !hangs(&self.0.lock().unwrap()) {
                return;
            }
            freed.await;
        }
    }

    /// Calls to grant or revoke run into a bug.
    pub fn panics(&self, panics: bool) {
        self.0.lock().unwrap().panics = panics;
    }

    /// Whoever loses a role has it by `other_way` still.
    pub fn leads_through(&self, other_way: Option<&'static str>) {
        self.0.lock().unwrap().other_way = other_way;
    }

    async fn answers(&self) {
        let panics = self.0.lock().unwrap().panics;
        assert!(!panics, "a bug of the vault, as the test wants it");
        self.wait_while(|state| state.hangs).await;
    }

    /// The next calls fail like this, one after the other.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().faults.extend(faults);
    }

    fn change(&self, access: &Access, hold: bool) -> Result<(), ProviderError> {
        let mut state = self.0.lock().unwrap();
        state.calls += 1;
        let fault = if state.down {
            Some(Fault::Before)
        } else {
            state.faults.pop_front()
        };
        if fault != Some(Fault::Before) {
            let role = access.entitlement["role"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let account = state.meant(&access.account);
            if hold && account.as_ref() != Some(&access.account.name) {
                return Err(ProviderError::UnknownSubject {
                    connection: access.connection.to_string(),
                    account: access.account.name.clone(),
                    reason: "it is another one now".to_owned(),
                });
            }
            let Some(account) = account else {
                return Ok(());
            };
            let line = format!("{}{role} {account}", if hold { '+' } else { '-' });
            let changed = if hold {
                state.held.insert((role, account))
            } else {
                state.held.remove(&(role, account))
            };
            if changed {
                state.effects.push(line);
            }
        }
        match fault {
            Some(_) => Err(unavailable(access.connection.as_str())),
            None => Ok(()),
        }
    }
}

/// A call that hangs, counted until it goes on or is given up.
struct Hanging<'v>(Option<&'v Vault>);

impl<'v> Hanging<'v> {
    fn of(vault: &'v Vault, hangs: impl Fn(&State) -> bool) -> Self {
        let mut state = vault.0.lock().unwrap();
        if !hangs(&state) {
            return Self(None);
        }
        state.hanging += 1;
        Self(Some(vault))
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        if let Some(vault) = self.0 {
            vault.0.lock().unwrap().hanging -= 1;
        }
    }
}

fn unavailable(connection: &str) -> ProviderError {
    ProviderError::Unavailable {
        connection: connection.to_owned(),
        what: "a call".to_owned(),
        retry_at: None,
        source: "the test says so".into(),
    }
}

#[async_trait]
impl Provider for Vault {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        vec![format!("{change:?} {}", access.entitlement)]
    }

    async fn grant(&self, approved: &Approved, _: &Order) -> Result<Granted, ProviderError> {
        // Places at which a crash can be injected: before and after the effect.
        tokio::task::yield_now().await;
        self.answers().await;
        let result = self.change(approved.access(), true);
        tokio::task::yield_now().await;
        result.map(|()| Granted {
            read_back: format!("{} holds it", approved.access().account.name),
            pending: None,
            account_id: self.id(&approved.access().account.name),
            entitlement_id: None,
        })
    }

    async fn revoke(&self, access: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        tokio::task::yield_now().await;
        self.answers().await;
        let result = self.change(access, false);
        tokio::task::yield_now().await;
        let other_way = self.0.lock().unwrap().other_way;
        result.map(|()| Revoked {
            read_back: format!("{} does not hold it", access.account.name),
            still_effective_through: other_way.map(str::to_owned).into_iter().collect(),
            ..Revoked::default()
        })
    }

    async fn last_used(&self, account: &Account) -> Result<Option<Instant>, ProviderError> {
        if self.0.lock().unwrap().down {
            return Err(unavailable("vault"));
        }
        self.wait_while(|state| state.mute).await;
        Ok(self.0.lock().unwrap().used.get(&account.name).copied())
    }

    async fn has_account(&self, account: &Account) -> Result<Option<bool>, ProviderError> {
        Ok(Some(!self.0.lock().unwrap().gone.contains(&account.name)))
    }

    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        self.wait_while(|state| state.mute).await;
        if self.0.lock().unwrap().down {
            return Err(unavailable("vault"));
        }
        let role = entitlement["role"].as_str().unwrap_or_default();
        Ok(self
            .holders(role)
            .into_iter()
            .map(|name| Holder {
                id: self.id(&name),
                name,
                pending: false,
            })
            .collect())
    }
}
