//! Membership of roles on a PostgreSQL server, 15 or later.
//!
//! Invariants: a name of a role or an account is looked up as a value, and the text of a statement with names in it is built
//! by the server itself, from the row that was found (`format('%I')`); what a statement did is read back by the immutable
//! `oid`, not by name. A grant never carries ADMIN OPTION and, from PostgreSQL 16 on, no right to `SET ROLE`: a session that
//! did that would keep its access after the end.
//!
//! sqlx hands a server's NOTICE to the log only. What a NOTICE would warn of here (a truncated name, a membership that was
//! there already, a revocation without effect) is checked instead: names over 63 bytes never reach the server, and every
//! statement is followed by a read-back of exactly the row that it was for.
//!
//! The connection needs a role that has ADMIN OPTION on the roles it gives, and, to end sessions, `pg_signal_backend`. A
//! pooler in between must pool sessions, not transactions.

mod expiry;
mod fault;
mod fit;
mod identity;
mod last;
mod roles;
mod sessions;

use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use super::turns::Turns;
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, Account, ConnectionName, Instant};
use crate::domain::target::{Change, Kind, Names, Order};
use identity::{Taking, entitlement_id};
use roles::Role;

/// PostgreSQL servers.
pub const KIND: Kind = Kind {
    name: "postgres",
    gives: "membership of a role",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "What a PostgreSQL connection gives",
  "type": "object",
  "properties": {
    "role": {
      "description": "The role that the account becomes a member of, exactly as the server spells it (at most 63 bytes).",
      "type": "string",
      "minLength": 1,
      "maxLength": 63
    }
  },
  "required": ["role"],
  "additionalProperties": false
}"#,
    residual: "Nothing where `end_sessions` is on. Otherwise a session that is open keeps what it has used already until it ends; each is named.",
    native_expiry: Some(
        "With `valid_until` the account's password is good until the end of what it was given last. Memberships, open sessions and other ways of logging in have no end of their own.",
    ),
    names: Names::Exact,
};

/// How long connecting may take, or waiting for one of our connections.
const CONNECTING: Duration = Duration::from_secs(5);

/// How long one call may take in all: the server limits each statement, this what the server cannot.
const CALL: Duration = Duration::from_secs(30);

/// How many connections there are at most.
const CONNECTIONS: u32 = 8;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entitlement {
    role: String,
}

/// What is done beside giving and taking roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Also {
    /// End the account's sessions when its access ends.
    pub end_sessions: bool,
    /// Let the password of the account end with its access: the accounts are there for nothing else.
    pub valid_until: bool,
}

/// One PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    connection: ConnectionName,
    pool: PgPool,
    also: Also,
    turns: Turns,
}

impl Postgres {
    /// A server by its address (`postgres://user:password@host/database?sslmode=verify-full`). Nothing is connected yet. Must be
    /// called within a runtime.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when the address cannot be read.
    pub fn new(
        connection: ConnectionName,
        url: &SecretString,
        also: Also,
    ) -> Result<Self, ProviderError> {
        let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| ProviderError::Refused {
            connection: connection.to_string(),
            // The error might repeat the address, which holds a password.
            reason: "its address cannot be read; write postgres://user:password@host/database?sslmode=verify-full".to_owned(),
        })?;
        let options = options
            .application_name("hallpass")
            .options([
                ("statement_timeout", "10s"),
                ("lock_timeout", "3s"),
                ("idle_in_transaction_session_timeout", "30s"),
                // Nothing that somebody put into another schema may stand in for the server's own functions.
                ("search_path", "pg_catalog"),
            ])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECTING)
            .idle_timeout(Duration::from_secs(60))
            .connect_lazy_with(options);
        Ok(Self {
            connection,
            pool,
            also,
            turns: Turns::default(),
        })
    }

    fn entitlement(&self, value: &serde_json::Value) -> Result<Entitlement, ProviderError> {
        Entitlement::deserialize(value).map_err(|error| {
            self.refused(format!(
                "the entitlement must look like {{ \"role\": \"orders_ro\" }}: {error}"
            ))
        })
    }

    fn refused(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::Refused {
            connection: self.connection.to_string(),
            reason: reason.into(),
        }
    }

    fn unknown(&self, account: &str, reason: impl Into<String>) -> ProviderError {
        let (connection, account) = (self.connection.to_string(), account.to_owned());
        ProviderError::UnknownSubject {
            connection,
            account,
            reason: reason.into(),
        }
    }

    /// Runs a whole call, but not for ever.
    async fn within<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        match tokio::time::timeout(CALL, call).await {
            Ok(result) => result,
            Err(elapsed) => Err(ProviderError::Unavailable {
                connection: self.connection.to_string(),
                what: format!("{what}: no answer in {} seconds", CALL.as_secs()),
                retry_at: None,
                source: Box::new(elapsed),
            }),
        }
    }

    async fn give(&self, access: &Access, ends: Instant) -> Result<Granted, ProviderError> {
        let what = format!("making {} a member", access.account.name);
        let failed = |error| self.fault(&what, error);
        let mut server = self.pool.acquire().await.map_err(failed)?;
        let cluster = roles::cluster(&mut server).await.map_err(failed)?;
        let mut tx = server.begin().await.map_err(failed)?;
        let (role, account) = self.fit(&mut tx, access).await?;
        let before = roles::memberships(&mut tx, &role, &account)
            .await
            .map_err(failed)?;
        self.without_admin(&role, &account, &before)?;
        // Before 16 there is one membership, and a second grant would only say so.
        if roles::knows_options(&mut tx).await.map_err(failed)? || before.is_empty() {
            roles::grant(&mut tx, &role, &account)
                .await
                .map_err(|error| self.not_granted(&role, error))?;
        }
        self.granted(&mut tx, &role, &account).await?;
        if self.also.valid_until {
            self.limit(&mut tx, &account, ends).await?;
        }
        tx.commit().await.map_err(failed)?;
        let mut granted = self.granted(&mut server, &role, &account).await?;
        granted.entitlement_id = Some(entitlement_id(&role, cluster.as_ref()));
        if self.also.valid_until {
            let until = self.limited(&mut server, &account, ends).await?;
            granted
                .read_back
                .push_str(&format!("; its password is good until {until}"));
        }
        Ok(granted)
    }

    /// Reads back that the membership is there.
    async fn granted(
        &self,
        server: &mut PgConnection,
        role: &Role,
        account: &Role,
    ) -> Result<Granted, ProviderError> {
        let found = roles::memberships(server, role, account).await;
        let found = found.map_err(|error| self.fault("reading the membership back", error))?;
        if found.is_empty() {
            return Err(self.refused(format!(
                "{:?} is no member of {:?} although the server granted it",
                account.name, role.name
            )));
        }
        self.without_admin(role, account, &found)?;
        Ok(Granted {
            read_back: format!("{} is a member of {}", account.name, role.name),
            pending: None,
            account_id: Some(account.oid.to_string()),
            entitlement_id: None,
        })
    }

    /// A member with ADMIN OPTION could hand the role on, to people who would keep it.
    fn without_admin(
        &self,
        role: &Role,
        account: &Role,
        found: &[roles::Membership],
    ) -> Result<(), ProviderError> {
        let Some(membership) = found.iter().find(|membership| membership.admin) else {
            return Ok(());
        };
        Err(self.refused(format!(
            "{:?} already has {:?} with ADMIN OPTION, from {:?}, and could hand it on; revoke that option first",
            account.name, role.name, membership.grantor
        )))
    }

    async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let what = format!("ending the membership of {}", access.account.name);
        let failed = |error| self.fault(&what, error);
        let mut server = self.pool.acquire().await.map_err(failed)?;
        let (role, account) = match self.meant(&mut server, access).await? {
            Taking::From(role, account) => (role, account),
            Taking::Gone { why, dropped } => {
                let (sessions, sessions_ended) = match dropped {
                    Some(account) => self.sessions(&mut server, &account).await?,
                    None => (Vec::new(), 0),
                };
                return Ok(Revoked {
                    read_back: why,
                    sessions,
                    sessions_ended,
                    ..Revoked::default()
                });
            }
        };
        if account.own {
            return Err(self.refused(format!(
                "{:?} is the account that Hallpass itself connects with",
                account.name
            )));
        }
        let turn = self.turns.of(&role.oid.to_string()).await;
        self.not_the_last(&mut server, &role, &account).await?;
        let also = roles::revoke(&mut server, &role, &account)
            .await
            .map_err(|e| self.not_revoked(&role, e))?;
        let mut revoked = self.taken(&mut server, &role, &account).await?;
        drop(turn);
        if !also.is_empty() {
            revoked.read_back.push_str(&format!(
                "; nor is who had it from {}: {}",
                account.name,
                also.join(", ")
            ));
        }
        (revoked.sessions, revoked.sessions_ended) = self.sessions(&mut server, &account).await?;
        Ok(revoked)
    }

    /// Reads back that no membership of ours is left, and by what other ways the account still has the role.
    async fn taken(
        &self,
        server: &mut PgConnection,
        role: &Role,
        account: &Role,
    ) -> Result<Revoked, ProviderError> {
        let failed = |error| self.fault("reading the membership back", error);
        let left = roles::memberships(server, role, account)
            .await
            .map_err(failed)?;
        if let Some(membership) = left.iter().find(|membership| membership.ours) {
            return Err(self.refused(format!(
                "{:?} is still a member of {:?}, by {:?}, although the server revoked it",
                account.name, role.name, membership.grantor
            )));
        }
        let others = if left.is_empty() {
            "is no member of"
        } else {
            "is now only by others a member of"
        };
        Ok(Revoked {
            read_back: format!("{} {others} {}", account.name, role.name),
            still_effective_through: roles::ways(server, role, account, &left)
                .await
                .map_err(failed)?,
            ..Revoked::default()
        })
    }

    /// What may still be used through sessions that were open before, after ending them where that is configured.
    async fn sessions(
        &self,
        server: &mut PgConnection,
        account: &Role,
    ) -> Result<(Vec<String>, u32), ProviderError> {
        let open = sessions::open(server, account.oid)
            .await
            .map_err(|e| self.fault("listing sessions", e))?;
        if !self.also.end_sessions || open.is_empty() {
            return Ok((open.iter().map(ToString::to_string).collect(), 0));
        }
        let (left, ended) = sessions::end(server, account.oid, &open)
            .await
            .map_err(|error| self.not_ended(&account.name, error))?;
        Ok((left.iter().map(ToString::to_string).collect(), ended))
    }

    async fn list(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        let name = self.entitlement(entitlement)?.role;
        let failed = |error| self.fault("listing the members", error);
        let mut server = self.pool.acquire().await.map_err(failed)?;
        let seen = roles::look_up(&mut server, &name, None).await;
        let Some(role) = seen.map_err(failed)?.named else {
            return Err(self.no_role(&name));
        };
        let members = roles::members(&mut server, &role).await.map_err(failed)?;
        Ok(members
            .into_iter()
            .map(|(name, oid)| Holder {
                name,
                id: Some(oid.to_string()),
                pending: false,
            })
            .collect())
    }
}

#[async_trait]
impl Provider for Postgres {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    async fn grant(&self, approved: &Approved, order: &Order) -> Result<Granted, ProviderError> {
        self.within("granting", self.give(approved.access(), order.ends))
            .await
    }

    async fn revoke(&self, access: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        self.within("revoking", self.take(access)).await
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        let role = access.entitlement["role"].as_str().unwrap_or_default();
        let account = &access.account.name;
        match change {
            Change::Grant => {
                let limit = format!("ALTER ROLE {account:?} VALID UNTIL the end, or later");
                let limit = self.also.valid_until.then_some(limit);
                let grant = format!("GRANT {role:?} TO {account:?}");
                std::iter::once(grant).chain(limit).collect()
            }
            Change::Revoke => {
                let revoke = format!("REVOKE {role:?} FROM {account:?} CASCADE");
                let end = format!("pg_terminate_backend of each session of {account:?}");
                let end = self.also.end_sessions.then_some(end);
                std::iter::once(revoke).chain(end).collect()
            }
        }
    }

    async fn has_account(&self, account: &Account) -> Result<Option<bool>, ProviderError> {
        let found = async {
            let failed = |error| self.fault("looking up the account", error);
            let mut server = self.pool.acquire().await.map_err(failed)?;
            let seen = roles::look_up(&mut server, &account.name, None).await;
            Ok(Some(seen.map_err(failed)?.named.is_some()))
        };
        self.within("looking up", found).await
    }

    /// The account that Hallpass connects with is left out: it has ADMIN OPTION, to give the role.
    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        self.within("listing", self.list(entitlement)).await
    }
}
