//! Pull requests, reviews, comments, labels.

use git2::Oid;
use serde_json::{Value, json};

use crate::sandbox::git;
use crate::sandbox::model::Permission;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::{Comment, Dismissed, Pull, Review, World};

use super::people::{merged, user};
use super::repos::repo;
use super::{maybe_time, node_id, time};

pub fn association(world: &World, id: u64) -> &'static str {
    match world.members.get(&id) {
        Some(belonging) if belonging.active => "MEMBER",
        _ => "NONE",
    }
}

fn base(world: &World, index: usize, pull: &Pull) -> Value {
    json!({
        "label": format!("{}:{}", world.organisation_login(), pull.base),
        "ref": pull.base,
        "sha": pull.base_sha,
        "user": user(world, world.organisation),
        "repo": repo(world, index),
    })
}

fn head(world: &World, index: usize, pull: &Pull) -> Value {
    let owner = pull.fork.unwrap_or(world.organisation);
    let repo = match pull.fork {
        None => repo(world, index),
        Some(_) => fork(world, index, owner),
    };
    json!({
        "label": label_of(world, pull),
        "ref": pull.head,
        "sha": pull.head_sha,
        "user": user(world, owner),
        "repo": repo,
    })
}

/// `owner:branch` of a pull request's head.
pub fn label_of(world: &World, pull: &Pull) -> String {
    let owner = pull.fork.unwrap_or(world.organisation);
    format!("{}:{}", world.accounts[&owner].login, pull.head)
}

/// The fork of a repository that belongs to `owner`.
fn fork(world: &World, index: usize, owner: u64) -> Value {
    let name = &world.repos[index].name;
    let full_name = format!("{}/{name}", world.accounts[&owner].login);
    let id = world.repos[index].id * 1_000_000 + owner;
    let more = json!({
        "id": id,
        "node_id": node_id("R", id),
        "full_name": full_name,
        "owner": user(world, owner),
        "fork": true,
        "url": format!("{}/repos/{full_name}", world.api()),
        "html_url": format!("{}/{full_name}", world.base),
        "clone_url": format!("{}/{full_name}.git", world.base),
    });
    merged(repo(world, index), more)
}

/// `pull-request-simple`, as lists show it.
pub fn pull_simple(world: &World, index: usize, pull: &Pull) -> Value {
    let facts = json!({
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "number": pull.number,
        "state": if pull.open { "open" } else { "closed" },
        "locked": false,
        "active_lock_reason": null,
        "title": pull.title,
        "user": user(world, pull.author),
        "body": pull.body,
        "labels": pull.labels.iter().map(|name| label(world, index, name)).collect::<Vec<_>>(),
        "milestone": null,
        "created_at": time(pull.created_at),
        "updated_at": time(pull.updated_at),
        "closed_at": maybe_time(pull.closed_at),
        "merged_at": maybe_time(pull.merged.as_ref().map(|merged| merged.at)),
        "merge_commit_sha": pull.merged.as_ref().map(|merged| &merged.commit),
        "assignee": null,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "head": head(world, index, pull),
        "base": base(world, index, pull),
        "author_association": association(world, pull.author),
        "auto_merge": null,
        "draft": pull.draft,
    });
    merged(facts, addresses(world, index, pull))
}

fn addresses(world: &World, index: usize, pull: &Pull) -> Value {
    let url = world.repo_url(index);
    let this = format!("{url}/pulls/{}", pull.number);
    let page = format!("{}/pull/{}", world.repo_page(index), pull.number);
    let issue = format!("{url}/issues/{}", pull.number);
    let comments = format!("{issue}/comments");
    let review_comments = format!("{this}/comments");
    let review_comment = format!("{url}/pulls/comments{{/number}}");
    let commits = format!("{this}/commits");
    let statuses = format!("{url}/statuses/{}", pull.head_sha);
    let links = json!({
        "self": { "href": this },
        "html": { "href": page },
        "issue": { "href": issue },
        "comments": { "href": comments },
        "review_comments": { "href": review_comments },
        "review_comment": { "href": review_comment },
        "commits": { "href": commits },
        "statuses": { "href": statuses },
    });
    json!({
        "url": this,
        "html_url": page,
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
        "issue_url": issue,
        "commits_url": commits,
        "review_comments_url": review_comments,
        "review_comment_url": review_comment,
        "comments_url": comments,
        "statuses_url": statuses,
        "_links": links,
    })
}

/// `pull-request`, with what only git can tell.
pub fn pull(world: &World, index: usize, pull: &Pull) -> Result<Value, Refusal> {
    let git = world.git(index)?;
    let base = base_of(&git, pull)?;
    let head = Oid::from_str(&pull.head_sha)?;
    let files = git::diff(&git, base, head)?;
    let mergeable = pull.open.then(|| git::mergeable(&git, base, head));
    let state = match mergeable {
        None => "unknown",
        Some(false) => "dirty",
        Some(true) if pull.draft => "draft",
        Some(true) if !world.unmet(index, pull)?.is_empty() => "blocked",
        Some(true) => "clean",
    };
    let comments = world.repos[index]
        .comments
        .values()
        .filter(|comment| comment.number == pull.number)
        .count();
    let more = json!({
        "merged": pull.merged.is_some(),
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": state,
        "merged_by": pull.merged.as_ref().map(|merged| user(world, merged.by)),
        "comments": comments,
        "review_comments": 0,
        "maintainer_can_modify": false,
        "commits": git::commits_between(&git, base, head)?.len(),
        "additions": files.iter().map(|file| file.additions).sum::<usize>(),
        "deletions": files.iter().map(|file| file.deletions).sum::<usize>(),
        "changed_files": files.len(),
    });
    Ok(merged(pull_simple(world, index, pull), more))
}

/// The commit that a pull request is compared with: the tip of its base, or, once merged, what the base was just before.
pub fn base_of(git: &git2::Repository, pull: &Pull) -> Result<Oid, Refusal> {
    if pull.open
        && let Some(tip) = git::tip(git, &format!("refs/heads/{}", pull.base))?
    {
        return Ok(tip);
    }
    Ok(Oid::from_str(&pull.base_sha)?)
}

/// `label`.
pub fn label(world: &World, repo: usize, name: &str) -> Value {
    json!({
        "id": 1,
        "node_id": node_id("LA", 1),
        "url": format!("{}/labels/{}", world.repo_url(repo), super::commits::path_escape(name)),
        "name": name,
        "description": "",
        "color": "ededed",
        "default": false,
    })
}

/// `pull-request-review`.
pub fn review(world: &World, repo: usize, pull: &Pull, review: &Review) -> Value {
    let this = format!("{}/pulls/{}", world.repo_url(repo), pull.number);
    let page = format!(
        "{}/pull/{}#pullrequestreview-{}",
        world.repo_page(repo),
        pull.number,
        review.id
    );
    json!({
        "id": review.id,
        "node_id": node_id("PRR", review.id),
        "user": user(world, review.user),
        "body": review.body,
        "state": review.said.as_str(),
        "html_url": page,
        "pull_request_url": this,
        "author_association": association(world, review.user),
        "_links": { "html": { "href": page }, "pull_request": { "href": this } },
        "submitted_at": time(review.submitted_at),
        "commit_id": review.commit,
    })
}

/// `issue-comment`.
pub fn comment(world: &World, repo: usize, comment: &Comment) -> Value {
    let url = world.repo_url(repo);
    json!({
        "id": comment.id,
        "node_id": node_id("IC", comment.id),
        "url": format!("{url}/issues/comments/{}", comment.id),
        "html_url": format!("{}/pull/{}#issuecomment-{}", world.repo_page(repo), comment.number, comment.id),
        "issue_url": format!("{url}/issues/{}", comment.number),
        "user": user(world, comment.user),
        "body": comment.body,
        "author_association": association(world, comment.user),
        "created_at": time(comment.created_at),
        "updated_at": time(comment.updated_at),
        "performed_via_github_app": comment.app.map(|id| super::people::app(world, id)),
    })
}

/// `repository-collaborator-permission`.
pub fn permission(world: &World, id: u64, permission: Option<Permission>) -> Value {
    let least = |least: Permission| permission.is_some_and(|have| have >= least);
    let role = permission.map_or("none", Permission::role_name);
    let more = json!({
        "role_name": role,
        "permissions": {
            "pull": least(Permission::Pull),
            "triage": least(Permission::Triage),
            "push": least(Permission::Push),
            "maintain": least(Permission::Maintain),
            "admin": least(Permission::Admin),
        },
    });
    json!({
        "permission": permission.map_or("none", Permission::legacy),
        "role_name": role,
        "user": merged(user(world, id), more),
    })
}

/// The event of a dismissal.
pub fn dismissal(world: &World, index: usize, review: &Review, how: &Dismissed) -> Value {
    json!({
        "id": how.event,
        "node_id": node_id("RDE", how.event),
        "url": format!("{}/issues/events/{}", world.repo_url(index), how.event),
        "actor": user(world, how.by),
        "event": "review_dismissed",
        "commit_id": null,
        "commit_url": null,
        "created_at": time(how.at),
        "dismissed_review": {
            "state": how.was.as_str().to_ascii_lowercase(),
            "review_id": review.id,
            "dismissal_message": null,
        },
        "performed_via_github_app": null,
    })
}
