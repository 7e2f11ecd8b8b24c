//! One past request under everything that git leaves open.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Decision, Merged, Turn};
use crate::domain::catalogue::{Catalogue, role_at};
use crate::domain::model::{Grant, GrantPath, Login, Owner, RoleRef, Subject, Term};
use crate::domain::policy::{
    Action, Answer, Circumstances, Machine, Principal, Question, Somebody, Wanted, begun_minutes,
};
use crate::domain::rules;

/// Up to this many teams, every combination is tried; of more: none, all, each alone, and all but each.
const TEAMS: usize = 4;

/// One way in which it may have been.
#[derive(Debug, Clone)]
struct Reading {
    /// The teams that the subject was in, of those that policies name.
    teams: BTreeSet<Owner>,
    /// Whether the subject asked for themselves.
    self_requested: bool,
}

/// Everything that may have been.
pub(super) struct Readings(Vec<Reading>);

impl Readings {
    pub(super) fn of(base: &Catalogue, head: &Catalogue) -> Self {
        let teams: BTreeSet<&Owner> = [base, head]
            .into_iter()
            .flat_map(|tree| tree.policies.teams())
            .collect();
        let teams: Vec<&Owner> = teams.into_iter().collect();
        let reading = |teams: &BTreeSet<Owner>, self_requested| Reading {
            teams: teams.clone(),
            self_requested,
        };
        let memberships = memberships(&teams);
        let readings = memberships
            .iter()
            .flat_map(|teams| [reading(teams, true), reading(teams, false)]);
        Self(readings.collect())
    }

    /// How the decision changes, and because of what; `None` if it does not, however it was.
    pub(super) fn compare(
        &self,
        merged: &Merged,
        [base, head]: &[Side<'_>; 2],
    ) -> Option<(Turn, Vec<String>)> {
        let (before, after) = (base.refused(merged), head.refused(merged));
        if !before.is_empty() && !after.is_empty() {
            return None;
        }
        let mut turns = BTreeSet::new();
        let mut because = BTreeSet::new();
        for reading in &self.0 {
            let (old, old_why) = base.decide(merged, &before, reading);
            let (new, new_why) = head.decide(merged, &after, reading);
            turns.insert((old, new));
            if old != new {
                // What refuses or approves is on the side that does so.
                let denies = old == Decision::Denied;
                because.extend(if denies { old_why } else { new_why });
            }
        }
        let because: Vec<String> = because.into_iter().collect();
        match turns.iter().collect::<Vec<_>>()[..] {
            [(old, new)] if old != new => Some((Turn::Turns(*old, *new), because)),
            _ if turns.iter().all(|(old, new)| old == new) => None,
            _ => Some((Turn::CannotTell, because)),
        }
    }
}

fn memberships(teams: &[&Owner]) -> Vec<BTreeSet<Owner>> {
    let some = |chosen: &dyn Fn(usize) -> bool| -> BTreeSet<Owner> {
        let chosen = teams.iter().enumerate().filter(|(i, _)| chosen(*i));
        chosen.map(|(_, team)| (*team).clone()).collect()
    };
    if teams.len() <= TEAMS {
        return (0..1_usize << teams.len())
            .map(|bits| some(&|i| bits >> i & 1 == 1))
            .collect();
    }
    let each = (0..teams.len()).flat_map(|one| [some(&|i| i == one), some(&|i| i != one)]);
    [some(&|_| false), some(&|_| true)]
        .into_iter()
        .chain(each)
        .collect()
}

/// The roles, owners and policies of one side, with the people of each time.
pub(super) struct Side<'a> {
    files: &'a Catalogue,
    /// By the identity of the catalogue of the time.
    then: HashMap<usize, Catalogue>,
}

impl<'a> Side<'a> {
    /// `other` is the other side: who is declared on both and otherwise on each is taken from this one, and not from the past.
    pub(super) fn new(files: &'a Catalogue, other: &Catalogue, past: &[Merged]) -> Self {
        let people = files.people.iter();
        let people: Vec<_> = people
            .filter(|(login, person)| other.people.get(*login).is_some_and(|p| p != *person))
            .collect();
        let services = files.services.iter();
        let services: Vec<_> = services
            .filter(|(name, service)| other.services.get(*name).is_some_and(|s| s != *service))
            .collect();
        let of_then = |declared: &Catalogue| {
            let mut tree = files.with_people_of(declared);
            let changed = people.iter().map(|(k, v)| ((*k).clone(), (*v).clone()));
            tree.people.extend(changed);
            let changed = services.iter().map(|(k, v)| ((*k).clone(), (*v).clone()));
            tree.services.extend(changed);
            tree
        };
        let mut then = HashMap::new();
        for merged in past {
            then.entry(identity(merged))
                .or_insert_with(|| of_then(&merged.declared));
        }
        Self { files, then }
    }

    fn tree(&self, merged: &Merged) -> &Catalogue {
        let known = self.then.get(&identity(merged));
        known.unwrap_or(self.files)
    }

    /// The rules that refuse it.
    fn refused(&self, merged: &Merged) -> Vec<&'static str> {
        let others = |role: &RoleRef| -> Vec<(&GrantPath, &Grant)> {
            let held = live(merged);
            held.filter(|(path, grant)| role_at(path, grant) == *role)
                .collect()
        };
        let asked = (&merged.path, &*merged.grant);
        let found = rules::check_request(self.tree(merged), asked, others, merged.at);
        let rules: BTreeSet<&str> = found.iter().map(|finding| finding.rule).collect();
        rules.into_iter().collect()
    }

    /// The decision if it was as in `reading`, and what makes it so.
    fn decide(
        &self,
        merged: &Merged,
        refused: &[&'static str],
        reading: &Reading,
    ) -> (Decision, Vec<String>) {
        if !refused.is_empty() {
            let rules = refused.iter().map(ToString::to_string);
            return (Decision::Denied, rules.collect());
        }
        let Some(question) = question(self.tree(merged), merged, reading) else {
            // Not reached: without a subject or a role, a rule refuses it.
            return (Decision::Denied, Vec::new());
        };
        let policies = &self.files.policies;
        match policies.ask(&question) {
            Answer::Permitted(_) => {}
            Answer::Forbidden(by) => {
                return (Decision::Denied, by.into_iter().map(|p| p.id).collect());
            }
            Answer::NotPermitted => {
                return (Decision::Denied, vec!["no policy permits it".to_owned()]);
            }
            Answer::Unusable(why) => return (Decision::Denied, vec![why]),
        }
        match policies.ask(&question.about(Action::AutoApprove)) {
            Answer::Permitted(by) => (Decision::Automatic, by.into_iter().map(|p| p.id).collect()),
            _ => (Decision::Allowed, Vec::new()),
        }
    }
}

/// Which catalogue a request has: many share one, which is made once.
fn identity(merged: &Merged) -> usize {
    Arc::as_ptr(&merged.declared).addr()
}

/// What else its subject held, without what had ended by its own words.
fn live(merged: &Merged) -> impl Iterator<Item = (&GrantPath, &Grant)> {
    let over = |grant: &Grant| matches!(grant.term, Term::Expires(end) if end <= merged.at);
    let held = merged.held.iter().map(|(path, grant)| (path, &**grant));
    held.filter(move |(_, grant)| !over(grant))
}

fn question(tree: &Catalogue, merged: &Merged, reading: &Reading) -> Option<Question> {
    let grant = &*merged.grant;
    let resource = tree.resources.get(&merged.path.resource())?;
    let principal = principal(tree, &grant.subject, reading)?;
    let action = match (grant.emergency, merged.renews()) {
        (true, _) => Action::Emergency,
        (false, true) => Action::Renew,
        (false, false) => Action::Request,
    };
    let asker = match &principal {
        Principal::Person(person) => person.clone(),
        Principal::Service(service) => service.owner.clone(),
    };
    let since = merged.since.unwrap_or_else(|| grant.begin(merged.at));
    let circumstances = Circumstances {
        total_minutes: begun_minutes(since, grant.end(merged.at)),
        self_requested: reading.self_requested,
        live_roles: live(merged)
            .map(|(path, grant)| role_at(path, grant))
            .collect(),
        renewal: merged.renews(),
        author: reading.self_requested.then_some(asker),
        ..Circumstances::of(grant, merged.at)
    };
    Some(Question {
        action,
        principal,
        wanted: Wanted::of(resource, &grant.role)?,
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
