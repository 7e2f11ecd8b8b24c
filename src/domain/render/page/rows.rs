//! One grant in a list.

use super::super::super::address;
use super::super::super::ledger::{Entry, State};
use super::super::super::model::{GrantId, Instant, RoleRef, Subject};
use super::super::audit::words;
use super::super::human::visible;

/// One grant, as a list shows it.
pub(super) struct Row {
    /// Its page.
    pub href: String,
    /// `orders/octocat-incident`.
    pub name: String,
    /// Who; where their page is.
    pub who: String,
    pub who_href: String,
    /// What; where the page of its resource is.
    pub role: String,
    pub resource_href: String,
    /// How it stands: the class of its mark, and the word.
    pub class: &'static str,
    pub word: String,
    /// What the clock beside it counts to, or when it was over.
    pub at: Option<Instant>,
    /// Which of both.
    pub clock: Clock,
    /// What the last failed call said.
    pub error: Option<String>,
    pub ticket: Option<String>,
}

/// What the instant of a row is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// Ends then.
    Ends,
    /// Begins then.
    Begins,
    /// Should have ended then.
    Overdue,
    /// Was over then.
    Over,
}

impl Clock {
    pub fn before(self) -> &'static str {
        match self {
            Self::Ends => "ends in",
            Self::Begins => "begins in",
            Self::Overdue => "overdue for",
            Self::Over => "over since",
        }
    }

    pub fn class(self) -> &'static str {
        match self {
            Self::Ends => "left",
            Self::Begins => "left begins",
            Self::Overdue => "left overdue",
            Self::Over => "left over",
        }
    }

    /// Whether the script may count it.
    pub fn counts(self) -> &'static str {
        match self {
            Self::Ends | Self::Begins => "down",
            Self::Overdue => "up",
            Self::Over => "no",
        }
    }
}

/// The page of a grant.
pub(super) fn grant_href(id: &GrantId) -> String {
    format!("/grant/{}", encoded(id.as_str()))
}

/// The page of a person or a service.
pub(super) fn subject_href(subject: &Subject) -> String {
    match subject {
        Subject::Person(login) => format!("/person/{}", encoded(login.as_str())),
        Subject::Service(name) => format!("/service/{}", encoded(name.as_str())),
    }
}

/// The page of a role's resource.
pub(super) fn resource_href(role: &RoleRef) -> String {
    format!("/resource/{}", role.resource)
}

/// With what the names of grants have in them left as it is.
pub(super) fn encoded(text: &str) -> String {
    address::encoded(text, b"@+/")
}

impl Row {
    pub fn of(entry: &Entry, now: Instant) -> Self {
        let about = entry.subject_and_role();
        let (class, word) = standing(entry, now);
        let (at, clock) = clock(entry, now);
        Self {
            href: grant_href(&entry.id),
            name: entry.path.short().to_owned(),
            who: about.map_or_else(|| "nobody known".to_owned(), |(who, _)| who.to_string()),
            who_href: about.map_or_else(String::new, |(who, _)| subject_href(who)),
            role: about.map_or_else(
                || entry.path.resource().to_string(),
                |(_, role)| role.to_string(),
            ),
            resource_href: about.map_or_else(
                || format!("/resource/{}", entry.path.resource()),
                |(_, role)| resource_href(role),
            ),
            class,
            word,
            at,
            clock,
            error: entry.last_error.as_deref().map(visible),
            ticket: entry
                .terms
                .as_ref()
                .and_then(|t| t.ticket.as_deref())
                .map(|ticket| words::cut(&visible(ticket), 40)),
        }
    }

    pub fn all(entries: &[Entry], now: Instant) -> Vec<Self> {
        entries.iter().map(|entry| Self::of(entry, now)).collect()
    }
}

/// How a grant stands: the class of its mark, and what it says.
pub(super) fn standing(entry: &Entry, now: Instant) -> (&'static str, String) {
    let ended = entry.terms.as_ref().is_some_and(|t| t.ends <= now);
    let emergency = entry.terms.as_ref().is_some_and(|t| t.review_by.is_some());
    let (class, word) = match entry.state {
        State::Arrived => ("none", "being proved"),
        State::Denied => ("bad", "denied"),
        State::Scheduled => ("none", "scheduled"),
        State::Granting if entry.attempts > 0 => ("bad", "not given yet"),
        State::Granting => ("warn", "being given"),
        State::Active if ended || entry.called_off.is_some() => ("bad", "to be removed"),
        State::Active if emergency => ("warn", "break-glass"),
        State::Active => ("good", "live"),
        State::Revoking if entry.attempts > 0 => ("bad", "not removed yet"),
        State::Revoking => ("warn", "being removed"),
        State::Ended => {
            let cause = entry.cause.as_ref().map_or("ended", |c| c.as_str());
            return ("none", cause.replace('-', " "));
        }
    };
    (class, word.to_owned())
}

fn clock(entry: &Entry, now: Instant) -> (Option<Instant>, Clock) {
    if entry.state.is_final() {
        return (entry.settled_at, Clock::Over);
    }
    let Some(terms) = &entry.terms else {
        return (None, Clock::Begins);
    };
    if entry.state == State::Scheduled {
        return (Some(terms.starts), Clock::Begins);
    }
    let off = entry.called_off.as_ref().map(|off| off.at);
    let ends = off.map_or(terms.ends, |off| off.min(terms.ends));
    let clock = if ends <= now {
        Clock::Overdue
    } else {
        Clock::Ends
    };
    (Some(ends), clock)
}
