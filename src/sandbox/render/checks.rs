//! Check runs.

use serde_json::{Value, json};

use crate::sandbox::world::{CheckRun, World};

use super::people::app;
use super::{maybe_time, node_id, time};

/// `check-run`.
pub fn check(world: &World, repo: usize, run: &CheckRun) -> Value {
    let url = format!("{}/check-runs/{}", world.repo_url(repo), run.id);
    let page = format!("{}/runs/{}", world.repo_page(repo), run.id);
    let pulls = world.repos[repo]
        .pulls
        .values()
        .filter(|pull| pull.open && pull.head_sha == run.head_sha);
    let this = json!({ "id": world.repos[repo].id, "name": world.repos[repo].name, "url": world.repo_url(repo) });
    let pulls: Vec<Value> = pulls
        .map(|pull| {
            json!({
                "id": pull.id,
                "number": pull.number,
                "url": format!("{}/pulls/{}", world.repo_url(repo), pull.number),
                "head": { "ref": pull.head, "sha": pull.head_sha, "repo": this },
                "base": { "ref": pull.base, "sha": pull.base_sha, "repo": this },
            })
        })
        .collect();
    json!({
        "id": run.id,
        "name": run.name,
        "node_id": node_id("CR", run.id),
        "head_sha": run.head_sha,
        "external_id": run.external_id,
        "url": url,
        "html_url": page,
        "details_url": run.details_url.as_deref().unwrap_or(&page),
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": time(run.started_at),
        "completed_at": maybe_time(run.completed_at),
        "output": {
            "title": run.title,
            "summary": run.summary,
            "text": run.text,
            "annotations_count": run.annotations.len(),
            "annotations_url": format!("{url}/annotations"),
        },
        "check_suite": { "id": run.suite },
        "app": app(world, run.app),
        "pull_requests": pulls,
    })
}
