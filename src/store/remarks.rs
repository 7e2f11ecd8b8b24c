//! Comments of people that were answered, or were not to be: each once.

use sqlx::Row;

use super::fault::{natural, number, text};
use super::{Store, StoreError};
use crate::domain::model::{Instant, PullNumber};
use crate::domain::remark::Remark;

/// What became of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// It was answered.
    Answered,
    /// It was not: its author may not ask, or too much was asked there.
    PassedOver,
}

impl Handled {
    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::PassedOver => "passed-over",
        }
    }
}

impl Store {
    /// Whether this comment was dealt with.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_handled(&self, remark: &Remark) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM answered WHERE comment = $1")
            .bind(number("comment", remark.id)?)
            .fetch_optional(&self.inner.readers)
            .await?;
        Ok(row.is_some())
    }

    /// How many comments were answered since `since`: on one pull request, or on all of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn answered_since(
        &self,
        pull: Option<PullNumber>,
        since: Instant,
    ) -> Result<u64, StoreError> {
        let pull = pull
            .map(|pull| number("pull request", pull.0))
            .transpose()?;
        let row = sqlx::query(
            "SELECT COUNT(*) FROM answered WHERE (pull = $1 OR $1 = -1) AND outcome = 'answered' AND at > $2",
        )
        .bind(pull.unwrap_or(-1))
        .bind(text(since))
        .fetch_one(&self.inner.readers)
        .await?;
        natural("the count of answers", row.try_get(0)?)
    }

    /// Notes that a comment was dealt with.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn note_handled(
        &self,
        remark: &Remark,
        handled: Handled,
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        sqlx::query(
            "INSERT INTO answered (comment, pull, at, outcome) VALUES ($1, $2, $3, $4) ON CONFLICT (comment) DO NOTHING",
        )
        .bind(number("comment", remark.id)?)
        .bind(number("pull request", remark.pull.0)?)
        .bind(text(now))
        .bind(handled.as_str())
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}
