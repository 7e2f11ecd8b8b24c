//! Reviews, owners and memberships, weighed: proof, or what is missing.
//!
//! Invariant: a [`Proof`] exists only for a path and a blob that enough distinct, current, independent owners approved. It
//! cannot be made elsewhere, copied from a database or read from a webhook.

use super::model::{Actor, BlobId, CommitId, GrantPath, Instant, Owner, PullNumber};

/// Approval of one exact content of one path, as weighed at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    path: GrantPath,
    blob: BlobId,
    pull: PullNumber,
    base: CommitId,
    approvals: Vec<Approval>,
}

impl Proof {
    /// The path that was approved.
    pub fn path(&self) -> &GrantPath {
        &self.path
    }
    /// The content that was approved.
    pub fn blob(&self) -> &BlobId {
        &self.blob
    }
    /// The pull request in which it was approved.
    pub fn pull(&self) -> PullNumber {
        self.pull
    }
    /// The commit whose CODEOWNERS, resources and people judged.
    pub fn base(&self) -> &CommitId {
        &self.base
    }
    /// The approvals that counted, oldest first.
    pub fn approvals(&self) -> &[Approval] {
        &self.approvals
    }
}

/// One review that counts for one file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Approval {
    /// GitHub's number of the review.
    pub review: u64,
    /// Who gave it.
    pub reviewer: Actor,
    /// The commit that was looked at.
    pub commit: CommitId,
    /// What stood at the path there, which is what stands there now.
    pub blob: BlobId,
    /// When it was given.
    pub at: Option<Instant>,
    /// Through which owner of the deciding line the reviewer counts.
    pub through: Owner,
    /// The deciding line of CODEOWNERS, from 1.
    pub line: u32,
}
