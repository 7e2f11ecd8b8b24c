//! `hallpass list`: what I have, what I asked for, what waits for me.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::clone::{View, Which, known_by};
use super::grants::{COLUMNS, Filter, Line, cells, is_soon, notes, standing};
use super::table;
use super::visible::visible;
use crate::app::propose::{OpenPull, OpenRequest, OpenRequests, Waits};
use crate::domain::audit::Stands;
use crate::domain::model::{GrantPath, Login, ResourceName};

/// List what you have and when it ends, what you asked for, and what waits for your approval
///
/// What stands is read from the clone: the branch that counts, and the evidence of what was given. What is open is asked of GitHub with your token; without
/// one, that part is left out and said so. Whether a request waits for you follows from CODEOWNERS and your teams; how it stands is what
/// its check says.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass list --help` for examples.", after_long_help = EXAMPLES)]
pub struct List {
    /// Everybody's
    #[arg(long)]
    all: bool,
    /// Of this person, or service account
    #[arg(long, value_name = "NAME", visible_alias = "service")]
    person: Option<String>,
    /// On this resource
    #[arg(long, value_name = "NAME", value_parser = resource)]
    resource: Option<ResourceName>,
    /// Only what ends soon
    #[arg(long)]
    soon: bool,
    #[command(flatten)]
    which: Which,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass list
      What you have, what you asked for, and what waits for you.
  hallpass list --all --soon
      Everything that ends soon, whoever has it.
  hallpass list --resource orders
      Everybody's access to one resource.
  hallpass list --person octocat --json | jq -r '.grants[] | \"\\(.role) \\(.ends)\"'
      For programs.
  hallpass list --local
      Without a question to GitHub.

Exit status:
  0  listed
  2  could not run

With --json: me, grants (grant, id, path, subject, role, state, begins, ends, soon, ticket, approved_by, pull), requests (pull, title, grants,
check, own, waits), unknown. A state is live, scheduled, merged (nothing tells yet that it was given), refused, ended (its file stands still), or
declared (there is no evidence at hand).";

/// The answer, in the documented order of its fields.
#[derive(Serialize)]
struct Answer<'a> {
    /// Who asks; null where that is not known.
    me: Option<&'a Login>,
    grants: Vec<Line>,
    /// Null where GitHub could not be asked.
    requests: Option<Vec<Open<'a>>>,
    /// What is not known, a sentence each.
    unknown: &'a [String],
}

/// A request, after what its check says of it.
type Checked = (Option<String>, OpenRequest);

/// An open pull request.
#[derive(Serialize)]
struct Open<'a> {
    pull: &'a OpenPull,
    title: &'a str,
    /// The grants that it changes, as `<resource>/<name>`.
    grants: Vec<&'a str>,
    /// What its check says, in one line.
    check: Option<&'a str>,
    /// Whether it is the asker's own.
    own: bool,
    /// Whether it waits for whoever asks.
    waits: Waits,
}

const WHO: &str = "who you are is not known, so this is everybody's: name yourself with --person, or set github.user with `git config`";

fn resource(text: &str) -> Result<ResourceName, String> {
    ResourceName::new(text).map_err(|error| error.to_string())
}

impl List {
    /// Looks and tells.
    ///
    /// # Errors
    /// When there is no clone, or it cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let view = self.which.look()?;
        let me = view.me().map(|me| &me.login);
        let (requests, unknown) = self.requests(&view);
        let mut grants = standing(&view, &self.filter(me));
        grants.retain(|stands| !self.soon || is_soon(stands, view.now));
        super::print(&match self.json {
            true => {
                let answer = Answer {
                    me,
                    grants: grants
                        .iter()
                        .map(|stands| Line::of(stands, view.now))
                        .collect(),
                    requests: requests
                        .as_ref()
                        .map(|all| all.iter().map(|r| open(r, me)).collect()),
                    unknown: &unknown,
                };
                serde_json::to_string(&answer)? + "\n"
            }
            false => self.human(&view, &grants, requests.as_deref()) + &notes(&unknown),
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// What is open, with what its checks say, and what is not known.
    fn requests(&self, view: &View) -> (Option<Vec<Checked>>, Vec<String>) {
        let me = view.me().map(|me| &me.login);
        let mut unknown = view.unknown();
        if me.is_none() && !self.is_about_others() {
            unknown.push(WHO.to_owned());
        }
        let found = match view.clone.open_requests(&view.base, me) {
            Ok(found) => found,
            Err(error) => {
                let why = anyhow::Error::from(error);
                unknown.push(format!(
                    "what is open, and what waits for you, is not known: {why:#}"
                ));
                return (None, unknown);
            }
        };
        unknown.extend(found.unknown.clone());
        let meant = self.meant(found, me).into_iter();
        let checked = meant.map(|request| (view.clone.check_of(&request), request));
        (Some(checked.collect()), unknown)
    }

    fn is_about_others(&self) -> bool {
        self.all || self.person.is_some() || self.resource.is_some()
    }

    fn filter(&self, me: Option<&Login>) -> Filter {
        Filter {
            subject: self.person.clone(),
            own: me.filter(|_| !self.is_about_others()).cloned(),
            resource: self.resource.clone(),
            role: None,
        }
    }

    /// The open requests that are meant: of one's own and those that may wait for one, or all.
    fn meant(&self, found: OpenRequests, me: Option<&Login>) -> Vec<OpenRequest> {
        let mut all = found.all;
        all.retain(|request| {
            let own = request.pull.author.as_ref() == me && me.is_some();
            let on =
                |path: &GrantPath| self.resource.as_ref().is_none_or(|r| *r == path.resource());
            let of = |name: &String| {
                let asked = request.asks_for(name);
                asked
                    || request
                        .pull
                        .author
                        .as_ref()
                        .is_some_and(|a| a.as_str() == name)
            };
            let meant = self.is_about_others() || me.is_none() || own || request.waits != Waits::No;
            meant && request.paths.iter().any(on) && self.person.as_ref().is_none_or(of)
        });
        all
    }

    fn human(&self, view: &View, grants: &[Stands<'_>], requests: Option<&[Checked]>) -> String {
        let whose = match (self.is_about_others(), view.me()) {
            (false, Some(me)) => format!("You are {}, {}. You have", me.login, known_by(me.by)),
            _ => "What stands".to_owned(),
        };
        let rows: Vec<Vec<String>> = grants.iter().map(|stands| cells(view, stands)).collect();
        let width = table::width();
        let mut out = format!("{whose}:\n\n{}", table::text(&COLUMNS, &rows, width));
        let Some(requests) = requests else {
            return out + "\n";
        };
        let me = view.me().map(|me| &me.login);
        let waits = |(_, request): &&Checked| request.waits == Waits::Yes;
        let (waiting, others): (Vec<_>, Vec<_>) = requests.iter().partition(waits);
        let columns = ["pull", "by", "grants", "check", "page"];
        for (title, some) in [("Waits for you", waiting), ("Open", others)] {
            if some.is_empty() && title == "Open" {
                continue;
            }
            let rows: Vec<Vec<String>> = some.iter().map(|r| row(r, me)).collect();
            out.push_str(&format!(
                "\n{title}:\n\n{}",
                table::text(&columns, &rows, width)
            ));
        }
        out + "\n"
    }
}

fn open<'a>((check, request): &'a Checked, me: Option<&Login>) -> Open<'a> {
    Open {
        pull: &request.pull,
        title: &request.pull.title,
        grants: request.paths.iter().map(GrantPath::short).collect(),
        check: check.as_deref(),
        own: me.is_some() && request.pull.author.as_ref() == me,
        waits: request.waits,
    }
}

fn row((check, request): &Checked, me: Option<&Login>) -> Vec<String> {
    let author = request.pull.author.as_ref();
    let own = me.is_some() && author == me;
    let by = author.map(ToString::to_string).unwrap_or_default();
    let grants: Vec<&str> = request.paths.iter().map(GrantPath::short).collect();
    vec![
        format!("#{}", request.pull.number),
        if own { format!("{by} (you)") } else { by },
        grants.join(", "),
        check
            .clone()
            .unwrap_or_else(|| "not checked yet".to_owned()),
        visible(&request.pull.url),
    ]
}
