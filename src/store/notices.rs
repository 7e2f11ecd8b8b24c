//! Who is to be told that their access ends soon, and who was.
//!
//! The two columns belong to this file alone: an entry is written without them, so telling somebody never comes between two
//! writers of the entry.

use sqlx::{Any, AnyPool, Transaction};

use super::fault::{number, text};
use super::ledger::select;
use super::{StoreError, Writer};
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

pub(super) async fn unplanned(readers: &AnyPool, most: u32) -> Result<Vec<Entry>, StoreError> {
    let filter = format!("{OPEN} AND notice_at IS NULL ORDER BY id LIMIT {most}");
    select(readers, &filter, vec![]).await
}

pub(super) async fn due(
    readers: &AnyPool,
    now: Instant,
    most: u32,
) -> Result<Vec<Entry>, StoreError> {
    let filter = format!("{OPEN} AND notice_at <= $1 ORDER BY notice_at LIMIT {most}");
    select(readers, &filter, vec![text(now)]).await
}

pub(super) async fn are_due(readers: &AnyPool, now: Instant) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM ledger WHERE live = 1 AND noticed = 0 AND state = 'active' AND notice_at <= $1 LIMIT 1";
    let row = sqlx::query(sql)
        .bind(text(now))
        .fetch_optional(readers)
        .await?;
    Ok(row.is_some())
}

pub(super) async fn live_of(readers: &AnyPool, pull: PullNumber) -> Result<Vec<Entry>, StoreError> {
    let pull = number("pull request", pull.0)?;
    select(readers, &format!("live = 1 AND pull = {pull}"), vec![]).await
}

pub(super) async fn set(writer: &Writer, notices: &[(GrantId, Notice)]) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    for (id, notice) in notices {
        set_one(&mut tx, id, *notice).await?;
    }
    Ok(tx.commit().await?)
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
