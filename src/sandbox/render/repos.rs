//! Repositories, branches, refs, activity.

use serde_json::{Value, json};

use crate::sandbox::merging::PROTECTED;
use crate::sandbox::world::{Activity, World};

use super::people::user;
use super::{node_id, time};

/// The addresses below a repository's own, by field.
const BELOW: [(&str, &str); 36] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    (
        "notifications_url",
        "/notifications{?since,all,participating}",
    ),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
];

/// What our repositories are or have.
const YES: [&str; 6] = [
    "has_issues",
    "has_downloads",
    "allow_merge_commit",
    "allow_squash_merge",
    "allow_rebase_merge",
    "allow_forking",
];

/// What they are not or have not.
const NO: [&str; 10] = [
    "archived",
    "disabled",
    "has_projects",
    "has_wiki",
    "has_pages",
    "has_discussions",
    "allow_auto_merge",
    "delete_branch_on_merge",
    "is_template",
    "web_commit_signoff_required",
];

/// `full-repository`, which is also every smaller shape of a repository.
pub fn repo(world: &World, index: usize) -> Value {
    let repo = &world.repos[index];
    let (url, page) = (world.repo_url(index), world.repo_page(index));
    let open = repo.pulls.values().filter(|pull| pull.open).count();
    let mut shape = json!({
        "id": repo.id,
        "node_id": node_id("R", repo.id),
        "name": repo.name,
        "full_name": world.full_name(index),
        "private": true,
        "visibility": "private",
        "owner": user(world, world.organisation),
        "html_url": page,
        "description": null,
        "fork": false,
        "url": url,
        "clone_url": format!("{page}.git"),
        "git_url": format!("{page}.git"),
        "ssh_url": format!("git@127.0.0.1:{}.git", world.full_name(index)),
        "svn_url": page,
        "mirror_url": null,
        "homepage": null,
        "language": null,
        "license": null,
        "default_branch": PROTECTED,
        "created_at": time(repo.created_at),
        "updated_at": time(repo.pushed_at),
        "pushed_at": time(repo.pushed_at),
        "size": 1,
        "topics": [],
        "open_issues": open,
        "open_issues_count": open,
    });
    for flag in YES {
        shape[flag] = true.into();
    }
    for flag in NO {
        shape[flag] = false.into();
    }
    for count in [
        "forks",
        "forks_count",
        "stargazers_count",
        "watchers",
        "watchers_count",
        "network_count",
        "subscribers_count",
    ] {
        shape[count] = 0.into();
    }
    for (field, below) in BELOW {
        shape[field] = format!("{url}{below}").into();
    }
    shape
}

/// `git-ref`.
pub fn reference(world: &World, repo: usize, name: &str, sha: &str) -> Value {
    let url = world.repo_url(repo);
    json!({
        "ref": name,
        "node_id": node_id("REF", world.repos[repo].id),
        "url": format!("{url}/git/{name}"),
        "object": { "sha": sha, "type": "commit", "url": format!("{url}/git/commits/{sha}") },
    })
}

/// `activity`.
pub fn activity(world: &World, entry: &Activity) -> Value {
    json!({
        "id": entry.id,
        "node_id": node_id("PSH", entry.id),
        "before": entry.before,
        "after": entry.after,
        "ref": entry.reference,
        "timestamp": time(entry.at),
        "activity_type": entry.kind,
        "actor": user(world, entry.actor),
    })
}
