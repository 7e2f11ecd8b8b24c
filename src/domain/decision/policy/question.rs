//! A request as the question that it is to the policies.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::approval::Member;
use super::super::super::catalogue::Catalogue;
use super::super::super::ledger::Holding;
use super::super::super::model::{
    Actor, Grant, GrantPath, Instant, Owner, Person, RoleRef, Subject, UserId,
};
use super::super::super::policy::{
    Action, Circumstances, Machine, Principal, Question, Somebody, Wanted, begun_minutes, continues,
};
use super::super::super::pull::{Lookup, Pushers};
use super::super::super::rules::MOST_GRANTS;
use super::super::{Case, Change};
use super::Ask;

/// What is asked of the policies, each of which must be permitted: one question, or two where it is in doubt what the subject has.
/// None where role or subject is not declared, which is a finding of its own, and for a removal.
pub(super) fn of(case: &Case<'_>, ask: &Ask<'_>) -> Vec<Question> {
    let (least, most) = live_roles(case, ask);
    let doubt = (most != least).then_some(most);
    let live = [Some(least), doubt].into_iter().flatten();
    live.filter_map(|live| supposing(case, ask, live)).collect()
}

fn supposing(case: &Case<'_>, ask: &Ask<'_>, live_roles: BTreeSet<RoleRef>) -> Option<Question> {
    let Ask {
        grant,
        role,
        change,
        ..
    } = *ask;
    let resource = case.base.resources.get(&role.resource)?;
    let renewal = matches!(change, Change::Amend(Some(held)) if continues(held, grant));
    let at = case.judged_at();
    let mut circumstances = Circumstances {
        renewal,
        self_requested: self_requested(case, &grant.subject),
        live_roles,
        open_requests: open_requests(case),
        author: case.pull.author.as_ref().map(|a| somebody(case, a)),
        ..Circumstances::of(grant, at)
    };
    if renewal && let Some(first) = first_begin(case, ask) {
        let begin = first.min(circumstances.begin);
        circumstances.total_minutes = begun_minutes(begin, grant.end(at));
    }
    Some(Question {
        action: match (grant.emergency, renewal) {
            (true, _) => Action::Emergency,
            (false, true) => Action::Renew,
            (false, false) => Action::Request,
        },
        principal: principal(case, &grant.subject)?,
        wanted: Wanted::of(resource, &role.role)?,
        circumstances,
    })
}

/// How many older requests the author has open. What is not known is a doubt of its own, before anything is asked.
fn open_requests(case: &Case<'_>) -> i64 {
    match case.around.open_requests {
        Some(Lookup::Found(count)) => i64::try_from(count).unwrap_or(i64::MAX),
        _ => 0,
    }
}

/// Whether `member` may approve what `request` asks.
pub(super) fn of_review(case: &Case<'_>, request: &Question, member: &Member<'_>) -> Question {
    let mut question = request.about(Action::Approve);
    question.circumstances.subject = Some(question.principal);
    question.circumstances.owner_minutes = case.owner_minutes(member.through, member.actor.id);
    question.principal = Principal::Person(somebody(case, member.actor));
    question
}

fn principal(case: &Case<'_>, subject: &Subject) -> Option<Principal> {
    Some(match subject {
        Subject::Person(login) => Principal::Person(declared(case, case.base.people.get(login)?)),
        Subject::Service(name) => Principal::Service(Machine {
            name: name.clone(),
            owner: declared(
                case,
                case.base.people.get(&case.base.services.get(name)?.owner)?,
            ),
        }),
    })
}

fn declared(case: &Case<'_>, person: &Person) -> Somebody {
    Somebody {
        id: person.login.to_string(),
        login: person.login.clone(),
        github_id: person.github_id,
        attributes: person.attributes.clone(),
        teams: teams(case, person.github_id),
    }
}

/// The account, as the person who is declared with its number; a login alone makes nobody that person.
fn somebody(case: &Case<'_>, actor: &Actor) -> Somebody {
    if let Some(person) = by_number(case.base, actor.id) {
        return declared(case, person);
    }
    let taken = case.base.people.contains_key(&actor.login);
    Somebody {
        id: if taken {
            format!("#{}", actor.id)
        } else {
            actor.login.to_string()
        },
        login: actor.login.clone(),
        github_id: actor.id,
        attributes: BTreeMap::new(),
        teams: teams(case, actor.id),
    }
}

fn by_number(base: &Catalogue, id: UserId) -> Option<&Person> {
    base.numbered(id)
}

/// The teams that policies mention and that hold the account.
fn teams(case: &Case<'_>, id: UserId) -> BTreeSet<Owner> {
    let holds = |team: &&Owner| match case.roster.teams.get(*team) {
        Some(Lookup::Found(team)) => team.members.iter().any(|m| m.id == id),
        _ => false,
    };
    let teams = case.base.policies.teams().iter();
    teams.filter(holds).cloned().collect()
}

/// Whether nobody but those who gain by it had a hand in the pull request.
fn self_requested(case: &Case<'_>, subject: &Subject) -> bool {
    let own = case.base.beneficiaries(subject);
    let author = case.pull.author.as_ref();
    author.is_some_and(|a| own.contains(&a.id))
        && matches!(&case.pull.pushers, Pushers::Known(ids) if ids.iter().all(|id| own.contains(id)))
}

/// What the subject has without the file, at the least and at the most. Certain is what the ledger says. What a file of the base
/// gives may have no proof, and what the same pull request asks for beside may be given with it: a policy can forbid because of
/// it, and not permit.
fn live_roles(case: &Case<'_>, ask: &Ask<'_>) -> (BTreeSet<RoleRef>, BTreeSet<RoleRef>) {
    let (at, subject) = (case.judged_at(), &ask.grant.subject);
    let held = case
        .holdings
        .iter()
        .filter(|h| h.subject == *subject && h.ends > at && h.path != *ask.path);
    let certain = held.clone().filter(|h| h.since.is_some());
    let least = certain.map(|h| h.role.clone()).collect();
    let mut most: BTreeSet<RoleRef> = held.map(|h| h.role.clone()).collect();
    // Policies know what is had, and not by which bundle.
    let declared = case.base.plain_roles();
    let over = case.over();
    let lives = |(file, grant): (&GrantPath, &Grant)| {
        file != ask.path && grant.end(at) > at && !over.contains(file)
    };
    most.extend(declared.filter(|role| case.base.giving(subject, role).any(lives)));
    // More than may be asked for at once is denied whatever it is.
    let beside = case.changes.asked().take(MOST_GRANTS);
    let beside = beside.filter(|(_, other)| other.grant.subject == *subject);
    let beside = beside.flat_map(|(path, other)| case.base.gives(path, &other.grant));
    most.extend(beside.filter(|role| role != ask.role));
    (least, most)
}

/// When the unbroken access that the file gives began, by the ledger; `None` where that is not known.
fn first_begin(case: &Case<'_>, ask: &Ask<'_>) -> Option<Instant> {
    let goes_on = |held: &&Holding| {
        held.path == *ask.path && held.subject == ask.grant.subject && held.role == *ask.role
    };
    let held = case.holdings.iter().filter(goes_on);
    held.filter_map(|held| held.since).min()
}
