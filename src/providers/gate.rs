//! The port to targets that keep nothing: they ask at each use, and the ledger answers.

use async_trait::async_trait;

use super::ProviderError;
use crate::domain::deployment::{Deployment, Place, WaitingRun};
use crate::domain::model::RepoName;

/// What became of what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It was taken; what the read-back found, in a phrase.
    Taken(String),
    /// The target would not, in its own words: nothing waits for us there, or no longer. It had no effect.
    Declined(String),
}

/// Where deployments wait for us.
#[async_trait]
pub trait Gate: Send + Sync {
    /// The environment that an entitlement is for; `None` for one of another shape.
    fn place(&self, entitlement: &serde_json::Value) -> Option<Place>;

    /// Whether what waits in `repository` waits here, if it waits for us.
    fn answers_for(&self, repository: &RepoName) -> bool;

    /// Every run of `repository` that waits for something, as it is now: for us, or for others only.
    async fn waiting(&self, repository: &RepoName) -> Result<Vec<WaitingRun>, ProviderError>;

    /// What waits of `run`, as it is now.
    async fn jobs(&self, run: &WaitingRun) -> Result<Vec<Deployment>, ProviderError>;

    /// Whether deployments to `place` ask us at all.
    async fn guards(&self, place: &Place) -> Result<bool, ProviderError>;

    /// Whether it still waits, and is still this attempt by this account.
    async fn still_waits(&self, deployment: &Deployment) -> Result<bool, ProviderError>;

    /// Lets it through. Whether a call that failed as unavailable had an effect is unknown.
    async fn approve(&self, deployment: &Deployment, words: &str) -> Result<Said, ProviderError>;

    /// Says something about it, and decides nothing.
    async fn tell(&self, deployment: &Deployment, words: &str) -> Result<Said, ProviderError>;
}
