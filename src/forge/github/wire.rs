//! GitHub's answers, as far as we read them. Every field that we can do without is optional; every word of an enumeration that
//! we do not know has a place of its own.

use serde::Deserialize;

use crate::domain::model::{
    Actor, ActorKind, CommitId, Instant, Login, Malformed, PullNumber, UserId,
};
use crate::domain::pull::PullListed;
use crate::domain::pull::{PullState, Review, ReviewState};

/// A `simple-user`. GitHub says `null` for an account that is gone.
#[derive(Debug, Deserialize)]
pub struct Account {
    pub id: u64,
    pub login: String,
    #[serde(rename = "type", default)]
    pub kind: String,
}

#[derive(Debug, Deserialize)]
pub struct Repository {
    pub id: u64,
}

#[derive(Debug, Deserialize)]
pub struct Branch {
    #[serde(rename = "ref")]
    pub name: String,
    pub sha: CommitId,
    /// `null` for a fork that is gone.
    pub repo: Option<Repository>,
}

/// A `pull-request`.
#[derive(Debug, Deserialize)]
pub struct PullRequest {
    pub title: String,
    pub state: String,
    pub user: Option<Account>,
    #[serde(default)]
    pub draft: bool,
    #[serde(default)]
    pub merged: bool,
    pub merged_at: Option<Instant>,
    pub merged_by: Option<Account>,
    pub merge_commit_sha: Option<CommitId>,
    pub base: Branch,
    pub head: Branch,
    pub commits: u32,
}

/// A `pull-request-simple`, from a listing.
#[derive(Debug, Deserialize)]
pub struct PullRequestSimple {
    pub number: u64,
    pub title: String,
    pub user: Option<Account>,
    #[serde(default)]
    pub body: Option<String>,
    pub base: Branch,
    pub head: Branch,
    pub updated_at: Instant,
}

/// A pull request of which only the number matters.
#[derive(Debug, Deserialize)]
pub struct Numbered {
    pub number: u64,
}

#[derive(Debug, Deserialize)]
pub struct PullRequestReview {
    pub id: u64,
    pub user: Option<Account>,
    pub state: String,
    pub commit_id: Option<CommitId>,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default)]
    pub submitted_at: Option<Instant>,
}

/// One event of a pull request's history, as far as it dismisses a review.
#[derive(Debug, Deserialize)]
pub struct IssueEvent {
    pub event: String,
    #[serde(default)]
    pub actor: Option<Account>,
    #[serde(default)]
    pub dismissed_review: Option<DismissedReview>,
}

/// What a review said before somebody dismissed it.
#[derive(Debug, Deserialize)]
pub struct DismissedReview {
    pub review_id: u64,
    pub state: String,
}

/// One entry of a branch's activity.
#[derive(Debug, Deserialize)]
pub struct Activity {
    pub activity_type: String,
    pub actor: Option<Account>,
    pub after: String,
    pub timestamp: Option<Instant>,
}

/// A repository in the media type that tells a team's permissions on it.
#[derive(Debug, Deserialize)]
pub struct TeamRepository {
    pub permissions: Permissions,
}

#[derive(Debug, Deserialize)]
pub struct Permissions {
    #[serde(default)]
    pub push: bool,
    #[serde(default)]
    pub maintain: bool,
    #[serde(default)]
    pub admin: bool,
}

#[derive(Debug, Deserialize)]
pub struct CollaboratorPermission {
    pub permission: String,
    pub user: Option<Account>,
}

#[derive(Debug, Deserialize)]
pub struct CheckRuns {
    pub check_runs: Vec<CheckRun>,
}

#[derive(Debug, Deserialize)]
pub struct CheckRun {
    pub id: u64,
    #[serde(default)]
    pub external_id: Option<String>,
    pub output: CheckOutput,
}

#[derive(Debug, Deserialize)]
pub struct CheckOutput {
    pub annotations_count: u64,
}

/// An `issue-comment`.
#[derive(Debug, Deserialize)]
pub struct IssueComment {
    pub id: u64,
    pub user: Option<Account>,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default)]
    pub performed_via_github_app: Option<Integration>,
}

/// An `issue-comment` in the list of a repository, where it says itself what it is about.
#[derive(Debug, Deserialize)]
pub struct ListedComment {
    /// Of a pull request the page is below `pull`, of any other issue below `issues`.
    pub html_url: String,
    pub issue_url: String,
    pub created_at: Instant,
    pub updated_at: Instant,
    #[serde(flatten)]
    pub written: IssueComment,
}

impl ListedComment {
    /// The pull request that it stands on; `None` for any other issue.
    pub fn pull(&self) -> Option<PullNumber> {
        let number = self.issue_url.rsplit('/').next()?;
        let on_pull = format!("/pull/{number}#");
        let number = number.parse().ok()?;
        self.html_url
            .contains(&on_pull)
            .then_some(PullNumber(number))
    }
}

/// An `issue`, as far as it is ours.
#[derive(Debug, Deserialize)]
pub struct ListedIssue {
    pub number: u64,
    /// Author and text, as a comment has them.
    #[serde(flatten)]
    pub written: IssueComment,
    /// Whether it is a pull request.
    #[serde(default)]
    pub pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub struct Integration {
    pub id: u64,
}

#[derive(Debug, Deserialize)]
pub struct Merged {
    pub sha: CommitId,
}

impl IssueComment {
    /// Whether the App itself wrote it, not a person through the App.
    pub fn is_of_app(&self, app: u64) -> bool {
        let via = self.performed_via_github_app.as_ref();
        via.is_some_and(|via| via.id == app) && self.user.as_ref().is_some_and(|u| u.kind == "Bot")
    }
}

impl Account {
    pub fn actor(self) -> Result<Actor, Malformed> {
        let kind = match self.kind.as_str() {
            "User" => ActorKind::User,
            "Bot" => ActorKind::Bot,
            _ => ActorKind::Other,
        };
        Ok(Actor {
            id: UserId(self.id),
            login: Login::new(&self.login)?,
            kind,
        })
    }
}

impl PullRequest {
    /// Where it stands. Anything but `open` is not open.
    pub fn state(&mut self) -> Result<PullState, crate::github_app::BoxError> {
        if self.merged {
            let commit = self
                .merge_commit_sha
                .clone()
                .ok_or("merged, but as no commit")?;
            let at = self.merged_at.ok_or("merged, but at no time")?;
            let by = self.merged_by.take().map(Account::actor).transpose()?;
            return Ok(PullState::Merged { commit, at, by });
        }
        Ok(if self.state == "open" {
            PullState::Open
        } else {
            PullState::Closed
        })
    }
}

impl PullRequestSimple {
    pub fn listed(self) -> PullListed {
        PullListed {
            number: PullNumber(self.number),
            author: self.user.map(|user| UserId(user.id)),
            head: self.head.sha,
            base_branch: self.base.name,
            head_branch: self.head.name,
            updated_at: self.updated_at,
        }
    }
}

impl PullRequestReview {
    pub fn review(self) -> Result<Review, Malformed> {
        let state = match self.state.as_str() {
            "APPROVED" => ReviewState::Approved,
            "CHANGES_REQUESTED" => ReviewState::ChangesRequested,
            "COMMENTED" => ReviewState::Commented,
            "DISMISSED" => ReviewState::Dismissed,
            "PENDING" => ReviewState::Pending,
            _ => ReviewState::Unknown,
        };
        Ok(Review {
            id: self.id,
            reviewer: self.user.map(Account::actor).transpose()?,
            state,
            commit: self.commit_id,
            body: self.body.unwrap_or_default(),
            submitted_at: self.submitted_at,
        })
    }
}
