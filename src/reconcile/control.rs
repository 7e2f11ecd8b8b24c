//! What whoever approves a change of the files that decide wants to know: what it does to live grants, and would have done to past
//! requests.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::case::{Matter, newest, over};
use super::{ReconcileError, Reconciler, aside};
use crate::domain::impact::{self, Held};
use crate::domain::model::{BlobId, CommitId, GrantPath};
use crate::domain::replay::{Replay, replay};
use crate::domain::rules;
use crate::store::Scope;

/// How many past requests are judged anew.
const REPLAYED: usize = 200;

/// Replays that are kept: an open pull request is looked at again and again.
const REPLAYS_KEPT: usize = 8;

impl Reconciler {
    /// What the ledger says of the live grants whose limits a change lowers.
    pub(super) async fn held(
        &self,
        matter: &Matter,
    ) -> Result<BTreeMap<GrantPath, Held>, ReconcileError> {
        if !impact::decides(&matter.changes) {
            return Ok(BTreeMap::new());
        }
        let (base, changes) = (Arc::clone(&matter.base), Arc::clone(&matter.changes));
        let paths = aside(move || impact::to_ask(&base, &changes)).await?;
        let entries = newest(self.store.entries_at(&paths).await?);
        let live = entries.into_values().flatten();
        let live = live.filter(|e| !e.state.is_final());
        let mut held: BTreeMap<GrantPath, Held> = BTreeMap::new();
        for entry in live {
            let Some(terms) = &entry.terms else { continue };
            let part = Held::of(terms);
            let whole = held.get(&entry.path).map_or(part, |other| other.with(part));
            held.insert(entry.path, whole);
        }
        Ok(held)
    }

    /// The files of grants that ended or were denied and still stand.
    pub(super) async fn ended_files(&self) -> Result<BTreeMap<GrantPath, BlobId>, ReconcileError> {
        let untidied = self.store.entries(Scope::Untidied).await?;
        let paths = untidied.into_iter().map(|e| e.path).collect();
        Ok(over(self.store.entries_at(&paths).await?))
    }

    /// Past requests, judged by the files that decide in the base and by those that the change would make. `None` for a change that
    /// touches none of them.
    pub(super) async fn replay(&self, matter: &Matter) -> Result<Option<Replay>, ReconcileError> {
        if !impact::decides(&matter.changes) {
            return Ok(None);
        }
        let key = (matter.base_commit.clone(), matter.pull.head.clone());
        if let Some(known) = self.known_replay(&key) {
            return Ok(Some(known));
        }
        let base = Arc::clone(&matter.base);
        let past = self.mirror.merged(&key.0, REPLAYED, &base).await?;
        let changes = Arc::clone(&matter.changes);
        let work = move || replay(&past, &base, &rules::resulting(&base, &changes).tree);
        let found = aside(work).await?;
        self.keep_replay(key, found.clone());
        Ok(Some(found))
    }

    fn known_replay(&self, key: &(CommitId, CommitId)) -> Option<Replay> {
        let kept = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).cloned()
    }

    fn keep_replay(&self, key: (CommitId, CommitId), found: Replay) {
        let mut kept = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= REPLAYS_KEPT {
            kept.clear();
        }
        kept.insert(key, found);
    }
}
