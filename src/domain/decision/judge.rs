//! The judgement itself: findings, requests, control files, outcome.

use std::collections::BTreeSet;

use super::super::approval::{Bench, Beneficiary, Demand, Missing, prove, prove_emergency, weigh};
use super::super::catalogue::{Catalogue, ChangedFile, File, REGULAR_FILE};
use super::super::finding::{Finding, Severity};
use super::super::impact::Impact;
use super::super::model::{Grant, GrantPath, RepoPath, Subject, UserId};
use super::super::pull::Pushers;
use super::super::rules;
use super::scope::Scope;
use super::{Case, Change, Control, Outcome, Request, Standing, Verdict};
use super::{conflicts, doubt, eligible, emergency, membership, policy, renewal};

const NEEDS_NOBODY_TIDY: &str =
    "Its access has ended already; removing the file only tidies up, so nobody needs to approve.";
const NEEDS_NOBODY_OWN: &str =
    "Whoever holds access, is accountable for it or owns it may end it without further approval.";
const PUSHED_BY_OTHERS: &str = "Somebody who may not end this access pushed to the pull request, or may have; so an owner must agree.";
const AGREED: &str = "An owner of the file approved the removal.";

/// Judges a pull request, whatever its state.
pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let scope = Scope::of(case.changes);
    let mut verdict = Verdict {
        pull: case.pull.number,
        head: case.pull.head.clone(),
        outcome: Outcome::NotConcerned,
        findings: Vec::new(),
        unknown: Vec::new(),
        requests: Vec::new(),
        control: Vec::new(),
        sign_off: None,
        impact: Impact::default(),
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
        rules::check_change_knowing(case.base, case.changes, case.judged_at(), &case.over());
    verdict.requests = requests(case, &scope);
    verdict.sign_off = emergency::sign_off(case, &scope);
    if verdict.sign_off.is_none() {
        verdict.control = scope.control.iter().map(|c| control(case, c)).collect();
    }
    for beyond_the_tree in [
        renewal::findings,
        membership::findings,
        eligible::findings,
        conflicts::findings,
        emergency::findings,
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
    let asked = super::asked(case.changes);
    let request = |(path, change): &(GrantPath, &ChangedFile)| request(case, &asked, path, change);
    scope.grants.iter().filter_map(request).collect()
}

/// What a change of one grant file asks for; `None` if it changes nothing.
fn request(
    case: &Case<'_>,
    asked: &Catalogue,
    path: &GrantPath,
    change: &ChangedFile,
) -> Option<Request> {
    let today = || case.base.grants.get(path).map(|d| Grant::clone(&d.grant));
    let (kind, file) = match (&change.before, &change.after) {
        (None, None) => return None,
        (None, Some(file)) => (Change::Add, Some(file)),
        (Some(_), Some(file)) => (Change::Amend(today()), Some(file)),
        (Some((blob, _)), None) if case.ended.get(path) == Some(blob) => (Change::Tidy, None),
        (Some(_), None) => (Change::Remove(today()), None),
    };
    let grant = file
        .and_then(|_| asked.grants.get(path))
        .map(|d| Grant::clone(&d.grant));
    let approval = match (&kind, file) {
        (Change::Add | Change::Amend(_), Some(file)) => {
            approval(case, (path, file), grant.as_ref(), &kind)
        }
        (Change::Tidy, _) => Standing::NotNeeded(NEEDS_NOBODY_TIDY),
        (Change::Remove(held), _) => removal(case, path, held.as_ref()),
        // Not reached: a file that is added or amended is there.
        (Change::Add | Change::Amend(_), None) => return None,
    };
    Some(Request {
        path: path.clone(),
        access: grant.as_ref().and_then(|g| case.base.access(path, g)),
        blob: file.map(|f| f.blob.clone()),
        change: kind,
        approval,
        grant,
    })
}

fn approval(
    case: &Case<'_>,
    (path, file): (&GrantPath, &File),
    grant: Option<&Grant>,
    change: &Change,
) -> Standing {
    let role = grant.and_then(|g| Some((g, case.base.role(&path.resource(), &g.role)?.1)));
    let Some((grant, role)) = role.filter(|_| file.mode == REGULAR_FILE) else {
        return Standing::Missing(Missing {
            needed: 1,
            reasons: vec![
                "It cannot be approved before what is wrong with the file is repaired.".to_owned(),
            ],
            ..Missing::default()
        });
    };
    let own = grant.emergency && matches!(grant.subject, Subject::Person(_));
    let offer = role.emergency.as_ref().filter(|_| own);
    let demand = Demand {
        needed: offer.map_or(role.approvals, |offer| offer.approvals),
        rationale: role.rationale,
        max_age: Some(role.approval_max_age),
        beneficiary: Beneficiary::of(case.base, path, grant),
        refused: policy::refused(case, path, grant, change),
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

/// Ending access early: the holder or an owner may ask for it; anybody else needs one owner who agrees.
fn removal(case: &Case<'_>, path: &GrantPath, held: Option<&Grant>) -> Standing {
    let file = path.as_repo_path();
    let bench = Bench::of(case, &file, &Beneficiary::default());
    let holders = held.map(|grant| case.base.beneficiaries(&grant.subject));
    let may_end = |id: UserId| holders.iter().any(|h| h.contains(&id)) || bench.seats(id);
    let author_may = case.pull.author.as_ref().is_some_and(|a| may_end(a.id));
    // Others can push to the branch: what it says is the author's word only if nobody else had a hand in it.
    let all_may =
        matches!(&case.pull.pushers, Pushers::Known(ids) if ids.iter().all(|id| may_end(*id)));
    if author_may && all_may {
        return Standing::NotNeeded(NEEDS_NOBODY_OWN);
    }
    match weigh(case, &file, None, &Demand::default()) {
        Ok(_) => Standing::NotNeeded(AGREED),
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
    let record = verdict.sign_off.as_ref().map(|s| s.emergency.record_path());
    if let (Some(path), Some(Err(missing))) = (
        &record,
        verdict.sign_off.as_ref().map(|s| s.signed.as_ref()),
    ) {
        paths.push((path.as_str(), missing));
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
        .or(record.as_ref().map(|path| path.as_str()));
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
