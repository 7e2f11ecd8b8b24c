//! Events on their way to the evidence branch.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, AssertSqlSafe, Row, Transaction};

use super::fault::{instant, natural, number, text};
use super::ledger::CHUNK;
use super::{StoreError, Writer};
use crate::domain::evidence::{Event, Kind, canonical};
use crate::domain::model::{CommitId, GrantPath, PullNumber};

/// Appends events whose key is new, in order.
pub(super) async fn append(
    tx: &mut Transaction<'_, Any>,
    events: &[Event],
) -> Result<(), StoreError> {
    for event in events {
        // Writers take turns, so the next number cannot be taken meanwhile.
        sqlx::query(
            "INSERT INTO outbox (sequence, key, kind, at, message, record, published, path, pull) \
             VALUES ((SELECT COALESCE(MAX(sequence), 0) + 1 FROM outbox), $1, $2, $3, $4, $5, 0, $6, $7) ON CONFLICT (key) DO NOTHING",
        )
        .bind(event.key.as_str())
        .bind(event.kind.as_str())
        .bind(text(event.at))
        .bind(event.message.as_str())
        .bind(canonical(&Value::Object(event.record.clone())))
        .bind(event.record.get("path").and_then(Value::as_str))
        .bind(event.record.get("pull").and_then(Value::as_i64))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

pub(super) async fn unpublished(
    readers: &AnyPool,
    limit: u32,
) -> Result<Vec<(u64, Event)>, StoreError> {
    let rows = sqlx::query(
        "SELECT sequence, key, kind, at, message, record FROM outbox WHERE published = 0 ORDER BY sequence LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?;
    rows.iter().map(read).collect()
}

/// Events behind `sequence`, published or not.
pub(super) async fn after(
    readers: &AnyPool,
    sequence: u64,
    limit: u32,
) -> Result<Vec<(u64, Event)>, StoreError> {
    let rows = sqlx::query(
        "SELECT sequence, key, kind, at, message, record FROM outbox WHERE sequence > $1 ORDER BY sequence LIMIT $2",
    )
    .bind(number("sequence", sequence)?)
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?;
    rows.iter().map(read).collect()
}

/// The sequence of the newest event; 0 where there is none.
pub(super) async fn last(readers: &AnyPool) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT COALESCE(MAX(sequence), 0) FROM outbox")
        .fetch_one(readers)
        .await?;
    natural("the newest event", row.try_get(0)?)
}

fn read(row: &AnyRow) -> Result<(u64, Event), StoreError> {
    let (sequence, key): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    let what = format!("event {key}");
    let (word, at): (String, String) = (row.try_get(2)?, row.try_get(3)?);
    let kind = Kind::parse(&word)
        .ok_or_else(|| StoreError::broken(format!("{what} is of the unknown kind {word:?}")))?;
    let at = instant(&what, &at)?;
    let record: String = row.try_get(5)?;
    let record = serde_json::from_str(&record)
        .map_err(|e| StoreError::broken(format!("{what} holds no record: {e}")))?;
    Ok((
        natural(&what, sequence)?,
        Event {
            key,
            kind,
            at,
            message: row.try_get(4)?,
            record,
        },
    ))
}

pub(super) async fn known(
    readers: &AnyPool,
    keys: &[String],
) -> Result<BTreeSet<String>, StoreError> {
    let mut found = BTreeSet::new();
    for chunk in keys.chunks(CHUNK) {
        let places: Vec<String> = (1..=chunk.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT key FROM outbox WHERE key IN ({})",
            places.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for key in chunk {
            query = query.bind(key);
        }
        for row in query.fetch_all(readers).await? {
            found.insert(row.try_get(0)?);
        }
    }
    Ok(found)
}

/// The first lines of these events, by key, of those that are known.
pub(super) async fn sentences(
    readers: &AnyPool,
    keys: &[String],
) -> Result<BTreeMap<String, String>, StoreError> {
    let mut found = BTreeMap::new();
    for key in keys {
        let row = sqlx::query("SELECT message FROM outbox WHERE key = $1")
            .bind(key)
            .fetch_optional(readers)
            .await?;
        if let Some(row) = row {
            let message: String = row.try_get(0)?;
            let sentence = message.lines().next().unwrap_or_default();
            found.insert(key.clone(), sentence.to_owned());
        }
    }
    Ok(found)
}

/// What was written down of the file at a path and the pull request that brought it there, oldest first.
pub(super) async fn told_of(
    readers: &AnyPool,
    (path, pull): (&GrantPath, Option<PullNumber>),
    most: u32,
) -> Result<Vec<(Event, Option<CommitId>)>, StoreError> {
    let sql = format!(
        "SELECT sequence, key, kind, at, message, record, evidence FROM outbox WHERE path = $1 AND (pull IS NULL OR pull = $2) \
         ORDER BY sequence LIMIT {most}"
    );
    let pull = pull.map_or(Ok(-1), |pull| number("pull request", pull.0))?;
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(path.as_str())
        .bind(pull)
        .fetch_all(readers)
        .await?;
    let one = |row: &AnyRow| {
        let commit: Option<String> = row.try_get(6)?;
        let (_, event) = read(row)?;
        // What is no commit was never linked to: the event itself is what matters.
        Ok((event, commit.and_then(|commit| CommitId::new(commit).ok())))
    };
    rows.iter().map(one).collect()
}

pub(super) async fn published(
    writer: &Writer,
    events: &[(u64, CommitId)],
) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    for (sequence, commit) in events {
        sqlx::query("UPDATE outbox SET published = 1, evidence = $2 WHERE sequence = $1")
            .bind(number("sequence", *sequence)?)
            .bind(commit.as_str())
            .execute(&mut *tx)
            .await?;
    }
    Ok(tx.commit().await?)
}
