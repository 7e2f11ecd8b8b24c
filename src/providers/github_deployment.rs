//! `github-deployment`: deploying to a protected environment, decided run by run.
//!
//! Promises:
//! - Nothing is kept at GitHub. The App is a custom deployment protection rule of the environment, GitHub asks it about each job, and
//!   the answer is the ledger's entry at that moment: what ended lets nothing through, whether or not GitHub can be reached.
//! - A grant begins only while the rule is on: without it everybody may deploy, and a grant would mean nothing.
//! - Everything that decides is read afresh. Where a webhook says to answer is not looked at.
//! - Nothing is ever rejected: what waits goes on waiting, until a grant begins or GitHub gives it up.
//!
//! Accepted race: GitHub takes answers by run, not by attempt. A run that is cancelled and run again by somebody else between our last
//! look and our answer is let through by it; the read-back tells.

mod wire;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use wire::{Entitlement, Environment, Pending, Review, Rules, Run, Runs};

use super::github::Hub;
use super::{Gate, Provider, ProviderError, Said};
use crate::domain::decision::Approved;
use crate::domain::deployment::{Deployment, Place, WaitingRun};
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, Account, ConnectionName, Login, RepoName};
use crate::domain::target::{Change, Kind, Names, Order};
use crate::github_app::{Installation, Permission, path, query};

/// Environments of repositories of an organisation.
pub const KIND: Kind = Kind {
    name: "github-deployment",
    gives: "deploying to a protected environment",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Entitlement of a github-deployment connection",
  "type": "object",
  "additionalProperties": false,
  "required": ["repository", "environment"],
  "properties": {
    "repository": {
      "description": "The repository as owner/name; the owner is the connection's organisation",
      "type": "string",
      "maxLength": 140,
      "pattern": "^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_-][A-Za-z0-9_.-]*$"
    },
    "environment": {
      "description": "The environment's name, as in the settings of the repository",
      "type": "string",
      "minLength": 1,
      "maxLength": 255
    }
  }
}"#,
    residual: "A job that was let through before goes on to its end; every other is asked about anew.",
    native_expiry: None,
    names: Names::CaseInsensitive,
};

/// What a token needs for it.
pub const PERMISSIONS: &[Permission] = &[
    ("actions", "read"),
    ("deployments", "write"),
    ("metadata", "read"),
];

/// Who may deploy where our rule is off. No login can be written so.
const EVERYBODY: &str = "(everybody who may push)";

/// Environments of one organisation's repositories.
#[derive(Debug)]
pub struct GithubDeployment {
    organisation: Login,
    hub: Hub,
}

impl GithubDeployment {
    /// The environments of `organisation`, answered for through `api`, which needs the permissions `actions: read` and
    /// `deployments: write` there.
    pub fn new(connection: ConnectionName, organisation: Login, api: Installation) -> Self {
        Self {
            organisation,
            hub: Hub::new(connection, api),
        }
    }

    fn read(&self, value: &Value) -> Option<Place> {
        let read = value.is_object().then(|| Entitlement::deserialize(value))?;
        let Entitlement {
            repository,
            environment,
        } = read.ok()?;
        let repository = RepoName::try_from(repository).ok()?;
        let named = !environment.is_empty() && environment.chars().count() <= 255;
        named.then_some(Place {
            repository,
            environment,
        })
    }

    fn is_ours(&self, repository: &RepoName) -> bool {
        let (ours, theirs) = (self.organisation.as_str(), repository.owner.as_str());
        ours.eq_ignore_ascii_case(theirs)
    }

    fn entitlement(&self, value: &Value) -> Result<Place, ProviderError> {
        let place = self.read(value).ok_or_else(|| {
            self.hub.refused(
                "the entitlement must look like { repository: <owner>/<name>, environment: <name> }",
            )
        })?;
        if !self.is_ours(&place.repository) {
            return Err(self.hub.refused(format!(
                "{} is not a repository of {}, which this connection is for",
                place.repository, self.organisation
            )));
        }
        Ok(place)
    }

    /// Whether our rule is on; [`ProviderError::Refused`] where there is no such environment.
    async fn rule_is_on(&self, place: &Place) -> Result<bool, ProviderError> {
        Ok(self.environment(place).await?.1)
    }

    /// The environment of that name, and whether our rule is on there; [`ProviderError::Refused`] where there is none.
    async fn environment(&self, place: &Place) -> Result<(Environment, bool), ProviderError> {
        let what = format!("protection rules of {}", shown(place));
        let Place { environment, .. } = place;
        let here = route(&place.repository, &["environments", environment]);
        // A list of rules says nothing about an environment that is not there.
        let there = self.hub.find::<Environment>(&what, &here).await?;
        let rules = route(
            &place.repository,
            &["environments", environment, "deployment_protection_rules"],
        );
        let rules = match there {
            Some(there) => {
                let rules = self.hub.find::<Rules>(&what, &rules).await?;
                rules.map(|rules| (there, rules))
            }
            None => None,
        };
        let (there, rules) = rules.ok_or_else(|| {
            self.hub.refused(format!(
                "there is no environment {} that the App can see",
                shown(place)
            ))
        })?;
        let mut rules = rules.custom_deployment_protection_rules.iter();
        let on = rules.any(|rule| rule.enabled && rule.app.id == self.hub.app_id());
        Ok((there, on))
    }

    fn rule_is_off(&self, place: &Place) -> ProviderError {
        self.hub.refused(format!(
            "the App is no deployment protection rule of {}, so that everybody who may push can deploy there: turn it on in the settings \
             of the repository, under Environments",
            shown(place)
        ))
    }

    async fn run(&self, repository: &RepoName, run: u64) -> Result<Option<Run>, ProviderError> {
        let what = format!("run {run} of {repository}");
        let here = route(repository, &["actions", "runs", &run.to_string()]);
        self.hub.find(&what, &here).await
    }

    /// The jobs of `run` that wait.
    async fn pending(&self, run: &WaitingRun) -> Result<Vec<Deployment>, ProviderError> {
        let (repository, id) = (&run.repository, run.id.to_string());
        let what = format!("what run {id} of {repository} waits for");
        let here = route(repository, &["actions", "runs", &id, "pending_deployments"]);
        let pending: Option<Vec<Pending>> = self.hub.find(&what, &here).await?;
        let deployment = |one: Pending| Deployment {
            place: Place {
                repository: repository.clone(),
                environment: one.environment.name,
            },
            run: run.id,
            attempt: run.attempt,
            starter: run.starter.clone(),
        };
        // Gone meanwhile: it waits for nothing.
        let pending = pending.unwrap_or_default();
        Ok(pending.into_iter().map(deployment).collect())
    }

    /// Says something for our rule.
    async fn say(
        &self,
        deployment: &Deployment,
        review: &Review<'_>,
    ) -> Result<Result<(), String>, ProviderError> {
        let what = format!(
            "answer to run {} of {}",
            deployment.run,
            shown(&deployment.place)
        );
        let run = deployment.run.to_string();
        let segments = ["actions", "runs", &run, "deployment_protection_rule"];
        let here = route(&deployment.place.repository, &segments);
        self.hub.say(&what, &here, review).await
    }
}

fn route(repository: &RepoName, segments: &[&str]) -> String {
    let here = ["repos", repository.owner.as_str(), &repository.name];
    path(&[&here, segments].concat())
}

fn shown(place: &Place) -> String {
    format!("{:?} of {}", place.environment, place.repository)
}

#[async_trait]
impl Provider for GithubDeployment {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn gate(&self) -> Option<&dyn Gate> {
        Some(self)
    }

    async fn grant(&self, approved: &Approved, _: &Order) -> Result<Granted, ProviderError> {
        let access = approved.access();
        let place = self.entitlement(&access.entitlement)?;
        let login = self.hub.login_for_giving(&access.account).await?;
        let (environment, on) = self.environment(&place).await?;
        let (known, what) = (access.entitlement_id.as_deref(), shown(&place));
        self.hub.is_given(&what, environment.id, known)?;
        if !on {
            return Err(self.rule_is_off(&place));
        }
        Ok(Granted {
            read_back: format!(
                "the App is asked about every job for {what}, and lets through what @{login} starts"
            ),
            pending: None,
            account_id: Some(self.hub.number(&access.account)?.to_string()),
            entitlement_id: Some(environment.id.to_string()),
        })
    }

    async fn revoke(&self, access: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        let place = self.entitlement(&access.entitlement)?;
        let name = &access.account.name;
        if name == EVERYBODY {
            return Err(self.rule_is_off(&place));
        }
        // GitHub is not asked: nothing is there, and an end waits for nobody.
        Ok(Revoked {
            read_back: format!(
                "nothing is kept at GitHub: no job for {} that @{name} starts is let through by it any more",
                shown(&place)
            ),
            ..Revoked::default()
        })
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        let Some(place) = self.read(&access.entitlement) else {
            return Vec::new();
        };
        let (name, shown) = (&access.account.name, shown(&place));
        match change {
            Change::Grant => vec![format!(
                "nothing now; POST {}/<run>/deployment_protection_rule as approved, for each job for {shown} that @{name} starts",
                route(&place.repository, &["actions", "runs"])
            )],
            Change::Revoke => vec![format!(
                "nothing: jobs for {shown} that @{name} starts wait"
            )],
        }
    }

    async fn has_account(&self, account: &Account) -> Result<Option<bool>, ProviderError> {
        Ok(Some(self.hub.login_for_taking(account).await?.is_some()))
    }

    async fn holders(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        let place = self.entitlement(entitlement)?;
        let everybody = Holder {
            name: EVERYBODY.to_owned(),
            id: None,
            pending: false,
        };
        let on = self.rule_is_on(&place).await?;
        Ok((!on).then_some(everybody).into_iter().collect())
    }
}

#[async_trait]
impl Gate for GithubDeployment {
    fn place(&self, entitlement: &Value) -> Option<Place> {
        self.entitlement(entitlement).ok()
    }

    fn answers_for(&self, repository: &RepoName) -> bool {
        self.is_ours(repository)
    }

    async fn waiting(&self, repository: &RepoName) -> Result<Vec<WaitingRun>, ProviderError> {
        let what = format!("runs of {repository} that wait");
        let here = route(repository, &["actions", "runs"]);
        let here = query(&here, &[("status", "waiting"), ("per_page", "100")]);
        let page = |page: Runs| page.workflow_runs;
        let runs = self.hub.all_in(&what, &here, page).await?;
        let waiting = runs.into_iter().filter(Run::waits);
        Ok(waiting.map(|run| run.of(repository)).collect())
    }

    async fn jobs(&self, run: &WaitingRun) -> Result<Vec<Deployment>, ProviderError> {
        self.pending(run).await
    }

    async fn guards(&self, place: &Place) -> Result<bool, ProviderError> {
        self.rule_is_on(place).await
    }

    async fn still_waits(&self, deployment: &Deployment) -> Result<bool, ProviderError> {
        let repository = &deployment.place.repository;
        let Some(run) = self.run(repository, deployment.run).await? else {
            return Ok(false);
        };
        if !run.waits() {
            return Ok(false);
        }
        let now = self.pending(&run.of(repository)).await?;
        let same = |one: &Deployment| {
            one.place.is(&deployment.place)
                && one.attempt == deployment.attempt
                && one.starter.as_ref().map(|s| s.id) == deployment.starter.as_ref().map(|s| s.id)
        };
        Ok(now.iter().any(same))
    }

    async fn approve(&self, deployment: &Deployment, words: &str) -> Result<Said, ProviderError> {
        let review = Review {
            environment_name: &deployment.place.environment,
            state: Some("approved"),
            comment: words,
        };
        if let Err(words) = self.say(deployment, &review).await? {
            return Ok(Said::Declined(words));
        }
        // It was taken, whatever can be read of it now.
        let run = self.run(&deployment.place.repository, deployment.run).await;
        Ok(Said::Taken(match run {
            Err(failure) => format!("GitHub took the answer; {failure}"),
            Ok(None) => "GitHub took the answer; the run is gone since".to_owned(),
            Ok(Some(run)) if run.run_attempt != deployment.attempt => format!(
                "GitHub took the answer, but the run is at attempt {} since: look at what it did",
                run.run_attempt
            ),
            Ok(Some(run)) => format!(
                "GitHub took the answer; the run is {}",
                run.status.as_deref().unwrap_or("there")
            ),
        }))
    }

    async fn tell(&self, deployment: &Deployment, words: &str) -> Result<Said, ProviderError> {
        let review = Review {
            environment_name: &deployment.place.environment,
            state: None,
            comment: words,
        };
        Ok(match self.say(deployment, &review).await? {
            Ok(()) => Said::Taken("GitHub took the words".to_owned()),
            Err(words) => Said::Declined(words),
        })
    }
}
