//! What open pull requests say at their heads, and which of them the forge shows there.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::fault::{natural, number};
use super::{Store, StoreError};
use crate::domain::model::{CommitId, PullNumber};
use crate::domain::report::{CheckStatus, Voice};

/// What an open pull request says at its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who says it, and how bad it is.
    pub voice: Voice,
    /// A digest of it.
    pub digest: String,
    /// Where.
    pub head: CommitId,
    /// The check at the forge, by number, as far as there is one.
    pub run: Option<u64>,
    /// A digest of what the forge shows there; `None` where it shows what another pull request says.
    pub shown: Option<String>,
}

/// What a row is read from. What an earlier version wrote says nothing: it knows of the head alone.
const SAID: &str =
    "SELECT pull, here, status, digest, head, id, shown FROM checks WHERE said_at = head AND";

impl Store {
    /// The head at which a pull request was judged last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn judged_at(&self, pull: PullNumber) -> Result<Option<CommitId>, StoreError> {
        let head: Option<String> = sqlx::query_scalar("SELECT head FROM checks WHERE pull = $1")
            .bind(number("pull request", pull.0)?)
            .fetch_optional(&self.inner.readers)
            .await?;
        head.as_deref().map(commit).transpose()
    }

    /// What a pull request says, as it was judged last.
    ///
    /// # Errors
    /// [`StoreError::Broken`] tells of a row that cannot be understood.
    pub async fn said(&self, pull: PullNumber) -> Result<Option<Said>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{SAID} pull = $1")))
            .bind(number("pull request", pull.0)?)
            .fetch_optional(&self.inner.readers)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The pull requests that say something at a head that others have, too.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn speaking(&self) -> Result<Vec<PullNumber>, StoreError> {
        let pulls: Vec<i64> = sqlx::query_scalar(
            "SELECT pull FROM checks WHERE status IS NOT NULL \
             AND EXISTS (SELECT 1 FROM checks AS beside WHERE beside.head = checks.head AND beside.pull <> checks.pull)",
        )
        .fetch_all(&self.inner.readers)
        .await?;
        let pulls = pulls.into_iter();
        pulls
            .map(|pull| Ok(PullNumber(natural("a pull request", pull)?)))
            .collect()
    }

    /// What all pull requests say that have this head.
    ///
    /// # Errors
    /// [`StoreError::Broken`] tells of a row that cannot be understood.
    pub async fn said_at(&self, head: &CommitId) -> Result<Vec<Said>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{SAID} head = $1 ORDER BY pull"
        )))
        .bind(head.as_str())
        .fetch_all(&self.inner.readers)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Remembers what a pull request says at `head`, in place of what it said.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn say(
        &self,
        voice: &Voice,
        head: &CommitId,
        digest: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        sqlx::query(
            "INSERT INTO checks (pull, here, status, digest, head, said_at, id, shown) VALUES ($1, $2, $3, $4, $5, $5, 0, '') \
             ON CONFLICT (pull) DO UPDATE SET here = excluded.here, status = excluded.status, digest = excluded.digest, \
             said_at = excluded.said_at, \
             id = CASE WHEN checks.head = excluded.head THEN checks.id ELSE 0 END, \
             shown = CASE WHEN checks.head = excluded.head THEN checks.shown ELSE '' END, head = excluded.head",
        )
        .bind(number("pull request", voice.pull.0)?)
        .bind(i64::from(voice.here))
        .bind(word(voice.status))
        .bind(digest)
        .bind(head.as_str())
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Remembers that the forge shows at `head`, in the check `run`, what `pull` says, and nothing that another says.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn show(
        &self,
        pull: PullNumber,
        head: &CommitId,
        (run, digest): (u64, &str),
    ) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        sqlx::query("UPDATE checks SET id = $1, shown = CASE WHEN pull = $2 THEN $3 ELSE '' END WHERE head = $4")
            .bind(number("check", run)?)
            .bind(number("pull request", pull.0)?)
            .bind(digest)
            .bind(head.as_str())
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Forgets what a pull request said. Returns where.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn unsay(&self, pull: PullNumber) -> Result<Option<CommitId>, StoreError> {
        let head = self.judged_at(pull).await?;
        if head.is_some() {
            let mut tx = self.inner.writer.begin().await?;
            sqlx::query("DELETE FROM checks WHERE pull = $1")
                .bind(number("pull request", pull.0)?)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        }
        Ok(head)
    }
}

fn read(row: &AnyRow) -> Result<Said, StoreError> {
    let what = "what a pull request says";
    let (here, run): (i64, i64) = (row.try_get(1)?, row.try_get(5)?);
    let (word, head, shown): (String, String, String) =
        (row.try_get(2)?, row.try_get(4)?, row.try_get(6)?);
    Ok(Said {
        voice: Voice {
            pull: PullNumber(natural(what, row.try_get(0)?)?),
            here: here == 1,
            status: status(&word)?,
        },
        digest: row.try_get(3)?,
        head: commit(&head)?,
        run: Some(natural(what, run)?).filter(|run| *run > 0),
        shown: Some(shown).filter(|shown| !shown.is_empty()),
    })
}

fn commit(head: &str) -> Result<CommitId, StoreError> {
    CommitId::new(head)
        .map_err(|e| StoreError::broken(format!("the head of a pull request cannot be read: {e}")))
}

const STATUSES: [CheckStatus; 4] = [
    CheckStatus::Success,
    CheckStatus::Neutral,
    CheckStatus::InProgress,
    CheckStatus::Failure,
];

fn word(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Success => "success",
        CheckStatus::Neutral => "neutral",
        CheckStatus::InProgress => "in-progress",
        CheckStatus::Failure => "failure",
    }
}

fn status(text: &str) -> Result<CheckStatus, StoreError> {
    let known = STATUSES.into_iter().find(|status| word(*status) == text);
    known.ok_or_else(|| StoreError::broken(format!("a check has the status {text:?}")))
}
