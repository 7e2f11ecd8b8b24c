//! The ledger's rows: the whole entry as JSON, and beside it what is searched for.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, AssertSqlSafe, Executor, Row, Transaction};

use super::fault::{instant, left_out, natural, number, text};
use super::{Scope, Store, StoreError};
use crate::domain::ledger::Entry;
use crate::domain::model::{CommitId, ConnectionName, GrantPath, Instant, Subject};
use crate::domain::plan::sieve::Related;

/// How many values one statement names at most. SQLite allows 32,766.
pub(super) const CHUNK: usize = 500;

pub(super) const CURSOR: &str = "cursor";

impl Store {
    /// The ids of the entries of [`Scope::Untidied`], in their order, without the entries: an index alone answers, however often.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn untidied(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT id FROM ledger WHERE live = 0 AND tidied = 0")
            .fetch_all(&self.inner.readers)
            .await?;
        let ids = rows.iter().map(|row| row.try_get(0));
        let mut ids = ids.collect::<Result<Vec<String>, _>>()?;
        ids.sort();
        Ok(ids)
    }
}

/// Inserts entries of version 0, updates the others if they are still what they were.
pub(super) async fn write(
    tx: &mut Transaction<'_, Any>,
    entries: &[Entry],
) -> Result<(), StoreError> {
    for entry in entries {
        let sql = if entry.version == 0 { INSERT } else { UPDATE };
        let next = Entry {
            version: entry.version + 1,
            ..entry.clone()
        };
        let json = serde_json::to_string(&next).map_err(|e| {
            StoreError::broken(format!(
                "ledger entry {} cannot be written as JSON: {e}",
                entry.id
            ))
        })?;
        let terms = entry.terms.as_ref();
        let pull = entry.arrival.pull;
        let pull = pull.map(|p| number("pull request", p.0)).transpose()?;
        let done = sqlx::query(sql)
            .bind(entry.id.as_str())
            .bind(number("version", entry.version)?)
            .bind(entry.path.as_str())
            .bind(entry.state.as_str())
            .bind(i64::from(!entry.state.is_final()))
            .bind(terms.map(|t| t.access.connection.to_string()))
            .bind(terms.map(|t| t.access.key()))
            .bind(entry.wake_at.map(text))
            .bind(terms.map(|t| text(t.ends)))
            .bind(entry.subject_and_role().map(|(who, _)| subject_key(who)))
            .bind(i64::from(entry.tidied))
            .bind(json)
            .bind(unreviewed(entry))
            .bind(entry.settled_at.map(text))
            .bind(pull)
            .bind(resource(entry))
            .execute(&mut **tx)
            .await
            .map_err(|error| refused(entry, error))?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Conflict(entry.id.to_string()));
        }
    }
    Ok(())
}

/// Deletes an entry, if it is still what it was.
pub(super) async fn give_way(
    tx: &mut Transaction<'_, Any>,
    entry: &Entry,
) -> Result<(), StoreError> {
    let done = sqlx::query("DELETE FROM ledger WHERE id = $1 AND version = $2")
        .bind(entry.id.as_str())
        .bind(number("version", entry.version)?)
        .execute(&mut **tx)
        .await?;
    if done.rows_affected() != 1 {
        return Err(StoreError::Conflict(entry.id.to_string()));
    }
    Ok(())
}

/// Deletes every entry.
pub(super) async fn clear(tx: &mut Transaction<'_, Any>) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM ledger").execute(&mut **tx).await?;
    Ok(())
}

const INSERT: &str = "INSERT INTO ledger (id, version, path, state, live, connection, access_key, wake_at, ends_at, subject, \
     tidied, entry, unreviewed, settled_at, pull, resource) \
     VALUES ($1, $2 + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT (id) DO NOTHING";

const UPDATE: &str = "UPDATE ledger SET version = version + 1, path = $3, state = $4, live = $5, connection = $6, \
     access_key = $7, wake_at = $8, ends_at = $9, subject = $10, tidied = $11, entry = $12, unreviewed = $13, \
     settled_at = $14, pull = $15, resource = $16 WHERE id = $1 AND version = $2";

/// Whose emergency it is, while no owner has signed the review.
fn unreviewed(entry: &Entry) -> Option<String> {
    let terms = entry.terms.as_ref().filter(|_| entry.is_unreviewed())?;
    Some(subject_key(&terms.subject))
}

/// On which resource it is: a part of a bundle is on that of its own role.
fn resource(entry: &Entry) -> String {
    let role = entry.subject_and_role().map(|(_, role)| role);
    let own = role.map(|role| role.resource.to_string());
    own.unwrap_or_else(|| entry.path.resource().to_string())
}

/// A second emergency of the same person was begun by somebody else first: what was decided is to be decided again.
fn refused(entry: &Entry, error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            StoreError::Conflict(entry.id.to_string())
        }
        _ => error.into(),
    }
}

/// A subject as text in which a person and a service of the same name differ.
pub(super) fn subject_key(subject: &Subject) -> String {
    match subject {
        Subject::Person(login) => format!("person/{login}"),
        Subject::Service(name) => format!("service/{name}"),
    }
}

pub(super) async fn move_cursor(
    tx: &mut Transaction<'_, Any>,
    cursor: &CommitId,
) -> Result<(), StoreError> {
    set_note(tx, CURSOR, cursor.as_str()).await
}

/// Makes sure that the cursor is where it was read.
pub(super) async fn cursor_is(
    tx: &mut Transaction<'_, Any>,
    before: Option<&CommitId>,
) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT value FROM meta WHERE name = $1")
        .bind(CURSOR)
        .fetch_optional(&mut **tx)
        .await?;
    let now: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
    match now.as_deref() == before.map(CommitId::as_str) {
        true => Ok(()),
        false => Err(StoreError::Conflict(CURSOR.to_owned())),
    }
}

pub(super) async fn forget_cursor(tx: &mut Transaction<'_, Any>) -> Result<(), StoreError> {
    forget_note(tx, CURSOR).await
}

pub(super) async fn cursor(readers: &AnyPool) -> Result<Option<CommitId>, StoreError> {
    let Some(value) = note(readers, CURSOR).await? else {
        return Ok(None);
    };
    let commit = CommitId::new(&value)
        .map_err(|e| StoreError::broken(format!("the cursor cannot be read: {e}")))?;
    Ok(Some(commit))
}

pub(super) async fn set_note(
    tx: &mut Transaction<'_, Any>,
    name: &str,
    value: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name)
        .bind(value)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn forget_note(
    tx: &mut Transaction<'_, Any>,
    name: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM meta WHERE name = $1")
        .bind(name)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Notes by name. `prefix` is text of the program: it holds neither `%` nor `_`.
pub(super) async fn notes(
    readers: &AnyPool,
    prefix: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = sqlx::query("SELECT name, value FROM meta WHERE name LIKE $1")
        .bind(format!("{prefix}%"))
        .fetch_all(readers)
        .await?;
    let pairs = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let mut notes = pairs.collect::<Result<Vec<(String, String)>, StoreError>>()?;
    notes.sort();
    Ok(notes)
}

pub(super) async fn note(
    from: impl Executor<'_, Database = Any>,
    name: &str,
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT value FROM meta WHERE name = $1")
        .bind(name)
        .fetch_optional(from)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

pub(super) async fn entries(readers: &AnyPool, scope: Scope<'_>) -> Result<Vec<Entry>, StoreError> {
    let (filter, values) = within(scope);
    if matches!(scope, Scope::Due(..)) {
        return readable(readers, filter, values).await;
    }
    select(readers, filter, values).await
}

/// As [`select`], without what cannot be read, and without what gives the same access: whether that is to go on is not known then. Nothing
/// else in the ledger keeps what is due from its end, be it what a newer version wrote.
async fn readable(
    readers: &AnyPool,
    filter: &str,
    values: Vec<String>,
) -> Result<Vec<Entry>, StoreError> {
    let (mut entries, mut in_doubt) = (Vec::new(), BTreeSet::new());
    let each = |row: &AnyRow| {
        match read(row) {
            Ok(entry) => entries.push(entry),
            Err(unread) => {
                left_out(&unread);
                in_doubt.insert(row.try_get::<String, _>(4).ok());
            }
        }
        Ok(())
    };
    hand_over_each(readers, filter, values, each).await?;
    let access = |e: &Entry| e.terms.as_ref().map(|t| t.access.key());
    entries.retain(|e| !in_doubt.contains(&access(e)));
    entries.sort_by(|a: &Entry, b| a.id.cmp(&b.id));
    Ok(entries)
}

/// Hands over one entry after another, in no order.
pub(super) async fn each(
    readers: &AnyPool,
    scope: Scope<'_>,
    each: impl FnMut(Entry),
) -> Result<(), StoreError> {
    let (filter, values) = within(scope);
    hand_over(readers, filter, values, each).await
}

/// What to ask the database for.
fn within(scope: Scope<'_>) -> (&'static str, Vec<String>) {
    match scope {
        Scope::Live(connection) => ("live = 1 AND connection = $1", vec![connection.to_string()]),
        Scope::Due(connection, now) => (
            "live = 1 AND connection = $1 AND access_key IN \
             (SELECT access_key FROM ledger WHERE live = 1 AND connection = $1 AND wake_at <= $2)",
            vec![connection.to_string(), text(now)],
        ),
        Scope::Same(access) => (
            "live = 1 AND connection = $1 AND access_key = $2",
            vec![access.connection.to_string(), access.key()],
        ),
        Scope::Waiting => (
            "live = 1 AND state IN ('arrived', 'scheduled', 'granting')",
            vec![],
        ),
        Scope::Unfinished => ("live = 1", vec![]),
        Scope::PutOff(until) => (
            "live = 1 AND state = 'revoking' AND wake_at > $1",
            vec![text(until)],
        ),
        Scope::Untidied => ("live = 0 AND tidied = 0", vec![]),
        Scope::Unreviewed => ("unreviewed IS NOT NULL", vec![]),
        Scope::All => ("1 = 1", vec![]),
    }
}

/// Hands over the live entries of a connection that are related to what is planned for others of it: more than once, where they are
/// related in several ways.
pub(super) async fn each_related(
    readers: &AnyPool,
    connection: &ConnectionName,
    related: &Related,
    mut each: impl FnMut(Entry),
) -> Result<(), StoreError> {
    let paths = related.paths.iter().map(ToString::to_string).collect();
    let accesses = related.accesses.iter().cloned().collect();
    let subjects = related.subjects.iter().map(subject_key).collect();
    // The connection as text that no index holds, but for the accesses, whose index begins with it: SQLite would else read every live grant
    // of the connection.
    let columns: [(&str, Vec<String>); 3] = [
        ("connection || '' = $1 AND path", paths),
        ("connection = $1 AND access_key", accesses),
        ("connection || '' = $1 AND subject", subjects),
    ];
    for (column, values) in columns {
        let filter = format!("live = 1 AND {column}");
        hand_over_any(
            readers,
            &filter,
            &[connection.to_string()],
            &values,
            &mut each,
        )
        .await?;
    }
    Ok(())
}

pub(super) async fn entries_at(
    readers: &AnyPool,
    paths: &BTreeSet<GrantPath>,
) -> Result<Vec<Entry>, StoreError> {
    let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
    select_any(readers, "path", paths).await
}

pub(super) async fn entries_of(
    readers: &AnyPool,
    subjects: &BTreeSet<Subject>,
) -> Result<Vec<Entry>, StoreError> {
    let subjects: Vec<String> = subjects.iter().map(subject_key).collect();
    select_any(readers, "live = 1 AND subject", subjects).await
}

/// The entries of these subjects that ended last, at most `most` of each.
pub(super) async fn ended_of(
    readers: &AnyPool,
    subjects: &BTreeSet<Subject>,
    most: u32,
) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::new();
    for subject in subjects {
        let filter = format!("live = 0 AND subject = $1 ORDER BY settled_at DESC LIMIT {most}");
        found.extend(select(readers, &filter, vec![subject_key(subject)]).await?);
    }
    Ok(found)
}

/// Entries whose `column` is one of `values`.
async fn select_any(
    readers: &AnyPool,
    column: &str,
    values: Vec<String>,
) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::new();
    hand_over_any(readers, column, &[], &values, |entry| found.push(entry)).await?;
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

/// Reads entries by a filter that is text of this module, with `$n` for values.
pub(super) async fn select(
    readers: &AnyPool,
    filter: &str,
    values: Vec<String>,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries = in_order(readers, filter, values).await?;
    // Not by SQL: PostgreSQL would sort by the language of the database.
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(entries)
}

/// As [`select`], in the order that the filter asks for.
pub(super) async fn in_order(
    readers: &AnyPool,
    filter: &str,
    values: Vec<String>,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    hand_over(readers, filter, values, |entry| entries.push(entry)).await?;
    Ok(entries)
}

async fn hand_over(
    readers: &AnyPool,
    filter: &str,
    values: Vec<String>,
    mut each: impl FnMut(Entry),
) -> Result<(), StoreError> {
    let each = |row: &AnyRow| read(row).map(&mut each);
    hand_over_each(readers, filter, values, each).await
}

async fn hand_over_each(
    readers: &AnyPool,
    filter: &str,
    values: Vec<String>,
    mut each: impl FnMut(&AnyRow) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = format!("SELECT id, version, state, entry, access_key FROM ledger WHERE {filter}");
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in values {
        query = query.bind(value);
    }
    let mut rows = query.fetch(readers);
    while let Some(row) = rows.try_next().await? {
        each(&row)?;
    }
    Ok(())
}

/// [`hand_over`] of the entries whose column, at the end of `filter`, is one of `values`; `fixed` are the values that come before.
async fn hand_over_any(
    readers: &AnyPool,
    filter: &str,
    fixed: &[String],
    values: &[String],
    mut each: impl FnMut(Entry),
) -> Result<(), StoreError> {
    for chunk in values.chunks(CHUNK) {
        let all = [fixed, chunk].concat();
        let places: Vec<String> = (fixed.len() + 1..=all.len())
            .map(|n| format!("${n}"))
            .collect();
        let filter = format!("{filter} IN ({})", places.join(", "));
        hand_over(readers, &filter, all, &mut each).await?;
    }
    Ok(())
}

fn read(row: &AnyRow) -> Result<Entry, StoreError> {
    let id: String = row.try_get(0)?;
    let broken =
        |why: String| StoreError::broken(format!("ledger entry {id} cannot be read: {why}"));
    let version: i64 = row.try_get(1).map_err(|e| broken(e.to_string()))?;
    let state: String = row.try_get(2).map_err(|e| broken(e.to_string()))?;
    let json: String = row.try_get(3).map_err(|e| broken(e.to_string()))?;
    let entry: Entry = serde_json::from_str(&json).map_err(|e| broken(e.to_string()))?;
    let version = natural(&id, version)?;
    if entry.id.as_str() != id || entry.state.as_str() != state || entry.version != version {
        return Err(broken("its columns contradict its content".to_owned()));
    }
    Ok(entry)
}

pub(super) async fn due_connections(
    readers: &AnyPool,
    now: Instant,
) -> Result<BTreeSet<ConnectionName>, StoreError> {
    // Asked for as text that no index holds: SQLite would else read every live grant in the order of connections to find those that are
    // distinct, instead of the few that are due.
    let rows = sqlx::query(
        "SELECT DISTINCT connection || '' FROM ledger WHERE live = 1 AND connection IS NOT NULL AND wake_at <= $1",
    )
    .bind(text(now))
    .fetch_all(readers)
    .await?;
    let name = |row| connection(row).inspect_err(left_out).ok();
    Ok(rows.iter().filter_map(name).collect())
}

pub(super) async fn awaiting_proof(
    readers: &AnyPool,
    now: Instant,
) -> Result<BTreeSet<ConnectionName>, StoreError> {
    let rows = sqlx::query(
        "SELECT DISTINCT connection FROM ledger WHERE live = 1 AND connection IS NOT NULL \
         AND state IN ('scheduled', 'granting') AND wake_at <= $1",
    )
    .bind(text(now))
    .fetch_all(readers)
    .await?;
    rows.iter().map(connection).collect()
}

pub(super) async fn live_connections(
    readers: &AnyPool,
) -> Result<BTreeSet<ConnectionName>, StoreError> {
    let rows = sqlx::query(
        "SELECT DISTINCT connection FROM ledger WHERE live = 1 AND connection IS NOT NULL",
    )
    .fetch_all(readers)
    .await?;
    rows.iter().map(connection).collect()
}

pub(super) fn connection(row: &AnyRow) -> Result<ConnectionName, StoreError> {
    let name: String = row.try_get(0)?;
    ConnectionName::new(&name).map_err(|e| {
        StoreError::broken(format!("the ledger names a connection that cannot be: {e}"))
    })
}

pub(super) async fn next_due(readers: &AnyPool) -> Result<Option<Instant>, StoreError> {
    let row = sqlx::query(
        "SELECT wake_at FROM ledger WHERE live = 1 AND connection IS NOT NULL AND wake_at IS NOT NULL \
         ORDER BY wake_at LIMIT 1",
    )
    .fetch_optional(readers)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let at: String = row.try_get(0)?;
    instant("the ledger", &at).map(Some)
}

pub(super) async fn next_due_after(
    readers: &AnyPool,
    now: Instant,
) -> Result<Option<Instant>, StoreError> {
    let row = sqlx::query(
        "SELECT wake_at FROM ledger WHERE live = 1 AND connection IS NOT NULL AND wake_at > $1 \
         ORDER BY wake_at LIMIT 1",
    )
    .bind(text(now))
    .fetch_optional(readers)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let at: String = row.try_get(0)?;
    instant("the ledger", &at).map(Some)
}
