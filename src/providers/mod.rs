//! The port to target systems. One file a kind; each call is idempotent and reads back what it did.

pub mod github_team;
pub mod postgres;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, ConnectionName, Instant};

/// What went wrong at a target system, named by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Try again, not before `retry_at` where the target says so. Whether the call had an effect is unknown.
    #[error("{connection} is unavailable: {what}")]
    Unavailable {
        /// Which connection.
        connection: String,
        /// What was attempted.
        what: String,
        /// When trying again makes sense.
        retry_at: Option<Instant>,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A person must act: a missing right, an unknown role, an entitlement of the wrong shape.
    #[error("{connection} refuses: {reason}")]
    Refused {
        /// Which connection.
        connection: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The target has no such account, or the account is no longer the same one.
    #[error("{connection} does not know {account}: {reason}")]
    UnknownSubject {
        /// Which connection.
        connection: String,
        /// The account's name.
        account: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// One target system.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The kind, as `kind = "..."` in the configuration says it.
    fn kind(&self) -> &'static str;

    /// Gives what was approved. Doing it twice is doing it once.
    async fn grant(&self, approved: &Approved) -> Result<Granted, ProviderError>;

    /// Takes it away, and ends what may still use it where configured. Doing it twice is doing it once; an account, a role or
    /// a group that is gone counts as taken away.
    async fn revoke(&self, access: &Access) -> Result<Revoked, ProviderError>;

    /// Everybody who has this entitlement directly, whoever gave it.
    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError>;
}

/// The configured connections.
pub type Registry = BTreeMap<ConnectionName, Arc<dyn Provider>>;
