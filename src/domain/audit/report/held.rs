//! Who held what in the period, and how much of it was standing access.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::TimeDelta;
use serde::Serialize;

use super::super::super::evidence::Kind;
use super::super::super::model::Instant;
use super::super::{Life, Lives, Step};
use super::{Asked, Cited, Listed};

/// How many of those who held something longest are listed.
const LONGEST: usize = 15;

/// What kind of access a grant gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// For a short time.
    JustInTime,
    /// For longer than the limit, renewals included.
    Standing,
    /// By break-glass.
    Emergency,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::JustInTime, Self::Standing, Self::Emergency];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JustInTime => "just in time",
            Self::Standing => "standing",
            Self::Emergency => "break-glass",
        }
    }
}

/// The class of each grant that was given.
pub(super) struct Classes<'l>(HashMap<&'l str, Class>);

impl<'l> Classes<'l> {
    /// A grant that takes over the terms of another is the same access: both are standing where both together are.
    pub(super) fn of(lives: &'l Lives, standing: TimeDelta) -> Self {
        let mut given: Vec<(Instant, &Life)> = lives
            .iter()
            .filter_map(|life| Some((life.given.as_ref()?.at, life)))
            .collect();
        given.sort_by(|a, b| (a.0, &a.1.grant).cmp(&(b.0, &b.1.grant)));
        // Only what came before can be taken over: forged records that replace each other make no circle.
        let mut first: HashMap<&str, &str> = HashMap::new();
        let mut chains: HashMap<&str, (Instant, Option<Instant>)> = HashMap::new();
        for (at, life) in &given {
            let before = life.replaces.as_deref().and_then(|g| first.get(g).copied());
            let root = before.unwrap_or(&life.grant);
            first.insert(&life.grant, root);
            let chain = chains.entry(root).or_insert((*at, Some(*at)));
            chain.1 = chain.1.zip(life.expires).map(|(a, b)| a.max(b));
        }
        let class = |life: &'l Life| {
            let chain = first.get(life.grant.as_str()).and_then(|r| chains.get(r));
            let short = chain.is_some_and(|(begun, until)| {
                until.is_some_and(|until| until - *begun <= standing)
            });
            match (life.emergency, short) {
                (true, _) => Class::Emergency,
                (false, true) => Class::JustInTime,
                (false, false) => Class::Standing,
            }
        };
        let classes = given
            .iter()
            .map(|(_, life)| (life.grant.as_str(), class(life)));
        Self(classes.collect())
    }
}

/// The part of a grant's life that it was held in the period.
pub(super) struct Held<'l> {
    pub(super) life: &'l Life,
    pub(super) class: Class,
    pub(super) from: Instant,
    pub(super) until: Instant,
    /// Whether it goes on after the period, or after the instant of asking.
    pub(super) goes_on: bool,
}

impl<'l> Held<'l> {
    pub(super) fn seconds(&self) -> u64 {
        u64::try_from((self.until - self.from).num_seconds()).unwrap_or(0)
    }

    /// The commit that gave it.
    pub(super) fn begun(&self) -> Option<Cited<'l>> {
        let at = self.life.given.as_ref()?.at;
        let gives = |step: &&Step| matches!(step.kind, Kind::Granted | Kind::Renewed);
        let mut steps = self.life.steps.iter().rev().filter(gives);
        steps.find(|step| step.at == at).map(Cited::from)
    }
}

/// Everything that was held in the period, by when it began.
pub(super) fn held<'l>(lives: &'l Lives, classes: &Classes<'l>, asked: &Asked) -> Vec<Held<'l>> {
    let end = asked.end();
    let one = |life: &'l Life| {
        let given = life.given.as_ref()?.at;
        let ended = life.ended.as_ref().map(|ended| ended.at);
        let (from, until) = (given.max(asked.from), ended.unwrap_or(end).min(end));
        let class = classes.0.get(life.grant.as_str())?;
        let overlaps = given < end && ended.is_none_or(|ended| ended > asked.from);
        (overlaps && from <= until).then(|| Held {
            life,
            class: *class,
            from,
            until,
            goes_on: ended.is_none_or(|ended| ended > end),
        })
    };
    let mut all: Vec<Held<'l>> = lives.iter().filter_map(one).collect();
    all.sort_by(|a, b| (a.from, &a.life.grant).cmp(&(b.from, &b.life.grant)));
    all
}

/// What there was of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share<'l> {
    /// The class.
    pub class: Class,
    /// How many grants were held in the period.
    pub grants: u64,
    /// By how many people and services.
    pub subjects: u64,
    /// How many seconds all of them together.
    pub held_seconds: u64,
    /// How many are still held at the end.
    pub at_end: u64,
    /// The commits that gave the newest of them.
    pub cited: Listed<Cited<'l>>,
}

/// How long somebody held one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Longest<'l> {
    /// Who: `person <login>` or `service <name>`.
    pub subject: &'l str,
    /// What.
    pub role: &'l str,
    /// How many grants gave it.
    pub grants: u64,
    /// How many seconds it was held by any of them.
    pub held_seconds: u64,
    /// The same in percent of the period up to the instant of asking, rounded down.
    pub percent: u64,
    /// The commits that gave the newest of them.
    pub cited: Listed<Cited<'l>>,
}

/// Standing access beside access that was given just in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing<'l> {
    /// One for each [`Class`].
    pub shares: Vec<Share<'l>>,
    /// Who held one role longest by however many grants: what is asked for again and again is standing access too.
    pub longest: Listed<Longest<'l>>,
}

impl<'l> Standing<'l> {
    pub(super) fn of(all: &[Held<'l>], asked: &Asked) -> Self {
        let share = |class: Class| {
            let these: Vec<&Held<'l>> = all.iter().filter(|held| held.class == class).collect();
            let subjects: BTreeSet<&str> = these.iter().map(|h| h.life.subject.as_str()).collect();
            Share {
                class,
                grants: these.len() as u64,
                subjects: subjects.len() as u64,
                held_seconds: these.iter().map(|held| held.seconds()).sum(),
                at_end: these.iter().filter(|held| held.goes_on).count() as u64,
                cited: newest(&these),
            }
        };
        Self {
            shares: Class::ALL.map(share).into(),
            longest: longest(all, asked),
        }
    }
}

/// The commits that gave the newest of `these`, which come by when they began.
pub(super) fn newest<'l>(these: &[&Held<'l>]) -> Listed<Cited<'l>> {
    let cited: Vec<Cited<'l>> = these.iter().filter_map(|held| held.begun()).collect();
    Listed::newest(cited.into_iter())
}

/// The same subject and role.
pub(super) type Pairs<'l, 'h> = BTreeMap<(&'l str, &'l str), Vec<&'h Held<'l>>>;

/// What was held, by subject and role.
pub(super) fn pairs<'l, 'h>(all: impl Iterator<Item = &'h Held<'l>>) -> Pairs<'l, 'h> {
    let mut pairs = Pairs::new();
    for held in all {
        let key = (held.life.subject.as_str(), held.life.role.as_str());
        pairs.entry(key).or_default().push(held);
    }
    pairs
}

/// How many seconds any of `these` was held; they come by when they began.
pub(super) fn union_seconds(these: &[&Held<'_>]) -> u64 {
    let mut total = TimeDelta::zero();
    let mut reached: Option<Instant> = None;
    for held in these {
        let from = reached.map_or(held.from, |reached| reached.max(held.from));
        total += (held.until - from).max(TimeDelta::zero());
        reached = reached.max(Some(held.until));
    }
    u64::try_from(total.num_seconds()).unwrap_or(0)
}

fn longest<'l>(all: &[Held<'l>], asked: &Asked) -> Listed<Longest<'l>> {
    let period = u64::try_from((asked.end() - asked.from).num_seconds()).unwrap_or(0);
    let one = |((subject, role), these): ((&'l str, &'l str), Vec<&Held<'l>>)| {
        let held_seconds = union_seconds(&these);
        Longest {
            subject,
            role,
            grants: these.len() as u64,
            held_seconds,
            percent: (held_seconds * 100).checked_div(period).unwrap_or(0),
            cited: newest(&these),
        }
    };
    let mut found: Vec<Longest<'l>> = pairs(all.iter()).into_iter().map(one).collect();
    found.sort_by(|a, b| {
        let key = |one: &Longest<'l>| (std::cmp::Reverse(one.held_seconds), one.subject, one.role);
        key(a).cmp(&key(b))
    });
    Listed::first(found, LONGEST)
}
