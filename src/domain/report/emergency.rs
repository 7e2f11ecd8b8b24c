//! Break-glass, loud: what a request for it says, and the review that follows.

use super::super::approval::{Approval, Basis};
use super::super::decision::{Case, Outcome, Request, SignOff, Standing, Verdict};
use super::super::emergency::Emergency;
use super::super::model::{EmergencyOffer, Owner, RoleRef};
use super::super::pull::PullState;
use super::markdown::{code, fence, sentence};
use super::{CheckStatus, request, utc};

/// Title and body of the pull request in which the owners of a grant are asked to sign its review. Naming them here is what tells
/// them.
pub fn review_proposal(emergency: &Emergency, owners: &[Owner]) -> (String, String) {
    let title = format!("Review break-glass: {}", emergency.who_what());
    let told = owners.iter().filter(|o| !matches!(o, Owner::Email(_)));
    let told: Vec<String> = told.map(|o| sentence(&o.to_string())).collect();
    let owners = match told.as_slice() {
        [] => "The owners of the grant".to_owned(),
        names => names.join(", "),
    };
    let mut body = format!(
        "{owners}: **{} broke the glass**, and {} was given {}. Please look at what was done, and approve this pull request to say that it was right; or ask {} about it here. \
         One approval by an owner of {} signs the review, and Hallpass then merges it. The time for that ends at **{}**.\n\n",
        sentence(emergency.person.as_str()),
        code(&emergency.role.to_string()),
        beforehand(emergency),
        sentence(emergency.person.as_str()),
        code(emergency.path.as_str()),
        utc(emergency.review_by)
    );
    for pull in &emergency.review.unsigned {
        body.push_str(&format!(
            "> #{pull} was merged without an owner's approval, which signs nothing.\n\n"
        ));
    }
    body.push_str(&facts(emergency));
    (title, body)
}

fn beforehand(emergency: &Emergency) -> String {
    match approvers(emergency) {
        None => "without anybody's approval beforehand".to_owned(),
        Some(names) => format!("with the approval of {names} alone"),
    }
}

/// Who approved beforehand; `None` where nobody did.
fn approvers(emergency: &Emergency) -> Option<String> {
    let name = |a: &Approval| format!("@{}", sentence(a.reviewer.login.as_str()));
    let names: Vec<String> = emergency.approvals.iter().map(name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Who, what, why, until when.
fn facts(emergency: &Emergency) -> String {
    let rows = [
        ("Who", code(emergency.person.as_str())),
        ("What", code(&emergency.role.to_string())),
        ("Given", utc(emergency.granted)),
        ("Until", format!("{}, at the latest", utc(emergency.ends))),
        ("Asked for in", format!("#{}", emergency.pull)),
        ("Grant", code(emergency.grant.as_str())),
        ("Merge", code(emergency.merge.as_str())),
        (
            "Approved beforehand",
            approvers(emergency).unwrap_or("by nobody".to_owned()),
        ),
        ("Review until", format!("**{}**", utc(emergency.review_by))),
    ];
    let rows: String = rows
        .into_iter()
        .map(|(name, value)| format!("| **{name}** | {value} |\n"))
        .collect();
    format!(
        "| | |\n|---|---|\n{rows}\n**Why**\n{}\n",
        fence("text", &emergency.reason)
    )
}

/// The title of the check of a review.
pub(super) fn review_title(case: &Case<'_>, verdict: &Verdict, of: &SignOff) -> Option<String> {
    let emergency = &of.emergency;
    let who_what = emergency.who_what();
    let overdue = emergency.is_overdue(case.now);
    match (&verdict.outcome, &of.signed) {
        (Outcome::Waiting, _) if case.pull.draft && !overdue => None,
        (Outcome::Approved, Ok(approval)) => Some(format!(
            "Break-glass by {who_what}: reviewed by @{}",
            approval.reviewer.login
        )),
        (Outcome::Waiting | Outcome::Uncertain(_) | Outcome::Denied, _) if overdue => {
            Some(format!(
                "Overdue: break-glass by {who_what} was to be reviewed until {}",
                utc(emergency.review_by)
            ))
        }
        (Outcome::Waiting, Err(missing)) if missing.blocked_by.is_empty() => {
            let owners: Vec<String> = missing.owners.iter().map(ToString::to_string).collect();
            let owners = super::title::names(owners.into_iter());
            Some(format!(
                "Break-glass by {who_what}: waiting for {owners} to review until {}",
                utc(emergency.review_by)
            ))
        }
        _ => None,
    }
}

/// Where the check of a review stands: red from its deadline until it is signed.
pub(super) fn review_status(case: &Case<'_>, verdict: &Verdict) -> Option<CheckStatus> {
    let of = verdict.sign_off.as_ref()?;
    let late = of.emergency.is_overdue(case.now) && verdict.outcome != Outcome::Approved;
    late.then_some(CheckStatus::Failure)
}

/// The page of a review.
pub(super) fn review_section(case: &Case<'_>, verdict: &Verdict, of: &SignOff) -> String {
    let emergency = &of.emergency;
    let mut out = format!(
        "### Break-glass by {} on {}\n\n",
        code(emergency.person.as_str()),
        code(&emergency.role.to_string())
    );
    if emergency.is_overdue(case.now) && verdict.outcome != Outcome::Approved {
        out.push_str(&format!(
            "**Overdue: this was to be reviewed until {}.** It can still be signed.\n\n",
            utc(emergency.review_by)
        ));
    }
    out.push_str(&format!(
        "It was given {}. The approval of one owner of {} signs the review; until then {} cannot break the glass again.\n\n",
        beforehand(emergency),
        code(emergency.path.as_str()),
        code(emergency.person.as_str())
    ));
    out.push_str(&facts(emergency));
    match &of.signed {
        Ok(approval) => out.push_str(&format!(
            "**Signed by** @{} for {} (CODEOWNERS line {}, review {})\n\n",
            sentence(approval.reviewer.login.as_str()),
            sentence(&approval.through.to_string()),
            approval.line,
            approval.review
        )),
        Err(missing) => out.push_str(&request::missing_words(verdict, missing)),
    }
    out
}

/// What a request for break-glass says first, and in bold.
pub(super) fn request_section(case: &Case<'_>, one: &Request) -> String {
    let Some((role, offer, usual)) = offer(case, one) else {
        return String::new();
    };
    let owners = case.base.codeowners.owners(&one.path.as_repo_path());
    let owners = super::title::names(owners.owners().iter().map(ToString::to_string));
    let enough = match offer.approvals {
        0 => "nobody's approval".to_owned(),
        1 => "one approval".to_owned(),
        n => format!("{n} approvals"),
    };
    let until = match (&case.pull.state, &one.grant) {
        (PullState::Merged { at, .. }, Some(grant)) => {
            format!(
                "until {}",
                utc(grant.begin(*at) + offer.review_within.delta())
            )
        }
        _ => format!("within {} of the merge", offer.review_within),
    };
    format!(
        "**This is break-glass.** It gives {} with {enough} beforehand, instead of {usual}. **{} will review it {until}**; until one of them has signed, there is no second time.\n\n",
        code(&role.to_string()),
        sentence(&owners)
    )
}

/// The offer that a request makes use of.
fn offer<'a>(case: &'a Case<'_>, one: &Request) -> Option<(RoleRef, &'a EmergencyOffer, u32)> {
    let grant = one.grant.as_ref().filter(|g| g.emergency)?;
    let (_, role) = case.base.role(&one.path.resource(), &grant.role)?;
    let name = RoleRef {
        resource: one.path.resource(),
        role: grant.role.clone(),
    };
    Some((name, role.emergency.as_ref()?, role.approvals))
}

/// How many approvals an emergency needs beforehand; `None` for what is none.
pub(super) fn approvals_needed(case: &Case<'_>, one: &Request) -> Option<u32> {
    offer(case, one).map(|(_, offer, _)| offer.approvals)
}

/// Whether nobody's approval beforehand makes some request of it enough.
pub(super) fn is_break_glass(verdict: &Verdict) -> bool {
    let emergency = |r: &Request| match &r.approval {
        Standing::Approved(proof) => *proof.basis() == Basis::Emergency,
        Standing::NotNeeded(_) | Standing::Missing(_) => false,
    };
    verdict.requests.iter().any(emergency)
}
