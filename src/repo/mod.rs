//! The port to git: a bare mirror of the access repository, read by blob id, and the evidence branch.
//!
//! libgit2 blocks, so every method moves to a blocking thread. No checkout, no filters, no hooks, no subprocess.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;

use crate::domain::catalogue::{ChangedFile, File};
use crate::domain::evidence::Event;
use crate::domain::model::{BlobId, CommitId, GrantPath, Instant, RepoPath};

/// What went wrong with git, named by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// The remote cannot be reached or answered nonsense: try again.
    #[error("git remote is unavailable: {what}")]
    Unavailable {
        /// What was attempted.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The remote refused the credentials, or refused a ref (not a fast-forward, a rule): look again, then try again.
    #[error("git remote refuses: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The commit is not in the mirror and could not be fetched.
    #[error("no commit {0} in the mirror")]
    NoCommit(CommitId),
    /// The mirror itself is broken: disk full, corrupt objects. A person must look; deleting the mirror is safe.
    #[error("the local mirror is broken: {what}")]
    Broken {
        /// What was attempted.
        what: String,
        /// Why.
        #[source]
        source: git2::Error,
    },
}

/// Where the remote is and how to authenticate.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The address, without credentials.
    pub url: String,
    /// Sent as Basic authentication for `x-access-token`; never in a URL, never on disk.
    pub token: Option<SecretString>,
}

/// A file that reached the protected branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// Its path.
    pub path: GrantPath,
    /// Its content.
    pub blob: BlobId,
    /// The first-parent commit that brought it.
    pub commit: CommitId,
    /// The committer date of that commit.
    pub at: Instant,
}

/// A branch of which we keep a local copy.
#[derive(Debug, Clone)]
pub struct Mirror {
    path: std::path::PathBuf,
}

#[expect(
    clippy::unused_async,
    clippy::missing_errors_doc,
    reason = "being built"
)]
impl Mirror {
    /// Opens the mirror at `path`, creating it if there is none.
    pub async fn open(path: &Path) -> Result<Self, RepoError> {
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Fetches the protected branch, the evidence branch (if it exists) and `refs/pull/N/head` of `pulls`. Forced: the mirror
    /// shows what the remote has. Deleted remote branches disappear here too.
    pub async fn fetch(
        &self,
        remote: &Remote,
        branches: &[&str],
        pulls: &[u64],
    ) -> Result<(), RepoError> {
        let _ = (remote, branches, pulls, &self.path);
        unimplemented!("repo")
    }

    /// The tip of a fetched branch.
    pub async fn tip(&self, branch: &str) -> Result<Option<CommitId>, RepoError> {
        let _ = branch;
        unimplemented!("repo")
    }

    /// Whether `old` is `new` or an ancestor of it.
    pub async fn is_ancestor(&self, old: &CommitId, new: &CommitId) -> Result<bool, RepoError> {
        let _ = (old, new);
        unimplemented!("repo")
    }

    /// The merge base of two commits, if they have one.
    pub async fn merge_base(
        &self,
        a: &CommitId,
        b: &CommitId,
    ) -> Result<Option<CommitId>, RepoError> {
        let _ = (a, b);
        unimplemented!("repo")
    }

    /// The `n`-th first-parent ancestor; `None` past the root.
    pub async fn ancestor(&self, commit: &CommitId, n: u32) -> Result<Option<CommitId>, RepoError> {
        let _ = (commit, n);
        unimplemented!("repo")
    }

    /// Every governed file of a commit's tree with its bytes: `access/**`, the CODEOWNERS locations and every `.gitattributes`.
    /// Files over the parser's limit come with their first bytes past the limit, enough to be refused.
    pub async fn files(&self, commit: &CommitId) -> Result<Vec<File>, RepoError> {
        let _ = commit;
        unimplemented!("repo")
    }

    /// How the trees of two commits differ, from trees and never from a listing; equal subtrees are skipped. No rename
    /// detection: a rename is a deletion and an addition. Bytes are read for governed paths only.
    pub async fn changes(
        &self,
        before: &CommitId,
        after: &CommitId,
    ) -> Result<Vec<ChangedFile>, RepoError> {
        let _ = (before, after);
        unimplemented!("repo")
    }

    /// What stands at `paths` in a commit's tree (`None`: nothing, or not a regular file). [`RepoError::NoCommit`] for a commit
    /// that is not here.
    pub async fn blobs_at(
        &self,
        commit: &CommitId,
        paths: &[RepoPath],
    ) -> Result<BTreeMap<RepoPath, Option<BlobId>>, RepoError> {
        let _ = (commit, paths);
        unimplemented!("repo")
    }

    /// The grant files at the tip of a commit: path and blob, regular files with a well-formed path only.
    pub async fn grants(
        &self,
        commit: &CommitId,
    ) -> Result<BTreeMap<GrantPath, BlobId>, RepoError> {
        let _ = commit;
        unimplemented!("repo")
    }

    /// The grant files of `tip` that first-parent commits after `since` (or since the root) brought or changed: for each path the
    /// *last* such commit. Files that are gone at `tip` are left out.
    pub async fn landed(
        &self,
        since: Option<&CommitId>,
        tip: &CommitId,
    ) -> Result<Vec<Landed>, RepoError> {
        let _ = (since, tip);
        unimplemented!("repo")
    }

    /// Commits the removal of `paths` on top of `onto`, on local branch `branch` (created or moved). Deterministic: the same
    /// input gives the same commit. Returns the commit, or `None` if none of the paths exists in `onto`.
    pub async fn commit_removal(
        &self,
        branch: &str,
        onto: &CommitId,
        paths: &[GrantPath],
        message: &str,
        at: Instant,
    ) -> Result<Option<CommitId>, RepoError> {
        let _ = (branch, onto, paths, message, at);
        unimplemented!("repo")
    }

    /// Pushes a local branch. `force` replaces what is there. A refusal by the server is an error, which libgit2 alone would
    /// not say.
    pub async fn push(&self, remote: &Remote, branch: &str, force: bool) -> Result<(), RepoError> {
        let _ = (remote, branch, force);
        unimplemented!("repo")
    }

    /// Appends one commit an event to local branch `branch`, an orphan history of its own whose tree holds only a README: the
    /// evidence is the commit message. Starts from the *fetched* tip. An event whose `Event-Key:` trailer is already on the
    /// branch is not written again, so that a crash between push and bookkeeping repeats nothing. Returns the commit of each
    /// event.
    pub async fn append_evidence(
        &self,
        branch: &str,
        events: &[Event],
    ) -> Result<Vec<CommitId>, RepoError> {
        let _ = (branch, events);
        unimplemented!("repo")
    }
}
