//! What the repository says of a team, and what GitHub answers about it.

use serde::{Deserialize, Serialize};

/// What is given: a place in a team.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    pub team: String,
    #[serde(default)]
    pub role: TeamRole,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TeamRole {
    #[default]
    Member,
    Maintainer,
}

impl TeamRole {
    /// As GitHub calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Maintainer => "maintainer",
        }
    }
}

#[derive(Serialize)]
pub struct MembershipRequest {
    pub role: TeamRole,
}

/// How somebody belongs to a team, or to the organisation.
#[derive(Deserialize)]
pub struct Membership {
    pub state: String,
    pub role: String,
}

#[derive(Deserialize)]
pub struct Member {
    pub id: u64,
    pub login: String,
    /// Whether a member of a child team, and of this one only thereby.
    #[serde(default)]
    pub inherited: bool,
}

#[derive(Deserialize)]
pub struct Invitation {
    pub id: u64,
    pub login: Option<String>,
    pub email: Option<String>,
}

/// A team in a list.
#[derive(Deserialize)]
pub struct ListedTeam {
    pub id: u64,
    pub slug: String,
}

/// A team by itself, which tells of its organisation too.
#[derive(Deserialize)]
pub struct FullTeam {
    pub id: u64,
    pub slug: String,
    pub organization: Organization,
}

#[derive(Deserialize)]
pub struct Organization {
    pub id: u64,
}
