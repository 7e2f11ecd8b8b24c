//! A ledger, the protected branch, the forge's word and the target system, as plain values: plans are made from it and
//! performed on it, as `reconcile/act` performs them on the real ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock, Mutex};

use chrono::TimeDelta;
use hallpass::domain::catalogue::{Catalogue, File, REGULAR_FILE};
use hallpass::domain::decision::{Admission, Approved, admit};
use hallpass::domain::ledger::{Arrival, Entry, State, Terms};
use hallpass::domain::model::{BlobId, GrantId, GrantPath, Instant, PullNumber, RoleRef};
use hallpass::domain::parse::read_tree;
use hallpass::domain::people::{Presence, Presences, Receiver};
use hallpass::domain::plan::sieve::{Related, Sieve};
use hallpass::domain::plan::{Action, Held, Plan, View, plan, unsettled};
use hallpass::domain::pull::PullState;

use crate::approval::scene::{Scene, at, blob, commit};

/// Minutes until a failed call is tried again.
pub const PAUSE: i64 = 5;

/// Minutes that a service goes on without an owner.
pub const GRACE: i64 = 30;

/// What one grant file asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// The file: `access/grants/orders/<name>.yaml`.
    pub name: &'static str,
    /// `octocat` and `mallory` share one account of the database; `judy` has her own.
    pub who: &'static str,
    /// `readonly` and `reader` give the same; `admin` gives something else.
    pub role: &'static str,
    /// For how many minutes.
    pub minutes: u32,
    /// From which minute, if not from the merge.
    pub starts: Option<i64>,
}

/// Two hours of reading for octocat.
pub const ASK: Ask = Ask {
    name: "incident",
    who: "octocat",
    role: "readonly",
    minutes: 120,
    starts: None,
};

impl Ask {
    pub fn path(&self) -> GrantPath {
        GrantPath::new(format!("access/grants/orders/{}.yaml", self.name)).expect("a grant path")
    }

    fn text(&self) -> String {
        let Self { who, role, .. } = self;
        let starts = self
            .starts
            .map(|minute| format!("starts: {}\n", at(minute).format("%Y-%m-%dT%H:%M:%SZ")));
        format!(
            "person: {who}\nrole: {role}\nduration: {}m\nreason: Checkout fails for some customers.\n{}",
            self.minutes,
            starts.unwrap_or_default()
        )
    }

    /// The proof of it, by the only way there is: a merged pull request with an owner's review.
    pub fn approved(&self) -> Approved {
        static KNOWN: Mutex<BTreeMap<Ask, Approved>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().expect("no test fails within");
        known.entry(*self).or_insert_with(|| self.prove()).clone()
    }

    fn prove(&self) -> Approved {
        let (mut scene, path) = (Scene::new(), self.path());
        scene.base = BASE.clone();
        scene.changes.clear();
        scene.adds(path.as_str(), &self.text()).approves("grace");
        scene.pull.state = PullState::Merged {
            commit: commit("merge"),
            at: at(0),
            by: None,
        };
        match admit(&scene.case(), &path, &blob(&self.text())) {
            Admission::Approved(approved) => *approved,
            other => panic!("{other:?}"),
        }
    }
}

static BASE: LazyLock<Catalogue> = LazyLock::new(base);

fn base() -> Catalogue {
    let role = |name: &str, gives: &str| {
        format!(
            "  {name}:\n    description: Whatever\n    entitlement: {{ role: {gives} }}\n    max_duration: 30d\n"
        )
    };
    let orders = format!(
        "description: Orders database\nrisk: low\nprovider: db\nroles:\n{}{}{}",
        role("readonly", "orders_ro"),
        role("reader", "orders_ro"),
        role("admin", "orders_admin")
    );
    let person = |id: u64, account: &str| {
        format!("github_id: {id}\nname: Somebody\nidentities:\n  db: {account}\n")
    };
    let files = [
        (".github/CODEOWNERS", "/access/ @acme/dba\n".to_owned()),
        ("access/resources/orders.yaml", orders),
        ("access/people/octocat.yaml", person(1, "shared")),
        ("access/people/judy.yaml", person(5, "judy")),
        ("access/people/mallory.yaml", person(6, "shared")),
    ];
    let file = |(path, text): &(&str, String)| File {
        path: (*path).to_owned(),
        mode: REGULAR_FILE,
        blob: blob(path),
        bytes: Arc::from(text.as_bytes()),
    };
    let tree = read_tree(&files.each_ref().map(file));
    assert_eq!(tree.findings, []);
    tree
}

/// How one call to the target system ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    Works,
    /// Nothing happened there, and we know no more than that it failed.
    FailsBefore,
    /// It happened there, and we know no more than that it failed.
    FailsAfter,
    /// We died before the call.
    DiesBefore,
    /// We died after it.
    DiesAfter,
}

/// Everything that a plan is made from, and the target system that it is performed on.
#[derive(Debug, Clone, Default)]
pub struct Books {
    pub entries: Vec<Entry>,
    pub main: BTreeMap<GrantPath, BlobId>,
    pub admissions: BTreeMap<GrantId, Admission>,
    /// Who is not simply there.
    pub presences: Presences,
    /// What two owners released of what the brake holds.
    pub released: BTreeSet<String>,
    /// Whether too much is missing on all connections together.
    pub emptied: bool,
    /// What is held there, by [`hallpass::domain::model::Access::key`].
    pub held: BTreeSet<String>,
    /// How the next calls end; then they work.
    pub luck: VecDeque<Luck>,
    /// Every call that was made: what, and what for.
    pub calls: Vec<(&'static str, GrantId)>,
}

struct Died;

impl Books {
    /// A file lands on the protected branch at `minute`, approved.
    pub fn arrives(&mut self, ask: &Ask, minute: i64) -> GrantId {
        let path = ask.path();
        let number = self.entries.len();
        let arrival = Arrival {
            commit: commit(&format!("m{number:04}")),
            pull: Some(PullNumber(number as u64)),
            at: at(minute),
            order: 1 + self.entries.iter().filter(|e| e.path == path).count() as u64,
        };
        let content = blob(&format!("b{number:04}"));
        let entry = Entry::arrived(path.clone(), content.clone(), arrival);
        let id = entry.id.clone();
        self.main.insert(path, content);
        self.admissions
            .insert(id.clone(), Admission::Approved(Box::new(ask.approved())));
        self.entries.push(entry);
        id
    }

    /// A file lands, and its entry stands in `state` already, with what belongs to that.
    pub fn stands(&mut self, ask: &Ask, minute: i64, state: State) -> GrantId {
        let id = self.arrives(ask, minute);
        let terms = terms(self.entry(&id), &ask.approved());
        let key = terms.access.key();
        let entry = self.entry_mut(&id);
        entry.wake_at = match state {
            State::Scheduled => Some(terms.starts),
            State::Active => Some(terms.ends),
            _ => None,
        };
        entry.state = state;
        entry.terms = (state != State::Arrived).then_some(terms);
        if state.may_be_held() {
            self.held.insert(key);
        }
        id
    }

    /// What stands as `first` becomes one part of a bundle, and `ask` another beside it, in `state`. Returns both.
    pub fn bundle(&mut self, first: &GrantId, ask: &Ask, state: State) -> [GrantId; 2] {
        let second = self.stands(ask, 0, state);
        let whole = self.entry(first).clone();
        self.main.insert(whole.path.clone(), whole.blob.clone());
        [first, &second].map(|id| {
            let said = self.admissions.remove(id).expect("it was approved");
            let Admission::Approved(approved) = &said else {
                panic!("{said:?}");
            };
            let part = whole.of_part(approved.role());
            let entry = self.entry_mut(id);
            (entry.id, entry.part) = (part.id.clone(), part.part);
            (entry.arrival, entry.blob) = (part.arrival, part.blob);
            self.admissions.insert(part.id.clone(), said);
            part.id
        })
    }

    pub fn entry(&self, id: &GrantId) -> &Entry {
        self.entries.iter().find(|e| e.id == *id).expect("an entry")
    }

    pub fn entry_mut(&mut self, id: &GrantId) -> &mut Entry {
        let found = self.entries.iter_mut().find(|e| e.id == *id);
        found.expect("an entry")
    }

    pub fn state(&self, id: &GrantId) -> State {
        self.entry(id).state
    }

    /// From now on this is known of whoever an ask is for.
    pub fn presence(&mut self, ask: &Ask, presence: Option<Presence>) {
        let receiver: Receiver = ask.approved().receiver();
        match presence {
            Some(presence) => self.presences.insert(receiver, presence),
            None => self.presences.remove(&receiver),
        };
    }

    /// Its file goes from the protected branch.
    pub fn withdraw(&mut self, id: &GrantId) {
        let path = self.entry(id).path.clone();
        self.main.remove(&path);
    }

    pub fn plan(&self, minute: i64) -> Plan {
        self.plan_with(Some(&self.main), minute)
    }

    /// A plan from the ledger and the clock alone.
    pub fn plan_blind(&self, minute: i64) -> Plan {
        self.plan_with(None, minute)
    }

    fn plan_with(&self, main: Option<&BTreeMap<GrantPath, BlobId>>, minute: i64) -> Plan {
        self.with_view(main, minute, |view| {
            let all = plan(view, &self.entries, &Held::of(&self.entries));
            let (mut picked, held) = self.sifted(view);
            picked.sort_by_key(|e| self.entries.iter().position(|other| other.id == e.id));
            let of_picked = plan(view, &picked, &held);
            assert_eq!(of_picked, all, "what rests changes no plan");
            all
        })
    }

    /// What a plan must see of the entries.
    pub fn sifted_at(&self, minute: i64) -> Vec<Entry> {
        self.with_view(Some(&self.main), minute, |view| self.sifted(view).0)
    }

    pub fn with_view<T>(
        &self,
        main: Option<&BTreeMap<GrantPath, BlobId>>,
        minute: i64,
        then: impl FnOnce(&View<'_>) -> T,
    ) -> T {
        let main_or_none = main.cloned().unwrap_or_default();
        let open = unsettled(
            &main_or_none,
            &self.entries,
            &self.admissions,
            &self.presences,
        );
        then(&View {
            main,
            admissions: &self.admissions,
            unsettled: &open,
            presences: &self.presences,
            released: &self.released,
            emptied: self.emptied,
            orphan_grace: TimeDelta::minutes(GRACE),
            now: at(minute),
        })
    }

    fn sifted(&self, view: &View<'_>) -> (Vec<Entry>, Held) {
        let mut sieve = Sieve::new(*view);
        self.entries.iter().cloned().for_each(|e| sieve.take(e));
        self.meet_related(&mut sieve);
        sieve.seen()
    }

    /// Meets what is related to what `sieve` picked.
    pub fn meet_related(&self, sieve: &mut Sieve<'_>) {
        let mut is_open = true;
        while std::mem::take(&mut is_open) {
            for entry in self.related(&sieve.related()) {
                is_open |= sieve.meet(entry);
            }
        }
    }

    fn related(&self, to: &Related) -> Vec<Entry> {
        let is_related = |e: &&Entry| {
            let terms = e.terms.as_ref();
            to.paths.contains(&e.path)
                || terms.is_some_and(|t| to.accesses.contains(&t.access.key()))
                || terms.is_some_and(|t| to.subjects.contains(&t.subject))
        };
        self.entries.iter().filter(is_related).cloned().collect()
    }

    /// Performs a plan; `false` if we died on the way.
    pub fn perform(&mut self, plan: &Plan, minute: i64) -> bool {
        let mut lanes: BTreeMap<String, Vec<&Action>> = BTreeMap::new();
        for action in &plan.actions {
            let lane = self.lane(action);
            lanes.entry(lane).or_default().push(action);
        }
        let mut work = lanes.into_values().flatten();
        work.all(|action| self.act(action, at(minute)).is_ok())
    }

    /// Plans and performs.
    pub fn settle(&mut self, minute: i64) -> Plan {
        let plan = self.plan(minute);
        self.perform(&plan, minute);
        plan
    }

    fn lane(&self, action: &Action) -> String {
        let terms = self.entry(action.id()).terms.as_ref();
        match (action, terms) {
            (Action::Grant { approved, .. }, _) => approved.access().key(),
            (_, Some(terms)) => terms.access.key(),
            (_, None) => action.id().to_string(),
        }
    }

    fn act(&mut self, action: &Action, now: Instant) -> Result<(), Died> {
        let id = action.id();
        match action {
            Action::Deny { .. } => self.entry_mut(id).settle(State::Denied, now),
            Action::Schedule { approved, .. } => {
                let terms = terms(self.entry(id), approved);
                let entry = self.entry_mut(id);
                entry.wake_at = Some(terms.starts);
                entry.terms = Some(terms);
                entry.state = State::Scheduled;
            }
            Action::Cancel { cause, .. } => {
                let entry = self.entry_mut(id);
                entry.cause = Some(cause.clone());
                entry.settle(State::Ended, now);
            }
            Action::Grant {
                approved, replaces, ..
            } => {
                let since = replaces.as_ref().map(|old| old.since);
                return self.grant(id, approved, since, now);
            }
            Action::Orphan { .. } => self.entry_mut(id).orphaned_since = Some(now),
            Action::Adopt { .. } => self.entry_mut(id).orphaned_since = None,
            Action::Revoke {
                cause, retained_by, ..
            } => {
                let entry = self.entry_mut(id);
                entry.cause = Some(cause.clone());
                if retained_by.is_empty() {
                    return self.revoke(id, now);
                }
                entry.settle(State::Ended, now);
            }
        }
        Ok(())
    }

    fn grant(
        &mut self,
        id: &GrantId,
        approved: &Approved,
        since: Option<Instant>,
        now: Instant,
    ) -> Result<(), Died> {
        let terms = Terms {
            since,
            ..terms(self.entry(id), approved)
        };
        let (key, ends) = (terms.access.key(), terms.ends);
        let entry = self.entry_mut(id);
        if entry.state != State::Granting {
            entry.terms = Some(terms);
        }
        entry.state = State::Granting;
        entry.wake_at = Some(now);
        self.calls.push(("grant", id.clone()));
        let luck = self.luck.pop_front().unwrap_or(Luck::Works);
        if !matches!(luck, Luck::FailsBefore | Luck::DiesBefore) {
            self.held.insert(key);
        }
        let entry = self.entry_mut(id);
        answer(entry, luck, now, |entry| {
            entry.state = State::Active;
            entry.attempts = 0;
            entry.wake_at = Some(ends);
        })
    }

    fn revoke(&mut self, id: &GrantId, now: Instant) -> Result<(), Died> {
        let entry = self.entry_mut(id);
        entry.state = State::Revoking;
        entry.wake_at = Some(now);
        let key = entry.terms.as_ref().expect("terms").access.key();
        self.calls.push(("revoke", id.clone()));
        let luck = self.luck.pop_front().unwrap_or(Luck::Works);
        if !matches!(luck, Luck::FailsBefore | Luck::DiesBefore) {
            self.held.remove(&key);
        }
        let entry = self.entry_mut(id);
        answer(entry, luck, now, |entry| entry.settle(State::Ended, now))
    }
}

fn answer(
    entry: &mut Entry,
    luck: Luck,
    now: Instant,
    settle: impl FnOnce(&mut Entry),
) -> Result<(), Died> {
    match luck {
        Luck::Works => settle(entry),
        Luck::FailsBefore | Luck::FailsAfter => {
            entry.try_again(now + TimeDelta::minutes(PAUSE));
        }
        Luck::DiesBefore | Luck::DiesAfter => return Err(Died),
    }
    Ok(())
}

/// What an admission writes into the ledger.
pub fn terms(entry: &Entry, approved: &Approved) -> Terms {
    let (grant, merged) = (approved.grant(), entry.arrival.at);
    Terms {
        subject: grant.subject.clone(),
        role: RoleRef {
            resource: entry.path.resource(),
            role: grant.role.clone(),
        },
        access: approved.access().clone(),
        starts: grant.begin(merged),
        ends: grant.end(merged),
        reason: grant.reason.clone(),
        ticket: grant.ticket.clone(),
        base: approved.proof().base().clone(),
        basis: approved.proof().basis().clone(),
        approvals: approved.proof().approvals().to_vec(),
        since: None,
        review_by: None,
        taken_over: false,
    }
}
