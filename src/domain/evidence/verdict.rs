//! What a pull request leaves behind when it is judged: what is asked for, who approved it, why it is denied.

use super::super::approval::{Approval, Basis, Proof};
use super::super::decision::{Change, Outcome, Request, Standing, Verdict};
use super::super::finding::{Finding, Severity};
use super::super::model::{Instant, Term};
use super::super::pull::{Pull, Pushers};
use super::super::rules::MOST_GRANTS;
use super::draft::{Draft, actor_word, instant, is_plain, subject_word};
use super::record::{Judged, Membership, Who};
use super::{DecidedOn, Event, Kind};

/// What looking at an open or merged pull request leaves behind: `requested`, `approved`, `denied`.
pub fn of_verdict(pull: &Pull, on: &DecidedOn, verdict: &Verdict, at: Instant) -> Vec<Event> {
    let mut events = Vec::new();
    // More than a pull request may ask for is denied as a whole, and told as that: nobody can flood the evidence.
    let files: Vec<&[Request]> = verdict.requests.chunk_by(|a, b| a.path == b.path).collect();
    let told = match files.len() {
        0..=MOST_GRANTS => files,
        _ => Vec::new(),
    };
    events.extend(told.iter().filter_map(|file| requested(pull, on, file, at)));
    for request in told.into_iter().flatten() {
        if let Standing::Approved(proof) = &request.approval {
            events.extend(approved_automatically(pull, on, request, proof, at));
            events.extend(
                proof
                    .approvals()
                    .iter()
                    .map(|a| approved(pull, on, request, a, at)),
            );
        }
    }
    if !verdict.findings.is_empty() && verdict.outcome == Outcome::Denied {
        events.push(denied(pull, on, verdict, at));
    }
    events
}

/// What one file asks for, once, however many roles it bundles.
fn requested(pull: &Pull, on: &DecidedOn, file: &[Request], at: Instant) -> Option<Event> {
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
    .data("author", pull.author.as_ref().map(Who::from))
    .line("Head", pull.head.as_str())
    .decided(on);
    Some(
        draft
            .file(&request.path, blob)
            .pull(Some(pull.number))
            .finish(),
    )
}

fn approved(
    pull: &Pull,
    on: &DecidedOn,
    request: &Request,
    approval: &Approval,
    at: Instant,
) -> Event {
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
    .decided(on)
    .data("judged", judged(pull, request, approval, at))
    .file(&request.path, &approval.blob)
    .pull(Some(pull.number))
    .finish()
}

/// Why a review counts: that its reviewer was read as who the owner names, and is none of those who cannot approve.
fn judged(pull: &Pull, request: &Request, approval: &Approval, at: Instant) -> Judged {
    let pushers = match &pull.pushers {
        Pushers::Known(pushers) => pushers.iter().map(|id| id.0).collect(),
        // Nobody's approval counts then.
        Pushers::Unknown(_) => Vec::new(),
    };
    Judged {
        author: pull.author.as_ref().map(|a| a.id.0),
        pushers,
        receivers: request.receivers.iter().map(|id| id.0).collect(),
        membership: Membership {
            owner: approval.through.to_string(),
            member: approval.reviewer.id.0,
            read_at: at,
        },
    }
}

/// A policy approves by itself: which, and in which version.
fn approved_automatically(
    pull: &Pull,
    on: &DecidedOn,
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
        .decided(on);
    Some(
        draft
            .file(&request.path, proof.blob())
            .pull(Some(pull.number))
            .finish(),
    )
}

fn denied(pull: &Pull, on: &DecidedOn, verdict: &Verdict, at: Instant) -> Event {
    let errors: Vec<_> = verdict
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .collect();
    let mut rules: Vec<&str> = errors.iter().map(|f| f.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    let subject = format!("Denied: #{} breaks {}", pull.number, rules.join(", "));
    let draft = Draft::new(
        Kind::Denied,
        format!("denied:#{}:{}", pull.number, pull.head),
        at,
        &subject,
    )
    .line("Actor", actor_word(pull.author.as_ref()))
    .data("author", pull.author.as_ref().map(Who::from))
    .line("Head", pull.head.as_str())
    .decided(on)
    .pull(Some(pull.number));
    let rule = |f: &&Finding| format!("{} at {}:{}:{}", f.rule, f.path, f.line, f.column);
    draft
        .lines("Rule", errors.iter().take(50).map(rule))
        .finish()
}
