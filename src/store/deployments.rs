//! Deployments that wait for the ledger's word, and how far the answers are.

use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row};

use super::{Store, StoreError, Writer, outbox};
use crate::domain::deployment::{Known, Stage};
use crate::domain::evidence::Event;
use crate::domain::model::RepoName;

impl Store {
    /// The deployments of a repository that are known to wait.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn deployments(&self, repository: &RepoName) -> Result<Vec<Known>, StoreError> {
        of(&self.inner.readers, repository).await
    }

    /// The deployments that were not let through yet.
    ///
    /// # Errors
    /// As [`Store::deployments`].
    pub async fn open_deployments(&self) -> Result<Vec<Known>, StoreError> {
        open(&self.inner.readers).await
    }

    /// The repositories of deployments that are known.
    ///
    /// # Errors
    /// As [`Store::deployments`].
    pub async fn deploying(&self) -> Result<Vec<RepoName>, StoreError> {
        repositories(&self.inner.readers).await
    }

    /// Notes how far the answer to a deployment is, with its events, in one transaction.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn keep_deployment(&self, known: &Known, events: &[Event]) -> Result<(), StoreError> {
        keep(&self.inner.writer, known, events).await
    }

    /// Puts `after` in the place of `before`, if that is still what is noted.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn replace_deployment(
        &self,
        before: &Known,
        after: &Known,
    ) -> Result<(), StoreError> {
        replace(&self.inner.writer, before, after).await
    }

    /// Forgets a deployment that waits no longer, with its events, in one transaction.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn forget_deployment(
        &self,
        known: &Known,
        events: &[Event],
    ) -> Result<(), StoreError> {
        forget(&self.inner.writer, known, events).await
    }
}

fn answered(known: &Known) -> i64 {
    i64::from(matches!(known.stage, Stage::Approved { .. }))
}

fn written(known: &Known) -> Result<String, StoreError> {
    serde_json::to_string(known)
        .map_err(|e| StoreError::broken(format!("a deployment cannot be written: {e}")))
}

fn column(repository: &RepoName) -> String {
    repository.to_string().to_ascii_lowercase()
}

async fn of(readers: &AnyPool, repository: &RepoName) -> Result<Vec<Known>, StoreError> {
    let sql = "SELECT key, found FROM deployments WHERE repository = $1 ORDER BY key";
    let rows = sqlx::query(sql)
        .bind(column(repository))
        .fetch_all(readers)
        .await?;
    rows.iter().map(read).collect()
}

async fn open(readers: &AnyPool) -> Result<Vec<Known>, StoreError> {
    let sql = "SELECT key, found FROM deployments WHERE answered = 0 ORDER BY key";
    let rows = sqlx::query(sql).fetch_all(readers).await?;
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<Known, StoreError> {
    let (key, found): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    serde_json::from_str(&found)
        .map_err(|e| StoreError::broken(format!("the deployment {key:?} cannot be read: {e}")))
}

async fn repositories(readers: &AnyPool) -> Result<Vec<RepoName>, StoreError> {
    let sql = "SELECT DISTINCT repository FROM deployments ORDER BY repository";
    let rows = sqlx::query(sql).fetch_all(readers).await?;
    rows.iter()
        .map(|row| {
            let name: String = row.try_get(0)?;
            RepoName::try_from(name)
                .map_err(|e| StoreError::broken(format!("a deployment cannot be read: {e}")))
        })
        .collect()
}

async fn keep(writer: &Writer, known: &Known, events: &[Event]) -> Result<(), StoreError> {
    let found = written(known)?;
    let mut tx = writer.begin().await?;
    sqlx::query(
        "INSERT INTO deployments (key, repository, answered, found) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (key) DO UPDATE SET answered = excluded.answered, found = excluded.found",
    )
    .bind(known.deployment.key())
    .bind(column(&known.deployment.place.repository))
    .bind(answered(known))
    .bind(found)
    .execute(&mut *tx)
    .await?;
    outbox::append(&mut tx, events).await?;
    Ok(tx.commit().await?)
}

async fn replace(writer: &Writer, before: &Known, after: &Known) -> Result<(), StoreError> {
    let (old, new) = (written(before)?, written(after)?);
    let mut tx = writer.begin().await?;
    sqlx::query("UPDATE deployments SET answered = $2, found = $3 WHERE key = $1 AND found = $4")
        .bind(before.deployment.key())
        .bind(answered(after))
        .bind(new)
        .bind(old)
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

async fn forget(writer: &Writer, known: &Known, events: &[Event]) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    sqlx::query("DELETE FROM deployments WHERE key = $1")
        .bind(known.deployment.key())
        .execute(&mut *tx)
        .await?;
    outbox::append(&mut tx, events).await?;
    Ok(tx.commit().await?)
}
