//! Pages around the others: the door for whoever is not signed in, short answers, and the question before access is ended at once.

use askama::Template;

use super::super::super::ledger::Entry;
use super::super::super::model::Owner;
use super::super::super::visitor::{REASON_LONGEST, REASON_SHORTEST};
use super::rows::{Row, grant_href};
use super::{Frame, visible};

/// Why somebody stands at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// They are not signed in.
    Closed,
    /// They have just signed out.
    SignedOut,
    /// Their sign-in did not come to its end.
    Failed,
}

#[derive(Template)]
#[template(path = "door.html", config = "src/domain/render/page/askama.toml")]
struct DoorPage<'a> {
    said: &'static str,
    to: &'a str,
}

/// The page for whoever is not signed in: it offers that, and tells nothing. `to` is the query that leads back.
///
/// # Errors
/// As [`super::overview`].
pub fn door(door: Door, to: &str) -> Result<String, askama::Error> {
    let said = match door {
        Door::Closed => "Sign in to see this page.",
        Door::SignedOut => "You are signed out.",
        Door::Failed => "That sign-in did not come to its end. Please try again.",
    };
    DoorPage { said, to }.render()
}

#[derive(Template)]
#[template(path = "plain.html", config = "src/domain/render/page/askama.toml")]
struct PlainPage<'a> {
    title: &'a str,
    said: &'a str,
}

/// A short answer. It tells nothing beside what it is given.
///
/// # Errors
/// As [`super::overview`].
pub fn plain(title: &str, said: &str) -> Result<String, askama::Error> {
    PlainPage { title, said }.render()
}

#[derive(Template)]
#[template(path = "confirm.html", config = "src/domain/render/page/askama.toml")]
struct ConfirmPage<'a> {
    frame: Frame<'a>,
    here: &'static str,
    row: Row,
    href: String,
    owners: Vec<String>,
    account: String,
    refused: Option<String>,
    reason: Option<&'a str>,
    shortest: usize,
    longest: usize,
}

/// The question before access is ended at once. `refused` says why it was not ended, and `reason` the reason that was given for it; `None` where
/// another reason would not help.
///
/// # Errors
/// As [`super::overview`].
pub fn confirm(
    frame: Frame<'_>,
    entry: &Entry,
    owners: &[Owner],
    (refused, reason): (Option<&str>, Option<&str>),
) -> Result<String, askama::Error> {
    let terms = entry.terms.as_ref();
    ConfirmPage {
        here: "",
        row: Row::of(entry, frame.now),
        href: grant_href(&entry.id),
        owners: owners.iter().map(|o| visible(&o.to_string())).collect(),
        account: terms.map_or_else(String::new, |t| {
            let access = &t.access;
            format!(
                "{} of {} at {}",
                visible(&access.entitlement_text()),
                visible(&access.account.name),
                access.connection
            )
        }),
        refused: refused.map(visible),
        reason,
        shortest: REASON_SHORTEST,
        longest: REASON_LONGEST,
        frame,
    }
    .render()
}
