//! The port to the forge: whole snapshots in, a few commands out.
//!
//! No method is lazy: what a decision needs is read in one call, so that a decision never meets I/O.

pub mod github;

use std::collections::BTreeSet;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::domain::label::Label;
use crate::domain::model::{Actor, CommitId, Instant, Owner, PullNumber};
use crate::domain::pull::{Pull, PullListed, Roster};
use crate::domain::remark::Remark;
use crate::domain::report::Check;
use crate::domain::visitor::{Came, Visitor};

/// What went wrong at the forge, named by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// Try again, not before `retry_at` where the forge says so (rate limits).
    #[error("the forge is unavailable: {what}")]
    Unavailable {
        /// Which call.
        what: String,
        /// When trying again makes sense.
        retry_at: Option<Instant>,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A person must act: a missing permission, a wrong key, a suspended installation.
    #[error("the forge refuses: {what}: {reason}")]
    Refused {
        /// Which call.
        what: String,
        /// What the forge said, and what to do about it.
        reason: String,
    },
    /// The thing does not exist (or is hidden from us).
    #[error("the forge knows no {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
}

/// GitHub's number of a check run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckId(pub u64);

/// What came of asking the forge to merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeOutcome {
    /// Merged, as this commit.
    Merged(CommitId),
    /// The forge would not: the head moved, a rule is not met, a conflict. Its words. Not an error: look again later.
    NotNow(String),
}

/// How to reach the repository over git's own HTTP protocol.
#[derive(Debug, Clone)]
pub struct GitAccess {
    /// The address, without credentials.
    pub url: String,
    /// A short-lived token, for Basic authentication as `x-access-token`.
    pub token: SecretString,
}

/// A change that Hallpass proposes itself: the revert of what ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its branch (already pushed), without `refs/heads/`. There is at most one open pull request for it.
    pub branch: String,
    /// The branch it wants to change.
    pub base: String,
    /// Trusted text.
    pub title: String,
    /// Markdown.
    pub body: String,
}

/// An issue of ours, such as what drifted on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// What it is found again by; it stands in the body, unseen.
    pub marker: String,
    /// Trusted text.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Whether there is still something to do. One that is not there is not opened to be closed.
    pub open: bool,
}

/// The forge that holds the access repository.
#[async_trait]
pub trait Forge: Send + Sync {
    /// All open pull requests.
    async fn open_pulls(&self) -> Result<Vec<PullListed>, ForgeError>;

    /// One pull request with reviews and pushers, whole and fresh.
    async fn pull(&self, number: PullNumber) -> Result<Pull, ForgeError>;

    /// The pull requests that the forge connects with a commit of the protected branch, merged or not. A hint: the caller
    /// verifies by trees.
    async fn pulls_of(&self, commit: &CommitId) -> Result<Vec<PullNumber>, ForgeError>;

    /// Who stands behind `owners` now. Failed questions are answers ([`crate::domain::pull::Lookup::Failed`]), not errors.
    async fn roster(&self, owners: &BTreeSet<Owner>) -> Roster;

    /// The active members of the organisation that owns the repository; `None` when a person owns it.
    async fn members(&self) -> Result<Option<Vec<Actor>>, ForgeError>;

    /// Creates the check `hallpass` on the check's commit, or brings the existing one up to date. `known` saves asking which.
    async fn publish_check(
        &self,
        check: &Check,
        known: Option<CheckId>,
    ) -> Result<CheckId, ForgeError>;

    /// Merges, if the tip of the pull request is still `head`.
    async fn merge(
        &self,
        number: PullNumber,
        head: &CommitId,
        title: &str,
        message: &str,
    ) -> Result<MergeOutcome, ForgeError>;

    /// Opens a pull request for the proposal's branch, or brings the open one up to date.
    async fn propose(&self, proposal: &Proposal) -> Result<PullNumber, ForgeError>;

    /// Says `text` (Markdown) on a pull request, open or not, in the one comment of ours that carries `marker`: written the first
    /// time, edited in place afterwards, left alone when it says this already. A comment of somebody else never counts, whatever
    /// it carries.
    async fn comment(&self, number: PullNumber, marker: &str, text: &str)
    -> Result<(), ForgeError>;

    /// Sees to it that of our labels a pull request, open or not, carries `label` and no other. Whether anything was to be changed.
    async fn label(&self, number: PullNumber, label: Option<Label>) -> Result<bool, ForgeError>;

    /// What was written on pull requests, open or not, or changed there since `at`: oldest change first.
    async fn remarks_since(&self, at: Instant) -> Result<Vec<Remark>, ForgeError>;

    /// Opens the issue that carries its marker, brings it up to date, or closes it. Only an issue that we opened counts, whatever
    /// others carry. `known` saves looking for it. Its number, where there is one.
    async fn tell_issue(
        &self,
        issue: &Issue,
        known: Option<u64>,
    ) -> Result<Option<u64>, ForgeError>;

    /// Who came back from signing in: one code is good for one answer.
    async fn introduce(&self, came: Came<'_>) -> Result<Visitor, ForgeError>;

    /// Whether somebody may read the repository now; no where the account behind the login is another one.
    async fn may_read(&self, who: &Actor) -> Result<bool, ForgeError>;

    /// How to fetch and push now.
    async fn git_access(&self) -> Result<GitAccess, ForgeError>;
}
