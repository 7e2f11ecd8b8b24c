//! The questions of an auditor, one command each.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use chrono::TimeDelta;
use clap::Args;
use serde::Serialize;

use super::table::{self, Table, cell};
use super::{Form, Where, instant};
use crate::app::audit::{Told, now};
use crate::domain::audit::{self, Filter, Held, Life, Population};
use crate::domain::evidence;
use crate::domain::model::{CommitId, Instant};

/// Which grants are meant.
#[derive(Debug, Args)]
struct Meant {
    /// Of this person (a login: the one of today, or one that the account had when access was given) or service
    #[arg(long, value_name = "NAME", visible_alias = "service")]
    person: Option<String>,
    /// On this resource
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// With this role: `readonly`, or `orders/readonly`
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
}

impl Meant {
    fn filter(&self) -> Filter {
        Filter {
            subject: self.person.clone(),
            resource: self.resource.clone(),
            role: self.role.clone(),
        }
    }
}

/// Tell who had access at an instant: what, since when, until when, approved by whom, under which ticket
///
/// Why is in the file of the request, which `git show <merge>:<path>` prints: what people write freely is not in the evidence.
///
/// What may have been given by then, and is not told to have been, is shown with the earliest instant at which it may have been, as `perhaps
/// from`: access that is given at that moment, or whose target system did not answer, so that it was found later or taken unseen.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hallpass audit access --at 2026-10-01T12:00:00Z --resource orders
  hallpass audit access --person octocat --csv > octocat.csv")]
pub(super) struct Access {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    meant: Meant,
    /// The instant, in UTC: 2026-10-01T12:00Z, or 2026-10-01 [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    at: Option<Instant>,
    #[command(flatten)]
    form: Form,
}

const COLUMNS: &[&str] = &[
    "subject",
    "role",
    "account",
    "connection",
    "given",
    "ended",
    "expires",
    "approved by",
    "ticket",
    "pull",
    "grant",
    "merge",
    "path",
    PERHAPS,
];

/// The last column: only of what may have been held at an instant.
const PERHAPS: &str = "perhaps from";

fn row(life: &Life) -> Vec<String> {
    vec![
        life.subject.clone(),
        life.role.clone(),
        life.account.clone(),
        life.connection.clone(),
        cell(life.given.as_ref().map(|given| given.at)),
        cell(life.ended.as_ref().map(|ended| ended.at)),
        cell(life.expires),
        life.approved_by(),
        life.ticket.clone().unwrap_or_default(),
        life.pull.map(|pull| pull.to_string()).unwrap_or_default(),
        life.grant.clone(),
        life.merge.clone().unwrap_or_default(),
        life.path.clone(),
    ]
}

/// What of [`row`] fits on a screen.
fn short(life: &Life) -> Vec<String> {
    let all = row(life);
    [0, 1, 4, 5, 6, 7, 8, 10]
        .iter()
        .map(|i| all[*i].clone())
        .collect()
}

const SHORT: &[&str] = &[
    "subject",
    "role",
    "given",
    "ended",
    "expires",
    "approved by",
    "ticket",
    "grant",
    PERHAPS,
];

fn lives(form: &Form, lives: &[&Life]) -> Table {
    match form.csv {
        true => Table {
            columns: &COLUMNS[..COLUMNS.len() - 1],
            rows: lives.iter().map(|life| row(life)).collect(),
        },
        false => Table {
            columns: &SHORT[..SHORT.len() - 1],
            rows: lives.iter().map(|life| short(life)).collect(),
        },
    }
}

/// The same with what is only perhaps held; people are spared the column where nothing is.
fn held(form: &Form, held: &[Held<'_>]) -> Table {
    let grants: Vec<&Life> = held.iter().map(|held| held.life).collect();
    let mut table = lives(form, &grants);
    if form.csv || held.iter().any(|held| held.perhaps_from.is_some()) {
        table.columns = if form.csv { COLUMNS } else { SHORT };
        for (row, held) in table.rows.iter_mut().zip(held) {
            row.push(cell(held.perhaps_from));
        }
    }
    table
}

impl Access {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let all = self.place.told()?.lives;
        let at = self.at.unwrap_or_else(now);
        let found = audit::access_at(&all, at, &self.meant.filter());
        let perhaps = found.iter().filter(|h| h.perhaps_from.is_some()).count();
        let more = match perhaps {
            0 => String::new(),
            n => format!(
                "{n} more were perhaps held: they may have been given by then, and nothing tells that they were.\n"
            ),
        };
        let before = format!(
            "{} grants were held at {}.\n{more}\n",
            found.len() - perhaps,
            evidence::instant(at)
        );
        table::print(&self.form, &found, &before, &held(&self.form, &found))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Tell everything that happened to a grant, or to all grants of one file
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hallpass audit history orders/octocat-incident
  hallpass audit history orders/octocat-incident@1a2b3c4 --json")]
pub(super) struct History {
    #[command(flatten)]
    place: Where,
    /// The grant: `orders/octocat-incident@1a2b3c4`, or `orders/octocat-incident` for all of that name
    #[arg(value_name = "GRANT")]
    grant: String,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

impl History {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let all = self.place.told()?.lives;
        let name = self
            .grant
            .trim_start_matches("access/grants/")
            .trim_end_matches(".yaml");
        let exact = |life: &&Life| {
            let rest = &life.grant[name.len()..];
            rest.is_empty() || name.contains('@') || rest.starts_with('@')
        };
        let found: Vec<&Life> = all.named(name).filter(exact).collect();
        if found.is_empty() {
            bail!(
                "the evidence tells of no grant {name:?}; `hallpass audit population --from DAY --to DAY` lists them all"
            );
        }
        if self.json {
            super::super::print(&(serde_json::to_string(&found)? + "\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = String::new();
        // Writing to a String cannot fail.
        for life in found {
            let _ = writeln!(out, "{}", life.grant);
            let _ = writeln!(
                out,
                "  {} on {}, account {} at {}",
                life.subject, life.role, life.account, life.connection
            );
            let _ = writeln!(out, "  approved by {}", life.approved_by());
            if let Some(merge) = &life.merge {
                let _ = writeln!(out, "  why: git show {merge}:{}", life.path);
            }
            for step in &life.steps {
                let _ = writeln!(
                    out,
                    "  {}  {}  {}",
                    evidence::instant(step.at),
                    step.commit.short(),
                    step.sentence
                );
            }
            if let Some(ended) = &life.ended {
                let _ = writeln!(
                    out,
                    "  ended {} ms after it was due ({})",
                    ended.late_ms(),
                    ended.cause
                );
            }
            out.push('\n');
        }
        super::super::print(&out)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// List every grant that was asked for, given, held or ended in a period: the list that samples are drawn from
///
/// With totals and a digest: the same period of the same evidence gives the same list to everybody.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hallpass audit population --from 2026-07-01 --to 2026-10-01 --csv > population.csv")]
pub(super) struct PopulationOf {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    meant: Meant,
    /// From this instant on, in UTC: 2026-07-01
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    from: Instant,
    /// Before this instant
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    to: Instant,
    #[command(flatten)]
    form: Form,
}

/// The list, for programs.
#[derive(Serialize)]
struct Listed<'l> {
    #[serde(flatten)]
    population: Population<'l>,
    /// Commits of the evidence branch that hold no record.
    left_out: Vec<CommitId>,
}

impl PopulationOf {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.from >= self.to {
            bail!("--from must be before --to");
        }
        let Told {
            lives: all,
            left_out,
        } = self.place.told()?;
        let found = audit::population(&all, self.from, self.to, &self.meant.filter());
        let before = format!(
            "From {} up to {}: {} asked for, {} given, {} ended, {} reviewed; {} held at the beginning, {} at the end.\n{} grants in all, digest of their names {}\n\n",
            evidence::instant(found.from),
            evidence::instant(found.to),
            found.requested,
            found.given,
            found.ended,
            found.reviewed,
            found.held_at_start,
            found.held_at_end,
            found.grants.len(),
            found.digest
        );
        let table = lives(&self.form, &found.grants);
        let listed = Listed {
            population: found,
            left_out,
        };
        table::print(&self.form, &listed, &before, &table)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Tell how each reviewer approves: how many, how fast, and who approves each other's access
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hallpass audit reviewers
  hallpass audit reviewers --resource orders --json")]
pub(super) struct Reviewers {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    form: Form,
}

impl Reviewers {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let all = self.place.told()?.lives;
        let found = audit::reviewers(self.meant.filter().pick(&all));
        let rows = found.iter().map(|one| {
            let pairs = one
                .reciprocal
                .iter()
                .map(|(login, count)| format!("{login} ({count})"));
            vec![
                one.login.clone(),
                one.id.to_string(),
                one.approvals.to_string(),
                one.median_seconds
                    .map(|s| s.to_string())
                    .unwrap_or_default(),
                one.at_once.to_string(),
                pairs.collect::<Vec<_>>().join(", "),
            ]
        });
        let table = Table {
            columns: &[
                "reviewer",
                "id",
                "approvals",
                "median seconds",
                "at once",
                "approve each other",
            ],
            rows: rows.collect(),
        };
        let before = format!(
            "At once is less than {} seconds after the request was seen.\n\n",
            audit::AT_ONCE.num_seconds()
        );
        table::print(&self.form, &found, &before, &table)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// List what did not go as it should: merged without proof, removed late, drift, reviews that nobody answered. Open ones first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hallpass audit exceptions
  hallpass audit exceptions --late 300 --csv > exceptions.csv")]
pub(super) struct Exceptions {
    #[command(flatten)]
    place: Where,
    /// How long after it is due a removal counts as late, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    late: u32,
    #[command(flatten)]
    form: Form,
}

impl Exceptions {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let all = self.place.told()?.lives;
        let late = TimeDelta::seconds(self.late.into());
        let found = audit::exceptions(&all, late, now());
        let rows = found.iter().map(|one| {
            vec![
                if one.open { "open" } else { "closed" }.to_owned(),
                evidence::instant(one.at),
                one.kind.to_owned(),
                one.sentence.clone(),
                one.commit
                    .as_ref()
                    .map(|c| c.short().to_owned())
                    .unwrap_or_default(),
            ]
        });
        let table = Table {
            columns: &["state", "when", "kind", "what", "commit"],
            rows: rows.collect(),
        };
        let open = found.iter().filter(|one| one.open).count();
        let before = format!("{open} open, {} in all.\n\n", found.len());
        table::print(&self.form, &found, &before, &table)?;
        Ok(ExitCode::from(u8::from(open > 0)))
    }
}
