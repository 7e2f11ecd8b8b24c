//! `hallpass drift`: who really has access, against what was approved.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::visible::visible;
use crate::app::inspect;
use crate::domain::drift::{Drift, Survey, Unanswered};
use crate::domain::model::RoleRef;

/// Compare who really has access with what was approved, now
///
/// Every system that the resources of the protected branch name is asked who holds what they give, and compared with the ledger.
/// Nothing is changed and nothing is written down. The service does the same on its own schedule ([timing] drift): it tells of what
/// it finds in one issue for each resource, and takes away what a resource with `drift: enforce` did not give. Runs on the server,
/// beside the service.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass drift --help` for examples.", after_long_help = EXAMPLES)]
pub struct Compare {
    /// The server's configuration
    #[arg(long, value_name = "FILE", default_value = "hallpass.toml")]
    config: PathBuf,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass drift
      Everything that differs, by connection.
  hallpass drift --json | jq -r '.drift[] | \"\\(.connection) \\(.account) \\(.difference)\"'
      For programs.
  hallpass import
      What to propose so that access given by hand gets an end.

Exit status:
  0  everything is as approved
  1  differences
  2  could not run, or a system did not answer";

/// The answer, in the documented order of its fields.
#[derive(Serialize)]
struct Answer<'a> {
    drift: &'a [Drift],
    unanswered: &'a [Unanswered],
    compared: usize,
}

impl Compare {
    /// Compares, and tells.
    ///
    /// # Errors
    /// When the configuration, the database or the forge cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let survey = inspect::with(&self.config, async |server| {
            server.declared().await?;
            server.survey().await
        })?;
        super::print(&if self.json {
            let answer = Answer {
                drift: &survey.found,
                unanswered: &survey.failed,
                compared: survey.asked.len(),
            };
            serde_json::to_string(&answer)? + "\n"
        } else {
            human(&survey)
        })?;
        Ok(ExitCode::from(
            match (survey.found.len(), survey.failed.len()) {
                (0, 0) => 0,
                (_, 0) => 1,
                _ => 2,
            },
        ))
    }
}

fn human(survey: &Survey) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for drift in &survey.found {
        let clause = drift.difference.clause();
        let _ = writeln!(
            out,
            "{} at {} {clause}",
            visible(&drift.account),
            drift.connection
        );
        let _ = writeln!(out, "  {}", what(drift));
        for grant in &drift.grants {
            let _ = writeln!(out, "  grant {grant}");
        }
    }
    for failed in &survey.failed {
        let (connection, what) = (&failed.connection, visible(&failed.what));
        let _ = writeln!(
            out,
            "{connection} did not tell who has {what}: {}",
            visible(&failed.why)
        );
    }
    let (found, asked) = (survey.found.len(), survey.asked.len());
    let _ = match found {
        0 => writeln!(out, "{asked} entitlements compared, no difference."),
        n => writeln!(out, "{asked} entitlements compared, {n} differences."),
    };
    out
}

fn what(drift: &Drift) -> String {
    let roles: Vec<String> = drift.roles.iter().map(RoleRef::to_string).collect();
    match roles.as_slice() {
        [] => visible(&drift.entitlement),
        roles => roles.join(", "),
    }
}
