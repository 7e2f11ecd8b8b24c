//! What is written down: one event for each transition, as one commit message.
//!
//! A message is a subject line that a person can read, and trailers for machines (`git interpret-trailers --parse`).
//!
//! Invariant: an event's key names the transition. The same transition seen twice (a retry, a replayed webhook, a rebuilt
//! store) has the same key, and is written once.
//!
//! Invariant: untrusted free text (reasons, review bodies, titles) is not in here; what a target system answered is, on one
//! line, without control characters and without characters that cannot be seen.

mod drift;
mod review;
mod service;

use std::fmt::Write as _;

use super::approval::{Approval, Basis, Proof};
use super::decision::{Change, Request, Standing, Verdict};
use super::ledger::{Entry, Granted, Revoked, Terms};
use super::model::{Actor, BlobId, CommitId, GrantId, GrantPath, Instant, PullNumber, Term};
use super::parse::is_hidden;
use super::pull::Pull;
use super::rules::MOST_GRANTS;

pub use drift::{drift_over, drift_removed, drifted};
pub use review::{review_overdue, review_unsigned, reviewed};
pub use service::{adopted, orphaned};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A pull request asks for access.
    Requested,
    /// A pull request was refused as it stands; its rules are named.
    Denied,
    /// A review counts for a file, or a policy approves it by itself.
    Approved,
    /// Access was given and read back.
    Granted,
    /// Access that was held got new terms.
    Renewed,
    /// Access was not given because the account has it from elsewhere.
    Blocked,
    /// Access was taken and read back.
    Revoked,
    /// A grant ended before anything was given.
    Cancelled,
    /// The file of an ended grant is gone from the protected branch.
    Reverted,
    /// A file reached the protected branch without the approval that it needs.
    MergedWithoutProof,
    /// Nobody is accountable any more for a service that holds access.
    Orphaned,
    /// Somebody is accountable again for a service that holds access.
    Adopted,
    /// An owner signed the review of an emergency.
    Reviewed,
    /// The record of an emergency was merged without an owner's signature.
    ReviewUnsigned,
    /// Nobody signed the review of an emergency in time.
    ReviewOverdue,
    /// A target system holds something else than the ledger says.
    Drifted,
    /// A target system agrees with the ledger again.
    DriftOver,
    /// What was given outside was taken away, because its resource says so.
    DriftRemoved,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::Requested,
        Self::Denied,
        Self::Approved,
        Self::Granted,
        Self::Renewed,
        Self::Blocked,
        Self::Revoked,
        Self::Cancelled,
        Self::Reverted,
        Self::MergedWithoutProof,
        Self::Orphaned,
        Self::Adopted,
        Self::Reviewed,
        Self::ReviewUnsigned,
        Self::ReviewOverdue,
        Self::Drifted,
        Self::DriftOver,
        Self::DriftRemoved,
    ];

    /// The kind that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The word in the `Event:` trailer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Denied => "denied",
            Self::Approved => "approved",
            Self::Granted => "granted",
            Self::Renewed => "renewed",
            Self::Blocked => "blocked",
            Self::Revoked => "revoked",
            Self::Cancelled => "cancelled",
            Self::Reverted => "reverted",
            Self::MergedWithoutProof => "merged-without-proof",
            Self::Orphaned => "orphaned",
            Self::Adopted => "adopted",
            Self::Reviewed => "reviewed",
            Self::ReviewUnsigned => "review-unsigned",
            Self::ReviewOverdue => "review-overdue",
            Self::Drifted => "drift",
            Self::DriftOver => "drift-over",
            Self::DriftRemoved => "drift-removed",
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Names the transition; unique for ever.
    pub key: String,
    /// What happened.
    pub kind: Kind,
    /// When.
    pub at: Instant,
    /// The whole commit message: subject line, trailers.
    pub message: String,
}

/// An instant as it stands in evidence: RFC 3339 in UTC, whole seconds.
pub fn instant(at: Instant) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// An instant to the millisecond, where latency is read from it.
fn precise(at: Instant) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// `text` on one line, without control characters and what else cannot be seen, at most 300 characters.
fn one_line(text: &str) -> String {
    let shown = |c| if is_hidden(c) { ' ' } else { c };
    let clean: String = text.chars().map(shown).collect();
    let clean = clean.trim();
    match clean.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean.to_owned(),
    }
}

struct Draft {
    kind: Kind,
    key: String,
    at: Instant,
    subject: String,
    trailers: String,
}

impl Draft {
    fn new(kind: Kind, key: String, at: Instant, subject: &str) -> Self {
        let draft = Self {
            kind,
            key: one_line(&key),
            at,
            subject: one_line(subject),
            trailers: String::new(),
        };
        let key = draft.key.clone();
        draft
            .line("Event", kind.as_str())
            .line("Event-Key", key)
            .line("At", precise(at))
    }

    fn line(mut self, name: &str, value: impl AsRef<str>) -> Self {
        // Writing to a String cannot fail.
        let _ = writeln!(self.trailers, "{name}: {}", one_line(value.as_ref()));
        self
    }

    fn lines(self, name: &str, values: &[String]) -> Self {
        values
            .iter()
            .fold(self, |draft, value| draft.line(name, value))
    }

    fn maybe(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.line(name, value),
            None => self,
        }
    }

    fn file(self, path: &GrantPath, blob: &BlobId) -> Self {
        self.line("Path", path.as_str()).line("Blob", blob.as_str())
    }

    fn parts(self, file: &[Request]) -> Self {
        let parts = file.iter().filter_map(Request::part);
        parts.fold(self, |draft, part| draft.line("Part", part.to_string()))
    }

    fn pull(self, pull: Option<PullNumber>) -> Self {
        self.maybe("Pull", pull.map(|n| n.to_string()))
    }

    fn terms(self, terms: &Terms) -> Self {
        let account = &terms.access.account;
        self.line("Subject", subject_word(&terms.subject))
            .maybe("Subject-Id", account.github_id.map(|id| id.to_string()))
            .line("Role", terms.role.to_string())
            .line("Connection", terms.access.connection.as_str())
            .line("Account", &account.name)
            .line("Entitlement", terms.access.entitlement_text())
            .line("Starts", instant(terms.starts))
            .line("Expires", instant(terms.ends))
            .maybe("Since", terms.since.map(instant))
            .maybe("Ticket", terms.ticket.as_deref().filter(|t| is_plain(t)))
            .maybe("Basis", basis_word(&terms.basis))
            .maybe("Review-by", terms.review_by.map(instant))
            .line("Policy-base", terms.base.as_str())
    }

    fn approvals(mut self, approvals: &[Approval]) -> Self {
        for approval in approvals {
            self = self.line("Approved-by", approved_by(approval));
        }
        self
    }

    /// The policy that approved by itself, where one did.
    fn basis(self, basis: &Basis) -> Self {
        self.maybe("Approved-by-policy", approved_by_policy(basis))
    }

    fn finish(self) -> Event {
        Event {
            key: self.key,
            kind: self.kind,
            at: self.at,
            message: format!("{}\n\n{}", self.subject, self.trailers),
        }
    }
}

/// What made the approvals enough, where that is not that there were as many as the role demands.
fn basis_word(basis: &Basis) -> Option<&'static str> {
    match basis {
        Basis::Owners | Basis::Policy { .. } => None,
        Basis::Emergency => Some("emergency"),
    }
}

fn subject_word(subject: &super::model::Subject) -> String {
    match subject {
        super::model::Subject::Person(login) => format!("person {login}"),
        super::model::Subject::Service(name) => format!("service {name}"),
    }
}

/// Whether a ticket is plain enough to stand in a commit message: untrusted text otherwise stays in the file.
fn is_plain(ticket: &str) -> bool {
    ticket.len() <= 64
        && ticket
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/' | b'.'))
}

fn actor_word(actor: Option<&Actor>) -> String {
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

/// What looking at an open or merged pull request leaves behind: `requested`, `approved`, `denied`.
pub fn of_verdict(pull: &Pull, base: &CommitId, verdict: &Verdict, at: Instant) -> Vec<Event> {
    let mut events = Vec::new();
    // More than a pull request may ask for is denied as a whole, and told as that: nobody can flood the evidence.
    let files: Vec<&[Request]> = verdict.requests.chunk_by(|a, b| a.path == b.path).collect();
    let told = match files.len() {
        0..=MOST_GRANTS => files,
        _ => Vec::new(),
    };
    events.extend(
        told.iter()
            .filter_map(|file| requested(pull, base, file, at)),
    );
    for request in told.into_iter().flatten() {
        if let Standing::Approved(proof) = &request.approval {
            events.extend(approved_automatically(pull, request, proof, at));
            events.extend(
                proof
                    .approvals()
                    .iter()
                    .map(|a| approved(pull, request, a, at)),
            );
        }
    }
    if !verdict.findings.is_empty() && verdict.outcome == super::decision::Outcome::Denied {
        events.push(denied(pull, base, verdict, at));
    }
    events
}

/// What one file asks for, once, however many roles it bundles.
fn requested(pull: &Pull, base: &CommitId, file: &[Request], at: Instant) -> Option<Event> {
    let request = file.first()?;
    let (grant, blob) = (request.grant.as_ref()?, request.blob.as_ref()?);
    let name = request.path.request(pull.number);
    let verb = if matches!(request.change, Change::Amend(_)) {
        "asks for other terms"
    } else {
        "asks"
    };
    let role = format!("{}/{}", request.path.resource(), grant.role);
    let term = match grant.term {
        Term::Duration(length) => format!("for {length}"),
        Term::Expires(end) => format!("until {}", instant(end)),
    };
    let subject = format!(
        "Requested: {} {verb} for {role} {term} (#{})",
        grant.subject, pull.number
    );
    let draft = Draft::new(
        Kind::Requested,
        format!("requested:{name}:{blob}"),
        at,
        &subject,
    )
    .line("Request", &name)
    .line("Subject", subject_word(&grant.subject))
    .line("Role", role)
    .parts(file)
    .line("Term", term)
    .maybe("Starts", grant.starts.map(instant))
    .maybe("Ticket", grant.ticket.as_deref().filter(|t| is_plain(t)))
    .line("Actor", actor_word(pull.author.as_ref()))
    .line("Head", pull.head.as_str())
    .line("Policy-base", base.as_str());
    Some(
        draft
            .file(&request.path, blob)
            .pull(Some(pull.number))
            .finish(),
    )
}

fn approved(pull: &Pull, request: &Request, approval: &Approval, at: Instant) -> Event {
    let name = request.name(pull.number);
    let subject = format!("Approved: {} approves {name}", approval.reviewer.login);
    Draft::new(
        Kind::Approved,
        format!("approved:{name}:{}:{}", approval.blob, approval.review),
        at,
        &subject,
    )
    .line("Request", &name)
    .line("Actor", actor_word(Some(&approval.reviewer)))
    .maybe("Reviewed-at", approval.at.map(instant))
    .approvals(std::slice::from_ref(approval))
    .file(&request.path, &approval.blob)
    .pull(Some(pull.number))
    .finish()
}

/// A policy approves by itself: which, and in which version.
fn approved_automatically(
    pull: &Pull,
    request: &Request,
    proof: &Proof,
    at: Instant,
) -> Option<Event> {
    let Basis::Policy { id, blob, .. } = proof.basis() else {
        return None;
    };
    let name = request.name(pull.number);
    let subject = format!("Approved: policy {id} approves {name}");
    let key = format!("approved:{name}:{}:policy:{id}:{blob}", proof.blob());
    let draft = Draft::new(Kind::Approved, key, at, &subject)
        .line("Request", &name)
        .line("Actor", "hallpass")
        .basis(proof.basis())
        .line("Policy-base", proof.base().as_str());
    Some(
        draft
            .file(&request.path, proof.blob())
            .pull(Some(pull.number))
            .finish(),
    )
}

fn denied(pull: &Pull, base: &CommitId, verdict: &Verdict, at: Instant) -> Event {
    let errors: Vec<_> = verdict
        .findings
        .iter()
        .filter(|f| f.severity == super::finding::Severity::Error)
        .collect();
    let mut rules: Vec<&str> = errors.iter().map(|f| f.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    let subject = format!("Denied: #{} breaks {}", pull.number, rules.join(", "));
    let mut draft = Draft::new(
        Kind::Denied,
        format!("denied:#{}:{}", pull.number, pull.head),
        at,
        &subject,
    )
    .line("Actor", actor_word(pull.author.as_ref()))
    .line("Head", pull.head.as_str())
    .line("Policy-base", base.as_str())
    .pull(Some(pull.number));
    for finding in errors.iter().take(50) {
        draft = draft.line(
            "Rule",
            format!(
                "{} at {}:{}:{}",
                finding.rule, finding.path, finding.line, finding.column
            ),
        );
    }
    draft.finish()
}

/// A file reached the protected branch without the approval that it needs.
pub fn merged_without_proof(
    entry: &Entry,
    reasons: &[String],
    merged_by: Option<&Actor>,
    at: Instant,
) -> Event {
    let subject = format!(
        "Merged without proof: {} is not granted",
        entry.path.short()
    );
    let key = format!("merged-without-proof:{}", entry.id);
    let mut draft = arrival(
        Draft::new(Kind::MergedWithoutProof, key, at, &subject),
        entry,
    )
    .maybe("Actor", merged_by.map(|a| actor_word(Some(a))));
    for reason in reasons.iter().take(20) {
        draft = draft.line("Missing", reason);
    }
    draft.finish()
}

fn arrival(draft: Draft, entry: &Entry) -> Draft {
    draft
        .line("Grant", entry.id.as_str())
        .file(&entry.path, &entry.blob)
        .pull(entry.arrival.pull)
        .line("Merge", entry.arrival.commit.as_str())
        .line("Merged-at", instant(entry.arrival.at))
}

fn about(kind: Kind, word: &str, entry: &Entry, at: Instant, sentence: &str) -> Draft {
    let draft = arrival(
        Draft::new(kind, format!("{word}:{}", entry.id), at, sentence),
        entry,
    )
    .line("Actor", "hallpass");
    match &entry.terms {
        Some(terms) => draft.terms(terms),
        None => draft,
    }
}

fn who_what(entry: &Entry) -> String {
    match &entry.terms {
        Some(terms) => format!("{} on {}", terms.subject, terms.role),
        None => entry.path.short().to_owned(),
    }
}

/// Access was given and read back. `replaces` names the grant at the same path whose terms it takes over.
pub fn granted(
    entry: &Entry,
    answer: &Granted,
    replaces: Option<&GrantId>,
    called_at: Instant,
    at: Instant,
) -> Event {
    // Tried again, it finds nothing to replace any more: then only its terms know that it goes on with something.
    let renews = replaces.is_some() || entry.terms.as_ref().is_some_and(|t| t.since.is_some());
    let emergency = |t: &Terms| t.basis == Basis::Emergency;
    let (kind, verb) = if entry.terms.as_ref().is_some_and(emergency) {
        (Kind::Granted, "Break-glass")
    } else if renews {
        (Kind::Renewed, "Renewed")
    } else {
        (Kind::Granted, "Granted")
    };
    let until = entry
        .terms
        .as_ref()
        .map(|t| format!(" until {}", instant(t.ends)))
        .unwrap_or_default();
    let approvals = entry
        .terms
        .as_ref()
        .map(|t| t.approvals.as_slice())
        .unwrap_or_default();
    let basis = entry.terms.as_ref().map(|t| &t.basis);
    // One key for both: a grant is given once, whether it replaces another or not.
    about(
        kind,
        "granted",
        entry,
        at,
        &format!("{verb}: {}{until}", who_what(entry)),
    )
    .approvals(approvals)
    .basis(basis.unwrap_or(&Basis::Owners))
    .maybe("Replaces", replaces.map(GrantId::as_str))
    .line("Called-at", precise(called_at))
    .line("Read-back", &answer.read_back)
    .maybe("Pending", answer.pending.as_deref())
    .finish()
}

/// Access was not given, because the account already has it from elsewhere.
pub fn blocked(entry: &Entry, why: &str, at: Instant) -> Event {
    about(
        Kind::Blocked,
        "blocked",
        entry,
        at,
        &format!(
            "Blocked: {} is already held from elsewhere",
            who_what(entry)
        ),
    )
    .line("Reason", why)
    .finish()
}

/// A grant ended before anything was given. `missing` says what its approval lacks, where that is the cause.
pub fn cancelled(entry: &Entry, missing: &[String], at: Instant) -> Event {
    let cause = entry
        .cause
        .as_ref()
        .map_or("unknown", super::ledger::Cause::as_str);
    let mut draft = about(
        Kind::Cancelled,
        "cancelled",
        entry,
        at,
        &format!("Cancelled: {} was never given ({cause})", who_what(entry)),
    )
    .line("Cause", cause);
    for reason in missing.iter().take(20) {
        draft = draft.line("Missing", reason);
    }
    draft.finish()
}

/// How a grant's access went away.
#[derive(Debug, Clone, Copy)]
pub enum Removal<'a> {
    /// The target system removed it and was read back.
    ReadBack {
        /// When the call began.
        called_at: Instant,
        /// What it said.
        answer: &'a Revoked,
    },
    /// Nothing was removed, because these live grants give the same.
    Retained(&'a [GrantId]),
}

/// A grant is over and its access is gone, or is held by other grants only.
pub fn revoked(entry: &Entry, due: Instant, removal: Removal<'_>, at: Instant) -> Event {
    let cause = entry
        .cause
        .as_ref()
        .map_or("unknown", super::ledger::Cause::as_str);
    let draft = about(
        Kind::Revoked,
        "revoked",
        entry,
        at,
        &format!("Revoked: {} ({cause})", who_what(entry)),
    )
    .line("Cause", cause)
    .line("Due", precise(due));
    let draft = match removal {
        Removal::Retained(ids) => ids
            .iter()
            .fold(draft, |d, id| d.line("Retained-by", id.as_str())),
        Removal::ReadBack { called_at, answer } => {
            let draft = draft
                .line("Called-at", precise(called_at))
                .line("Read-back", &answer.read_back);
            let draft = answer
                .sessions
                .iter()
                .take(20)
                .fold(draft, |d, s| d.line("Session", s));
            match answer.sessions_ended {
                0 => draft,
                n => draft.line("Sessions-ended", n.to_string()),
            }
        }
    };
    draft.finish()
}

/// The file of an ended grant is gone from the protected branch.
pub fn reverted(entry: &Entry, tip: &CommitId, at: Instant) -> Event {
    about(
        Kind::Reverted,
        "reverted",
        entry,
        at,
        &format!(
            "Reverted: {} is off the protected branch",
            entry.path.short()
        ),
    )
    .line("Tip", tip.as_str())
    .finish()
}
