//! What the GitHub App must be allowed, and of what it must be told: the one list that `hallpass doctor` looks for and that a new App is
//! registered with.

use std::collections::BTreeMap;

use crate::config::{Config, Provider};
use crate::domain::doctor::{EVENTS, Needed};
use crate::domain::model::Login;
use crate::forge::github::GitHub;
use crate::github_app::Permission;
use crate::providers::{
    github_deployment, github_organization_role, github_repository, github_team,
};

/// A kind of connection that goes by the App.
struct Kind {
    name: &'static str,
    permissions: &'static [Permission],
    events: &'static [&'static str],
}

/// The kinds of connections that go by the App.
const KINDS: [Kind; 4] = [
    Kind {
        name: "github-deployment",
        permissions: github_deployment::PERMISSIONS,
        events: &["deployment_protection_rule"],
    },
    Kind {
        name: "github-organization-role",
        permissions: github_organization_role::PERMISSIONS,
        events: &[],
    },
    Kind {
        name: "github-repository",
        permissions: github_repository::PERMISSIONS,
        events: &[],
    },
    Kind {
        name: "github-team",
        permissions: github_team::PERMISSIONS,
        events: &[],
    },
];

/// What the App needs at each account: at `owner`, which has the access repository, and at those of `connections`, each a kind and the
/// organisation that it gives in.
pub fn of<'a>(
    owner: &Login,
    connections: impl Iterator<Item = (&'a str, Login)>,
) -> BTreeMap<Login, Needed> {
    let mut needed: BTreeMap<Login, Needed> = BTreeMap::new();
    let forge = needed.entry(owner.clone()).or_default();
    add(forge, &GitHub::permissions(), &EVENTS);
    for (name, account) in connections {
        if let Some(kind) = KINDS.iter().find(|kind| kind.name == name) {
            let of_account = needed.entry(account).or_default();
            add(of_account, kind.permissions, kind.events);
        }
    }
    needed
}

/// [`of`], for a configuration.
pub fn of_config(config: &Config) -> BTreeMap<Login, Needed> {
    let connections = config.providers.values().filter_map(|provider| {
        let (kind, organisation) = match provider {
            Provider::GithubDeployment { organisation } => ("github-deployment", organisation),
            Provider::GithubOrganizationRole { organisation } => {
                ("github-organization-role", organisation)
            }
            Provider::GithubRepository { organisation } => ("github-repository", organisation),
            Provider::GithubTeam { organisation } => ("github-team", organisation),
            _ => return None,
        };
        Some((kind, organisation.clone()))
    });
    of(&config.github.repository.owner, connections)
}

/// What an App must have that is installed at all of them: an App is registered with one list.
pub fn together(needed: &BTreeMap<Login, Needed>) -> Needed {
    let mut all = Needed::default();
    for of_account in needed.values() {
        for (name, level) in &of_account.permissions {
            raise(&mut all, name, level);
        }
        all.events.extend(of_account.events.iter().cloned());
    }
    all
}

fn add(needed: &mut Needed, permissions: &[Permission], events: &[&str]) {
    for (name, level) in permissions {
        raise(needed, name, level);
    }
    needed.events.extend(events.iter().map(ToString::to_string));
}

fn raise(needed: &mut Needed, name: &str, level: &str) {
    let kept = needed.permissions.entry(name.to_owned()).or_default();
    if kept != "write" {
        level.clone_into(kept);
    }
}
