//! What of the access that was given outside is taken away, and what of it the brake holds.

use std::collections::{BTreeMap, BTreeSet};

use super::super::brake;
use super::super::model::{DriftMode, ResourceName};
use super::super::release::{Brake, Whose};
use super::{Difference, Drift, Known, Survey, Watched};

/// What is to become of access that was given outside.
#[derive(Debug, Default)]
pub struct Enforcing<'a> {
    /// May go.
    pub take: Vec<(&'a Watched, &'a Known)>,
    /// For each brake: what it holds, and everything that is inferred.
    pub brakes: BTreeMap<Whose, (BTreeSet<String>, BTreeSet<String>)>,
}

/// The brakes that are concerned: of every resource that enforces, where its connection answered.
pub fn enforced(watched: &[Watched], survey: &Survey) -> BTreeSet<Whose> {
    let asked = enforcing(watched, survey);
    asked.flat_map(|(one, _)| brakes_of(one)).collect()
}

fn enforcing<'a>(
    watched: &'a [Watched],
    survey: &'a Survey,
) -> impl Iterator<Item = (&'a Watched, usize)> {
    let enforced = watched.iter().filter(|w| w.mode == DriftMode::Enforce);
    enforced.filter_map(|w| {
        let key = (w.connection.clone(), w.text());
        Some((w, *survey.asked.get(&key)?))
    })
}

fn brakes_of(watched: &Watched) -> impl Iterator<Item = Whose> {
    let resources: BTreeSet<ResourceName> =
        watched.roles.iter().map(|r| r.resource.clone()).collect();
    let connection = watched.connection.clone();
    resources
        .into_iter()
        .map(move |resource| Whose::outside(&connection, resource))
}

fn member(drift: &Drift) -> String {
    format!("{} has {}", drift.account, drift.entitlement)
}

/// Decides. What two owners of every resource concerned released goes; of the rest only as much as is believed, for each entitlement
/// and for each resource.
pub fn enforce<'a>(
    watched: &'a [Watched],
    survey: &'a Survey,
    known: &'a [Known],
    brakes: &[(Whose, Brake)],
) -> Enforcing<'a> {
    let released = |whose: &Whose, member: &String| {
        let brake = brakes.iter().find(|(other, _)| other == whose);
        brake.is_some_and(|(_, brake)| brake.released.contains(member))
    };
    let outside = |one: &Watched| -> Vec<&'a Known> {
        let (connection, text) = (&one.connection, one.text());
        let here = known.iter().filter(|k| {
            k.drift.difference == Difference::GivenOutside
                && k.drift.connection == *connection
                && k.drift.entitlement == text
        });
        here.collect()
    };
    let open = |one: &Watched| -> usize {
        let outside = outside(one);
        let open = outside.iter().filter(|k| {
            let member = member(&k.drift);
            !brakes_of(one).all(|whose| released(&whose, &member))
        });
        open.count()
    };
    let mut going: BTreeMap<Whose, (usize, usize)> = BTreeMap::new();
    for (one, holders) in enforcing(watched, survey) {
        for whose in brakes_of(one) {
            let sum = going.entry(whose).or_default();
            *sum = (sum.0 + open(one), sum.1 + holders);
        }
    }
    let mut found = Enforcing::default();
    for (one, holders) in enforcing(watched, survey) {
        let here = brake::holds(open(one), holders);
        let held = here
            || brakes_of(one).any(|w| {
                going
                    .get(&w)
                    .is_some_and(|(open, all)| brake::holds(*open, *all))
            });
        for known in outside(one) {
            let member = member(&known.drift);
            let mut free = true;
            for whose in brakes_of(one) {
                let let_go = released(&whose, &member);
                free &= let_go;
                let (back, inferred) = found.brakes.entry(whose).or_default();
                inferred.insert(member.clone());
                if held && !let_go {
                    back.insert(member.clone());
                }
            }
            if free || !held {
                found.take.push((one, known));
            }
        }
        for whose in brakes_of(one) {
            found.brakes.entry(whose).or_default();
        }
    }
    found
}
