//! `hallpass policy test`: the cases that are written beside policies.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::app::offline;
use crate::domain::catalogue::{Catalogue, File};
use crate::domain::finding::{Finding, Severity};
use crate::domain::parse;
use crate::domain::policy::cases::{self, CaseResult};
use crate::domain::{render, rules};

/// Ask the policies of an access repository the questions that are written beside them
///
/// Needs no network and no secret. Policies are access/policies/<name>.cedar, cases access/policies/<name>.test.yaml; both are
/// read from the work tree, with the people, services and resources of the same tree. Every case asks all the policies.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass policy test --help` for examples.", after_long_help = EXAMPLES)]
pub struct Test {
    /// The access repository, or a folder in it
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// One object for programs: {"cases": [...], "findings": [...]}
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass policy test
      Run the cases of the repository that this folder lies in, before you push.
  hallpass policy test --json | jq -r '.cases[] | select(.failure) | \"\\(.file):\\(.line): \\(.name)\"'
      Only the cases that fail.

A case:
  cases:
    - name: Nobody writes to production at night
      action: request
      person: octocat
      role: orders/admin
      context: { hour: 23 }
      expect: deny
      by: no-production-writes-at-night

Exit status:
  0  every case went as expected (or there is none)
  1  a case failed, or a policy or a file of cases is wrong
  2  could not run";

#[derive(Serialize)]
struct Answer<'a> {
    cases: &'a [CaseResult],
    findings: &'a [Finding],
}

impl Test {
    /// Asks and tells.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let files = offline::work_tree(&self.dir)?;
        let tree = parse::read_tree(&files);
        let findings = of_policies(&tree);
        let wrong = findings.iter().any(|f| f.severity == Severity::Error);
        let results: Vec<CaseResult> = tree
            .policy_tests
            .values()
            .flat_map(|tests| cases::run(tests, &tree))
            .collect();
        super::super::print(&if self.json {
            let answer = Answer {
                cases: &results,
                findings: &findings,
            };
            serde_json::to_string(&answer)? + "\n"
        } else {
            human(&results, &findings, &files)
        })?;
        let failed = results.iter().any(|result| result.failure.is_some());
        Ok(ExitCode::from(u8::from(failed || wrong)))
    }
}

/// What is wrong with policies and cases; the rest of the tree is another command's matter.
fn of_policies(tree: &Catalogue) -> Vec<Finding> {
    let mut findings = rules::check_tree(tree, offline::now());
    // Cases that fail are told one by one, among those that do not.
    let told = |finding: &Finding| finding.rule == "policy-test-failed";
    findings.retain(|finding| finding.path.starts_with("access/policies/") && !told(finding));
    findings
}

fn human(results: &[CaseResult], findings: &[Finding], files: &[File]) -> String {
    let sources: BTreeMap<&str, &[u8]> = files
        .iter()
        .map(|file| (file.path.as_str(), &file.bytes[..]))
        .collect();
    let mut out = render::human(findings, |path| sources.get(path).copied());
    let mut file = None;
    for result in results {
        if file != Some(&result.file) {
            file = Some(&result.file);
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{}", result.file);
        }
        let CaseResult { line, name, .. } = result;
        let _ = match &result.failure {
            None => writeln!(out, "  ok      {name}"),
            Some(why) => writeln!(out, "  FAILED  {name}\n          line {line}: {why}"),
        };
    }
    let failed = results.iter().filter(|r| r.failure.is_some()).count();
    let _ = match (results.len(), failed) {
        (0, _) => writeln!(
            out,
            "No cases: there is no access/policies/<name>.test.yaml."
        ),
        (1, 0) => writeln!(out, "1 case, as expected."),
        (1, _) => writeln!(out, "1 case, which failed."),
        (all, 0) => writeln!(out, "{all} cases, all as expected."),
        (all, failed) => writeln!(out, "{all} cases, {failed} failed."),
    };
    out
}
