//! The ledger, put together again: from what the evidence tells, from what is left of the database, and from what stands on the
//! protected branch.
//!
//! Pure. Invariants:
//!
//! - What any of the sources knows to be over is over.
//! - Nothing is held by a rebuilt ledger that the evidence does not say was given, or the database that it was perhaps.
//! - A file of which nobody knows anything has only arrived: it needs its proof like any other.

mod brakes;
mod rounds;
mod story;
mod terms;

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{Kind, Record};
use super::ledger::{Arrival, Entry, State};
use super::model::{BlobId, CommitId, GrantId, GrantPath, Instant};
use story::Story;

pub use brakes::released;
pub use rounds::{Round, last_round};

/// The protected branch, as it is now or as it was accepted.
#[derive(Debug, Clone, Default)]
pub struct Main {
    /// What stands there, and which commit brought it.
    pub standing: BTreeMap<GrantPath, (BlobId, CommitId)>,
    /// Its first-parent commits, newest first.
    pub history: Vec<CommitId>,
}

/// What a ledger is rebuilt from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The records of the evidence that are believed, oldest first.
    pub records: &'a [Record],
    /// What is left of the database.
    pub before: &'a [Entry],
    /// Up to where the database had seen the protected branch.
    pub cursor: Option<&'a CommitId>,
    /// The protected branch.
    pub main: &'a Main,
    /// The commit of a rewritten protected branch that somebody vouches for.
    pub accepted: Option<&'a CommitId>,
    /// The time.
    pub now: Instant,
}

/// A ledger, rebuilt.
#[derive(Debug, Clone, Default)]
pub struct Rebuilt {
    /// Its entries, by id, none of them written yet.
    pub entries: Vec<Entry>,
    /// Up to where the protected branch was seen.
    pub cursor: Option<CommitId>,
    /// Grants of which the evidence says that the account had their access from elsewhere: nothing was given for them.
    pub blocked: BTreeSet<GrantId>,
    /// What could not be put together, a sentence each.
    pub lost: Vec<String>,
}

/// Rebuilds the ledger.
pub fn rebuild(from: &Sources<'_>) -> Rebuilt {
    let mut rebuilt = Rebuilt {
        cursor: cursor(from),
        ..Rebuilt::default()
    };
    let mut entries: BTreeMap<GrantId, Entry> = BTreeMap::new();
    for story in Story::all(from.records) {
        match story.entry() {
            Ok(Some(entry)) => drop(entries.insert(entry.id.clone(), entry)),
            Ok(None) => rebuilt.blocked.extend(story.blocked()),
            Err(why) => rebuilt.lost.push(why),
        }
    }
    rounds::call_off(&mut entries, from.records);
    keep(&mut entries, from.before);
    let seen = rebuilt.cursor.as_ref();
    let whole = seen.is_none_or(|seen| from.main.history.contains(seen));
    if whole {
        arrive(&mut entries, from);
    }
    let mut entries: Vec<Entry> = entries.into_values().collect();
    put_in_order(&mut entries, from.main);
    supersede(&mut entries, from.main);
    for entry in &mut entries {
        entry.version = 0;
    }
    rebuilt.entries = entries;
    rebuilt
}

/// What of a rebuilt ledger a database must know so that everything ends in time, and does not: what is held, and of what it takes for
/// live, what is over. Each with the version that it is written over.
pub fn news(rebuilt: Vec<Entry>, before: &[Entry]) -> Vec<Entry> {
    let before: BTreeMap<&GrantId, &Entry> = before.iter().map(|e| (&e.id, e)).collect();
    let is_news = |entry: &Entry| match before.get(&entry.id) {
        Some(known) => {
            let over = entry.state.is_final() && !known.state.is_final();
            over || (entry.state == State::Active
                && !known.state.may_be_held()
                && !known.state.is_final())
        }
        None => entry.state == State::Active,
    };
    let news = rebuilt.into_iter().filter(is_news);
    let over = |entry: Entry| match before.get(&entry.id) {
        Some(known) => Entry {
            version: known.version,
            ..entry
        },
        // Nobody is asked for a review before the ledger is whole: an earlier one may seem to be open.
        None => Entry {
            review: None,
            ..entry
        },
    };
    let mut news: Vec<Entry> = news.map(over).collect();
    news.sort_by_key(|entry| !entry.state.is_final());
    news
}

/// Up to where the protected branch was seen: the newest of what the evidence and the database know. One that is not on the branch
/// any more stays, so that the rewrite is seen.
fn cursor(from: &Sources<'_>) -> Option<CommitId> {
    if let Some(accepted) = from.accepted {
        return Some(accepted.clone());
    }
    let tells = |r: &&Record| {
        let of_main = matches!(r.kind, Kind::FirstLook | Kind::Landed);
        of_main || (r.kind == Kind::SafeMode && r.mode.as_deref() == Some("left"))
    };
    let told = from.records.iter().filter(tells);
    let told = told.filter_map(|r| r.tip.as_ref()).next_back();
    let told = told.and_then(|tip| CommitId::new(tip).ok());
    let place = |commit: &CommitId| from.main.history.iter().position(|c| c == commit);
    match (told, from.cursor) {
        (Some(told), Some(known)) => match (place(&told), place(known)) {
            (Some(a), Some(b)) if b < a => Some(known.clone()),
            (Some(_), None) => Some(known.clone()),
            _ => Some(told),
        },
        (told, known) => told.or_else(|| known.cloned()),
    }
}

/// Adds what the database knows and the evidence does not tell.
fn keep(entries: &mut BTreeMap<GrantId, Entry>, before: &[Entry]) {
    for entry in before {
        match entries.get(&entry.id) {
            // Both say the same and the database more: why it was asked for, and who was asked for a review. Or its end was not
            // published.
            Some(told) if knows_as_much(entry, told) => {
                let signed = told.review.clone().filter(|r| r.signed.is_some());
                let entry = Entry {
                    review: signed
                        .or_else(|| entry.review.clone())
                        .or_else(|| told.review.clone()),
                    tidied: entry.tidied || told.tidied,
                    ..entry.clone()
                };
                entries.insert(entry.id.clone(), entry);
            }
            Some(_) => {}
            // The evidence tells of its parts.
            None if is_divided(entry, entries) => {}
            None => drop(entries.insert(entry.id.clone(), entry.clone())),
        }
    }
}

fn knows_as_much(entry: &Entry, told: &Entry) -> bool {
    let held = matches!(entry.state, State::Active | State::Revoking);
    entry.state.is_final() || (held && told.state == State::Active)
}

fn is_divided(entry: &Entry, entries: &BTreeMap<GrantId, Entry>) -> bool {
    let same = |e: &Entry| e.path == entry.path && e.arrival.commit == entry.arrival.commit;
    entry.part.is_none() && entries.values().any(|e| e.part.is_some() && same(e))
}

/// Adds what stands on the protected branch and nobody knows of.
fn arrive(entries: &mut BTreeMap<GrantId, Entry>, from: &Sources<'_>) {
    let on_main: BTreeSet<&CommitId> = from.main.history.iter().collect();
    let mut known: BTreeSet<(&GrantPath, &CommitId)> = BTreeSet::new();
    // A rewrite gives other names to the commits that brought the same.
    let mut renamed: BTreeSet<(&GrantPath, &BlobId)> = BTreeSet::new();
    for entry in entries.values() {
        known.insert((&entry.path, &entry.arrival.commit));
        if !on_main.contains(&entry.arrival.commit) {
            renamed.insert((&entry.path, &entry.blob));
        }
    }
    let seen = seen(from.records);
    let standing = from.main.standing.iter();
    let new = standing.filter(|(path, (blob, commit))| {
        !known.contains(&(*path, commit)) && !renamed.contains(&(*path, blob))
    });
    let new: Vec<Entry> = new
        .map(|(path, (blob, commit))| {
            let arrival = Arrival {
                commit: commit.clone(),
                pull: None,
                at: seen.get(commit.as_str()).copied().unwrap_or(from.now),
                order: 0,
            };
            Entry::arrived(path.clone(), blob.clone(), arrival)
        })
        .collect();
    entries.extend(new.into_iter().map(|entry| (entry.id.clone(), entry)));
}

/// When each commit of the protected branch was seen there first, as far as the evidence tells: how long the forge may take to connect a
/// commit with its pull request counts from then, however often the ledger is put together meanwhile.
fn seen(records: &[Record]) -> BTreeMap<&str, Instant> {
    let landed = records.iter().filter(|r| r.kind == Kind::Landed);
    landed
        .filter_map(|r| Some((r.tip.as_ref()?.as_str(), r.at)))
        .collect()
}

/// Numbers the arrivals at each path anew, by the protected branch, and by their times where it does not hold them any more.
fn put_in_order(entries: &mut [Entry], main: &Main) {
    let places: BTreeMap<&CommitId, usize> = main.history.iter().rev().zip(1..).collect();
    let mut arrivals: BTreeMap<GrantPath, BTreeSet<(usize, Instant, CommitId)>> = BTreeMap::new();
    let key = |arrival: &Arrival| {
        let place = places.get(&arrival.commit).copied().unwrap_or_default();
        (place, arrival.at, arrival.commit.clone())
    };
    for entry in &*entries {
        let at_path = arrivals.entry(entry.path.clone()).or_default();
        // The parts of a bundle arrived together, whatever each of them was told.
        if at_path
            .iter()
            .all(|(_, _, commit)| *commit != entry.arrival.commit)
        {
            at_path.insert(key(&entry.arrival));
        }
    }
    for entry in entries {
        let at_path = arrivals.get(&entry.path).into_iter().flatten();
        let place = at_path
            .zip(1..)
            .find(|((_, _, c), _)| *c == entry.arrival.commit);
        entry.arrival.order = place.map_or(1, |(_, order)| order);
    }
}

/// Marks what is live and whose file was replaced on a branch that still holds the commit which brought it.
fn supersede(entries: &mut [Entry], main: &Main) {
    let on_main: BTreeSet<&CommitId> = main.history.iter().collect();
    for entry in entries.iter_mut().filter(|e| !e.state.is_final()) {
        let brought = &entry.arrival.commit;
        let newer = main.standing.get(&entry.path);
        let newer = newer.is_some_and(|(_, commit)| commit != brought);
        entry.superseded |= newer && on_main.contains(brought);
    }
}
