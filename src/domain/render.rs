//! Findings as people and machines read them: a terminal, JSON, annotations of a GitHub workflow, SARIF; and the auditors' page.
//!
//! Paths and messages may hold what somebody else wrote. Every form escapes them in its own way: no finding can move a cursor,
//! forge an annotation or end a string.

mod audit;
mod human;
mod impact;
pub mod page;
mod replay;
mod sarif;

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;

use super::finding::{Finding, Severity};
use super::impact::Impact;
use super::rules;

pub use audit::{ForgeAddress, audit_report};
pub use human::human;
pub use impact::impact;
pub use replay::{replay, replay_json};
pub use sarif::sarif;

/// `{"findings": [...]}`, each with `rule`, `severity`, `path`, `line`, `column`, `message`, `help` and `url`. One
/// line.
pub fn json(findings: &[Finding]) -> String {
    let report = Report {
        findings: findings.iter().map(Told::from).collect(),
        impact: None,
    };
    line(&report)
}

/// As [`json`], of a change: with `impact`, what it would do to live grants.
pub fn change_json(findings: &[Finding], impact: &Impact) -> String {
    let report = Report {
        findings: findings.iter().map(Told::from).collect(),
        impact: Some(impact.into()),
    };
    line(&report)
}

fn line(report: &Report<'_>) -> String {
    let text = serde_json::to_string(report).expect("texts and numbers always serialize");
    text + "\n"
}

#[derive(Serialize)]
struct Report<'a> {
    findings: Vec<Told<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impact: Option<impact::Told<'a>>,
}

/// A finding in the documented order of its fields.
#[derive(Serialize)]
struct Told<'a> {
    rule: &'a str,
    severity: Severity,
    path: &'a str,
    line: u32,
    column: u32,
    message: &'a str,
    help: &'a str,
    url: String,
}

impl<'a> From<&'a Finding> for Told<'a> {
    fn from(f: &'a Finding) -> Self {
        let Finding {
            path,
            line,
            column,
            rule,
            severity,
            message,
            help,
        } = f;
        Self {
            rule,
            severity: *severity,
            path,
            line: *line,
            column: *column,
            message,
            help,
            url: rules::url(rule),
        }
    }
}

/// Workflow commands, which GitHub Actions shows at the lines of a pull request.
///
/// The escapes are those of <https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts>.
pub fn github(findings: &[Finding]) -> String {
    let data = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let mut out = String::new();
    for Finding {
        path,
        line,
        column,
        rule,
        severity,
        message,
        help,
    } in findings
    {
        let level = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (path, title, text) = (
            property(path),
            property(rule),
            data(&format!("{message}\n{help}\n{}", rules::url(rule))),
        );
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "::{level} file={path},line={line},col={column},title={title}::{text}"
        );
    }
    out
}

/// One line that closes a report: how many findings in how many of the files that were looked at.
pub fn summary(findings: &[Finding], checked: usize) -> String {
    let count = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let errors = findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .count();
    let warnings = findings.len() - errors;
    let checked = count(checked, "file");
    let files = findings
        .iter()
        .map(|f| &f.path)
        .collect::<BTreeSet<_>>()
        .len();
    let said = match (errors, warnings) {
        (0, 0) => return format!("{checked} checked, nothing wrong."),
        (_, 0) => count(errors, "error"),
        (0, _) => count(warnings, "warning"),
        _ => format!(
            "{} and {}",
            count(errors, "error"),
            count(warnings, "warning")
        ),
    };
    format!("{checked} checked: {said} in {}.", count(files, "file"))
}
