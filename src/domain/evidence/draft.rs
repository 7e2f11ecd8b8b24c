//! One event on its way to be a commit: its subject line, its trailers, the words in them, and the same as data.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::super::approval::{Approval, Basis};
use super::super::decision::Request;
use super::super::ledger::Terms;
use super::super::model::{Actor, BlobId, GrantPath, Instant, PullNumber, Subject};
use super::super::parse::is_hidden;
use super::record::{DecidedOn, Fields, Vote};
use super::{Event, Kind};

/// Trailers that may occur several times, and the list that they are in the record.
const LISTS: [(&str, &str); 13] = [
    ("Changes", "changes"),
    ("Grant", "grants"),
    ("Missing", "missing"),
    ("Owner", "owners"),
    ("Part", "parts"),
    ("Removal", "removals"),
    ("Retained-by", "retained_by"),
    ("Reviewed-by", "reviewed_by"),
    ("Role", "roles"),
    ("Rule", "rules"),
    ("Session", "sessions"),
    ("Sheet", "sheets"),
    ("Still-effective-through", "still_effective_through"),
];

/// What a trailer is called in the record.
fn field(trailer: &str) -> String {
    trailer.to_ascii_lowercase().replace('-', "_")
}

/// An instant as it stands in evidence: RFC 3339 in UTC, whole seconds.
pub fn instant(at: Instant) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// An instant to the millisecond, where latency is read from it.
pub(super) fn precise(at: Instant) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// `text` on one line, without control characters and what else cannot be seen, at most 300 characters.
pub(super) fn one_line(text: &str) -> String {
    let shown = |c| if is_hidden(c) { ' ' } else { c };
    let clean: String = text.chars().map(shown).collect();
    let clean = clean.trim();
    match clean.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean.to_owned(),
    }
}

/// The event, while it is written.
pub(super) struct Draft {
    kind: Kind,
    key: String,
    at: Instant,
    subject: String,
    trailers: String,
    record: Fields,
}

impl Draft {
    /// With its first trailers: what happened, its key, when.
    pub(super) fn new(kind: Kind, key: String, at: Instant, subject: &str) -> Self {
        let key = one_line(&key);
        let draft = Self {
            kind,
            key: key.clone(),
            at,
            subject: one_line(subject),
            trailers: String::new(),
            record: Fields::new(),
        };
        draft
            .trailer("Event", kind.as_str())
            .trailer("Event-Key", &key)
            .line("At", precise(at))
            .data("hallpass", env!("CARGO_PKG_VERSION"))
    }

    fn trailer(mut self, name: &str, value: &str) -> Self {
        // Writing to a String cannot fail.
        let _ = writeln!(self.trailers, "{name}: {value}");
        self
    }

    /// A trailer, and the same in the record.
    pub(super) fn line(self, name: &str, value: impl AsRef<str>) -> Self {
        let value = one_line(value.as_ref());
        let draft = self.trailer(name, &value);
        draft.data(&field(name), value)
    }

    /// A trailer that is a number.
    pub(super) fn number(self, name: &str, value: u64) -> Self {
        let draft = self.trailer(name, &value.to_string());
        draft.data(&field(name), value)
    }

    /// A trailer for each value, and a list of them in the record.
    pub(super) fn lines<T: AsRef<str>>(
        self,
        name: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        let values: Vec<String> = values.into_iter().map(|v| one_line(v.as_ref())).collect();
        if values.is_empty() {
            return self;
        }
        let draft = values.iter().fold(self, |d, value| d.trailer(name, value));
        let list = LISTS.iter().find(|(trailer, _)| *trailer == name);
        draft.data(list.map_or(name, |(_, list)| *list), values)
    }

    /// Something that is in the record only.
    pub(super) fn data(mut self, name: &str, value: impl Serialize) -> Self {
        // What Hallpass writes down are its own plain types; none of them can fail to be data.
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        if !value.is_null() {
            self.record.insert(name.to_owned(), value);
        }
        self
    }

    pub(super) fn maybe(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.line(name, value),
            None => self,
        }
    }

    /// What the decision went by.
    pub(super) fn decided(self, on: &DecidedOn) -> Self {
        self.line("Policy-base", on.base.as_str())
            .data("decided_on", on)
    }

    pub(super) fn file(self, path: &GrantPath, blob: &BlobId) -> Self {
        self.line("Path", path.as_str()).line("Blob", blob.as_str())
    }

    pub(super) fn parts(self, file: &[Request]) -> Self {
        let parts = file.iter().filter_map(Request::part);
        self.lines("Part", parts.map(ToString::to_string))
    }

    pub(super) fn pull(self, pull: Option<PullNumber>) -> Self {
        match pull {
            Some(pull) => self.number("Pull", pull.0),
            None => self,
        }
    }

    pub(super) fn terms(self, terms: &Terms) -> Self {
        let account = &terms.access.account;
        let draft = self.line("Subject", subject_word(&terms.subject));
        let draft = match account.github_id {
            Some(id) => draft.number("Subject-Id", id.0),
            None => draft,
        };
        draft
            .line("Role", terms.role.to_string())
            .line("Connection", terms.access.connection.as_str())
            .line("Account", &account.name)
            .maybe("Account-Id", account.id.as_deref())
            .line("Entitlement", terms.access.entitlement_text())
            .maybe("Entitlement-Id", terms.access.entitlement_id.as_deref())
            .line("Starts", instant(terms.starts))
            .line("Expires", instant(terms.ends))
            .maybe("Since", terms.since.map(instant))
            .maybe("Ticket", terms.ticket.as_deref().filter(|t| is_plain(t)))
            .maybe("Basis", basis_word(&terms.basis))
            .maybe("Review-by", terms.review_by.map(instant))
            .line("Policy-base", terms.base.as_str())
    }

    pub(super) fn approvals(mut self, approvals: &[Approval]) -> Self {
        for approval in approvals {
            self = self.trailer("Approved-by", &one_line(&approved_by(approval)));
        }
        let votes: Vec<Vote> = approvals.iter().map(Vote::from).collect();
        self.data("approvals", votes)
    }

    /// The policy that approved by itself, where one did.
    pub(super) fn basis(self, basis: &Basis) -> Self {
        self.maybe("Approved-by-policy", approved_by_policy(basis))
    }

    pub(super) fn finish(self) -> Event {
        Event {
            key: self.key,
            kind: self.kind,
            at: self.at,
            message: format!("{}\n\n{}", self.subject, self.trailers),
            record: self.record,
        }
    }
}

/// What made the approvals enough, where that is not that there were as many as the role demands.
pub(super) fn basis_word(basis: &Basis) -> Option<&'static str> {
    match basis {
        Basis::Owners | Basis::Policy { .. } => None,
        Basis::Emergency => Some("emergency"),
    }
}

/// A subject as trailers name one: `person octocat`, `service deploy-bot`.
pub fn subject_word(subject: &Subject) -> String {
    match subject {
        Subject::Person(login) => format!("person {login}"),
        Subject::Service(name) => format!("service {name}"),
    }
}

/// Whether a ticket is plain enough to stand in a commit message: untrusted text otherwise stays in the file.
pub(super) fn is_plain(ticket: &str) -> bool {
    ticket.len() <= 64
        && ticket
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/' | b'.'))
}

pub(super) fn actor_word(actor: Option<&Actor>) -> String {
    actor.map_or_else(
        || "unknown".to_owned(),
        |a| format!("{} ({})", a.login, a.id),
    )
}

/// One `Approved-by:` value: who, by which review, of which content, through which owner.
pub fn approved_by(approval: &Approval) -> String {
    format!(
        "{} ({}) review {} blob {} at {} through {} line {}",
        approval.reviewer.login,
        approval.reviewer.id,
        approval.review,
        approval.blob,
        approval.commit,
        approval.through,
        approval.line
    )
}

/// The `Approved-by-policy:` value: which policy, in which version of which file. `None` where people approved.
pub fn approved_by_policy(basis: &Basis) -> Option<String> {
    match basis {
        Basis::Policy { id, file, blob } => Some(format!("{id} {file} {blob}")),
        Basis::Owners | Basis::Emergency => None,
    }
}
