//! What goes wrong with git, and what to do about it.

use crate::domain::model::CommitId;

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
    /// No commit of this name, in a repository that was asked by name.
    #[error("`{0}` names no commit here; fetch it, or correct the name")]
    NoRevision(String),
    /// A branch that may only grow was replaced on the remote: commits that we know were there are gone from it. A person must
    /// look before anything is written on top. The mirror still has the known commit; deleting the mirror accepts what the
    /// remote has now.
    #[error("branch {branch} was rewritten on the remote: {known} was there, {} is there now", found.as_ref().map_or("nothing", CommitId::as_str))]
    Rewritten {
        /// The branch.
        branch: String,
        /// The tip that the remote had when we last looked, and of which nothing may be lost.
        known: CommitId,
        /// The tip that it has now, if the branch still exists.
        found: Option<CommitId>,
    },
    /// Evidence is to be signed with a key that another one replaced, which nobody would believe. A person must put the right key in place;
    /// until then nothing is written.
    #[error(
        "since {by} on {branch} another key signs the evidence: restart this server with that one; to go back to its own key, name that one in `previous_key_file`; where it is lost, make a new one"
    )]
    KeyReplaced {
        /// The branch.
        branch: String,
        /// The commit that announced the other key.
        by: CommitId,
    },
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

/// For `map_err`: a failure of the mirror itself, while doing `what`.
pub(super) fn broken(what: &str) -> impl FnOnce(git2::Error) -> RepoError + use<'_> {
    move |source| RepoError::Broken {
        what: what.to_owned(),
        source,
    }
}

/// For `map_err`: the same, for a plain file of the mirror.
pub(super) fn broken_file(what: &str) -> impl FnOnce(std::io::Error) -> RepoError + use<'_> {
    move |source| RepoError::Broken {
        what: what.to_owned(),
        source: git2::Error::from_str(&source.to_string()),
    }
}
