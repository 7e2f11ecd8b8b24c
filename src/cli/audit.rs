//! `hallpass audit`: what the evidence says, asked of a clone.

mod answers;
mod report;
mod table;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::app::audit::{Clone, Place, Told};
use crate::domain::model::Instant;

/// Ask the evidence: who had what, when, why, approved by whom, and whether all of that is true
///
/// Everything is answered from a clone of the access repository and its branch hallpass/evidence. No service is asked, no network and no
/// secret is needed. `verify` tells whether the evidence is whole and right; the other questions believe what is written, and leave out, with a
/// warning, commits that hold no record.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Audit {
    #[command(subcommand)]
    question: Question,
}

const EXAMPLES: &str = "\
Examples:
  git clone https://github.com/acme/access && cd access
  hallpass audit verify --key evidence_key.pub
  hallpass audit access --at 2026-10-01T12:00:00Z --resource orders
  hallpass audit history orders/octocat-incident
  hallpass audit population --from 2026-07-01 --to 2026-10-01 --csv > population.csv
  hallpass audit exceptions
  hallpass audit report --key evidence_key.pub --from 2026-07-01 --to 2026-10-01 --html report.html

Exit status:
  0  answered, and nothing is wrong
  1  `verify` found a problem, or `exceptions` an open one, or `report` either
  2  could not run";

#[derive(Debug, Subcommand)]
enum Question {
    Verify(verify::Verify),
    Anchor(verify::PrintAnchor),
    Access(answers::Access),
    History(answers::History),
    Population(answers::PopulationOf),
    Reviewers(answers::Reviewers),
    Exceptions(answers::Exceptions),
    Report(report::WriteReport),
}

impl Audit {
    /// Answers.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.question {
            Question::Verify(verify) => verify.run(),
            Question::Anchor(anchor) => anchor.run(),
            Question::Access(access) => access.run(),
            Question::History(history) => history.run(),
            Question::Population(population) => population.run(),
            Question::Reviewers(reviewers) => reviewers.run(),
            Question::Exceptions(exceptions) => exceptions.run(),
            Question::Report(report) => report.run(),
        }
    }
}

/// Where the evidence is.
#[derive(Debug, Args)]
struct Where {
    /// A folder in the clone
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// The evidence branch, or a commit of it [default: hallpass/evidence of origin, or the local one]
    #[arg(long, value_name = "REV")]
    evidence: Option<String>,
    /// The protected branch [default: what origin's HEAD names, or main]
    #[arg(long, value_name = "REV")]
    main: Option<String>,
}

impl Where {
    fn open(&self) -> anyhow::Result<Clone> {
        Clone::open(&Place {
            folder: self.repo.clone(),
            evidence: self.evidence.clone(),
            main: self.main.clone(),
        })
    }

    /// What the evidence tells. What is left out is said aloud, beside the answer.
    fn told(&self) -> anyhow::Result<Told> {
        let told = self.open()?.lives()?;
        if let Some(doubt) = told.doubt() {
            anstream::eprintln!("warning: {doubt}");
        }
        Ok(told)
    }
}

/// How an answer is written.
#[derive(Debug, Args)]
struct Form {
    /// Answer in JSON, for programs
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Answer in CSV, for spreadsheets: no cell is read as a formula
    #[arg(long)]
    csv: bool,
}

/// Reads an instant: RFC 3339 in UTC, or a day, which is its beginning.
fn instant(text: &str) -> anyhow::Result<Instant> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => format!("{}:00Z", text.trim_end_matches('Z')),
    };
    let read = |text: &str| chrono::DateTime::parse_from_rfc3339(text).ok();
    read(text)
        .or_else(|| read(&whole))
        .filter(|at| at.offset().local_minus_utc() == 0)
        .map(|at| at.to_utc())
        .with_context(|| {
            format!("{text:?} is no instant in UTC; write 2026-10-01T12:00:00Z, or 2026-10-01")
        })
}
