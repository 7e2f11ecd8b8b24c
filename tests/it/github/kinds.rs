//! The kinds of GitHub keep the contract, against the stand-in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hallpass::domain::model::{Account, Login, UserId};
use hallpass::providers::Provider;
use hallpass::providers::github_deployment::{self, GithubDeployment};
use hallpass::providers::github_organization_role::{self, GithubOrganizationRole};
use hallpass::providers::github_repository::{self, GithubRepository};
use hallpass::providers::github_team::{self, GithubTeam};
use hallpass::sandbox::{AccountKind, Permission};
use serde_json::{Value, json};

use super::standin::{World, github_at};
use crate::contract::{self, Target, connection};

/// Which kind is tried.
#[derive(Debug, Clone, Copy)]
enum Which {
    Team,
    Repository,
    OrganizationRole,
    Deployment,
}

/// Why names at GitHub do not matter to the kind that keeps nothing there.
const ASKED: &str =
    "nothing is kept there: the ledger is asked at each use, by the account's number";

struct Org {
    world: World,
    which: Which,
    /// Numbers of accounts: those that are gone too.
    ids: Mutex<BTreeMap<String, u64>>,
    fresh: AtomicU64,
}

impl Org {
    async fn new(which: Which) -> Self {
        let world = World::new().await;
        // Whatever a member may do anyhow would be named as left.
        world.sandbox.base_permission(None);
        for (name, level) in [
            ("administration", "write"),
            ("organization_custom_org_roles", "read"),
            ("actions", "read"),
            ("deployments", "write"),
        ] {
            world.sandbox.app_permission(7, name, Some(level));
        }
        Self {
            world,
            which,
            ids: Mutex::default(),
            fresh: AtomicU64::new(5_000_000),
        }
    }

    fn connect(&self, at: SocketAddr, app: u64) -> Arc<dyn Provider> {
        let organisation = Login::new("acme").unwrap();
        let api = self.world.sandbox.api_url();
        let api = api.replace(&self.address().to_string(), &at.to_string());
        let github = github_at(&api, &api, app, self.world.clock.clone());
        let client =
            |permissions| github.client_for_organisation(&organisation, Some(70), permissions);
        let (name, org) = (connection(), organisation.clone());
        match self.which {
            Which::Team => Arc::new(GithubTeam::new(name, org, client(github_team::PERMISSIONS))),
            Which::Repository => {
                let client = client(github_repository::PERMISSIONS);
                Arc::new(GithubRepository::new(name, org, client))
            }
            Which::OrganizationRole => {
                let client = client(github_organization_role::PERMISSIONS);
                Arc::new(GithubOrganizationRole::new(name, org, client))
            }
            Which::Deployment => {
                let client = client(github_deployment::PERMISSIONS);
                Arc::new(GithubDeployment::new(name, org, client))
            }
        }
    }
}

#[async_trait]
impl Target for Org {
    fn address(&self) -> SocketAddr {
        let url = self.world.sandbox.url();
        url.trim_start_matches("http://").parse().unwrap()
    }

    fn provider(&self, at: SocketAddr) -> Arc<dyn Provider> {
        self.connect(at, 7)
    }

    fn stranger(&self, at: SocketAddr) -> Result<Arc<dyn Provider>, &'static str> {
        Ok(self.connect(at, 8))
    }

    fn account(&self, name: &str) -> Account {
        let id = self.ids.lock().unwrap().get(name).copied();
        Account {
            name: name.to_owned(),
            github_id: Some(UserId(id.unwrap_or(4_999_999))),
            id: None,
        }
    }

    async fn add_account(&self, name: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !name.chars().all(plain) {
            return false;
        }
        let id = self.fresh.fetch_add(1, Ordering::Relaxed);
        self.ids.lock().unwrap().insert(name.to_owned(), id);
        let sandbox = &self.world.sandbox;
        sandbox.account(name, Some(id), AccountKind::User);
        sandbox.join(name);
        true
    }

    async fn remove_account(&self, name: &str) {
        self.world.sandbox.delete_user(name);
    }

    async fn rename_account(&self, name: &str, new: &str) -> Result<(), &'static str> {
        if matches!(self.which, Which::Deployment) {
            return Err(ASKED);
        }
        self.world.sandbox.rename_user(name, new);
        let mut ids = self.ids.lock().unwrap();
        let id = ids.remove(name).unwrap();
        ids.insert(new.to_owned(), id);
        Ok(())
    }

    async fn rename_entitlement(&self, old: &Value, new: &str) -> Result<Value, &'static str> {
        let sandbox = &self.world.sandbox;
        let key = match self.which {
            Which::Team => "team",
            Which::Repository => "repository",
            Which::OrganizationRole => "role",
            Which::Deployment => return Err(ASKED),
        };
        let name = old[key].as_str().unwrap();
        match self.which {
            Which::Team => sandbox.rename_team(name, new),
            Which::Repository => sandbox.rename_repository(name, new).unwrap(),
            _ => sandbox.rename_organisation_role(name, new),
        }
        let mut renamed = old.clone();
        renamed[key] = new.into();
        Ok(renamed)
    }

    async fn add_entitlement(&self, name: &str) -> Value {
        let sandbox = &self.world.sandbox;
        match self.which {
            Which::Team => {
                sandbox.team(name, &[]);
                json!({ "team": name })
            }
            Which::Repository => {
                sandbox
                    .repository(name, &[("README.md", "Here\n")])
                    .unwrap();
                json!({ "repository": name, "role": "write" })
            }
            Which::OrganizationRole => {
                sandbox.organisation_role(name);
                json!({ "role": name })
            }
            Which::Deployment => {
                sandbox
                    .repository(name, &[("README.md", "Here\n")])
                    .unwrap();
                sandbox.environment(name, "production");
                sandbox.protect(name, "production", 7, true);
                json!({ "repository": format!("acme/{name}"), "environment": "production" })
            }
        }
    }

    fn unknown_entitlement(&self) -> Value {
        match self.which {
            Which::Team => json!({ "team": "nowhere" }),
            Which::Repository => json!({ "repository": "nowhere", "role": "write" }),
            Which::OrganizationRole => json!({ "role": "../../users/grace" }),
            Which::Deployment => {
                json!({ "repository": "acme/nowhere", "environment": "../../production" })
            }
        }
    }

    async fn holds(&self, account: &str, entitlement: &Value) -> bool {
        let sandbox = &self.world.sandbox;
        let of = |key: &str| entitlement[key].as_str().unwrap().to_owned();
        match self.which {
            Which::Team => {
                let members = sandbox.team_members(&of("team"));
                members.iter().any(|(login, _)| login == account)
            }
            Which::Repository => {
                sandbox.collaborates(&of("repository"), account) == Some(Permission::Push)
            }
            Which::OrganizationRole => sandbox.has_role(&of("role"), account),
            // Whether anything was ever changed at GitHub.
            Which::Deployment => {
                let token = "/app/installations/{installation_id}/access_tokens";
                let calls = sandbox.calls();
                let mut changes = calls.keys().filter(|call| !call.ends_with(token));
                changes.any(|call| !call.starts_with("GET "))
            }
        }
    }

    async fn give(&self, account: &str, entitlement: &Value) {
        let sandbox = &self.world.sandbox;
        let of = |key: &str| entitlement[key].as_str().unwrap().to_owned();
        match self.which {
            Which::Team => drop(sandbox.join_team(account, &of("team"))),
            Which::Repository => {
                sandbox.collaborator(&of("repository"), account, Some(Permission::Push));
            }
            Which::OrganizationRole => sandbox.give_role(&of("role"), account),
            Which::Deployment => unreachable!("there is nothing that could be given by hand"),
        }
    }

    fn has_ids(&self) -> Result<(), &'static str> {
        match self.which {
            Which::Deployment => Err(ASKED),
            _ => Ok(()),
        }
    }

    fn empty_promise(&self) -> Result<(u16, &'static str), &'static str> {
        Ok((204, ""))
    }
}

#[tokio::test]
async fn teams_keep_the_contract_of_every_provider() {
    contract::hold(&Org::new(Which::Team).await).await;
}

#[tokio::test]
async fn repositories_keep_the_contract_of_every_provider() {
    contract::hold(&Org::new(Which::Repository).await).await;
}

#[tokio::test]
async fn organisation_roles_keep_the_contract_of_every_provider() {
    contract::hold(&Org::new(Which::OrganizationRole).await).await;
}

#[tokio::test]
async fn deployments_keep_the_contract_of_every_provider() {
    contract::hold(&Org::new(Which::Deployment).await).await;
}
