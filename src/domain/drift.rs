//! What a target system holds, against what the ledger says that it should.
//!
//! Invariants:
//! - What the ledger cannot vouch for either way (a call under way) is no drift.
//! - Access that Hallpass did not give is only ever reported, unless every resource that gives it says `enforce`.
//! - What was taken away by hand is never given again by itself: somebody may have had a reason.

mod enforce;
mod holding;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::catalogue::Catalogue;
use super::ledger::{Entry, Holder};
use super::model::{
    Access, ConnectionName, DriftMode, Gives, GrantId, Instant, ResourceName, RoleRef,
    entitlement_text,
};
use super::target::Names;

pub use enforce::{Enforcing, enforce, enforced};
pub use holding::{Holding, Holdings};

/// One thing that a connection gives, with every role that stands for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// The connection.
    pub connection: ConnectionName,
    /// What it gives.
    pub entitlement: serde_json::Value,
    /// The roles that give it; empty where none does any more and a grant still holds it.
    pub roles: BTreeSet<RoleRef>,
    /// What is done about access that Hallpass did not give.
    pub mode: DriftMode,
}

impl Watched {
    /// The entitlement's text, as an access of it would say.
    pub fn text(&self) -> String {
        entitlement_text(&self.entitlement)
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles: Vec<String> = self.roles.iter().map(RoleRef::to_string).collect();
        match roles.as_slice() {
            [] => f.write_str(&self.text()),
            roles => f.write_str(&roles.join(", ")),
        }
    }
}

/// How the target and the ledger differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// The account has it, and no grant gives it.
    GivenOutside,
    /// A grant gives it, and the account does not have it.
    RemovedOutside,
    /// A grant gives it, and the target has no such account any more.
    SubjectVanished,
    /// The account's name belongs to another account than the one that the grant was given to.
    AccountRecreated,
}

impl Difference {
    /// The word in evidence and in `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GivenOutside => "given-outside",
            Self::RemovedOutside => "removed-outside",
            Self::SubjectVanished => "subject-vanished",
            Self::AccountRecreated => "account-recreated",
        }
    }

    /// What is the matter, as a clause about the account.
    pub fn clause(self) -> &'static str {
        match self {
            Self::GivenOutside => "has it, and not from Hallpass",
            Self::RemovedOutside => "should have it, and does not: it was taken away there",
            Self::SubjectVanished => "should have it, and does not exist there any more",
            Self::AccountRecreated => "was created anew under the old name: it is another account",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Drift {
    /// The connection.
    pub connection: ConnectionName,
    /// The entitlement, as [`Access::entitlement_text`] writes it.
    pub entitlement: String,
    /// The account, as the target spells it.
    pub account: String,
    /// The target's immutable id of the account, where it tells one.
    pub account_id: Option<String>,
    /// What differs.
    pub difference: Difference,
    /// The roles that give it.
    pub roles: BTreeSet<RoleRef>,
    /// The grants that expect otherwise; none of what was given outside.
    pub grants: BTreeSet<GrantId>,
}

impl Drift {
    /// Equal for equal differences, whenever they are seen.
    pub fn key(&self) -> String {
        let difference = self.difference.as_str();
        let (connection, entitlement) = (&self.connection, &self.entitlement);
        format!(
            "{connection}\n{entitlement}\n{}\n{difference}",
            self.account
        )
    }

    /// The resources whose roles it is about.
    pub fn resources(&self) -> BTreeSet<ResourceName> {
        self.roles.iter().map(|r| r.resource.clone()).collect()
    }
}

/// A difference, and since when it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What.
    #[serde(flatten)]
    pub drift: Drift,
    /// When it was first seen.
    pub first_seen: Instant,
}

/// Everything that is to be compared: what the protected branch declares, and what live grants still hold beside it.
#[derive(Debug, Default)]
pub struct Watchlist(BTreeMap<(ConnectionName, String), Watched>);

impl Watchlist {
    /// What `tree` declares.
    pub fn declared(tree: &Catalogue) -> Self {
        let mut all: BTreeMap<(ConnectionName, String), Watched> = BTreeMap::new();
        for resource in tree.resources.values() {
            for (name, role) in &resource.roles {
                let Gives::Entitlement { connection, value } = &role.gives else {
                    continue;
                };
                let key = (connection.clone(), entitlement_text(value));
                let one = all.entry(key).or_insert_with(|| Watched {
                    connection: connection.clone(),
                    entitlement: value.clone(),
                    roles: BTreeSet::new(),
                    mode: resource.drift,
                });
                one.roles.insert(RoleRef {
                    resource: resource.name.clone(),
                    role: name.clone(),
                });
                // Whoever only reports must not lose what another resource takes away.
                one.mode = one.mode.min(resource.drift);
            }
        }
        Self(all)
    }

    /// Adds what an entry holds, or perhaps holds.
    pub fn note(&mut self, entry: &Entry) {
        let Some(access) = held(entry) else { return };
        let key = (access.connection.clone(), access.entitlement_text());
        self.0.entry(key).or_insert_with(|| Watched {
            connection: access.connection.clone(),
            entitlement: access.entitlement.clone(),
            roles: BTreeSet::new(),
            mode: DriftMode::Report,
        });
    }

    /// All of it, by connection and entitlement.
    pub fn all(self) -> Vec<Watched> {
        self.0.into_values().collect()
    }
}

/// What it gives, while that is held or perhaps held.
fn held(entry: &Entry) -> Option<&Access> {
    let terms = entry.terms.as_ref()?;
    entry.state.may_be_held().then_some(&terms.access)
}

/// What differs. `before` and `after` are the connection's live grants as read before and after the target was asked: whatever
/// changed in between is no drift.
pub fn compare(
    watched: &Watched,
    holders: &[Holder],
    before: &Holdings,
    after: &Holdings,
    names: Names,
) -> Vec<Drift> {
    let entitlement = watched.text();
    let (before, after) = (before.of(&entitlement), after.of(&entitlement));
    let drift = |account: &str, account_id: Option<&String>, difference, grants| Drift {
        connection: watched.connection.clone(),
        entitlement: entitlement.clone(),
        account: account.to_owned(),
        account_id: account_id.cloned(),
        difference,
        roles: watched.roles.clone(),
        grants,
    };
    let mut found = Vec::new();
    // By name: a target may have as many holders as there are grants.
    let mut by_name: BTreeMap<String, Vec<&Holding>> = BTreeMap::new();
    for holding in before.iter().chain(after) {
        let name = names.key(&holding.account);
        by_name.entry(name).or_default().push(holding);
    }
    for holder in holders {
        let grants = by_name.get(&names.key(&holder.name));
        let grants = grants.map_or(&[][..], Vec::as_slice);
        if grants.is_empty() {
            found.push(drift(
                &holder.name,
                holder.id.as_ref(),
                Difference::GivenOutside,
                BTreeSet::new(),
            ));
            continue;
        }
        let another = |given: &&&Holding| {
            let given_to = given.account_id.as_ref();
            given_to
                .zip(holder.id.as_ref())
                .is_some_and(|(was, is)| was != is)
        };
        let others: BTreeSet<GrantId> = grants
            .iter()
            .filter(another)
            .map(|e| e.id.clone())
            .collect();
        if others.len() == grants.iter().map(|e| &e.id).collect::<BTreeSet<_>>().len() {
            found.push(drift(
                &holder.name,
                holder.id.as_ref(),
                Difference::AccountRecreated,
                others,
            ));
        }
    }
    // Settled before and after: a call in between would show in one of the two.
    let later: BTreeMap<&GrantId, &Holding> = after.iter().map(|e| (&e.id, e)).collect();
    let settled = before
        .iter()
        .filter(|e| e.is_active() && later.get(&e.id) == Some(e));
    let there: BTreeSet<String> = holders.iter().map(|h| names.key(&h.name)).collect();
    let mut missing: BTreeMap<&str, (Option<&String>, BTreeSet<GrantId>)> = BTreeMap::new();
    for holding in settled {
        if !there.contains(&names.key(&holding.account)) {
            let (_, grants) = missing
                .entry(&holding.account)
                .or_insert((holding.account_id.as_ref(), BTreeSet::new()));
            grants.insert(holding.id.clone());
        }
    }
    for (name, (account_id, grants)) in missing {
        found.push(drift(name, account_id, Difference::RemovedOutside, grants));
    }
    found
}

/// What comparing found.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The differences.
    pub found: Vec<Drift>,
    /// What could be compared: connection and entitlement, and how many hold it.
    pub asked: BTreeMap<(ConnectionName, String), usize>,
    /// What could not be asked, and why.
    pub failed: Vec<Unanswered>,
}

/// A system that did not tell who holds something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unanswered {
    /// The connection.
    pub connection: ConnectionName,
    /// The roles that were asked for, or the entitlement where no role gives it any more.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What is new and what is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Seen for the first time.
    pub new: Vec<Drift>,
    /// Not there any more.
    pub over: Vec<Known>,
}

/// What changed of the `known` differences, of which everything in `asked` (by connection and entitlement) was looked at again.
pub fn changes(
    known: &[Known],
    found: &[Drift],
    asked: &BTreeSet<(ConnectionName, String)>,
) -> Changes {
    let before: BTreeSet<String> = known.iter().map(|k| k.drift.key()).collect();
    let now: BTreeSet<String> = found.iter().map(Drift::key).collect();
    let was_asked = |d: &Drift| asked.contains(&(d.connection.clone(), d.entitlement.clone()));
    Changes {
        new: found
            .iter()
            .filter(|d| !before.contains(&d.key()))
            .cloned()
            .collect(),
        over: known
            .iter()
            .filter(|k| was_asked(&k.drift) && !now.contains(&k.drift.key()))
            .cloned()
            .collect(),
    }
}
