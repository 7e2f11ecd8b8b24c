//! Environments, their rules, and the runs that wait for them.

use serde_json::{Value, json};

use crate::sandbox::world::{Environment, ProtectionRule, Run, World};

use super::people::user;
use super::{node_id, repos, time};

/// `environment`.
pub fn environment(world: &World, repo: usize, this: &Environment) -> Value {
    let rules: Vec<Value> = this
        .rules
        .iter()
        .map(|rule| json!({ "id": rule.id, "node_id": node_id("GA", rule.id), "type": "custom" }))
        .collect();
    let mut shape = named(world, repo, this);
    shape["protection_rules"] = rules.into();
    shape["created_at"] = time(this.created_at).into();
    shape["updated_at"] = time(this.created_at).into();
    shape["deployment_branch_policy"] = Value::Null;
    shape
}

fn named(world: &World, repo: usize, this: &Environment) -> Value {
    let (url, page) = (world.repo_url(repo), world.repo_page(repo));
    json!({
        "id": this.id,
        "node_id": node_id("EN", this.id),
        "name": this.name,
        "url": format!("{url}/environments/{}", this.name),
        "html_url": format!("{page}/deployments/activity_log?environments_filter={}", this.name),
    })
}

/// `deployment-protection-rule`.
pub fn rule(world: &World, rule: &ProtectionRule) -> Value {
    let app = world.apps.iter().find(|app| app.id == rule.app);
    let slug = app.map_or("gone", |app| app.slug.as_str());
    json!({
        "id": rule.id,
        "node_id": node_id("GA", rule.id),
        "enabled": true,
        "app": {
            "id": rule.app,
            "node_id": node_id("A", rule.app),
            "slug": slug,
            "integration_url": format!("{}/apps/{slug}", world.api()),
        },
    })
}

/// `pending-deployment`.
pub fn pending(world: &World, repo: usize, this: &Environment) -> Value {
    json!({
        "environment": named(world, repo, this),
        "wait_timer": 0,
        "wait_timer_started_at": null,
        "current_user_can_approve": false,
        "reviewers": [],
    })
}

/// `workflow-run`.
pub fn run(world: &World, repo: usize, this: &Run) -> Value {
    let (url, page, id) = (world.repo_url(repo), world.repo_page(repo), this.id);
    let here = format!("{url}/actions/runs/{id}");
    json!({
        "id": id,
        "node_id": node_id("WFR", id),
        "name": "Deploy",
        "display_title": "Deploy",
        "path": ".github/workflows/deploy.yml",
        "head_branch": "main",
        "head_sha": this.head_sha,
        "head_commit": null,
        "head_repository": repos::repo(world, repo),
        "repository": repos::repo(world, repo),
        "run_number": this.number,
        "run_attempt": this.attempt,
        "event": this.event,
        "status": this.status(),
        "conclusion": this.conclusion(),
        "workflow_id": 1,
        "url": here,
        "html_url": format!("{page}/actions/runs/{id}"),
        "pull_requests": [],
        "created_at": time(this.created_at),
        "updated_at": time(this.updated_at),
        "run_started_at": time(this.started_at),
        "actor": user(world, this.actor),
        "triggering_actor": user(world, this.triggering_actor),
        "jobs_url": format!("{here}/jobs"),
        "logs_url": format!("{here}/logs"),
        "check_suite_url": format!("{url}/check-suites/{id}"),
        "artifacts_url": format!("{here}/artifacts"),
        "cancel_url": format!("{here}/cancel"),
        "rerun_url": format!("{here}/rerun"),
        "workflow_url": format!("{url}/actions/workflows/1"),
    })
}
