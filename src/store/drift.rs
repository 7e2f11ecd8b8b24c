//! How target systems differ from the ledger, as last seen.

use sqlx::any::AnyRow;
use sqlx::{AnyPool, AssertSqlSafe, Row};

use super::fault::{instant, text};
use super::{Store, StoreError, Writer, outbox};
use crate::domain::drift::{Changes, Drift, Known};
use crate::domain::evidence::Event;
use crate::domain::model::{ConnectionName, Instant};

impl Store {
    /// How target systems differ from the ledger, as last seen: all of them, or one connection. Oldest first.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn drift(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<Known>, StoreError> {
        known(&self.inner.readers, connection).await
    }

    /// Notes what is new and forgets what is over, with its events, in one transaction.
    ///
    /// # Errors
    /// When the database fails: nothing is written then.
    pub async fn change_drift(
        &self,
        changes: &Changes,
        at: Instant,
        events: &[Event],
    ) -> Result<(), StoreError> {
        change(&self.inner.writer, changes, at, events).await
    }
}

async fn known(
    readers: &AnyPool,
    connection: Option<&ConnectionName>,
) -> Result<Vec<Known>, StoreError> {
    let rows = sqlx::query(
        "SELECT key, first_seen, found FROM drift WHERE $1 = '' OR connection = $1 ORDER BY first_seen, key",
    )
    .bind(connection.map_or("", ConnectionName::as_str).to_owned())
    .fetch_all(readers)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<Known, StoreError> {
    let (key, first_seen): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let what = format!("the drift {key:?}");
    let found: String = row.try_get(2)?;
    let drift: Drift = serde_json::from_str(&found)
        .map_err(|e| StoreError::broken(format!("{what} cannot be read: {e}")))?;
    let first_seen = instant(&what, &first_seen)?;
    Ok(Known { drift, first_seen })
}

/// The differences that were seen first.
pub(super) async fn first(readers: &AnyPool, most: u32) -> Result<Vec<Known>, StoreError> {
    let sql =
        format!("SELECT key, first_seen, found FROM drift ORDER BY first_seen, key LIMIT {most}");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(readers).await?;
    rows.iter().map(read).collect()
}

async fn change(
    writer: &Writer,
    changes: &Changes,
    at: Instant,
    events: &[Event],
) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    for over in &changes.over {
        sqlx::query("DELETE FROM drift WHERE key = $1")
            .bind(over.drift.key())
            .execute(&mut *tx)
            .await?;
    }
    for new in &changes.new {
        let found = serde_json::to_string(new)
            .map_err(|e| StoreError::broken(format!("a drift cannot be written: {e}")))?;
        sqlx::query(
            "INSERT INTO drift (key, connection, first_seen, found) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING",
        )
        .bind(new.key())
        .bind(new.connection.as_str())
        .bind(text(at))
        .bind(found)
        .execute(&mut *tx)
        .await?;
    }
    outbox::append(&mut tx, events).await?;
    Ok(tx.commit().await?)
}
