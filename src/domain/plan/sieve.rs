//! Which entries a plan must see. With a hundred thousand live grants, nearly all of them rest: nothing is to be done about them, so they
//! need not be kept while the plan is made.
//!
//! Invariant: a plan of what was picked and of what is [`Related`] to that is the plan of all.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hasher as _};

use super::{Held, View, step};
use crate::domain::decision::Admission;
use crate::domain::ledger::{Entry, State};
use crate::domain::model::{GrantPath, Subject};

/// Picks from the entries of one connection those about which something is to be done, perhaps, and counts all.
#[derive(Debug)]
pub struct Sieve<'a> {
    view: View<'a>,
    picked: Vec<Entry>,
    held: Held,
    /// By the digests of the paths that were seen, those of the commits that brought them. Two paths with the same one are only taken for
    /// one at which something newer arrived.
    seen: HashMap<u64, u64>,
    several: BTreeSet<GrantPath>,
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
            picked: Vec::new(),
            held: Held::default(),
            seen: HashMap::new(),
            several: BTreeSet::new(),
        }
    }

    /// Takes one entry of the connection. Each is taken once.
    pub fn take(&mut self, entry: Entry) {
        self.held.count(&entry);
        let commit = digest(&entry.arrival.commit);
        let before = self.seen.insert(digest(&entry.path), commit);
        if before.is_some_and(|before| before != commit) {
            self.several.insert(entry.path.clone());
        }
        if !rests(&self.view, &entry) {
            self.picked.push(entry);
        }
    }

    /// Files at which something newer arrived: their entries do not rest, whatever each says by itself, and are to be
    /// [picked](Self::pick).
    pub fn replaced(&self) -> Related {
        Related {
            paths: self.several.clone(),
            ..Related::default()
        }
    }

    /// Picks entries that were taken and seemed to rest.
    pub fn pick(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.picked.extend(entries);
    }

    /// What to look for among those that rest.
    pub fn related(&self) -> Related {
        let mut related = Related::default();
        for entry in &self.picked {
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

    /// What was picked, together with the entries that are [`Related`] to it, by id; and the count of all.
    pub fn with(self, related: impl IntoIterator<Item = Entry>) -> (Vec<Entry>, Held) {
        let mut entries = self.picked;
        entries.extend(related);
        entries.sort_by(|a, b| a.id.cmp(&b.id).then(b.version.cmp(&a.version)));
        // Read twice, it is what it was when it was read last.
        entries.dedup_by(|a, b| a.id == b.id);
        (entries, self.held)
    }
}

fn digest(value: &impl std::hash::Hash) -> u64 {
    let mut digest = DefaultHasher::new();
    value.hash(&mut digest);
    digest.finish()
}

/// Whether nothing is to be done about what is held, unless it has to do with another entry.
fn rests(view: &View<'_>, entry: &Entry) -> bool {
    entry.state == State::Active && step(view, entry, true).is_none()
}
