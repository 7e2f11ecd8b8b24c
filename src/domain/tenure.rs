//! Since when people are seen in the teams that own files, for policies that ask for how long an approver has been an owner.
//!
//! Whoever is there at the first reading of a team counts as always having been: nobody knows better. Whoever a whole reading lacks is
//! forgotten, so that coming back begins anew.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::model::{Instant, UserId};
use super::pull::{Lookup, Team};

/// For how long somebody counts as an owner who always was one, in minutes: a hundred years.
pub const ALWAYS: i64 = 52_560_000;

/// Since when each account of a team is seen there; `None`: from the first reading on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tenure(BTreeMap<UserId, Option<Instant>>);

impl Tenure {
    /// What is known of a team after it was looked up: `known` before, `None` for one that was never read.
    pub fn after(known: Option<&Self>, found: &Lookup<Team>, now: Instant) -> Option<Self> {
        match (known, found) {
            (_, Lookup::Failed(_)) | (Some(_), Lookup::Absent) => known.cloned(),
            // Whoever is in it when it comes came later.
            (None, Lookup::Absent) => Some(Self::default()),
            (None, Lookup::Found(team)) => Some(Self::of(team, |_| None)),
            (Some(known), Lookup::Found(team)) => {
                let since = |id| known.0.get(&id).copied().unwrap_or(Some(now));
                Some(Self::of(team, since))
            }
        }
    }

    fn of(team: &Team, since: impl Fn(UserId) -> Option<Instant>) -> Self {
        let members: BTreeSet<UserId> = team.members.iter().map(|member| member.id).collect();
        Self(members.into_iter().map(|id| (id, since(id))).collect())
    }

    /// For how many whole minutes an account has been seen by `at`; 0 for one that is not.
    pub fn minutes(&self, id: UserId, at: Instant) -> i64 {
        match self.0.get(&id) {
            None => 0,
            Some(None) => ALWAYS,
            Some(Some(since)) => (at - *since).num_minutes().clamp(0, ALWAYS),
        }
    }
}
