//! What a webhook points at. Nothing else of its body is read: what is there is read afresh from the forge.

use serde::Deserialize;

use super::Source;
use crate::domain::model::{PullNumber, RepoName};
use crate::domain::remark;
use crate::store::Wake;

/// The few fields that say where to look.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Locator {
    action: Option<String>,
    r#ref: Option<String>,
    repository: Option<Repository>,
    installation: Option<Numbered>,
    pull_request: Option<Pull>,
    check_run: Option<Checks>,
    check_suite: Option<Checks>,
    comment: Option<Comment>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Debug, Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Debug, Deserialize)]
struct Pull {
    number: u64,
    #[serde(default)]
    merged: bool,
}

#[derive(Debug, Deserialize)]
struct Comment {
    #[serde(default)]
    body: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Checks {
    #[serde(default)]
    pull_requests: Vec<Pull>,
}

/// What to do about a webhook.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look at these.
    Look(Vec<Wake>),
    /// Nothing; why.
    Ignore(&'static str),
}

impl Locator {
    /// What the event `name` gives reason to look at.
    pub(super) fn verdict(&self, name: &str, source: &Source) -> Verdict {
        let elsewhere = |repository: &Repository| {
            !repository
                .full_name
                .eq_ignore_ascii_case(&source.repository.to_string())
        };
        let foreign =
            |installation: &Numbered| source.installation.is_some_and(|id| id != installation.id);
        if name == "deployment_protection_rule" {
            return self.deployment();
        }
        if self.repository.as_ref().is_some_and(elsewhere) {
            return Verdict::Ignore("another repository");
        }
        if self.installation.as_ref().is_some_and(foreign) {
            return Verdict::Ignore("another installation");
        }
        match name {
            // Events of the organisation carry no repository. They change who may approve, and who may hold access. Whoever leaves
            // the organisation leaves its teams too; what happens in a team alone is no reason to list everybody again.
            "organization" => Verdict::Look(vec![Wake::Members]),
            "membership" | "team" | "member" => Verdict::Look(vec![Wake::All]),
            _ if self.repository.is_none() => Verdict::Ignore("no repository"),
            "push" => self.push(source),
            // A merged pull request is news for the protected branch. One that is closed asks for nothing any more, which may be
            // news for others.
            "pull_request" if self.action.as_deref() == Some("closed") => {
                let closed = self.pull_request.as_ref().filter(|pull| !pull.merged);
                let pull = closed.map(|pull| Wake::Pull(PullNumber(pull.number)));
                Verdict::Look(pull.into_iter().chain([Wake::Main]).collect())
            }
            "issue_comment" => self.comment(),
            "check_run" => self.checks(self.check_run.as_ref()),
            "check_suite" => self.checks(self.check_suite.as_ref()),
            // Nothing is decided by one, and most of them are ours.
            "pull_request" if matches!(self.action.as_deref(), Some("labeled" | "unlabeled")) => {
                Verdict::Ignore("a label")
            }
            _ if name.starts_with("pull_request") => match &self.pull_request {
                Some(pull) => Verdict::Look(vec![Wake::Pull(PullNumber(pull.number))]),
                None => Verdict::Ignore("no pull request"),
            },
            _ => Verdict::Ignore("not an event that changes anything here"),
        }
    }

    /// Deployments are of other repositories, perhaps of another installation. Which of them concern us is for the look to say.
    fn deployment(&self) -> Verdict {
        let name = self.repository.as_ref().map(|r| r.full_name.clone());
        match name.and_then(|name| RepoName::try_from(name).ok()) {
            Some(repository) => Verdict::Look(vec![Wake::Deployments(repository)]),
            None => Verdict::Ignore("no repository"),
        }
    }

    /// What is written there is read afresh, and whether it is on a pull request. Here it only saves a look, such as at our own.
    fn comment(&self) -> Verdict {
        let text = self.comment.as_ref().and_then(|c| c.body.as_deref());
        if self.action.as_deref() == Some("created") && text.is_some_and(remark::may_ask) {
            Verdict::Look(vec![Wake::Remarks])
        } else {
            Verdict::Ignore("a comment that asks nothing")
        }
    }

    fn push(&self, source: &Source) -> Verdict {
        let branch = self
            .r#ref
            .as_deref()
            .and_then(|name| name.strip_prefix("refs/heads/"));
        if branch == Some(source.protected_branch.as_str()) {
            Verdict::Look(vec![Wake::Main])
        } else {
            // A push to the branch of a pull request comes as an event of the pull request too.
            Verdict::Ignore("another branch")
        }
    }

    fn checks(&self, checks: Option<&Checks>) -> Verdict {
        let Some(checks) = checks else {
            return Verdict::Ignore("no check");
        };
        let asked = matches!(
            self.action.as_deref(),
            Some("rerequested" | "requested_action")
        );
        if !asked {
            // Including the suites that GitHub opens for us at every push, and our own checks.
            return Verdict::Ignore("nobody asked to run a check again");
        }
        let pulls = checks
            .pull_requests
            .iter()
            .map(|pull| Wake::Pull(PullNumber(pull.number)));
        match pulls.collect::<Vec<_>>() {
            // GitHub names no pull requests from forks here.
            none if none.is_empty() && asked => Verdict::Look(vec![Wake::All]),
            none if none.is_empty() => Verdict::Ignore("a check of no pull request"),
            pulls => Verdict::Look(pulls),
        }
    }
}
