//! The bare repositories: trees, commits, diffs and merges, computed by git itself.

use std::path::Path;

use git2::{Commit, ErrorCode, Oid, Repository, RepositoryInitOptions, Signature, Time, Tree};

use crate::domain::model::Instant;

use super::model::{Change, MergeMethod};
use super::refusal::Refusal;

/// How many bytes of hooks we need: one, which refuses the refs that the server names for this one push.
const UPDATE_HOOK: &str = r#"#!/bin/sh
case " $SANDBOX_REJECT " in
*" $1 "*) echo "error: GH013: $SANDBOX_REASON" >&2; exit 1 ;;
esac
"#;

/// Creates a bare repository that `git http-backend` may serve.
pub fn init(path: &Path, branch: &str) -> Result<Repository, Refusal> {
    let mut options = RepositoryInitOptions::new();
    options
        .bare(true)
        .mkpath(true)
        .external_template(false)
        .initial_head(branch);
    let repo = Repository::init_opts(path, &options)?;
    let mut config = repo.config()?;
    config.set_bool("http.receivepack", true)?;
    config.set_str("receive.hideRefs", "refs/pull")?;
    // GitHub lets anybody who may read fetch a commit that was once the tip of a pull request.
    config.set_bool("uploadpack.allowAnySHA1InWant", true)?;
    config.set_bool("receive.autogc", false)?;
    config.set_i32("gc.auto", 0)?;
    write_hook(path)
        .map_err(|error| Refusal::new(500, format!("cannot write the update hook: {error}")))?;
    Ok(repo)
}

fn write_hook(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let hooks = path.join("hooks");
    std::fs::create_dir_all(&hooks)?;
    let hook = hooks.join("update");
    std::fs::write(&hook, UPDATE_HOOK)?;
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))
}

/// Who signs a commit, and when.
pub fn signature(name: &str, email: &str, at: Instant) -> Result<Signature<'static>, Refusal> {
    Ok(Signature::new(name, email, &Time::new(at.timestamp(), 0))?)
}

/// The tip of a ref, by its full name.
pub fn tip(repo: &Repository, reference: &str) -> Result<Option<Oid>, Refusal> {
    match repo.refname_to_id(reference) {
        Ok(id) => Ok(Some(id)),
        Err(error)
            if error.code() == ErrorCode::NotFound || error.code() == ErrorCode::InvalidSpec =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the tree that `changes` make of `base`.
pub fn changed_tree<'r>(
    repo: &'r Repository,
    base: Option<&Tree<'_>>,
    changes: &[Change],
) -> Result<Tree<'r>, Refusal> {
    let mut index = git2::Index::new()?;
    if let Some(base) = base {
        index.read_tree(base)?;
    }
    for change in changes {
        match change {
            Change::Write { path, content } => add(repo, &mut index, path, content, 0o100_644)?,
            Change::WriteMode {
                path,
                content,
                mode,
            } => add(repo, &mut index, path, content, *mode)?,
            Change::Delete { path } => index.remove(Path::new(path), 0)?,
        }
    }
    Ok(repo.find_tree(index.write_tree_to(repo)?)?)
}

fn add(
    repo: &Repository,
    index: &mut git2::Index,
    path: &str,
    content: &[u8],
    mode: u32,
) -> Result<(), Refusal> {
    let entry = git2::IndexEntry {
        ctime: git2::IndexTime::new(0, 0),
        mtime: git2::IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: repo.blob(content)?,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    };
    Ok(index.add(&entry)?)
}

/// Whether `ancestor` is `commit` or lies behind it.
pub fn contains(repo: &Repository, commit: Oid, ancestor: Oid) -> bool {
    commit == ancestor || repo.graph_descendant_of(commit, ancestor).unwrap_or(false)
}

/// The commits of `head` that `base` does not have, oldest first.
pub fn commits_between(repo: &Repository, base: Oid, head: Oid) -> Result<Vec<Oid>, Refusal> {
    let mut walk = repo.revwalk()?;
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::REVERSE)?;
    walk.push(head)?;
    walk.hide(base)?;
    Ok(walk.collect::<Result<_, _>>()?)
}

/// One file of a diff.
#[derive(Debug, Clone)]
pub struct FileChange {
    pub path: String,
    pub status: &'static str,
    pub blob: String,
    pub additions: usize,
    pub deletions: usize,
    pub patch: Option<String>,
}

/// What `head` changes since it left `base`: GitHub's three-dot diff.
pub fn diff(repo: &Repository, base: Oid, head: Oid) -> Result<Vec<FileChange>, Refusal> {
    let from = match repo.merge_base(base, head) {
        Ok(id) => Some(repo.find_commit(id)?.tree()?),
        Err(_) => None,
    };
    diff_trees(repo, from.as_ref(), &repo.find_commit(head)?.tree()?)
}

/// What differs between two trees.
pub fn diff_trees(
    repo: &Repository,
    from: Option<&Tree<'_>>,
    to: &Tree<'_>,
) -> Result<Vec<FileChange>, Refusal> {
    let diff = repo.diff_tree_to_tree(from, Some(to), None)?;
    let mut files = Vec::new();
    for (index, delta) in diff.deltas().enumerate() {
        let (side, status) = match delta.status() {
            git2::Delta::Added => (delta.new_file(), "added"),
            git2::Delta::Deleted => (delta.old_file(), "removed"),
            git2::Delta::Typechange => (delta.new_file(), "changed"),
            _ => (delta.new_file(), "modified"),
        };
        let path = side
            .path_bytes()
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .unwrap_or_default();
        let patch = git2::Patch::from_diff(&diff, index)?;
        let (additions, deletions, text) = match patch {
            Some(mut patch) => {
                let (_, additions, deletions) = patch.line_stats()?;
                let text = patch
                    .to_buf()?
                    .as_str()
                    .ok()
                    .and_then(|text| text.find("@@").map(|at| text[at..].to_owned()));
                (additions, deletions, text)
            }
            None => (0, 0, None),
        };
        files.push(FileChange {
            path,
            status,
            blob: side.id().to_string(),
            additions,
            deletions,
            patch: text,
        });
    }
    Ok(files)
}

/// Whether `head` can be merged into `base` without a conflict.
pub fn mergeable(repo: &Repository, base: Oid, head: Oid) -> bool {
    let merged = || -> Result<bool, git2::Error> {
        let index = repo.merge_commits(&repo.find_commit(base)?, &repo.find_commit(head)?, None)?;
        Ok(!index.has_conflicts())
    };
    merged().unwrap_or(false)
}

/// Who merges, and what the commit says.
pub struct MergeBy<'a> {
    pub author: &'a Signature<'a>,
    pub committer: &'a Signature<'a>,
    pub message: &'a str,
}

/// Writes the commit (for a rebase: the commits) by which `head` reaches `base`, without moving a ref.
pub fn merge(
    repo: &Repository,
    base: Oid,
    head: Oid,
    method: MergeMethod,
    by: &MergeBy<'_>,
) -> Result<Oid, Refusal> {
    let onto = repo.find_commit(base)?;
    let tip = repo.find_commit(head)?;
    if method == MergeMethod::Rebase {
        return rebase(repo, onto, head, by);
    }
    let mut index = repo.merge_commits(&onto, &tip, None)?;
    if index.has_conflicts() {
        return Err(Refusal::new(405, "Pull Request is not mergeable"));
    }
    let tree = repo.find_tree(index.write_tree_to(repo)?)?;
    let parents: &[&Commit<'_>] = if method == MergeMethod::Squash {
        &[&onto]
    } else {
        &[&onto, &tip]
    };
    Ok(repo.commit(None, by.author, by.committer, by.message, &tree, parents)?)
}

fn rebase<'r>(
    repo: &'r Repository,
    mut onto: Commit<'r>,
    head: Oid,
    by: &MergeBy<'_>,
) -> Result<Oid, Refusal> {
    for id in commits_between(repo, onto.id(), head)? {
        let commit = repo.find_commit(id)?;
        if commit.parent_count() > 1 {
            continue;
        }
        let mut index = repo.cherrypick_commit(&commit, &onto, 0, None)?;
        if index.has_conflicts() {
            return Err(Refusal::new(405, "This branch can't be rebased"));
        }
        let tree = repo.find_tree(index.write_tree_to(repo)?)?;
        let id = repo.commit(
            None,
            &commit.author(),
            by.committer,
            commit.message()?,
            &tree,
            &[&onto],
        )?;
        onto = repo.find_commit(id)?;
    }
    Ok(onto.id())
}
