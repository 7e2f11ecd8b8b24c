//! `hallpass validate`: what is wrong with an access repository, or with what a branch changes in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::app::offline;
use crate::domain::catalogue::File;
use crate::domain::changes::Changes;
use crate::domain::finding::{Finding, Severity};
use crate::domain::impact::{self, Impact, Known};
use crate::domain::model::Instant;
use crate::domain::{parse, render, rules};

/// Check an access repository: every file, and how the files fit together
///
/// Needs no network and no secret. Without --base, every governed file of the work tree is checked: access/, CODEOWNERS and
/// .gitattributes. With --base, only what a branch changes is checked, as its pull request would be: by the people, resources
/// and owners of the base, read from git and not from the work tree. Of a change of the files that decide it is also told what it
/// would do to the grants that are live by their files.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass validate --help` for examples.", after_long_help = EXAMPLES)]
pub struct Validate {
    /// The access repository, or a folder in it
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Check only what --head changes since it left this revision, judged by this revision
    #[arg(long, value_name = "REF")]
    base: Option<String>,
    /// The revision to check
    #[arg(long, value_name = "REF", requires = "base", default_value = "HEAD")]
    head: String,
    /// How findings are told
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Judge as if it were this instant, such as 2026-11-23T12:00:00Z
    #[arg(long, value_name = "INSTANT", value_parser = instant, hide = true)]
    now: Option<Instant>,
}

const EXAMPLES: &str = "\
Examples:
  hallpass validate
      Check the repository that this folder lies in, before you push.
  hallpass validate --base origin/main --head HEAD
      Check what your branch changes, as its pull request will be.
  hallpass validate --format github --base \"$BASE_SHA\" --head \"$HEAD_SHA\"
      In GitHub Actions: findings appear at their lines of the pull request.
  hallpass validate --format json | jq -r '.findings[] | \"\\(.path):\\(.line): \\(.rule)\"'
      For programs: rule, severity, path, line, column, message, help and url of each finding.
  hallpass explain term-too-long
      What a rule demands, and the way out.

Exit status:
  0  nothing wrong (warnings allowed)
  1  findings
  2  could not run";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal: the line, the fault underlined, the way out
    Human,
    /// One object: {"findings": [...]}, with --base also {"impact": {...}}
    Json,
    /// Annotations of a GitHub Actions workflow
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

fn instant(text: &str) -> Result<Instant, String> {
    parse::instant(text).ok_or_else(|| "write it like 2026-11-23T12:00:00Z".into())
}

impl Validate {
    /// Checks and tells.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let now = self.now.unwrap_or_else(offline::now);
        let Checked {
            findings,
            files,
            impact,
        } = self.check(now)?;
        super::print(&match self.format {
            Format::Json => match &impact {
                Some(impact) => render::change_json(&findings, impact),
                None => render::json(&findings),
            },
            Format::Github => render::github(&findings),
            Format::Sarif => render::sarif(&findings),
            Format::Human => {
                let report = human(&findings, &files);
                let impact = impact.as_ref().map(render::impact).unwrap_or_default();
                format!("{}{impact}{}", report.findings, report.closing)
            }
        })?;
        Ok(ExitCode::from(u8::from(denies(&findings))))
    }

    fn check(&self, now: Instant) -> anyhow::Result<Checked> {
        let Some(base) = &self.base else {
            let files = offline::work_tree(&self.dir)?;
            return Ok(Checked {
                findings: rules::check_tree(&parse::read_tree(&files), now),
                files,
                impact: None,
            });
        };
        let comparison = offline::comparison(&self.dir, base, &self.head)?;
        let base = parse::read_tree(&comparison.base);
        let changes = Changes::read(comparison.changes);
        let findings = rules::check_change_knowing(&base, &changes, now, &BTreeSet::new());
        // No ledger here: what ended before its file was removed counts as live.
        let (ended, held) = Default::default();
        let known = Known {
            ended: &ended,
            held: &held,
            now,
        };
        let impact = impact::impact(&base, &changes, &known);
        let files = changes.iter().filter_map(|change| change.after.clone());
        Ok(Checked {
            findings,
            files: files.collect(),
            impact: Some(impact),
        })
    }
}

/// What was looked at, and what came of it.
struct Checked {
    findings: Vec<Finding>,
    files: Vec<File>,
    /// Only of a change.
    impact: Option<Impact>,
}

/// A report for a terminal.
struct Report {
    findings: String,
    closing: String,
}

fn human(findings: &[Finding], files: &[File]) -> Report {
    let wanted: BTreeSet<&str> = findings
        .iter()
        .map(|finding| finding.path.as_str())
        .collect();
    // What a link says is not what its path holds.
    let regular = |file: &&File| file.mode & 0o170_000 == 0o100_000;
    let wanted = files
        .iter()
        .filter(regular)
        .filter(|file| wanted.contains(file.path.as_str()));
    let sources: BTreeMap<&str, &[u8]> = wanted
        .map(|file| (file.path.as_str(), &file.bytes[..]))
        .collect();
    Report {
        findings: render::human(findings, |path| sources.get(path).copied()),
        closing: render::summary(findings, files.len()) + "\n",
    }
}

fn denies(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
}
