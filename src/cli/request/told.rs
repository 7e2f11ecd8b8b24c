//! What a requester is shown: what is missing, what is refused, what is asked for and who approves it.

use std::fmt::Write as _;

use serde::Serialize;

use super::draft::{Checked, Done, Draft, Ready, term_in_words};
use super::missing::{Missing, limits, limits_in_words};
use crate::cli::clone::{View, known_by};
use crate::cli::proposed::Proposed;
use crate::cli::visible::{visible, visible_lines};
use crate::domain::finding::Finding;
use crate::domain::foresight::Approval;
use crate::domain::model::{Owner, RoleRef, Subject};
use crate::domain::render;

/// The answer, in the documented order of its fields.
#[derive(Default, Serialize)]
struct Answer<'a> {
    /// As `<resource>/<role>`; null where it is missing.
    role: Option<String>,
    /// Who is to have it: `login`, or `service name`.
    subject: Option<String>,
    /// The file.
    path: Option<&'a str>,
    /// Its text.
    file: Option<&'a str>,
    /// What must still be said.
    missing: &'a [Missing],
    /// What the check would refuse, or warn of.
    findings: &'a [Finding],
    /// What it would refuse if somebody is, or is not, in one of `teams`.
    depends: &'a [Finding],
    teams: Vec<String>,
    approvals: Vec<Approver>,
    /// What became of it; absent where nothing was made.
    #[serde(flatten)]
    proposed: Option<Proposed<'a>>,
}

/// Who approves one role.
#[derive(Serialize)]
struct Approver {
    role: String,
    /// How many different owners; 0 where nobody has to beforehand.
    needed: u32,
    owners: Vec<String>,
    /// Whether each review must say why.
    rationale: bool,
    /// The policy that approves it by itself.
    policy: Option<String>,
}

impl Approver {
    fn of((role, approval): &(RoleRef, Approval)) -> Self {
        let role = role.to_string();
        match approval {
            Approval::Owners {
                needed,
                owners,
                rationale,
            } => Self {
                role,
                needed: *needed,
                owners: owners.iter().map(ToString::to_string).collect(),
                rationale: *rationale,
                policy: None,
            },
            Approval::Policy(id) => Self {
                policy: Some(id.clone()),
                ..Self::nobody(role)
            },
            Approval::Afterwards => Self::nobody(role),
        }
    }

    fn nobody(role: String) -> Self {
        Self {
            role,
            needed: 0,
            owners: Vec::new(),
            rationale: false,
            policy: None,
        }
    }
}

fn answer<'a>(ready: &'a Ready, checked: &'a Checked) -> Answer<'a> {
    let foresight = &checked.foresight;
    Answer {
        role: Some(ready.role().to_string()),
        subject: Some(ready.grant.subject.to_string()),
        path: Some(ready.path.as_str()),
        file: Some(&ready.text),
        missing: &[],
        findings: &foresight.findings,
        depends: &foresight.depends,
        teams: foresight.teams.iter().map(ToString::to_string).collect(),
        approvals: foresight.approvals.iter().map(Approver::of).collect(),
        proposed: None,
    }
}

fn json(answer: &Answer<'_>) -> anyhow::Result<()> {
    super::super::print(&(serde_json::to_string(answer)? + "\n"))
}

/// Tells everything that is missing, with the flag that gives it.
pub(super) fn missing(as_json: bool, draft: &Draft, missing: &[Missing]) -> anyhow::Result<()> {
    if as_json {
        return json(&Answer {
            role: draft.role.as_ref().map(ToString::to_string),
            subject: draft.subject.as_ref().map(ToString::to_string),
            missing,
            ..Answer::default()
        });
    }
    let mut out = String::from("The request is not complete, and nothing was made. It needs:\n");
    for Missing { flag, says } in missing {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {flag:13}  {}", visible(says));
    }
    if missing.is_empty() {
        out.push_str("  --name         another name for the file: no file can have this one, or one has it already\n");
    }
    out.push_str("At a terminal, `hallpass request` asks for it.\n");
    super::super::print(&out)
}

/// Tells why the check would refuse it.
pub(in crate::cli) fn refused(
    as_json: bool,
    ready: &Ready,
    checked: &Checked,
) -> anyhow::Result<()> {
    if as_json {
        return json(&answer(ready, checked));
    }
    let mut out = findings(ready, checked);
    out.push_str("Its check would refuse it, so nothing was made.\n");
    super::super::print(&out)
}

/// Tells what was made of it.
pub(in crate::cli) fn done(
    (view, as_json): (&View, bool),
    ready: &Ready,
    checked: &Checked,
    done: &Done,
) -> anyhow::Result<()> {
    if as_json {
        return json(&Answer {
            proposed: Some(done.proposed()),
            ..answer(ready, checked)
        });
    }
    let mut out = findings(ready, checked);
    out.push_str(&summary(view, ready, checked));
    out.push_str(&done.proposed().lines(view.clone.base()));
    super::super::print(&out)
}

/// Tells what was made of it to somebody who has just seen what it asks for.
pub(super) fn opened(view: &View, ready: &Ready, done: &Done) -> anyhow::Result<()> {
    let (role, subject) = (ready.role(), &ready.grant.subject);
    let lines = done.proposed().lines(view.clone.base());
    super::super::print(&format!("{role} for {subject}\n{lines}"))
}

/// What the check would say of the file, with its lines.
pub(in crate::cli) fn findings(ready: &Ready, checked: &Checked) -> String {
    let source = |path: &str| (path == ready.path.as_str()).then_some(ready.text.as_bytes());
    let foresight = &checked.foresight;
    let mut out = render::human(&foresight.findings, source);
    if !foresight.depends.is_empty() {
        let warnings = foresight.depends.iter().cloned().map(Finding::as_warning);
        out.push_str(&render::human(&warnings.collect::<Vec<_>>(), source));
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "Whether that is so depends on who is in {}, which only the check knows.\n",
            names(foresight.teams.iter())
        );
    }
    out
}

/// What is asked for, and who approves it.
pub(in crate::cli) fn summary(view: &View, ready: &Ready, checked: &Checked) -> String {
    let (role, grant) = (ready.role(), &ready.grant);
    let mut rows = Vec::new();
    if let Some((resource, of)) = view.base.role(&role.resource, &role.role) {
        let place = format!("{} ({} risk)", resource.description, resource.risk);
        rows.extend([("what", of.description.clone()), ("where", place)]);
    }
    rows.push(("term", term_in_words(grant) + &limits_of(view, ready)));
    rows.push(("reason", grant.reason.clone()));
    rows.extend(grant.ticket.clone().map(|ticket| ("ticket", ticket)));
    rows.extend(grant.risk.clone().map(|risk| ("risk", risk)));
    if grant.emergency {
        rows.push((
            "emergency",
            "given at once, and reviewed by an owner afterwards".to_owned(),
        ));
    }
    rows.push(("file", ready.path.to_string()));
    let mut out = format!(
        "{role} for {}{}\n",
        view.name(&grant.subject),
        you(view, grant.subject.clone())
    );
    for (name, value) in rows {
        let value = visible_lines(&value, "             ");
        // Writing to a String cannot fail.
        let _ = write!(out, "  {name:9}  {}", value.trim_start());
    }
    out.push_str(&approvers(checked));
    out
}

/// The limits of its term, in words.
fn limits_of(view: &View, ready: &Ready) -> String {
    let roles = view.base.binding(&ready.path, &ready.grant).into_iter();
    let declared = roles.filter_map(|name| {
        let (_, role) = view.base.role(&name.resource, &name.role)?;
        Some((name, role))
    });
    let emergency = match ready.grant.emergency {
        true => super::draft::Emergency::Yes,
        false => super::draft::Emergency::No,
    };
    limits_in_words(&limits(&declared.collect::<Vec<_>>(), emergency))
}

fn you(view: &View, subject: Subject) -> String {
    match view.me() {
        Some(me) if Subject::Person(me.login.clone()) == subject => {
            format!(", who is you {}", known_by(me.by))
        }
        _ => String::new(),
    }
}

/// Who approves each role.
fn approvers(checked: &Checked) -> String {
    let approvals = &checked.foresight.approvals;
    let mut out = String::new();
    for (role, approval) in approvals {
        let what = match approvals.len() {
            1 => String::new(),
            _ => format!("{role}: "),
        };
        let who = match approval {
            Approval::Owners {
                needed,
                owners,
                rationale,
            } => {
                let why = if *rationale {
                    "; each must say why"
                } else {
                    ""
                };
                format!("{needed} of {}{why}", names(owners.iter()))
            }
            Approval::Policy(id) => format!("nobody: the policy {id} approves it by itself"),
            Approval::Afterwards => "nobody beforehand".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  approval   {what}{}", visible(&who));
    }
    out
}

fn names<'a>(owners: impl Iterator<Item = &'a Owner>) -> String {
    let names: Vec<String> = owners.map(ToString::to_string).collect();
    match names.is_empty() {
        true => "nobody".to_owned(),
        false => names.join(", "),
    }
}
