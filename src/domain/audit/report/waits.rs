//! How long people waited for access, and how long access stayed after it was due to end.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

use super::super::super::evidence::Kind;
use super::super::super::model::Instant;
use super::super::{Given, Life, Population, Step};
use super::spread::{Sample, Spread};
use super::{Asked, Cited, Listed};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Where buckets end that people fill.
const PEOPLE: [u64; 9] = [
    SECOND,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    HOUR,
    4 * HOUR,
    DAY,
    3 * DAY,
    7 * DAY,
];

/// Where buckets end that the service fills.
const SERVICE: [u64; 7] = [100, 500, SECOND, 5 * SECOND, MINUTE, 10 * MINUTE, HOUR];

/// Lives that a wait does not count, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotCounted {
    /// Why.
    pub why: &'static str,
    /// How many.
    pub count: u64,
}

/// How long something took, over all grants of the period to which it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait<'l> {
    /// A word for it.
    pub name: &'static str,
    /// From what to what, in words.
    pub what: &'static str,
    /// The spread; `None` where it never happened.
    pub spread: Option<Spread<'l>>,
    /// Whatever is not in it.
    pub not_counted: Vec<NotCounted>,
}

/// Where a life stands with regard to a wait.
enum Took<'l> {
    This(TimeDelta, &'l Step),
    NotCounted(&'static str),
}

const UNKNOWN: &str = "the evidence does not tell one of the two instants";

fn wait<'l>(
    (name, what): (&'static str, &'static str),
    edges: &[u64],
    lives: impl Iterator<Item = &'l Life>,
    took: impl Fn(&'l Life) -> Took<'l>,
) -> Wait<'l> {
    let (mut samples, mut not) = (Vec::new(), BTreeMap::<&'static str, u64>::new());
    for life in lives {
        match took(life) {
            Took::This(time, step) => samples.push(Sample {
                ms: u64::try_from(time.num_milliseconds()).unwrap_or(0),
                grant: &life.grant,
                cited: Cited::from(step),
            }),
            Took::NotCounted(why) => *not.entry(why).or_default() += 1,
        }
    }
    let not_counted = not
        .into_iter()
        .map(|(why, count)| NotCounted { why, count });
    Wait {
        name,
        what,
        spread: Spread::of(samples, edges),
        not_counted: not_counted.collect(),
    }
}

/// The lives to which something happened in the period.
fn during<'p, 'l: 'p>(
    population: &'p Population<'l>,
    asked: &'p Asked,
    when: impl Fn(&Life) -> Option<Instant> + 'p,
) -> impl Iterator<Item = &'l Life> {
    let within = move |life: &&'l Life| when(life).is_some_and(|at| asked.within(at));
    population.grants.iter().copied().filter(within)
}

fn given_at(life: &Life) -> Option<Instant> {
    life.given.as_ref().map(|given| given.at)
}

fn ended_at(life: &Life) -> Option<Instant> {
    life.ended.as_ref().map(|ended| ended.at)
}

/// The step that gave access, and how.
fn giving(life: &Life) -> Option<(&Given, &Step)> {
    let given = life.given.as_ref()?;
    let gives = |step: &&Step| matches!(step.kind, Kind::Granted | Kind::Renewed);
    Some((given, life.steps.iter().rev().find(gives)?))
}

/// How long people waited, from each step to the next and in all.
pub(super) fn access<'l>(population: &Population<'l>, asked: &Asked) -> Vec<Wait<'l>> {
    let all = || during(population, asked, given_at);
    vec![
        wait(
            (
                "asked-to-usable",
                "From the request to access that was read back",
            ),
            &PEOPLE,
            all(),
            asked_to_usable,
        ),
        wait(
            (
                "asked-to-approved",
                "From the request to the last approval that it took",
            ),
            &PEOPLE,
            all(),
            asked_to_approved,
        ),
        wait(
            (
                "due-to-usable",
                "From the merge, or the beginning of the term, to access that was read back: the share of Hallpass",
            ),
            &SERVICE,
            all(),
            due_to_usable,
        ),
    ]
}

fn asked_to_usable(life: &Life) -> Took<'_> {
    let Some((given, step)) = giving(life) else {
        return Took::NotCounted(UNKNOWN);
    };
    if step.kind == Kind::Renewed || life.replaces.is_some() {
        return Took::NotCounted("renewals: the access was there already");
    }
    let scheduled = life.starts.zip(life.merged_at);
    if scheduled.is_some_and(|(starts, merged)| starts > merged) {
        return Took::NotCounted("scheduled: whoever asked chose a later beginning");
    }
    match life.requested_at {
        Some(asked) => Took::This(given.at - asked, step),
        None => Took::NotCounted(UNKNOWN),
    }
}

fn asked_to_approved(life: &Life) -> Took<'_> {
    if life.policy.is_some() {
        return Took::NotCounted("a policy approved by itself");
    }
    if life.emergency && life.approvals.is_empty() {
        return Took::NotCounted("break-glass: nobody had to approve");
    }
    let Some((asked, approved)) = life.requested_at.zip(life.approved_at) else {
        return Took::NotCounted(UNKNOWN);
    };
    let approval = life.steps.iter().rev().find(|s| s.kind == Kind::Approved);
    match approval.or_else(|| giving(life).map(|(_, step)| step)) {
        Some(step) => Took::This(approved - asked, step),
        None => Took::NotCounted(UNKNOWN),
    }
}

fn due_to_usable(life: &Life) -> Took<'_> {
    match giving(life).and_then(|(given, step)| Some((given.at - given.due?, step))) {
        Some((time, step)) => Took::This(time, step),
        None => Took::NotCounted(UNKNOWN),
    }
}

fn removed_after_due(life: &Life) -> Took<'_> {
    let step = life.steps.iter().rev().find(|s| s.kind == Kind::Revoked);
    let (Some(ended), Some(step)) = (&life.ended, step) else {
        return Took::NotCounted("ended before anything was given");
    };
    if !ended.retained_by.is_empty() {
        return Took::NotCounted("another live grant gave the same: nothing was taken away");
    }
    match ended.due {
        Some(due) => Took::This(ended.at - due, step),
        None => Took::NotCounted(UNKNOWN),
    }
}

/// How long after it was due access was taken away.
pub(super) fn removal<'l>(population: &Population<'l>, asked: &Asked) -> Wait<'l> {
    let late = u64::try_from(asked.late.num_milliseconds()).unwrap_or(0);
    // What is late stands in buckets of its own.
    let mut edges = SERVICE.to_vec();
    edges.extend((late > 0).then_some(late));
    edges.sort_unstable();
    edges.dedup();
    wait(
        (
            "due-to-removed",
            "From the instant at which access was due to end to the read-back that it is gone",
        ),
        &edges,
        during(population, asked, ended_at),
        removed_after_due,
    )
}

/// How access ended for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ending<'l> {
    /// The reason: a word. May be hostile.
    pub cause: &'l str,
    /// How many grants ended so.
    pub count: u64,
    /// How many of them later than promised.
    pub late: u64,
    /// Half of them took no longer; `None` where nothing was taken away.
    pub p50_ms: Option<u64>,
    /// None took longer.
    pub max_ms: Option<u64>,
    /// The commits that tell of the newest.
    pub cited: Listed<Cited<'l>>,
}

/// How access ended, by reason; the most frequent first.
pub(super) fn endings<'l>(population: &Population<'l>, asked: &Asked) -> Vec<Ending<'l>> {
    let mut causes: BTreeMap<&str, Vec<&'l Life>> = BTreeMap::new();
    for life in during(population, asked, ended_at) {
        let cause = life.ended.as_ref().map_or("", |ended| ended.cause.as_str());
        causes.entry(cause).or_default().push(life);
    }
    let mut found: Vec<Ending<'l>> = causes
        .into_iter()
        .map(|(cause, lives)| ending(cause, &lives, asked))
        .collect();
    found.sort_by(|a, b| (b.count, a.cause).cmp(&(a.count, b.cause)));
    found
}

fn ending<'l>(cause: &'l str, lives: &[&'l Life], asked: &Asked) -> Ending<'l> {
    let spread = wait(("", ""), &[], lives.iter().copied(), removed_after_due).spread;
    let ends = |step: &&Step| matches!(step.kind, Kind::Revoked | Kind::Cancelled);
    let mut cited: Vec<Cited<'l>> = lives
        .iter()
        .filter_map(|life| life.steps.iter().rev().find(ends).map(Cited::from))
        .collect();
    cited.sort_unstable();
    Ending {
        cause,
        count: lives.len() as u64,
        late: lives
            .iter()
            .filter(|l| l.removed_late(asked.late).is_some())
            .count() as u64,
        p50_ms: spread.as_ref().map(|spread| spread.p50_ms),
        max_ms: spread.as_ref().map(|spread| spread.max_ms),
        cited: Listed::newest(cited.into_iter()),
    }
}
