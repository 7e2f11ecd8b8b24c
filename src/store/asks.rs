//! What open pull requests ask for, as they were last judged.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, AssertSqlSafe, Row, Transaction};

use super::fault::{natural, number};
use super::ledger::{CHUNK, subject_key};
use super::{StoreError, Writer};
use crate::domain::decision::Pending;
use crate::domain::model::{CommitId, Login, PullNumber, RoleRef, ServiceName, Subject};

/// Whom, and which role.
pub(super) type Ask = (Subject, RoleRef);

/// Writes what `pull` asks for at `head` in place of what it asked for, and returns what that was.
pub(super) async fn replace(
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
pub(super) async fn forget(writer: &Writer, pull: PullNumber) -> Result<BTreeSet<Ask>, StoreError> {
    let mut tx = writer.begin().await?;
    let before = of_pull(&mut tx, pull).await?;
    if before.is_empty() {
        return Ok(before);
    }
    sqlx::query("DELETE FROM asks WHERE pull = $1")
        .bind(number("pull request", pull.0)?)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(before)
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
pub(super) async fn of(
    readers: &AnyPool,
    subjects: &BTreeSet<Subject>,
) -> Result<Vec<Pending>, StoreError> {
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

/// The pull requests that ask for anything.
pub(super) async fn pulls(readers: &AnyPool) -> Result<BTreeSet<PullNumber>, StoreError> {
    let rows = sqlx::query("SELECT DISTINCT pull FROM asks")
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
