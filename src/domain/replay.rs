//! Past requests, judged anew: by the files that decide today, and by those that a change would make.
//!
//! A request is judged as it was made, on what git tells of it: its file, about when it was merged, who was declared then, and what
//! its subject held. Roles, owners and policies are those of either side, and so are the people whom the change changes; that
//! somebody left meanwhile does not make their past requests wrong. What git does not tell, who asked, what they had open and
//! who was in which team, is tried both ways; where that decides, the answer is that it cannot be told.

mod sides;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;

use super::catalogue::{Catalogue, role_at};
use super::model::{CommitId, Grant, GrantPath, Instant, RoleRef, Subject};
use super::policy::continues;
use super::supposed;
use sides::{Side, compare};

/// A request of the past, as git tells it.
#[derive(Debug, Clone)]
pub struct Merged {
    /// Its file.
    pub path: GrantPath,
    /// The commit that brought it to the protected branch.
    pub commit: CommitId,
    /// The time of that commit, which is about that of the merge.
    pub at: Instant,
    /// What it asked for.
    pub grant: Arc<Grant>,
    /// What stood at the path before.
    pub before: Option<Arc<Grant>>,
    /// For a renewal: since when it was held, as far back as is known.
    pub since: Option<Instant>,
    /// What else the tree before it gave to the same subject. May hold what had ended and was not tidied up yet.
    pub held: Vec<(GrantPath, Arc<Grant>)>,
    /// What that tree declared beside grants.
    pub declared: Arc<Catalogue>,
}

impl Merged {
    /// Whether it went on with what the same file gave.
    pub fn renews(&self) -> bool {
        let before = self.before.as_deref();
        before.is_some_and(|before| continues(before, &self.grant))
    }
}

/// What is decided about a request before anybody reviews it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Refused.
    Denied,
    /// Owners may approve it.
    Allowed,
    /// A policy approves it without anybody.
    Automatic,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "denied",
            Self::Allowed => "allowed",
            Self::Automatic => "approved automatically",
        })
    }
}

/// How the decision about one request changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// From the first to the second.
    Turns(Decision, Decision),
    /// It may change: that depends on what git does not tell.
    CannotTell,
}

impl Turn {
    /// The word for programs: `allowed-to-denied`, `cannot-tell`.
    pub fn word(self) -> String {
        let word = |decision| match decision {
            Decision::Denied => "denied",
            Decision::Allowed => "allowed",
            Decision::Automatic => "automatic",
        };
        match self {
            Self::Turns(before, after) => format!("{}-to-{}", word(before), word(after)),
            Self::CannotTell => "cannot-tell".to_owned(),
        }
    }
}

/// A past request that would be decided otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its file.
    pub path: GrantPath,
    /// The commit that brought it.
    pub commit: CommitId,
    /// The time of that commit.
    pub at: Instant,
    /// Who was to receive it.
    pub subject: Subject,
    /// The role.
    pub role: RoleRef,
    /// How.
    pub turn: Turn,
    /// The rules and policies that refuse or approve it, on the side that says so; by name.
    pub because: Vec<String>,
}

/// What a replay found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// How many requests were judged.
    pub judged: usize,
    /// Those that would be decided otherwise: by how, then the newest first.
    pub changed: Vec<Changed>,
}

impl Replay {
    /// How many turned in each way.
    pub fn counts(&self) -> BTreeMap<Turn, usize> {
        let mut counts = BTreeMap::new();
        for one in &self.changed {
            *counts.entry(one.turn).or_default() += 1;
        }
        counts
    }
}

/// Judges `past`, the newest first, by the files that decide in `base` and in `head`: of long policies, fewer of them.
pub fn replay(past: &[Merged], base: &Catalogue, head: &Catalogue) -> Replay {
    let readings = supposed::readings([base, head]);
    let past = &past[..past
        .len()
        .min(supposed::affordable([base, head], &readings))];
    let sides = [Side::new(base, head, past), Side::new(head, base, past)];
    let mut changed: Vec<Changed> = past
        .par_iter()
        .filter_map(|merged| {
            let (turn, because) = compare(merged, &sides, &readings)?;
            Some(Changed {
                path: merged.path.clone(),
                commit: merged.commit.clone(),
                at: merged.at,
                subject: merged.grant.subject.clone(),
                role: role_at(&merged.path, &merged.grant),
                turn,
                because,
            })
        })
        .collect();
    // Stable, so that the newest stay first.
    changed.sort_by_key(|one| one.turn);
    Replay {
        judged: past.len(),
        changed,
    }
}
