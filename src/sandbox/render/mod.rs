//! GitHub's JSON shapes, as the contract describes them.

pub mod checks;
pub mod commits;
pub mod events;
pub mod issues;
pub mod people;
pub mod pulls;
pub mod repos;
pub mod runs;

use chrono::SecondsFormat;

use crate::domain::model::Instant;

use super::world::World;

/// An instant as GitHub writes it.
pub fn time(at: Instant) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// An instant, or null.
pub fn maybe_time(at: Option<Instant>) -> serde_json::Value {
    at.map_or(serde_json::Value::Null, |at| time(at).into())
}

/// GitHub's opaque id of an object.
pub fn node_id(kind: &str, id: u64) -> String {
    format!("{kind}_sandbox{id}")
}

impl World {
    /// The root of the REST interface.
    pub fn api(&self) -> String {
        format!("{}/api/v3", self.base)
    }

    /// The REST address of a repository.
    pub fn repo_url(&self, repo: usize) -> String {
        format!("{}/repos/{}", self.api(), self.full_name(repo))
    }

    /// The web address of a repository.
    pub fn repo_page(&self, repo: usize) -> String {
        format!("{}/{}", self.base, self.full_name(repo))
    }
}
