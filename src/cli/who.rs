//! `hallpass who`: who has access to something now.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::clone::{View, Which, near};
use super::grants::{COLUMNS, Filter, Line, cells, notes, standing};
use super::table;
use crate::domain::model::{ResourceName, RoleName};

/// Tell who has access to a resource, or a role of it, now
///
/// By the branch that counts and the evidence of what was given, as the clone holds them. What was given past Hallpass is not in there:
/// `hallpass drift`, on the server, tells of that.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass who --help` for examples.", after_long_help = EXAMPLES)]
pub struct Who {
    /// The resource, or one role of it
    #[arg(value_name = "RESOURCE[/ROLE]")]
    what: String,
    #[command(flatten)]
    which: Which,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass who orders
      Everybody who has something on the orders database.
  hallpass who orders/readonly --json | jq -r '.grants[].subject'
      Who may read it, for programs.
  hallpass who ledger/approver --local
      Without a question to GitHub.

Exit status:
  0  told, also where nobody has it
  1  there is no such resource or role
  2  could not run

With --json: what, grants (as `hallpass list --json` has them), unknown.";

#[derive(Serialize)]
struct Answer<'a> {
    what: &'a str,
    grants: Vec<Line>,
    unknown: &'a [String],
}

impl Who {
    /// Looks and tells.
    ///
    /// # Errors
    /// When there is no clone, or it cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let what = self.what.trim_end_matches('/');
        let (resource, role) = match what.split_once('/') {
            Some((resource, role)) => (ResourceName::new(resource)?, Some(RoleName::new(role)?)),
            None => (ResourceName::new(what)?, None),
        };
        let view = self.which.look()?;
        let filter = Filter {
            resource: Some(resource.clone()),
            role: role.clone(),
            ..Filter::default()
        };
        let mut grants = standing(&view, &filter);
        grants.retain(|stands| stands.is_held());
        let declared = view.base.resources.get(&resource);
        let has = |role: &RoleName| declared.is_some_and(|r| r.roles.contains_key(role));
        let known = declared.is_some() && role.as_ref().is_none_or(has);
        if grants.is_empty() && !known && !self.json {
            super::print(&absent(&view, what, &resource))?;
            return Ok(ExitCode::FAILURE);
        }
        let unknown = view.unknown();
        super::print(&match self.json {
            true => {
                let answer = Answer {
                    what,
                    grants: grants
                        .iter()
                        .map(|stands| Line::of(stands, view.now))
                        .collect(),
                    unknown: &unknown,
                };
                serde_json::to_string(&answer)? + "\n"
            }
            false => {
                let rows: Vec<Vec<String>> = grants.iter().map(|s| cells(&view, s)).collect();
                table::text(&COLUMNS, &rows, table::width()) + &notes(&unknown)
            }
        })?;
        Ok(ExitCode::from(u8::from(grants.is_empty() && !known)))
    }
}

/// That there is no such thing, and what is like it.
fn absent(view: &View, what: &str, resource: &ResourceName) -> String {
    let names = view.base.resources.keys().map(ResourceName::as_str);
    let likely = match view.base.resources.get(resource) {
        Some(there) => {
            let roles = there.roles.keys().map(|role| format!("{resource}/{role}"));
            roles.collect::<Vec<_>>()
        }
        None => near(resource.as_str(), names),
    };
    match likely.is_empty() {
        true => format!("there is no {what} in the catalogue\n"),
        false => format!(
            "there is no {what} in the catalogue, but {}\n",
            likely.join(", ")
        ),
    }
}
