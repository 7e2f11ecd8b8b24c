//! `hallpass renew`: the pull request that keeps access for longer.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Args;

use super::clone::{View, Which, grant_path, near};
use super::request::{
    Emergency, HowLong, Limits, NoAnswer, Prompt, Question, Ready, limits, limits_in_words,
    schemas, told,
};
use super::visible::visible;
use crate::app::propose::FileChange;
use crate::domain::asking::{self, tidy};
use crate::domain::audit;
use crate::domain::evidence::instant as written;
use crate::domain::model::{Grant, GrantPath, RoleRef};

/// Keep access for longer: change the term of a grant, with a new reason, and open the pull request
///
/// Without --for or --until it lasts as long as before. A renewal counts from its merge and takes the same approvals as the first request; merged before the end, access goes on without a gap.
/// It stays within the role's `max_total`, counted from the first grant, which is shown where the clone has the evidence. Ticket and risk stay as
/// they are unless you say otherwise. The change is checked, committed, pushed and opened as by `hallpass request`.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass renew --help` for examples.", after_long_help = EXAMPLES)]
pub struct Renew {
    /// The grant: RESOURCE/NAME, or the path of its file
    #[arg(value_name = "RESOURCE/NAME")]
    grant: String,
    #[command(flatten)]
    how_long: HowLong,
    /// Why it is needed from now on
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Another ticket
    #[arg(long, value_name = "KEY")]
    ticket: Option<String>,
    /// What could go wrong, if that has changed
    #[arg(long, value_name = "TEXT")]
    risk: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Answer in JSON, for programs, and ask nothing
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass renew orders/octocat-inc-4211 --for 2h \\
    --reason 'The fix is out; checks that no order is lost'
      Two hours more, counted from the merge.
  hallpass renew ledger/linus-month-end --until 2026-12-12T18:00:00Z --local \\
    --reason 'The auditors want the accruals booked again'
      Until an instant; make the commit only, and say how to push and propose it.
  hallpass renew orders/ada-support-rotation --json --for 7d \\
    --reason 'A third week of second-line support'
      In a script: the pull request, or why it is refused.

Exit status:
  0  the pull request is open
  1  there is no such grant, something is missing or refused, or the pull request is left for you to open
  2  could not run

With --json: as `hallpass request --json`.";

impl Renew {
    /// Checks, shows and proposes.
    ///
    /// # Errors
    /// When there is no clone, or it cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let path = grant_path(&self.grant)?;
        let view = self.which.look()?;
        let Some(today) = view.base.grants.get(&path).map(|d| &*d.grant) else {
            super::print(&absent(&view, &path))?;
            return Ok(ExitCode::FAILURE);
        };
        if !self.json {
            super::print(&limits_told(&view, &path, today))?;
        }
        let Some(grant) = self.renewed(today)? else {
            super::print(
                "The renewal is not complete, and nothing was made. It needs:\n  --reason       why the access is needed from now on, for the owner who approves\n",
            )?;
            return Ok(ExitCode::FAILURE);
        };
        let ready = ready(&view, path, grant);
        let checked = ready.check(&view);
        if checked.is_refused() {
            told::refused(self.json, &ready, &checked)?;
            return Ok(ExitCode::FAILURE);
        }
        let done = ready.propose(&view)?;
        told::done((&view, self.json), &ready, &checked, &done)?;
        Ok(done.code())
    }

    /// The grant as it is to be; `None` where nobody says why.
    fn renewed(&self, today: &Grant) -> anyhow::Result<Option<Grant>> {
        let text = |value: &Option<String>| value.as_deref().map(tidy);
        let reason = match text(&self.reason).filter(|reason| !reason.is_empty()) {
            Some(reason) => Some(reason),
            None if self.json || !std::io::stdin().is_terminal() => None,
            None => Some(ask_reason(today)?),
        };
        let term = self.how_long.term().unwrap_or(today.term);
        Ok(reason.map(|reason| Grant {
            term,
            // A renewal counts from its merge.
            starts: None,
            reason,
            ticket: text(&self.ticket).or(today.ticket.clone()),
            risk: text(&self.risk).or(today.risk.clone()),
            ..today.clone()
        }))
    }
}

fn ask_reason(today: &Grant) -> Result<String, NoAnswer> {
    let question = Question {
        asks: "Why is it needed from now on?",
        help: &format!("until now: {}", today.reason),
        kept: None,
    };
    let judge = |typed: &str| match typed.is_empty() {
        true => Err("the owner who approves wants to know".to_owned()),
        false => Ok(()),
    };
    Ok(tidy(&Prompt::here().text(&question, judge)?))
}

fn ready(view: &View, path: GrantPath, grant: Grant) -> Ready {
    let text = asking::write(&grant, schemas(view));
    let short = path.short();
    let role = RoleRef {
        resource: path.resource(),
        role: grant.role.clone(),
    };
    let change = FileChange {
        path: path.as_repo_path(),
        content: Some(text.as_bytes().to_vec()),
    };
    let stem = format!("renew/{}", short.replace('/', "-"));
    Ready {
        branch: view.clone.branch_for(&stem, &change),
        title: format!("Renew access: {short}"),
        body: format!(
            "`{}` keeps `{role}`, {}.",
            grant.subject,
            super::request::term_in_words(&grant)
        ),
        path,
        grant,
        text,
    }
}

/// What is held, and how long it may be kept.
fn limits_told(view: &View, path: &GrantPath, today: &Grant) -> String {
    let roles = view.base.binding(path, today).into_iter();
    let binding: Vec<_> = roles
        .filter_map(|name| {
            let (_, role) = view.base.role(&name.resource, &name.role)?;
            Some((name, role))
        })
        .collect();
    let Limits { total, .. } = limits(&binding, Emergency::No);
    let limits = limits_in_words(&limits(&binding, Emergency::No));
    let total = total
        .map(|total| format!(", {total} in all"))
        .unwrap_or_default();
    let mut out = format!(
        "{}: a renewal lasts{}{total}\n",
        path.short(),
        limits.trim_start_matches(',')
    );
    let Some(lives) = &view.evidence.lives else {
        out.push_str("  since when it is held is not known here: this clone has no evidence\n");
        return out;
    };
    let held = audit::of_path(lives, path).filter(|life| life.held_at(view.now));
    for life in held {
        let since = audit::since(lives, life).map(written).unwrap_or_default();
        let ends = life.expires.map(written).unwrap_or_default();
        out.push_str(&format!("  held since {since}, until {ends}\n"));
    }
    out
}

fn absent(view: &View, path: &GrantPath) -> String {
    let mut out = format!(
        "there is no grant {} on {}\n",
        path.short(),
        visible(view.clone.base())
    );
    let near = near(path.short(), view.base.grants.keys().map(GrantPath::short));
    if !near.is_empty() {
        out.push_str(&format!("  did you mean {}?\n", near.join(", ")));
    }
    out.push_str("  what has ended is asked for anew, with `hallpass request`\n");
    out
}
