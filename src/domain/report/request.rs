//! One request: who gets what, why, for how long, at what risk, against what holds today.

use super::super::approval::{Basis, Proof};
use super::super::decision::{Case, Change, Missing, Outcome, Request, Standing, Verdict};
use super::super::ledger::Holding;
use super::super::model::{Grant, GrantPath, Instant, RoleRef, Subject, Term};
use super::super::pull::PullState;
use super::markdown::{cell, code, difference, fence, prose, sentence};
use super::{context, emergency, summary, utc};

/// One row of the overview.
pub(super) fn row(case: &Case<'_>, one: &Request) -> String {
    let path = code(one.path.short());
    let grant = one.grant.as_ref().or_else(|| today(case, one));
    let who = grant.map_or("?".to_owned(), |g| code(&g.subject.to_string()));
    let what = grant.map_or("?".to_owned(), |g| code(&role(&one.path, g).to_string()));
    let long = match (&one.change, &one.grant) {
        (Change::Remove(_), _) => "ends now".to_owned(),
        (Change::Tidy, _) => "has ended".to_owned(),
        (_, Some(grant)) => term(grant),
        (_, None) => "?".to_owned(),
    };
    let risk = case.base.resources.get(&one.path.resource());
    let risk = risk.map_or("?".to_owned(), |r| r.risk.to_string());
    let approvals = summary::approvals(case, one);
    format!("| {path} | {who} | {what} | {long} | {risk} | {approvals} |\n")
}

/// The whole section.
pub(super) fn section(case: &Case<'_>, verdict: &Verdict, one: &Request) -> String {
    let mut out = format!("### {}\n\n", code(one.path.short()));
    match (&one.change, &one.grant) {
        (Change::Tidy, _) => return out + &tidy(one, today(case, one)),
        (Change::Remove(held), _) => out.push_str(&removal(one, held.as_ref())),
        (Change::Add | Change::Amend(_), None) => {
            return out
                + "What this file asks for cannot be told, nor approved, before it is repaired.\n\n";
        }
        (Change::Add | Change::Amend(_), Some(grant)) => {
            out.push_str(&emergency::request_section(case, one));
            out.push_str(&facts(case, one, grant));
            out.push_str(&words(grant));
            out.push_str(&against_today(case, one, grant));
            out.push_str(&context::section(case, &[role(&one.path, grant)], grant));
        }
    }
    out.push_str(&standing(verdict, &one.approval));
    out
}

fn role(path: &GrantPath, grant: &Grant) -> RoleRef {
    RoleRef {
        resource: path.resource(),
        role: grant.role.clone(),
    }
}

/// What the file says before the pull request.
fn today<'a>(case: &'a Case<'_>, one: &'a Request) -> Option<&'a Grant> {
    match &one.change {
        Change::Amend(held) | Change::Remove(held) => held.as_ref(),
        Change::Tidy => case.base.grants.get(&one.path).map(|d| &*d.grant),
        Change::Add => None,
    }
}

fn removal(one: &Request, held: Option<&Grant>) -> String {
    let what = held_by(one, held).unwrap_or("the access that this file gives".to_owned());
    format!("Removes the file: {what} **ends when this is merged**.\n\n")
}

fn tidy(one: &Request, held: Option<&Grant>) -> String {
    let what = held_by(one, held).unwrap_or("The access of this file".to_owned());
    format!(
        "{what} has **ended already**. Removing the file only tidies up, so nobody needs to approve.\n\n"
    )
}

fn held_by(one: &Request, held: Option<&Grant>) -> Option<String> {
    let grant = held?;
    let what = code(&role(&one.path, grant).to_string());
    Some(format!("{what} of {}", code(&grant.subject.to_string())))
}

/// The table: typed values and what owners wrote.
fn facts(case: &Case<'_>, one: &Request, grant: &Grant) -> String {
    let name = one.path.resource();
    let mut rows = vec![("Who", who(case, &grant.subject))];
    let wanted = code(&role(&one.path, grant).to_string());
    if let Some((resource, role)) = case.base.role(&name, &grant.role) {
        rows.push(("What", format!("{wanted}: {}", prose(&role.description))));
        rows.push(("Where", prose(&resource.description)));
        rows.push(("How long", how_long(case, grant)));
        rows.push(("Risk", format!("**{}**", resource.risk)));
    } else {
        rows.push(("What", wanted));
        rows.push(("How long", how_long(case, grant)));
    }
    if let Some(access) = &one.access {
        let gives = format!(
            "{} to the account {} on {}",
            cell(&access.entitlement_text()),
            cell(&access.account.name),
            code(access.connection.as_str())
        );
        rows.push(("Gives", gives));
    }
    if grant.emergency {
        rows.push(("Emergency", "**yes**: break-glass access".to_owned()));
    }
    if grant.adopt {
        rows.push((
            "Takes over",
            "access that the account may have already, given by hand: it then ends with this grant"
                .to_owned(),
        ));
    }
    let role = case.base.role(&name, &grant.role);
    let why = match (&one.approval, role) {
        (Standing::Missing(missing), Some((_, role))) if missing.needed > 0 && role.rationale => {
            "; each review must say why"
        }
        _ => "",
    };
    let approvals = summary::approvals(case, one);
    rows.push(("Approvals", format!("{approvals}{why}")));
    let rows: String = rows
        .into_iter()
        .map(|(name, value)| format!("| **{name}** | {value} |\n"))
        .collect();
    format!("| | |\n|---|---|\n{rows}\n")
}

pub(super) fn who(case: &Case<'_>, subject: &Subject) -> String {
    match subject {
        Subject::Person(login) => {
            let name = case.base.people.get(login).and_then(|p| p.name.as_deref());
            let name = name.map(|n| format!(" ({})", prose(n))).unwrap_or_default();
            format!("{}{name}", code(login.as_str()))
        }
        Subject::Service(name) => {
            let about = case.base.services.get(name).map(|s| {
                format!(
                    " ({} is accountable for it): {}",
                    code(s.owner.as_str()),
                    prose(&s.description)
                )
            });
            format!(
                "the service {}{}",
                code(name.as_str()),
                about.unwrap_or_default()
            )
        }
    }
}

pub(super) fn term(grant: &Grant) -> String {
    let length = match grant.term {
        Term::Duration(length) => length.to_string(),
        Term::Expires(at) => format!("until {}", utc(at)),
    };
    match grant.starts {
        Some(starts) => format!("{length}, from {}", utc(starts)),
        None => length,
    }
}

pub(super) fn how_long(case: &Case<'_>, grant: &Grant) -> String {
    let merged = match case.pull.state {
        PullState::Merged { at, .. } => at,
        PullState::Open | PullState::Closed => case.now,
    };
    let (begin, end) = (grant.begin(merged), grant.end(merged));
    let length = match grant.term {
        Term::Duration(length) => format!("**{length}**, "),
        Term::Expires(_) => String::new(),
    };
    let until = match case.pull.state {
        PullState::Merged { .. } => format!(" until {} (merged {})", utc(end), utc(merged)),
        // An end that is counted from the merge is not known before it, and an example would be out of date within a minute.
        _ if begin <= merged && matches!(grant.term, Term::Duration(_)) => String::new(),
        _ => format!(" until {}", utc(end)),
    };
    let from = if begin > merged {
        format!("from {}", utc(begin))
    } else {
        "from the merge".to_owned()
    };
    format!("{length}{from}{until}")
}

/// What the requester wrote, each in a fence of its own, so that one cannot pass for another.
pub(super) fn words(grant: &Grant) -> String {
    let texts = [
        ("Why", Some(&grant.reason)),
        ("Ticket", grant.ticket.as_ref()),
        ("Risk, as the requester sees it", grant.risk.as_ref()),
    ];
    let written = texts
        .into_iter()
        .filter_map(|(label, text)| Some((label, text?)));
    written
        .map(|(label, text)| format!("**{label}**\n{}\n", fence("text", text)))
        .collect()
}

/// What changes against today.
pub(super) fn against_today(case: &Case<'_>, one: &Request, grant: &Grant) -> String {
    match &one.change {
        Change::Amend(Some(held)) => amended(held, grant),
        Change::Amend(None) => {
            "**Against today:** the file is there, but what it says today cannot be read.\n\n"
                .to_owned()
        }
        Change::Add | Change::Remove(_) | Change::Tidy => {
            added(case, &role(&one.path, grant), &grant.subject)
        }
    }
}

pub(super) fn added(case: &Case<'_>, role: &RoleRef, subject: &Subject) -> String {
    let (what, who) = (code(&role.to_string()), code(&subject.to_string()));
    let mut same: Vec<&Holding> = case
        .holdings
        .iter()
        .filter(|h| h.role == *role && h.subject == *subject)
        .collect();
    same.sort_by_key(|h| h.ends);
    match same.last() {
        None => format!("**Against today:** {who} does not hold {what} now.\n\n"),
        Some(last) => format!(
            "**Against today:** {who} holds {what} already, until {}. The access ends when the last grant of it ends.\n\n",
            utc(last.ends)
        ),
    }
}

/// Field by field: typed values in a table, texts as a diff in fences.
fn amended(held: &Grant, grant: &Grant) -> String {
    let when = |at: Option<Instant>| at.map_or("at the merge".to_owned(), utc);
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let fields = [
        (
            "who",
            code(&held.subject.to_string()),
            code(&grant.subject.to_string()),
        ),
        ("role", code(held.role.as_str()), code(grant.role.as_str())),
        ("term", length(held), length(grant)),
        ("starts", when(held.starts), when(grant.starts)),
        ("emergency", yes(held.emergency), yes(grant.emergency)),
    ];
    let rows: String = fields
        .iter()
        .filter(|(_, old, new)| old != new)
        .map(|(name, old, new)| format!("| {name} | {old} | **{new}** |\n"))
        .collect();
    let mut out = String::from("**Against today:** this file exists and gets other terms.\n\n");
    if !rows.is_empty() {
        out.push_str(&format!(
            "| field | today | proposed |\n|---|---|---|\n{rows}\n"
        ));
    }
    let texts = [
        ("reason", Some(&held.reason), Some(&grant.reason)),
        ("ticket", held.ticket.as_ref(), grant.ticket.as_ref()),
        ("risk", held.risk.as_ref(), grant.risk.as_ref()),
    ];
    for (name, old, new) in texts {
        if old != new {
            out.push_str(&format!("{name}\n{}\n", difference(old, new)));
        }
    }
    if rows.is_empty() && held == grant {
        out.push_str("Nothing that Hallpass reads differs.\n\n");
    }
    out
}

fn length(grant: &Grant) -> String {
    match grant.term {
        Term::Duration(length) => length.to_string(),
        Term::Expires(at) => format!("until {}", utc(at)),
    }
}

/// Who approved, or what is missing and why.
fn standing(verdict: &Verdict, approval: &Standing) -> String {
    match approval {
        Standing::NotNeeded(why) => format!("**Approval:** {why}\n\n"),
        Standing::Approved(proof) => {
            if proof.approvals().is_empty() && *proof.basis() == Basis::Emergency {
                return "**Approval:** nobody's is needed beforehand.\n\n".to_owned();
            }
            let lines: String = approved_lines(proof).collect();
            format!("**Approved by**\n{lines}\n")
        }
        Standing::Missing(missing) => missing_words(verdict, missing),
    }
}

/// A line for each policy and each person that approved.
pub(super) fn approved_lines(proof: &Proof) -> impl Iterator<Item = String> {
    let policy = match proof.basis() {
        Basis::Policy { id, file, blob } => Some(format!(
            "- the policy {}, by itself ({}, version {})\n",
            code(id),
            code(file.as_str()),
            code(&blob.as_str()[..12])
        )),
        Basis::Owners | Basis::Emergency => None,
    };
    let people = proof.approvals().iter().map(|one| {
        let (who, line) = (&one.reviewer.login, one.line);
        let through = sentence(&one.through.to_string());
        format!(
            "- @{} for {through} (CODEOWNERS line {line}, review {})\n",
            sentence(who.as_str()),
            one.review
        )
    });
    policy.into_iter().chain(people)
}

pub(super) fn missing_words(verdict: &Verdict, missing: &Missing) -> String {
    if missing.reasons.is_empty() {
        return String::new();
    }
    let reasons = missing
        .reasons
        .iter()
        .map(|r| format!("- {}\n", sentence(r)));
    let reasons: String = reasons.collect();
    // An approval of what will be repaired is lost with the repair: nobody should be sent to give it.
    let heading = match verdict.outcome {
        Outcome::Denied => "Approvals, when the above is settled",
        _ => "Still missing",
    };
    format!("**{heading}**\n{reasons}\n")
}
