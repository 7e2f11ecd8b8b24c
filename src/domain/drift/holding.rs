//! What the ledger says of who has what at one connection, in few bytes: there may be a hundred thousand live grants, and they are read
//! twice.

use std::collections::BTreeMap;

use crate::domain::ledger::{Entry, State};
use crate::domain::model::GrantId;

use super::held;

/// One grant that is held, or perhaps held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Which.
    pub id: GrantId,
    /// The account at the target.
    pub account: String,
    /// The target's immutable id of it, where it has one.
    pub account_id: Option<String>,
    state: State,
    /// [`Entry::version`]: what has the same is the same.
    version: u64,
}

impl Holding {
    /// Whether it was given and read back, and nothing takes it away.
    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }
}

/// All that is held, or perhaps held, by what it gives.
#[derive(Debug, Clone, Default)]
pub struct Holdings(BTreeMap<String, Vec<Holding>>);

impl Holdings {
    /// Notes one entry.
    pub fn note(&mut self, entry: &Entry) {
        let Some(access) = held(entry) else { return };
        let holding = Holding {
            id: entry.id.clone(),
            account: access.account.name.clone(),
            account_id: access.account.id.clone(),
            state: entry.state,
            version: entry.version,
        };
        let entitlement = access.entitlement_text();
        self.0.entry(entitlement).or_default().push(holding);
    }

    /// Who has what [`crate::domain::model::entitlement_text`] says, in the order in which it was noted.
    pub fn of(&self, entitlement: &str) -> &[Holding] {
        self.0.get(entitlement).map_or(&[], Vec::as_slice)
    }
}
