//! The queue of things to look at. Callers that come at the same time share one transaction, because making it durable is
//! what costs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::fault::{instant, natural, number, text};
use super::{StoreError, TakenWake, Wake, Writer};
use crate::domain::model::{Instant, PullNumber};

/// How many callers may wait. More than that wait for a place.
const WAITING: usize = 4096;

/// How many callers share one transaction at most.
const TOGETHER: usize = 1024;

/// One caller's wakes.
#[derive(Debug)]
struct Call {
    wakes: Vec<Wake>,
    now: Instant,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// The task that writes wakes, and the way to it. It ends, after its last write, when this is dropped or stopped.
#[derive(Debug)]
pub(super) struct Group {
    calls: Mutex<Option<mpsc::Sender<Call>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Group {
    pub(super) fn start(writer: Writer) -> Self {
        let (calls, received) = mpsc::channel(WAITING);
        let task = tokio::spawn(run(writer, received));
        Self {
            calls: Mutex::new(Some(calls)),
            task: Mutex::new(Some(task)),
        }
    }

    pub(super) async fn write(&self, wakes: &[Wake], now: Instant) -> Result<(), StoreError> {
        let stopped = || StoreError::Unavailable(sqlx::Error::PoolClosed);
        let calls = self
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(stopped)?;
        let (done, result) = oneshot::channel();
        let call = Call {
            wakes: wakes.to_vec(),
            now,
            done,
        };
        calls.send(call).await.map_err(|_| stopped())?;
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
                "the writer of wakes ended badly"
            );
        }
    }
}

async fn run(writer: Writer, mut received: mpsc::Receiver<Call>) {
    let mut calls = Vec::with_capacity(TOGETHER);
    while received.recv_many(&mut calls, TOGETHER).await > 0 {
        let result = write(&writer, &calls).await;
        for call in calls.drain(..) {
            let answer = result.as_ref().map_err(StoreError::echo).copied();
            // A caller that went away does not want the answer.
            let _ = call.done.send(answer);
        }
    }
}

async fn write(writer: &Writer, calls: &[Call]) -> Result<(), StoreError> {
    // One row a name, at its earliest; sorted, so that two writers never wait for each other crosswise.
    let mut rows: BTreeMap<String, Instant> = BTreeMap::new();
    for call in calls {
        for wake in &call.wakes {
            let at = rows.entry(name(wake)).or_insert(call.now);
            *at = call.now.min(*at);
        }
    }
    let mut tx = writer.begin().await?;
    for (name, now) in rows {
        sqlx::query(
            "INSERT INTO wake (name, token, attempts, due_at, enqueued_at) VALUES ($1, $2, 0, $3, $3) \
             ON CONFLICT (name) DO UPDATE SET token = excluded.token, due_at = excluded.due_at",
        )
        .bind(name)
        // Random rather than counted: a row that was removed and came back must not meet a token from before.
        .bind(rand::random_range(0..i64::MAX))
        .bind(text(now))
        .execute(&mut *tx)
        .await?;
    }
    Ok(tx.commit().await?)
}

pub(super) async fn due(readers: &AnyPool, now: Instant) -> Result<Vec<TakenWake>, StoreError> {
    let rows = sqlx::query(
        "SELECT name, token, attempts FROM wake WHERE due_at <= $1 ORDER BY enqueued_at, name",
    )
    .bind(text(now))
    .fetch_all(readers)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<TakenWake, StoreError> {
    let text: String = row.try_get(0)?;
    let wake = parse(&text)
        .ok_or_else(|| StoreError::broken(format!("the queue holds the unknown wake {text:?}")))?;
    let attempts = natural(&text, row.try_get(2)?)?;
    Ok(TakenWake {
        wake,
        token: natural(&text, row.try_get(1)?)?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    })
}

pub(super) async fn next_due(readers: &AnyPool) -> Result<Option<Instant>, StoreError> {
    let row = sqlx::query("SELECT due_at FROM wake ORDER BY due_at LIMIT 1")
        .fetch_optional(readers)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let at: String = row.try_get(0)?;
    instant("the queue", &at).map(Some)
}

pub(super) async fn finish(writer: &Writer, taken: &TakenWake) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    sqlx::query("DELETE FROM wake WHERE name = $1 AND token = $2")
        .bind(name(&taken.wake))
        .bind(number("token", taken.token)?)
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn defer(
    writer: &Writer,
    taken: &TakenWake,
    until: Instant,
) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    sqlx::query(
        "UPDATE wake SET attempts = attempts + 1, due_at = $3 WHERE name = $1 AND token = $2",
    )
    .bind(name(&taken.wake))
    .bind(number("token", taken.token)?)
    .bind(text(until))
    .execute(&mut *tx)
    .await?;
    Ok(tx.commit().await?)
}

/// The token changes, so that a look which is under way does not take it off the queue.
pub(super) async fn wake_by(writer: &Writer, wake: &Wake, at: Instant) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    sqlx::query(
        "INSERT INTO wake (name, token, attempts, due_at, enqueued_at) VALUES ($1, $2, 0, $3, $3) \
         ON CONFLICT (name) DO UPDATE SET token = excluded.token, \
         due_at = CASE WHEN wake.due_at < excluded.due_at THEN wake.due_at ELSE excluded.due_at END",
    )
    .bind(name(wake))
    .bind(rand::random_range(0..i64::MAX))
    .bind(text(at))
    .execute(&mut *tx)
    .await?;
    Ok(tx.commit().await?)
}

fn name(wake: &Wake) -> String {
    match wake {
        Wake::Pull(number) => format!("pull/{number}"),
        Wake::Main => "main".to_owned(),
        Wake::All => "all".to_owned(),
        Wake::Members => "members".to_owned(),
    }
}

fn parse(name: &str) -> Option<Wake> {
    match name {
        "main" => Some(Wake::Main),
        "all" => Some(Wake::All),
        "members" => Some(Wake::Members),
        pull => pull
            .strip_prefix("pull/")?
            .parse()
            .ok()
            .map(|n| Wake::Pull(PullNumber(n))),
    }
}
