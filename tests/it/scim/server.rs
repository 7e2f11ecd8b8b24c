//! A real SCIM server, and a client of it that is not the provider.

use std::net::SocketAddr;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::program::{Program, tools};

pub const TOKEN: &str = "canary-token";

/// A running server.
#[derive(Debug)]
pub struct Server(Program);

impl Server {
    /// The server that all tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| {
            let program = tools().join("bin/scim2-server").display().to_string();
            Self(Program::start(&[
                &program,
                "--hostname",
                "127.0.0.1",
                "--port",
                "{port}",
                "--bearer-token",
                TOKEN,
            ]))
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Asks, and tells the answer, if it is a yes.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<Value> {
        let url = format!("http://{}/v2/{path}", self.address());
        let request = reqwest::Client::new()
            .request(method.parse().unwrap(), url)
            .bearer_auth(TOKEN)
            .header("content-type", "application/scim+json");
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let response = request.send().await.unwrap();
        let fine = response.status().is_success();
        let text = response.text().await.unwrap();
        fine.then(|| serde_json::from_str(&text).unwrap_or_default())
    }

    async fn all(&self, collection: &str) -> Vec<Value> {
        let all = self
            .ask("GET", &format!("{collection}?count=1000"), None)
            .await
            .unwrap();
        all["Resources"].as_array().unwrap().clone()
    }

    /// The ids of those whose `attribute` is `value`.
    pub async fn ids(&self, collection: &str, attribute: &str, value: &str) -> Vec<String> {
        let all = self.all(collection).await;
        let these = all.iter().filter(|one| one[attribute] == value);
        these
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Makes an account, and tells its id.
    pub async fn add_user(&self, name: &str) -> Option<String> {
        let schema = "urn:ietf:params:scim:schemas:core:2.0:User";
        let user = json!({ "schemas": [schema], "userName": name });
        let made = self.ask("POST", "Users", Some(user)).await?;
        Some(made["id"].as_str()?.to_owned())
    }

    pub async fn remove_user(&self, name: &str) {
        let id = self.ids("Users", "userName", name).await.remove(0);
        self.ask("DELETE", &format!("Users/{id}"), None)
            .await
            .unwrap();
    }

    pub async fn add_group(&self, name: &str) -> String {
        let schema = "urn:ietf:params:scim:schemas:core:2.0:Group";
        let group = json!({ "schemas": [schema], "displayName": name });
        let made = self.ask("POST", "Groups", Some(group)).await.unwrap();
        made["id"].as_str().unwrap().to_owned()
    }

    pub async fn remove_group(&self, id: &str) {
        self.ask("DELETE", &format!("Groups/{id}"), None)
            .await
            .unwrap();
    }

    pub async fn members(&self, group: &str) -> Vec<String> {
        let group = self
            .ask("GET", &format!("Groups/{group}"), None)
            .await
            .unwrap();
        let members = group["members"].as_array().cloned().unwrap_or_default();
        let ids = members
            .iter()
            .map(|member| member["value"].as_str().unwrap().to_owned());
        ids.collect()
    }

    async fn patch(&self, path: &str, operation: Value) {
        let schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
        let patch = json!({ "schemas": [schema], "Operations": [operation] });
        self.ask("PATCH", path, Some(patch)).await.unwrap();
    }

    pub async fn add_member(&self, group: &str, id: &str, kind: Option<&str>) {
        let mut member = json!({ "value": id });
        if let Some(kind) = kind {
            member["type"] = kind.into();
        }
        let add = json!({ "op": "add", "path": "members", "value": [member] });
        self.patch(&format!("Groups/{group}"), add).await;
    }

    pub async fn rename_user(&self, id: &str, name: &str) {
        let replace = json!({ "op": "replace", "path": "userName", "value": name });
        self.patch(&format!("Users/{id}"), replace).await;
    }

    pub async fn rename_group(&self, id: &str, name: &str) {
        let replace = json!({ "op": "replace", "path": "displayName", "value": name });
        self.patch(&format!("Groups/{id}"), replace).await;
    }

    pub async fn deactivate(&self, id: &str) {
        let replace = json!({ "op": "replace", "path": "active", "value": false });
        self.patch(&format!("Users/{id}"), replace).await;
    }
}
