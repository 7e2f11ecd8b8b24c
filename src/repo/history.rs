//! Reading git history: ancestors, and which commit brought a file.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{ErrorCode, Oid, Repository};

use super::tree::{self, Reader, is_governed};
use super::{Landed, RepoError, broken};
use crate::domain::evidence::Arrived;
use crate::domain::model::{BlobId, CommitId, GrantPath, Instant};

/// Opens the repository that `path` lies in, as git would find it.
///
/// # Errors
/// [`RepoError::Broken`] when there is none or it cannot be read.
pub fn open(path: &Path) -> Result<Repository, RepoError> {
    Repository::discover(path).map_err(broken(&format!(
        "open the git repository at {}",
        path.display()
    )))
}

/// The commit that `rev` names, in git's own language for revisions.
///
/// # Errors
/// [`RepoError::NoRevision`] when it names none.
pub fn resolve(repo: &Repository, rev: &str) -> Result<CommitId, RepoError> {
    let found = repo
        .revparse_single(rev)
        .and_then(|object| object.peel_to_commit());
    found
        .map(|commit| commit_id(commit.id()))
        .map_err(|_| RepoError::NoRevision(rev.to_owned()))
}

/// The merge base of two commits, if they have one: of several, the one that git names first.
///
/// # Errors
/// [`RepoError::NoCommit`] when either is not here, [`RepoError::Broken`].
pub fn merge_base(
    repo: &Repository,
    a: &CommitId,
    b: &CommitId,
) -> Result<Option<CommitId>, RepoError> {
    Ok(merge_bases(repo, a, b)?.into_iter().next())
}

/// Where the histories of two commits left each other: several places where merges cross.
pub(super) fn merge_bases(
    repo: &Repository,
    a: &CommitId,
    b: &CommitId,
) -> Result<Vec<CommitId>, RepoError> {
    let (a, b) = (commit(repo, a)?.id(), commit(repo, b)?.id());
    let found = absent_is_none(repo.merge_bases(a, b)).map_err(broken("find merge bases"))?;
    let found = found.iter().flat_map(|bases| bases.iter().copied());
    Ok(found.map(commit_id).collect())
}

pub(super) fn tip(repo: &Repository, name: &str) -> Result<Option<CommitId>, RepoError> {
    let found =
        absent_is_none(repo.refname_to_id(name)).map_err(broken(&format!("read {name}")))?;
    Ok(found.map(commit_id))
}

pub(super) fn is_ancestor(
    repo: &Repository,
    old: &CommitId,
    new: &CommitId,
) -> Result<bool, RepoError> {
    let (old, new) = (commit(repo, old)?.id(), commit(repo, new)?.id());
    Ok(old == new
        || repo
            .graph_descendant_of(new, old)
            .map_err(broken("compare two commits"))?)
}

pub(super) fn ancestor(
    repo: &Repository,
    id: &CommitId,
    n: u32,
) -> Result<Option<CommitId>, RepoError> {
    let mut here = commit(repo, id)?;
    for _ in 0..n {
        match here.parent_ids().next() {
            Some(parent) => {
                here = repo
                    .find_commit(parent)
                    .map_err(broken("read a parent commit"))?
            }
            None => return Ok(None),
        }
    }
    Ok(Some(commit_id(here.id())))
}

/// See [`super::Mirror::landed`].
pub(super) fn landed(
    repo: &Repository,
    since: Option<&CommitId>,
    tip: &CommitId,
) -> Result<Vec<Landed>, RepoError> {
    let mut pending = tree::grants(repo, tip)?;
    let stop = match since {
        None => None,
        Some(since) => {
            let stop = commit(repo, since)?.id();
            if !leads_back(repo, tip, stop)? {
                let known = tree::grants(repo, since)?;
                pending.retain(|path, blob| known.get(path) != Some(blob));
            }
            Some(stop)
        }
    };
    let tip = commit(repo, tip)?.id();
    let mut found =
        attribute(repo, tip, stop, pending).map_err(broken("walk the history of the grants"))?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Walks first parents from `tip` to `stop` or the root, and gives each pending file to the first commit it meets that has it
/// while its own first parent has not. Ends as soon as nothing is pending.
fn attribute(
    repo: &Repository,
    tip: Oid,
    stop: Option<Oid>,
    mut pending: BTreeMap<GrantPath, BlobId>,
) -> Result<Vec<Landed>, git2::Error> {
    let mut reader = Reader::new(repo)?;
    let mut found = Vec::new();
    let mut here = repo.find_commit(tip)?;
    let mut folder = reader.grants_folder(here.tree_id())?;
    while !pending.is_empty() && Some(here.id()) != stop {
        let parent = here
            .parent_ids()
            .next()
            .map(|id| repo.find_commit(id))
            .transpose()?;
        let before = match &parent {
            Some(parent) => reader.grants_folder(parent.tree_id())?,
            None => None,
        };
        reader.compare_grants(before, folder, &mut |path, old, new| {
            let Some(new) = new.filter(|new| old != Some(*new)).map(|id| id.to_string()) else {
                return;
            };
            if pending.get(&path).is_some_and(|blob| blob.as_str() == new)
                && let Some(blob) = pending.remove(&path)
            {
                found.push(Landed {
                    path,
                    blob,
                    commit: commit_id(here.id()),
                    at: committed(&here),
                });
            }
        })?;
        let Some(parent) = parent else { break };
        (here, folder) = (parent, before);
    }
    Ok(found)
}

/// The most paths of one commit that are told by name.
const PATHS: usize = 100;

/// The first-parent commits from `tip` back to `since` (without it) that change governed files, oldest first, the root included.
///
/// # Errors
/// [`RepoError::NoCommit`] when `tip` is not here, [`RepoError::Broken`].
pub fn governed(
    repo: &Repository,
    since: Option<&CommitId>,
    tip: &CommitId,
) -> Result<Vec<Arrived>, RepoError> {
    let mut here = Some(commit(repo, tip)?);
    let walk = || {
        let mut reader = Reader::new(repo)?;
        let mut found = Vec::new();
        while let Some(commit) = here {
            let id = commit_id(commit.id());
            if Some(&id) == since {
                break;
            }
            let parent = commit.parents().next();
            let (mut paths, mut count) = (Vec::new(), 0);
            let before = parent.as_ref().map(git2::Commit::tree_id);
            reader.compare(before, Some(commit.tree_id()), "", &mut |path, _, _| {
                if is_governed(path) {
                    count += 1;
                    if paths.len() < PATHS {
                        paths.push(path.to_owned());
                    }
                }
            })?;
            if count > 0 {
                found.push(Arrived {
                    commit: id,
                    paths,
                    count,
                });
            }
            here = parent;
        }
        found.reverse();
        Ok(found)
    };
    walk().map_err(broken("walk the history of what decides"))
}

/// The first-parent commits of `tip`, newest first.
///
/// # Errors
/// [`RepoError::NoCommit`] when `tip` is not here, [`RepoError::Broken`].
pub fn first_parents(repo: &Repository, tip: &CommitId) -> Result<Vec<CommitId>, RepoError> {
    let tip = commit(repo, tip)?.id();
    let walk = || {
        let mut walk = repo.revwalk()?;
        walk.simplify_first_parent()?;
        walk.push(tip)?;
        walk.map(|id| id.map(commit_id))
            .collect::<Result<_, git2::Error>>()
    };
    walk().map_err(broken("walk the protected branch"))
}

/// Whether the first parents of `tip` lead to `old`.
fn leads_back(repo: &Repository, tip: &CommitId, old: Oid) -> Result<bool, RepoError> {
    let mut here = commit(repo, tip)?;
    while here.id() != old {
        match here.parent_ids().next() {
            Some(parent) => {
                here = repo
                    .find_commit(parent)
                    .map_err(broken("read a parent commit"))?
            }
            None => return Ok(false),
        }
    }
    Ok(true)
}

pub(super) fn committed(commit: &git2::Commit<'_>) -> Instant {
    // A commit can claim any number of seconds; the epoch stands for those that are no date.
    Instant::from_timestamp(commit.committer().when().seconds(), 0).unwrap_or_default()
}

/// The commit of this id.
pub(super) fn commit<'r>(
    repo: &'r Repository,
    id: &CommitId,
) -> Result<git2::Commit<'r>, RepoError> {
    let found = Oid::from_str(id.as_str()).and_then(|oid| repo.find_commit(oid));
    found.map_err(|error| match error.code() {
        ErrorCode::NotFound => RepoError::NoCommit(id.clone()),
        _ if id.as_str().len() != 40 => RepoError::NoCommit(id.clone()),
        _ => RepoError::Broken {
            what: format!("read commit {id}"),
            source: error,
        },
    })
}

pub(super) fn commit_id(id: Oid) -> CommitId {
    CommitId::new(id.to_string()).expect("git writes ids in lower-case hexadecimal")
}

pub(super) fn absent_is_none<T>(result: Result<T, git2::Error>) -> Result<Option<T>, git2::Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
