//! What the repository says of an environment, and what GitHub answers about it and about runs that wait for it.

use serde::{Deserialize, Serialize};

use crate::domain::deployment::{Starter, WaitingRun};
use crate::domain::model::{Instant, RepoName, UserId};
use crate::providers::github::User;

/// What is given: deploying to an environment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    pub repository: String,
    pub environment: String,
}

/// An environment that is there.
#[derive(Debug, Deserialize)]
pub struct Environment {
    pub id: u64,
}

/// The custom rules of an environment: only enabled ones are listed, and each says so.
#[derive(Debug, Deserialize)]
pub struct Rules {
    #[serde(default)]
    pub custom_deployment_protection_rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
pub struct Rule {
    pub enabled: bool,
    pub app: RuleApp,
}

#[derive(Debug, Deserialize)]
pub struct RuleApp {
    pub id: u64,
}

/// A page of runs.
#[derive(Debug, Deserialize)]
pub struct Runs {
    pub workflow_runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
pub struct Run {
    pub id: u64,
    pub run_attempt: u64,
    pub status: Option<String>,
    pub triggering_actor: Option<User>,
    pub updated_at: Instant,
}

impl Run {
    /// As the loop knows it.
    pub fn of(self, repository: &RepoName) -> WaitingRun {
        let starter = |user: User| Starter {
            id: UserId(user.id),
            login: user.login,
        };
        WaitingRun {
            repository: repository.clone(),
            id: self.id,
            attempt: self.run_attempt,
            starter: self.triggering_actor.map(starter),
            changed_at: self.updated_at,
        }
    }

    /// Whether a job of it waits for a rule.
    pub fn waits(&self) -> bool {
        self.status.as_deref() == Some("waiting")
    }
}

/// An environment that a job waits for.
#[derive(Debug, Deserialize)]
pub struct Pending {
    pub environment: Named,
}

#[derive(Debug, Deserialize)]
pub struct Named {
    pub name: String,
}

/// An answer for our rule; without a state it is words alone.
#[derive(Debug, Serialize)]
pub struct Review<'a> {
    pub environment_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    pub comment: &'a str,
}
