//! `hallpass recover`: the ledger, put together again.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::visible::visible;
use crate::app::recover::{self, Ask, Doing, Outcome, Recovered, Recovery, Written};
use crate::domain::evidence::instant;
use crate::domain::model::CommitId;

/// Rebuild a lost or outdated database from the evidence, git, the forge and the target systems
///
/// Stop the service first. Without `--write` it only shows the ledger that it would write (where there is no database yet, it makes an
/// empty one). Nothing is given or taken by it: what was given goes on to its end, what ended stays ended, and what nobody can prove
/// is not granted. The service in safe mode says in its log which command to run.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass recover --help` for examples.", after_long_help = EXAMPLES)]
pub struct Recover {
    /// The server's configuration
    #[arg(long, value_name = "FILE", default_value = "hallpass.toml")]
    config: PathBuf,
    /// Write the ledger
    #[arg(long)]
    write: bool,
    /// Believe evidence that this public key signed, too: where the key was lost with the database
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Go on from this commit of a protected branch whose history was rewritten
    #[arg(long, value_name = "COMMIT", value_parser = commit)]
    accept_main: Option<CommitId>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass recover
      What would the ledger be? Writes nothing.
  hallpass recover --write
      Write it, then start the service.
  hallpass recover --key evidence_key.pub --write
      Database and evidence key were lost together; this is the old public key.
  hallpass recover --accept-main 83a9992cdf3d4e3f7f0f3a3a8f0e9a3b5c1d2e4f --write
      The history of main was rewritten, and somebody vouches for this commit of it.

Exit status:
  0  shown, written, or nothing to recover
  1  something must be known before anything is written, or the evidence has problems
  2  could not run";

/// The answer, in the documented order of its fields.
#[derive(Serialize)]
struct Answer<'a> {
    written: Written,
    #[serde(flatten)]
    recovery: &'a Recovery,
}

fn commit(text: &str) -> Result<CommitId, String> {
    CommitId::new(text).map_err(|error| error.to_string())
}

impl Recover {
    /// Recovers, or tells what that would be.
    ///
    /// # Errors
    /// When the configuration, the database or the forge cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let doing = match self.write {
            true => Doing::Write,
            false => Doing::Tell,
        };
        let ask = Ask {
            keys: self.key.clone(),
            main: self.accept_main.clone(),
            doing,
        };
        if !self.json {
            anstream::eprintln!(
                "Reading the evidence, the protected branch and the target systems ..."
            );
        }
        let outcome = recover::run(&self.config, &ask)?;
        super::print(&if self.json {
            let answer = Answer {
                written: outcome.written,
                recovery: &outcome.recovery,
            };
            serde_json::to_string(&answer)? + "\n"
        } else {
            human(&outcome)
        })?;
        let found = &outcome.recovery;
        let clean = found.doubts.is_empty() && found.problems.is_empty();
        Ok(ExitCode::from(u8::from(!clean)))
    }
}

/// The states of the ledger, as an operator thinks of them.
const GROUPS: [(&str, &str); 7] = [
    ("active", "Held, until its end"),
    ("revoking", "Being taken away"),
    (
        "granting",
        "Perhaps given when the database was lost: settled at the next look",
    ),
    ("scheduled", "Begins later"),
    ("arrived", "To be weighed again: given only with its proof"),
    ("ended", "Over: never given again"),
    ("denied", "Never granted"),
];

/// How many of one group are named: the rest of what is over is only counted.
const NAMED: usize = 50;

fn human(outcome: &Outcome) -> String {
    let Outcome { recovery, written } = outcome;
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match &recovery.safe_mode {
        Some(why) => writeln!(out, "Safe mode: {why}."),
        None => writeln!(
            out,
            "The database agrees with evidence and protected branch."
        ),
    };
    let short = |commit: &Option<CommitId>| {
        commit
            .as_ref()
            .map_or("nothing".to_owned(), |c| c.short().to_owned())
    };
    let _ = writeln!(
        out,
        "Evidence: {} records, up to {}. Protected branch: {}, seen up to {}.\n",
        recovery.records,
        short(&recovery.evidence),
        recovery.main.short(),
        short(&recovery.cursor)
    );
    for (state, title) in GROUPS {
        group(
            &mut out,
            title,
            recovery.grants.iter().filter(|g| g.state == state),
        );
    }
    let unreviewed = recovery.grants.iter().filter(|g| g.unreviewed);
    group(
        &mut out,
        "Given in an emergency, and not reviewed yet",
        unreviewed,
    );
    let problems: Vec<String> = recovery.problems.iter().map(ToString::to_string).collect();
    list(&mut out, "Problems of the evidence", &problems);
    list(&mut out, "Worth knowing", &recovery.notes);
    list(
        &mut out,
        "Must be known before anything is written",
        &recovery.doubts,
    );
    out.push_str(match written {
        Written::Written => "Written. Start the service.\n",
        Written::NotAsked if recovery.doubts.is_empty() => {
            "Nothing was written. The same command with --write writes it.\n"
        }
        Written::NotAsked | Written::Doubtful => "Nothing was written.\n",
        Written::NotNeeded => "Nothing to recover, nothing was written.\n",
    });
    out
}

fn group<'a>(out: &mut String, title: &str, grants: impl Iterator<Item = &'a Recovered>) {
    let grants: Vec<&Recovered> = grants.collect();
    if grants.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title} ({})", grants.len());
    for one in grants.iter().take(NAMED) {
        let who = one.subject.as_deref().zip(one.role.as_deref());
        let who = who
            .map(|(who, role)| format!("  {who} on {role}"))
            .unwrap_or_default();
        let until = one
            .ends
            .map(|at| format!(" until {}", instant(at)))
            .unwrap_or_default();
        let _ = writeln!(out, "  {}{who}{until}", one.grant);
    }
    if grants.len() > NAMED {
        let _ = writeln!(
            out,
            "  ... and {} more; --json names them",
            grants.len() - NAMED
        );
    }
    out.push('\n');
}

fn list(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title}");
    for line in lines {
        let _ = writeln!(out, "  - {}", visible(line));
    }
    out.push('\n');
}
