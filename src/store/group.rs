//! Callers that come at the same time share one transaction, because making it durable is what costs.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{StoreError, Writer};

/// How many callers may wait. More than that wait for a place.
const WAITING: usize = 4096;

/// How many callers share one transaction at most.
const TOGETHER: usize = 1024;

/// What one caller wants written.
pub(super) trait Share: Send + Sync + Sized + 'static {
    /// Writes for all callers in one transaction. An answer for each of them, in order; or one error for all.
    fn write(
        writer: &Writer,
        calls: &[Self],
    ) -> impl Future<Output = Result<Vec<Result<(), StoreError>>, StoreError>> + Send;
}

type Done = oneshot::Sender<Result<(), StoreError>>;

/// The task that writes, and the way to it. It ends, after its last write, when this is dropped or stopped.
#[derive(Debug)]
pub(super) struct Group<S> {
    calls: Mutex<Option<mpsc::Sender<(S, Done)>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<S: Share> Group<S> {
    pub(super) fn start(writer: Writer) -> Self {
        let (calls, received) = mpsc::channel(WAITING);
        let task = tokio::spawn(run(writer, received));
        Self {
            calls: Mutex::new(Some(calls)),
            task: Mutex::new(Some(task)),
        }
    }

    /// Once this was polled to its first wait, it is written even if the caller goes away.
    pub(super) async fn write(&self, call: S) -> Result<(), StoreError> {
        let stopped = || StoreError::Unavailable(sqlx::Error::PoolClosed);
        let calls = self
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(stopped)?;
        let (done, result) = oneshot::channel();
        calls.send((call, done)).await.map_err(|_| stopped())?;
        drop(calls);
        result.await.map_err(|_| stopped())?
    }

    /// Refuses further calls and waits until those that were accepted are written.
    pub(super) async fn stop(&self) {
        drop(
            self.calls
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a writer of the database ended badly"
            );
        }
    }
}

async fn run<S: Share>(writer: Writer, mut received: mpsc::Receiver<(S, Done)>) {
    let mut calls = Vec::with_capacity(TOGETHER);
    while received.recv_many(&mut calls, TOGETHER).await > 0 {
        let (shares, callers): (Vec<S>, Vec<Done>) = calls.drain(..).unzip();
        match S::write(&writer, &shares).await {
            Ok(answers) => {
                for (caller, answer) in callers.into_iter().zip(answers) {
                    // A caller that went away does not want the answer.
                    let _ = caller.send(answer);
                }
            }
            Err(error) => {
                for caller in callers {
                    let _ = caller.send(Err(error.echo()));
                }
            }
        }
    }
}
