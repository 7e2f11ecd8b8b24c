//! What the server answers, named by what the caller should do. <https://mariadb.com/kb/en/mariadb-error-code-reference/>

use sqlx::mysql::MySqlDatabaseError;

use super::MySql;
use crate::providers::ProviderError;
use crate::providers::limits::{TooMany, is_too_many};

/// Access denied to a database, an account, a table, a privilege; only with another privilege; not the owner of a session.
const FORBIDDEN: [u16; 7] = [1044, 1045, 1142, 1143, 1227, 1095, 1698];

/// What one step of a call needs: what the account that Hallpass connects with lacks where the server denies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs<'a> {
    /// To connect.
    Connecting,
    /// To read the tables of accounts.
    Tables,
    /// To give or take this role.
    Admin(&'a str),
    /// To choose somebody's default role.
    Defaults,
    /// To end sessions.
    Sessions,
}

impl Needs<'_> {
    fn remedy(self) -> String {
        match self {
            Self::Connecting => {
                "correct the user or the password in the connection's address".to_owned()
            }
            Self::Tables => "grant it SELECT on the tables of accounts and roles that the page of this provider lists".to_owned(),
            Self::Admin(role) => format!("GRANT {role:?} TO it WITH ADMIN OPTION"),
            Self::Defaults => "grant it what choosing default roles needs (see the page of this provider), or set default_role = \"leave\"".to_owned(),
            Self::Sessions => "grant it PROCESS and CONNECTION ADMIN (on MySQL, CONNECTION_ADMIN) on *.*".to_owned(),
        }
    }
}

impl MySql {
    /// A failure while doing `what`, which needs a right.
    pub(super) fn fault(&self, what: &str, needs: Needs<'_>, error: sqlx::Error) -> ProviderError {
        match (&error, number(&error)) {
            (_, Some(number)) if passes(number) => self.unavailable(what, error),
            (_, Some(number)) if FORBIDDEN.contains(&number) => self.refused(format!(
                "{what}: {}; the account that Hallpass connects with lacks the right: {}",
                said(&error),
                needs.remedy()
            )),
            // The role of a name that exists, but not for us.
            (_, Some(1959)) if matches!(needs, Needs::Admin(_)) => self.refused(format!(
                "{what}: {}; the account that Hallpass connects with lacks the right: {}",
                said(&error),
                needs.remedy()
            )),
            (_, Some(_)) => self.refused(format!("{what}: {}", said(&error))),
            _ if is_too_many(&error) => self.refused(format!("{what}: {TooMany}")),
            // A certificate that does not fit, or a server without TLS: waiting will not heal it.
            (sqlx::Error::Tls(why), _) => self.refused(format!(
                "{what}: no protected connection: {why}; see ssl-mode and ssl-ca"
            )),
            (sqlx::Error::Configuration(_), _) => {
                self.refused(format!("{what}: the connection's address cannot be used"))
            }
            _ => self.unavailable(what, error),
        }
    }

    fn unavailable(&self, what: &str, error: sqlx::Error) -> ProviderError {
        ProviderError::Unavailable {
            connection: self.connection.to_string(),
            what: what.to_owned(),
            retry_at: None,
            source: Box::new(error),
        }
    }
}

/// Whether trying again can help.
fn passes(number: u16) -> bool {
    matches!(
        number,
        // Too many connections, server shutting down, out of memory or threads, a broken connection.
        1040 | 1203 | 1226 | 1053 | 1037 | 1038 | 1041 | 1135 | 1152 | 1158
            ..=1161
        // A lock that did not come, a deadlock, a row that changed, a statement that was too slow or ended by somebody.
        | 1205 | 1213 | 1020 | 1317 | 1927 | 1969 | 3024
        // Only reading here: a replica, until it is the primary.
        | 1290 | 1836
        // The account or the membership went away, or came, between the look and the statement: the next look tells.
        | 1133 | 1962 | 3162 | 1410
    )
}

/// The number of a server's own error.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    let database = error.as_database_error()?;
    let told = database.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(told.number())
}

/// The server's own words.
fn said(error: &sqlx::Error) -> String {
    error
        .as_database_error()
        .map_or_else(|| error.to_string(), |e| e.message().to_owned())
}
