//! GitHub as the forge: octocrab's client, read into small wire types of our own.
//!
//! Nothing that decides authority is remembered: every call reads afresh. What is remembered is one token.

mod checks;
mod comments;
mod issues;
mod labels;
mod proposals;
mod pulls;
mod roster;
mod rulesets;
mod setup;
mod visitors;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{CheckId, Forge, ForgeError, GitAccess, Issue, MergeOutcome, Proposal};
use crate::clock::Clock;
use crate::domain::label::Label;
use crate::domain::model::{Actor, CommitId, Instant, Login, Owner, PullNumber, RepoName};
use crate::domain::pull::{Pull, PullListed, Roster};
use crate::domain::remark::Remark;
use crate::domain::report::Check;
use crate::domain::visitor::{Came, Visitor};
use crate::github_app::{
    self, App, AppSettings, Failure, Installation, Permission, Place, SignIn, path,
};
use crate::metrics::Metrics;

pub use rulesets::ruleset;

/// What reading pull requests and teams, publishing checks, merging and proposing need.
const FORGE: &[Permission] = &[
    ("checks", "write"),
    ("contents", "write"),
    ("members", "read"),
    ("metadata", "read"),
    ("pull_requests", "write"),
];
/// What telling of drift needs.
const ISSUES: &[Permission] = &[("issues", "write"), ("metadata", "read")];
/// What fetching and pushing need.
const GIT: &[Permission] = &[("contents", "write"), ("metadata", "read")];

/// Where GitHub is, which repository, and who we are there.
#[derive(Debug, Clone)]
pub struct GitHubSettings {
    /// The root of the REST API: `https://api.github.com`, or `https://HOST/api/v3`.
    pub api: Url,
    /// The root of git over HTTP: `https://github.com`, or `https://HOST`.
    pub web: Url,
    /// The access repository. Its owner must be an organisation.
    pub repository: RepoName,
    /// The App's number.
    pub app_id: u64,
    /// The installation's number; without it, GitHub is asked once.
    pub installation_id: Option<u64>,
    /// The App's private key, as PEM.
    pub private_key: SecretString,
    /// How pull requests are merged.
    pub merge_method: MergeMethod,
    /// The time, for tokens.
    pub clock: Arc<dyn Clock>,
    /// Where calls are counted.
    pub metrics: Metrics,
}

/// How a pull request becomes commits of the protected branch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeMethod {
    /// A merge commit, whose first parent is the old tip.
    #[default]
    Merge,
    /// One commit.
    Squash,
    /// Its commits, replayed.
    Rebase,
}

/// The access repository on GitHub.
#[derive(Debug)]
pub struct GitHub {
    app: Arc<App>,
    api: Installation,
    git: Installation,
    issues: Installation,
    web: Url,
    repository: RepoName,
    merge_method: MergeMethod,
    sign_in: Option<SignIn>,
}

impl GitHub {
    /// Sets up the client. Makes no call, but must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`ForgeError::Refused`] when the private key cannot be read, or the machine has no certificates to trust.
    pub fn new(settings: GitHubSettings) -> Result<Self, ForgeError> {
        let GitHubSettings {
            api,
            web,
            repository,
            app_id,
            installation_id,
            private_key,
            merge_method,
            clock,
            metrics,
        } = settings;
        let app = App::new(AppSettings {
            api,
            app_id,
            private_key,
            clock,
            metrics,
        })?;
        let here = |permissions| {
            app.installation(
                Place::Repository(repository.clone()),
                installation_id,
                permissions,
            )
        };
        Ok(Self {
            api: here(FORGE),
            git: here(GIT),
            issues: here(ISSUES),
            app,
            web,
            repository,
            merge_method,
            sign_in: None,
        })
    }

    /// The same, where people can sign in.
    #[must_use]
    pub fn with_sign_in(self, sign_in: Option<SignIn>) -> Self {
        Self { sign_in, ..self }
    }

    /// The same App at an organisation, with these permissions and no other. A deployment that gives a provider an App of its own makes
    /// it with [`github_app::App`] instead.
    pub fn client_for_organisation(
        &self,
        organisation: &Login,
        installation_id: Option<u64>,
        permissions: &'static [Permission],
    ) -> Installation {
        let place = Place::Organisation(organisation.clone());
        self.app.installation(place, installation_id, permissions)
    }

    /// A path below the repository.
    fn route(&self, segments: &[&str]) -> String {
        path(
            &[
                &[
                    "repos",
                    self.repository.owner.as_str(),
                    &self.repository.name,
                ],
                segments,
            ]
            .concat(),
        )
    }
}

impl From<Failure> for ForgeError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable {
                what,
                retry_at,
                source,
            } => Self::Unavailable {
                what,
                retry_at,
                source,
            },
            Failure::Refused { what, reason } => Self::Refused { what, reason },
            Failure::NotFound { what } => Self::NotFound { what },
            Failure::Declined { what, words, .. } => Self::Refused {
                what,
                reason: words,
            },
        }
    }
}

#[async_trait]
impl Forge for GitHub {
    async fn open_pulls(&self) -> Result<Vec<PullListed>, ForgeError> {
        Ok(self.read_open_pulls().await?)
    }

    async fn pull(&self, number: PullNumber) -> Result<Pull, ForgeError> {
        Ok(self.read_pull(number).await?)
    }

    async fn pulls_of(&self, commit: &CommitId) -> Result<Vec<PullNumber>, ForgeError> {
        Ok(self.read_pulls_of(commit).await?)
    }

    async fn roster(&self, owners: &BTreeSet<Owner>) -> Roster {
        self.read_roster(owners).await
    }

    async fn members(&self) -> Result<Option<Vec<Actor>>, ForgeError> {
        Ok(self.read_organisation().await?)
    }

    async fn publish_check(
        &self,
        check: &Check,
        known: Option<CheckId>,
    ) -> Result<CheckId, ForgeError> {
        Ok(self.write_check(check, known).await?)
    }

    async fn merge(
        &self,
        number: PullNumber,
        head: &CommitId,
        title: &str,
        message: &str,
    ) -> Result<MergeOutcome, ForgeError> {
        Ok(self.try_merge(number, head, title, message).await?)
    }

    async fn propose(&self, proposal: &Proposal) -> Result<PullNumber, ForgeError> {
        Ok(self.write_proposal(proposal).await?)
    }

    async fn comment(
        &self,
        number: PullNumber,
        marker: &str,
        text: &str,
    ) -> Result<(), ForgeError> {
        Ok(self.write_comment(number, marker, text).await?)
    }

    async fn label(&self, number: PullNumber, label: Option<Label>) -> Result<bool, ForgeError> {
        Ok(self.set_label(number, label).await?)
    }

    async fn remarks_since(&self, at: Instant) -> Result<Vec<Remark>, ForgeError> {
        Ok(self.read_remarks(at).await?)
    }

    async fn tell_issue(
        &self,
        issue: &Issue,
        known: Option<u64>,
    ) -> Result<Option<u64>, ForgeError> {
        Ok(self.write_issue(issue, known).await?)
    }

    async fn introduce(&self, came: Came<'_>) -> Result<Visitor, ForgeError> {
        Ok(self.read_visitor(came).await?)
    }

    async fn may_read(&self, who: &Actor) -> Result<bool, ForgeError> {
        Ok(self.read_may_read(who).await?)
    }

    async fn git_access(&self) -> Result<GitAccess, ForgeError> {
        let token = self.git.token().await?;
        let root = self.web.as_str().trim_end_matches('/');
        Ok(GitAccess {
            url: format!("{root}/{}.git", self.repository),
            token,
        })
    }
}

/// Text of at most `bytes` bytes, cut between characters, with `note` at its end where something was cut.
fn cut(text: &str, bytes: usize, note: &str) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes - note.len());
    format!("{}{note}", &text[..end])
}

/// An answer of GitHub's that does not fit our words.
fn malformed(what: &str, source: impl Into<github_app::BoxError>) -> Failure {
    Failure::unreadable(what, source)
}
