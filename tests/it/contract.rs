//! The contract that every kind of target system keeps, told once and held by each kind against a real server.
//!
//! A kind joins with a [`Target`]: how its server is prepared, and how another client than ours sees what the server holds. Its
//! test runs every fact of [`facts`] and compares the results with its row of `docs/providers/README.md`
//! (`HALLPASS_BLESS=1` writes them).

pub mod approved;
mod facts;
pub mod proxy;
mod results;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use hallpass::domain::model::{Access, Account, ConnectionName, UserId};
use hallpass::domain::target::Order;
use hallpass::providers::{Provider, ProviderError};
use serde_json::Value;

/// A real server of one kind, and a client of it that is not the provider.
#[async_trait]
pub trait Target: Send + Sync {
    /// Where the server listens.
    fn address(&self) -> SocketAddr;
    /// A connection as Hallpass has it, to the server or to what stands in front of it.
    fn provider(&self, at: SocketAddr) -> Arc<dyn Provider>;
    /// The same with credentials that the server does not take; `None` and why, where the server takes any.
    fn stranger(&self, at: SocketAddr) -> Result<Arc<dyn Provider>, &'static str>;
    /// Makes the account `name`; `false` where the server does not allow such a name.
    async fn add_account(&self, name: &str) -> bool;
    /// Removes it, with all that it has.
    async fn remove_account(&self, name: &str);
    /// Calls the account `name` `new` from now on: it stays the same account and keeps all that it has. Why not, where accounts
    /// keep their names, or have no ids to be known by.
    async fn rename_account(&self, _name: &str, _new: &str) -> Result<(), &'static str> {
        Err("not tried yet")
    }
    /// Calls what can be given otherwise from now on, so that whoever has it keeps it, and tells its entitlement. Why not, where it
    /// keeps its name, or has no id to be known by.
    async fn rename_entitlement(&self, _: &Value, _new: &str) -> Result<Value, &'static str> {
        Err("not tried yet")
    }
    /// Makes something that can be given, and tells its entitlement. `name` is plain: letters, digits and `_`.
    async fn add_entitlement(&self, name: &str) -> Value;
    /// An entitlement of the right shape that the server does not have.
    fn unknown_entitlement(&self) -> Value;
    /// Whether `account` has it, as the server tells.
    async fn holds(&self, account: &str, entitlement: &Value) -> bool;
    /// Gives it by hand.
    async fn give(&self, account: &str, entitlement: &Value);
    /// What the account is called to the provider; some targets know accounts by another text than their name.
    fn account(&self, name: &str) -> Account {
        Account {
            name: name.to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        }
    }
    /// Whether the server tells immutable ids of accounts.
    fn has_ids(&self) -> Result<(), &'static str> {
        Ok(())
    }
    /// For targets that speak plain HTTP: the answer that claims success to a call that changes something.
    fn empty_promise(&self) -> Result<(u16, &'static str), &'static str> {
        Err("no HTTP")
    }
    /// The version of the server, for a kind that is tried with several.
    async fn version(&self) -> Option<String> {
        None
    }
    /// Names that are trouble somewhere: each is made as an account where the server allows it.
    fn hostile_names(&self) -> Vec<&'static str> {
        HOSTILE.to_vec()
    }
}

/// Names with a meaning in some syntax.
pub const HOSTILE: [&str; 9] = [
    "o'brien",
    "a\"b",
    "x; drop role y",
    "*)(uid=*",
    "../../etc",
    "a%2fb",
    "a,b=c+d",
    "ünïcode",
    "a\\b",
];

/// The connection's name in all tests.
pub fn connection() -> ConnectionName {
    ConnectionName::new("db").unwrap()
}

/// The order of a test.
pub fn order() -> Order {
    Order {
        reference: "orders/octocat-incident@cccccccccccc".to_owned(),
        ends: chrono::DateTime::from_timestamp(1_800_007_200, 0).unwrap(),
    }
}

/// `account` is to have `entitlement`.
pub fn access(target: &dyn Target, account: &str, entitlement: &Value) -> Access {
    Access {
        connection: connection(),
        account: target.account(account),
        entitlement: entitlement.clone(),
        entitlement_id: None,
    }
}

/// Whether the caller is told to try again.
pub fn may_be_tried_again(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Unavailable { .. })
}

/// Runs every fact, and compares the results with the page.
pub async fn hold(target: &dyn Target) {
    results::compare(
        target.provider(target.address()).kind(),
        target.version().await.as_deref(),
        &facts::all(target).await,
    );
}
