//! A simulated target system: holds what it is told to hold.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hallpass::domain::decision::Approved;
use hallpass::domain::ledger::{Granted, Holder, Revoked};
use hallpass::domain::model::Access;
use hallpass::domain::target::{Change, Kind, Names, Order};
use hallpass::providers::{Provider, ProviderError};

use super::faults::Faults;

const KIND: Kind = Kind {
    name: "simulated",
    gives: "a role of the simulation",
    entitlement: r#"{"type": "object"}"#,
    residual: "Nothing.",
    native_expiry: None,
    names: Names::Exact,
};

/// A role, and an account that has it.
pub type Held = (String, String);

/// One change at the target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    Given(Held),
    Taken(Held),
}

#[derive(Debug, Default)]
struct State {
    held: BTreeSet<Held>,
    /// What Hallpass changed since this was last asked.
    effects: Vec<Effect>,
}

/// The target.
#[derive(Debug)]
pub struct Target {
    pub name: &'static str,
    faults: Arc<Faults>,
    state: Mutex<State>,
}

impl Target {
    pub fn new(name: &'static str, faults: &Arc<Faults>) -> Self {
        Self {
            name,
            faults: Arc::clone(faults),
            state: Mutex::default(),
        }
    }

    /// What is held now.
    pub fn held(&self) -> BTreeSet<Held> {
        self.state.lock().unwrap().held.clone()
    }

    /// What Hallpass changed since this was last asked.
    pub fn effects(&self) -> Vec<Effect> {
        std::mem::take(&mut self.state.lock().unwrap().effects)
    }

    /// Somebody gives it by hand. Whether that changed anything.
    pub fn give_by_hand(&self, held: &Held) -> bool {
        self.state.lock().unwrap().held.insert(held.clone())
    }

    /// Somebody takes it by hand. Whether that changed anything.
    pub fn take_by_hand(&self, held: &Held) -> bool {
        self.state.lock().unwrap().held.remove(held)
    }

    fn give(&self, held: Held) {
        let mut state = self.state.lock().unwrap();
        if state.held.insert(held.clone()) {
            state.effects.push(Effect::Given(held));
        }
    }

    fn take(&self, held: Held) {
        let mut state = self.state.lock().unwrap();
        if state.held.remove(&held) {
            state.effects.push(Effect::Taken(held));
        }
    }

    fn unavailable(&self) -> ProviderError {
        ProviderError::Unavailable {
            connection: self.name.to_owned(),
            what: "a call".to_owned(),
            retry_at: None,
            source: "the weather of the simulation".into(),
        }
    }
}

fn held(access: &Access) -> Held {
    let role = access.entitlement["role"].as_str().unwrap_or_default();
    (role.to_owned(), access.account.name.clone())
}

#[async_trait]
impl Provider for Target {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        vec![format!("{change:?} {}", access.entitlement)]
    }

    async fn grant(&self, approved: &Approved, _: &Order) -> Result<Granted, ProviderError> {
        let held = held(approved.access());
        let call = format!("give {held:?}");
        let effect = || {
            self.give(held.clone());
            Ok(Granted {
                read_back: format!("{} holds it", held.1),
                pending: None,
                account_id: None,
                entitlement_id: None,
            })
        };
        let failure = || self.unavailable();
        self.faults.call(self.name, &call, effect, failure).await
    }

    async fn revoke(&self, access: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        let held = held(access);
        let call = format!("take {held:?}");
        let effect = || {
            self.take(held.clone());
            Ok(Revoked {
                read_back: format!("{} does not hold it", held.1),
                ..Revoked::default()
            })
        };
        let failure = || self.unavailable();
        self.faults.call(self.name, &call, effect, failure).await
    }

    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        let role = entitlement["role"].as_str().unwrap_or_default().to_owned();
        let effect = || {
            let held = self.held().into_iter().filter(|(r, _)| *r == role);
            let holder = |(_, name): Held| Holder {
                name,
                id: None,
                pending: false,
            };
            Ok(held.map(holder).collect())
        };
        let failure = || self.unavailable();
        let call = format!("list {role}");
        self.faults.call(self.name, &call, effect, failure).await
    }
}
