//! `hallpass import`: gives access that was there before Hallpass an end, by proposing it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::drift::visible;
use crate::app::inspect;
use crate::domain::drift::{Drift, Unanswered};
use crate::domain::import::{Import, import};

/// Propose requests for access that was given by hand before Hallpass came
///
/// Asks every system who holds what the resources of the protected branch give, and writes a request for each account that somebody
/// is declared to have: with `adopt: true`, so that once an owner approved it the access is the grant's, and ends with it. For
/// GitHub accounts that nobody is declared to have, the person's file is written too. Accounts of which nobody knows whose they are
/// are listed. Nothing changes in any system, and nothing is granted before it is approved.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass import --help` for examples.", after_long_help = EXAMPLES)]
pub struct ImportCommand {
    /// The server's configuration
    #[arg(long, value_name = "FILE", default_value = "hallpass.toml")]
    config: PathBuf,
    /// Write the files into this work tree of the access repository; without it they are only shown
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass import
      What would be proposed.
  hallpass import --write ~/access
      Write the files; then propose those under access/people/ in one pull request, and after it those under access/grants/ in
      another (at most 50 at once): who decides is changed apart from what is decided.
  hallpass drift
      Everything that differs, imported or not.

Exit status:
  0  everything that was given by hand can be proposed, or there is none
  1  accounts are left of which nobody knows whose they are
  2  could not run, or a system did not answer";

/// The answer, in the documented order of its fields.
#[derive(Serialize)]
struct Answer<'a> {
    people: &'a std::collections::BTreeMap<String, String>,
    grants: &'a std::collections::BTreeMap<String, String>,
    unknown: &'a [Drift],
    unanswered: &'a [Unanswered],
}

impl ImportCommand {
    /// Asks, and proposes.
    ///
    /// # Errors
    /// When the configuration, the database or the forge cannot be used, or a file cannot be written.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let (import, failed) = inspect::with(&self.config, async |server| {
            let tree = server.declared().await?;
            let survey = server.survey().await?;
            Ok((
                import(&tree, &survey.found, &server.github()),
                survey.failed,
            ))
        })?;
        let mut left = Vec::new();
        if let Some(folder) = &self.write {
            for (path, text) in import.people.iter().chain(&import.grants) {
                if !write_new(&folder.join(path), text)? {
                    left.push(path.as_str());
                }
            }
        }
        super::print(&if self.json {
            serde_json::to_string(&Answer {
                people: &import.people,
                grants: &import.grants,
                unknown: &import.unknown,
                unanswered: &failed,
            })? + "\n"
        } else {
            human(&import, &failed, self.write.as_deref(), &left)
        })?;
        Ok(ExitCode::from(match (import.unknown.len(), failed.len()) {
            (0, 0) => 0,
            (_, 0) => 1,
            _ => 2,
        }))
    }
}

/// Writes a file that is not there yet; `false` where one is.
fn write_new(path: &Path, text: &str) -> anyhow::Result<bool> {
    use std::io::Write as _;
    let what = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(what)?;
    }
    let file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(path);
    match file {
        Ok(mut file) => file
            .write_all(text.as_bytes())
            .with_context(what)
            .map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(what),
    }
}

fn human(import: &Import, failed: &[Unanswered], into: Option<&Path>, left: &[&str]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for (path, text) in import.people.iter().chain(&import.grants) {
        let _ = match into {
            None => writeln!(out, "{path}\n{}", indented(text)),
            Some(_) if left.contains(&path.as_str()) => {
                writeln!(out, "{path}: is there already, left as it is")
            }
            Some(_) => writeln!(out, "{path}: written"),
        };
    }
    for drift in &import.unknown {
        let (account, connection) = (visible(&drift.account), &drift.connection);
        let roles: Vec<String> = drift.roles.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            out,
            "{account} at {connection} has {}: nobody is declared to have this account. Add `{connection}: {account}` to the \
             identities of whoever it belongs to, or take it away there",
            roles.join(", ")
        );
    }
    for one in failed {
        let what = visible(&one.what);
        let _ = writeln!(
            out,
            "{} did not tell who has {what}: {}",
            one.connection,
            visible(&one.why)
        );
    }
    let (people, grants) = (import.people.len(), import.grants.len());
    let _ = writeln!(
        out,
        "{grants} requests and {people} people to propose, {} accounts unknown.",
        import.unknown.len()
    );
    if into.is_none() && people + grants > 0 {
        out.push_str("  --write DIR writes them into a work tree; propose people first, and grants in a pull request of their own\n");
    }
    out
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}
