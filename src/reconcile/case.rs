//! Gathers the facts of one pull request, whole, so that judging needs no I/O.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;

use super::{ReconcileError, Reconciler, aside};
use crate::domain::catalogue::{Catalogue, ChangedFile};
use crate::domain::changes::Changes;
use crate::domain::decision::{Asks, Case, MayAsk, PAST, Surroundings};
use crate::domain::evidence::DecidedOn;
use crate::domain::history::Past;
use crate::domain::impact;
use crate::domain::ledger::{Entry, Holding};
use crate::domain::model::{BlobId, CommitId, GrantPath, Instant, RepoPath, RoleRef, Subject};
use crate::domain::pull::{Pull, PullState, Reviewed, Roster};
use crate::repo::{Remote, RepoError};

/// The facts of one pull request, owned. [`Facts::case`] lends them to a decision.
#[derive(Debug)]
pub(super) struct Facts {
    pub pull: Pull,
    pub base_commit: CommitId,
    pub decided_on: DecidedOn,
    pub base: Arc<Catalogue>,
    pub changes: Arc<Changes>,
    pub reviewed: Reviewed,
    pub roster: Roster,
    pub holdings: Vec<Holding>,
    pub ended: BTreeMap<GrantPath, BlobId>,
    pub around: Surroundings,
    pub now: Instant,
}

impl Facts {
    /// Whether the pull request brings a sheet of an access review of which it is not noted yet in which pull request owners are asked:
    /// a crash came between the two, or the look at it is quicker.
    pub fn is_asked_too_early(&self) -> bool {
        let unnoted = self.around.sheets.iter().filter(|s| s.asked.is_none());
        let mut paths = unnoted.map(|sheet| sheet.record_path());
        paths.any(|path| self.changes.iter().any(|c| c.path == path.as_str()))
    }

    pub fn case<'a>(&'a self, protected_branch: &'a str) -> Case<'a> {
        Case {
            pull: &self.pull,
            protected_branch,
            base_commit: &self.base_commit,
            base: &self.base,
            changes: Arc::clone(&self.changes),
            reviewed: &self.reviewed,
            roster: &self.roster,
            holdings: &self.holdings,
            ended: &self.ended,
            around: &self.around,
            now: self.now,
        }
    }
}

/// What is to be judged, read and derived once, before anybody is asked about it.
#[derive(Debug)]
pub(super) struct Matter {
    pub pull: Pull,
    pub base_commit: CommitId,
    pub base: Arc<Catalogue>,
    pub changes: Arc<Changes>,
    /// What the change asks for.
    pub asks: Asks,
}

impl Matter {
    /// For whom it asks.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        let asks = self.asks.iter();
        asks.map(|(subject, _)| subject.clone()).collect()
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
        let matter = self.matter(pull, base_commit).await?;
        let reviewed = self.reviewed(remote, &matter).await?;
        let (holdings, mut ended) = self.context(&matter).await?;
        if impact::decides(&matter.changes) {
            ended.extend(self.ended_files().await?);
        }
        let mut around = Surroundings {
            members: self.members_asked(&matter.base, &matter.subjects()).await,
            ..self.around(&matter).await?
        };
        let mut owners = Case::owners_to_ask(&matter.base, &matter.changes, &ended);
        let may_ask_now = around.may_ask_now.values();
        owners.extend(may_ask_now.flat_map(|may| may.teams().cloned()));
        let holds = around.holds.iter();
        owners.extend(holds.flat_map(|hold| hold.owners(&matter.base.codeowners)));
        let sheets = around.sheets.iter();
        owners.extend(sheets.flat_map(|sheet| sheet.owners_by(&matter.base.codeowners)));
        let roster = self.forge.roster(&owners).await;
        around.tenures = self.tenures(&matter.base, &roster).await?;
        let now = self.now();
        Ok(Facts {
            pull: matter.pull,
            decided_on: self.decided_on(&matter.base_commit).await?,
            base_commit: matter.base_commit,
            base: matter.base,
            changes: matter.changes,
            reviewed,
            roster,
            holdings,
            ended,
            around,
            now,
        })
    }

    /// The objects of `base` that hold the rules.
    pub(super) async fn decided_on(&self, base: &CommitId) -> Result<DecidedOn, ReconcileError> {
        Ok(DecidedOn {
            base: base.clone(),
            objects: self.mirror.objects(base, &DecidedOn::PATHS).await?,
        })
    }

    async fn matter(&self, pull: Pull, base_commit: CommitId) -> Result<Matter, ReconcileError> {
        let files = self.changes_of(&pull, &base_commit).await?;
        let base = self.catalogue(&base_commit).await?;
        let by = Arc::clone(&base);
        let (changes, asks) = aside(move || {
            let changes = Changes::read(files);
            let asks = Case::asks(&by, &changes);
            (changes, asks)
        })
        .await?;
        Ok(Matter {
            asks,
            pull,
            base_commit,
            base,
            changes: Arc::new(changes),
        })
    }

    /// What the service knows beside the trees and the reviews.
    async fn around(&self, matter: &Matter) -> Result<Surroundings, ReconcileError> {
        Ok(Surroundings {
            held: self.held(matter).await?,
            holds: self.holds_around(&matter.changes).await?,
            sheets: self.sheets_around(&matter.changes).await?,
            emergencies: self.emergencies_around(&matter.changes).await?,
            replay: self.replay(matter).await?,
            pending: self.pending(matter).await?,
            open_requests: self.open_requests(matter).await?,
            elsewhere: self.elsewhere(matter).await?,
            may_ask_now: self.may_ask_now(matter).await?,
            past: self.past(&matter.subjects()).await?,
            ..Surroundings::default()
        })
    }

    /// When the pull request was last seen to aim at another branch, which is noted at every such sight.
    async fn elsewhere(&self, matter: &Matter) -> Result<Option<Instant>, ReconcileError> {
        let name = format!("elsewhere/{}", matter.pull.number);
        let here = matter.pull.base_branch == self.settings.protected_branch;
        if here || !Case::is_governed(&matter.changes) {
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
        matter: &Matter,
    ) -> Result<BTreeMap<(GrantPath, RoleRef), MayAsk>, ReconcileError> {
        let tip = self.mirror.tip(&self.settings.protected_branch).await?;
        let (PullState::Merged { .. }, Some(tip)) = (&matter.pull.state, tip) else {
            return Ok(BTreeMap::new());
        };
        let deciding = Case::files_of_eligibility(&matter.asks);
        let then = self.mirror.blobs_at(&matter.base_commit, &deciding).await?;
        if self.mirror.blobs_at(&tip, &deciding).await? == then {
            return Ok(BTreeMap::new());
        }
        let tree = self.catalogue(&tip).await?;
        Ok(Case::may_ask(&matter.base, &tree, &matter.changes))
    }

    /// What the pull request changes, from trees: merge bases to head.
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
        let changes = self.mirror.proposed(base, &pull.head).await?;
        changes.ok_or_else(unrelated)
    }

    /// What stood at the changed paths in each reviewed commit. A commit that cannot be had is left out: its review counts for
    /// nothing.
    async fn reviewed(&self, remote: &Remote, matter: &Matter) -> Result<Reviewed, ReconcileError> {
        let paths: Vec<RepoPath> = Case::paths_to_compare(&matter.changes);
        let commits: BTreeSet<CommitId> = Case::commits_to_compare(&matter.pull);
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
    async fn past(&self, subjects: &BTreeSet<Subject>) -> Result<Vec<Past>, ReconcileError> {
        let ended = self.store.ended_of(subjects, PAST).await?;
        let mut past = self.store.turned_down_of(subjects, PAST).await?;
        past.extend(ended.iter().filter_map(Past::of));
        Ok(past)
    }

    /// What the ledger knows about the subjects and the files of a change.
    async fn context(
        &self,
        matter: &Matter,
    ) -> Result<(Vec<Holding>, BTreeMap<GrantPath, BlobId>), ReconcileError> {
        let subjects = matter.subjects();
        let hands = subjects.iter().flat_map(|s| matter.base.same_hand(s));
        let known = subjects.iter().cloned().chain(hands).collect();
        let held = self.store.entries_of(&known).await?;
        let mut holdings: Vec<Holding> = held.iter().filter_map(Entry::holding).collect();
        if let PullState::Merged { at, .. } = matter.pull.state {
            let mut since = self.store.ended_of(&known, PAST).await?;
            since.retain(|e| !ended_by(e, at) && e.arrival.pull != Some(matter.pull.number));
            holdings.extend(since.iter().filter_map(|e| e.holding_at(at)));
        }
        let removed = matter
            .changes
            .iter()
            .filter(|c| c.after.is_none())
            .filter_map(|c| GrantPath::new(&c.path).ok())
            .collect();
        let mut ended = self.ended_beside(matter).await?;
        let entries = self.store.entries_at(&removed).await?;
        ended.extend(over_by(entries, &matter.pull));
        Ok((holdings, ended))
    }

    /// The files of the base that could be in the way of a change, and whose grants have ended: of each, the newest grant of
    /// just this content decides, because the base may be older than what stands there now.
    async fn ended_beside(
        &self,
        matter: &Matter,
    ) -> Result<BTreeMap<GrantPath, BlobId>, ReconcileError> {
        let base = &matter.base;
        let mut beside = Case::files_beside(base, &matter.asks);
        beside.retain(|path| matter.changes.iter().all(|c| c.path != path.as_str()));
        let mut entries = self.store.entries_at(&beside).await?;
        let blob_of = |path: &GrantPath| base.grants.get(path).map(|declared| &declared.blob);
        entries.retain(|entry| blob_of(&entry.path) == Some(&entry.blob));
        Ok(over_by(entries, &matter.pull))
    }
}

/// By how much the forge's clock may be behind ours: it counts whole seconds, and machines differ by less than one.
const CLOCKS: TimeDelta = TimeDelta::seconds(2);

/// [`over`], as far as `pull` is concerned: what ended only after it was merged was in its way then, however late it is looked at.
fn over_by(entries: Vec<Entry>, pull: &Pull) -> BTreeMap<GrantPath, BlobId> {
    let PullState::Merged { at, .. } = pull.state else {
        return over(entries);
    };
    over_where(entries, |entry| ended_by(entry, at))
}

fn ended_by(entry: &Entry, at: Instant) -> bool {
    entry.settled_at.is_some_and(|end| end <= at + CLOCKS)
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
    over_where(entries, |_| true)
}

fn over_where(entries: Vec<Entry>, counts: impl Fn(&Entry) -> bool) -> BTreeMap<GrantPath, BlobId> {
    let is_over = |e: &Entry| e.state.is_final() && counts(e);
    let over = |entries: &Vec<Entry>| entries.iter().all(is_over);
    let files = newest(entries).into_iter();
    let ended = files.filter(|(_, entries)| over(entries));
    ended
        .filter_map(|(path, entries)| Some((path, entries.into_iter().next()?.blob)))
        .collect()
}
