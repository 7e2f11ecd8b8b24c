//! Pull requests whose label at the forge may be out of date.
//!
//! Design: each has a note, set with what changed or after it; whoever brings the label up to date takes the note away, unless it was
//! set again meanwhile. What happens to grants is found in the outbox of the evidence, past a cursor that moves in the transaction that
//! sets the notes.

use std::collections::BTreeSet;

use super::fault::{number, text};
use super::{Store, StoreError, ledger};
use crate::domain::evidence::Event;
use crate::domain::label::Label;
use crate::domain::model::{Instant, PullNumber};

/// Each note is this and the pull request's number.
const NOTE: &str = "label:";

/// Up to which event pull requests were noted.
pub(super) const CURSOR: &str = "labelled";

/// How many events are looked at in one transaction.
const BATCH: u32 = 500;

impl Store {
    /// Notes that the label of `pull` may be out of date.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn relabel(&self, pull: PullNumber, now: Instant) -> Result<(), StoreError> {
        self.set_note(&format!("{NOTE}{pull}"), &text(now)).await
    }

    /// Notes that of every pull request to whose grants something happened since this was asked last.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn relabel_changed(&self) -> Result<(), StoreError> {
        loop {
            let events = self.events_past(CURSOR, BATCH).await?;
            let Some((last, _)) = events.last() else {
                return Ok(());
            };
            let pull = |(_, event): &(u64, Event)| event.record.get("pull")?.as_u64();
            let pulls: BTreeSet<u64> = events.iter().filter_map(pull).collect();
            let last = last.to_string();
            let mut tx = self.inner.writer.begin().await?;
            for pull in pulls {
                ledger::set_note(&mut tx, &format!("{NOTE}{pull}"), &last).await?;
            }
            ledger::set_note(&mut tx, CURSOR, &last).await?;
            tx.commit().await?;
        }
    }

    /// The pull requests whose label may be out of date, each with the word that [`Store::relabelled`] wants back.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn to_relabel(&self) -> Result<Vec<(PullNumber, String)>, StoreError> {
        let notes = self.notes(NOTE).await?.into_iter();
        let read = |(name, word): (String, String)| {
            let number = name.strip_prefix(NOTE)?.parse().ok()?;
            Some((PullNumber(number), word))
        };
        Ok(notes.filter_map(read).collect())
    }

    /// Takes the note away, unless it was set again since `word` was read.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn relabelled(&self, pull: PullNumber, word: &str) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        sqlx::query("DELETE FROM meta WHERE name = $1 AND value = $2")
            .bind(format!("{NOTE}{pull}"))
            .bind(word)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// The label that a pull request should have, by what was judged and by the ledger.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn label_of(&self, pull: PullNumber) -> Result<Option<Label>, StoreError> {
        let pull = number("pull request", pull.0)?;
        let judged: Option<String> =
            sqlx::query_scalar("SELECT outcome FROM judged WHERE pull = $1")
                .bind(pull)
                .fetch_optional(&self.inner.readers)
                .await?;
        if let Some(outcome) = judged {
            return Ok(Some(match outcome.as_str() {
                "denied" => Label::ToBeChanged,
                _ => Label::Waiting,
            }));
        }
        let sql =
            "SELECT COUNT(*), COUNT(CASE WHEN live = 1 THEN 1 END) FROM ledger WHERE pull = $1";
        let counts = sqlx::query_as(sql).bind(pull);
        let (all, live): (i64, i64) = counts.fetch_one(&self.inner.readers).await?;
        Ok(match (all, live) {
            (0, _) => None,
            (_, 0) => Some(Label::Over),
            _ => Some(Label::Live),
        })
    }
}
