//! A ruleset in GitHub's words, as `POST /repos/{owner}/{repo}/rulesets` takes it: the other way round than [`super::setup`] reads it.

use serde_json::{Value, json};

use crate::domain::doctor::{Bypass, BypassMode, Rule, Wanted};

/// The body of the call that makes a ruleset.
pub fn ruleset(wanted: &Wanted) -> Value {
    let branches = wanted.branches.iter();
    let include: Vec<String> = branches.map(|b| format!("refs/heads/{b}")).collect();
    json!({
        "name": wanted.name,
        "target": "branch",
        "enforcement": "active",
        "conditions": { "ref_name": { "include": include, "exclude": [] } },
        "rules": wanted.rules.iter().map(rule).collect::<Vec<_>>(),
        "bypass_actors": wanted.bypass.iter().map(actor).collect::<Vec<_>>(),
    })
}

fn rule(rule: &Rule) -> Value {
    match rule {
        Rule::PullRequest {
            approvals,
            code_owners,
        } => json!({
            "type": "pull_request",
            "parameters": {
                // Hallpass counts an approval for the content that it was given for; a push that leaves the file as it was keeps it.
                "dismiss_stale_reviews_on_push": false,
                "require_code_owner_review": code_owners,
                "require_last_push_approval": false,
                "required_approving_review_count": approvals,
                "required_review_thread_resolution": false,
            },
        }),
        Rule::Check { name, app } => {
            let mut check = json!({ "context": name });
            if let Some(app) = app {
                check["integration_id"] = (*app).into();
            }
            json!({
                "type": "required_status_checks",
                "parameters": {
                    "required_status_checks": [check],
                    "strict_required_status_checks_policy": false,
                },
            })
        }
        Rule::NoForcePush => json!({ "type": "non_fast_forward" }),
        Rule::NoDeletion => json!({ "type": "deletion" }),
        Rule::NoUpdate => json!({ "type": "update" }),
    }
}

fn actor(bypass: &Bypass) -> Value {
    json!({
        "actor_id": bypass.id,
        "actor_type": bypass.kind,
        "bypass_mode": match bypass.mode {
            BypassMode::Always => "always",
            BypassMode::PullRequests => "pull_request",
        },
    })
}
