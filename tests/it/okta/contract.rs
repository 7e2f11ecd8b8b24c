//! Okta keeps the contract.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use hallpass::providers::Provider;
use hallpass::providers::http::{Http, LinkLocal, Settings};
use hallpass::providers::okta::Okta;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::server::{Server, TOKEN};
use crate::contract::{self, Target, connection};
use crate::http_client::still;

struct Organisation(&'static Server);

/// A connection to an organisation.
pub fn connect(at: SocketAddr) -> Okta {
    let settings = Settings {
        url: Url::parse(&format!("http://{at}")).unwrap(),
        ca: None,
        link_local: LinkLocal::Refused,
        now: still(),
    };
    let http = Http::with_token(settings, "SSWS", &SecretString::from(TOKEN));
    Okta::new(connection(), http.unwrap())
}

impl Organisation {
    async fn members(&self, entitlement: &Value) -> (String, Vec<String>) {
        let name = entitlement["group"].as_str().unwrap();
        let group = self.0.group(name).await;
        let members = self.0.members(&group).await;
        (group, members)
    }
}

#[async_trait]
impl Target for Organisation {
    fn address(&self) -> SocketAddr {
        self.0.address()
    }

    fn provider(&self, at: SocketAddr) -> Arc<dyn Provider> {
        Arc::new(connect(at))
    }

    fn stranger(&self, _: SocketAddr) -> Result<Arc<dyn Provider>, &'static str> {
        Err("the emulator takes any token; tried with a server that does not")
    }

    async fn add_account(&self, name: &str) -> bool {
        self.0.add_user(name).await.is_some()
    }

    async fn remove_account(&self, name: &str) {
        self.0.remove_user(name).await;
    }

    async fn rename_account(&self, name: &str, new: &str) -> Result<(), &'static str> {
        self.0.rename_user(name, new).await;
        Ok(())
    }

    async fn rename_entitlement(&self, given: &Value, new: &str) -> Result<Value, &'static str> {
        let name = given["group"].as_str().unwrap();
        self.0.rename_group(name, new).await;
        Ok(json!({ "group": new }))
    }

    async fn add_entitlement(&self, name: &str) -> Value {
        self.0.add_group(name).await;
        json!({ "group": name })
    }

    fn unknown_entitlement(&self) -> Value {
        json!({ "group": "nothing\" or profile.name pr or profile.name eq \"" })
    }

    async fn holds(&self, account: &str, entitlement: &Value) -> bool {
        let (_, members) = self.members(entitlement).await;
        members.iter().any(|login| login == account)
    }

    async fn give(&self, account: &str, entitlement: &Value) {
        let user = self.0.user(account).await;
        let (group, _) = self.members(entitlement).await;
        let path = format!("groups/{group}/users/{user}");
        self.0.ask("PUT", &path, None).await.unwrap();
    }

    fn empty_promise(&self) -> Result<(u16, &'static str), &'static str> {
        Ok((204, ""))
    }
}

#[tokio::test]
async fn okta_keeps_the_contract_of_every_provider() {
    contract::hold(&Organisation(Server::shared())).await;
}
