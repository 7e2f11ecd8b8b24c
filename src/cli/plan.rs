//! `hallpass plan`: every call that would be made at a target system, before it is made.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;

use super::visible::visible;
use crate::app::inspect::{self, Inspection};
use crate::app::offline;
use crate::domain::catalogue::Catalogue;
use crate::domain::evidence::instant;
use crate::domain::ledger::{Entry, State};
use crate::domain::model::{Access, GrantPath};
use crate::domain::parse;
use crate::domain::target::Change;

/// Show every call that would be made at a target system, and when
///
/// Without arguments: what the ledger has still to do, in order of time. With files of requests: what would be called once they are
/// merged, and at their end, by the people and resources of the work tree. Calls nothing but the database. Runs on the server, beside
/// the service.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass plan --help` for examples.", after_long_help = EXAMPLES)]
pub struct Plan {
    /// Requests, as paths of the work tree: access/grants/RESOURCE/NAME.yaml
    #[arg(value_name = "PATH")]
    requests: Vec<String>,
    /// The work tree of the access repository that the requests lie in
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The server's configuration
    #[arg(long, value_name = "FILE", default_value = "hallpass.toml")]
    config: PathBuf,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass plan
      What is still to be done for everything that was granted, and when.
  hallpass plan access/grants/orders/octocat-inc-4211.yaml
      What this request would do at its begin and at its end.

Exit status:
  0  told
  1  a request gives nothing that this server could call for
  2  could not run";

/// One thing to be done.
#[derive(Serialize)]
struct Step {
    /// `grant` or `revoke`.
    change: &'static str,
    /// When: an instant, `now`, `at the merge`, `at the end`.
    when: String,
    /// The grant, or the file.
    of: String,
    connection: String,
    account: String,
    /// Empty where the server has no such connection.
    calls: Vec<String>,
}

impl Plan {
    /// Tells what would be called.
    ///
    /// # Errors
    /// When the configuration, the database or the work tree cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let steps = inspect::with(&self.config, async |server| {
            match self.requests.as_slice() {
                [] => of_ledger(&server).await,
                requests => self.of_requests(&server, requests),
            }
        })?;
        let lacking = steps.iter().any(|s| s.calls.is_empty());
        super::print(&if self.json {
            serde_json::to_string(&steps)? + "\n"
        } else {
            human(&steps)
        })?;
        Ok(ExitCode::from(u8::from(lacking)))
    }

    fn of_requests(&self, server: &Inspection, requests: &[String]) -> anyhow::Result<Vec<Step>> {
        let tree = parse::read_tree(&offline::work_tree(&self.dir)?);
        let mut steps = Vec::new();
        for request in requests {
            let path = GrantPath::new(request.trim_start_matches("./"))
                .with_context(|| format!("{request:?} is no request"))?;
            let given = given(&tree, &path)?;
            for (change, when) in [
                (Change::Grant, "at the merge"),
                (Change::Revoke, "at the end"),
            ] {
                for access in &given {
                    steps.push(step(server, change, when.to_owned(), path.as_str(), access));
                }
            }
        }
        Ok(steps)
    }
}

/// What a request gives.
fn given(tree: &Catalogue, path: &GrantPath) -> anyhow::Result<Vec<Access>> {
    let Some(declared) = tree.grants.get(path) else {
        bail!("{path} is not in the work tree, or cannot be read: `hallpass validate` says why");
    };
    let grant = &declared.grant;
    let access = |role| {
        let access = tree.access_to(&role, &grant.subject);
        access.with_context(|| format!("{path} gives nothing yet: `hallpass validate` says why"))
    };
    tree.gives(path, grant).into_iter().map(access).collect()
}

async fn of_ledger(server: &Inspection) -> anyhow::Result<Vec<Step>> {
    let now = server.now();
    let mut steps = Vec::new();
    let live = server.live().await?;
    for entry in &live {
        let Some(terms) = &entry.terms else { continue };
        let (access, of) = (&terms.access, entry.id.as_str());
        if matches!(entry.state, State::Scheduled | State::Granting) {
            let begins = terms.starts.max(now);
            steps.push((
                begins,
                step(server, Change::Grant, when(begins, now), of, access),
            ));
        }
        let ends = match entry.state {
            State::Revoking => now,
            _ => terms.ends.max(now),
        };
        // Kept by another grant of the same: only the last one that ends calls.
        if !live.iter().any(|other| outlives(other, entry)) {
            steps.push((
                ends,
                step(server, Change::Revoke, when(ends, now), of, access),
            ));
        }
    }
    steps.sort_by_key(|(at, _)| *at);
    Ok(steps.into_iter().map(|(_, step)| step).collect())
}

/// Whether `other` gives the same as `entry` for longer.
fn outlives(other: &Entry, entry: &Entry) -> bool {
    let (Some(theirs), Some(ours)) = (&other.terms, &entry.terms) else {
        return false;
    };
    other.id != entry.id
        && theirs.access.key() == ours.access.key()
        && (theirs.ends, &other.id) > (ours.ends, &entry.id)
}

fn when(at: crate::domain::model::Instant, now: crate::domain::model::Instant) -> String {
    if at <= now {
        "now".to_owned()
    } else {
        instant(at)
    }
}

fn step(server: &Inspection, change: Change, when: String, of: &str, access: &Access) -> Step {
    Step {
        change: match change {
            Change::Grant => "grant",
            Change::Revoke => "revoke",
        },
        when,
        of: of.to_owned(),
        connection: access.connection.to_string(),
        account: access.account.name.clone(),
        calls: server.preview(change, access).unwrap_or_default(),
    }
}

fn human(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        // Writing to a String cannot fail.
        let (change, of) = (step.change, &step.of);
        let _ = writeln!(
            out,
            "{}: {change} {of} ({} at {})",
            step.when,
            visible(&step.account),
            step.connection
        );
        for call in &step.calls {
            let _ = writeln!(out, "  {}", visible(call));
        }
        if step.calls.is_empty() {
            let _ = writeln!(out, "  this server has no [providers.{}]", step.connection);
        }
    }
    if steps.is_empty() {
        out.push_str("Nothing is left to do.\n");
    }
    out
}
