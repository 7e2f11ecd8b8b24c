//! Reading the evidence branch of a clone: every commit with its record and whose signature it bears.

use std::path::Path;

use git2::{Oid, Repository, Sort};
use rayon::prelude::*;

use super::history::{commit, commit_id};
use super::signature::{self, KeyError};
use super::{RepoError, broken, evidence};
use crate::domain::audit::{Chain, Link, Problem, Signature};
use crate::domain::evidence::Record;
use crate::domain::model::CommitId;

/// How many commits are read before they are handed on.
const CHUNK: usize = 4096;

/// What is larger is read when it is handed on, one at a time: a chunk of such would not fit into memory, and anybody who may push can make
/// one.
const SMALL: usize = 32 << 10;

/// Whether signatures are looked at: by far the most of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signatures {
    /// They are.
    Checked,
    /// Every commit counts as unsigned.
    Ignored,
}

/// Hands every commit of the history of `tip` to `each`, oldest first.
///
/// # Errors
/// [`RepoError::NoCommit`] when `tip` is not here, [`RepoError::Broken`].
pub fn links(
    repo: &Repository,
    tip: &CommitId,
    signatures: Signatures,
    mut each: impl FnMut(Link),
) -> Result<(), RepoError> {
    let what = "read the evidence";
    let walk = || {
        let mut walk = repo.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        walk.push(
            commit(repo, tip)
                .map_err(|e| git2::Error::from_str(&e.to_string()))?
                .id(),
        )?;
        walk.collect::<Result<Vec<Oid>, git2::Error>>()
    };
    // Told apart from a broken repository.
    commit(repo, tip)?;
    let folder = repo.path().to_owned();
    let all = walk().map_err(broken(what))?;
    for chunk in all.chunks(CHUNK) {
        let read: Result<Vec<Vec<Read>>, git2::Error> = chunk
            .par_chunks(CHUNK / 16)
            .map(|part| {
                // A handle must not be shared between threads.
                let repo = Repository::open(&folder)?;
                let read = |id: &Oid| read_if_small(&repo, *id, signatures);
                part.iter().map(read).collect()
            })
            .collect();
        for read in read.map_err(broken(what))?.into_iter().flatten() {
            each(match read {
                Read::Whole(link) => link,
                Read::Large(id) => read_large(repo, id, signatures).map_err(broken(what))?,
            });
        }
    }
    Ok(())
}

/// A commit of a chunk.
enum Read {
    Whole(Link),
    /// It is not read yet.
    Large(Oid),
}

fn read_if_small(repo: &Repository, id: Oid, signatures: Signatures) -> Result<Read, git2::Error> {
    let commit = repo.find_commit(id)?;
    let found = evidence::record_at(repo, &commit)?;
    let text = commit.raw_header_bytes().len() + commit.message_raw_bytes().len();
    if size(found).max(text) > SMALL {
        return Ok(Read::Large(id));
    }
    link(repo, (&commit, found), signatures).map(Read::Whole)
}

fn read_large(repo: &Repository, id: Oid, signatures: Signatures) -> Result<Link, git2::Error> {
    let commit = repo.find_commit(id)?;
    let found = evidence::record_at(repo, &commit)?;
    link(repo, (&commit, found), signatures)
}

fn size(found: Option<(Oid, usize)>) -> usize {
    found.map_or(0, |(_, size)| size)
}

fn link(
    repo: &Repository,
    (commit, found): (&git2::Commit<'_>, Option<(Oid, usize)>),
    signatures: Signatures,
) -> Result<Link, git2::Error> {
    let signature = match signatures {
        Signatures::Ignored => Signature::Missing,
        Signatures::Checked => signature::of(repo, commit.id())?,
    };
    Ok(Link {
        commit: commit_id(commit.id()),
        parents: commit.parent_ids().map(commit_id).collect(),
        message: String::from_utf8_lossy(commit.message_raw_bytes()).into_owned(),
        record: evidence::read_record(repo, found)?,
        size: size(found),
        signature,
    })
}

/// What the evidence of the mirror says, as far as `trusted` keys (and those that they announced) signed it.
#[derive(Debug)]
pub struct Believed {
    /// Its tip.
    pub tip: CommitId,
    /// How many commits it has.
    pub commits: usize,
    /// The records that are believed, oldest first.
    pub records: Vec<Record>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// See [`super::Mirror::believed`].
pub(super) fn believed(
    repo: &Repository,
    branch: &str,
    trusted: Vec<String>,
) -> Result<Option<Believed>, RepoError> {
    let Some(tip) = evidence::end(repo, branch)? else {
        return Ok(None);
    };
    let (mut chain, mut records, mut commits) = (Chain::new(trusted), Vec::new(), 0);
    links(repo, &tip, Signatures::Checked, |link| {
        commits += 1;
        records.extend(chain.believed(&link).map(|checked| checked.record));
    })?;
    Ok(Some(Believed {
        tip,
        commits,
        records,
        problems: chain.finish(),
    }))
}

/// The bytes of the record that a commit of the evidence holds; `None` where it holds none, or one that is too large to be read.
///
/// # Errors
/// [`RepoError::NoCommit`] when the commit is not here, [`RepoError::Broken`].
pub fn record(repo: &Repository, id: &CommitId) -> Result<Option<Vec<u8>>, RepoError> {
    evidence::record(repo, &commit(repo, id)?).map_err(broken("read a record"))
}

/// The public keys in a file: as `ssh-keygen` writes them, or a file of allowed signers.
///
/// # Errors
/// [`KeyError`] when the file cannot be read or holds a line that is no key.
pub fn public_keys(path: &Path) -> Result<Vec<String>, KeyError> {
    let text = std::fs::read_to_string(path).map_err(|source| KeyError::File {
        path: path.display().to_string(),
        source,
    })?;
    let keys = signature::public_keys(&text)?;
    Ok(keys.iter().map(signature::line).collect())
}
