//! The one end that the server itself brings: that of an account's password, as a second line.
//!
//! `VALID UNTIL` is the account's and not the membership's, so it is used only where accounts are there for what Hallpass gives and
//! nothing else. Invariant: an end that is there already is never brought forward; another grant may need it.

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use super::Postgres;
use super::roles::Role;
use crate::domain::model::Instant;
use crate::providers::ProviderError;

impl Postgres {
    /// Lets the account's password end at `ends`, or when it ends already if that is later.
    pub(super) async fn limit(
        &self,
        server: &mut PgConnection,
        account: &Role,
        ends: Instant,
    ) -> Result<(), ProviderError> {
        let failed = |error| self.not_limited(account, error);
        let statement: Option<String> = sqlx::query_scalar(
            "SELECT CASE WHEN COALESCE(rolvaliduntil, 'infinity') = 'infinity' OR rolvaliduntil < $2::text::timestamptz \
             THEN format('ALTER ROLE %I VALID UNTIL %L', rolname, $2::text) END FROM pg_catalog.pg_roles WHERE oid = $1::oid",
        )
        .bind(account.oid)
        .bind(ends.to_rfc3339())
        .fetch_optional(&mut *server)
        .await
        .map_err(failed)?
        .flatten();
        if let Some(statement) = statement {
            server
                .execute(AssertSqlSafe(statement))
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Reads back until when the password is good.
    pub(super) async fn limited(
        &self,
        server: &mut PgConnection,
        account: &Role,
        ends: Instant,
    ) -> Result<String, ProviderError> {
        let failed = |error| self.fault("reading the end of the password back", error);
        let row = sqlx::query(
            "SELECT to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
             COALESCE(rolvaliduntil >= $2::text::timestamptz AND rolvaliduntil < 'infinity', false) \
             FROM pg_catalog.pg_roles WHERE oid = $1::oid",
        )
        .bind(account.oid)
        .bind(ends.to_rfc3339())
        .fetch_optional(server)
        .await
        .map_err(failed)?;
        let read = |row: sqlx::postgres::PgRow| {
            Ok::<_, sqlx::Error>((
                row.try_get::<Option<String>, _>(0)?,
                row.try_get::<bool, _>(1)?,
            ))
        };
        match row.map(read).transpose().map_err(failed)? {
            Some((Some(until), true)) => Ok(until),
            _ => Err(self.refused(format!(
                "the password of {:?} does not end, although the server was told when",
                account.name
            ))),
        }
    }
}
