//! What is under way at once: looks at the protected branch one after another, a few pull requests beside them, and beside both one
//! pass for each connection, so that a target that is slow or hangs keeps neither a check nor another target's access waiting.
//!
//! Accepted race: a connection's pass goes by a look that another look may overtake. What it began before is finished: nothing is given that
//! was not proved then, and each entry is written only as it was read. What it would begin afterwards is left to the newer look.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tracing::{Instrument, info_span, warn};

use super::beside::Beside;
use super::{Worker, unharmed};
use crate::domain::model::{ConnectionName, RepoName};
use crate::reconcile::{Look, ReconcileError, chain};
use crate::store::{StoreError, TakenWake, Wake};

/// How long, in real time, the next look at the protected branch waits for the passes of the one before: most targets answer by
/// then, and what they were given is not weighed a second time.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many pull requests are looked at beside each other: one whose targets are asked and do not answer delays few.
const PULLS: usize = 4;

/// How many repositories' deployments are answered beside each other, and beside pull requests.
const REPOSITORIES: usize = 4;

type Job<'w> = Pin<Box<dyn Future<Output = Done> + Send + 'w>>;

/// What a look at the protected branch leaves to be done.
#[derive(Debug, Default)]
pub(super) struct Passes {
    pub look: Arc<Look>,
    pub connections: BTreeSet<ConnectionName>,
}

/// How a job ended.
pub(super) enum Done {
    /// A wake was worked off, or put off.
    Wake(Wake, Passes, Result<(), StoreError>),
    /// A connection's pass.
    Pass(ConnectionName, Result<(), ReconcileError>),
    /// What follows from passes.
    Follow(Result<(), ReconcileError>),
    /// The passes of the last look take longer than the next look waits.
    OutOfPatience,
}

/// Everything that is under way.
#[derive(Default)]
pub(super) struct Work<'w> {
    jobs: Beside<Job<'w>>,
    /// Pull requests that are looked at.
    pulls: BTreeSet<Wake>,
    /// Repositories whose deployments are answered, and comments that are.
    repositories: BTreeSet<Wake>,
    /// Whether the protected branch is looked at or its passes are waited for, or what follows from passes is under way.
    on_branch: bool,
    /// Connections that have a pass under way, and whether another look came meanwhile.
    lanes: BTreeMap<ConnectionName, bool>,
    /// Whether something may follow from passes that ended.
    to_follow: bool,
    /// Until when the next look waits for these passes; `None` where none is waited for.
    waits: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<'w> Work<'w> {
    /// Starts what is due and has a place. Returns how many wakes were taken.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn start_due(&mut self, worker: &'w Worker) -> Result<usize, StoreError> {
        let mut count = self.start_followers(worker);
        let due = worker.store.due_wakes(worker.clock.now());
        for taken in self.jobs.during(due).await? {
            let free = match taken.wake {
                Wake::Pull(_) => self.pulls.len() < PULLS && self.pulls.insert(taken.wake.clone()),
                Wake::Remarks => self.repositories.insert(taken.wake.clone()),
                Wake::Deployments(_) => {
                    self.repositories.len() < REPOSITORIES
                        && self.repositories.insert(taken.wake.clone())
                }
                Wake::Main | Wake::All | Wake::Members => {
                    !std::mem::replace(&mut self.on_branch, true)
                }
            };
            if free {
                count += 1;
                let span =
                    info_span!("wake", wake.name = ?taken.wake, wake.attempts = taken.attempts);
                self.jobs
                    .push(Box::pin(worker.work_on(taken).instrument(span)));
            }
        }
        Ok(count)
    }

    /// Starts what follows from passes that ended, if nothing else is at the branch. Returns how many: none, or one.
    pub fn start_followers(&mut self, worker: &'w Worker) -> usize {
        if !self.to_follow || self.on_branch {
            return 0;
        }
        (self.to_follow, self.on_branch) = (false, true);
        let job = async {
            let _turn = worker.reconciler.turn().await;
            Done::Follow(unharmed(worker.follow()).await)
        };
        self.jobs
            .push(Box::pin(job.instrument(info_span!("follow"))));
        1
    }

    /// Waits for `other`, and goes on with everything meanwhile.
    pub async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        self.jobs.during(other).await
    }

    /// Waits until something ends, for ever where nothing is under way. Dropped on the way, it loses nothing.
    pub async fn ended(&mut self) -> Done {
        match self.last_ended().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// [`Work::ended`], where something is under way.
    pub async fn last_ended(&mut self) -> Option<Done> {
        match &mut self.waits {
            None => self.jobs.next().await,
            Some(waits) => tokio::select! {
                done = self.jobs.next() => done,
                () = waits => Some(Done::OutOfPatience),
            },
        }
    }

    /// Does what the end of something leads to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take(&mut self, worker: &'w Worker, done: Done) -> Result<(), StoreError> {
        match done {
            Done::Wake(wake, passes, written) => {
                if !self.pulls.remove(&wake) && !self.repositories.remove(&wake) {
                    self.to_follow |= passes.connections.is_empty();
                    self.start_passes(worker, &passes);
                    self.on_branch = !passes.connections.is_empty();
                    // No clock of ours may decide what comes first where one thing is done after another.
                    let unhurried = worker.reconciler.is_one_by_one();
                    let patience = if unhurried { Duration::MAX } else { PATIENCE };
                    self.waits = self
                        .on_branch
                        .then(|| Box::pin(tokio::time::sleep(patience)));
                }
                written?;
            }
            Done::Pass(connection, result) => {
                let again = self.lanes.remove(&connection) == Some(true);
                self.to_follow = true;
                if self.lanes.is_empty() && self.waits.take().is_some() {
                    self.on_branch = false;
                }
                let after = worker.after_pass(connection, result, again);
                self.jobs.during(after).await?;
            }
            Done::Follow(result) => {
                self.on_branch = false;
                self.jobs.during(worker.retry(None, result)).await?;
            }
            Done::OutOfPatience => {
                self.waits = None;
                self.on_branch = false;
            }
        }
        worker.ledger_bell.notify_one();
        Ok(())
    }

    fn start_passes(&mut self, worker: &'w Worker, passes: &Passes) {
        for connection in &passes.connections {
            if let Some(again) = self.lanes.get_mut(connection) {
                *again = true;
                continue;
            }
            self.lanes.insert(connection.clone(), false);
            let (connection, look) = (connection.clone(), Arc::clone(&passes.look));
            let span = info_span!("pass", provider.connection = %connection);
            let job = async move {
                let _turn = worker.reconciler.turn().await;
                let result = unharmed(worker.reconciler.settle(&connection, &look)).await;
                Done::Pass(connection, result)
            };
            self.jobs.push(Box::pin(job.instrument(span)));
        }
    }
}

impl Worker {
    async fn work_on(&self, taken: TakenWake) -> Done {
        let _turn = self.reconciler.turn().await;
        let mut passes = Passes::default();
        let looked = unharmed(self.look_at(&taken.wake, &mut passes)).await;
        self.count(&taken, &looked);
        let written = match looked {
            Ok(()) => self.store.finish_wake(&taken).await,
            Err(error) => {
                let until = self.clock.now() + self.pause(taken.attempts);
                let until = error
                    .retry_at()
                    .map_or(until, |at| at.clamp(until, until + self.pace.retry_cap));
                warn!(error = %error, retry_at = %until, "not finished, tried again at {until}: {}", chain(&error));
                self.store.defer_wake(&taken, until).await
            }
        };
        Done::Wake(taken.wake, passes, written)
    }

    fn count(&self, taken: &TakenWake, looked: &Result<(), ReconcileError>) {
        let metrics = self.reconciler.metrics();
        let outcome = match looked {
            Ok(()) => "done",
            Err(_) => "put-off",
        };
        let name = match taken.wake {
            Wake::Pull(_) => "pull",
            Wake::Main => "main",
            Wake::All => "all",
            Wake::Deployments(_) => "deployments",
            Wake::Members => "members",
            Wake::Remarks => "remarks",
        };
        metrics.worked(name, outcome);
        if looked.is_ok() && matches!(taken.wake, Wake::Pull(_)) {
            metrics.decided(self.clock.now() - taken.asked_at);
        }
    }

    pub(super) fn pause(&self, attempts: u32) -> TimeDelta {
        TimeDelta::seconds(1_i64 << attempts.min(20)).min(self.pace.retry_cap)
    }

    /// What a pass leads to: another look where one came meanwhile, and after a while where it failed.
    async fn after_pass(
        &self,
        connection: ConnectionName,
        result: Result<(), ReconcileError>,
        again: bool,
    ) -> Result<(), StoreError> {
        if matches!(result, Err(ReconcileError::Overtaken)) {
            // Nothing failed: another look is what it takes.
            return self.store.wake(&[Wake::Main], self.clock.now()).await;
        }
        let failed = result.is_err();
        self.retry(Some(connection), result).await?;
        if again && !failed {
            self.store.wake(&[Wake::Main], self.clock.now()).await?;
        }
        Ok(())
    }

    /// Asks for another look after a while, where something failed.
    async fn retry(
        &self,
        what: Option<ConnectionName>,
        result: Result<(), ReconcileError>,
    ) -> Result<(), StoreError> {
        let Err(error) = result else {
            self.failures().remove(&what);
            return Ok(());
        };
        let attempts = {
            let mut failures = self.failures();
            let attempts = failures.entry(what).or_default();
            let before = *attempts;
            *attempts = before.saturating_add(1);
            before
        };
        let until = self.clock.now() + self.pause(attempts);
        warn!(error = %error, retry_at = %until, "not finished, looked at again at {until}: {}", chain(&error));
        self.store.wake_by(&Wake::Main, until).await
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, super::Failures> {
        self.failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Asks for a look at deployments that wait and that a grant lets through by now.
    async fn answer_opened(&self) -> Result<(), ReconcileError> {
        let opened = self.reconciler.opened().await?;
        self.look_at_deployments(opened).await
    }

    pub(super) async fn look_at_deployments(
        &self,
        repositories: BTreeSet<RepoName>,
    ) -> Result<(), ReconcileError> {
        let wakes: Vec<Wake> = repositories.into_iter().map(Wake::Deployments).collect();
        if !wakes.is_empty() {
            self.store.wake(&wakes, self.clock.now()).await?;
        }
        Ok(())
    }

    /// What follows from passes that ended: reviews, releases, access reviews, notices, files to tidy up, and deployments that waited.
    /// What fails in one of these must not keep the others from their work.
    async fn follow(&self) -> Result<(), ReconcileError> {
        if self.reconciler.safe_mode().await?.is_some() {
            return Ok(());
        }
        let passes = [
            self.reconciler.emergencies().await,
            self.reconciler.releases().await,
            self.reconciler.access_reviews().await,
            self.reconciler.notices().await,
            self.reconciler.reverts().await,
            self.answer_opened().await,
        ];
        passes.into_iter().collect()
    }
}
