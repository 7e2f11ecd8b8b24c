//! A crash between any two steps that touch the world.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hallpass::reconcile::Vouched;
use hallpass::worker::Resync;

use super::World;

impl World {
    /// Lets the service work off its queue until the `at`-th wait and crashes it there, starts it again, and lets it look at
    /// everything. Whether it had finished before that wait.
    pub async fn crashed_at(&mut self, at: usize) -> bool {
        let worker = Arc::clone(self.service().worker());
        let ended = CrashAt::wait(at, worker.run_once(Resync::QueueOnly)).await;
        drop(worker);
        let finished = matches!(ended, Ended::Finished(_));
        if !finished {
            self.start().await;
        }
        self.resync().await;
        finished
    }
}

impl World {
    /// [`World::crashed_at`], while anchors are written.
    pub async fn crashed_while_anchoring(&mut self, at: usize) -> bool {
        let worker = Arc::clone(self.service().worker());
        let ended = CrashAt::wait(at, worker.reconciler().anchors()).await;
        drop(worker);
        let finished = matches!(ended, Ended::Finished(_));
        self.start().await;
        finished
    }
}

impl World {
    /// [`World::crashed_at`], where the database is lost with the crash, and put together again.
    pub async fn lost_at(&mut self, at: usize) -> bool {
        let worker = Arc::clone(self.service().worker());
        let ended = CrashAt::wait(at, worker.run_once(Resync::QueueOnly)).await;
        drop(worker);
        let finished = matches!(ended, Ended::Finished(_));
        if !finished {
            self.lose_database().await;
            self.recover(&Vouched::default()).await;
        }
        self.resync().await;
        finished
    }
}

impl World {
    /// No event stands twice in the evidence.
    pub fn assert_each_event_once(&self) {
        let evidence = self.evidence();
        let keys = evidence.iter().flat_map(|m| m.lines());
        let keys: Vec<&str> = keys.filter(|l| l.starts_with("Event-Key:")).collect();
        let once: BTreeSet<&&str> = keys.iter().collect();
        assert_eq!(once.len(), keys.len(), "an event stands twice");
    }
}

impl World {
    /// [`World::crashed_at`], where the database is copied as the crash leaves it.
    pub async fn copied_at(&mut self, at: usize) -> (bool, tempfile::TempDir) {
        let worker = Arc::clone(self.service().worker());
        let ended = CrashAt::wait(at, worker.run_once(Resync::QueueOnly)).await;
        drop(worker);
        let copy = self.back_up().await;
        self.resync().await;
        (matches!(ended, Ended::Finished(_)), copy)
    }
}

/// Runs `inner` until its `at`-th wait and kills it there; `None` where it did not get to its end.
pub async fn killed_at<F: Future>(at: usize, inner: F) -> Option<F::Output> {
    match CrashAt::wait(at, inner).await {
        Ended::Finished(output) => Some(output),
        Ended::Crashed => None,
    }
}

/// Plays `life` anew with a crash at its first wait, at its second, ... until it tells that it finished before the crash. Every wait at
/// first, where ledger and target are touched; then in steps that grow by one for each `slowly` waits, as each world takes its time.
/// A run of all tests takes steps that grow thrice as fast; `tests/run --long` takes all of these.
pub async fn at_every_wait(slowly: usize, mut life: impl AsyncFnMut(usize) -> bool) {
    let slowly = match crate::is_long() {
        true => slowly,
        false => (slowly / 3).max(slowly.min(2)),
    };
    let (mut at, mut crashes) = (0, 0);
    while !life(at).await {
        crashes += 1;
        at += 1 + at / slowly;
    }
    assert!(crashes > 3, "{crashes} crashes");
}

/// Runs a future until its `left`-th wait, then drops it there: a crash between any two steps that touch the world.
struct CrashAt<F> {
    inner: Pin<Box<F>>,
    left: usize,
}

impl<F: Future> CrashAt<F> {
    fn wait(left: usize, inner: F) -> Self {
        Self {
            inner: Box::pin(inner),
            left,
        }
    }
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended<T> {
    Finished(T),
    Crashed,
}

impl<F: Future> Future for CrashAt<F> {
    type Output = Ended<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.inner.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Ended::Finished(value)),
            Poll::Pending if self.left == 0 => Poll::Ready(Ended::Crashed),
            Poll::Pending => {
                self.left -= 1;
                Poll::Pending
            }
        }
    }
}
