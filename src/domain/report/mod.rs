//! Verdicts as people read them: the check of a pull request, with a summary that gives the approver the whole context.
//!
//! Invariant: untrusted text (reasons, tickets, what is wrong with a file, what a forge answered) appears only inside fences
//! longer than any run of backticks in it, or as plain text in annotations; never in titles. Pull request titles, branch names
//! and review texts do not appear at all.
//!
//! Invariant: a check says the same however late it is made, until something happens or an instant passes that the request
//! names itself. It would otherwise be published again at every look.

mod bundle;
mod context;
mod deployment;
mod drift;
mod emergency;
mod explain;
mod impact;
mod markdown;
mod notice;
mod release;
mod request;
mod round;
mod safety;
mod shared;
mod summary;
mod title;

use super::decision::{Case, Outcome, Verdict};
use super::finding::{Finding, Severity};
use super::model::{CommitId, Instant};
use super::rules;

pub use deployment::{Offer, deployment_approved, deployment_waiting, request_file};
pub use drift::{drift, drift_title};
pub use emergency::review_proposal;
pub use explain::{Answer, answer};
pub use release::release_proposal;
pub use round::review_sheet_proposal;
pub use safety::paused;
pub use shared::{Voice, shared, speaker};

pub use notice::{EndingGrant, Pages, ends_soon};

/// How many findings are shown at their lines: a person mends the first, a flood costs calls of the forge.
const ANNOTATIONS: usize = 200;

/// What is published on a pull request: GitHub's check run, without GitHub's limits applied yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The commit it belongs to.
    pub head: CommitId,
    /// Where it stands.
    pub status: CheckStatus,
    /// One line, trusted text only.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// Findings at their lines.
    pub annotations: Vec<Annotation>,
}

/// Where a check stands, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    /// Passed.
    Success,
    /// Nothing for Hallpass in here.
    Neutral,
    /// Waits for somebody.
    InProgress,
    /// Denied.
    Failure,
}

/// A finding at its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// Whether it is only a warning.
    pub warning: bool,
    /// The rule's name.
    pub title: String,
    /// What is wrong, the way out, and where the rule is explained.
    pub message: String,
}

/// The check that tells `verdict` to everybody concerned.
pub fn check(case: &Case<'_>, verdict: &Verdict) -> Check {
    Check {
        head: verdict.head.clone(),
        status: emergency::review_status(case, verdict)
            .or_else(|| round::status(verdict))
            .unwrap_or_else(|| status(&verdict.outcome)),
        title: title::title(case, verdict),
        summary: summary::summary(case, verdict),
        annotations: verdict
            .findings
            .iter()
            .take(ANNOTATIONS)
            .map(annotation)
            .collect(),
    }
}

fn status(outcome: &Outcome) -> CheckStatus {
    match outcome {
        Outcome::NotConcerned => CheckStatus::Neutral,
        Outcome::Denied => CheckStatus::Failure,
        Outcome::Waiting | Outcome::Uncertain(_) => CheckStatus::InProgress,
        Outcome::Approved => CheckStatus::Success,
    }
}

fn annotation(finding: &Finding) -> Annotation {
    Annotation {
        path: finding.path.clone(),
        line: finding.line,
        column: finding.column,
        warning: finding.severity == Severity::Warning,
        title: finding.rule.to_owned(),
        message: format!(
            "{}\n{}\n{}",
            finding.message,
            finding.help,
            rules::url(finding.rule)
        ),
    }
}

/// `one thing`, `2 things`.
fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {many}")
    }
}

/// An instant as people read it, to the minute where it has no seconds.
pub(in crate::domain) fn utc(at: Instant) -> String {
    let seconds = at.timestamp() % 60 != 0;
    let form = if seconds {
        "%Y-%m-%d %H:%M:%S UTC"
    } else {
        "%Y-%m-%d %H:%M UTC"
    };
    at.format(form).to_string()
}
