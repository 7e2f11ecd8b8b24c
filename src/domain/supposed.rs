//! A request of which only the files are known, as a question to the policies.
//!
//! Who asked, what else they had open and who is in which team is in no file. Each [`Reading`] supposes one answer; what is the same in every reading is true
//! however it was.

use std::collections::BTreeSet;

use super::catalogue::Catalogue;
use super::model::{Grant, GrantPath, Instant, Login, Owner, RoleRef, Subject};
use super::policy::{
    Action, Answer, Circumstances, Guardrails, Machine, Principal, Question, Somebody, Wanted,
    begun_minutes,
};

/// Up to this many teams, every combination is supposed; of more: none, all, each alone, and all but each.
const TEAMS: usize = 4;

/// A request, as its files tell it.
#[derive(Debug, Clone)]
pub(super) struct Supposed<'a> {
    /// The file.
    pub path: &'a GrantPath,
    /// What it asks for.
    pub grant: &'a Grant,
    /// When.
    pub at: Instant,
    /// Since when the same file gives the same, where it does.
    pub since: Option<Instant>,
    /// What else the subject has.
    pub live_roles: BTreeSet<RoleRef>,
}

/// One way in which it may have been.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The teams that the subject is in, of those that policies mention.
    teams: BTreeSet<Owner>,
    /// Whether the subject asks for themselves.
    self_requested: bool,
    /// How many older requests of whoever asks are open, where a policy counts them.
    open_requests: i64,
}

/// So many open requests that no cap lets another pass.
const MANY: i64 = 1_000;

/// Every way that makes a difference to the policies of `trees`.
pub(super) fn readings(trees: [&Catalogue; 2]) -> Vec<Reading> {
    let teams = trees.into_iter().flat_map(|tree| tree.policies.teams());
    let teams: Vec<&Owner> = teams.collect::<BTreeSet<_>>().into_iter().collect();
    let counted = trees.iter().any(|tree| tree.policies.counts_requests());
    let open: &[i64] = if counted { &[0, MANY] } else { &[0] };
    let mut readings = Vec::new();
    for teams in memberships(&teams) {
        for self_requested in [true, false] {
            let reading = |open_requests: &i64| Reading {
                teams: teams.clone(),
                self_requested,
                open_requests: *open_requests,
            };
            readings.extend(open.iter().map(reading));
        }
    }
    readings
}

/// How many bytes of policies are asked at most about all that one change would do: some seconds of work.
const WORK: usize = 256 * 1024 * 1024;

/// The least that a question costs, in bytes of policies.
const LEAST: usize = 4 * 1024;

/// Of how many requests it is worked out what the policies of `trees` say to them, in all `readings`: at least one.
pub(super) fn affordable(trees: [&Catalogue; 2], readings: &[Reading]) -> usize {
    let bytes = trees.map(|tree| tree.policies.bytes()).into_iter().max();
    let each = bytes.unwrap_or_default().max(LEAST) * readings.len().max(1);
    (WORK / each).max(1)
}

/// Every way of being in `teams` that is supposed.
pub(super) fn memberships(teams: &[&Owner]) -> Vec<BTreeSet<Owner>> {
    let some = |chosen: &dyn Fn(usize) -> bool| -> BTreeSet<Owner> {
        let chosen = teams.iter().enumerate().filter(|(i, _)| chosen(*i));
        chosen.map(|(_, team)| (*team).clone()).collect()
    };
    if teams.len() <= TEAMS {
        let every = 0..1_usize << teams.len();
        return every.map(|bits| some(&|i| bits >> i & 1 == 1)).collect();
    }
    let each = (0..teams.len()).flat_map(|one| [some(&|i| i == one), some(&|i| i != one)]);
    let extremes = [some(&|_| false), some(&|_| true)];
    extremes.into_iter().chain(each).collect()
}

/// What policies say to a supposed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Says {
    /// No; which of them say so, or why none says yes.
    No(Vec<String>),
    /// Owners may approve it.
    Yes,
    /// These approve it without anybody.
    Automatic(Vec<String>),
}

/// What the policies of `tree` say to `supposed`, if it is as in `reading`: to a bundle, the least of what they say to its parts.
/// `None` where subject or role is not declared.
pub(super) fn ask(tree: &Catalogue, supposed: &Supposed<'_>, reading: &Reading) -> Option<Says> {
    let policies = &tree.policies;
    let mut automatic = BTreeSet::new();
    let (mut refused, mut asked) = (Vec::new(), false);
    for question in questions(tree, supposed, reading)? {
        match refusal(policies, &question) {
            Some(why) => refused.extend(why),
            None => match policies.ask(&question.about(Action::AutoApprove)) {
                Answer::Permitted(by) => automatic.extend(by.into_iter().map(|p| p.id)),
                _ => asked = true,
            },
        }
    }
    Some(match (refused.is_empty(), asked) {
        (false, _) => Says::No(refused),
        (true, true) => Says::Yes,
        (true, false) => Says::Automatic(automatic.into_iter().collect()),
    })
}

/// Why the policies of `tree` refuse `supposed`, if it is as in `reading`; `None` where they do not.
pub(super) fn refused(
    tree: &Catalogue,
    supposed: &Supposed<'_>,
    reading: &Reading,
) -> Option<Vec<String>> {
    let questions = questions(tree, supposed, reading)?.into_iter();
    let refusals = questions.filter_map(|question| refusal(&tree.policies, &question));
    let refusals: Vec<String> = refusals.flatten().collect();
    (!refusals.is_empty()).then_some(refusals)
}

fn refusal(policies: &Guardrails, question: &Question) -> Option<Vec<String>> {
    match policies.ask(question) {
        Answer::Permitted(_) => None,
        Answer::Forbidden(by) => Some(by.into_iter().map(|p| p.id).collect()),
        Answer::NotPermitted => Some(vec!["no policy permits it".to_owned()]),
        Answer::Unusable(why) => Some(vec![why]),
    }
}

/// One question for each role that it gives.
fn questions(
    tree: &Catalogue,
    supposed: &Supposed<'_>,
    reading: &Reading,
) -> Option<Vec<Question>> {
    let roles = tree.gives(supposed.path, supposed.grant).into_iter();
    roles
        .map(|role| question(tree, supposed, &role, reading))
        .collect()
}

fn question(
    tree: &Catalogue,
    supposed: &Supposed<'_>,
    role: &RoleRef,
    reading: &Reading,
) -> Option<Question> {
    let Supposed { grant, at, .. } = *supposed;
    let resource = tree.resources.get(&role.resource)?;
    let principal = principal(tree, &grant.subject, reading)?;
    let action = match (grant.emergency, supposed.since) {
        (true, _) => Action::Emergency,
        (false, Some(_)) => Action::Renew,
        (false, None) => Action::Request,
    };
    let asker = match &principal {
        Principal::Person(person) => person.clone(),
        Principal::Service(service) => service.owner.clone(),
    };
    let begin = grant.begin(at);
    let since = supposed.since.map_or(begin, |since| since.min(begin));
    let circumstances = Circumstances {
        total_minutes: begun_minutes(since, grant.end(at)),
        self_requested: reading.self_requested,
        live_roles: supposed.live_roles.clone(),
        open_requests: reading.open_requests,
        renewal: supposed.since.is_some(),
        author: reading.self_requested.then_some(asker),
        ..Circumstances::of(grant, at)
    };
    Some(Question {
        action,
        principal,
        wanted: Wanted::of(resource, &role.role)?,
        circumstances,
    })
}

fn principal(tree: &Catalogue, subject: &Subject, reading: &Reading) -> Option<Principal> {
    let somebody = |login: &Login| {
        let person = tree.people.get(login)?;
        Some(Somebody {
            id: login.to_string(),
            login: login.clone(),
            github_id: person.github_id,
            attributes: person.attributes.clone(),
            teams: reading.teams.clone(),
        })
    };
    match subject {
        Subject::Person(login) => somebody(login).map(Principal::Person),
        Subject::Service(name) => Some(Principal::Service(Machine {
            name: name.clone(),
            owner: somebody(&tree.services.get(name)?.owner)?,
        })),
    }
}
