//! The kinds of AWS keep the contract.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hallpass::providers::Provider;
use hallpass::providers::aws::Keys;
use hallpass::providers::aws_iam::AwsIam;
use hallpass::providers::aws_identity_center::AwsIdentityCenter;
use hallpass::providers::http::{Http, LinkLocal, Settings};
use serde_json::{Value, json};
use url::Url;

use super::server::{ACCOUNT, Server};
use crate::contract::{self, Target, connection};
use crate::http_client::still;

pub fn keys() -> Keys {
    Keys {
        region: "us-east-1".to_owned(),
        access_key: "AKIATEST".to_owned(),
        secret_key: "canary-aws".into(),
        session_token: None,
    }
}

pub fn http(at: SocketAddr) -> Http {
    let settings = Settings {
        url: Url::parse(&format!("http://{at}/")).unwrap(),
        ca: None,
        link_local: LinkLocal::Refused,
        now: still(),
    };
    Http::new(settings).unwrap()
}

pub fn center(at: SocketAddr) -> AwsIdentityCenter {
    AwsIdentityCenter::new(connection(), http(at), http(at), keys())
}

pub fn iam(at: SocketAddr) -> AwsIam {
    AwsIam::new(connection(), http(at), http(at), keys())
}

/// What is given.
#[derive(Debug, Clone, Copy)]
enum Gives {
    Assignment,
    Group,
    IamGroup,
}

struct Aws {
    server: &'static Server,
    gives: Gives,
    /// What has no other way to be found by its name.
    ids: Mutex<BTreeMap<String, String>>,
}

impl Aws {
    fn new(gives: Gives) -> Self {
        Self {
            server: Server::shared(),
            gives,
            ids: Mutex::default(),
        }
    }

    /// Tests share one server.
    fn named(&self, name: &str) -> String {
        let place = match self.gives {
            Gives::Assignment => "a",
            Gives::Group => "g",
            Gives::IamGroup => "i",
        };
        format!("{name}{place}")
    }

    /// What is given there by this name: AWS takes 32 characters.
    fn called(&self, name: &str) -> String {
        let name = self.named(name).replace("kept_", "");
        name.chars().take(32).collect()
    }

    fn id(&self, entitlement: &Value) -> String {
        let name = entitlement["permission_set"].as_str();
        let name = name.or(entitlement["group"].as_str()).unwrap();
        self.ids.lock().unwrap().get(name).unwrap().clone()
    }
}

#[async_trait]
impl Target for Aws {
    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    fn provider(&self, at: SocketAddr) -> Arc<dyn Provider> {
        match self.gives {
            Gives::IamGroup => Arc::new(iam(at)),
            _ => Arc::new(center(at)),
        }
    }

    fn stranger(&self, _: SocketAddr) -> Result<Arc<dyn Provider>, &'static str> {
        Err("moto takes any keys; tried with a server that does not")
    }

    fn account(&self, name: &str) -> hallpass::domain::model::Account {
        hallpass::domain::model::Account {
            name: self.named(name),
            github_id: Some(hallpass::domain::model::UserId(1)),
            id: None,
        }
    }

    async fn add_account(&self, name: &str) -> bool {
        let name = self.named(name);
        let plain = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if matches!(self.gives, Gives::IamGroup) {
            // moto takes any; AWS takes these.
            let fine = name.chars().all(plain);
            return fine
                && self
                    .server
                    .iam("CreateUser", &[("UserName", &name)])
                    .await
                    .is_some();
        }
        let user = json!({ "UserName": name, "DisplayName": name, "Name": { "GivenName": "A", "FamilyName": "B" } });
        self.server.store("CreateUser", user).await.is_some()
    }

    async fn remove_account(&self, name: &str) {
        let name = self.named(name);
        if matches!(self.gives, Gives::IamGroup) {
            let groups = self.ids.lock().unwrap().clone();
            for group in groups.keys() {
                let fields = [("GroupName", group.as_str()), ("UserName", &name)];
                self.server.iam("RemoveUserFromGroup", &fields).await;
            }
            let fields = [("UserName", name.as_str())];
            return assert!(self.server.iam("DeleteUser", &fields).await.is_some());
        }
        let id = self.server.user(&name).await.unwrap();
        let removed = self.server.store("DeleteUser", json!({ "UserId": id }));
        assert!(removed.await.is_some());
    }

    async fn rename_account(&self, name: &str, new: &str) -> Result<(), &'static str> {
        if !matches!(self.gives, Gives::IamGroup) {
            return Err("moto renames no account there; tried with a server that does");
        }
        let (name, new) = (self.named(name), self.named(new));
        let fields = [("UserName", name.as_str()), ("NewUserName", &new)];
        assert!(self.server.iam("UpdateUser", &fields).await.is_some());
        Ok(())
    }

    async fn rename_entitlement(&self, given: &Value, new: &str) -> Result<Value, &'static str> {
        if !matches!(self.gives, Gives::IamGroup) {
            return Err(
                "AWS keeps the names of permission sets, and moto those of groups; tried with a server that does not",
            );
        }
        let (name, new) = (self.id(given), self.called(new));
        let fields = [("GroupName", name.as_str()), ("NewGroupName", &new)];
        assert!(self.server.iam("UpdateGroup", &fields).await.is_some());
        self.ids.lock().unwrap().insert(new.clone(), new.clone());
        Ok(json!({ "group": new }))
    }

    async fn add_entitlement(&self, name: &str) -> Value {
        let name = self.called(name);
        if matches!(self.gives, Gives::Assignment) {
            // Each set that is there is looked at: those of facts that are over would only make the next ones longer.
            let over = std::mem::take(&mut *self.ids.lock().unwrap());
            for set in over.values() {
                let body = json!({ "PermissionSetArn": set });
                assert!(
                    self.server
                        .center("DeletePermissionSet", body)
                        .await
                        .is_some()
                );
            }
        }
        let (id, entitlement) = match self.gives {
            Gives::Assignment => (
                self.server.permission_set(&name).await,
                json!({ "account": ACCOUNT, "permission_set": name }),
            ),
            Gives::Group => (self.server.group(&name).await, json!({ "group": name })),
            Gives::IamGroup => {
                let fields = [("GroupName", name.as_str())];
                assert!(self.server.iam("CreateGroup", &fields).await.is_some());
                (name.clone(), json!({ "group": name }))
            }
        };
        self.ids.lock().unwrap().insert(name, id);
        entitlement
    }

    fn unknown_entitlement(&self) -> Value {
        match self.gives {
            Gives::Assignment => json!({ "account": ACCOUNT, "permission_set": "nothing" }),
            Gives::Group => json!({ "group": "nothing\" or *" }),
            Gives::IamGroup => json!({ "group": "nothing" }),
        }
    }

    async fn holds(&self, account: &str, entitlement: &Value) -> bool {
        let (name, id) = (self.named(account), self.id(entitlement));
        if matches!(self.gives, Gives::IamGroup) {
            let group = self
                .server
                .iam("GetGroup", &[("GroupName", &id)])
                .await
                .unwrap();
            return group.contains(&format!("<UserName>{name}</UserName>"));
        }
        let Some(user) = self.server.user(&name).await else {
            return false;
        };
        let holders = match self.gives {
            Gives::Assignment => self.server.assigned(&id).await,
            _ => self.server.members(&id).await,
        };
        holders.contains(&user)
    }

    async fn give(&self, account: &str, entitlement: &Value) {
        let (name, id) = (self.named(account), self.id(entitlement));
        if matches!(self.gives, Gives::IamGroup) {
            let fields = [("GroupName", id.as_str()), ("UserName", &name)];
            return assert!(self.server.iam("AddUserToGroup", &fields).await.is_some());
        }
        let user = self.server.user(&name).await.unwrap();
        match self.gives {
            Gives::Assignment => self.server.assign(&id, "USER", &user).await,
            _ => self.server.join(&id, &user).await,
        }
    }

    fn empty_promise(&self) -> Result<(u16, &'static str), &'static str> {
        Ok((200, "{}"))
    }
}

#[tokio::test]
async fn permission_sets_keep_the_contract_of_every_provider() {
    contract::hold(&Aws::new(Gives::Assignment)).await;
}

#[tokio::test]
async fn groups_of_the_identity_store_keep_the_contract_of_every_provider() {
    contract::hold(&Aws::new(Gives::Group)).await;
}

#[tokio::test]
async fn iam_groups_keep_the_contract_of_every_provider() {
    contract::hold(&Aws::new(Gives::IamGroup)).await;
}
