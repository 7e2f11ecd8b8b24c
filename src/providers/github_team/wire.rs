//! What the repository says of a team, and what GitHub answers about it.

use serde::{Deserialize, Serialize};

/// What an entitlement of this kind looks like, as a JSON Schema (draft 2020-12).
pub const ENTITLEMENT_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Entitlement of a github-team connection",
  "type": "object",
  "additionalProperties": false,
  "required": ["team"],
  "properties": {
    "team": {
      "description": "The team's slug, as in its address: github.com/orgs/<organisation>/teams/<slug>",
      "type": "string",
      "minLength": 1,
      "maxLength": 100,
      "pattern": "^[a-z0-9_][a-z0-9_-]*$"
    },
    "role": {
      "description": "What the person is in the team",
      "enum": ["member", "maintainer"],
      "default": "member"
    }
  }
}"#;

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

#[derive(Serialize)]
pub struct MembershipRequest {
    pub role: TeamRole,
}

#[derive(Deserialize)]
pub struct Membership {
    pub state: String,
    pub role: String,
}

#[derive(Deserialize)]
pub struct User {
    pub id: u64,
    pub login: String,
}

#[derive(Deserialize)]
pub struct Member {
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

#[derive(Deserialize)]
pub struct ChildTeam {
    pub slug: String,
}
