//! The organisation's guardrails, asked about each request: what they forbid, whom they refuse as an approver, and what they
//! approve by themselves.
//!
//! Removals are never asked about: ending access is always permitted.

mod question;

use std::collections::{BTreeMap, BTreeSet};

use super::super::approval::{self, Bench, Beneficiary, Member, Refusal};
use super::super::finding::{Finding, Place};
use super::super::model::{Grant, GrantPath, Owner, RoleRef, UserId};
use super::super::policy::{Action, Answer, PolicyRef, Principal, Question};
use super::super::pull::Lookup;
use super::super::rules;
use super::super::tenure::ALWAYS;
use super::{Case, Change, Request, Standing, Verdict};

/// What the policies forbid, or do not permit.
pub(super) fn findings(case: &Case<'_>, requests: &[Request]) -> Vec<Finding> {
    let policies = &case.base.policies;
    // Broken policies have their finding at each file already; what is not known yet is no answer.
    if policies.is_default() || policies.broken().is_some() || !doubts(case).is_empty() {
        return Vec::new();
    }
    let mut found = absent_teams(case, requests);
    for request in requests.iter().filter(|r| asks(r)) {
        let place = case.changes.places(&request.path).role;
        let ask = Ask::of(request);
        for question in ask.iter().flat_map(|ask| question::of(case, ask)) {
            found.extend(told((request, place), &question, policies.ask(&question)));
        }
    }
    found
}

/// What must be known before the policies can be asked, and is not.
pub(super) fn unknowns(case: &Case<'_>, requests: &[Request]) -> Vec<String> {
    if requests.iter().any(asks) {
        doubts(case)
    } else {
        Vec::new()
    }
}

fn asks(request: &Request) -> bool {
    matches!(request.change, Change::Add | Change::Amend(_))
}

/// One role that a file asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) path: &'a GrantPath,
    pub(super) grant: &'a Grant,
    /// The file's role, or one that it bundles.
    pub(super) role: &'a RoleRef,
    pub(super) change: &'a Change,
}

impl<'a> Ask<'a> {
    fn of(request: &'a Request) -> Option<Self> {
        Some(Self {
            path: &request.path,
            grant: request.grant.as_ref()?,
            role: request.role.as_ref()?,
            change: &request.change,
        })
    }
}

fn told((request, role): (&Request, Place), question: &Question, answer: Answer) -> Vec<Finding> {
    let at = |place, rule, message: String, help: String| {
        Finding::error(rule, request.path.as_str(), place, message, help)
    };
    let error = |rule, message, help| at(Place::START, rule, message, help);
    match answer {
        Answer::Permitted(_) => Vec::new(),
        Answer::Forbidden(policies) => policies
            .into_iter()
            .map(|p| at(role, "policy-forbids", message(&p), where_it_stands(&p)))
            .collect(),
        Answer::NotPermitted => vec![error(
            "policy-permits-not",
            format!(
                "no policy permits `{}` of {} for {}",
                question.action.as_str(),
                question.wanted.role_ref(),
                subject(&question.principal),
            ),
            "Ask for another role or term, or let security add a `permit` in access/policies/ in a pull request of its own."
                .to_owned(),
        )],
        Answer::Unusable(why) => vec![error(
            "policy-error",
            why,
            "What cannot be judged is not granted: let security correct the policy in a pull request of its own."
                .to_owned(),
        )],
    }
}

fn subject(principal: &Principal) -> String {
    match principal {
        Principal::Person(person) => person.login.to_string(),
        Principal::Service(service) => format!("service {}", service.name),
    }
}

fn message(policy: &PolicyRef) -> String {
    let unsaid = || format!("the policy {:?} forbids it", policy.id);
    policy.message.clone().unwrap_or_else(unsaid)
}

fn where_it_stands(policy: &PolicyRef) -> String {
    format!(
        "The policy `{}` says so, on line {} of {}. Change the request so that it no longer applies, or ask the owners of that file.",
        policy.id, policy.line, policy.file
    )
}

/// A sentence for each thing that policies ask about and that could not be looked up: a team, how many requests are open.
fn doubts(case: &Case<'_>) -> Vec<String> {
    let policies = &case.base.policies;
    let teams = policies.teams().iter();
    let doubt = |team: &Owner| match case.roster.teams.get(team) {
        Some(Lookup::Found(_) | Lookup::Absent) => None,
        Some(Lookup::Failed(why)) => Some(format!(
            "Who is in {team}, which a policy mentions, could not be looked up: {why}"
        )),
        None => Some(format!(
            "Who is in {team}, which a policy mentions, was not looked up."
        )),
    };
    let uncounted = match &case.around.open_requests {
        Some(Lookup::Failed(why)) if policies.counts_requests() => Some(format!(
            "How many older requests the author has open, which a policy asks, is not known: {why}"
        )),
        _ => None,
    };
    teams.filter_map(doubt).chain(uncounted).collect()
}

/// A team that does not exist has no members, so that a policy about it says something else than what it was written for.
fn absent_teams(case: &Case<'_>, requests: &[Request]) -> Vec<Finding> {
    let absent = |team: &&Owner| case.roster.teams.get(*team) == Some(&Lookup::Absent);
    let teams: Vec<&Owner> = case.base.policies.teams().iter().filter(absent).collect();
    let finding = |request: &Request, team: &Owner| {
        Finding::error(
            "policy-unknown-team",
            request.path.as_str(),
            Place::START,
            format!("a policy mentions {team}, which does not exist or is not visible here"),
            "Let security correct the policy, or let Hallpass see the team.",
        )
    };
    let requests = requests.iter().filter(|r| asks(r));
    requests
        .flat_map(|r| teams.iter().map(move |team| finding(r, team)))
        .collect()
}

/// Owners whom a policy refuses as approvers of what is asked for, and why, after "The approval does not count:".
pub(super) fn refused(case: &Case<'_>, ask: &Ask<'_>) -> BTreeMap<UserId, Refusal> {
    let policies = &case.base.policies;
    if !policies.asks_reviewers() || !doubts(case).is_empty() {
        return BTreeMap::new();
    }
    let asked = question::of(case, ask);
    // What is denied has its finding; who could not approve it either would only hide why.
    let permitted = |q: &Question| matches!(policies.ask(q), Answer::Permitted(_));
    if !asked.iter().all(permitted) {
        return BTreeMap::new();
    }
    let why = |question: &Question, member: &Member<'_>| match policies.ask(question) {
        Answer::Permitted(_) => None,
        Answer::Forbidden(by) => Some(because(&by)),
        Answer::NotPermitted => Some(format!(
            "no policy permits @{} to approve this",
            member.actor.login
        )),
        Answer::Unusable(why) => Some(why),
    };
    let refused = |member: &Member<'_>| {
        let asked = asked.iter().map(|q| question::of_review(case, q, member));
        let mut asked: Vec<Question> = asked.collect();
        let said = asked.iter().find_map(|q| why(q, member))?;
        for question in &mut asked {
            question.circumstances.owner_minutes = ALWAYS;
        }
        let refusal = match policies.seasons_owners() && asked.iter().all(permitted) {
            true => Refusal::Passing(said),
            false => Refusal::Lasting(said),
        };
        Some((member.actor.id, refusal))
    };
    // The folder of a role that is asked for by itself is the file's own.
    let owned = ask.path.within(&ask.role.resource).as_repo_path();
    let bench = Bench::of(case, &owned, &Beneficiary::default());
    bench.members().filter_map(refused).collect()
}

fn because(policies: &[PolicyRef]) -> String {
    let one = |p: &PolicyRef| {
        let says = p.message.as_deref().map(|m| m.trim_end_matches('.'));
        format!(
            "{} (policy {})",
            says.unwrap_or("a policy forbids it"),
            p.id
        )
    };
    policies.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Lets policies approve what nobody has approved yet, where nothing speaks against it that a person is to look at.
pub(super) fn approve_automatically(case: &Case<'_>, verdict: &mut Verdict) {
    if !doubts(case).is_empty() {
        return;
    }
    let findings = verdict.findings.iter();
    let weighty: BTreeSet<&str> = findings
        .filter(|f| rules::is_for_a_person(f))
        .map(|f| f.path.as_str())
        .collect();
    for request in &mut verdict.requests {
        if weighty.contains(request.path.as_str()) {
            continue;
        }
        if !matches!(request.approval, Standing::Missing(_)) {
            continue;
        }
        let Some(ask) = Ask::of(request).filter(|_| asks(request)) else {
            continue;
        };
        let policies = permitting(case, &question::of(case, &ask));
        let renews = request.change != Change::Add;
        let speaks = |p: &&PolicyRef| !renews || case.base.policies.speaks_of_renewal(&p.id);
        let proof = policies
            .iter()
            .find(speaks)
            .and_then(|policy| approval::prove_by_policy(case, request, policy));
        if let Some(proof) = proof {
            request.approval = Standing::Approved(proof);
        }
    }
}

/// The policies that approve by themselves whatever is in doubt; none where another forbids.
fn permitting(case: &Case<'_>, questions: &[Question]) -> Vec<PolicyRef> {
    let approving =
        |question: &Question| match case.base.policies.ask(&question.about(Action::AutoApprove)) {
            Answer::Permitted(policies) => policies,
            Answer::Forbidden(_) | Answer::NotPermitted | Answer::Unusable(_) => Vec::new(),
        };
    let mut all = questions.iter().map(approving);
    let first = all.next().unwrap_or_default();
    all.fold(first, |mut so_far, policies| {
        so_far.retain(|policy| policies.contains(policy));
        so_far
    })
}
