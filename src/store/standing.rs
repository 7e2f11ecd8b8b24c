//! What goes on for a while and is told again until it is over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row};

use super::fault::{instant, natural, text};
use super::ledger::select;
use super::messages::{Addressed, message, queue, written};
use super::{Store, StoreError, Writer};
use crate::domain::ledger::Entry;
use crate::domain::message::Message;
use crate::domain::model::Instant;

/// One thing that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Names it: the key of its messages.
    pub key: String,
    /// Whether it still goes on.
    pub open: bool,
    /// How often it was told.
    pub told: u32,
    /// When it is told next; `None`: not again.
    pub next_at: Option<Instant>,
    /// What is told.
    pub message: Message,
}

impl Store {
    /// What goes on, or went on, under names that begin with `prefix`.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn standing(&self, prefix: &str) -> Result<BTreeMap<String, Standing>, StoreError> {
        // A prefix is text of the program: it holds neither `%` nor `_`.
        read(&self.inner.readers, "key LIKE $1", format!("{prefix}%")).await
    }

    /// What goes on and is to be told at `now`.
    ///
    /// # Errors
    /// As [`Store::standing`].
    pub async fn standing_to_tell(
        &self,
        now: Instant,
    ) -> Result<BTreeMap<String, Standing>, StoreError> {
        let filter = "open = 1 AND next_at <= $1";
        read(&self.inner.readers, filter, text(now)).await
    }

    /// Writes what goes on, and queues what is told of it, in one transaction.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn keep_standing(
        &self,
        standing: &[Standing],
        messages: &[Addressed],
        now: Instant,
    ) -> Result<(), StoreError> {
        if standing.is_empty() && messages.is_empty() {
            return Ok(());
        }
        keep(&self.inner.writer, standing, messages, now).await
    }

    /// Entries that may be held though their end was by `before`, and those that are being taken away, at most `most`: those whose
    /// term ended first.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn overdue(&self, before: Instant, most: u32) -> Result<Vec<Entry>, StoreError> {
        let filter = format!(
            "live = 1 AND (state = 'revoking' OR (ends_at <= $1 AND state IN ('granting', 'active'))) ORDER BY ends_at LIMIT {most}"
        );
        select(&self.inner.readers, &filter, vec![text(before)]).await
    }
}

async fn read(
    readers: &AnyPool,
    filter: &'static str,
    value: String,
) -> Result<BTreeMap<String, Standing>, StoreError> {
    let sql = format!("SELECT key, open, told, next_at, message FROM standing WHERE {filter}");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(value)
        .fetch_all(readers)
        .await?;
    let rows = rows.iter().map(one);
    rows.map(|row| row.map(|standing| (standing.key.clone(), standing)))
        .collect()
}

fn one(row: &AnyRow) -> Result<Standing, StoreError> {
    let key: String = row.try_get(0)?;
    let what = format!("what goes on as {key:?}");
    let open: i64 = row.try_get(1)?;
    let next_at: Option<String> = row.try_get(3)?;
    let json: String = row.try_get(4)?;
    Ok(Standing {
        open: open == 1,
        told: u32::try_from(natural(&what, row.try_get(2)?)?).unwrap_or(u32::MAX),
        next_at: next_at.map(|at| instant(&what, &at)).transpose()?,
        message: message(&what, &json)?,
        key,
    })
}

async fn keep(
    writer: &Writer,
    standing: &[Standing],
    messages: &[Addressed],
    now: Instant,
) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    for one in standing {
        sqlx::query(
            "INSERT INTO standing (key, open, told, next_at, seen_at, message) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (key) DO UPDATE SET open = excluded.open, told = excluded.told, next_at = excluded.next_at, \
             seen_at = excluded.seen_at, message = excluded.message",
        )
        .bind(one.key.as_str())
        .bind(i64::from(one.open))
        .bind(i64::from(one.told))
        .bind(one.next_at.map(text))
        .bind(text(now))
        .bind(written(&one.message)?)
        .execute(&mut *tx)
        .await?;
    }
    queue(&mut tx, messages, now).await?;
    Ok(tx.commit().await?)
}
