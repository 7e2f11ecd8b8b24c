//! What sqlx reports, named by what the caller should do; and values that must be read back as they were written.

use chrono::SecondsFormat;
use sqlx::migrate::MigrateError;

use super::StoreError;
use crate::domain::model::Instant;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let broken = match &error {
            sqlx::Error::Database(database) => {
                !passes(database.code().as_deref().unwrap_or_default())
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => false,
            _ => true,
        };
        if broken {
            Self::Broken {
                what: error.to_string(),
                source: Some(error),
            }
        } else {
            Self::Unavailable(error)
        }
    }
}

/// Whether trying again can help, by the code of SQLite (a number) or PostgreSQL (five characters).
fn passes(code: &str) -> bool {
    if code.len() == 5 {
        // Connection, transaction rolled back, resources, operator intervention, object in use, system error:
        // https://www.postgresql.org/docs/current/errcodes-appendix.html
        // And the one code of an invalid state that says that the connection was ended, for standing still.
        return ["08", "40", "53", "55", "57", "58", "25P03"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    // The low byte of an extended code is the primary one: https://www.sqlite.org/rescode.html
    let primary = code.parse::<u32>().unwrap_or_default() & 0xff;
    // BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
    matches!(primary, 5 | 6 | 7 | 9 | 10 | 13 | 14 | 15)
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
                Self::broken(format!(
                    "it was written by a newer version of Hallpass (its schema has migration {version}); run that version"
                ))
            }
            MigrateError::VersionMismatch(version) => Self::broken(format!(
                "its schema was made by another build (migration {version} differs); run the released version that made it"
            )),
            other => Self::broken(format!("its schema cannot be brought up to date: {other}")),
        }
    }
}

impl StoreError {
    /// A fault that we found ourselves.
    pub(super) fn broken(what: impl Into<String>) -> Self {
        Self::Broken {
            what: what.into(),
            source: None,
        }
    }

    /// The same fault for another caller of the same transaction.
    pub(super) fn echo(&self) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Conflict(id) => Self::Conflict(id.clone()),
            Self::Unavailable(error) => {
                Self::Unavailable(sqlx::Error::Io(std::io::Error::other(error.to_string())))
            }
            Self::Broken { what, .. } => Self::broken(what.clone()),
        }
    }
}

/// Tells of a row that cannot be read and is left out.
pub(super) fn left_out(unread: &StoreError) {
    let error = unread as &dyn std::error::Error;
    tracing::error!(error, "{unread}; whatever else is due goes on");
}

/// An instant as fixed-width text, so that the order of texts is the order of instants. Parts below a microsecond are cut off.
pub(super) fn text(instant: Instant) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Reads [`text`] back.
pub(super) fn instant(row: &str, text: &str) -> Result<Instant, StoreError> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .map_err(|_| StoreError::broken(format!("{row} has {text:?} where an instant should be")))
}

/// A number that the database can hold.
pub(super) fn number(what: &str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value)
        .map_err(|_| StoreError::broken(format!("{what} {value} is too large for the database")))
}

/// Reads [`number`] back.
pub(super) fn natural(row: &str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value)
        .map_err(|_| StoreError::broken(format!("{row} has the negative number {value}")))
}
