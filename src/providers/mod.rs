//! The port to target systems. One file a kind; each call is idempotent and reads back what it did.

pub mod asked;
pub mod aws;
pub mod aws_iam;
pub mod aws_identity_center;
pub mod command;
mod counted;
mod discreet;
mod gate;
mod github;
pub mod github_deployment;
pub mod github_organization_role;
pub mod github_repository;
pub mod github_team;
pub mod http;
pub mod ldap;
mod limits;
pub mod mysql;
pub mod okta;
pub mod postgres;
pub mod scim;
mod turns;
pub mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, Account, ConnectionName, Instant};
use crate::domain::target::{Change, Kind, Order};

pub use counted::Counted;
pub use discreet::Discreet;
pub use gate::{Gate, Said};

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

/// Whether what is found is another than what is known already.
fn differs(known: Option<&String>, found: &str) -> bool {
    known.is_some_and(|known| known != found)
}

/// Why nothing is given where something else has the name of what was given before, and what to do.
fn another(thing: &str, shown: &str) -> String {
    format!(
        "{shown:?} is another {thing} than the one that is held; find out what became of that one, then end the grant and ask anew"
    )
}

/// One target system.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What kind of target system it is.
    fn kind(&self) -> &'static Kind;

    /// Gives what was approved. Doing it twice is doing it once. Where `access.account.id` or `access.entitlement_id` is known, somebody
    /// holds it already and it goes on: whoever or whatever else has the name by now is [`ProviderError::UnknownSubject`] or
    /// [`ProviderError::Refused`], and is given nothing.
    async fn grant(&self, approved: &Approved, order: &Order) -> Result<Granted, ProviderError>;

    /// Takes it away, and ends what may still use it where configured. Doing it twice is doing it once; an account, a role or
    /// a group that is gone counts as taken away. Where `access.account.id` or `access.entitlement_id` is known, that account and that
    /// role or group are meant, whatever they are called by now: only what the target itself says is gone is gone; what cannot be found
    /// or told apart is [`ProviderError::Refused`]. Hallpass' own account, and the last administrator that the target reports, are
    /// [`ProviderError::Refused`]: nobody may lock everybody out by a pull request.
    async fn revoke(&self, access: &Access, order: &Order) -> Result<Revoked, ProviderError>;

    /// The calls that [`Self::grant`] or [`Self::revoke`] would make to change something, in order, for a person to read. Calls nothing.
    fn preview(&self, change: Change, access: &Access) -> Vec<String>;

    /// Whether the target has an account of this name, whoever it is by now; `None` where it cannot tell.
    async fn has_account(&self, _: &Account) -> Result<Option<bool>, ProviderError> {
        Ok(None)
    }

    /// When the account was last used at all, by anything that it may do there: not when the entitlement was. `None` where the target does
    /// not tell, or tells of no use. Where `account.id` is known, that account is meant and no other of its name.
    async fn last_used(&self, _: &Account) -> Result<Option<Instant>, ProviderError> {
        Ok(None)
    }

    /// Where the target keeps nothing, and asks at each use: the way to answer. What is given there is the ledger's entry alone, so
    /// [`Self::grant`] and [`Self::revoke`] change nothing, and [`Self::holders`] lists only who needs no grant.
    fn gate(&self) -> Option<&dyn Gate> {
        None
    }

    /// Everybody who has this entitlement directly, whoever gave it. [`ProviderError::Refused`] where there is no such entitlement.
    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError>;
}

/// Every kind of target system, in the order of the page that lists them.
pub const KINDS: [&Kind; 13] = [
    &aws_iam::KIND,
    &aws_identity_center::KIND,
    &command::KIND,
    &github_deployment::KIND,
    &github_organization_role::KIND,
    &github_repository::KIND,
    &github_team::KIND,
    &ldap::KIND,
    &mysql::KIND,
    &okta::KIND,
    &postgres::KIND,
    &scim::KIND,
    &webhook::KIND,
];

/// The configured connections.
pub type Registry = BTreeMap<ConnectionName, Arc<dyn Provider>>;
