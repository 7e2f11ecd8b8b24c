//! Reading git trees: what stands at a path, and how two trees differ.
//!
//! Trees are read with a parser of our own, because they are hostile input: any tree that can be pushed can be read here. Only
//! a tree that is sorted, has no name twice and no `/` in a name has one meaning for everybody. Any other, and one that is too
//! deep or the part of a flood of entries, becomes one file of mode 0 with a name that no rule accepts: it is refused by the rules,
//! with its place, and nothing below it is read.

mod object;
mod reader;

use std::collections::BTreeMap;
use std::sync::Arc;

use git2::{Oid, Repository};

use super::history::{commit, merge_bases};
use super::{RepoError, broken};
use crate::domain::catalogue::{ChangedFile, Declared, File, REGULAR_FILE};
use crate::domain::codeowners;
use crate::domain::model::{BlobId, CommitId, GrantPath, RepoPath};
use object::Entry;
use reader::blob_id;

pub(super) use reader::Reader;

/// How many bytes of changed files are kept; a request has a few hundred.
const CHANGED: usize = 64 * 1024 * 1024;

/// Every governed file of a commit's tree; see [`super::Mirror::files`].
///
/// # Errors
/// [`RepoError::NoCommit`] when the commit is not here, [`RepoError::Broken`].
pub fn files(repo: &Repository, id: &CommitId) -> Result<Vec<File>, RepoError> {
    files_beside(repo, id, &BTreeMap::new())
}

/// See [`super::Mirror::files_beside`].
pub(super) fn files_beside(
    repo: &Repository,
    id: &CommitId,
    known: &BTreeMap<GrantPath, Declared>,
) -> Result<Vec<File>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let what = format!("read the files of {id}");
    let mut reader = Reader::new(repo).map_err(broken(&what))?;
    let mut found = Vec::new();
    let mut collect = |path: &str, _: Option<Entry<'_>>, entry: Option<Entry<'_>>| {
        if let Some(entry) = entry.filter(|_| is_governed(path)) {
            found.push((path.to_owned(), entry.mode, entry.id));
        }
    };
    reader
        .compare(None, Some(root), "", &mut collect)
        .map_err(broken(&what))?;
    let as_known = |path: &str, mode: u32, id: Oid| {
        let declared = known.get(&GrantPath::new(path).ok()?)?;
        declared
            .is(mode, &blob_id(id))
            .then(|| declared.blob.clone())
    };
    let files = found
        .into_iter()
        .map(|(path, mode, id)| match as_known(&path, mode, id) {
            Some(blob) => Ok(File {
                path,
                mode,
                blob,
                bytes: Arc::default(),
            }),
            None => reader.file(path, mode, id, true),
        });
    files.collect::<Result<_, _>>().map_err(broken(&what))
}

/// The folders that declare who can receive something.
const SUBJECTS: [&str; 2] = ["access/people", "access/services"];

/// The files of people and services; see [`super::Mirror::subjects`].
pub(super) fn subjects(repo: &Repository, id: &CommitId) -> Result<Option<Vec<File>>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let what = format!("read the people of {id}");
    let mut reader = Reader::new(repo).map_err(broken(&what))?;
    let mut files = Vec::new();
    for folder in SUBJECTS {
        let Some(found) = reader.folder(root, folder).map_err(broken(&what))? else {
            return Ok(None);
        };
        for (path, mode, id) in found {
            files.push(reader.file(path, mode, id, true).map_err(broken(&what))?);
        }
    }
    Ok(Some(files))
}

/// At how many places two histories may have left each other.
const FORKS: usize = 16;

/// What merging `head` into `base` may change; see [`super::Mirror::proposed`].
///
/// # Errors
/// [`RepoError::NoCommit`] when either commit is not here, [`RepoError::Broken`].
pub fn proposed(
    repo: &Repository,
    base: &CommitId,
    head: &CommitId,
) -> Result<Option<Vec<ChangedFile>>, RepoError> {
    match merge_bases(repo, base, head)?.as_slice() {
        [fork] => changes(repo, fork, head).map(Some),
        forks if forks.is_empty() || forks.len() > FORKS => Ok(None),
        forks => {
            let mut all = BTreeMap::new();
            for fork in forks {
                for change in changes(repo, fork, head)? {
                    all.entry(change.path.clone()).or_insert(change);
                }
            }
            Ok(Some(all.into_values().collect()))
        }
    }
}

/// How the trees of two commits differ; see [`super::Mirror::changes`].
///
/// # Errors
/// [`RepoError::NoCommit`] when either commit is not here, [`RepoError::Broken`].
pub fn changes(
    repo: &Repository,
    before: &CommitId,
    after: &CommitId,
) -> Result<Vec<ChangedFile>, RepoError> {
    let (a, b) = (
        commit(repo, before)?.tree_id(),
        commit(repo, after)?.tree_id(),
    );
    let what = format!("compare {before} with {after}");
    let mut reader = Reader::new(repo).map_err(broken(&what))?;
    let mut found = Vec::new();
    let mut collect = |path: &str, old: Option<Entry<'_>>, new: Option<Entry<'_>>| {
        found.push((
            path.to_owned(),
            old.map(|e| (blob_id(e.id), e.mode)),
            new.map(|e| (e.id, e.mode)),
        ));
    };
    reader
        .compare(Some(a), Some(b), "", &mut collect)
        .map_err(broken(&what))?;
    // What a pull request changes is hostile until it is judged.
    reader.left = CHANGED;
    let changed = found.into_iter().map(|(path, before, after)| {
        let governed = is_governed(&path);
        let after = after
            .map(|(id, mode)| reader.file(path.clone(), mode, id, governed))
            .transpose()?;
        Ok(ChangedFile {
            path,
            before,
            after,
        })
    });
    changed
        .collect::<Result<_, git2::Error>>()
        .map_err(broken(&what))
}

/// What stands at `paths`; see [`super::Mirror::blobs_at`].
pub(super) fn blobs_at(
    repo: &Repository,
    id: &CommitId,
    paths: &[RepoPath],
) -> Result<BTreeMap<RepoPath, Option<BlobId>>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let mut reader = Reader::new(repo).map_err(broken("open the objects"))?;
    let mut found = BTreeMap::new();
    for path in paths {
        let entry = reader
            .at(root, path.as_str())
            .map_err(broken(path.as_str()))?;
        let blob = entry
            .filter(|(mode, _)| *mode == REGULAR_FILE)
            .map(|(_, id)| blob_id(id));
        found.insert(path.clone(), blob);
    }
    Ok(found)
}

/// The blob or tree at each of `paths` that is there; see [`super::Mirror::objects`].
///
/// # Errors
/// [`RepoError::NoCommit`] when the commit is not here, [`RepoError::Broken`].
pub fn objects(
    repo: &Repository,
    id: &CommitId,
    paths: &[&str],
) -> Result<BTreeMap<String, String>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let mut reader = Reader::new(repo).map_err(broken("open the objects"))?;
    let mut found = BTreeMap::new();
    for path in paths {
        let entry = reader.at(root, path).map_err(broken(path))?;
        found.extend(entry.map(|(_, id)| ((*path).to_owned(), id.to_string())));
    }
    Ok(found)
}

/// The grant file at `path`; see [`super::Mirror::grant_file`].
///
/// # Errors
/// [`RepoError::NoCommit`] when the commit is not here, [`RepoError::Broken`].
pub fn grant_file(
    repo: &Repository,
    id: &CommitId,
    path: &GrantPath,
) -> Result<Option<File>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let read = || {
        let mut reader = Reader::new(repo)?;
        let there = reader.at(root, path.as_str())?;
        let there = there.filter(|(mode, _)| *mode == REGULAR_FILE);
        there
            .map(|(mode, id)| reader.file(path.to_string(), mode, id, true))
            .transpose()
    };
    read().map_err(broken(path.as_str()))
}

/// The grant files of a commit; see [`super::Mirror::grants`].
pub(super) fn grants(
    repo: &Repository,
    id: &CommitId,
) -> Result<BTreeMap<GrantPath, BlobId>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let mut found = BTreeMap::new();
    let read = Reader::new(repo).and_then(|mut reader| {
        let folder = reader.grants_folder(root)?;
        reader.compare_grants(None, folder, &mut |path, _, blob| {
            found.extend(blob.map(|blob| (path, blob_id(blob))));
        })
    });
    read.map_err(broken("read the grant files"))?;
    Ok(found)
}

/// Whether Hallpass reads what stands at `path`. `access` itself counts: it could be a symbolic link.
pub(super) fn is_governed(path: &str) -> bool {
    path == "access"
        || path.starts_with("access/")
        || codeowners::LOCATIONS.contains(&path)
        || path.rsplit('/').next() == Some(".gitattributes")
}
