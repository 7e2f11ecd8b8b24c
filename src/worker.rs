//! Runs the loop: wakes from the queue, the expiry timer, the resync tick.
//!
//! Tasks, so that none waits for another: *due* ends what is due by time and needs neither forge nor git; *wakes* works off the
//! queue, see `work.rs`; the *tick* asks for everything once in a while, which is what makes a lost webhook cost delay and nothing
//! else; *evidence*, *anchors*, *drift*, *messages* and *labels* run beside them.
//!
//! Accepted race: a wake that arrives while its work is under way stays in the queue and is worked off once more.

mod beside;
mod labels;
mod messages;
mod page;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{FutureExt, TryFutureExt};
use tokio::sync::{Notify, watch};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, error, info_span, warn};

use crate::clock::Clock;
use crate::domain::model::{CommitId, ConnectionName, Instant, PullNumber};
use crate::domain::pull::PullListed;
use crate::reconcile::{ReconcileError, Reconciler, chain};
use crate::store::{Store, StoreError, Wake};
use beside::Beside;
use work::{Passes, Work};

/// How often the worker looks.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Between two looks at everything that changed.
    pub resync: TimeDelta,
    /// Between two looks at *every* open pull request, changed or not: memberships change without a trace there.
    pub full: TimeDelta,
    /// Between two comparisons of every target system with the ledger.
    pub drift: TimeDelta,
    /// The longest pause between two attempts at a wake.
    pub retry_cap: TimeDelta,
}

/// How often the database is asked whether ended grants wait to be tidied up.
const REVERTS_ASKED: TimeDelta = TimeDelta::seconds(5);

/// The longest pause between two attempts to publish evidence.
const EVIDENCE_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// How long starting and stopping wait for targets, in real time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether the ledger can be written, in real time.
const WATCH: Duration = Duration::from_secs(10);

/// How often in a row it may be found that it cannot.
const UNANSWERED: u32 = 3;

/// How long after a change of a pull request a look at it may have been too early.
const LISTING_DELAY: TimeDelta = TimeDelta::minutes(2);

/// How often in a row the pass of a connection failed, or what follows from passes did.
type Failures = BTreeMap<Option<ConnectionName>, u32>;

/// What an open pull request looked like when it was last judged: if nothing of it changed, a tick leaves it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    head: CommitId,
    updated_at: Instant,
    tip: Option<CommitId>,
    looked_at: Instant,
}

/// Why the worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// A bug, in what everything else relies on.
    #[error("what ends what is due has ended by a bug of this version: see the panic in the log")]
    Bug(#[source] JoinError),
    /// Begin anew.
    #[error("what is written to the ledger goes unanswered, though its database answers others")]
    Unanswered,
}

/// The worker.
#[derive(Debug)]
pub struct Worker {
    reconciler: Reconciler,
    store: Store,
    clock: Arc<dyn Clock>,
    pace: Pace,
    /// Rung by the webhook endpoint after a wake is durable, and by ourselves.
    bell: Arc<Notify>,
    /// Rung when the ledger changed, so that the timer looks at its next instant again.
    ledger_bell: Notify,
    failures: Mutex<Failures>,
    seen: Mutex<HashMap<PullNumber, Seen>>,
    /// When the queue was last worked off: what readiness is judged by.
    last_pass: watch::Sender<Option<Instant>>,
}

impl Worker {
    /// A worker that looks when `bell` rings, when something is due, and at every tick.
    pub fn new(
        reconciler: Reconciler,
        store: Store,
        clock: Arc<dyn Clock>,
        pace: Pace,
        bell: Arc<Notify>,
    ) -> Self {
        Self {
            reconciler,
            store,
            clock,
            pace,
            bell,
            ledger_bell: Notify::new(),
            failures: Mutex::default(),
            seen: Mutex::default(),
            last_pass: watch::Sender::new(None),
        }
    }

    /// Tells when the queue was last worked off.
    pub fn last_pass(&self) -> watch::Receiver<Option<Instant>> {
        self.last_pass.subscribe()
    }

    /// What it works with, for commands that do one thing of it.
    pub fn reconciler(&self) -> &Reconciler {
        &self.reconciler
    }

    /// Runs until `stop`. Overdue removals are done before anything else is looked at.
    ///
    /// # Errors
    /// Where it cannot go on by itself: nothing of it does then, so that whoever runs it begins anew.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), Stopped> {
        match tokio::time::timeout(PATIENCE, self.reconciler.due()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                error!(error = %chain(&error), "cannot look at what is due yet: {}", chain(&error))
            }
            Err(_) => warn!("a target does not answer; what is due there is asked for again"),
        }
        // On a task of its own: whatever the others have to compute, what is due does not wait for that.
        let due = {
            let (worker, stop) = (Arc::clone(&self), stop.clone());
            tokio::spawn(async move { worker.run_due(&stop).await })
        };
        let due = AbortOnDropHandle::new(due).map_err(Stopped::Bug);
        let others = async {
            tokio::join!(
                self.run_wakes(&stop),
                self.run_ticks(&stop),
                self.run_evidence(&stop),
                self.run_anchors(&stop),
                self.run_drift(&stop),
                self.run_messages(&stop),
                self.run_labels(&stop)
            );
            Ok(())
        };
        tokio::try_join!(due, others, self.run_watch(&stop)).map(drop)
    }

    /// Watches whether the ledger can still be written.
    async fn run_watch(&self, stop: &CancellationToken) -> Result<(), Stopped> {
        let mut times = 0;
        while !stop.is_cancelled() {
            times = match self.store.goes_unanswered().await {
                true => times + 1,
                false => 0,
            };
            if times >= UNANSWERED {
                return Err(Stopped::Unanswered);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(WATCH) => {}
            }
        }
        Ok(())
    }

    /// One pass at a time for each connection, so that a target that hangs delays its own ends and nobody else's.
    async fn run_due(&self, stop: &CancellationToken) {
        let (mut passes, mut busy) = (Beside::default(), BTreeSet::new());
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let next = match passes.during(self.due_beside(&busy, now)).await {
                Ok((due, next)) => {
                    for connection in due {
                        busy.insert(connection.clone());
                        passes.push(self.due_on(connection));
                    }
                    next
                }
                Err(error) => {
                    error!(error = %chain(&error), "cannot look at what is due: {}", chain(&error));
                    Some(now + TimeDelta::seconds(1))
                }
            };
            let timer = async {
                match next {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = timer => {}
                () = self.ledger_bell.notified() => {}
                Some(connection) = passes.next() => drop(busy.remove(&connection)),
            }
        }
        // What was begun is finished as far as that goes quickly; the ledger has the rest.
        let finish = async { while passes.next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, finish).await.is_err() {
            warn!("a target did not answer in time; what it was asked is in the ledger");
        }
    }

    /// The connections that have something due and are not `busy`, and when something else becomes due.
    async fn due_beside(
        &self,
        busy: &BTreeSet<ConnectionName>,
        now: Instant,
    ) -> Result<(BTreeSet<ConnectionName>, Option<Instant>), StoreError> {
        let next = self.store.next_due_after(now).await?;
        let due = self.store.due_connections(now).await?;
        Ok((&due - busy, next))
    }

    /// Ends what is due on one connection. What is due even then is not asked for again at once.
    async fn due_on(&self, connection: ConnectionName) -> ConnectionName {
        let span = info_span!("wake", wake.name = "due", provider.connection = %connection);
        async {
            let begun = self.clock.now();
            let done = unharmed(self.reconciler.due_on(&connection)).await;
            if let Err(error) = &done {
                error!(error = %chain(&error), "cannot end what is due on {connection}: {}", chain(&error));
            }
            // What failed waits for its next attempt. What waits for a proof is not ours to do, and must not make us spin.
            let waits = match self.ask_for_the_undone().await {
                Ok(waiting) => waiting.contains(&connection),
                Err(error) => {
                    error!(error = %chain(&error), "cannot look at what is due: {}", chain(&error));
                    true
                }
            };
            // What was due before and is so still cannot be done, such as what cannot be read.
            let is_left = async {
                let left = self.store.due_connections(begun).await;
                left.map_or(true, |left| left.contains(&connection))
            };
            if done.is_ok() && !waits && !is_left.await {
                return;
            }
            let now = self.clock.now();
            let next = self.store.next_due_after(now).await.ok().flatten();
            let soon = now + TimeDelta::seconds(1);
            self.clock
                .sleep_until(next.map_or(soon, |at| at.min(soon)))
                .await;
        }
        .instrument(span)
        .await;
        connection
    }

    /// Asks for a look at the protected branch where something waits for a proof that is due: not ours to do without the forge.
    /// Returns where.
    async fn ask_for_the_undone(&self) -> Result<BTreeSet<ConnectionName>, StoreError> {
        let now = self.clock.now();
        let waiting = self.store.awaiting_proof(now).await?;
        if !waiting.is_empty() {
            self.store.wake_by(&Wake::Main, now).await?;
            self.bell.notify_one();
        }
        Ok(waiting)
    }

    /// Asks for a look at the protected branch when files of ended grants wait to be removed from it, the review of an emergency
    /// has become overdue, or somebody is to be told of an end.
    async fn ask_for_reverts(&self) -> Result<(), ReconcileError> {
        let due = self.reconciler.reverts_are_due().await?
            || self.reconciler.reviews_are_due().await?
            || self.reconciler.notices_are_due().await?;
        if due {
            let now = self.clock.now();
            self.store.wake_unless_queued(&Wake::Main, now).await?;
        }
        Ok(())
    }

    async fn run_wakes(&self, stop: &CancellationToken) {
        let mut work = Work::default();
        let mut reverts_asked = self.clock.now();
        while !stop.is_cancelled() {
            let started = work.start_due(self).await;
            self.last_pass.send_replace(Some(self.clock.now()));
            if let Err(error) = started {
                error!(error = %chain(&error), "cannot read the queue: {}", chain(&error));
            }
            if reverts_asked + REVERTS_ASKED <= self.clock.now() {
                reverts_asked = self.clock.now();
                if let Err(error) = work.during(self.ask_for_reverts()).await {
                    error!(error = %chain(&error), "cannot look for ended grants to tidy up: {}", chain(&error));
                }
            }
            // A deferred wake comes due without a bell.
            let pause = self
                .clock
                .sleep_until(self.clock.now() + TimeDelta::seconds(1));
            let done = tokio::select! {
                () = stop.cancelled() => None,
                () = self.bell.notified() => None,
                () = pause => None,
                done = work.ended() => Some(done),
            };
            if let Some(done) = done
                && let Err(error) = work.take(self, done).await
            {
                error!(error = %chain(&error), "cannot write to the queue: {}", chain(&error));
            }
        }
        // What was begun is finished as far as that goes quickly; a start looks at everything anyway.
        let finish = async { while work.last_ended().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, finish).await.is_err() {
            warn!("something did not answer in time; what it was asked is in the ledger");
        }
    }

    /// Writes evidence once a second: a push costs much the same for one event as for hundreds, and takes its time from what is due.
    /// What the remote refuses is tried less and less often.
    async fn run_evidence(&self, stop: &CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            failures = match self.write_evidence().await {
                true => 0,
                false => failures + 1,
            };
            let pause = self.pause(failures).min(EVIDENCE_PAUSE);
            let pause = self.clock.sleep_until(self.clock.now() + pause);
            tokio::select! {
                () = stop.cancelled() => {}
                () = pause => {}
            }
        }
    }

    /// Says outside where the evidence ends, beside everything else: a place that hangs delays nobody.
    async fn run_anchors(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let due = match unharmed(self.reconciler.anchors()).await {
                Ok(None) => return,
                Ok(Some(next)) => next.max(now + TimeDelta::seconds(1)),
                Err(error) => {
                    warn!(error = %error, "cannot look after anchors: {}", chain(&error));
                    now + self.pace.retry_cap
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.clock.sleep_until(due) => {}
            }
        }
    }

    async fn run_ticks(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let now = self.clock.now();
            if let Err(error) = self.store.wake(&[Wake::All, Wake::Remarks], now).await {
                error!(error = %chain(&error), "cannot ask for a resync: {}", chain(&error));
            }
            if let Err(error) = self.store.note_served(now).await {
                error!(error = %chain(&error), "cannot note that this database is in use: {}", chain(&error));
            }
            if let Err(error) = unharmed(self.reconciler.take_up()).await {
                error!(error = %chain(&error), "cannot look for what was put off for too long: {}", chain(&error));
            }
            self.bell.notify_one();
            self.ledger_bell.notify_one();
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.clock.sleep_until(now + self.pace.resync) => {}
            }
        }
    }

    /// Compares target systems with the ledger, beside everything else: a system that is slow to list delays nobody.
    async fn run_drift(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let due = match self.compare_when_due().await {
                Ok(next) => next.max(now + TimeDelta::seconds(1)),
                Err(error) => {
                    warn!(error = %error, "cannot compare the target systems with the ledger: {}", chain(&error));
                    now + self.pace.retry_cap
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.clock.sleep_until(due) => {}
            }
        }
    }

    /// Looks for drift when that is due, and says when it is again.
    async fn compare_when_due(&self) -> Result<Instant, ReconcileError> {
        let due = self.reconciler.drift_due(self.pace.drift).await?;
        if due > self.clock.now() {
            return Ok(due);
        }
        let compared = unharmed(self.reconciler.drift());
        compared.instrument(info_span!("compare")).await?;
        self.bell.notify_one();
        self.reconciler.drift_due(self.pace.drift).await
    }

    /// Works off the wakes that are due now, as far as there is a place for them, and all that follows from them. Returns how
    /// many; none when nothing is due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn work_off(&self) -> Result<usize, StoreError> {
        let mut work = Work::default();
        let mut count = work.start_due(self).await?;
        while let Some(done) = work.last_ended().await {
            work.take(self, done).await?;
            count += work.start_followers(self);
        }
        Ok(count)
    }

    async fn look_at(&self, wake: &Wake, passes: &mut Passes) -> Result<(), ReconcileError> {
        match wake {
            Wake::Pull(number) => self.reconciler.pull(*number).await,
            Wake::Main => self.main(passes).await.map(drop),
            Wake::All => self.all(passes).await,
            Wake::Deployments(repository) => self.reconciler.deployments(repository).await,
            Wake::Remarks => self.reconciler.remarks().await,
            Wake::Members => {
                self.reconciler.forget_members().await;
                // Nothing of an open pull request shows that somebody came or went.
                self.seen().clear();
                self.all(passes).await
            }
        }
    }

    async fn main(&self, passes: &mut Passes) -> Result<Option<CommitId>, ReconcileError> {
        let outcome = self.reconciler.main().await?;
        *passes = Passes {
            look: outcome.look,
            connections: outcome.connections,
        };
        if outcome.unsettled > 0 {
            return Err(ReconcileError::Unsettled(format!(
                "{} arrivals cannot be weighed yet",
                outcome.unsettled
            )));
        }
        Ok(outcome.tip)
    }

    /// What a resync does: the protected branch, then who owns it, then what waits for the ledger's word, then every open pull request
    /// that changed since it was last judged.
    async fn all(&self, passes: &mut Passes) -> Result<(), ReconcileError> {
        let main = self.main(passes).await;
        // Whatever is in the way of what landed: a first reading that comes late takes whoever joined meanwhile for an old owner.
        let watched = self.reconciler.watch_owners().await;
        let guarded = self.reconciler.guarded().await?;
        self.look_at_deployments(guarded).await?;
        let tip = main.as_ref().ok().cloned().flatten();
        let now = self.clock.now();
        let open = self.reconciler.forge().open_pulls().await?;
        let numbers = open.iter().map(|listed| listed.number).collect();
        self.reconciler.keep_asks(&numbers).await?;
        self.reconciler.keep_waiting(&numbers).await?;
        self.seen()
            .retain(|number, _| open.iter().any(|p| p.number == *number));
        for listed in open {
            if self.is_news(&listed, tip.as_ref(), now) {
                self.store.wake(&[Wake::Pull(listed.number)], now).await?;
                let seen = Seen {
                    head: listed.head,
                    updated_at: listed.updated_at,
                    tip: tip.clone(),
                    looked_at: now,
                };
                self.seen().insert(listed.number, seen);
            }
        }
        main.map(drop).and(watched)
    }

    fn is_news(&self, listed: &PullListed, tip: Option<&CommitId>, now: Instant) -> bool {
        self.seen().get(&listed.number).is_none_or(|seen| {
            seen.head != listed.head
                || seen.updated_at != listed.updated_at
                || seen.tip.as_ref() != tip
                // The forge counts whole seconds and lists with some delay: what changed just before a look may come after it.
                || listed.updated_at + LISTING_DELAY >= seen.looked_at
                || seen.looked_at + self.pace.full <= now
        })
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<PullNumber, Seen>> {
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Publishes what is in the outbox. Whether that went well; if not, it is told here.
    async fn write_evidence(&self) -> bool {
        let written = unharmed(self.reconciler.evidence()).await;
        if let Err(error) = &written {
            warn!(error = %error, "evidence waits in the outbox: {}", chain(error));
        }
        written.is_ok()
    }

    /// Publishes what is in the outbox, as far as that goes quickly.
    pub async fn publish_quickly(&self) {
        if tokio::time::timeout(PATIENCE, self.write_evidence())
            .await
            .is_err()
        {
            warn!("the evidence could not be published in time; it waits in the outbox");
        }
    }

    /// Writes the anchors that are due, and the evidence of that.
    async fn anchor_once(&self) {
        match self.reconciler.anchors().await {
            Ok(None) => {}
            Ok(Some(_)) => {
                self.write_evidence().await;
            }
            Err(error) => {
                warn!(error = %error, "cannot look after anchors: {}", chain(&error));
            }
        }
    }

    /// Ends what is due everywhere.
    async fn due_pass(&self) -> Result<(), ReconcileError> {
        let taken_up = self.reconciler.take_up().await;
        let ended = self.reconciler.due().await;
        self.ask_for_the_undone().await?;
        ended.and(taken_up)
    }

    /// Works until nothing is due any more: what `--once` and the tests run instead of [`Worker::run`]. With `resync`, looks at
    /// everything first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_once(&self, resync: Resync) -> Result<(), ReconcileError> {
        if resync == Resync::Everything {
            let everything = [Wake::All, Wake::Remarks];
            self.store.wake(&everything, self.clock.now()).await?;
        }
        self.due_pass().await?;
        self.ask_for_reverts().await?;
        while self.work_off().await? > 0 {
            self.due_pass().await?;
        }
        if resync == Resync::Everything {
            // Evidence of it is written below.
            self.compare_when_due().await?;
        }
        self.write_evidence().await;
        if resync == Resync::Everything {
            self.anchor_once().await;
        }
        self.tell_quickly().await;
        self.label().await;
        Ok(())
    }
}

/// Whether a single run looks at everything, or only at what it was woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resync {
    /// Look at everything first.
    Everything,
    /// Work off the queue and what is due.
    QueueOnly,
}

/// A bug that one pull request or one target brings to light must not stop the others, and least of all the ends that are due:
/// it is tried again like any failure. What panicked stands in the log, and the ledger says how far it came.
async fn unharmed<T>(
    work: impl Future<Output = Result<T, ReconcileError>>,
) -> Result<T, ReconcileError> {
    let caught = std::panic::AssertUnwindSafe(work).catch_unwind().await;
    caught.unwrap_or_else(|_| {
        let what = "this version of Hallpass has a bug here: see the panic in the log";
        error!("{what}");
        Err(ReconcileError::Unsettled(what.to_owned()))
    })
}
