//! Grants as lines of an answer.

use chrono::TimeDelta;
use serde::Serialize;

use super::clone::View;
use super::visible::visible;
use crate::domain::audit::{self, Stands, State};
use crate::domain::evidence::instant;
use crate::domain::model::{Instant, Login, ResourceName, RoleName};

/// One role that one grant gives, in the documented order of its fields.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// As `<resource>/<name>`.
    pub(super) grant: String,
    /// Which of the grants that ever had that name: `<resource>/<name>@<merge>`; null where that is not known.
    id: Option<String>,
    path: String,
    /// `login`, or `service name`.
    subject: String,
    /// As `<resource>/<role>`.
    role: String,
    state: State,
    begins: Option<Instant>,
    ends: Option<Instant>,
    /// Whether it ends soon.
    soon: bool,
    ticket: Option<String>,
    /// Who approved it; null where that is not known.
    approved_by: Option<String>,
    /// The number of the pull request that brought it.
    pull: Option<u64>,
}

/// What ends within this time, or has less than a quarter of its term left, ends soon.
const SOON: TimeDelta = TimeDelta::hours(1);

impl Line {
    pub(super) fn of(stands: &Stands<'_>, now: Instant) -> Self {
        let life = stands.life;
        let ticket = stands.grant.and_then(|grant| grant.ticket.clone());
        Self {
            grant: stands.path.short().to_owned(),
            id: life.map(|life| life.grant.clone()),
            path: stands.path.to_string(),
            subject: stands.subject.to_string(),
            role: stands.role.to_string(),
            state: stands.state,
            begins: stands.begins,
            ends: stands.ends,
            soon: is_soon(stands, now),
            ticket: ticket.or_else(|| life?.ticket.clone()),
            approved_by: life.filter(|l| l.given.is_some()).map(|l| l.approved_by()),
            pull: life.and_then(|life| life.pull),
        }
    }
}

/// Whether it ends soon.
pub(super) fn is_soon(stands: &Stands<'_>, now: Instant) -> bool {
    let Some(ends) = stands.ends.filter(|_| stands.is_held()) else {
        return false;
    };
    let quarter = stands.begins.map(|begins| (ends - begins) / 4);
    let soon = quarter.map_or(SOON, |quarter| quarter.max(SOON).min(TimeDelta::days(7)));
    ends - now < soon
}

/// The columns of [`cells`].
pub(super) const COLUMNS: [&str; 6] = ["who", "role", "state", "until", "ticket", "grant"];

/// A line of a table.
pub(super) fn cells(view: &View, stands: &Stands<'_>) -> Vec<String> {
    let line = Line::of(stands, view.now);
    vec![
        view.name(&stands.subject),
        line.role,
        stands.state.as_str().to_owned(),
        until(stands, view.now),
        line.ticket.unwrap_or_default(),
        line.grant,
    ]
}

/// `2026-11-30T18:00:00Z (1h 20m left, soon)`.
pub(super) fn until(stands: &Stands<'_>, now: Instant) -> String {
    let Some(ends) = stands.ends else {
        let Some(grant) = stands.grant else {
            return String::new();
        };
        let length = super::request::term_in_words(grant);
        let from = match grant.starts {
            Some(_) => "or from its merge if that is later",
            None => "from its merge",
        };
        return format!("{length}, {from}");
    };
    let at = instant(ends);
    match stands.state {
        State::Live | State::Declared if ends > now => {
            let soon = if is_soon(stands, now) { ", soon" } else { "" };
            format!("{at} ({} left{soon})", left(ends - now))
        }
        State::Live => format!("{at} (overdue)"),
        _ => at,
    }
}

/// `1d 2h`, `1h 20m`, `4m`, `30s`: the two largest units.
fn left(time: TimeDelta) -> String {
    let units = [
        (time.num_days(), "d"),
        (time.num_hours() % 24, "h"),
        (time.num_minutes() % 60, "m"),
        (time.num_seconds() % 60, "s"),
    ];
    let begin = units.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown = units
        .iter()
        .skip(begin)
        .take(if begin == 2 { 1 } else { 2 });
    let shown = shown
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{unit}"));
    shown.collect::<Vec<_>>().join(" ")
}

/// Which grants are meant. What is absent limits nothing.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Of this person or service.
    pub(super) subject: Option<String>,
    /// Of this person, and of the services that they answer for.
    pub(super) own: Option<Login>,
    pub(super) resource: Option<ResourceName>,
    pub(super) role: Option<RoleName>,
}

impl Filter {
    pub(super) fn meets(&self, view: &View, stands: &Stands<'_>) -> bool {
        let subject = match &stands.subject {
            crate::domain::model::Subject::Person(login) => login.as_str(),
            crate::domain::model::Subject::Service(name) => name.as_str(),
        };
        let asked = |name: &String| {
            let name = name.trim_start_matches('@').trim_start_matches("service ");
            name.eq_ignore_ascii_case(subject)
        };
        let is_own = |login: &Login| view.is_of(&stands.subject, login);
        self.subject.as_ref().is_none_or(asked)
            && self.own.as_ref().is_none_or(is_own)
            && self
                .resource
                .as_ref()
                .is_none_or(|r| *r == stands.role.resource)
            && self
                .role
                .as_ref()
                .is_none_or(|role| *role == stands.role.role)
    }
}

/// Everything that stands now and is meant.
pub(super) fn standing<'v>(view: &'v View, filter: &Filter) -> Vec<Stands<'v>> {
    let mut all = audit::standing(&view.base, view.evidence.lives.as_ref(), view.now);
    all.retain(|stands| filter.meets(view, stands));
    all
}

/// What is not known, below an answer.
pub(super) fn notes(unknown: &[String]) -> String {
    unknown
        .iter()
        .map(|line| format!("note: {}\n", visible(line)))
        .collect()
}
