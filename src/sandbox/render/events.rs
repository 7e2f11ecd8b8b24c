//! The payloads of webhooks.

use git2::Repository;
use serde_json::{Value, json};

use crate::sandbox::changes::{Moved, hex_or_zero};
use crate::sandbox::git;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::routes::of_pull;
use crate::sandbox::world::{Belonging, CheckRun, Comment, Job, Run, Team, World};

use super::people::{membership, merged, organisation, team_simple, user};
use super::{checks, commits, issues, node_id, pulls, repos, time};

/// What every payload about a repository carries.
fn envelope(world: &World, repo: usize, by: u64) -> Value {
    merged(
        envelope_of_organisation(world, by),
        json!({ "repository": repos::repo(world, repo) }),
    )
}

fn envelope_of_organisation(world: &World, by: u64) -> Value {
    let mut envelope = json!({ "organization": organisation(world), "sender": user(world, by) });
    if let Some(installation) = world.installations.first() {
        envelope["installation"] =
            json!({ "id": installation.id, "node_id": node_id("I", installation.id) });
    }
    envelope
}

/// `push`.
pub fn push(
    world: &World,
    repo: usize,
    git: &Repository,
    moved: &Moved,
    forced: bool,
) -> Result<Value, Refusal> {
    let new = match (moved.before, moved.after) {
        (_, None) => Vec::new(),
        (Some(before), Some(after)) => git::commits_between(git, before, after)?,
        (None, Some(after)) => vec![after],
    };
    let shown = new
        .iter()
        .map(|id| commits::pushed(world, repo, git, *id))
        .collect::<Result<Vec<_>, _>>()?;
    let head = moved
        .after
        .map(|id| commits::pushed(world, repo, git, id))
        .transpose()?;
    let (before, after) = (hex_or_zero(moved.before), hex_or_zero(moved.after));
    let payload = json!({
        "ref": moved.reference,
        "before": before,
        "after": after,
        "base_ref": null,
        "created": moved.before.is_none(),
        "deleted": moved.after.is_none(),
        "forced": forced,
        "compare": format!("{}/compare/{}...{}", world.repo_page(repo), &before[..12], &after[..12]),
        "commits": shown,
        "head_commit": head,
        "pusher": { "name": world.accounts[&moved.by].login, "email": null },
    });
    // GitHub's pusher has no e-mail address where it is hidden; the description has no null there.
    let mut payload = merged(payload, envelope(world, repo, moved.by));
    if let Some(pusher) = payload["pusher"].as_object_mut() {
        pusher.remove("email");
    }
    Ok(payload)
}

/// `pull_request`, without particulars.
pub fn pull(
    world: &World,
    repo: usize,
    number: u64,
    action: &str,
    by: u64,
) -> Result<Value, Refusal> {
    let pull = pulls::pull(world, repo, world.pull(repo, number)?)?;
    let payload = json!({ "action": action, "number": number, "pull_request": pull });
    Ok(merged(payload, envelope(world, repo, by)))
}

/// `pull_request.synchronize`.
pub fn synchronize(
    world: &World,
    repo: usize,
    number: u64,
    moved: &Moved,
) -> Result<Value, Refusal> {
    let payload = pull(world, repo, number, "synchronize", moved.by)?;
    Ok(merged(
        payload,
        json!({ "before": hex_or_zero(moved.before), "after": hex_or_zero(moved.after) }),
    ))
}

/// `pull_request_review`, whose state is in lower case here.
pub fn review(
    world: &World,
    repo: usize,
    number: u64,
    id: u64,
    action: &str,
    by: u64,
) -> Result<Value, Refusal> {
    let pull = world.pull(repo, number)?;
    let review = pull
        .reviews
        .iter()
        .find(|review| review.id == id)
        .ok_or_else(Refusal::not_found)?;
    let mut shape = pulls::review(world, repo, pull, review);
    shape["state"] = review.said.as_str().to_ascii_lowercase().into();
    let payload = json!({ "action": action, "review": shape, "pull_request": pulls::pull_simple(world, repo, pull) });
    Ok(merged(payload, envelope(world, repo, by)))
}

/// `issue_comment.created`, of a pull request: its issue as the payload has it, which is not quite that of the REST interface.
pub fn comment(world: &World, repo: usize, comment: &Comment) -> Result<Value, Refusal> {
    let pull = world.pull(repo, comment.number)?;
    let url = format!("{}/issues", world.repo_url(repo));
    let reactions = |of: String| {
        json!({
            "url": format!("{of}/reactions"),
            "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "confused": 0, "heart": 0, "hooray": 0, "eyes": 0, "rocket": 0,
        })
    };
    let mut issue = issues::issue(world, repo, &of_pull(pull));
    issue["active_lock_reason"] = Value::Null;
    issue["reactions"] = reactions(format!("{url}/{}", comment.number));
    let mut shape = pulls::comment(world, repo, comment);
    shape["reactions"] = reactions(format!("{url}/comments/{}", comment.id));
    let payload = json!({ "action": "created", "issue": issue, "comment": shape });
    Ok(merged(payload, envelope(world, repo, comment.user)))
}

/// `check_run`.
pub fn check(world: &World, repo: usize, run: &CheckRun, action: &str, by: u64) -> Value {
    let mut shape = checks::check(world, repo, run);
    shape["check_suite"]["head_sha"] = run.head_sha.as_str().into();
    merged(
        json!({ "action": action, "check_run": shape }),
        envelope(world, repo, by),
    )
}

/// `membership`: somebody joined or left a team.
pub fn team_member(world: &World, team: &Team, member: u64, action: &str, by: u64) -> Value {
    let payload = json!({ "action": action, "scope": "team", "member": user(world, member), "team": team_simple(world, team) });
    merged(payload, envelope_of_organisation(world, by))
}

/// `organization`: somebody joined or left the organisation.
pub fn member(world: &World, member: u64, belonging: Belonging, action: &str, by: u64) -> Value {
    let payload = json!({ "action": action, "membership": membership(world, member, belonging) });
    merged(payload, envelope_of_organisation(world, by))
}

/// `deployment_protection_rule`: a job of `run` waits for our answer.
pub fn deployment_rule(world: &World, repo: usize, run: &Run, job: &Job) -> Value {
    let (url, id) = (world.repo_url(repo), run.id);
    let callback = format!("{url}/actions/runs/{id}/deployment_protection_rule");
    let deployment = json!({
        "id": id,
        "node_id": node_id("DE", id),
        "sha": run.head_sha,
        "ref": "main",
        "task": "deploy",
        "payload": {},
        "original_environment": job.environment,
        "environment": job.environment,
        "description": null,
        "creator": user(world, run.triggering_actor),
        "url": format!("{url}/deployments/{id}"),
        "statuses_url": format!("{url}/deployments/{id}/statuses"),
        "repository_url": url,
        "created_at": time(run.started_at),
        "updated_at": time(run.started_at),
    });
    let payload = json!({
        "action": "requested",
        "environment": job.environment,
        "event": run.event,
        "deployment_callback_url": callback,
        "deployment": deployment,
        "pull_requests": [],
    });
    merged(payload, envelope(world, repo, run.triggering_actor))
}
