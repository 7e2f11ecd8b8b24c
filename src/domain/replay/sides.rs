//! One past request, judged by the files of either side, under everything that git leaves open.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Decision, Merged, Turn};
use crate::domain::catalogue::Catalogue;
use crate::domain::model::{Grant, GrantPath, RoleRef, Term};
use crate::domain::rules;
use crate::domain::supposed::{Reading, Says, Supposed, ask};

/// How the decision changes, and because of what; `None` if it does not, however it was.
pub(super) fn compare(
    merged: &Merged,
    [base, head]: &[Side<'_>; 2],
    readings: &[Reading],
) -> Option<(Turn, Vec<String>)> {
    let (before, after) = (base.refused(merged), head.refused(merged));
    if !before.is_empty() && !after.is_empty() {
        return None;
    }
    let (mut turns, mut because) = (BTreeSet::new(), BTreeSet::new());
    for reading in readings {
        let (old, old_why) = base.decide(merged, &before, reading);
        let (new, new_why) = head.decide(merged, &after, reading);
        turns.insert((old, new));
        if old != new {
            // What is told is the more particular of the two: why it is denied, else why nobody is needed.
            let of_old = old == Decision::Denied || new == Decision::Allowed;
            because.extend(if of_old { old_why } else { new_why });
        }
    }
    let because: Vec<String> = because.into_iter().collect();
    match turns.iter().collect::<Vec<_>>()[..] {
        _ if turns.iter().all(|(old, new)| old == new) => None,
        [(old, new)] => Some((Turn::Turns(*old, *new), because)),
        _ => Some((Turn::CannotTell, because)),
    }
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
        self.then.get(&identity(merged)).unwrap_or(self.files)
    }

    /// The rules that refuse it.
    fn refused(&self, merged: &Merged) -> Vec<&'static str> {
        let others = |role: &RoleRef| -> Vec<(&GrantPath, &Grant)> {
            let held = live(merged);
            held.filter(|(path, grant)| self.tree(merged).gives(path, grant).contains(role))
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
        let begin = merged.grant.begin(merged.at);
        let supposed = Supposed {
            path: &merged.path,
            grant: &merged.grant,
            at: merged.at,
            since: merged.renews().then(|| merged.since.unwrap_or(begin)),
            live_roles: live(merged)
                .flat_map(|(path, g)| self.tree(merged).gives(path, g))
                .collect(),
        };
        match ask(self.tree(merged), &supposed, reading) {
            Some(Says::Yes) => (Decision::Allowed, Vec::new()),
            Some(Says::Automatic(by)) => (Decision::Automatic, by),
            Some(Says::No(why)) => (Decision::Denied, why),
            // Not reached: without a subject or a role, a rule refuses it.
            None => (Decision::Denied, Vec::new()),
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
