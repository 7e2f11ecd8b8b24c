//! `hallpass reconcile --once`: the service, one run at a time.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::TimeDelta;
use clap::Args;

use super::serve::LogFormat;
use super::visible::visible;
use crate::app::reconcile::{self, Done};
use crate::domain::evidence::instant;

/// Do everything that the service does, once, and end: for a scheduled job of a small team
///
/// Judges the open pull requests, merges and gives what is approved, takes what is over, tidies up, compares the target systems and
/// writes the evidence, until nothing is left to do. No database is kept: the ledger is put together from git at each start.
/// Nothing happens between two runs: access ends when the job next runs. `hallpass init --service-less` writes the workflow.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass reconcile --help` for examples.", after_long_help = EXAMPLES)]
pub struct Reconcile {
    /// One run; there is no other kind yet, and the word keeps the command from being taken for the service
    #[arg(long, required = true)]
    once: bool,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "hallpass.toml")]
    config: PathBuf,
    /// How long to wait, in seconds, for what becomes due while it runs: attempts that were put off, ends, files to tidy up
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(i64).range(0..=21_600))]
    patience: i64,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
    /// How log lines are written, on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
}

const EXAMPLES: &str = "\
Examples:
  hallpass reconcile --once --config .github/hallpass.toml
      What the workflow of a team without a server runs.
  hallpass reconcile --once --patience 240
      Stay up to four minutes for what becomes due, so that less waits for the next run.
  hallpass reconcile --once --json | jq -r '.attention[].says'
      For programs.

Secrets come from the environment: HALLPASS_GITHUB_PRIVATE_KEY, HALLPASS_EVIDENCE_KEY, and those of the connections.

Exit status:
  0  everything was done; requests that wait for their owners are no failure
  1  something is overdue, could not be done, or waits for whoever runs this
  2  could not run";

impl Reconcile {
    /// Runs once, and tells.
    ///
    /// # Errors
    /// When the configuration, the database or git cannot be used at all.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let patience = TimeDelta::seconds(self.patience);
        let done = reconcile::once(&self.config, patience, self.log.format())?;
        super::print(&if self.json {
            serde_json::to_string(&done)? + "\n"
        } else {
            human(&done)
        })?;
        Ok(ExitCode::from(u8::from(!done.attention.is_empty())))
    }
}

fn human(done: &Done) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    if done.did.is_empty() {
        out.push_str("Nothing happened.\n");
    }
    for sentence in &done.did {
        let _ = writeln!(out, "  {}", visible(sentence));
    }
    if !done.open.is_empty() {
        let open: Vec<String> = done.open.iter().map(|n| format!("#{n}")).collect();
        let _ = writeln!(out, "Open, and judged: {}", open.join(", "));
    }
    if let Some(at) = done.next {
        let _ = writeln!(out, "Next due: {}", instant(at));
    }
    for line in &done.attention {
        let _ = writeln!(out, "ATTENTION {}", visible(&line.says));
        if let Some(remedy) = &line.remedy {
            let _ = writeln!(out, "          -> {}", visible(remedy));
        }
    }
    out
}
