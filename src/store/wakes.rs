//! The queue of things to look at.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, AssertSqlSafe, Row, Transaction};

use super::fault::{instant, left_out, natural, number, text};
use super::group::Share;
use super::{StoreError, TakenWake, Wake, Writer};
use crate::domain::model::{Instant, PullNumber, RepoName};

/// One caller's wakes.
#[derive(Debug)]
pub(super) struct Asked {
    pub wakes: Vec<Wake>,
    pub now: Instant,
}

impl Share for Asked {
    async fn write(
        writer: &Writer,
        calls: &[Self],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        write(writer, calls).await?;
        Ok(calls.iter().map(|_| Ok(())).collect())
    }
}

async fn write(writer: &Writer, calls: &[Asked]) -> Result<(), StoreError> {
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
        let hurry = "UPDATE SET token = excluded.token, due_at = excluded.due_at";
        queue(&mut tx, &name, now, hurry).await?;
    }
    Ok(tx.commit().await?)
}

/// Queues a wake; what is done where it is queued already says `again`, which is text of this module.
async fn queue(
    tx: &mut Transaction<'_, Any>,
    name: &str,
    at: Instant,
    again: &str,
) -> Result<(), StoreError> {
    sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO wake (name, token, attempts, due_at, enqueued_at) VALUES ($1, $2, 0, $3, $3) \
         ON CONFLICT (name) DO {again}"
    )))
    .bind(name)
    // Random rather than counted: a row that was removed and came back must not meet a token from before.
    .bind(rand::random_range(0..i64::MAX))
    .bind(text(at))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn due(readers: &AnyPool, now: Instant) -> Result<Vec<TakenWake>, StoreError> {
    let rows = sqlx::query(
        "SELECT name, token, attempts, enqueued_at FROM wake WHERE due_at <= $1 ORDER BY enqueued_at, name",
    )
    .bind(text(now))
    .fetch_all(readers)
    .await?;
    // What a newer version asked to look at keeps nothing else from being looked at.
    let known = |row| read(row).inspect_err(left_out).ok();
    Ok(rows.iter().filter_map(known).collect())
}

fn read(row: &AnyRow) -> Result<TakenWake, StoreError> {
    let text: String = row.try_get(0)?;
    let wake = parse(&text)
        .ok_or_else(|| StoreError::broken(format!("the queue holds the unknown wake {text:?}")))?;
    let attempts = natural(&text, row.try_get(2)?)?;
    let asked_at: String = row.try_get(3)?;
    Ok(TakenWake {
        wake,
        token: natural(&text, row.try_get(1)?)?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        asked_at: instant("the queue", &asked_at)?,
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

/// What is put off stays so: whoever only wonders whether there is something to do does not hurry what just failed.
pub(super) async fn wake_unless_queued(
    writer: &Writer,
    wake: &Wake,
    now: Instant,
) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    queue(&mut tx, &name(wake), now, "NOTHING").await?;
    Ok(tx.commit().await?)
}

/// The token changes, so that a look which is under way does not take it off the queue.
pub(super) async fn wake_by(writer: &Writer, wake: &Wake, at: Instant) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    let earlier = "UPDATE SET token = excluded.token, \
         due_at = CASE WHEN wake.due_at < excluded.due_at THEN wake.due_at ELSE excluded.due_at END";
    queue(&mut tx, &name(wake), at, earlier).await?;
    Ok(tx.commit().await?)
}

fn name(wake: &Wake) -> String {
    match wake {
        Wake::Pull(number) => format!("pull/{number}"),
        Wake::Main => "main".to_owned(),
        Wake::All => "all".to_owned(),
        // GitHub tells repositories not by the case of letters: one name, one look.
        Wake::Deployments(repository) => format!("deployments/{repository}").to_ascii_lowercase(),
        Wake::Members => "members".to_owned(),
        Wake::Remarks => "remarks".to_owned(),
    }
}

fn parse(name: &str) -> Option<Wake> {
    match name {
        "main" => Some(Wake::Main),
        "all" => Some(Wake::All),
        "members" => Some(Wake::Members),
        "remarks" => Some(Wake::Remarks),
        other => match other.strip_prefix("deployments/") {
            Some(repository) => {
                let repository = RepoName::try_from(repository.to_owned());
                repository.ok().map(Wake::Deployments)
            }
            None => {
                let number = other.strip_prefix("pull/")?.parse();
                number.ok().map(|n| Wake::Pull(PullNumber(n)))
            }
        },
    }
}
