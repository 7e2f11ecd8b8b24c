//! One file on a branch of its own that Hallpass alone writes: replaced, never added to, and signed like the evidence.
//!
//! Invariant: only what one of our keys signed is read back, and by none that the evidence says was replaced. Whoever else can push there can take it away, and nothing more.

use git2::Repository;

use super::history::{absent_is_none, commit_id};
use super::signature::{self, Signers};
use super::write::{commit_text, local, write_signed};
use super::{RepoError, broken, evidence};
use crate::domain::audit::Signature;
use crate::domain::model::{CommitId, Instant};

/// The file.
const FILE: &str = "notes.json";

/// What is to be kept.
#[derive(Debug, Clone)]
pub struct Keepsake {
    /// Its content.
    pub bytes: Vec<u8>,
    /// What the commit says.
    pub message: String,
    /// The date of the commit.
    pub at: Instant,
}

/// See [`super::Mirror::keep`].
pub(super) fn keep(
    repo: &Repository,
    signers: &Signers,
    branch: &str,
    what: &Keepsake,
) -> Result<CommitId, RepoError> {
    let written = || {
        let odb = repo.odb()?;
        let mut tree = repo.treebuilder(None)?;
        tree.insert(FILE, repo.blob(&what.bytes)?, 0o100_644)?;
        let text = commit_text(tree.write()?, None, what.at, &what.message);
        let id = write_signed(&odb, &text, &signers.sign(text.as_bytes())?)?;
        repo.reference(&local(branch), id, true, "keep")?;
        Ok(commit_id(id))
    };
    written().map_err(broken("write what is kept"))
}

/// See [`super::Mirror::kept`].
pub(super) fn kept(
    repo: &Repository,
    signers: &Signers,
    (branch, evidence): (&str, &str),
) -> Result<Option<Vec<u8>>, RepoError> {
    let what = || broken("read what is kept");
    let name = format!("refs/heads/{branch}");
    let Some(tip) = absent_is_none(repo.refname_to_id(&name)).map_err(what())? else {
        return Ok(None);
    };
    let signer = match signature::of(repo, tip).map_err(what())? {
        Signature::By(signer) => signer,
        Signature::Missing | Signature::Wrong => return Ok(None),
    };
    let ours = signer == signers.public()
        || (signers.believed().contains(&signer)
            && !evidence::is_replaced(repo, signers, evidence, &signer)?);
    if !ours {
        return Ok(None);
    }
    let read = || {
        let tree = repo.find_commit(tip)?.tree()?;
        let Some(entry) = tree.get_name(FILE).map(|entry| entry.id()) else {
            return Ok(None);
        };
        Ok(absent_is_none(repo.find_blob(entry))?.map(|blob| blob.content().to_vec()))
    };
    read().map_err(what())
}
