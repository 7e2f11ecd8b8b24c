//! Commits and files.

use chrono::DateTime;
use git2::{Commit, Oid, Repository};
use serde_json::{Value, json};

use crate::sandbox::git::FileChange;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::World;

use super::people::user;
use super::{node_id, time};

/// Who a commit says made it, as GitHub's accounts see it: by the address only.
fn account_of(world: &World, signature: &git2::Signature<'_>) -> Value {
    let email = signature.email().unwrap_or_default();
    let id = email
        .split_once('+')
        .and_then(|(id, rest)| rest.ends_with("@users.noreply.github.com").then_some(id));
    match id
        .and_then(|id| id.parse::<u64>().ok())
        .filter(|id| world.accounts.contains_key(id))
    {
        Some(id) => user(world, id),
        None => Value::Null,
    }
}

fn git_user(signature: &git2::Signature<'_>) -> Value {
    let at = DateTime::from_timestamp(signature.when().seconds(), 0).unwrap_or_default();
    json!({ "name": signature.name().unwrap_or_default(), "email": signature.email().unwrap_or_default(), "date": time(at) })
}

/// `commit`.
pub fn commit(world: &World, repo: usize, commit: &Commit<'_>) -> Value {
    let (url, page) = (world.repo_url(repo), world.repo_page(repo));
    let sha = commit.id().to_string();
    let tree = commit.tree_id().to_string();
    let parents: Vec<Value> = commit
        .parent_ids()
        .map(|id| json!({ "sha": id.to_string(), "url": format!("{url}/commits/{id}"), "html_url": format!("{page}/commit/{id}") }))
        .collect();
    json!({
        "sha": sha,
        "node_id": node_id("C", world.repos[repo].id),
        "url": format!("{url}/commits/{sha}"),
        "html_url": format!("{page}/commit/{sha}"),
        "comments_url": format!("{url}/commits/{sha}/comments"),
        "commit": {
            "url": format!("{url}/git/commits/{sha}"),
            "author": git_user(&commit.author()),
            "committer": git_user(&commit.committer()),
            "message": String::from_utf8_lossy(commit.message_bytes()),
            "comment_count": 0,
            "tree": { "sha": tree, "url": format!("{url}/git/trees/{tree}") },
            "verification": { "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null },
        },
        "author": account_of(world, &commit.author()),
        "committer": account_of(world, &commit.committer()),
        "parents": parents,
    })
}

/// `diff-entry`.
pub fn file(world: &World, repo: usize, sha: &str, file: &FileChange) -> Value {
    let (url, page) = (world.repo_url(repo), world.repo_page(repo));
    let path = path_escape(&file.path);
    let mut shape = json!({
        "sha": file.blob,
        "filename": file.path,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": format!("{page}/blob/{sha}/{path}"),
        "raw_url": format!("{page}/raw/{sha}/{path}"),
        "contents_url": format!("{url}/contents/{path}?ref={sha}"),
    });
    if let Some(patch) = &file.patch {
        shape["patch"] = patch.as_str().into();
    }
    shape
}

/// A path as it stands in an address.
pub fn path_escape(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// A commit as the `push` webhook shows it.
pub fn pushed(world: &World, repo: usize, git: &Repository, id: Oid) -> Result<Value, Refusal> {
    let commit = git.find_commit(id)?;
    let parent = commit
        .parents()
        .next()
        .and_then(|parent| parent.tree().ok());
    let files = crate::sandbox::git::diff_trees(git, parent.as_ref(), &commit.tree()?)?;
    let with = |wanted: &[&str]| -> Vec<&str> {
        files
            .iter()
            .filter(|file| wanted.contains(&file.status))
            .map(|file| file.path.as_str())
            .collect()
    };
    let at = DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default();
    Ok(json!({
        "id": id.to_string(),
        "tree_id": commit.tree_id().to_string(),
        "distinct": true,
        "message": String::from_utf8_lossy(commit.message_bytes()),
        "timestamp": time(at),
        "url": format!("{}/commit/{id}", world.repo_page(repo)),
        "author": { "name": commit.author().name().unwrap_or_default(), "email": commit.author().email().unwrap_or_default() },
        "committer": { "name": commit.committer().name().unwrap_or_default(), "email": commit.committer().email().unwrap_or_default() },
        "added": with(&["added"]),
        "removed": with(&["removed"]),
        "modified": with(&["modified", "changed"]),
    }))
}
