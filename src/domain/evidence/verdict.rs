//! What a pull request leaves behind when it is judged: what is asked for, who approved it, why it is denied.

use super::super::approval::{Approval, Basis, Proof};
use super::super::decision::{Change, Outcome, Request, Standing, Verdict};
use super::super::finding::Severity;
use super::super::model::{CommitId, Instant, Term};
use super::super::pull::Pull;
use super::super::rules::MOST_GRANTS;
use super::draft::{Draft, actor_word, instant, is_plain, subject_word};
use super::{Event, Kind};

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
    if !verdict.findings.is_empty() && verdict.outcome == Outcome::Denied {
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
        .filter(|f| f.severity == Severity::Error)
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
