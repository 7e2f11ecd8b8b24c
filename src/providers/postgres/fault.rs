//! What the server answers, named by what the caller should do.

use sqlx::postgres::PgDatabaseError;

use super::Postgres;
use super::roles::Role;
use crate::providers::ProviderError;
use crate::providers::limits::{TooMany, is_too_many};

/// `insufficient_privilege`
const FORBIDDEN: &str = "42501";

impl Postgres {
    /// A failure while doing `what`.
    pub(super) fn fault(&self, what: &str, error: sqlx::Error) -> ProviderError {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default().into_owned();
                if passes(&code) {
                    return self.unavailable(what, error);
                }
                let way_out = match &code[..code.len().min(2)] {
                    "28" => "; correct the user or the password in the connection's address",
                    "3D" => "; correct the database in the connection's address",
                    _ if code == FORBIDDEN => {
                        "; give the account that Hallpass connects with this right"
                    }
                    _ => "",
                };
                self.refused(format!("{what}: {}{way_out}", said(&error)))
            }
            // A certificate that does not fit, or a server without TLS: waiting will not heal it.
            sqlx::Error::Tls(why) => self.refused(format!(
                "{what}: no protected connection: {why}; see sslmode and sslrootcert"
            )),
            _ if is_too_many(&error) => self.refused(format!("{what}: {TooMany}")),
            sqlx::Error::Configuration(_) => {
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

    pub(super) fn not_granted(&self, role: &Role, error: sqlx::Error) -> ProviderError {
        self.forbidden(
            "granting",
            &format!("GRANT {:?} TO it WITH ADMIN OPTION", role.name),
            error,
        )
    }

    pub(super) fn not_revoked(&self, role: &Role, error: sqlx::Error) -> ProviderError {
        self.forbidden(
            "revoking",
            &format!("GRANT {:?} TO it WITH ADMIN OPTION", role.name),
            error,
        )
    }

    pub(super) fn not_ended(&self, account: &str, error: sqlx::Error) -> ProviderError {
        self.forbidden(
            &format!("ending the sessions of {account:?}"),
            "GRANT pg_signal_backend TO it",
            error,
        )
    }

    pub(super) fn not_limited(&self, account: &Role, error: sqlx::Error) -> ProviderError {
        self.forbidden(
            &format!("ending the password of {:?} by `valid_until`", account.name),
            &format!(
                "it needs CREATEROLE, and from PostgreSQL 16 on GRANT {:?} TO it WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
                account.name
            ),
            error,
        )
    }

    /// A failure of which the likeliest is a right that the connection's account lacks.
    fn forbidden(&self, what: &str, remedy: &str, error: sqlx::Error) -> ProviderError {
        let lacks = error
            .as_database_error()
            .is_some_and(|e| e.code().as_deref() == Some(FORBIDDEN));
        if !lacks {
            return self.fault(what, error);
        }
        let told = said(&error);
        self.refused(format!(
            "{what}: {told}; the account that Hallpass connects with lacks the right: {remedy}"
        ))
    }
}

/// Whether trying again can help. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn passes(code: &str) -> bool {
    // Connection, transaction rolled back, resources, object in use, operator intervention, system error.
    let class = ["08", "40", "53", "55", "57", "58"]
        .iter()
        .any(|class| code.starts_with(class));
    // Only reading here: a standby, until it is the primary. And what two grants of one role at the same time end in:
    // "tuple concurrently updated", or the same row twice.
    class || matches!(code, "25006" | "XX000" | "23505")
}

/// The server's own words.
fn said(error: &sqlx::Error) -> String {
    let Some(error) = error.as_database_error() else {
        return error.to_string();
    };
    let detail = error
        .try_downcast_ref::<PgDatabaseError>()
        .and_then(PgDatabaseError::detail);
    detail.map_or_else(
        || error.message().to_owned(),
        |detail| format!("{} ({detail})", error.message()),
    )
}
