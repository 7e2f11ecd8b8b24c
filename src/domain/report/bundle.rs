//! A request for a bundle: every part with what it gives, at what risk, and where the approval of its owners stands.

use super::super::decision::{Case, Change, Missing, Outcome, Request, Standing, Verdict};
use super::super::model::{Grant, Risk, RoleRef};
use super::markdown::{cell, code, prose, sentence};
use super::{context, request, summary, title};

/// The requests of each file, one after the other.
pub(super) fn by_file(requests: &[Request]) -> impl Iterator<Item = &[Request]> {
    requests.chunk_by(|a, b| a.path == b.path)
}

/// One row of the overview.
pub(super) fn row(case: &Case<'_>, parts: &[Request]) -> String {
    let Some((one, grant, bundle)) = whole(parts) else {
        return String::new();
    };
    let approvals = parts.iter().map(|part| summary::approvals(case, part));
    format!(
        "| {} | {} | {}: {} | {} | {} | {} |\n",
        code(one.path.short()),
        code(&grant.subject.to_string()),
        code(&bundle.to_string()),
        names(parts),
        request::term(grant),
        highest(case, parts, bundle).map_or("?".to_owned(), |risk| risk.to_string()),
        approvals.collect::<Vec<_>>().join(", ")
    )
}

/// The whole section.
pub(super) fn section(case: &Case<'_>, verdict: &Verdict, parts: &[Request]) -> String {
    let Some((one, grant, bundle)) = whole(parts) else {
        return String::new();
    };
    let mut out = format!("### {}\n\n", code(one.path.short()));
    out.push_str(&facts(case, parts, grant, bundle));
    out.push_str(&given(case, parts));
    out.push_str(&request::words(grant));
    out.push_str(&match &one.change {
        Change::Add => against_today(case, parts, grant),
        _ => request::against_today(case, one, grant),
    });
    let roles: Vec<RoleRef> = parts.iter().filter_map(|p| p.role.clone()).collect();
    out.push_str(&context::section(case, &roles, grant));
    out.push_str(&standings(verdict, parts));
    out
}

/// What all parts have in common.
fn whole(parts: &[Request]) -> Option<(&Request, &Grant, &RoleRef)> {
    let one = parts.first()?;
    Some((one, one.grant.as_ref()?, one.bundle.as_ref()?))
}

fn names(parts: &[Request]) -> String {
    let roles = parts.iter().filter_map(|p| p.role.as_ref());
    let names: Vec<String> = roles.map(|role| code(&role.to_string())).collect();
    names.join(", ")
}

/// The gravest risk of the parts, and of what the bundle says of itself.
fn highest(case: &Case<'_>, parts: &[Request], bundle: &RoleRef) -> Option<Risk> {
    let roles = parts.iter().filter_map(|p| p.role.as_ref());
    let risk = |role: &RoleRef| case.base.resources.get(&role.resource).map(|r| r.risk);
    roles.chain([bundle]).filter_map(risk).max()
}

fn facts(case: &Case<'_>, parts: &[Request], grant: &Grant, bundle: &RoleRef) -> String {
    let mut rows = vec![("Who", request::who(case, &grant.subject))];
    let wanted = code(&bundle.to_string());
    if let Some((resource, role)) = case.base.role(&bundle.resource, &bundle.role) {
        let about = (prose(&role.description), prose(&resource.description));
        rows.push(("What", format!("the bundle {wanted}: {}", about.0)));
        rows.push(("Where", about.1));
    } else {
        rows.push(("What", format!("the bundle {wanted}")));
    }
    rows.push(("How long", request::how_long(case, grant)));
    if let Some(risk) = highest(case, parts, bundle) {
        rows.push(("Risk", format!("**{risk}**, the highest of its parts")));
    }
    let rows: String = rows
        .into_iter()
        .map(|(name, value)| format!("| **{name}** | {value} |\n"))
        .collect();
    format!("| | |\n|---|---|\n{rows}\n")
}

/// What each part gives.
fn given(case: &Case<'_>, parts: &[Request]) -> String {
    let mut out = String::from(
        "It asks for all of these at once. Each is approved by its own owners, and ends by itself.\n\n\
         | part | what | risk | gives | approvals |\n|---|---|---|---|---|\n",
    );
    for part in parts {
        let Some(role) = &part.role else { continue };
        let declared = case.base.role(&role.resource, &role.role);
        let (what, risk, why) = declared.map_or_else(
            || ("not declared".to_owned(), "?".to_owned(), ""),
            |(resource, declared)| {
                let why = if declared.rationale {
                    "; each review must say why"
                } else {
                    ""
                };
                let what = format!(
                    "{} ({})",
                    prose(&declared.description),
                    prose(&resource.description)
                );
                (what, resource.risk.to_string(), why)
            },
        );
        let gives = part.access.as_ref().map_or("?".to_owned(), |access| {
            format!(
                "{} to the account {} on {}",
                cell(&access.entitlement_text()),
                cell(&access.account.name),
                code(access.connection.as_str())
            )
        });
        let approvals = summary::approvals(case, part);
        let role = code(&role.to_string());
        out.push_str(&format!(
            "| {role} | {what} | {risk} | {gives} | {approvals}{why} |\n"
        ));
    }
    out.push('\n');
    out
}

fn against_today(case: &Case<'_>, parts: &[Request], grant: &Grant) -> String {
    let roles = parts.iter().filter_map(|p| p.role.as_ref());
    let held = |role: &&RoleRef| {
        let mut holdings = case.holdings.iter();
        holdings.any(|h| h.role == **role && h.subject == grant.subject)
    };
    let held: Vec<&RoleRef> = roles.filter(held).collect();
    if held.is_empty() {
        let who = code(&grant.subject.to_string());
        return format!("**Against today:** {who} holds none of these now.\n\n");
    }
    let lines = held
        .into_iter()
        .map(|role| request::added(case, role, &grant.subject));
    lines.collect()
}

/// Where the approval of each part stands.
fn standings(verdict: &Verdict, parts: &[Request]) -> String {
    let heading = match verdict.outcome {
        // An approval of what will be repaired is lost with the repair: nobody should be sent to give it.
        Outcome::Denied => "Approvals, when the above is settled",
        _ => "Approvals, each part by its own owners",
    };
    let mut out = format!("**{heading}**\n");
    for part in parts {
        let Some(role) = &part.role else { continue };
        let role = code(&role.to_string());
        match &part.approval {
            Standing::NotNeeded(why) => out.push_str(&format!("- {role}: {why}\n")),
            Standing::Approved(proof) => {
                out.push_str(&format!("- {role}: approved\n"));
                for line in request::approved_lines(proof) {
                    out.push_str(&format!("  {line}"));
                }
            }
            Standing::Missing(missing) => out.push_str(&waits(&role, missing)),
        }
    }
    out.push('\n');
    out
}

fn waits(role: &str, missing: &Missing) -> String {
    let owners = missing.owners.iter().map(ToString::to_string);
    let owners = sentence(&title::names(owners));
    let mut out = format!(
        "- {role}: waiting for {owners} ({} of {})\n",
        missing.have, missing.needed
    );
    for reason in &missing.reasons {
        out.push_str(&format!("  - {}\n", sentence(reason)));
    }
    out
}
