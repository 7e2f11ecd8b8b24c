//! The shape of an issue.

use serde_json::{Value, json};

use super::people::{app, merged, user};
use super::pulls::association;
use super::{node_id, time};
use crate::sandbox::world::{Issue, World};

/// `issue`.
pub fn issue(world: &World, repo: usize, issue: &Issue) -> Value {
    let url = world.repo_url(repo);
    let this = format!("{url}/issues/{}", issue.number);
    let word = if issue.is_pull { "pull" } else { "issues" };
    let page = format!("{}/{word}/{}", world.repo_page(repo), issue.number);
    let comments = world.repos[repo].comments.values();
    let comments = comments.filter(|c| c.number == issue.number).count();
    let shape = json!({
        "id": issue.id,
        "node_id": node_id("I", issue.id),
        "url": this,
        "repository_url": url,
        "labels_url": format!("{this}/labels{{/name}}"),
        "comments_url": format!("{this}/comments"),
        "events_url": format!("{this}/events"),
        "html_url": page,
        "number": issue.number,
        "state": if issue.open { "open" } else { "closed" },
        "title": issue.title,
        "body": issue.body,
        "user": user(world, issue.user),
        "labels": [],
        "assignee": null,
        "assignees": [],
        "milestone": null,
        "locked": false,
        "comments": comments,
        "closed_at": issue.closed_at.map(time),
        "created_at": time(issue.created_at),
        "updated_at": time(issue.updated_at),
        "author_association": association(world, issue.user),
        "performed_via_github_app": issue.app.map(|id| app(world, id)),
    });
    let pull = json!({ "pull_request": {
        "url": format!("{url}/pulls/{}", issue.number),
        "html_url": page,
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
    } });
    if issue.is_pull {
        merged(shape, pull)
    } else {
        shape
    }
}
