//! `hallpass import`: gives access that was there before Hallpass an end, by proposing it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::visible::visible;
use crate::app::inspect;
use crate::app::propose::{
    Choice, FileChange, Network, OpenPull, Outcome, OwnClone, Proposal, ProposeError,
};
use crate::domain::drift::{Drift, Unanswered};
use crate::domain::import::{Import, import};
use crate::domain::model::{Malformed, RepoPath};
use crate::domain::rules::MOST_GRANTS;

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
    #[arg(long, value_name = "DIR", conflicts_with = "open")]
    write: Option<PathBuf>,
    /// Open the pull requests from this clone of the access repository, with your own token as `hallpass return` finds it
    #[arg(long, value_name = "DIR")]
    open: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass import
      What would be proposed.
  hallpass import --open ~/access
      Open the pull request of people who are not declared yet. Who decides is changed apart from what is decided: once it is
      merged, the same command opens those of requests, at most 50 in each. What is open already is not opened twice.
  hallpass import --write ~/access
      Write the files, to propose them by hand.
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
    pulls: &'a [Asked],
}

/// A pull request that was asked for.
#[derive(Serialize)]
struct Asked {
    branch: String,
    files: usize,
    pull: Option<OpenPull>,
    already: bool,
    /// Why it is not open.
    why: Option<String>,
    /// What is left to do by hand.
    next: Vec<String>,
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
        let asked = match &self.open {
            Some(clone) => open(clone, &import)?,
            None => Vec::new(),
        };
        super::print(&if self.json {
            serde_json::to_string(&Answer {
                people: &import.people,
                grants: &import.grants,
                unknown: &import.unknown,
                unanswered: &failed,
                pulls: &asked,
            })? + "\n"
        } else if self.open.is_some() {
            opened(&import, &asked) + &rest(&import, &failed)
        } else {
            human(&import, self.write.as_deref(), &left) + &rest(&import, &failed)
        })?;
        let left_to_do = asked.iter().any(|asked| asked.pull.is_none());
        Ok(ExitCode::from(match (import.unknown.len(), failed.len()) {
            (0, 0) if !left_to_do => 0,
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

/// Opens what can be decided now: people, or, where nobody is left to be declared, requests.
fn open(clone: &Path, import: &Import) -> anyhow::Result<Vec<Asked>> {
    if import.people.is_empty() && import.grants.is_empty() {
        return Ok(Vec::new());
    }
    let clone = OwnClone::open(&Choice {
        dir: clone,
        remote: None,
        base: None,
        network: Network::Use,
    })?;
    if !import.people.is_empty() {
        let files: Vec<_> = import.people.iter().collect();
        let title = format!("Declare {} people who have access already", files.len());
        return Ok(vec![ask(&clone, "import/people", &title, PEOPLE, &files)?]);
    }
    let grants: Vec<_> = import.grants.iter().collect();
    let mut asked = Vec::new();
    for (n, files) in grants.chunks(MOST_GRANTS).enumerate() {
        let branch = format!("import/grants-{}", n + 1);
        let title = format!("Take over {} accesses that were given by hand", files.len());
        asked.push(ask(&clone, &branch, &title, GRANTS, files)?);
    }
    Ok(asked)
}

const PEOPLE: &str = "Accounts that hold access now and that no file under `access/people/` declares. Nothing changes in any system. Requests \
     for what they hold can be proposed once this is merged: run `hallpass import --open` again.";

const GRANTS: &str = "Access that was given by hand before Hallpass came. Nothing changes until an owner approves and this is merged; \
     from then on each access ends with its term, or is renewed. What nobody approves stays as it is, and is told as drift.";

fn ask(
    clone: &OwnClone,
    branch: &str,
    title: &str,
    body: &str,
    files: &[(&String, &String)],
) -> anyhow::Result<Asked> {
    let changes: Result<Vec<FileChange>, _> = files
        .iter()
        .map(|(path, text)| {
            Ok::<_, Malformed>(FileChange {
                path: RepoPath::new(path)?,
                content: Some(text.as_bytes().to_vec()),
            })
        })
        .collect();
    let outcome = clone.propose(&Proposal {
        branch,
        title,
        body,
        files: &changes?,
    });
    let outcome = match outcome {
        // The others are asked for all the same.
        Err(error @ ProposeError::Taken { .. }) => Outcome::Prepared {
            why: error.to_string(),
            next: Vec::new(),
        },
        outcome => outcome?,
    };
    let asked = |pull, already| Asked {
        branch: branch.to_owned(),
        files: files.len(),
        pull,
        already,
        why: None,
        next: Vec::new(),
    };
    Ok(match outcome {
        Outcome::Opened(pull) => asked(Some(pull), false),
        Outcome::Already(pull) => asked(Some(pull), true),
        Outcome::Prepared { why, next } => Asked {
            why: Some(why),
            next,
            ..asked(None, false)
        },
    })
}

fn opened(import: &Import, asked: &[Asked]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for one in asked {
        let steps = one.next.iter().map(|step| format!("\n  {step}"));
        let steps: String = steps.collect();
        let _ = match &one.pull {
            Some(pull) if one.already => writeln!(
                out,
                "#{} is open already: {}",
                pull.number,
                visible(&pull.url)
            ),
            Some(pull) => writeln!(
                out,
                "#{} is open, with {} files: {}",
                pull.number,
                one.files,
                visible(&pull.url)
            ),
            None => writeln!(
                out,
                "the branch {} is not proposed yet: {}{}",
                one.branch,
                visible(one.why.as_deref().unwrap_or_default()),
                steps
            ),
        };
    }
    if !import.people.is_empty() && !import.grants.is_empty() {
        let _ = writeln!(
            out,
            "{} requests follow once the people are declared: run this again when that is merged",
            import.grants.len()
        );
    }
    out
}

fn human(import: &Import, into: Option<&Path>, left: &[&str]) -> String {
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
    if into.is_none() && !(import.people.is_empty() && import.grants.is_empty()) {
        out.push_str("  --open DIR opens the pull requests from a clone; --write DIR writes the files into a work tree\n");
    }
    out
}

/// What cannot be proposed, and how much there is.
fn rest(import: &Import, failed: &[Unanswered]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
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
    out
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}
