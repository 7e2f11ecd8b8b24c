//! An emulator of Okta that we did not write, and a client of it that is not the provider.

use std::net::SocketAddr;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::program::{Program, tools};

pub const TOKEN: &str = "canary-okta";

/// The longest page that the emulator gives.
const PAGE: usize = 100;

const SCRIPT: &str = "\
const { createEmulator } = await import(process.argv[1]); \
await createEmulator({ service: 'okta', port: Number(process.argv[2]) });";

/// A running emulator.
#[derive(Debug)]
pub struct Server(Program);

impl Server {
    /// The one that all tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| {
            let library = tools().join("node/node_modules/emulate/dist/api.js");
            let library = library.display().to_string();
            let words = [
                "node",
                "--input-type=module",
                "-e",
                SCRIPT,
                &library,
                "{port}",
            ];
            Self(Program::start(&words))
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Asks, and tells the answer, if it is a yes.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<Value> {
        let url = format!("http://{}/api/v1/{path}", self.address());
        let request = reqwest::Client::new()
            .request(method.parse().unwrap(), url)
            .header("authorization", "SSWS tests")
            .header("content-type", "application/json");
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let response = request.send().await.unwrap();
        let fine = response.status().is_success();
        let text = response.text().await.unwrap();
        fine.then(|| serde_json::from_str(&text).unwrap_or_default())
    }

    async fn all(&self, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        for page in 1.. {
            let path = format!("{path}?per_page={PAGE}&page={page}");
            let found = self.ask("GET", &path, None).await.unwrap();
            let found = found.as_array().unwrap();
            all.extend(found.iter().cloned());
            if found.len() < PAGE {
                break;
            }
        }
        all
    }

    /// The id of the account of exactly this login.
    pub async fn user(&self, login: &str) -> String {
        let all = self.all("users").await;
        let this = all.iter().find(|user| user["profile"]["login"] == login);
        this.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Makes an account, and tells its id.
    pub async fn add_user(&self, login: &str) -> Option<String> {
        let profile = json!({ "login": login, "email": format!("{login}@example.org"), "firstName": "A", "lastName": "B" });
        let made = self
            .ask(
                "POST",
                "users?activate=true",
                Some(json!({ "profile": profile })),
            )
            .await?;
        Some(made["id"].as_str()?.to_owned())
    }

    async fn change(&self, path: String, profile: Value) {
        let body = json!({ "profile": profile });
        self.ask("PUT", &path, Some(body)).await.unwrap();
    }

    pub async fn rename_user(&self, login: &str, new: &str) {
        let path = format!("users/{}", self.user(login).await);
        let profile = json!({ "login": new, "email": format!("{new}@example.org") });
        self.change(path, profile).await;
    }

    pub async fn rename_group(&self, name: &str, new: &str) {
        let path = format!("groups/{}", self.group(name).await);
        self.change(path, json!({ "name": new })).await;
    }

    pub async fn remove_user(&self, login: &str) {
        let path = format!("users/{}", self.user(login).await);
        // As at Okta the first deactivates, the second deletes.
        for _ in 0..2 {
            self.ask("DELETE", &path, None).await;
        }
        assert_eq!(self.ask("GET", &path, None).await, None);
    }

    pub async fn add_group(&self, name: &str) -> String {
        let group = json!({ "profile": { "name": name, "description": "of a test" } });
        let made = self.ask("POST", "groups", Some(group)).await.unwrap();
        made["id"].as_str().unwrap().to_owned()
    }

    /// The id of the group of this name.
    pub async fn group(&self, name: &str) -> String {
        let all = self.all("groups").await;
        let this = all.iter().find(|group| group["profile"]["name"] == name);
        this.unwrap()["id"].as_str().unwrap().to_owned()
    }

    pub async fn members(&self, group: &str) -> Vec<String> {
        let members = self.all(&format!("groups/{group}/users")).await;
        let login = |user: &Value| user["profile"]["login"].as_str().unwrap().to_owned();
        members.iter().map(login).collect()
    }
}
