//! Verdicts and findings as people and machines read them: Markdown for the check, text, JSON, annotations, SARIF.
//!
//! Invariant: untrusted text (reasons, tickets, titles, branch names) appears only inside fences longer than any run of
//! backticks in it, or as plain text in JSON; never in titles.

use super::model::CommitId;

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

/// Where a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    /// Waits for somebody.
    InProgress,
    /// Passed.
    Success,
    /// Nothing for Hallpass in here.
    Neutral,
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
    /// What is wrong and the way out.
    pub message: String,
}
