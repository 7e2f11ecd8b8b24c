//! Commits, comparisons, and the pull requests that commits belong to.

use git2::Oid;
use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::git;
use crate::sandbox::merging::PROTECTED;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::{commits, pulls};
use crate::sandbox::world::{Pull, World};

/// The commit that a branch, a tag or an id means.
pub fn resolve(git: &git2::Repository, name: &str) -> Result<Oid, Refusal> {
    let name = if name.is_empty() { PROTECTED } else { name };
    let found = git
        .revparse_single(name)
        .and_then(|object| object.peel_to_commit());
    found
        .map(|commit| commit.id())
        .map_err(|_| Refusal::new(422, format!("No commit found for SHA: {name}")))
}

/// `GET /repos/{owner}/{repo}/commits`.
pub fn list(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let git = world.git(repo)?;
    let mut walk = git.revwalk()?;
    walk.push(resolve(&git, call.query("sha").unwrap_or(PROTECTED))?)?;
    let mut found = Vec::new();
    for id in walk {
        found.push(commits::commit(world, repo, &git.find_commit(id?)?));
    }
    Ok(call.page(found))
}

/// `GET /repos/{owner}/{repo}/commits/{ref}`.
pub fn get(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let git = world.git(repo)?;
    let commit = git.find_commit(resolve(&git, call.param("ref"))?)?;
    let parent = commit
        .parents()
        .next()
        .and_then(|parent| parent.tree().ok());
    let files = git::diff_trees(&git, parent.as_ref(), &commit.tree()?)?;
    let sha = commit.id().to_string();
    let mut shape = commits::commit(world, repo, &commit);
    let (added, removed) = (
        files.iter().map(|file| file.additions).sum::<usize>(),
        files.iter().map(|file| file.deletions).sum::<usize>(),
    );
    shape["stats"] = json!({ "additions": added, "deletions": removed, "total": added + removed });
    shape["files"] = files
        .iter()
        .map(|file| commits::file(world, repo, &sha, file))
        .collect();
    Ok(Answer::ok(shape))
}

/// `GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls`: merged ones that brought it to the default branch, else open ones that hold it.
pub fn pulls(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let git = world.git(repo)?;
    let commit = resolve(&git, call.param("commit_sha"))?;
    let pulls = || world.repos[repo].pulls.values();
    let merged_as = |pull: &&Pull| {
        let merged = pull.merged.as_ref();
        merged.is_some_and(|merged| merged.commit == commit.to_string())
    };
    let holds = |pull: &&Pull| -> bool {
        let ends = (Oid::from_str(&pull.head_sha), Oid::from_str(&pull.base_sha));
        matches!(ends, (Ok(head), Ok(base)) if git::contains(&git, head, commit) && !git::contains(&git, base, commit))
    };
    let mut found: Vec<&Pull> = pulls().filter(merged_as).collect();
    if found.is_empty() {
        let there = pulls().filter(|pull| pull.open || pull.merged.is_some());
        found.extend(there.filter(holds));
    }
    Ok(call.page(
        found
            .into_iter()
            .map(|pull| pulls::pull_simple(world, repo, pull))
            .collect(),
    ))
}

/// `GET /repos/{owner}/{repo}/compare/{basehead}`.
pub fn compare(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let git = world.git(repo)?;
    let basehead = call.param("basehead");
    let (base, head) = basehead.split_once("...").ok_or_else(Refusal::not_found)?;
    let local = |name: &str| {
        name.rsplit_once(':')
            .map_or(name.to_owned(), |(_, name)| name.to_owned())
    };
    let (base, head) = (
        resolve(&git, &local(base)).map_err(|_| Refusal::not_found())?,
        resolve(&git, &local(head)).map_err(|_| Refusal::not_found())?,
    );
    let fork = git.merge_base(base, head)?;
    let (ahead, behind) = git.graph_ahead_behind(head, base)?;
    let status = match (ahead, behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let sha = head.to_string();
    let listed: Vec<Value> = git::commits_between(&git, base, head)?
        .into_iter()
        .map(|id| Ok(commits::commit(world, repo, &git.find_commit(id)?)))
        .collect::<Result<_, Refusal>>()?;
    let page = format!(
        "{}/compare/{}",
        world.repo_page(repo),
        commits::path_escape(basehead)
    );
    Ok(Answer::ok(json!({
        "url": format!("{}/compare/{}", world.repo_url(repo), commits::path_escape(basehead)),
        "html_url": page,
        "permalink_url": page,
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
        "base_commit": commits::commit(world, repo, &git.find_commit(base)?),
        "merge_base_commit": commits::commit(world, repo, &git.find_commit(fork)?),
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": listed,
        "files": git::diff(&git, base, head)?.iter().map(|file| commits::file(world, repo, &sha, file)).collect::<Vec<_>>(),
    })))
}
