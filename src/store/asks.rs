//! What open pull requests ask for, as they were last judged.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, AssertSqlSafe, Row, Transaction};

use super::fault::{instant, natural, number, text};
use super::ledger::{CHUNK, subject_key};
use super::{Store, StoreError, Writer};
use crate::domain::decision::Pending;
use crate::domain::history::{Ending, Past};
use crate::domain::model::{CommitId, Instant, Login, PullNumber, RoleRef, ServiceName, Subject};

/// Whom, and which role.
pub(super) type Ask = (Subject, RoleRef);

impl Store {
    /// Remembers what an open pull request asks for at `head`, in place of what it asked for. Returns what that was.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn remember_asks(
        &self,
        pull: PullNumber,
        head: &CommitId,
        asks: &BTreeSet<Ask>,
    ) -> Result<BTreeSet<Ask>, StoreError> {
        replace(&self.inner.writer, pull, head, asks).await
    }

    /// Forgets what a pull request asked for, because it is not open any more. Returns what that was.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn forget_asks(&self, pull: PullNumber) -> Result<BTreeSet<Ask>, StoreError> {
        forget(&self.inner.writer, pull).await
    }

    /// [`Store::forget_asks`] for a pull request that was closed without a merge: what it asked for is kept as turned down, until
    /// it is open again.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn turn_down_asks(
        &self,
        pull: PullNumber,
        at: Instant,
    ) -> Result<BTreeSet<Ask>, StoreError> {
        turn_down(&self.inner.writer, pull, at).await
    }

    /// What was turned down of these subjects last, at most `most` of each.
    ///
    /// # Errors
    /// [`StoreError::Broken`] tells of a row that cannot be understood.
    pub async fn turned_down_of(
        &self,
        subjects: &BTreeSet<Subject>,
        most: u32,
    ) -> Result<Vec<Past>, StoreError> {
        turned_down(&self.inner.readers, subjects, most).await
    }

    /// What open pull requests ask for these subjects, as they were last judged.
    ///
    /// # Errors
    /// [`StoreError::Broken`] tells of a row that cannot be understood.
    pub async fn asks_of(&self, subjects: &BTreeSet<Subject>) -> Result<Vec<Pending>, StoreError> {
        of(&self.inner.readers, subjects).await
    }

    /// Which of these pull requests ask for access, as they were last judged.
    ///
    /// # Errors
    /// [`StoreError::Broken`] tells of a row that cannot be understood.
    pub async fn which_ask(
        &self,
        pulls: &[PullNumber],
    ) -> Result<BTreeSet<PullNumber>, StoreError> {
        let asks = by(&self.inner.readers, pulls).await?;
        Ok(asks.into_iter().map(|ask| ask.pull).collect())
    }

    /// The pull requests that are remembered to be open.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn asking(&self) -> Result<BTreeSet<PullNumber>, StoreError> {
        pulls(&self.inner.readers).await
    }
}

/// Writes what `pull` asks for at `head` in place of what it asked for, and returns what that was.
async fn replace(
    writer: &Writer,
    pull: PullNumber,
    head: &CommitId,
    asks: &BTreeSet<Ask>,
) -> Result<BTreeSet<Ask>, StoreError> {
    let mut tx = writer.begin().await?;
    let before = of_pull(&mut tx, pull).await?;
    sqlx::query("DELETE FROM asks WHERE pull = $1")
        .bind(number("pull request", pull.0)?)
        .execute(&mut *tx)
        .await?;
    // It is open, again perhaps.
    sqlx::query("DELETE FROM turned_down WHERE pull = $1")
        .bind(number("pull request", pull.0)?)
        .execute(&mut *tx)
        .await?;
    for (subject, role) in asks {
        sqlx::query("INSERT INTO asks (pull, subject, role, head) VALUES ($1, $2, $3, $4)")
            .bind(number("pull request", pull.0)?)
            .bind(subject_key(subject))
            .bind(role.to_string())
            .bind(head.as_str())
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(before)
}

/// Forgets what `pull` asked for, and returns what that was.
async fn forget(writer: &Writer, pull: PullNumber) -> Result<BTreeSet<Ask>, StoreError> {
    let mut tx = writer.begin().await?;
    let before = of_pull(&mut tx, pull).await?;
    close(&mut tx, pull).await?;
    tx.commit().await?;
    Ok(before)
}

/// Keeps what `pull` asked for as turned down, forgets that it asks, and returns what that was.
async fn turn_down(
    writer: &Writer,
    pull: PullNumber,
    at: Instant,
) -> Result<BTreeSet<Ask>, StoreError> {
    let mut tx = writer.begin().await?;
    let before = of_pull(&mut tx, pull).await?;
    let number = number("pull request", pull.0)?;
    sqlx::query(
        "INSERT INTO turned_down (pull, subject, role, at) SELECT pull, subject, role, $2 FROM asks WHERE pull = $1 \
         ON CONFLICT (pull, subject, role) DO NOTHING",
    )
    .bind(number)
    .bind(text(at))
    .execute(&mut *tx)
    .await?;
    close(&mut tx, pull).await?;
    tx.commit().await?;
    Ok(before)
}

/// Forgets what was remembered of an open pull request.
async fn close(tx: &mut Transaction<'_, Any>, pull: PullNumber) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM asks WHERE pull = $1",
        "DELETE FROM judged WHERE pull = $1",
    ] {
        sqlx::query(sql)
            .bind(number("pull request", pull.0)?)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// What was turned down of these subjects last, at most `most` of each.
async fn turned_down(
    readers: &AnyPool,
    subjects: &BTreeSet<Subject>,
    most: u32,
) -> Result<Vec<Past>, StoreError> {
    let sql = format!(
        "SELECT pull, subject, role, at FROM turned_down WHERE subject = $1 ORDER BY at DESC, pull DESC LIMIT {most}"
    );
    let mut found = Vec::new();
    for subject in subjects {
        let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(subject_key(subject));
        for row in query.fetch_all(readers).await? {
            let at: String = row.try_get(3)?;
            let at = instant("what was turned down", &at)?;
            let Pending {
                pull,
                subject,
                role,
            } = read(&row)?;
            found.push(Past {
                subject,
                role,
                pull: Some(pull),
                held_from: None,
                at,
                ending: Ending::TurnedDown,
            });
        }
    }
    Ok(found)
}

async fn of_pull(
    tx: &mut Transaction<'_, Any>,
    pull: PullNumber,
) -> Result<BTreeSet<Ask>, StoreError> {
    let rows = sqlx::query("SELECT pull, subject, role FROM asks WHERE pull = $1")
        .bind(number("pull request", pull.0)?)
        .fetch_all(&mut **tx)
        .await?;
    let asks = rows
        .iter()
        .map(|row| read(row).map(|p| (p.subject, p.role)));
    asks.collect()
}

/// What open pull requests ask for these subjects, in order.
async fn of(readers: &AnyPool, subjects: &BTreeSet<Subject>) -> Result<Vec<Pending>, StoreError> {
    let keys: Vec<String> = subjects.iter().map(subject_key).collect();
    let mut found = Vec::new();
    for chunk in keys.chunks(CHUNK) {
        let places: Vec<String> = (1..=chunk.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT pull, subject, role FROM asks WHERE subject IN ({})",
            places.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for key in chunk {
            query = query.bind(key);
        }
        for row in query.fetch_all(readers).await? {
            found.push(read(&row)?);
        }
    }
    found.sort();
    Ok(found)
}

/// What these pull requests ask for, in order.
pub(super) async fn by(
    readers: &AnyPool,
    pulls: &[PullNumber],
) -> Result<Vec<Pending>, StoreError> {
    let mut found = Vec::new();
    for chunk in pulls.chunks(CHUNK) {
        let places: Vec<String> = (1..=chunk.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT pull, subject, role FROM asks WHERE pull IN ({})",
            places.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for pull in chunk {
            query = query.bind(number("pull request", pull.0)?);
        }
        for row in query.fetch_all(readers).await? {
            found.push(read(&row)?);
        }
    }
    found.sort();
    Ok(found)
}

/// The pull requests of which anything is remembered.
async fn pulls(readers: &AnyPool) -> Result<BTreeSet<PullNumber>, StoreError> {
    let rows = sqlx::query("SELECT pull FROM asks UNION SELECT pull FROM judged")
        .fetch_all(readers)
        .await?;
    let pull = |row: &AnyRow| Ok(PullNumber(natural("asks", row.try_get(0)?)?));
    rows.iter().map(pull).collect()
}

fn read(row: &AnyRow) -> Result<Pending, StoreError> {
    let (subject, role): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let broken = |why: &str| {
        StoreError::broken(format!(
            "what a pull request asks for cannot be read: {why} ({subject:?}, {role:?})"
        ))
    };
    let known = match subject.split_once('/') {
        Some(("person", login)) => Login::new(login).ok().map(Subject::Person),
        Some(("service", name)) => ServiceName::new(name).ok().map(Subject::Service),
        _ => None,
    };
    Ok(Pending {
        pull: PullNumber(natural("asks", row.try_get(0)?)?),
        subject: known.ok_or_else(|| broken("the subject"))?,
        role: RoleRef::try_from(role.clone()).map_err(|_| broken("the role"))?,
    })
}
