//! The one line that a list of checks shows. Logins, teams, rule names and numbers; nothing that a requester wrote.

use std::collections::BTreeSet;

use super::super::approval::{Basis, Proof};
use super::super::decision::{Case, Change, Missing, Outcome, Request, Standing, Verdict};
use super::super::model::{GrantPath, Login, Owner};
use super::super::pull::PullState;
use super::{count, emergency, release, round};

pub(super) fn title(case: &Case<'_>, verdict: &Verdict) -> String {
    let review = verdict.sign_off.as_ref();
    if let Some(title) = review.and_then(|of| emergency::review_title(case, verdict, of)) {
        return title;
    }
    let let_go = verdict.release.as_ref();
    if let Some(title) = let_go.and_then(|of| release::title(case, verdict, of)) {
        return title;
    }
    let answers = verdict.answered.as_ref();
    if let Some(title) = answers.and_then(|of| round::title(case, verdict, of)) {
        return title;
    }
    match &verdict.outcome {
        Outcome::NotConcerned => "Nothing for Hallpass in here".to_owned(),
        Outcome::Denied => denied(verdict),
        Outcome::Uncertain(_) => "Cannot tell yet: something could not be looked up".to_owned(),
        Outcome::Waiting => match case.pull.state {
            PullState::Closed => "Closed: nothing is granted".to_owned(),
            _ if case.pull.draft => format!("Draft: {}", draft(verdict)),
            _ => waiting(verdict),
        },
        Outcome::Approved => approved(verdict),
    }
}

fn denied(verdict: &Verdict) -> String {
    let rules: BTreeSet<&str> = verdict.errors().map(|f| f.rule).collect();
    let named: Vec<&str> = rules.iter().copied().take(3).collect();
    let more = if rules.len() > 3 { ", ..." } else { "" };
    match verdict.errors().count() {
        1 => format!("Denied: {}", named.join(", ")),
        many => format!("Denied: {many} problems ({}{more})", named.join(", ")),
    }
}

fn draft(verdict: &Verdict) -> String {
    if verdict.missing().next().is_none() {
        "approved, but not granted until it is marked as ready".to_owned()
    } else {
        lower(&waiting(verdict))
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

fn waiting(verdict: &Verdict) -> String {
    let blocked: BTreeSet<&Login> = verdict.missing().flat_map(|m| &m.blocked_by).collect();
    if !blocked.is_empty() {
        let names = names(blocked.iter().map(|login| format!("@{login}")));
        return format!("Blocked: {names} asked for changes");
    }
    let missing: Vec<&Missing> = verdict.missing().collect();
    let owners: BTreeSet<&Owner> = missing.iter().flat_map(|m| &m.owners).collect();
    let names = names(owners.iter().map(ToString::to_string));
    match files_missing(verdict) {
        1 => {
            let have: u32 = missing.iter().map(|m| m.have).sum();
            let needed: u32 = missing.iter().map(|m| m.needed).sum();
            let needed = count(needed as usize, "approval", "approvals");
            format!("Waiting for {names} ({have} of {needed})")
        }
        many => format!("Waiting for {names} ({many} files)"),
    }
}

/// The files of which something is missing; a bundle is one of them.
fn files_missing(verdict: &Verdict) -> usize {
    let waits = |r: &&Request| matches!(r.approval, Standing::Missing(_));
    let of_requests = verdict.requests.iter().filter(waits);
    let requests: BTreeSet<&GrantPath> = of_requests.clone().map(|r| &r.path).collect();
    verdict.missing().count() - of_requests.count() + requests.len()
}

fn approved(verdict: &Verdict) -> String {
    let tidies = verdict.requests.iter().all(|r| r.change == Change::Tidy);
    if !verdict.requests.is_empty() && tidies {
        let files = count(verdict.requests.len(), "grant", "grants");
        return format!("Nothing to approve: removes the files of {files} that ended");
    }
    let ends = |r: &Request| matches!(r.change, Change::Remove(_));
    if !verdict.requests.is_empty() && verdict.requests.iter().all(ends) {
        let files = count(verdict.requests.len(), "grant", "grants");
        return format!("Nothing more to approve: ends {files}");
    }
    let proofs = || verdict.requests.iter().filter_map(proof);
    let who: BTreeSet<&Login> = proofs()
        .flat_map(|proof| proof.approvals())
        .map(|a| &a.reviewer.login)
        .collect();
    let policies: BTreeSet<&str> = proofs().filter_map(policy).collect();
    let by = who.iter().map(|login| format!("@{login}"));
    let by: Vec<String> = by
        .chain(policies.iter().map(|id| format!("policy {id}")))
        .collect();
    match (emergency::is_break_glass(verdict), by.is_empty()) {
        (true, true) => {
            "Break-glass: nobody's approval is needed beforehand, an owner's review follows"
                .to_owned()
        }
        (true, false) => format!("Break-glass: approved by {}", names(by.into_iter())),
        (false, true) => "Approved".to_owned(),
        (false, false) => format!("Approved by {}", names(by.into_iter())),
    }
}

fn proof(request: &Request) -> Option<&Proof> {
    match &request.approval {
        Standing::Approved(proof) => Some(proof),
        Standing::NotNeeded(_) | Standing::Missing(_) => None,
    }
}

fn policy(proof: &Proof) -> Option<&str> {
    match proof.basis() {
        Basis::Policy { id, .. } => Some(id),
        Basis::Owners | Basis::Emergency => None,
    }
}

/// At most three names.
pub(super) fn names(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    match all.as_slice() {
        [] => "its owners".to_owned(),
        [a, b, c, _, ..] => format!("{a}, {b}, {c} and others"),
        few => few.join(", "),
    }
}
