//! SCIM keeps the contract.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use hallpass::providers::Provider;
use hallpass::providers::http::{Http, LinkLocal, Settings};
use hallpass::providers::scim::Scim;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::server::{Server, TOKEN};
use crate::contract::{self, Target, connection};
use crate::http_client::still;

pub struct Cloud(pub &'static Server);

/// A connection to a SCIM server.
pub fn connect(url: &str, token: &str) -> Scim {
    let settings = Settings {
        url: Url::parse(url).unwrap(),
        ca: None,
        link_local: LinkLocal::Refused,
        now: still(),
    };
    let http = Http::with_token(settings, "Bearer", &SecretString::from(token));
    Scim::new(connection(), http.unwrap())
}

impl Cloud {
    pub fn connect(&self, at: SocketAddr, token: &str) -> Scim {
        connect(&format!("http://{at}/v2"), token)
    }

    async fn members(&self, entitlement: &Value) -> (String, Vec<String>) {
        let name = entitlement["group"].as_str().unwrap();
        let group = self.0.ids("Groups", "displayName", name).await.remove(0);
        let members = self.0.members(&group).await;
        (group, members)
    }
}

#[async_trait]
impl Target for Cloud {
    fn address(&self) -> SocketAddr {
        self.0.address()
    }

    fn provider(&self, at: SocketAddr) -> Arc<dyn Provider> {
        Arc::new(self.connect(at, TOKEN))
    }

    fn stranger(&self, at: SocketAddr) -> Result<Arc<dyn Provider>, &'static str> {
        Ok(Arc::new(self.connect(at, "guessed")))
    }

    async fn add_account(&self, name: &str) -> bool {
        self.0.add_user(name).await.is_some()
    }

    async fn remove_account(&self, name: &str) {
        self.0.remove_user(name).await;
    }

    async fn rename_account(&self, name: &str, new: &str) -> Result<(), &'static str> {
        let id = self.0.ids("Users", "userName", name).await.remove(0);
        self.0.rename_user(&id, new).await;
        Ok(())
    }

    async fn rename_entitlement(&self, given: &Value, new: &str) -> Result<Value, &'static str> {
        let (group, _) = self.members(given).await;
        self.0.rename_group(&group, new).await;
        Ok(json!({ "group": new }))
    }

    async fn add_entitlement(&self, name: &str) -> Value {
        self.0.add_group(name).await;
        json!({ "group": name })
    }

    fn unknown_entitlement(&self) -> Value {
        json!({ "group": "nothing\" or displayName pr or displayName eq \"" })
    }

    async fn holds(&self, account: &str, entitlement: &Value) -> bool {
        let ids = self.0.ids("Users", "userName", account).await;
        let (_, members) = self.members(entitlement).await;
        ids.iter().any(|id| members.contains(id))
    }

    async fn give(&self, account: &str, entitlement: &Value) {
        let id = self.0.ids("Users", "userName", account).await.remove(0);
        let (group, _) = self.members(entitlement).await;
        self.0.add_member(&group, &id, None).await;
    }

    fn empty_promise(&self) -> Result<(u16, &'static str), &'static str> {
        Ok((200, "{}"))
    }
}

#[tokio::test]
async fn scim_keeps_the_contract_of_every_provider() {
    contract::hold(&Cloud(Server::shared())).await;
}
