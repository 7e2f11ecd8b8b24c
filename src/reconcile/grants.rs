//! The protected branch against the ledger: what landed is weighed, what is proved is given, what is over is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use tracing::{info, warn};

use super::case::Facts;
use super::emergencies::hold_rivals;
use super::settle::{Lane, Look};
use super::{ReconcileError, Reconciler, aside};
use crate::domain::decision::{self, Admission};
use crate::domain::evidence::{self, Event};
use crate::domain::landing;
use crate::domain::ledger::{Arrival, Entry, State};
use crate::domain::model::{
    Actor, BlobId, CommitId, ConnectionName, GrantId, GrantPath, Instant, PullNumber,
};
use crate::domain::plan::Held;
use crate::domain::pull::{Pull, PullState};
use crate::repo::Remote;
use crate::store::Scope;

/// How many merges are weighed at the same time: each takes several answers of the forge, one after another.
const WEIGHED: usize = 4;

/// What a look at the protected branch found.
#[derive(Debug, Clone, Default)]
pub struct MainOutcome {
    /// The tip that was looked at.
    pub tip: Option<CommitId>,
    /// Arrivals that could not be weighed yet.
    pub unsettled: usize,
    /// What every connection's pass goes by.
    pub look: Arc<Look>,
    /// The connections that have something to do, perhaps.
    pub connections: BTreeSet<ConnectionName>,
}

/// What weighing one arrival told.
#[derive(Debug, Clone)]
pub(super) struct Weighed {
    pub admission: Admission,
    pub merge: Option<Merge>,
}

/// The merge that an arrival belongs to.
#[derive(Debug, Clone)]
pub(super) struct Merge {
    pub pull: PullNumber,
    pub at: Instant,
    pub by: Option<Actor>,
}

impl Weighed {
    fn unknown(why: impl Into<String>) -> Self {
        Self {
            admission: Admission::Unknown(vec![why.into()]),
            merge: None,
        }
    }
}

impl Reconciler {
    /// Takes away what is due by time, on every connection at once. Needs the ledger, the targets and the clock; nothing else.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due(&self) -> Result<(), ReconcileError> {
        let connections = self.store.due_connections(self.now()).await?;
        let at_once = self.at_once(connections.len().max(1));
        let pass = |connection| async move { self.due_on(&connection).await };
        let passes = stream::iter(connections).map(pass);
        let results: Vec<Result<(), ReconcileError>> =
            passes.buffer_unordered(at_once).collect().await;
        results.into_iter().collect()
    }

    /// [`Reconciler::due`] for one connection, as soon as no other pass is at it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_on(&self, connection: &ConnectionName) -> Result<(), ReconcileError> {
        let _turn = self.lane(connection).lock().await;
        let now = self.now();
        let lane = Lane {
            connection: Some(connection),
            entries: self.store.entries(Scope::Due(connection, now)).await?,
            // Nothing is inferred, so nothing is held back.
            held: Held::default(),
            look: None,
        };
        self.plan_and_act(lane, now).await
    }

    pub(super) fn lane(&self, connection: &ConnectionName) -> &tokio::sync::Mutex<()> {
        self.lanes.get(connection).unwrap_or(&self.stray_lane)
    }

    /// Looks at the protected branch: records what landed and weighs it. What is to be done about it is done by
    /// [`Reconciler::settle`], for each connection by itself.
    ///
    /// # Errors
    /// When forge, git or database fail.
    pub async fn main(&self) -> Result<MainOutcome, ReconcileError> {
        let outcome = self.look_at_main().await;
        if outcome.as_ref().is_err_and(|error| !error.is_overtaken()) {
            // What waits for a proof waits on; without this it would be due again at once, for ever.
            let now = self.now();
            let live = self.store.entries(Scope::Waiting).await?;
            self.put_off(
                live.into_iter()
                    .filter(|e| waits_for_proof(e, now))
                    .collect(),
                now,
            )
            .await?;
        }
        outcome
    }

    async fn look_at_main(&self) -> Result<MainOutcome, ReconcileError> {
        self.set_right().await?;
        let tip = self.fetch_main().await?;
        if let Some(mode) = self.find_safe_mode(tip.as_ref()).await? {
            self.go_by_evidence(&mode).await?;
            return Err(ReconcileError::Safe(mode));
        }
        let Some(tip) = tip else {
            warn!(
                "the protected branch `{}` does not exist; nothing is granted",
                self.settings.protected_branch
            );
            return Ok(MainOutcome::default());
        };
        let remote = self.remote().await?;
        self.record_arrivals(&tip).await?;
        let main = self.mirror.grants(&tip).await?;
        let waiting = self.store.entries(Scope::Waiting).await?;
        let weighed = self.weigh_all(&remote, &main, &waiting).await;
        let weighed = self.divide_bundles(weighed, &waiting).await?;
        let look = self.look(&tip, main, weighed).await?;
        let connections = self.concerned(&look).await?;
        self.settle_unconnected(&look).await?;
        let unsettled = look
            .weighed
            .values()
            .filter(|w| matches!(w.admission, Admission::Unknown(_)))
            .count();
        Ok(MainOutcome {
            tip: Some(tip),
            unsettled,
            look: Arc::new(look),
            connections,
        })
    }

    /// Records every grant file that landed since the last look.
    async fn record_arrivals(&self, tip: &CommitId) -> Result<(), ReconcileError> {
        // What is written below moves exactly this cursor.
        let cursor = self.is_not_behind(tip).await?;
        if cursor.as_ref() == Some(tip) {
            return Ok(());
        }
        let landed = self.mirror.landed(cursor.as_ref(), tip).await?;
        let paths = landed.iter().map(|l| l.path.clone()).collect();
        let before = self.store.entries_at(&paths).await?;
        let known = |entry: &Entry| {
            let arrivals = before.iter().filter(|e| e.path == entry.path);
            // Of a bundle only the parts may be left.
            arrivals
                .into_iter()
                .any(|e| e.arrival.commit == entry.arrival.commit)
        };
        let now = self.now();
        let (mut entries, mut count) = (Vec::new(), 0);
        for file in landed {
            let order = 1 + before
                .iter()
                .filter(|e| e.path == file.path)
                .map(|e| e.arrival.order)
                .max()
                .unwrap_or(0);
            let arrival = Arrival {
                commit: file.commit,
                pull: None,
                // Seen now. The dates of a commit are free text: one far ahead would wait for its proof for ever.
                at: now,
                order,
            };
            let entry = Entry::arrived(file.path, file.blob, arrival);
            if !known(&entry) {
                let older = before.iter().filter(|e| e.path == entry.path);
                let live = older.filter(|e| !e.state.is_final()).cloned();
                entries.extend(live.map(|e| Entry {
                    superseded: true,
                    ..e
                }));
                entries.push(entry);
                count += 1;
            }
        }
        let events = self.tell_arrivals(cursor.as_ref(), tip, now).await?;
        let moved = (cursor.as_ref(), tip);
        self.store.commit_arrivals(&entries, &events, moved).await?;
        if count > 0 {
            info!(count, tip = %tip.short(), "{count} grant files landed on `{}`", self.settings.protected_branch);
        }
        Ok(())
    }

    /// What became of the protected branch since `cursor`: an event for each commit that changes governed files.
    async fn tell_arrivals(
        &self,
        cursor: Option<&CommitId>,
        tip: &CommitId,
        now: Instant,
    ) -> Result<Vec<Event>, ReconcileError> {
        let Some(cursor) = cursor else {
            return Ok(vec![evidence::first_look(tip, now)]);
        };
        self.tell_landed(Some(cursor), tip, now).await
    }

    /// An event for each commit after `since` (or from the beginning on) that changes governed files.
    pub(super) async fn tell_landed(
        &self,
        since: Option<&CommitId>,
        tip: &CommitId,
        now: Instant,
    ) -> Result<Vec<Event>, ReconcileError> {
        let mut events = Vec::new();
        for arrived in self.mirror.governed(since, tip).await? {
            let merge = match arrived.decides() {
                true => self.merge_of(&arrived.commit).await?,
                false => None,
            };
            events.push(evidence::landed(&arrived, merge.as_ref(), now));
        }
        Ok(events)
    }

    /// The merged pull request that brought `commit` to the protected branch, as far as the forge knows.
    pub(super) async fn merge_of(&self, commit: &CommitId) -> Result<Option<Pull>, ReconcileError> {
        for number in self.forge.pulls_of(commit).await? {
            if let Some((pull, ..)) = self.merged_here(number).await? {
                return Ok(Some(pull));
            }
        }
        Ok(None)
    }

    /// Pull request `number` if it was merged into the protected branch, as which commit, and how.
    async fn merged_here(
        &self,
        number: PullNumber,
    ) -> Result<Option<(Pull, CommitId, Merge)>, ReconcileError> {
        let pull = self.forge.pull(number).await?;
        let PullState::Merged { commit, at, by } = pull.state.clone() else {
            return Ok(None);
        };
        let here = pull.base_branch == self.settings.protected_branch;
        let merge = Merge {
            pull: number,
            at,
            by,
        };
        Ok(here.then_some((pull, commit, merge)))
    }

    /// Asks afresh for the proof of everything that may be given now.
    async fn weigh_all(
        &self,
        remote: &Remote,
        main: &BTreeMap<GrantPath, BlobId>,
        waiting: &[Entry],
    ) -> BTreeMap<GrantId, Weighed> {
        let now = self.now();
        let wants_proof = |e: &Entry| e.state == State::Arrived || waits_for_proof(e, now);
        let mut by_commit: BTreeMap<CommitId, Vec<Entry>> = BTreeMap::new();
        for entry in waiting {
            if wants_proof(entry) && main.get(&entry.path) == Some(&entry.blob) {
                by_commit
                    .entry(entry.arrival.commit.clone())
                    .or_default()
                    .push(entry.clone());
            }
        }
        let weigh = |(commit, entries): (CommitId, Vec<Entry>)| async move {
            self.weigh(remote, &commit, &entries).await
        };
        let all = stream::iter(by_commit).map(weigh);
        let all: Vec<_> = all.buffered(self.at_once(WEIGHED)).collect().await;
        let mut weighed = all.into_iter().flatten().collect();
        hold_rivals(&mut weighed);
        weighed
    }

    /// Weighs everything that one commit brought.
    async fn weigh(
        &self,
        remote: &Remote,
        commit: &CommitId,
        entries: &[Entry],
    ) -> BTreeMap<GrantId, Weighed> {
        let (facts, merge) = match self.facts_of_merge(remote, commit).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                return entries
                    .iter()
                    .map(|e| (e.id.clone(), self.without_pull(e)))
                    .collect();
            }
            Err(why) => {
                warn!(merge.commit = %commit, error = %why, "cannot weigh what {} brought yet: {why}", commit.short());
                return entries
                    .iter()
                    .map(|e| (e.id.clone(), Weighed::unknown(why.to_string())))
                    .collect();
            }
        };
        let mut admissions = match self.judge_merge(facts, entries).await {
            Ok(admissions) => admissions,
            Err(error) => {
                return entries
                    .iter()
                    .map(|e| (e.id.clone(), Weighed::unknown(error.to_string())))
                    .collect();
            }
        };
        let mut weigh = |entry: &Entry| match admissions.remove(&entry.id) {
            Some(admission) => Weighed {
                admission,
                merge: Some(merge.clone()),
            },
            None => Weighed::unknown("it was not judged"),
        };
        entries.iter().map(|e| (e.id.clone(), weigh(e))).collect()
    }

    /// Judges a merge once, however many files it brought, and notes the verdict.
    async fn judge_merge(
        &self,
        facts: Facts,
        entries: &[Entry],
    ) -> Result<BTreeMap<GrantId, Admission>, ReconcileError> {
        let (events, admissions) = self.verdict_of_merge(facts, entries).await?;
        self.store.commit(&[], &events).await?;
        Ok(admissions)
    }

    /// What can be proved of what `commit` brought, and by which merge; `None` where no merged pull request did. Notes nothing.
    pub(super) async fn proofs(
        &self,
        remote: &Remote,
        commit: &CommitId,
        entries: &[Entry],
    ) -> Result<Option<(Merge, BTreeMap<GrantId, Admission>)>, ReconcileError> {
        let Some((facts, merge)) = self.facts_of_merge(remote, commit).await? else {
            return Ok(None);
        };
        let (_, admissions) = self.verdict_of_merge(facts, entries).await?;
        Ok(Some((merge, admissions)))
    }

    /// What is written down of a merge, and what it gives.
    async fn verdict_of_merge(
        &self,
        facts: Facts,
        entries: &[Entry],
    ) -> Result<(Vec<Event>, BTreeMap<GrantId, Admission>), ReconcileError> {
        let (entries, branch) = (entries.to_vec(), self.settings.protected_branch.clone());
        let configured = self.connections();
        aside(move || {
            let (verdict, admissions) = decision::admit_entries(&facts.case(&branch), &entries);
            let verdict = landing::demand_connections(
                verdict,
                &facts.changes,
                &configured,
                &landing::Unknown::new(),
            );
            let events = evidence::of_verdict(&facts.pull, &facts.decided_on, &verdict, facts.now);
            (events, admissions)
        })
        .await
    }

    /// Lets the parts of every bundle that has its proof become entries of their own, each with its part of the proof. In one
    /// transaction for each bundle: after a crash the parts are there, or the bundle is weighed again.
    async fn divide_bundles(
        &self,
        weighed: BTreeMap<GrantId, Weighed>,
        waiting: &[Entry],
    ) -> Result<BTreeMap<GrantId, Weighed>, ReconcileError> {
        let mut divided = BTreeMap::new();
        for (id, Weighed { admission, merge }) in weighed {
            let Admission::Bundle(parts) = admission else {
                divided.insert(id, Weighed { admission, merge });
                continue;
            };
            let Some(bundle) = waiting.iter().find(|e| e.id == id) else {
                continue;
            };
            let entries = parts.iter().map(|part| bundle.of_part(part.role()));
            let entries: Vec<Entry> = entries.collect();
            self.store.divide(bundle, &entries).await?;
            info!(grant.id = %id, parts = entries.len(), "`{id}` is approved in all its {} parts", entries.len());
            for (entry, part) in entries.into_iter().zip(parts) {
                let admission = Admission::Approved(Box::new(part));
                let merge = merge.clone();
                divided.insert(entry.id, Weighed { admission, merge });
            }
        }
        Ok(divided)
    }

    /// A file without a pull request is final only when the forge had time to connect the two.
    fn without_pull(&self, entry: &Entry) -> Weighed {
        if entry.arrival.at + self.settings.proof_grace > self.now() {
            return Weighed::unknown(
                "the forge does not connect the commit with a merged pull request yet",
            );
        }
        let why = format!(
            "commit {} is not the merge of a pull request into this branch",
            entry.arrival.commit
        );
        Weighed {
            admission: Admission::Unapproved(vec![why]),
            merge: None,
        }
    }

    /// The facts of the pull request whose merge is (or holds) `commit`, judged by the branch as it was just before.
    async fn facts_of_merge(
        &self,
        remote: &Remote,
        commit: &CommitId,
    ) -> Result<Option<(Facts, Merge)>, ReconcileError> {
        for number in self.forge.pulls_of(commit).await? {
            let Some((pull, merged, merge)) = self.merged_here(number).await? else {
                continue;
            };
            let facts = self.facts_where(remote, pull, &merged, commit).await?;
            let Some(facts) = facts else {
                continue;
            };
            return Ok(Some((facts, merge)));
        }
        Ok(None)
    }

    /// The facts of a merged pull request that arrived whole as `merged`, judged at its merge by the branch as it was just before.
    pub(super) async fn facts_of_merged(
        &self,
        remote: &Remote,
        pull: Pull,
        merged: &CommitId,
    ) -> Result<Option<Facts>, ReconcileError> {
        self.facts_where(remote, pull, merged, merged).await
    }

    /// [`Reconciler::facts_of_merged`], where `commit` is part of the arrival.
    async fn facts_where(
        &self,
        remote: &Remote,
        pull: Pull,
        merged: &CommitId,
        commit: &CommitId,
    ) -> Result<Option<Facts>, ReconcileError> {
        self.mirror
            .fetch(remote, &[&self.settings.protected_branch], &[pull.number.0])
            .await?;
        let Some(base) = self.base_of_merge(&pull, merged, commit).await? else {
            return Ok(None);
        };
        let mut facts = self.facts(remote, pull, base).await?;
        // Terms are judged at the instant of the merge, not whenever we happen to look.
        if let PullState::Merged { at, .. } = facts.pull.state {
            facts.now = at;
        }
        Ok(Some(facts))
    }

    /// The first-parent ancestor of the merge on which the pull request's change arrived *whole*, if `commit` is part of that
    /// arrival: the parent for a merge commit and a squash, further back for a rebase. `None`: what landed is not what the pull
    /// request holds, as with an indirect merge or an edited conflict.
    async fn base_of_merge(
        &self,
        pull: &Pull,
        merged: &CommitId,
        commit: &CommitId,
    ) -> Result<Option<CommitId>, ReconcileError> {
        let mut spans = vec![1];
        if pull.commits > 1 {
            spans.push(pull.commits);
        }
        let mut same = None;
        for span in spans {
            let Some(base) = self.mirror.ancestor(merged, span).await? else {
                continue;
            };
            let within = self.mirror.is_ancestor(commit, merged).await?
                && !self.mirror.is_ancestor(commit, &base).await?;
            if !within {
                continue;
            }
            let landed = self.mirror.changes(&base, merged).await?;
            let asked = self.changes_of(pull, &base).await?;
            if landing::same_change(&landed, &asked) {
                return Ok(Some(base));
            }
            // The branch may have come to the same content by itself before the merge.
            if same.is_none() && landing::same_result(&landed, &asked) {
                same = Some(base);
            }
        }
        Ok(same)
    }
}

/// Whether the entry's time has come and a proof is all that it waits for.
pub(super) fn waits_for_proof(entry: &Entry, now: Instant) -> bool {
    matches!(entry.state, State::Scheduled | State::Granting)
        && entry.wake_at.is_some_and(|at| at <= now)
}
