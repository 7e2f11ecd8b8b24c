//! The judgement itself: findings, requests, control files, outcome.

use std::collections::BTreeSet;

use super::super::approval::{
    Bench, Beneficiary, Demand, Missing, prove, prove_emergency, weigh, weigh_removal_of_part,
};
use super::super::catalogue::{ChangedFile, File, REGULAR_FILE, role_at};
use super::super::finding::{Finding, Severity};
use super::super::model::{Grant, GrantPath, RepoPath, RoleRef, Subject, UserId};
use super::super::pull::Pushers;
use super::super::rules;
use super::policy::Ask;
use super::scope::{Scope, tidies};
use super::{Case, Change, Control, Outcome, Request, Standing, Verdict};
use super::{conflicts, doubt, eligible, emergency, membership, policy, release, renewal, round};

const NEEDS_NOBODY_TIDY: &str =
    "Its access has ended already; removing the file only tidies up, so nobody needs to approve.";
const NEEDS_NOBODY_OWN: &str =
    "Whoever holds access, is accountable for it or owns it may end it without further approval.";
const PUSHED_BY_OTHERS: &str = "Somebody who may not end this access pushed to the pull request, or may have; so an owner must agree.";
const AGREED: &str = "An owner of the file approved the removal.";
const AGREED_FOR_PART: &str = "An owner of one of its roles approved the removal.";

/// Judges a pull request, whatever its state.
pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let scope = Scope::of(&case.changes);
    let mut verdict = Verdict {
        pull: case.pull.number,
        head: case.pull.head.clone(),
        outcome: Outcome::NotConcerned,
        findings: Vec::new(),
        unknown: Vec::new(),
        requests: Vec::new(),
        control: Vec::new(),
        sign_off: None,
        release: None,
        answered: None,
        impact: None,
        notes: Vec::new(),
        only_grants: scope.only_grants(),
    };
    if scope.is_empty() {
        return verdict;
    }
    if case.pull.base_branch != case.protected_branch {
        if let Some(path) = scope.in_access() {
            verdict.findings.push(wrong_branch(case, path));
            verdict.outcome = Outcome::Denied;
        }
        return verdict;
    }
    verdict.findings =
        rules::check_change_knowing(case.base, &case.changes, case.judged_at(), &case.over());
    verdict.requests = requests(case, &scope);
    verdict.sign_off = emergency::sign_off(case, &scope);
    verdict.release = release::letting_go(case, &scope);
    verdict.answered = round::answered(case, &scope);
    if verdict.record().is_none() {
        verdict.control = scope.control.iter().map(|c| control(case, c)).collect();
    }
    for beyond_the_tree in [
        renewal::findings,
        membership::findings,
        eligible::findings,
        conflicts::findings,
        emergency::findings,
        release::findings,
        round::findings,
        policy::findings,
    ] {
        let found = beyond_the_tree(case, &verdict.requests);
        verdict.findings.extend(found);
    }
    policy::approve_automatically(case, &mut verdict);
    own_findings(case, &mut verdict);
    verdict.findings.sort();
    verdict.findings.dedup();
    verdict.unknown = doubt::unknowns(case, &verdict.requests);
    verdict.outcome = outcome(&verdict);
    verdict
}

fn outcome(verdict: &Verdict) -> Outcome {
    if verdict.errors().next().is_some() {
        return Outcome::Denied;
    }
    let of_approvals = verdict.missing().flat_map(|m| &m.unknown);
    let unknown: BTreeSet<&String> = verdict.unknown.iter().chain(of_approvals).collect();
    if !unknown.is_empty() {
        return Outcome::Uncertain(unknown.into_iter().cloned().collect());
    }
    if verdict.missing().next().is_some() {
        Outcome::Waiting
    } else {
        Outcome::Approved
    }
}

fn requests(case: &Case<'_>, scope: &Scope<'_>) -> Vec<Request> {
    let of_file = |(path, change): &(GrantPath, &ChangedFile)| of_file(case, path, change);
    scope.grants.iter().flat_map(of_file).collect()
}

/// What a change of one grant file asks for: one role, the parts of a bundle, or nothing if it changes nothing.
fn of_file(case: &Case<'_>, path: &GrantPath, change: &ChangedFile) -> Vec<Request> {
    let today = || case.base.grants.get(path).map(|d| Grant::clone(&d.grant));
    let (kind, file) = match (&change.before, &change.after) {
        (None, None) => return Vec::new(),
        (None, Some(file)) => (Change::Add, Some(file)),
        (Some(_), Some(file)) => (Change::Amend(today()), Some(file)),
        (Some(_), None) if tidies(change, case.ended) => (Change::Tidy, None),
        (Some(_), None) => (Change::Remove(today()), None),
    };
    let grant = file
        .and_then(|_| case.changes.asked_at(path))
        .map(|d| Grant::clone(&d.grant));
    let whole = Request {
        path: path.clone(),
        role: None,
        bundle: None,
        access: None,
        blob: file.map(|f| f.blob.clone()),
        approval: match &kind {
            Change::Tidy => Standing::NotNeeded(NEEDS_NOBODY_TIDY),
            Change::Remove(held) => removal(case, path, held.as_ref()),
            Change::Add | Change::Amend(_) => Standing::Missing(not_before_repair()),
        },
        change: kind,
        receivers: Vec::new(),
        grant,
    };
    match (&whole.grant, file) {
        (Some(grant), Some(file)) => {
            let roles = case.base.gives(path, grant).into_iter();
            roles
                .map(|role| of_role(case, &whole, file, role))
                .collect()
        }
        _ => vec![whole],
    }
}

/// What the file that is to become `whole` asks for with `role`, its own or one that it bundles.
fn of_role(case: &Case<'_>, whole: &Request, file: &File, role: RoleRef) -> Request {
    let mut request = whole.clone();
    let Some(grant) = &whole.grant else {
        return request;
    };
    let own = role_at(&whole.path, grant);
    request.access = case.base.access_to(&role, &grant.subject);
    request.receivers = case.base.beneficiaries(&grant.subject);
    request.bundle = (role != own).then_some(own);
    let ask = Ask {
        path: &whole.path,
        grant,
        role: &role,
        change: &whole.change,
    };
    request.approval = approval(case, &ask, file, request.bundle.as_ref());
    request.role = Some(role);
    request
}

fn not_before_repair() -> Missing {
    Missing {
        needed: 1,
        reasons: vec![
            "It cannot be approved before what is wrong with the file is repaired.".to_owned(),
        ],
        ..Missing::default()
    }
}

fn approval(case: &Case<'_>, ask: &Ask<'_>, file: &File, bundle: Option<&RoleRef>) -> Standing {
    let (path, grant) = (ask.path, ask.grant);
    let declared = |role: &RoleRef| Some(case.base.role(&role.resource, &role.role)?.1);
    let role = declared(ask.role).filter(|role| role.bundled().is_none());
    let Some(role) = role.filter(|_| file.mode == REGULAR_FILE) else {
        return Standing::Missing(not_before_repair());
    };
    // A bundle can only be stricter than its parts; and nobody breaks the glass with one.
    let with = bundle.and_then(declared);
    let max_age = with.map_or(role.approval_max_age, |w| w.approval_max_age);
    let own = grant.emergency && bundle.is_none() && matches!(grant.subject, Subject::Person(_));
    let offer = role.emergency.as_ref().filter(|_| own);
    let demand = Demand {
        needed: offer.map_or(role.approvals, |offer| offer.approvals),
        rationale: role.rationale || with.is_some_and(|with| with.rationale),
        part: bundle.map(|_| ask.role.clone()),
        max_age: Some(role.approval_max_age.min(max_age)),
        beneficiary: Beneficiary::of_role(case.base, ask.role, &grant.subject),
        refused: policy::refused(case, ask),
    };
    let person = case.base.github_id(&grant.subject);
    let proved = match offer {
        Some(_) => prove_emergency(case, path, &file.blob, &demand, person),
        None => prove(case, path, &file.blob, &demand),
    };
    match proved {
        Ok(proof) => Standing::Approved(proof),
        Err(missing) => Standing::Missing(*missing),
    }
}

/// Ending access early: the holder or an owner, of the file or of a part, may ask for it; anybody else needs one of
/// these owners who agrees.
fn removal(case: &Case<'_>, path: &GrantPath, held: Option<&Grant>) -> Standing {
    let file = path.as_repo_path();
    let nobody = Beneficiary::default();
    let bench = Bench::of(case, &file, &nobody);
    let parts = held.and_then(|grant| case.base.parts(&role_at(path, grant)));
    let of_part = |part: &RoleRef| Bench::of_part(case, path, part, &nobody);
    let parts = || parts.into_iter().flatten();
    let of_parts: Vec<Bench<'_>> = parts().map(of_part).collect();
    let holders = held.map(|grant| case.base.beneficiaries(&grant.subject));
    let may_end = |id: UserId| {
        holders.iter().any(|h| h.contains(&id))
            || bench.seats(id)
            || of_parts.iter().any(|bench| bench.seats(id))
    };
    let author_may = case.pull.author.as_ref().is_some_and(|a| may_end(a.id));
    // Others can push to the branch: what it says is the author's word only if nobody else had a hand in it.
    let all_may =
        matches!(&case.pull.pushers, Pushers::Known(ids) if ids.iter().all(|id| may_end(*id)));
    if author_may && all_may {
        return Standing::NotNeeded(NEEDS_NOBODY_OWN);
    }
    let agrees = |part: &RoleRef| weigh_removal_of_part(case, path, part).is_ok();
    match weigh(case, &file, None, &Demand::default()) {
        Ok(_) => Standing::NotNeeded(AGREED),
        Err(_) if parts().any(agrees) => Standing::NotNeeded(AGREED_FOR_PART),
        Err(mut missing) => {
            if author_may {
                missing.reasons.push(PUSHED_BY_OTHERS.to_owned());
            }
            Standing::Missing(*missing)
        }
    }
}

/// Changing who decides takes one owner, who need not stand aside for receiving anything.
fn control(case: &Case<'_>, change: &ChangedFile) -> Control {
    let content = change.after.as_ref().map(|f| &f.blob);
    let missing = match RepoPath::new(&change.path) {
        Ok(path) => weigh(case, &path, content, &Demand::default())
            .err()
            .map(|m| *m),
        Err(_) => Some(Missing {
            needed: 1,
            reasons: vec!["Its path is not one that anybody could own.".to_owned()],
            ..Missing::default()
        }),
    };
    Control {
        path: change.path.clone(),
        missing,
    }
}

/// What only a pull request can have wrong, beside its files.
fn own_findings(case: &Case<'_>, verdict: &mut Verdict) {
    let mut found = Vec::new();
    let grants = verdict
        .requests
        .iter()
        .map(|r| (r.path.as_str(), &r.approval));
    let mut paths: Vec<(&str, &Missing)> = grants
        .filter_map(|(path, approval)| match approval {
            Standing::Missing(missing) => Some((path, missing)),
            Standing::Approved(_) | Standing::NotNeeded(_) => None,
        })
        .collect();
    let control = verdict.control.iter();
    paths.extend(control.filter_map(|c| Some((c.path.as_str(), c.missing.as_ref()?))));
    let record = verdict.record();
    if let Some((path, missing)) = &record {
        paths.extend(missing.iter().map(|m| (path.as_str(), *m)));
    }
    for (path, missing) in paths {
        let Some(end) = &missing.dead_end else {
            continue;
        };
        // The rules may have said so already, with a better place.
        let known = |f: &Finding| f.path == path && f.rule == end.rule;
        if !verdict.findings.iter().any(known) {
            found.push(error(path, end.rule, end.message.clone(), &end.help));
        }
    }
    let needs_author = verdict
        .requests
        .iter()
        .find(|r| r.change != Change::Tidy)
        .map(|r| r.path.as_str())
        .or_else(|| verdict.control.first().map(|c| c.path.as_str()))
        .or(record.as_ref().map(|(path, _)| path.as_str()));
    if let (None, Some(path)) = (&case.pull.author, needs_author) {
        found.push(author_unknown(path));
    }
    verdict.findings.extend(found);
}

fn author_unknown(path: &str) -> Finding {
    error(
        path,
        "author-unknown",
        "the account that opened this pull request no longer exists, so nobody can tell whether an approver is somebody else".to_owned(),
        "Open the same change as a new pull request.",
    )
}

fn wrong_branch(case: &Case<'_>, path: &str) -> Finding {
    error(
        path,
        "wrong-branch",
        format!(
            "the pull request wants to change another branch than `{}`; access is granted only from there",
            case.protected_branch
        ),
        "Change the base of the pull request with the \"Edit\" button beside its title.",
    )
}

fn error(path: &str, rule: &'static str, message: String, help: &str) -> Finding {
    Finding {
        path: path.to_owned(),
        line: 1,
        column: 1,
        rule,
        severity: Severity::Error,
        message,
        help: help.to_owned(),
    }
}
