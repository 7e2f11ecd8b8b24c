//! Who held what when, resource by resource.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::Serialize;

use super::super::super::model::Instant;
use super::held::{Class, Held, newest, pairs, union_seconds};
use super::{Asked, Cited, Listed};

/// How many resources are told of.
const RESOURCES: usize = 200;
/// Of how many the lanes are told too.
const DRAWN: usize = 20;
/// How many lanes of one resource are told.
const LANES: usize = 10;
/// How many bars one lane has at the most.
const BARS: usize = 60;

/// Into how many equal parts the period is cut to tell how much was held at once.
pub const SLOTS: usize = 120;

/// Some time during which one subject held one role, by one grant or by several without a gap that could be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bar<'l> {
    /// From when.
    pub from: Instant,
    /// Until when.
    pub until: Instant,
    /// Whether it goes on after that.
    pub goes_on: bool,
    /// The class of the grants.
    pub class: Class,
    /// By how many grants.
    pub grants: u64,
    /// How many seconds of that it was held by any of them: less than all, where gaps could not be seen.
    pub held_seconds: u64,
    /// How many of them were removed later than promised, or not at all.
    pub late: u64,
    /// The name of the first.
    pub grant: &'l str,
    /// The commit that gave the first.
    pub begun: Option<Cited<'l>>,
}

/// One subject and role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lane<'l> {
    /// Who: `person <login>` or `service <name>`.
    pub subject: &'l str,
    /// What.
    pub role: &'l str,
    /// How many grants gave it.
    pub grants: u64,
    /// How many seconds it was held by any of them.
    pub held_seconds: u64,
    /// When it was held.
    pub bars: Vec<Bar<'l>>,
    /// The commits that gave the newest grants.
    pub cited: Listed<Cited<'l>>,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource<'l> {
    /// Its name.
    pub name: &'l str,
    /// How many grants on it were held in the period.
    pub grants: u64,
    /// By how many people and services.
    pub subjects: u64,
    /// How many of the grants are standing access.
    pub standing: u64,
    /// How many were given by break-glass.
    pub emergencies: u64,
    /// How many were removed later than promised, or not at all.
    pub late: u64,
    /// How many are still held at the end.
    pub at_end: u64,
    /// The most that were held at once, in each of [`SLOTS`] equal parts of the period.
    pub at_once: Vec<u64>,
    /// Each subject and role, longest held first. None is listed where more important resources fill the report.
    pub lanes: Listed<Lane<'l>>,
    /// How many grants the lanes that are listed do not show.
    pub grants_left_out: u64,
    /// The commits that gave the newest grants.
    pub cited: Listed<Cited<'l>>,
}

/// Every resource on which something was held, most grants first.
pub(super) fn resources<'l>(all: &[Held<'l>], asked: &Asked) -> Listed<Resource<'l>> {
    let mut by_name: BTreeMap<&str, Vec<&Held<'l>>> = BTreeMap::new();
    for held in all {
        by_name.entry(held.life.resource()).or_default().push(held);
    }
    let mut found: Vec<(&str, Vec<&Held<'l>>)> = by_name.into_iter().collect();
    found.sort_by_key(|(name, held)| (Reverse(held.len()), *name));
    let Listed { of, listed } = Listed::first(found, RESOURCES);
    let listed = listed.into_iter().enumerate().map(|(place, (name, held))| {
        let most = if place < DRAWN { LANES } else { 0 };
        resource(name, &held, most, asked)
    });
    Listed {
        of,
        listed: listed.collect(),
    }
}

fn resource<'l>(name: &'l str, all: &[&Held<'l>], most: usize, asked: &Asked) -> Resource<'l> {
    let count = |what: &dyn Fn(&Held<'l>) -> bool| all.iter().filter(|h| what(h)).count() as u64;
    let subjects: BTreeSet<&str> = all.iter().map(|h| h.life.subject.as_str()).collect();
    let lanes = lanes(all, most, asked);
    let shown: u64 = lanes.listed.iter().map(|lane| lane.grants).sum();
    Resource {
        name,
        grants: all.len() as u64,
        subjects: subjects.len() as u64,
        standing: count(&|held| held.class == Class::Standing),
        emergencies: count(&|held| held.class == Class::Emergency),
        late: count(&|held| held.is_late(asked)),
        at_end: count(&|held| held.goes_on),
        at_once: at_once(all, asked),
        grants_left_out: all.len() as u64 - shown,
        lanes,
        cited: newest(all),
    }
}

impl Held<'_> {
    fn is_late(&self, asked: &Asked) -> bool {
        self.life.removed_late(asked.late).is_some()
            || self.life.not_removed(asked.late, asked.now).is_some()
    }
}

fn lanes<'l>(all: &[&Held<'l>], most: usize, asked: &Asked) -> Listed<Lane<'l>> {
    let pairs = pairs(all.iter().copied());
    let mut found: Vec<(u64, (&str, &str), Vec<&Held<'l>>)> = pairs
        .into_iter()
        .map(|(pair, held)| (union_seconds(&held), pair, held))
        .collect();
    found.sort_by_key(|(seconds, pair, _)| (Reverse(*seconds), *pair));
    let Listed { of, listed } = Listed::first(found, most);
    let lane =
        |(held_seconds, (subject, role), held): (u64, (&'l str, &'l str), Vec<&Held<'l>>)| Lane {
            subject,
            role,
            grants: held.len() as u64,
            held_seconds,
            bars: bars(&held, asked),
            cited: newest(&held),
        };
    Listed {
        of,
        listed: listed.into_iter().map(lane).collect(),
    }
}

/// What was held, with what no eye could tell apart put together; with wider gaps too, until it is no more than [`BARS`].
fn bars<'l>(all: &[&Held<'l>], asked: &Asked) -> Vec<Bar<'l>> {
    let mut gap = (asked.to - asked.from) / 400;
    loop {
        let found = joined(all, gap, asked);
        if found.len() <= BARS || gap > asked.to - asked.from {
            return found;
        }
        gap = gap * 2 + TimeDelta::milliseconds(1);
    }
}

fn joined<'l>(all: &[&Held<'l>], gap: TimeDelta, asked: &Asked) -> Vec<Bar<'l>> {
    let mut found: Vec<Bar<'l>> = Vec::new();
    // Each class has its own bars: what is standing must not hide a break-glass.
    for class in Class::ALL {
        let first = found.len();
        for held in all.iter().filter(|held| held.class == class) {
            let late = u64::from(held.is_late(asked));
            let since = |from: Instant| {
                let held = (held.until - from.max(held.from)).num_seconds();
                u64::try_from(held).unwrap_or(0)
            };
            match found[first..].last_mut() {
                Some(bar) if held.from - bar.until <= gap => {
                    bar.held_seconds += since(bar.until);
                    bar.until = bar.until.max(held.until);
                    bar.goes_on |= held.goes_on;
                    bar.grants += 1;
                    bar.late += late;
                }
                _ => found.push(Bar {
                    from: held.from,
                    until: held.until,
                    goes_on: held.goes_on,
                    class,
                    grants: 1,
                    held_seconds: since(held.from),
                    late,
                    grant: &held.life.grant,
                    begun: held.begun(),
                }),
            }
        }
    }
    found
}

/// The most that were held at once in each part of the period.
fn at_once(all: &[&Held<'_>], asked: &Asked) -> Vec<u64> {
    let period = (asked.to - asked.from).num_milliseconds().max(1);
    let slot = |at: Instant| {
        let into = (at - asked.from).num_milliseconds();
        let slot = i128::from(into) * SLOTS as i128 / i128::from(period);
        usize::try_from(slot).unwrap_or(0).min(SLOTS - 1)
    };
    // At one instant, what ends goes before what begins: a renewal is not two.
    let mut events: Vec<(Instant, i64)> = all
        .iter()
        .flat_map(|held| {
            let ends = (!held.goes_on).then_some((held.until, -1));
            [Some((held.from, 1)), ends].into_iter().flatten()
        })
        .collect();
    events.sort_unstable();
    let end = asked.end();
    let (mut most, mut now, mut events) =
        (vec![0_u64; SLOTS], 0_i64, events.into_iter().peekable());
    for (place, most) in most.iter_mut().enumerate() {
        // What began before this part, and goes on in it.
        let mut highest = now;
        while let Some((_, change)) = events.next_if(|(at, _)| slot(*at) <= place) {
            now += change;
            highest = highest.max(now);
        }
        let begins = asked.from + (asked.to - asked.from) * place as i32 / SLOTS as i32;
        if begins < end || place == 0 {
            *most = u64::try_from(highest).unwrap_or(0);
        }
    }
    most
}
