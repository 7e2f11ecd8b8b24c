//! OpenLDAP keeps the contract.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use hallpass::providers::Provider;
use hallpass::providers::ldap::Ldap;
use ldap3::Mod;
use serde_json::{Value, json};

use super::connecting;
use super::server::{SUFFIX, Server, person};
use crate::contract::{self, Target, connection};

struct Directory(&'static Server);

fn people() -> String {
    format!("ou=people,ou=contract,{SUFFIX}")
}

fn groups() -> String {
    format!("ou=groups,ou=contract,{SUFFIX}")
}

impl Directory {
    fn connect(&self, at: SocketAddr, password: &str) -> Arc<dyn Provider> {
        let how = connecting("contract", &format!("ldap://{at}"), password);
        Arc::new(Ldap::new(connection(), how).unwrap())
    }
}

#[async_trait]
impl Target for Directory {
    fn address(&self) -> SocketAddr {
        self.0.address()
    }

    fn provider(&self, at: SocketAddr) -> Arc<dyn Provider> {
        self.connect(at, "secret")
    }

    fn stranger(&self, at: SocketAddr) -> Result<Arc<dyn Provider>, &'static str> {
        Ok(self.connect(at, "guessed"))
    }

    async fn add_account(&self, name: &str) -> bool {
        self.0.add_person(&people(), name).await.rc == 0
    }

    async fn remove_account(&self, name: &str) {
        let dn = person(&people(), name);
        self.0.delete(&dn).await;
        self.0.mend(&groups(), &dn, None).await;
    }

    async fn rename_account(&self, name: &str, new: &str) -> Result<(), &'static str> {
        let (dn, new_dn) = (person(&people(), name), person(&people(), new));
        self.0.rename(&dn, &format!("uid={new}"), None).await;
        self.0.mend(&groups(), &dn, Some(&new_dn)).await;
        Ok(())
    }

    async fn rename_entitlement(&self, old: &Value, new: &str) -> Result<Value, &'static str> {
        let old = old["group"].as_str().unwrap();
        self.0.rename(old, &format!("cn={new}"), None).await;
        Ok(json!({ "group": format!("cn={new},{}", groups()) }))
    }

    async fn add_entitlement(&self, name: &str) -> Value {
        let dn = format!("cn={name},{}", groups());
        let attributes = [
            ("objectClass", "groupOfNames"),
            ("cn", name),
            ("member", "cn=nobody"),
        ];
        self.0.add(&dn, &attributes).await;
        json!({ "group": dn })
    }

    fn unknown_entitlement(&self) -> Value {
        json!({ "group": format!("cn=nothing,{}", groups()) })
    }

    async fn holds(&self, account: &str, entitlement: &Value) -> bool {
        let group = entitlement["group"].as_str().unwrap();
        let mut admin = self.0.admin().await;
        let compared = admin
            .compare(group, "member", person(&people(), account))
            .await
            .unwrap();
        compared.equal().unwrap()
    }

    async fn give(&self, account: &str, entitlement: &Value) {
        let (group, person) = (
            entitlement["group"].as_str().unwrap(),
            person(&people(), account),
        );
        if !self.holds(account, entitlement).await {
            self.0.modify(group, Mod::Add, "member", person).await;
        }
    }
}

#[tokio::test]
async fn ldap_keeps_the_contract_of_every_provider() {
    let server = Server::shared();
    super::branch(server, "contract").await;
    contract::hold(&Directory(server)).await;
}
