//! Tidies the protected branch: one pull request removes the files of everything that ended.
//!
//! The access is gone before this begins. Whatever becomes of the pull request, it does not come back.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use tracing::info;

use super::case::newest;
use super::{ReconcileError, Reconciler};
use crate::domain::evidence;
use crate::domain::ledger::Entry;
use crate::domain::model::{BlobId, CommitId, GrantPath};
use crate::domain::proposal;
use crate::forge::Proposal;
use crate::store::Scope;

/// How many entries are written at once.
const TOGETHER: usize = 256;

/// The note in the database that says for which ended grants the removal was last proposed.
const PROPOSED: &str = "proposed-revert";

impl Reconciler {
    /// Whether ended grants wait to be proposed for removal. Asks only the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reverts_are_due(&self) -> Result<bool, ReconcileError> {
        let ids = self.store.untidied().await?;
        let proposed = self.store.note(PROPOSED).await?;
        // A proposal that nobody merges may hold whatever ended since long: that is not read each time.
        if ids.is_empty() || proposed == Some(digest(ids.iter().map(String::as_str))) {
            return Ok(false);
        }
        let untidied = self.store.entries(Scope::Untidied).await?;
        let current = self.current(&untidied).await?;
        // The file of a bundle stands for the parts that live on.
        let due: Vec<Entry> = untidied
            .into_iter()
            .filter(|e| !lives_on(e, &current))
            .collect();
        if due.is_empty() || !self.window_is_over(&due) {
            return Ok(false);
        }
        Ok(proposed != Some(digest(due.iter().map(|e| e.id.as_str()))))
    }

    /// The newest arrivals at the paths of `entries`.
    async fn current(
        &self,
        entries: &[Entry],
    ) -> Result<BTreeMap<GrantPath, Vec<Entry>>, ReconcileError> {
        let paths = entries.iter().map(|e| e.path.clone()).collect();
        Ok(newest(self.store.entries_at(&paths).await?))
    }

    /// Notes what is already gone from the protected branch, and proposes the removal of the rest. The mirror must be fresh
    /// ([`Reconciler::main`] has just run).
    ///
    /// # Errors
    /// When forge, git or database fail: the next pass finds the same work.
    pub async fn reverts(&self) -> Result<(), ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(());
        };
        let main = self.mirror.grants(&tip).await?;
        let standing = self.note_the_tidied(&tip, &main).await?;
        if standing.is_empty() || !self.window_is_over(&standing) {
            return Ok(());
        }
        self.propose(&tip, &standing).await
    }

    /// Marks final entries whose file is gone (or stands for a newer grant), and returns those whose file still stands and gives
    /// nothing any more.
    async fn note_the_tidied(
        &self,
        tip: &CommitId,
        main: &BTreeMap<GrantPath, BlobId>,
    ) -> Result<Vec<Entry>, ReconcileError> {
        let untidied = self.store.entries(Scope::Untidied).await?;
        let current = self.current(&untidied).await?;
        self.is_not_behind(tip).await?;
        let is_current = |entry: &Entry| {
            let newest = current.get(&entry.path).into_iter().flatten();
            newest.into_iter().any(|e| e.id == entry.id)
        };
        let (mut standing, mut tidied) = (Vec::new(), Vec::new());
        for mut entry in untidied {
            if main.get(&entry.path) == Some(&entry.blob) && is_current(&entry) {
                if !lives_on(&entry, &current) {
                    standing.push(entry);
                }
                continue;
            }
            entry.tidied = true;
            let event = evidence::reverted(&entry, tip, self.now());
            tidied.push((entry, event));
        }
        // Making it durable is what takes its time, and nothing is granted meanwhile.
        while !tidied.is_empty() {
            let rest = tidied.split_off(tidied.len().min(TOGETHER));
            let (entries, events): (Vec<_>, Vec<_>) = tidied.into_iter().unzip();
            self.store.commit(&entries, &events).await?;
            tidied = rest;
        }
        Ok(standing)
    }

    /// Whether enough time went by since the first of them ended.
    fn window_is_over(&self, standing: &[Entry]) -> bool {
        standing
            .iter()
            .filter_map(|e| e.settled_at)
            .min()
            .is_none_or(|first| first + self.settings.revert_window <= self.now())
    }

    async fn propose(&self, tip: &CommitId, standing: &[Entry]) -> Result<(), ReconcileError> {
        let branch = &self.settings.revert_branch;
        let paths: BTreeSet<GrantPath> = standing.iter().map(|e| e.path.clone()).collect();
        let paths: Vec<GrantPath> = paths.into_iter().collect();
        let (title, body) = proposal::revert_proposal(standing);
        // A person who closed the pull request is not asked again for the same thing; the next grant that ends asks for all.
        let set = digest(standing.iter().map(|e| e.id.as_str()));
        if self.store.note(PROPOSED).await?.as_deref() == Some(set.as_str()) {
            return Ok(());
        }
        let at = standing
            .iter()
            .filter_map(|e| e.settled_at)
            .max()
            .unwrap_or_else(|| self.now());
        if self
            .mirror
            .commit_removal(branch, tip, &paths, &title, at)
            .await?
            .is_none()
        {
            return Ok(());
        }
        self.mirror
            .push(&self.remote().await?, branch, true)
            .await?;
        let base = self.settings.protected_branch.clone();
        let number = self
            .forge
            .propose(&Proposal {
                branch: branch.clone(),
                base,
                title,
                body,
            })
            .await?;
        self.store.set_note(PROPOSED, &set).await?;
        info!(
            pull = number.0,
            grants = paths.len(),
            "proposed the removal of {} ended grants in #{number}",
            paths.len()
        );
        // It is judged like any other pull request, when its webhook or the next resync says that it is there.
        Ok(())
    }
}

/// Whether another part of the same bundle is not over yet.
fn lives_on(entry: &Entry, current: &BTreeMap<GrantPath, Vec<Entry>>) -> bool {
    let newest = current.get(&entry.path).map_or(&[][..], Vec::as_slice);
    newest
        .iter()
        .any(|e| e.arrival.commit == entry.arrival.commit && !e.state.is_final())
}

fn digest<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<&str> = ids.collect();
    hex::encode(Sha256::digest(ids.join("\n")))
}
