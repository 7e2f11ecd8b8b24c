//! What an approver should know beside the request itself: who can complete it, what its subject holds and had, what it excludes.
//!
//! Typed values only: no word of a requester is in here. Instants instead of "three days ago", the latest few instead of "this
//! month": a page that changes with the clock would be published again at every look.

use std::collections::BTreeMap;

use super::super::approval::{Group, fewest, list};
use super::super::decision::{Case, PAST, Verdict};
use super::super::history::{Ending, Past};
use super::super::ledger::Holding;
use super::super::model::{Grant, RoleRef, Subject};
use super::markdown::{code, sentence};
use super::{count, utc};

/// How many holdings are listed.
const HOLDINGS: usize = 15;
/// How many past requests are listed.
const LATEST: usize = 5;

/// The fewest people whose reviews give everything that is missing, over all files.
pub(super) fn who_completes(verdict: &Verdict) -> String {
    let Some(groups) = fewest(verdict.missing()) else {
        return String::new();
    };
    format!("**Can be completed by** {}\n\n", sentence(&people(&groups)))
}

/// `@grace alone`, `@grace and @linus`, `@grace and two of @linus, @mei or @judy`.
fn people(groups: &[Group]) -> String {
    let at = |group: &Group| -> Vec<String> { group.of.iter().map(|l| format!("@{l}")).collect() };
    if let [only] = groups
        && only.count == 1
    {
        return format!("{} alone", list(at(only), "or"));
    }
    let (all, some): (Vec<&Group>, Vec<&Group>) =
        groups.iter().partition(|g| g.count == g.of.len());
    let mut certain: Vec<String> = all.into_iter().flat_map(at).collect();
    certain.sort();
    let some = some
        .into_iter()
        .map(|g| format!("{} of {}", number(g.count), list(at(g), "or")));
    let mut parts: Vec<String> = Vec::new();
    if !certain.is_empty() {
        parts.push(list(certain, "and"));
    }
    parts.extend(some);
    parts.join(", and ")
}

fn number(count: usize) -> String {
    match count {
        1 => "one".to_owned(),
        2 => "two".to_owned(),
        3 => "three".to_owned(),
        more => more.to_string(),
    }
}

/// What the subject holds, had, and may not have beside it.
pub(super) fn section(case: &Case<'_>, roles: &[RoleRef], grant: &Grant) -> String {
    let subject = &grant.subject;
    let mut past: Vec<&Past> = case
        .around
        .past
        .iter()
        .filter(|p| p.subject == *subject)
        .collect();
    past.sort_by(|a, b| (b.at, b.pull, &b.role).cmp(&(a.at, a.pull, &a.role)));
    let mut out: String = roles
        .iter()
        .map(|role| excluded(case, role, subject, &past))
        .collect();
    let holds = case.holdings.iter().any(|h| h.subject == *subject);
    let asked = past.iter().any(|p| roles.contains(&p.role));
    if !holds && !asked && !is_cut(&past) {
        let who = code(&subject.to_string());
        out.push_str(&format!(
            "{who} holds nothing else through Hallpass now, and is not known to have had {} before.\n\n",
            if roles.len() > 1 { "any of these roles" } else { "this role" }
        ));
    } else {
        out.push_str(&holdings(case, subject));
        for role in roles {
            out.push_str(&asked_before(role, subject, &past));
        }
    }
    out.push_str(&held_before(roles, &past));
    out
}

/// Whether there may be more than what was looked at.
fn is_cut(past: &[&Past]) -> bool {
    past.len() >= PAST as usize
}

/// The roles that exclude the one that is asked for, and whether the subject has or had them.
fn excluded(case: &Case<'_>, role: &RoleRef, subject: &Subject, past: &[&Past]) -> String {
    let mut excluded = case.base.excluded_by(role).into_iter().flatten().peekable();
    if excluded.peek().is_none() {
        return String::new();
    }
    let mut out = String::from("**Not to be held together with**\n");
    for other in excluded {
        let holds = case
            .holdings
            .iter()
            .filter(|h| h.role == *other && h.subject == *subject);
        let until = holds.map(|h| h.ends).max();
        let had = past
            .iter()
            .find(|p| p.role == *other && p.held_from.is_some());
        let what = match (until, had) {
            (Some(until), _) => format!("**held now**, until {}", utc(until)),
            (None, Some(had)) => format!("not held now; held until {}", utc(had.at)),
            (None, None) => "not held".to_owned(),
        };
        out.push_str(&format!("- {}: {what}\n", code(&other.to_string())));
    }
    out.push('\n');
    out
}

/// What else the subject holds.
fn holdings(case: &Case<'_>, subject: &Subject) -> String {
    let who = code(&subject.to_string());
    let mut held: Vec<&Holding> = case
        .holdings
        .iter()
        .filter(|h| h.subject == *subject)
        .collect();
    if held.is_empty() {
        return format!("{who} holds nothing else through Hallpass now.\n\n");
    }
    held.sort_by(|a, b| (a.ends, &a.id).cmp(&(b.ends, &b.id)));
    let mut out = format!("{who} holds now:\n");
    for one in held.iter().take(HOLDINGS) {
        let what = code(&one.role.to_string());
        out.push_str(&format!("- {what} until {}\n", utc(one.ends)));
    }
    if held.len() > HOLDINGS {
        out.push_str(&format!("- ... and {} more\n", held.len() - HOLDINGS));
    }
    out.push('\n');
    out
}

/// How earlier requests for this very role ended.
fn asked_before(role: &RoleRef, subject: &Subject, past: &[&Past]) -> String {
    let (who, what) = (code(&subject.to_string()), code(&role.to_string()));
    let same: Vec<&Past> = past.iter().copied().filter(|p| p.role == *role).collect();
    if same.is_empty() {
        let known = if is_cut(past) {
            format!("among the latest {PAST} grants that ended")
        } else {
            "is known".to_owned()
        };
        return format!("No earlier request by {who} for {what} {known}.\n\n");
    }
    let mut endings: BTreeMap<Ending, usize> = BTreeMap::new();
    for one in &same {
        *endings.entry(one.ending).or_default() += 1;
    }
    let counted: Vec<String> = endings
        .into_iter()
        .map(|(ending, many)| format!("{many} {}", ending.as_str()))
        .collect();
    let requests = if is_cut(past) {
        format!("of the latest {PAST} grants that ended, {}", same.len())
    } else {
        count(same.len(), "earlier request", "earlier requests")
    };
    let mut out = format!(
        "**Before:** {requests} by {who} for {what}: {}.\n",
        counted.join(", ")
    );
    for one in same.iter().take(LATEST) {
        out.push_str(&format!("- {}\n", line(one)));
    }
    out.push('\n');
    out
}

/// What else was held lately, folded away.
fn held_before(roles: &[RoleRef], past: &[&Past]) -> String {
    let other: Vec<&&Past> = past
        .iter()
        .filter(|p| !roles.contains(&p.role) && p.held_from.is_some())
        .collect();
    if other.is_empty() {
        return String::new();
    }
    let shown = other.len().min(LATEST);
    let all = if is_cut(past) {
        String::new()
    } else {
        format!(" of {}", other.len())
    };
    // The only HTML that a page holds. The empty lines let Markdown begin again inside.
    let mut out =
        format!("<details><summary>Other access that ended: the latest {shown}{all}</summary>\n\n");
    for one in other.iter().take(LATEST) {
        out.push_str(&format!(
            "- {}: {}\n",
            code(&one.role.to_string()),
            line(one)
        ));
    }
    out.push_str("\n</details>\n\n");
    out
}

/// `#12, 2026-11-01 10:00 UTC to 2026-11-01 12:00 UTC, expired`.
fn line(one: &Past) -> String {
    let when = match one.held_from {
        Some(from) => format!("{} to {}", utc(from), utc(one.at)),
        None => utc(one.at),
    };
    let pull = one
        .pull
        .map(|number| format!("#{number}, "))
        .unwrap_or_default();
    format!("{pull}{when}, {}", one.ending.as_str())
}
