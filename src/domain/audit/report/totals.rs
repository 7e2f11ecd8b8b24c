//! The period in numbers.

use serde::Serialize;

use super::super::super::evidence::Kind;
use super::super::Population;
use super::held::{Class, Held};
use super::told::{Entry, Told};
use super::{Cited, Listed};

/// A number, with the commits that show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure<'l> {
    /// What is counted.
    pub what: &'static str,
    /// The kinds of records that are counted: `git log` lists them all. Empty where it is not records that are counted.
    pub kinds: &'static [Kind],
    /// How many, and the newest.
    pub commits: Listed<Cited<'l>>,
}

/// The period in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Totals<'l> {
    /// How many records the period has.
    pub records: u64,
    /// How many grants were asked for, given, held or ended in it.
    pub grants: u64,
    /// How many were held at its beginning.
    pub held_at_start: u64,
    /// How many are held at its end.
    pub held_at_end: u64,
    /// What says that a list of those grants is the same: see [`Population::digest`].
    pub digest: String,
    /// What happened, by kind.
    pub figures: Vec<Figure<'l>>,
}

/// What is counted: the kinds of records, and what it is called.
const COUNTED: [(&str, &[Kind]); 9] = [
    ("requests, and changes of them", &[Kind::Requested]),
    ("times a request was refused as it stood", &[Kind::Denied]),
    ("approvals that counted", &[Kind::Approved]),
    ("grants given", &[Kind::Granted]),
    ("renewals given", &[Kind::Renewed]),
    ("grants ended", &[Kind::Revoked]),
    ("grants cancelled before they began", &[Kind::Cancelled]),
    ("grants blocked: held from elsewhere", &[Kind::Blocked]),
    (
        "merged without proof, and not given",
        &[Kind::MergedWithoutProof],
    ),
];

impl<'l> Totals<'l> {
    pub(super) fn of(told: &Told<'l>, population: &Population<'l>, all: &[Held<'l>]) -> Self {
        let counted = |(what, kinds)| figure(what, kinds, told.of_kinds(kinds));
        let mut figures: Vec<Figure<'l>> = COUNTED.into_iter().map(counted).collect();
        let given = told.of_kinds(&[Kind::Granted]);
        let broken = given.filter(|entry| entry.life.is_some_and(|life| life.emergency));
        figures.push(figure("times the glass was broken", &[], broken));
        let approved = told.of_kinds(&[Kind::Granted, Kind::Renewed]);
        let by_policy = approved.filter(|e| e.life.is_some_and(|life| life.policy.is_some()));
        figures.push(figure(
            "grants that a policy approved by itself",
            &[],
            by_policy,
        ));
        let standing: Vec<&Held<'l>> = all.iter().filter(|h| h.class == Class::Standing).collect();
        figures.push(Figure {
            what: "grants held that are standing access",
            kinds: &[],
            commits: super::held::newest(&standing),
        });
        Self {
            records: told.count(),
            grants: population.grants.len() as u64,
            held_at_start: population.held_at_start,
            held_at_end: population.held_at_end,
            digest: population.digest.clone(),
            figures,
        }
    }
}

fn figure<'l, 't>(
    what: &'static str,
    kinds: &'static [Kind],
    entries: impl Iterator<Item = &'t Entry<'l>>,
) -> Figure<'l>
where
    'l: 't,
{
    let cited: Vec<Cited<'l>> = entries.map(|entry| entry.cited).collect();
    Figure {
        what,
        kinds,
        commits: Listed::newest(cited.into_iter()),
    }
}
