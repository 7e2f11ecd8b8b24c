//! How the App and the repository are set up at GitHub: what `hallpass doctor` looks at.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{FORGE, GIT, GitHub, ISSUES};
use crate::domain::doctor::{
    Branch, Bypass, BypassMode, Clocks, Hook, Installed, Registered, Rule, Ruleset,
};
use crate::domain::model::{Instant, Login};
use crate::forge::ForgeError;
use crate::github_app::{Failure, Permission, path, query};

#[derive(Deserialize)]
struct AppAnswer {
    id: u64,
    slug: Option<String>,
}

#[derive(Deserialize)]
struct InstallationAnswer {
    permissions: BTreeMap<String, String>,
    events: BTreeSet<String>,
    suspended_at: Option<Instant>,
}

#[derive(Deserialize)]
struct HookAnswer {
    url: Option<String>,
    content_type: Option<String>,
    /// `"0"`, or a number.
    insecure_ssl: Option<serde_json::Value>,
    secret: Option<String>,
}

#[derive(Deserialize)]
struct RuleAnswer {
    r#type: String,
    #[serde(default)]
    parameters: Parameters,
    ruleset_id: Option<u64>,
    ruleset_source_type: Option<String>,
    ruleset_source: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Parameters {
    required_approving_review_count: u32,
    require_code_owner_review: bool,
    required_status_checks: Vec<CheckAnswer>,
}

#[derive(Deserialize)]
struct CheckAnswer {
    context: String,
    integration_id: Option<u64>,
}

#[derive(Deserialize)]
struct RulesetAnswer {
    name: String,
    bypass_actors: Option<Vec<ActorAnswer>>,
    current_user_can_bypass: Option<String>,
}

#[derive(Deserialize)]
struct ActorAnswer {
    actor_id: Option<u64>,
    actor_type: String,
    bypass_mode: Option<String>,
}

#[derive(Deserialize)]
struct ErrorsAnswer {
    errors: Vec<ErrorAnswer>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    line: u64,
    message: String,
}

impl GitHub {
    /// The permissions that the forge needs at the account of the access repository.
    pub fn permissions() -> Vec<Permission> {
        [FORGE, ISSUES, GIT].concat()
    }

    /// The name of the check that is published.
    pub fn check_name() -> &'static str {
        super::checks::NAME
    }

    /// Whose the private key is, and what GitHub's clock says.
    ///
    /// # Errors
    /// When GitHub does not tell, such as to a key that it does not know.
    pub async fn registered(&self) -> Result<(Registered, Option<Clocks>), ForgeError> {
        let before = self.app.now();
        let (app, date) = self.app.get::<AppAnswer>("the App", "/app").await?;
        let clocks = date.map(|theirs| Clocks {
            theirs,
            // In the middle of the call.
            ours: before + (self.app.now() - before) / 2,
        });
        let registered = Registered {
            id: app.id,
            slug: app.slug.unwrap_or_default(),
        };
        Ok((registered, clocks))
    }

    /// What the App may do at an account.
    ///
    /// # Errors
    /// When GitHub does not tell: [`ForgeError::NotFound`] where it is not installed.
    pub async fn installed(&self, account: &Login) -> Result<Installed, ForgeError> {
        let what = format!("installation of the App on {account}");
        let route = path(&["orgs", account.as_str(), "installation"]);
        let (found, _) = self.app.get::<InstallationAnswer>(&what, &route).await?;
        Ok(Installed {
            permissions: found.permissions,
            events: found.events,
            suspended: found.suspended_at.is_some(),
        })
    }

    /// Where webhooks go.
    ///
    /// # Errors
    /// When GitHub does not tell.
    pub async fn hook(&self) -> Result<Hook, ForgeError> {
        let (hook, _) = self
            .app
            .get::<HookAnswer>("the App's webhook", "/app/hook/config")
            .await?;
        let insecure = hook.insecure_ssl.map(|v| v.to_string());
        Ok(Hook {
            url: hook.url.filter(|url| !url.is_empty()),
            json: hook.content_type.as_deref() == Some("json"),
            verifies: insecure.is_none_or(|v| v.trim_matches('"') == "0"),
            signed: hook.secret.is_some_and(|secret| !secret.is_empty()),
        })
    }

    /// The rules of a branch. Those of classic branch protections are not told to an App that may not administer.
    ///
    /// # Errors
    /// When GitHub does not tell.
    pub async fn branch(&self, name: &str) -> Result<Branch, ForgeError> {
        let what = format!("rules of the branch {name} of {}", self.repository);
        let route = query(
            &self.route(&["rules", "branches", name]),
            &[("per_page", "100")],
        );
        let found: Vec<RuleAnswer> = self.api.list(&what, &route).await?;
        let mut sets: BTreeMap<u64, Ruleset> = BTreeMap::new();
        for rule in &found {
            let Some(id) = rule.ruleset_id else {
                continue;
            };
            if let Entry::Vacant(place) = sets.entry(id) {
                place.insert(self.ruleset(id, rule).await?);
            }
        }
        Ok(Branch {
            name: name.to_owned(),
            rules: found.into_iter().flat_map(rules).collect(),
            rulesets: sets.into_values().collect(),
        })
    }

    async fn ruleset(&self, id: u64, rule: &RuleAnswer) -> Result<Ruleset, ForgeError> {
        let unseen = Ruleset {
            name: rule.ruleset_source.clone().unwrap_or_default(),
            bypass: None,
            ours: None,
        };
        if rule.ruleset_source_type.as_deref() != Some("Repository") {
            return Ok(unseen);
        }
        let what = format!("ruleset {id} of {}", self.repository);
        let route = self.route(&["rulesets", &id.to_string()]);
        let found: RulesetAnswer = match self.api.get(&what, &route).await {
            Ok(found) => found,
            Err(Failure::NotFound { .. } | Failure::Declined { .. }) => return Ok(unseen),
            Err(failure) => return Err(failure.into()),
        };
        let bypass = found.bypass_actors.map(|actors| {
            let actors = actors.into_iter();
            actors
                .map(|actor| Bypass {
                    kind: actor.actor_type,
                    id: actor.actor_id,
                    mode: match actor.bypass_mode.as_deref() {
                        Some("pull_request") => BypassMode::PullRequests,
                        _ => BypassMode::Always,
                    },
                })
                .collect()
        });
        Ok(Ruleset {
            name: found.name,
            bypass,
            ours: found.current_user_can_bypass.map(|may| may != "never"),
        })
    }

    /// What GitHub finds wrong with CODEOWNERS on a branch.
    ///
    /// # Errors
    /// When GitHub does not tell.
    pub async fn codeowners_errors(&self, branch: &str) -> Result<Vec<String>, ForgeError> {
        let what = format!("errors in CODEOWNERS of {}", self.repository);
        let route = query(&self.route(&["codeowners", "errors"]), &[("ref", branch)]);
        let found: ErrorsAnswer = match self.api.get(&what, &route).await {
            // There is no file, which is told of as such.
            Err(Failure::NotFound { .. }) => return Ok(Vec::new()),
            found => found?,
        };
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        let errors = found.errors.into_iter();
        Ok(errors
            .map(|error| format!("line {}: {}", error.line, first(&error.message)))
            .collect())
    }
}

fn rules(answer: RuleAnswer) -> Vec<Rule> {
    let given = answer.parameters;
    match answer.r#type.as_str() {
        "pull_request" => vec![Rule::PullRequest {
            approvals: given.required_approving_review_count,
            code_owners: given.require_code_owner_review,
        }],
        "required_status_checks" => {
            let checks = given.required_status_checks.into_iter();
            let check = |check: CheckAnswer| Rule::Check {
                name: check.context,
                app: check.integration_id,
            };
            checks.map(check).collect()
        }
        "non_fast_forward" => vec![Rule::NoForcePush],
        "deletion" => vec![Rule::NoDeletion],
        "update" => vec![Rule::NoUpdate],
        _ => Vec::new(),
    }
}
