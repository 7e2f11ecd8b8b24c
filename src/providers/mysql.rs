//! Membership of roles on a MariaDB or MySQL server.
//!
//! Invariants: a name of a role or an account is looked up as a value and compared letter by letter, because to the server a space at
//! the end changes nothing; a statement names only what was found so, quoted. What a statement did is read back. A grant never
//! carries ADMIN OPTION.
//!
//! A role that was granted is without effect until it is a default role of the account, or the session says `SET ROLE`: so a grant
//! makes it a default role. On MariaDB an account has one; another that it has already is left, and the subject told to `SET ROLE`.
//!
//! Both servers apply each of these statements at once and for good: there is no transaction around them, and a call that broke off
//! is made again.
//!
//! The connection needs a role (on MySQL: an account) with ADMIN OPTION on the roles it gives; see `docs/providers/mysql.md`.

mod fault;
mod fit;
mod names;
mod power;
mod removal;
mod server;
mod sessions;

use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{ConnectOptions, Executor, MySqlPool};

use super::turns::Turns;
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, Account, ConnectionName};
use crate::domain::target::{Change, Kind, Names, Order};
use fault::Needs;
use names::Name;
use server::Server;

/// MariaDB and MySQL servers.
pub const KIND: Kind = Kind {
    name: "mysql",
    gives: "membership of a role",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "What a MariaDB or MySQL connection gives",
  "type": "object",
  "properties": {
    "role": {
      "description": "The role that the account receives, exactly as the server spells it.",
      "type": "string",
      "minLength": 1,
      "maxLength": 128
    }
  },
  "required": ["role"],
  "additionalProperties": false
}"#,
    residual: "Nothing where `end_sessions` is on. Otherwise a session in which the role is in effect keeps it until it ends; each is named.",
    native_expiry: None,
    names: Names::Exact,
};

/// How long connecting may take, or waiting for one of our connections.
const CONNECTING: Duration = Duration::from_secs(5);

/// How long one call may take in all: the server limits each statement, this what the server cannot.
const CALL: Duration = Duration::from_secs(30);

/// How many connections there are at most.
const CONNECTIONS: u32 = 8;

/// Who sees to it that a granted role is in effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DefaultRole {
    /// A grant makes it a default role of the account.
    #[default]
    Set,
    /// The subject says `SET ROLE`.
    Leave,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entitlement {
    role: String,
}

/// One MariaDB or MySQL server.
#[derive(Debug)]
pub struct MySql {
    connection: ConnectionName,
    pool: MySqlPool,
    end_sessions: bool,
    default_role: DefaultRole,
    turns: Turns,
}

impl MySql {
    /// A server by its address (`mysql://user:password@host/?ssl-mode=VERIFY_IDENTITY`). Nothing is connected yet. Must be called
    /// within a runtime.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when the address cannot be read.
    pub fn new(
        connection: ConnectionName,
        url: &SecretString,
        end_sessions: bool,
        default_role: DefaultRole,
    ) -> Result<Self, ProviderError> {
        let options = MySqlConnectOptions::from_str(url.expose_secret()).map_err(|_| ProviderError::Refused {
            connection: connection.to_string(),
            // The error might repeat the address, which holds a password.
            reason: "its address cannot be read; write mysql://user:password@host/?ssl-mode=VERIFY_IDENTITY".to_owned(),
        })?;
        let pool = MySqlPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECTING)
            .idle_timeout(Duration::from_secs(60))
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(server::SETTINGS).await.map(drop) })
            })
            .connect_lazy_with(options.disable_statement_logging());
        Ok(Self {
            connection,
            pool,
            end_sessions,
            default_role,
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

    async fn connect(&self) -> Result<Server, ProviderError> {
        let failed = |error| self.fault("connecting", Needs::Connecting, error);
        let connection = self.pool.acquire().await.map_err(failed)?;
        Server::new(connection).await.map_err(failed)
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let name = self.entitlement(&access.entitlement)?.role;
        let mut server = self.connect().await?;
        let role = self.fit_role(&mut server, &name).await?;
        let account = self.fit_account(&mut server, &access.account.name).await?;
        if self
            .membership(&mut server, &role, &account)
            .await?
            .is_none()
        {
            let granted = server.grant(&role, &account).await;
            granted.map_err(|error| self.fault("granting", Needs::Admin(&name), error))?;
        }
        if self.default_role == DefaultRole::Set {
            let chosen = server.make_default(&account, &role).await;
            chosen
                .map_err(|error| self.fault("making it a default role", Needs::Defaults, error))?;
        }
        self.granted(&mut server, &role, &account).await
    }

    /// Reads back that the membership is there, and whether it is in effect.
    async fn granted(
        &self,
        server: &mut Server,
        role: &Name,
        account: &Name,
    ) -> Result<Granted, ProviderError> {
        if self.membership(server, role, account).await?.is_none() {
            return Err(self.refused(format!(
                "{account} does not have {role} although the server granted it"
            )));
        }
        let defaults = server.defaults(account).await;
        let defaults = defaults
            .map_err(|error| self.fault("reading the default roles", Needs::Tables, error))?;
        let read_back = format!("{account} has {role}");
        if defaults.contains(role) {
            return Ok(Granted {
                read_back: format!("{read_back}, by default"),
                pending: None,
                account_id: None,
                entitlement_id: None,
            });
        }
        let other = defaults.first();
        let why = other.map_or_else(String::new, |other| {
            format!(": its default role is {other}")
        });
        Ok(Granted {
            read_back,
            pending: Some(format!("SET ROLE {} in each session{why}", role.quoted())),
            account_id: None,
            entitlement_id: None,
        })
    }

    /// What may still be used through sessions that were open before, after ending them where that is configured.
    async fn sessions(
        &self,
        server: &mut Server,
        account: &Name,
    ) -> Result<(Vec<String>, u32), ProviderError> {
        let failed = |error| self.fault("listing sessions", Needs::Sessions, error);
        let own = server.own_grants().await.map_err(failed)?;
        if !power::sees_sessions(&own) {
            // Without the right the server lists only ours, as if nobody else had any.
            let blind = "sessions that are open cannot be listed: the account that Hallpass connects with lacks PROCESS on *.*";
            return match self.end_sessions {
                true => Err(self.refused(blind)),
                false => Ok((vec![blind.to_owned()], 0)),
            };
        }
        let open = sessions::open(server, account).await.map_err(failed)?;
        if !self.end_sessions || open.is_empty() {
            return Ok((open.iter().map(ToString::to_string).collect(), 0));
        }
        let (left, ended) = sessions::end(server, account, &open)
            .await
            .map_err(failed)?;
        Ok((left.iter().map(ToString::to_string).collect(), ended))
    }

    async fn list(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        let name = self.entitlement(entitlement)?.role;
        let failed = |error| self.fault("listing who has the role", Needs::Tables, error);
        let mut server = self.connect().await?;
        let role = self.role(&mut server, &name).await?;
        let mut holders = Vec::new();
        for member in server.members(&role).await.map_err(failed)? {
            if member.name == server.own {
                continue;
            }
            let name = match server.is_role(&member.name).await.map_err(failed)? {
                true => member.name.listed_as_role(),
                false => member.name.to_string(),
            };
            holders.push(Holder {
                name,
                id: None,
                pending: false,
            });
        }
        Ok(holders)
    }
}

#[async_trait]
impl Provider for MySql {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    async fn grant(&self, approved: &Approved, _: &Order) -> Result<Granted, ProviderError> {
        self.within("granting", self.give(approved.access())).await
    }

    async fn revoke(&self, access: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        self.within("revoking", self.take(access)).await
    }

    /// As MariaDB spells it.
    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        let role = Name::new(access.entitlement["role"].as_str().unwrap_or_default(), "").quoted();
        let account = &access.account.name;
        let quoted = Name::account(account).map_or_else(|| format!("{account:?}"), |n| n.quoted());
        let default = self.default_role == DefaultRole::Set;
        let calls = match change {
            Change::Grant => [
                Some(format!("GRANT {role} TO {quoted} -- {account}")),
                default.then(|| format!("SET DEFAULT ROLE {role} FOR {quoted}")),
                None,
            ],
            Change::Revoke => [
                Some(format!("REVOKE {role} FROM {quoted} -- {account}")),
                self.end_sessions
                    .then(|| format!("KILL each session of {quoted}")),
                default.then(|| format!("SET DEFAULT ROLE NONE FOR {quoted}")),
            ],
        };
        calls.into_iter().flatten().collect()
    }

    async fn has_account(&self, account: &Account) -> Result<Option<bool>, ProviderError> {
        let found = async {
            let failed = |error| self.fault("looking up the account", Needs::Tables, error);
            let Some(name) = Name::account(&account.name) else {
                return Ok(Some(false));
            };
            let mut server = self.connect().await?;
            Ok(Some(server.find(&name).await.map_err(failed)?.is_some()))
        };
        self.within("looking up", found).await
    }

    /// The account that Hallpass connects with is left out: it has ADMIN OPTION, to give the role.
    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        self.within("listing", self.list(entitlement)).await
    }
}
