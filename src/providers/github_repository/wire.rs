//! What the repository says of a role, and what GitHub answers about it.

use serde::{Deserialize, Serialize};

use crate::providers::github::User;

/// What is given: a role in a repository.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    pub repository: String,
    pub role: String,
}

impl Entitlement {
    /// Whether GitHub's name of a role means this one.
    pub fn is(&self, role: &str) -> bool {
        shown(role) == shown(&self.role)
    }

    /// Whether whoever has `role` may do what this one allows. What an organisation's own role allows nobody can tell: it is taken to
    /// be as much, and less than an administrator may.
    pub fn is_within(&self, role: &str) -> bool {
        match (rank(&self.role), rank(role)) {
            _ if self.is(role) => true,
            (Some(ours), Some(theirs)) => theirs >= ours,
            // What GitHub says of whoever has none.
            (Some(_), None) => role != "none",
            (None, theirs) => theirs == rank("admin"),
        }
    }

    /// What GitHub wants to be told when it gives the role: two have an older name there.
    pub fn permission(&self) -> &str {
        match shown(&self.role) {
            "read" => "pull",
            "write" => "push",
            other => other,
        }
    }
}

/// The role that the web page shows for an older name.
pub fn shown(role: &str) -> &str {
    match role {
        "pull" => "read",
        "push" => "write",
        other => other,
    }
}

/// How much a role of GitHub's own allows; `None` for an organisation's own.
fn rank(role: &str) -> Option<usize> {
    let roles = ["read", "triage", "write", "maintain", "admin"];
    roles.iter().position(|known| *known == shown(role))
}

/// A repository, as GitHub tells it.
#[derive(Deserialize)]
pub struct Repository {
    pub id: u64,
    pub full_name: String,
    pub owner: User,
}

#[derive(Serialize)]
pub struct RoleRequest<'a> {
    pub permission: &'a str,
}

#[derive(Deserialize)]
pub struct Collaborator {
    pub id: u64,
    pub login: String,
    pub role_name: String,
}

#[derive(Deserialize)]
pub struct Invitation {
    pub id: u64,
    pub invitee: Option<User>,
    pub permissions: String,
    #[serde(default)]
    pub expired: bool,
}

#[derive(Deserialize)]
pub struct Effective {
    pub role_name: String,
    /// Whose it is.
    pub user: Option<User>,
}

#[derive(Deserialize)]
pub struct TeamHere {
    pub slug: String,
    pub permission: String,
}

#[derive(Deserialize)]
pub struct Membership {
    pub state: String,
}
