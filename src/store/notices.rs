//! Who is to be told that their access ends soon, and who was.
//!
//! The two columns belong to this file alone: an entry is written without them, so telling somebody never comes between two
//! writers of the entry.

use sqlx::{Any, AnyPool, Transaction};

use super::fault::{number, text};
use super::ledger::select;
use super::messages::{Addressed, queue};
use super::{Store, StoreError};
use crate::domain::ledger::Entry;
use crate::domain::model::{GrantId, Instant, PullNumber};

/// Active grants whose holders were not told, as the partial index has them.
const OPEN: &str = "live = 1 AND noticed = 0 AND state = 'active'";

/// What becomes of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The holder is to be told at this instant.
    At(Instant),
    /// The holder was told, or is not to be.
    Done,
}

impl Store {
    /// Active grants of which it is not settled yet whether and when their holders are told of the end; at most `most`, by id.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn unplanned_notices(&self, most: u32) -> Result<Vec<Entry>, StoreError> {
        unplanned(&self.inner.readers, most).await
    }

    /// Active grants whose holders are to be told of the end at `now`: the `most` that waited longest, by id.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn due_notices(&self, now: Instant, most: u32) -> Result<Vec<Entry>, StoreError> {
        due(&self.inner.readers, now, most).await
    }

    /// Whether there are any.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn notices_are_due(&self, now: Instant) -> Result<bool, StoreError> {
        are_due(&self.inner.readers, now).await
    }

    /// Live entries that one pull request brought, by id.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn live_of_pull(&self, pull: PullNumber) -> Result<Vec<Entry>, StoreError> {
        live_of(&self.inner.readers, pull).await
    }

    /// Settles what becomes of these notices.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn set_notices(&self, notices: &[(GrantId, Notice)]) -> Result<(), StoreError> {
        // Without messages nothing is queued, at whatever time.
        self.set_notices_and_tell(notices, &[], Instant::UNIX_EPOCH)
            .await
    }

    /// [`Store::set_notices`], and queues what people are told of it beside GitHub, in the same transaction.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn set_notices_and_tell(
        &self,
        notices: &[(GrantId, Notice)],
        messages: &[Addressed],
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        for (id, notice) in notices {
            set_one(&mut tx, id, *notice).await?;
        }
        queue(&mut tx, messages, now).await?;
        Ok(tx.commit().await?)
    }
}

async fn unplanned(readers: &AnyPool, most: u32) -> Result<Vec<Entry>, StoreError> {
    let filter = format!("{OPEN} AND notice_at IS NULL ORDER BY id LIMIT {most}");
    select(readers, &filter, vec![]).await
}

async fn due(readers: &AnyPool, now: Instant, most: u32) -> Result<Vec<Entry>, StoreError> {
    let filter = format!("{OPEN} AND notice_at <= $1 ORDER BY notice_at LIMIT {most}");
    select(readers, &filter, vec![text(now)]).await
}

async fn are_due(readers: &AnyPool, now: Instant) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM ledger WHERE live = 1 AND noticed = 0 AND state = 'active' AND notice_at <= $1 LIMIT 1";
    let row = sqlx::query(sql)
        .bind(text(now))
        .fetch_optional(readers)
        .await?;
    Ok(row.is_some())
}

async fn live_of(readers: &AnyPool, pull: PullNumber) -> Result<Vec<Entry>, StoreError> {
    let pull = number("pull request", pull.0)?;
    select(readers, &format!("live = 1 AND pull = {pull}"), vec![]).await
}

async fn set_one(
    tx: &mut Transaction<'_, Any>,
    id: &GrantId,
    notice: Notice,
) -> Result<(), StoreError> {
    let query = match notice {
        Notice::At(at) => sqlx::query("UPDATE ledger SET notice_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(text(at)),
        Notice::Done => {
            sqlx::query("UPDATE ledger SET noticed = 1 WHERE id = $1").bind(id.to_string())
        }
    };
    query.execute(&mut **tx).await?;
    Ok(())
}
