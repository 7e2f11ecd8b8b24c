//! Which keys are believed, from one record to the next.

use std::collections::{BTreeMap, BTreeSet};

use super::super::model::CommitId;

/// The keys that are believed at one place of the evidence: those that somebody vouches for and those that they announced, until another
/// takes their place.
#[derive(Debug, Clone)]
pub struct Trust {
    believed: BTreeSet<String>,
    /// The keys that were replaced, and by which commit. What they signed before it stays believed.
    replaced: BTreeMap<String, CommitId>,
    /// Who signs from here on, as far as the records tell.
    last: Option<String>,
}

impl Trust {
    /// The beginning, where `keys` are believed: public keys, on one line each as OpenSSH writes them without a comment.
    pub fn new(keys: impl IntoIterator<Item = String>) -> Self {
        Self {
            believed: keys.into_iter().collect(),
            replaced: BTreeMap::new(),
            last: None,
        }
    }

    /// Whether what `key` signs here counts.
    pub fn believes(&self, key: &str) -> bool {
        self.believed.contains(key)
    }

    /// The commit that put another key in the place of `key`, from which on it is not believed.
    pub fn replaced(&self, key: &str) -> Option<&CommitId> {
        self.replaced.get(key)
    }

    /// Every key that is believed here, or was before.
    pub fn ever(&self) -> BTreeSet<String> {
        let replaced = self.replaced.keys();
        self.believed.iter().chain(replaced).cloned().collect()
    }

    /// Goes past `commit`, which `key` signed and which may announce the key that signs from there on. What is signed by nobody who is
    /// believed changes nothing.
    pub fn pass(&mut self, commit: &CommitId, key: &str, announced: Option<&str>) {
        if !self.believes(key) {
            return;
        }
        if let Some(new) = announced {
            // Where the old key was lost, the new one announces itself: it takes the place of whoever signed last.
            let old = [Some(key.to_owned()), self.last.take()];
            for old in old.into_iter().flatten().filter(|old| old != new) {
                self.believed.remove(&old);
                self.replaced.insert(old, commit.clone());
            }
            self.replaced.remove(new);
            self.believed.insert(new.to_owned());
        }
        let next = announced.unwrap_or(key);
        if self.last.as_deref() != Some(next) {
            self.last = Some(next.to_owned());
        }
    }
}
