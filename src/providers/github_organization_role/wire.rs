//! What the repository says of an organisation role, and what GitHub answers about it.

use serde::Deserialize;

/// What is given: a role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    pub role: String,
}

#[derive(Deserialize)]
pub struct Roles {
    pub roles: Vec<Role>,
}

#[derive(Deserialize)]
pub struct Role {
    pub id: u64,
    pub name: String,
}

/// Somebody who has a role.
#[derive(Deserialize)]
pub struct Assigned {
    pub id: u64,
    pub login: String,
    /// `direct`, `indirect` (by a team) or `mixed`; older servers do not tell.
    pub assignment: Option<String>,
    #[serde(default)]
    pub inherited_from: Option<Vec<Team>>,
}

#[derive(Deserialize)]
pub struct Team {
    pub slug: String,
}

impl Assigned {
    /// Whether it was given to them, and not (only) to a team of theirs.
    pub fn is_direct(&self) -> bool {
        self.assignment.as_deref() != Some("indirect")
    }

    /// By which teams they have it.
    pub fn through(&self, organisation: &str) -> Vec<String> {
        let teams = self.inherited_from.iter().flatten();
        let named: Vec<String> = teams
            .map(|team| format!("membership of the team {organisation}/{}", team.slug))
            .collect();
        match named.is_empty() {
            true => vec!["membership of a team that has the role".to_owned()],
            false => named,
        }
    }
}
