//! Since when people are seen in the teams that own files, for policies that ask for how long an approver has been an owner.
//!
//! Whoever is there at the first reading of a team counts as always having been: nobody knows better. Whoever two readings in a row lack
//! is forgotten, so that coming back begins anew. One is not enough: a list has pages, and pages shift while they are read. Two that are
//! taken in within moments are one: they may have been read side by side.
//!
//! Accepted limit: a team that is emptied and filled again looks like one that was not shown meanwhile, and its members keep their time.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::model::{Instant, UserId};
use super::pull::{Lookup, Team};

/// For how long somebody counts as an owner who always was one, in minutes: a hundred years.
pub const ALWAYS: i64 = 52_560_000;

/// How far apart two readings are taken in that count as two: longer than one takes.
const APART: TimeDelta = TimeDelta::minutes(1);

/// What is known of each account that was seen in a team.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tenure(BTreeMap<UserId, Seat>);

/// Since when one account is seen; `None`: from the first reading on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Seat {
    /// The last reading had it.
    Seen(Option<Instant>),
    /// The last reading lacked it, and the one before did not.
    Missed {
        /// Since when it had been seen.
        since: Option<Instant>,
        /// When that reading was taken in; `None` where an earlier version noted it.
        #[serde(default)]
        at: Option<Instant>,
    },
}

impl Seat {
    fn since(self) -> Option<Instant> {
        match self {
            Self::Seen(since) | Self::Missed { since, .. } => since,
        }
    }
}

impl Tenure {
    /// What is known of a team after it was looked up: `known` before, `None` for one that was never read.
    pub fn after(known: Option<&Self>, found: &Lookup<Team>, now: Instant) -> Option<Self> {
        match (known, found) {
            (_, Lookup::Failed(_)) | (Some(_), Lookup::Absent) => known.cloned(),
            // Whoever is in it when it comes came later.
            (None, Lookup::Absent) => Some(Self::default()),
            (None, Lookup::Found(team)) => Some(Self(seated(team, |_| None))),
            // Everybody gone at once is a list that we were not shown.
            (Some(_), Lookup::Found(team)) if team.members.is_empty() => known.cloned(),
            (Some(known), Lookup::Found(team)) => Some(known.then(team, now)),
        }
    }

    fn then(&self, team: &Team, now: Instant) -> Self {
        let since = |id| self.0.get(&id).copied().map_or(Some(now), Seat::since);
        let mut seats = seated(team, since);
        for (id, seat) in &self.0 {
            let missed = match *seat {
                Seat::Seen(since) => Seat::Missed {
                    since,
                    at: Some(now),
                },
                Seat::Missed { at: Some(at), .. } if now < at + APART => *seat,
                Seat::Missed { .. } => continue,
            };
            seats.entry(*id).or_insert(missed);
        }
        Self(seats)
    }

    /// For how many whole minutes an account has been seen by `at`; 0 for one that is not.
    pub fn minutes(&self, id: UserId, at: Instant) -> i64 {
        match self.0.get(&id).copied().map(Seat::since) {
            None => 0,
            Some(None) => ALWAYS,
            Some(Some(since)) => (at - since).num_minutes().clamp(0, ALWAYS),
        }
    }
}

fn seated(team: &Team, since: impl Fn(UserId) -> Option<Instant>) -> BTreeMap<UserId, Seat> {
    let seat = |id| (id, Seat::Seen(since(id)));
    team.members.iter().map(|member| seat(member.id)).collect()
}
