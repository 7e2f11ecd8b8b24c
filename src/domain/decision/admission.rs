//! What a merged pull request gives at one path, by its verdict.

use super::super::approval::{Basis, Proof};
use super::super::model::{BlobId, GrantPath, RoleRef, TermLength};
use super::{Admission, Approved, Case, Change, Request, Standing, Verdict};

/// What the whole file at `path` gives: a bundle gives nothing unless every part of it is proved.
pub(super) fn of_file(
    case: &Case<'_>,
    verdict: &Verdict,
    path: &GrantPath,
    main_blob: &BlobId,
) -> Admission {
    let requests: Vec<&Request> = verdict
        .requests
        .iter()
        .filter(|r| r.path == *path)
        .collect();
    match requests.as_slice() {
        [] => unchanged(verdict, path),
        [one] if one.bundle.is_none() => of_request(case, verdict, one, main_blob),
        parts => {
            let parts = parts.iter().map(|part| {
                let admission = of_request(case, verdict, part, main_blob);
                (part.role.as_ref(), admission)
            });
            whole(parts)
        }
    }
}

/// What one part of the bundle at `path` gives, once the bundle has been admitted: the others do not matter to it any more.
pub(super) fn of_part(
    case: &Case<'_>,
    verdict: &Verdict,
    (path, part): (&GrantPath, &RoleRef),
    main_blob: &BlobId,
) -> Admission {
    let is_it =
        |r: &&Request| r.path == *path && r.bundle.is_some() && r.role.as_ref() == Some(part);
    match verdict.requests.iter().find(is_it) {
        Some(request) => of_request(case, verdict, request, main_blob),
        None => unchanged(verdict, path),
    }
}

fn no(why: String) -> Admission {
    Admission::Unapproved(vec![why])
}

fn unchanged(verdict: &Verdict, path: &GrantPath) -> Admission {
    no(format!(
        "Pull request #{} does not change {path}.",
        verdict.pull
    ))
}

/// All parts, or what the first kind of doubt says of which part.
fn whole<'a>(parts: impl Iterator<Item = (Option<&'a RoleRef>, Admission)>) -> Admission {
    let (mut proved, mut unproved, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for (part, admission) in parts {
        let named = |why: String| match part {
            Some(part) => format!("{part}: {why}"),
            None => why,
        };
        match admission {
            Admission::Approved(approved) => proved.push(*approved),
            // Not reached: a part is no bundle.
            Admission::Bundle(approved) => proved.extend(approved),
            Admission::Unapproved(why) => unproved.extend(why.into_iter().map(named)),
            Admission::Unknown(why) => unknown.extend(why.into_iter().map(named)),
        }
    }
    match (unproved.is_empty(), unknown.is_empty()) {
        (true, true) => Admission::Bundle(proved),
        (true, false) => Admission::Unknown(unknown),
        (false, _) => Admission::Unapproved(unproved),
    }
}

fn of_request(
    case: &Case<'_>,
    verdict: &Verdict,
    request: &Request,
    main_blob: &BlobId,
) -> Admission {
    let (path, number) = (&request.path, verdict.pull);
    let asks = matches!(request.change, Change::Add | Change::Amend(_));
    if !asks || request.blob.as_ref() != Some(main_blob) {
        return no(format!(
            "What stands at {path} is not what pull request #{number} put there."
        ));
    }
    let proof = match &request.approval {
        Standing::Approved(proof) => proof,
        Standing::NotNeeded(why) => return no((*why).to_owned()),
        Standing::Missing(missing) if missing.unknown.is_empty() => {
            let end = missing.dead_end.iter();
            let end = end.map(|end| format!("{} at {path}:1:1", end.rule));
            let reasons = missing.reasons.iter().cloned();
            return Admission::Unapproved(end.chain(reasons).collect());
        }
        Standing::Missing(missing) => return Admission::Unknown(missing.unknown.clone()),
    };
    if !verdict.unknown.is_empty() {
        return Admission::Unknown(verdict.unknown.clone());
    }
    let (Some(grant), Some(role), Some(access)) = (&request.grant, &request.role, &request.access)
    else {
        return no(format!(
            "What {path} asks for is not declared on the protected branch."
        ));
    };
    // Cannot differ; if it ever did, the proof would be for something else.
    if proof.path() != path || proof.blob() != main_blob || proof.part() != request.part() {
        return no(format!("The approval of {path} is for other content."));
    }
    Admission::Approved(Box::new(Approved {
        proof: proof.clone(),
        grant: grant.clone(),
        role: role.clone(),
        access: access.clone(),
        review_within: review_within(case, role, proof),
    }))
}

/// Break-glass is always reviewed: the role that offers it says how soon.
fn review_within(case: &Case<'_>, role: &RoleRef, proof: &Proof) -> Option<TermLength> {
    if *proof.basis() != Basis::Emergency {
        return None;
    }
    let (_, role) = case.base.role(&role.resource, &role.role)?;
    role.emergency.as_ref().map(|offer| offer.review_within)
}
