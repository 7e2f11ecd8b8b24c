//! What is known of the places at which anchors of the evidence are kept.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row};

use super::fault::{natural, number};
use super::{Store, StoreError, Writer, outbox};
use crate::domain::anchor::Memory;
use crate::domain::evidence::Event;

/// What is known of one place, and which version of it was read; 0 where nothing is known yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The version.
    pub version: u64,
    /// What is known.
    pub memory: Memory,
}

impl Store {
    /// What is known of each place.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn places(&self) -> Result<BTreeMap<String, Remembered>, StoreError> {
        all(&self.inner.readers).await
    }

    /// Notes what is known of `place` from now on, with its events, in one transaction. Returns what stands there then, or `None` where
    /// somebody else wrote since it was read: nothing is written then.
    ///
    /// # Errors
    /// When the database fails: nothing is written then.
    pub async fn remember_place(
        &self,
        place: &str,
        read: &Remembered,
        memory: Memory,
        events: &[Event],
    ) -> Result<Option<Remembered>, StoreError> {
        let next = Remembered {
            version: read.version + 1,
            memory,
        };
        let written = remember(&self.inner.writer, place, &next, events).await?;
        Ok(written.then_some(next))
    }
}

async fn all(readers: &AnyPool) -> Result<BTreeMap<String, Remembered>, StoreError> {
    let rows = sqlx::query("SELECT place, version, memory FROM anchors")
        .fetch_all(readers)
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<(String, Remembered), StoreError> {
    let (place, memory): (String, String) = (row.try_get(0)?, row.try_get(2)?);
    let what = format!("what is known of the place {place:?}");
    let version = natural(&what, row.try_get(1)?)?;
    let memory = serde_json::from_str(&memory)
        .map_err(|error| StoreError::broken(format!("{what} cannot be read: {error}")))?;
    Ok((place, Remembered { version, memory }))
}

async fn remember(
    writer: &Writer,
    place: &str,
    next: &Remembered,
    events: &[Event],
) -> Result<bool, StoreError> {
    let memory = serde_json::to_string(&next.memory)
        .map_err(|error| StoreError::broken(format!("a place cannot be written: {error}")))?;
    let mut tx = writer.begin().await?;
    let sql = match next.version {
        1 => {
            "INSERT INTO anchors (place, version, memory) VALUES ($1, $2, $3) ON CONFLICT (place) DO NOTHING"
        }
        _ => "UPDATE anchors SET version = $2, memory = $3 WHERE place = $1 AND version = $2 - 1",
    };
    let done = sqlx::query(sql)
        .bind(place)
        .bind(number("version", next.version)?)
        .bind(memory)
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    outbox::append(&mut tx, events).await?;
    tx.commit().await?;
    Ok(true)
}
