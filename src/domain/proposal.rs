//! What Hallpass itself writes into the repository's history: merge messages and revert pull requests.
//!
//! Invariant: only typed values (logins, names, instants, ids) are in here, never free text of a requester.

use std::fmt::Write as _;

use super::decision::{Answered, Change, LettingGo, Request, SignOff, Standing, Verdict};
use super::evidence::{approved_by, approved_by_policy, instant, subject_word};
use super::ledger::{Cause, Entry, State, Terms};
use super::model::{Grant, Instant, Term};
use super::pull::Pull;

/// Title and message of the merge commit of an approved pull request, with trailers: `git log access/grants/` alone tells who
/// approved and until when.
pub fn merge_message(pull: &Pull, verdict: &Verdict, now: Instant) -> (String, String) {
    if let Some(of) = &verdict.sign_off {
        return sign_off_message(pull, of);
    }
    if let Some(of) = &verdict.release {
        return release_message(pull, of);
    }
    if let Some(of) = &verdict.answered {
        return answers_message(pull, of);
    }
    let files: Vec<&Request> = verdict
        .requests
        .chunk_by(|a, b| a.path == b.path)
        .filter_map(|of_file| of_file.first())
        .collect();
    let title = match files.as_slice() {
        [one] if one.change == Change::Tidy => format!(
            "Remove ended access: {} (#{})",
            one.path.short(),
            pull.number
        ),
        [one] => match &one.grant {
            Some(grant) if grant.emergency => format!(
                "Break-glass: {}/{} to {} (#{})",
                one.path.resource(),
                grant.role,
                grant.subject,
                pull.number
            ),
            Some(grant) => format!(
                "Grant {}/{} to {} (#{})",
                one.path.resource(),
                grant.role,
                grant.subject,
                pull.number
            ),
            None => format!("End {} (#{})", one.path.short(), pull.number),
        },
        many if many.iter().all(|r| r.change == Change::Tidy) => {
            format!(
                "Remove ended access: {} grants (#{})",
                many.len(),
                pull.number
            )
        }
        many => format!("Merge {} access changes (#{})", many.len(), pull.number),
    };
    let mut trailers = String::new();
    for request in &verdict.requests {
        // Writing to a String cannot fail.
        let _ = writeln!(trailers, "Request: {}", request.name(pull.number));
        if let Some(grant) = &request.grant {
            let _ = writeln!(trailers, "Subject: {}", subject_word(&grant.subject));
            if let Some(role) = &request.role {
                let _ = writeln!(trailers, "Role: {role}");
            }
            trailers.push_str(&term(grant, now));
        }
        if let Standing::Approved(proof) = &request.approval {
            if let Some(policy) = approved_by_policy(proof.basis()) {
                let _ = writeln!(trailers, "Approved-by-policy: {policy}");
            }
            for approval in proof.approvals() {
                let _ = writeln!(trailers, "Approved-by: {}", approved_by(approval));
            }
        }
    }
    (title, trailers)
}

/// How long, and until when. What is counted from the merge ends at the second that the forge notes for it, which is known afterwards:
/// it is told to the minute, and the evidence has the second.
fn term(grant: &Grant, now: Instant) -> String {
    match grant.term {
        Term::Duration(length) => {
            let until = grant.end(now).format("%Y-%m-%dT%H:%MZ");
            format!("Term: {length}\nUntil: {until}\n")
        }
        Term::Expires(at) => format!("Until: {}\n", instant(at)),
    }
}

/// Title and message of the merge by which the record of an emergency joins the trail.
fn sign_off_message(pull: &Pull, of: &SignOff) -> (String, String) {
    let title = format!(
        "Review break-glass: {} (#{})",
        of.emergency.who_what(),
        pull.number
    );
    let mut trailers = format!("Grant: {}\n", of.emergency.grant);
    if let Ok(approval) = &of.signed {
        // Writing to a String cannot fail.
        let _ = writeln!(trailers, "Signed-by: {}", approved_by(approval));
    }
    (title, trailers)
}

/// Title and message of the merge by which what was held is let go.
fn release_message(pull: &Pull, of: &LettingGo) -> (String, String) {
    let title = format!("Release {} (#{})", of.hold.what(), pull.number);
    let record = of.hold.record();
    let mut trailers = format!(
        "Held: {}\nDigest: {}\n",
        record.held.as_str(),
        record.digest
    );
    for approval in of.released.iter().flatten() {
        // Writing to a String cannot fail.
        let _ = writeln!(trailers, "Approved-by: {}", approved_by(approval));
    }
    (title, trailers)
}

/// Title and message of the merge by which the answers to an access review take effect.
fn answers_message(pull: &Pull, of: &Answered) -> (String, String) {
    let sheet = &of.sheet;
    let title = format!(
        "{}: {} (#{})",
        sheet.title(),
        of.what_becomes(),
        pull.number
    );
    let (count, digest) = (sheet.lines.len(), sheet.digest());
    let mut trailers = format!("Count: {count}\nDigest: {digest}\n");
    for approval in of.signed.iter().flat_map(|signed| &signed.approvals) {
        // Writing to a String cannot fail.
        let _ = writeln!(trailers, "Signed-by: {}", approved_by(approval));
    }
    (title, trailers)
}

/// Title and body of the pull request that removes the files of ended grants.
pub fn revert_proposal(ended: &[Entry]) -> (String, String) {
    // The parts of one bundle stand side by side: entries come by id, which begins with the path.
    let files: Vec<&[Entry]> = ended.chunk_by(|a, b| a.path == b.path).collect();
    let title = match files.as_slice() {
        [one] => match who_what(one) {
            Some(what) => format!("Remove ended access: {what}"),
            None => format!("Remove what was not granted: {}", one[0].path.short()),
        },
        many => format!("Remove ended access: {} grants", many.len()),
    };
    let mut body = String::from(
        "The access below is **already gone**. This pull request only tidies the files; closing it brings nothing back.\n\n\
         | file | who, what | ended | why |\n|---|---|---|---|\n",
    );
    for file in files {
        let what = who_what(file).unwrap_or_else(|| "never granted".to_owned());
        let last = file.iter().filter_map(|e| e.settled_at).max();
        let when = last.map(instant).unwrap_or_default();
        let mut why: Vec<&str> = file.iter().map(why).collect();
        why.dedup();
        let path = &file[0].path;
        let _ = writeln!(body, "| `{path}` | {what} | {when} | {} |", why.join(", "));
    }
    (title, body)
}

fn why(ended: &Entry) -> &'static str {
    match (ended.state, &ended.cause) {
        (State::Denied, _) => "merged without proof",
        (_, Some(cause)) => Cause::as_str(cause),
        (_, None) => "",
    }
}

/// `octocat on orders/readonly`, with every role that one file gave; `None` if it gave none.
fn who_what(file: &[Entry]) -> Option<String> {
    let terms: Vec<&Terms> = file.iter().filter_map(|e| e.terms.as_ref()).collect();
    let roles: Vec<String> = terms.iter().map(|t| t.role.to_string()).collect();
    let subject = &terms.first()?.subject;
    Some(format!("{subject} on {}", roles.join(", ")))
}
