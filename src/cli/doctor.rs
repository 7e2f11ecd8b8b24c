//! `hallpass doctor`: whether everything that Hallpass leans on is as it must be.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::visible::visible;
use crate::app::doctor;
use crate::domain::doctor::{Line, Verdict};

/// Check that everything Hallpass leans on is as it must be, and say what to do where it is not
///
/// The App and its permissions, the rules of the branches, CODEOWNERS and its owners, the files of the protected branch, each
/// connection, the channels that people are told by, the clock, the key of the evidence, the ledger. Changes nothing, and tells nobody
/// unless `--tell` asks for that. Runs on the server, before the service ever did or
/// beside it.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass doctor --help` for examples.", after_long_help = EXAMPLES)]
pub struct Doctor {
    /// The server's configuration
    #[arg(long, value_name = "FILE", default_value = "hallpass.toml")]
    config: PathBuf,
    /// Send a test message by each channel under [notices], and look at nothing else
    #[arg(long)]
    tell: bool,
    /// Only what is not as it must be
    #[arg(long)]
    quiet: bool,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass doctor
      Everything, with the way out for each thing that is wrong.
  hallpass doctor --quiet
      Only what is to be done.
  hallpass doctor --tell
      Sends a test message to Slack, to the endpoint and by mail, as far as they are configured.
  hallpass doctor --json | jq -r '.checks[] | select(.verdict == \"failure\") | .remedy'
      For programs.

Exit status:
  0  nothing failed; warnings are no failure
  1  something failed, or could not be found out
  2  could not run";

#[derive(Serialize)]
struct Answer<'a> {
    checks: &'a [Line],
}

impl Doctor {
    /// Examines, and tells.
    ///
    /// # Errors
    /// When the configuration or the database cannot be used at all.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let lines = match self.tell {
            true => doctor::tell(&self.config)?,
            false => self.examine()?,
        };
        super::print(&if self.json {
            serde_json::to_string(&Answer { checks: &lines })? + "\n"
        } else {
            human(&lines, self.quiet)
        })?;
        let well = |line: &Line| matches!(line.verdict, Verdict::Pass | Verdict::Warning);
        Ok(ExitCode::from(u8::from(!lines.iter().all(well))))
    }

    fn examine(&self) -> anyhow::Result<Vec<Line>> {
        let shown = std::io::stderr().is_terminal();
        let lines = doctor::examine(&self.config, |what| {
            if shown {
                anstream::eprint!("\r\u{1b}[Klooking at {what} ...");
            }
        });
        if shown {
            anstream::eprint!("\r\u{1b}[K");
        }
        lines
    }
}

fn human(lines: &[Line], quiet: bool) -> String {
    let mut out = String::new();
    let mut area = None;
    let told = lines
        .iter()
        .filter(|line| !quiet || line.verdict != Verdict::Pass);
    // Writing to a String cannot fail.
    for line in told {
        if area != Some(line.area) {
            area = Some(line.area);
            let _ = writeln!(out, "{}", line.area.heading());
        }
        let word = match line.verdict {
            Verdict::Pass => "  ok      ",
            Verdict::Warning => "  warning ",
            Verdict::Failure => "  FAILED  ",
            Verdict::Unknown => "  unknown ",
        };
        let _ = writeln!(out, "{word}{}", visible(&line.says));
        if let Some(remedy) = &line.remedy {
            let _ = writeln!(out, "          -> {}", visible(remedy));
        }
    }
    let count = |verdict| lines.iter().filter(|line| line.verdict == verdict).count();
    let _ = writeln!(
        out,
        "{} checks: {} failed, {} unknown, {} warnings.",
        lines.len(),
        count(Verdict::Failure),
        count(Verdict::Unknown),
        count(Verdict::Warning)
    );
    out
}
