//! What the forge tells about one pull request: facts, read afresh, whole.
//!
//! Nothing here is lazily fetched, so a decision can never fail on I/O. What could not be learnt is *in* the facts
//! ([`Lookup::Failed`], [`Pushers::Unknown`]) and denies.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Actor, BlobId, CommitId, Instant, Login, Owner, PullNumber, RepoPath, UserId};

/// One pull request with its reviews, as read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: PullNumber,
    /// Who opened it; `None` for a deleted account.
    pub author: Option<Actor>,
    /// The title. Untrusted text.
    pub title: String,
    /// Where it stands.
    pub state: PullState,
    /// Whether it is a draft.
    pub draft: bool,
    /// The branch it wants to change, without `refs/heads/`.
    pub base_branch: String,
    /// The tip of its own branch.
    pub head: CommitId,
    /// The name of its own branch, without `refs/heads/`. Untrusted text.
    pub head_branch: String,
    /// Whether its branch lives in another repository.
    pub from_fork: bool,
    /// How many commits it has.
    pub commits: u32,
    /// Everybody who pushed to its branch.
    pub pushers: Pushers,
    /// Its reviews, oldest first.
    pub reviews: Vec<Review>,
}

/// An open pull request in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullListed {
    /// Its number.
    pub number: PullNumber,
    /// Who opened it, by number; `None` for a deleted account.
    pub author: Option<UserId>,
    /// The tip of its branch.
    pub head: CommitId,
    /// The branch it wants to change.
    pub base_branch: String,
    /// The name of its own branch.
    pub head_branch: String,
    /// When anything about it last changed.
    pub updated_at: Instant,
}

/// Where a pull request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullState {
    /// Open.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged.
    Merged {
        /// The commit on the base branch: GitHub's `merge_commit_sha`.
        commit: CommitId,
        /// When.
        at: Instant,
        /// By whom.
        by: Option<Actor>,
    },
}

impl PullState {
    /// Who merged it; `None` where nobody did, or the forge does not tell.
    pub fn merged_by(&self) -> Option<&Actor> {
        match self {
            Self::Merged { by, .. } => by.as_ref(),
            Self::Open | Self::Closed => None,
        }
    }
}

/// Who pushed to a pull request's branch. Commit authors are free text and prove nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushers {
    /// All of them.
    Known(BTreeSet<UserId>),
    /// Could not be established; why.
    Unknown(String),
}

/// One review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// GitHub's number for it.
    pub id: u64,
    /// Who reviewed; `None` for a deleted account.
    pub reviewer: Option<Actor>,
    /// What it says.
    pub state: ReviewState,
    /// The commit that was looked at; `None` where GitHub no longer tells.
    pub commit: Option<CommitId>,
    /// The text. Untrusted.
    pub body: String,
    /// When it was submitted.
    pub submitted_at: Option<Instant>,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "GitHub's own words")]
pub enum ReviewState {
    Approved,
    ChangesRequested,
    Commented,
    /// An approval that somebody dismissed, or a change request that its own author took back.
    Dismissed,
    /// A change request that somebody else dismissed: dismissing it is not its author's word, so it still blocks.
    ObjectionDismissed,
    Pending,
    /// A state that this version does not know. Never counts for anything. It could be a new kind of change request, so that
    /// of an owner is doubt until the owner approves.
    Unknown,
}

/// The outcome of asking the forge: three-valued, because a failed question is neither yes nor no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The answer.
    Found(T),
    /// The forge says that there is no such thing.
    Absent,
    /// The forge could not be asked; why. Denies, and is tried again.
    Failed(String),
}

/// Who stands behind the owners of CODEOWNERS at the moment of reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// For each `@organisation/team`: its *active* members, if the team can write to the repository.
    pub teams: BTreeMap<Owner, Lookup<Team>>,
    /// For each `@login`: the account behind it now.
    pub users: BTreeMap<Login, Lookup<Collaborator>>,
}

/// A team as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Whether it has write access to the repository, which CODEOWNERS demands of an owner.
    pub can_write: bool,
    /// Active members.
    pub members: Vec<Actor>,
}

/// A person named as owner, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collaborator {
    /// The account.
    pub actor: Actor,
    /// Whether it has write access to the repository.
    pub can_write: bool,
}

/// What stood at a path in a reviewed commit: `None` where the path did not exist there. A commit that could not be read is
/// absent from the map, and reviews of it count for nothing.
pub type Reviewed = BTreeMap<CommitId, BTreeMap<RepoPath, Option<BlobId>>>;
