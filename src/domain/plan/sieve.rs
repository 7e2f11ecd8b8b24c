//! Which entries a plan must see. With a hundred thousand live grants, nearly all of them rest: nothing is to be done about them, so they
//! need not be kept while the plan is made.
//!
//! Invariant: a plan of what was picked, and of what is [`Related`] to that, is the plan of all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use super::{Held, View, step};
use crate::domain::decision::Admission;
use crate::domain::ledger::{Entry, State};
use crate::domain::model::{GrantId, GrantPath, Subject};

/// Picks from the entries of one connection those about which something is to be done, perhaps, and counts all.
///
/// Each entry is [taken](Self::take) once. Then those that are [related](Self::related) to what was picked are [met](Self::meet), until
/// none of them is picked.
#[derive(Debug)]
pub struct Sieve<'a> {
    view: View<'a>,
    /// Those that do not rest, and those that are related to them.
    kept: BTreeMap<GrantId, Entry>,
    held: Held,
    /// By the digests of the paths that were seen, those of the commits that brought them.
    seen: HashMap<u64, u64>,
    digest: RandomState,
    /// Files at which something newer arrived: their entries do not rest, whatever each says by itself.
    replaced: BTreeSet<GrantPath>,
}

/// By what entries that rest are related to those that were picked: each of these may decide what is done about the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Related {
    /// Files, of which several entries may tell.
    pub paths: BTreeSet<GrantPath>,
    /// What gives the same, by [`crate::domain::model::Access::key`].
    pub accesses: BTreeSet<String>,
    /// Who gets something, and goes on with what they hold.
    pub subjects: BTreeSet<Subject>,
}

impl<'a> Sieve<'a> {
    /// For a plan that is made by `view`.
    pub fn new(view: View<'a>) -> Self {
        Self {
            view,
            kept: BTreeMap::new(),
            held: Held::default(),
            seen: HashMap::new(),
            digest: RandomState::new(),
            replaced: BTreeSet::new(),
        }
    }

    /// Takes one entry of the connection.
    pub fn take(&mut self, entry: Entry) {
        self.held.count(&entry);
        let commit = self.digest.hash_one(&entry.arrival.commit);
        let path = self.digest.hash_one(&entry.path);
        let before = self.seen.insert(path, commit);
        if before.is_some_and(|before| before != commit) {
            self.replaced.insert(entry.path.clone());
        }
        if !self.rests(&entry) {
            self.kept.insert(entry.id.clone(), entry);
        }
    }

    /// What to look for among those that rest.
    pub fn related(&self) -> Related {
        let mut related = Related {
            paths: self.replaced.clone(),
            ..Related::default()
        };
        for entry in self.kept.values().filter(|e| !self.rests(e)) {
            related.paths.insert(entry.path.clone());
            let terms = entry.terms.as_ref();
            related.accesses.extend(terms.map(|t| t.access.key()));
            // Of what was given already, the forge is asked no more.
            let waits = !matches!(entry.state, State::Active | State::Revoking);
            let said = waits.then(|| self.view.admissions.get(&entry.id));
            if let Some(Some(Admission::Approved(approved))) = said {
                related.accesses.insert(approved.access().key());
                related.subjects.insert(approved.grant().subject.clone());
            }
        }
        related
    }

    /// Meets an entry that is related to what was picked. `true`: it does not rest, which was not known, so that what is related to it is to
    /// be looked for, too. It may have changed since it was taken.
    pub fn meet(&mut self, entry: Entry) -> bool {
        let known = self.kept.get(&entry.id);
        if known.is_some_and(|known| known.version >= entry.version) {
            return false;
        }
        let is_open = !self.rests(&entry);
        self.kept.insert(entry.id.clone(), entry);
        is_open
    }

    /// What a plan must see, in the order of the ledger, which arrivals follow; and the count of all.
    pub fn seen(self) -> (Vec<Entry>, Held) {
        let mut entries: Vec<Entry> = self.kept.into_values().collect();
        // Stable: by id within both.
        entries.sort_by_key(|e| e.state == State::Arrived);
        (entries, self.held)
    }

    /// Whether nothing is to be done about what is held, unless it has to do with another entry.
    fn rests(&self, entry: &Entry) -> bool {
        entry.state == State::Active
            && !self.replaced.contains(&entry.path)
            && step(&self.view, entry, true).is_none()
    }
}
