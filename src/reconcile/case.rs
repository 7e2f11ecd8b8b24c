//! Gathers the facts of one pull request, whole, so that judging needs no I/O.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ReconcileError, Reconciler};
use crate::domain::catalogue::{Catalogue, ChangedFile};
use crate::domain::decision::{Case, MayAsk, PAST, Surroundings};
use crate::domain::history::Past;
use crate::domain::impact;
use crate::domain::ledger::{Entry, Holding};
use crate::domain::model::{
    BlobId, CommitId, GrantPath, Instant, Owner, RepoPath, RoleRef, Subject,
};
use crate::domain::pull::{Pull, PullState, Reviewed, Roster};
use crate::repo::{Remote, RepoError};

/// The facts of one pull request, owned. [`Facts::case`] lends them to a decision.
#[derive(Debug)]
pub(super) struct Facts {
    pub pull: Pull,
    pub base_commit: CommitId,
    pub base: Arc<Catalogue>,
    pub changes: Vec<ChangedFile>,
    pub reviewed: Reviewed,
    pub roster: Roster,
    pub holdings: Vec<Holding>,
    pub ended: BTreeMap<GrantPath, BlobId>,
    pub around: Surroundings,
    pub now: Instant,
}

impl Facts {
    pub fn case<'a>(&'a self, protected_branch: &'a str) -> Case<'a> {
        Case {
            pull: &self.pull,
            protected_branch,
            base_commit: &self.base_commit,
            base: &self.base,
            changes: &self.changes,
            reviewed: &self.reviewed,
            roster: &self.roster,
            holdings: &self.holdings,
            ended: &self.ended,
            around: &self.around,
            now: self.now,
        }
    }
}

impl Reconciler {
    /// Gathers everything that judging `pull` against `base_commit` needs. Both must be in the mirror.
    pub(super) async fn facts(
        &self,
        remote: &Remote,
        pull: Pull,
        base_commit: CommitId,
    ) -> Result<Facts, ReconcileError> {
        let changes = self.changes_of(&pull, &base_commit).await?;
        let base = self.catalogue(&base_commit).await?;
        let reviewed = self.reviewed(remote, &pull, &changes).await?;
        let subjects = Case::asks(&base, &changes)
            .into_iter()
            .map(|(s, _)| s)
            .collect();
        let (holdings, mut ended) = self.context(&subjects, &base, &changes).await?;
        if impact::decides(&changes) {
            ended.extend(self.ended_files().await?);
        }
        let around = Surroundings {
            members: self.members_asked(&base, &subjects).await,
            ..self.around(&pull, (&base_commit, &base), &changes).await?
        };
        let mut owners = owners_to_ask(&base, &changes, &ended);
        let may_ask_now = around.may_ask_now.values();
        owners.extend(may_ask_now.flat_map(|may| may.teams().cloned()));
        let roster = self.forge.roster(&owners).await;
        let now = self.now();
        Ok(Facts {
            pull,
            base_commit,
            base,
            changes,
            reviewed,
            roster,
            holdings,
            ended,
            around,
            now,
        })
    }

    /// What the service knows beside the trees and the reviews.
    async fn around(
        &self,
        pull: &Pull,
        (base_commit, base): (&CommitId, &Arc<Catalogue>),
        changes: &[ChangedFile],
    ) -> Result<Surroundings, ReconcileError> {
        Ok(Surroundings {
            held: self.held(base, changes).await?,
            emergencies: self.emergencies_around(changes).await?,
            replay: self
                .replay((base_commit, base), (&pull.head, changes))
                .await?,
            pending: self.pending(pull, base, changes).await?,
            elsewhere: self.elsewhere(pull, changes).await?,
            may_ask_now: self.may_ask_now(pull, base_commit, changes).await?,
            past: self.past(base, changes).await?,
            ..Surroundings::default()
        })
    }

    /// When the pull request was last seen to aim at another branch, which is noted at every such sight.
    async fn elsewhere(
        &self,
        pull: &Pull,
        changes: &[ChangedFile],
    ) -> Result<Option<Instant>, ReconcileError> {
        let name = format!("elsewhere/{}", pull.number);
        let here = pull.base_branch == self.settings.protected_branch;
        if here || !Case::touches_access(changes) {
            let Some(text) = self.store.note(&name).await? else {
                return Ok(None);
            };
            let seen = text.parse().map_err(|_| {
                ReconcileError::Unsettled(format!("the note {name} holds no instant: {text:?}"))
            })?;
            return Ok(Some(seen));
        }
        let now = self.now();
        self.store.set_note(&name, &now.to_rfc3339()).await?;
        Ok(Some(now))
    }

    /// Who may ask by what the protected branch declares now, for a merged pull request: the files that say so may have changed
    /// since the merge. Reads the tree only where they did.
    async fn may_ask_now(
        &self,
        pull: &Pull,
        base: &CommitId,
        changes: &[ChangedFile],
    ) -> Result<BTreeMap<(GrantPath, RoleRef), MayAsk>, ReconcileError> {
        let tip = self.mirror.tip(&self.settings.protected_branch).await?;
        let (PullState::Merged { .. }, Some(tip)) = (&pull.state, tip) else {
            return Ok(BTreeMap::new());
        };
        let deciding = Case::files_of_eligibility(&*self.catalogue(base).await?, changes);
        let then = self.mirror.blobs_at(base, &deciding).await?;
        if self.mirror.blobs_at(&tip, &deciding).await? == then {
            return Ok(BTreeMap::new());
        }
        let tree = self.catalogue(&tip).await?;
        Ok(Case::may_ask(&*self.catalogue(base).await?, &tree, changes))
    }

    /// What the pull request changes, from trees: merge base to head.
    pub(super) async fn changes_of(
        &self,
        pull: &Pull,
        base: &CommitId,
    ) -> Result<Vec<ChangedFile>, ReconcileError> {
        let unrelated = || {
            ReconcileError::Unsettled(format!(
                "#{} shares no history with the protected branch",
                pull.number
            ))
        };
        let fork_point = self
            .mirror
            .merge_base(base, &pull.head)
            .await?
            .ok_or_else(unrelated)?;
        Ok(self.mirror.changes(&fork_point, &pull.head).await?)
    }

    /// What stood at the changed paths in each reviewed commit. A commit that cannot be had is left out: its review counts for
    /// nothing.
    async fn reviewed(
        &self,
        remote: &Remote,
        pull: &Pull,
        changes: &[ChangedFile],
    ) -> Result<Reviewed, ReconcileError> {
        let paths: Vec<RepoPath> = Case::paths_to_compare(changes);
        let commits: BTreeSet<CommitId> = Case::commits_to_compare(pull);
        let mut reviewed = Reviewed::new();
        let mut missing = Vec::new();
        for commit in commits {
            match self.mirror.blobs_at(&commit, &paths).await {
                Ok(blobs) => drop(reviewed.insert(commit, blobs)),
                Err(RepoError::NoCommit(_)) => missing.push(commit),
                Err(error) => return Err(error.into()),
            }
        }
        if !missing.is_empty() {
            self.mirror.fetch_commits(remote, &missing).await?;
            for commit in missing {
                if let Ok(blobs) = self.mirror.blobs_at(&commit, &paths).await {
                    reviewed.insert(commit, blobs);
                }
            }
        }
        Ok(reviewed)
    }

    /// What the subjects of a change had or asked for before.
    async fn past(
        &self,
        base: &Catalogue,
        changes: &[ChangedFile],
    ) -> Result<Vec<Past>, ReconcileError> {
        let subjects = Case::asks(base, changes)
            .into_iter()
            .map(|(s, _)| s)
            .collect();
        let ended = self.store.ended_of(&subjects, PAST).await?;
        let mut past = self.store.turned_down_of(&subjects, PAST).await?;
        past.extend(ended.iter().filter_map(Past::of));
        Ok(past)
    }

    /// What the ledger knows about the subjects and the files of a change.
    async fn context(
        &self,
        subjects: &BTreeSet<Subject>,
        base: &Catalogue,
        changes: &[ChangedFile],
    ) -> Result<(Vec<Holding>, BTreeMap<GrantPath, BlobId>), ReconcileError> {
        let hands = subjects.iter().flat_map(|s| base.same_hand(s));
        let known = subjects.iter().cloned().chain(hands).collect();
        let held = self.store.entries_of(&known).await?;
        let holdings = held.iter().filter_map(Entry::holding).collect();
        let removed = changes
            .iter()
            .filter(|c| c.after.is_none())
            .filter_map(|c| GrantPath::new(&c.path).ok())
            .collect();
        let mut ended = self.ended_beside(base, changes).await?;
        ended.extend(over(self.store.entries_at(&removed).await?));
        Ok((holdings, ended))
    }

    /// The files of the base that could be in the way of a change, and whose grants have ended: of each, the newest grant of
    /// just this content decides, because the base may be older than what stands there now.
    async fn ended_beside(
        &self,
        base: &Catalogue,
        changes: &[ChangedFile],
    ) -> Result<BTreeMap<GrantPath, BlobId>, ReconcileError> {
        let mut beside = Case::files_beside(base, changes);
        beside.retain(|path| changes.iter().all(|c| c.path != path.as_str()));
        let mut entries = self.store.entries_at(&beside).await?;
        let blob_of = |path: &GrantPath| base.grants.get(path).map(|declared| &declared.blob);
        entries.retain(|entry| blob_of(&entry.path) == Some(&entry.blob));
        Ok(over(entries))
    }
}

/// The owners whose word is needed: nobody's, for files whose access has already ended.
fn owners_to_ask(
    base: &Catalogue,
    changes: &[ChangedFile],
    ended: &BTreeMap<GrantPath, BlobId>,
) -> BTreeSet<Owner> {
    let tidies = |c: &&ChangedFile| {
        let before = c
            .before
            .as_ref()
            .filter(|_| c.after.is_none())
            .map(|(blob, _)| blob);
        before.is_some() && GrantPath::new(&c.path).is_ok_and(|path| ended.get(&path) == before)
    };
    let open: Vec<ChangedFile> = changes.iter().filter(|c| !tidies(c)).cloned().collect();
    Case::owners_to_ask(base, &open)
}

/// The newest arrival at each path: one entry, or the parts of a bundle. An older one says nothing about the file that stands
/// there now.
pub(super) fn newest(entries: Vec<Entry>) -> BTreeMap<GrantPath, Vec<Entry>> {
    let mut by_path: BTreeMap<GrantPath, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        let slot = by_path.entry(entry.path.clone()).or_default();
        match slot
            .first()
            .map(|e| e.arrival.order.cmp(&entry.arrival.order))
        {
            Some(Ordering::Greater) => {}
            Some(Ordering::Equal) => slot.push(entry),
            Some(Ordering::Less) | None => *slot = vec![entry],
        }
    }
    by_path
}

/// The files whose newest arrival is over in every part.
pub(super) fn over(entries: Vec<Entry>) -> BTreeMap<GrantPath, BlobId> {
    let over = |entries: &Vec<Entry>| entries.iter().all(|e| e.state.is_final());
    let files = newest(entries).into_iter();
    let ended = files.filter(|(_, entries)| over(entries));
    ended
        .filter_map(|(path, entries)| Some((path, entries.into_iter().next()?.blob)))
        .collect()
}
