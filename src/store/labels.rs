//! Pull requests whose label at the forge may be out of date.
//!
//! Design: each has a note that says from when on it is to be looked at, set before what it follows from is regarded as done. Whoever looks
//! puts that off first, so that of several servers one looks, and what a crash left behind is looked at again; and takes the note away in
//! the end, unless it was set again meanwhile. What happens to grants is found in the outbox of the evidence, past a cursor that moves in
//! the transaction that sets the notes.

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
    pub async fn relabel_changed(&self, now: Instant) -> Result<(), StoreError> {
        loop {
            let events = self.events_past(CURSOR, BATCH).await?;
            let Some((last, _)) = events.last() else {
                return Ok(());
            };
            let pull = |(_, event): &(u64, Event)| event.record.get("pull")?.as_u64();
            let pulls: BTreeSet<u64> = events.iter().filter_map(pull).collect();
            let mut tx = self.inner.writer.begin().await?;
            for pull in pulls {
                ledger::set_note(&mut tx, &format!("{NOTE}{pull}"), &text(now)).await?;
            }
            ledger::set_note(&mut tx, CURSOR, &last.to_string()).await?;
            tx.commit().await?;
        }
    }

    /// Forgets whose label may be out of date: nobody is to look.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn forget_labels(&self) -> Result<(), StoreError> {
        if self.note(CURSOR).await?.is_none() {
            return Ok(());
        }
        let mut tx = self.inner.writer.begin().await?;
        sqlx::query("DELETE FROM meta WHERE name = $1 OR name LIKE $2")
            .bind(CURSOR)
            .bind(format!("{NOTE}%"))
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Takes over at most `most` pull requests whose label may be out of date at `now`, those that have waited longest first: until `until`
    /// nobody else is given them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn to_relabel(
        &self,
        now: Instant,
        until: Instant,
        most: usize,
    ) -> Result<Vec<PullNumber>, StoreError> {
        let (now, until) = (text(now), text(until));
        let mut due = self.notes(NOTE).await?;
        due.retain(|(_, at)| *at <= now);
        due.sort_by(|(_, a), (_, b)| a.cmp(b));
        due.truncate(most);
        let mut taken = Vec::new();
        for (name, at) in due {
            let put_off = "UPDATE meta SET value = $3 WHERE name = $1 AND value = $2";
            let mut tx = self.inner.writer.begin().await?;
            let done = sqlx::query(put_off).bind(&name).bind(&at).bind(&until);
            let ours = done.execute(&mut *tx).await?.rows_affected() == 1;
            tx.commit().await?;
            let number = name.strip_prefix(NOTE).and_then(|n| n.parse().ok());
            taken.extend(number.filter(|_| ours).map(PullNumber));
        }
        Ok(taken)
    }

    /// Takes the note away, unless it was set again since it was put off until `until`.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn relabelled(&self, pull: PullNumber, until: Instant) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        sqlx::query("DELETE FROM meta WHERE name = $1 AND value = $2")
            .bind(format!("{NOTE}{pull}"))
            .bind(text(until))
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
