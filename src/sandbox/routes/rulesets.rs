//! Making rulesets: as much of them as the stand-in enforces.

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::merging::PROTECTED;
use crate::sandbox::model::Ruleset;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::World;

/// `POST /repos/{owner}/{repo}/rulesets`. Rules of `main` are kept; other branches are closed to all who may not pass by those.
pub fn create(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let body = &call.body;
    let rules = body["rules"].as_array().cloned().unwrap_or_default();
    let branches = body["conditions"]["ref_name"]["include"].as_array();
    let branches: Vec<String> = branches
        .into_iter()
        .flatten()
        .filter_map(|name| {
            name.as_str()?
                .strip_prefix("refs/heads/")
                .map(str::to_owned)
        })
        .collect();
    let has = |kind: &str| rules.iter().any(|rule| rule["type"] == kind);
    if !(has("non_fast_forward") && has("deletion")) {
        return Err(Refusal::new(
            422,
            "The stand-in knows only branches that stay.",
        ));
    }
    for branch in &branches {
        if branch == PROTECTED {
            world.repos[repo].ruleset = Some(ruleset(&rules, body));
        } else if has("update") {
            world.repos[repo].guarded.insert(branch.clone());
        }
    }
    Ok(Answer::json(
        201,
        json!({
            "id": world.fresh_id(),
            "name": body["name"],
            "target": "branch",
            "source_type": "Repository",
            "source": world.full_name(repo),
            "enforcement": body["enforcement"],
            "bypass_actors": body["bypass_actors"],
            "conditions": body["conditions"],
            "rules": rules,
        }),
    ))
}

fn ruleset(rules: &[Value], body: &Value) -> Ruleset {
    let parameters = |kind: &str| {
        let rule = rules.iter().find(|rule| rule["type"] == kind);
        rule.map(|rule| rule["parameters"].clone())
    };
    let pull_request = parameters("pull_request");
    let asked = pull_request.clone().unwrap_or_default();
    let checks = parameters("required_status_checks").unwrap_or_default();
    let check = &checks["required_status_checks"][0];
    let actors = body["bypass_actors"].as_array();
    let apps = actors.into_iter().flatten();
    let apps = apps.filter(|actor| actor["actor_type"] == "Integration");
    Ruleset {
        pull_request: pull_request.is_some(),
        approvals: asked["required_approving_review_count"]
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or_default(),
        code_owner_review: asked["require_code_owner_review"] == true,
        dismiss_stale: asked["dismiss_stale_reviews_on_push"] == true,
        required_check: check["context"]
            .as_str()
            .map(|name| (name.to_owned(), check["integration_id"].as_u64())),
        bypass_apps: apps
            .filter_map(|actor| actor["actor_id"].as_u64())
            .collect(),
        bypass_users: Vec::new(),
    }
}
