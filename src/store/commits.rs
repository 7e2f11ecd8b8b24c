//! Entries and events that are written together: each caller's whole, or nothing of it.

use sqlx::{Any, Connection as _, Transaction};

use super::group::Share;
use super::{StoreError, Writer, ledger, outbox};
use crate::domain::evidence::Event;
use crate::domain::ledger::Entry;

/// One caller's entries and events.
#[derive(Debug)]
pub(super) struct Commit {
    pub entries: Vec<Entry>,
    pub events: Vec<Event>,
}

impl Share for Commit {
    async fn write(
        writer: &Writer,
        calls: &[Self],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let mut tx = writer.begin().await?;
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            answers.push(one(&mut tx, call).await?);
        }
        tx.commit().await?;
        Ok(answers)
    }
}

/// One caller's part. That somebody else wrote an entry first, or that one cannot be written, is for this caller alone: what the
/// others wrote stays.
async fn one(
    tx: &mut Transaction<'_, Any>,
    call: &Commit,
) -> Result<Result<(), StoreError>, StoreError> {
    let mut part = tx.begin().await?;
    let mut written = ledger::write(&mut part, &call.entries).await;
    if written.is_ok() {
        written = outbox::append(&mut part, &call.events).await;
    }
    match written {
        Ok(()) => part.commit().await?,
        Err(StoreError::Unavailable(error)) => return Err(StoreError::Unavailable(error)),
        Err(error) => {
            part.rollback().await?;
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}
