//! The questions, in order: what, for how long, why, and what the role demands beside. Then one list, in which everything can be changed.
//!
//! Nothing is made before the last answer, and nothing that was answered is lost: whoever leaves gets the command that goes on from there.

mod command;
mod questions;

use std::process::ExitCode;

use super::Request;
use super::draft::{Draft, Emergency, Ready};
use super::missing::requires;
use super::prompt::{NoAnswer, Prompt, say};
use super::told;
use crate::cli::clone::View;
use crate::cli::visible::visible;
use crate::domain::evidence::instant;
use crate::domain::model::{Field, Subject};

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Subject,
    Role,
    Emergency,
    Term,
    Starts,
    Reason,
    Ticket,
    Risk,
}

/// Asks until there is a request, and proposes it.
pub(super) fn run(
    flags: &Request,
    view: &View,
    draft: Draft,
    prompt: Prompt,
) -> anyhow::Result<ExitCode> {
    if let Some(stale) = view.clone.stale() {
        let base = view.clone.base();
        say(&visible(&format!(
            "note: {base} is as it was last fetched: {stale}"
        )))?;
    }
    let mut wizard = Wizard {
        view,
        draft,
        prompt,
        confirm: match flags.yes {
            true => Confirm::No,
            false => Confirm::Yes,
        },
    };
    let ended = wizard.ask();
    let command = wizard.command(flags);
    match ended {
        Ok(code) => Ok(code),
        Err(Stop::Left) => {
            say("Nothing was made. To go on from here:")?;
            say(&format!("  {command}"))?;
            Ok(ExitCode::FAILURE)
        }
        Err(Stop::Failed(error)) => {
            say("To try again with the same answers:")?;
            say(&format!("  {command}"))?;
            Err(error)
        }
    }
}

/// Whether somebody wants to look before anything is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Confirm {
    Yes,
    No,
}

/// Why there is no pull request.
enum Stop {
    Left,
    Failed(anyhow::Error),
}

impl From<NoAnswer> for Stop {
    fn from(why: NoAnswer) -> Self {
        match why {
            NoAnswer::Left => Self::Left,
            broken => Self::Failed(broken.into()),
        }
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

struct Wizard<'a> {
    view: &'a View,
    draft: Draft,
    prompt: Prompt,
    confirm: Confirm,
}

impl Wizard<'_> {
    fn ask(&mut self) -> Result<ExitCode, Stop> {
        loop {
            while let Some(next) = self.next() {
                self.answer(next)?;
            }
            let Some(ready) = self.draft.ready(self.view) else {
                if self.draft.name.take().is_none() {
                    let full = "every likely name for the file is taken; name one with --name";
                    return Err(anyhow::anyhow!(full).into());
                }
                say(
                    "No file can have that name, or one has it already, so another one is chosen.",
                )?;
                continue;
            };
            let checked = ready.check(self.view);
            if checked.is_refused() {
                let found = told::findings(&ready, &checked);
                say(found.trim_end())?;
                say("That would be refused. What shall be changed?")?;
                self.change(&ready, None)?;
                continue;
            }
            if self.confirm == Confirm::Yes {
                say(told::findings(&ready, &checked).trim_end())?;
                say(told::summary(self.view, &ready, &checked).trim_end())?;
                if self.change(&ready, Some("Open the pull request"))? == Chosen::Changed {
                    continue;
                }
            }
            let done = ready.propose(self.view)?;
            match self.confirm {
                Confirm::Yes => told::opened(self.view, &ready, &done)?,
                Confirm::No => told::done((self.view, false), &ready, &checked, &done)?,
            }
            return Ok(done.code());
        }
    }

    /// What has to be asked next.
    fn next(&self) -> Option<Answer> {
        let draft = &self.draft;
        let binding = draft.binding(self.view);
        if draft.subject.is_none() {
            return Some(Answer::Subject);
        }
        if draft.role.is_none() {
            return Some(Answer::Role);
        }
        if draft.emergency == Emergency::No && self.may_break_glass() {
            return Some(Answer::Emergency);
        }
        let lacks = [
            (draft.term.is_none(), Answer::Term),
            (draft.reason.is_none(), Answer::Reason),
            (
                draft.ticket.is_none() && requires(&binding, Field::Ticket),
                Answer::Ticket,
            ),
            (
                draft.risk.is_none() && requires(&binding, Field::Risk),
                Answer::Risk,
            ),
        ];
        lacks
            .into_iter()
            .find(|(lacks, _)| *lacks)
            .map(|(_, what)| what)
    }

    /// Whether the role offers break-glass to the subject, and nobody said for how long yet.
    fn may_break_glass(&self) -> bool {
        let (Some(Subject::Person(login)), Some(role)) = (&self.draft.subject, &self.draft.role)
        else {
            return false;
        };
        let found = self.view.base.role(&role.resource, &role.role);
        let offer = found.and_then(|(_, role)| role.emergency.as_ref());
        let may = offer.is_some_and(|offer| {
            offer.people.contains(login) || offer.people.is_empty() && offer.approvals > 0
        });
        may && self.draft.term.is_none()
    }

    /// Lets one answer be changed, or goes on as `go_on` says.
    fn change(&mut self, ready: &Ready, go_on: Option<&str>) -> Result<Chosen, Stop> {
        let changes = self.changes(ready);
        let first = go_on.map(str::to_owned);
        let rest = changes.iter().map(|(_, line)| self.fitting(line));
        let options: Vec<String> = first
            .into_iter()
            .chain(rest)
            .chain(["Leave; nothing is made".to_owned()])
            .collect();
        let chosen = self.prompt.choose("And now?", &options)?;
        let skipped = usize::from(go_on.is_some());
        if chosen < skipped {
            return Ok(Chosen::GoOn);
        }
        match changes.get(chosen - skipped) {
            Some((what, _)) => self.answer(*what)?,
            None => return Err(Stop::Left),
        }
        Ok(Chosen::Changed)
    }

    /// Every answer, with what it is now.
    fn changes(&self, ready: &Ready) -> Vec<(Answer, String)> {
        let grant = &ready.grant;
        let or = |verb: &str, value: &Option<String>| match value {
            Some(value) => format!("Change {verb}: {value}"),
            None => format!("Add {verb}"),
        };
        let mut all = vec![
            (
                Answer::Term,
                format!("Change the term: {}", super::draft::term_in_words(grant)),
            ),
            (
                Answer::Reason,
                format!("Change the reason: {}", grant.reason),
            ),
            (Answer::Ticket, or("the ticket", &grant.ticket)),
            (Answer::Risk, or("what could go wrong", &grant.risk)),
            (
                Answer::Starts,
                or("a later beginning", &grant.starts.map(instant)),
            ),
            (
                Answer::Role,
                format!("Change what is asked for: {}", ready.role()),
            ),
            (
                Answer::Subject,
                format!("Change for whom: {}", self.view.name(&grant.subject)),
            ),
        ];
        let offers = self.draft.binding(self.view);
        if offers.iter().any(|(_, role)| role.emergency.is_some()) {
            let now = if grant.emergency { "yes" } else { "no" };
            all.push((
                Answer::Emergency,
                format!("Change whether it is an emergency: {now}"),
            ));
        }
        all
    }
}

/// What was chosen in the last list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    GoOn,
    Changed,
}
