//! `hallpass access`: what somebody has now.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::clone::{View, Which, near};
use super::grants::{COLUMNS, Filter, Line, cells, notes, standing};
use super::table;
use super::visible::visible;
use crate::domain::audit::Stands;
use crate::domain::model::{Login, Subject};

/// Tell what a person, or a service account, has now
///
/// By the branch that counts and the evidence of what was given, as the clone holds them. Of a person, what the services have that they answer
/// for is told too. What was given past Hallpass is not in there: `hallpass drift`, on the server, tells of that.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass access --help` for examples.", after_long_help = EXAMPLES)]
pub struct Access {
    /// The login of the person, or the name of the service account
    #[arg(value_name = "PERSON")]
    who: String,
    #[command(flatten)]
    which: Which,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass access octocat
      What octocat has, until when, and by which grants.
  hallpass access deploy-bot --json | jq -r '.grants[].role'
      What a service account has, for programs.
  hallpass access grace --local
      Without a question to GitHub.

Exit status:
  0  told, also where they have nothing
  1  nobody of that name is declared
  2  could not run

With --json: who, grants, services (both as `hallpass list --json` has them), unknown.";

#[derive(Serialize)]
struct Answer<'a> {
    /// Who: `login`, or `service name`.
    who: String,
    grants: Vec<Line>,
    /// What the services have that the person answers for.
    services: Vec<Line>,
    unknown: &'a [String],
}

impl Access {
    /// Looks and tells.
    ///
    /// # Errors
    /// When there is no clone, or it cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let view = self.which.look()?;
        let login = Login::new(self.who.trim_start_matches('@')).ok();
        let subject = view.subject(&self.who);
        // Who has left may have something still.
        let subject = subject.or_else(|| login.clone().map(Subject::Person));
        let Some(subject) = subject else {
            anyhow::bail!(
                "{:?} is the name of no person and no service account",
                self.who
            );
        };
        let [grants, services] = held(&view, &subject);
        let declared = view.subject(&self.who).is_some();
        let unknown = view.unknown();
        let lines = |all: &[Stands<'_>]| -> Vec<Line> {
            all.iter()
                .map(|stands| Line::of(stands, view.now))
                .collect()
        };
        super::print(&match self.json {
            true => {
                let answer = Answer {
                    who: subject.to_string(),
                    grants: lines(&grants),
                    services: lines(&services),
                    unknown: &unknown,
                };
                serde_json::to_string(&answer)? + "\n"
            }
            false => human(&view, &subject, [&grants, &services]) + &notes(&unknown),
        })?;
        let nobody = grants.is_empty() && services.is_empty() && !declared;
        Ok(ExitCode::from(u8::from(nobody)))
    }
}

/// What `subject` has, and what the services have that it answers for.
fn held<'v>(view: &'v View, subject: &Subject) -> [Vec<Stands<'v>>; 2] {
    let own = match subject {
        Subject::Person(login) => Some(login.clone()),
        Subject::Service(_) => None,
    };
    let is_person = own.is_some();
    let all = standing(
        view,
        &Filter {
            own,
            ..Filter::default()
        },
    );
    let held = all.into_iter().filter(Stands::is_held);
    let (grants, others): (Vec<_>, Vec<_>) = held.partition(|one| one.subject == *subject);
    [grants, if is_person { others } else { Vec::new() }]
}

fn human(view: &View, subject: &Subject, [grants, services]: [&[Stands<'_>]; 2]) -> String {
    let table = |stands: &[Stands<'_>]| {
        let rows: Vec<Vec<String>> = stands.iter().map(|one| cells(view, one)).collect();
        table::text(&COLUMNS, &rows, table::width())
    };
    let mut out = format!("{} has:\n\n{}", view.name(subject), table(grants));
    if !services.is_empty() {
        out.push_str(&format!(
            "\nand answers for services that have:\n\n{}",
            table(services)
        ));
    }
    let name = match subject {
        Subject::Person(login) => login.as_str(),
        Subject::Service(name) => name.as_str(),
    };
    if view.subject(name).is_none() {
        let people = view.base.people.keys().map(Login::as_str);
        let services = view.base.services.keys().map(|name| name.as_str());
        let likely = near(name, people.chain(services)).join(", ");
        out.push_str(&format!("\nnobody is declared as {}", visible(name)));
        if !likely.is_empty() {
            out.push_str(&format!("; did you mean {likely}?"));
        }
        out.push('\n');
    }
    out
}
