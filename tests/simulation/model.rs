//! The reference: what must and must not be, worked out from what happened in the world, by none of the code under test.
//!
//! It knows the example's few roles by heart, and every request's text, because the simulation wrote it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use git2::Oid;
use hallpass::domain::model::Instant;
use hallpass::domain::pull::ReviewState;

use super::hub::{Asked, Hub};
use super::target::Held;

/// A role that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    pub resource: &'static str,
    pub name: &'static str,
    /// At which target.
    pub target: &'static str,
    /// What it is called there.
    pub gives: &'static str,
    /// In minutes.
    pub longest: i64,
    pub approvals: usize,
    /// Whose approval counts.
    pub owners: &'static str,
}

/// Every role.
pub const ROLES: [Role; 4] = [
    Role {
        resource: "db",
        name: "readonly",
        target: "vault",
        gives: "reader",
        longest: 8 * 60,
        approvals: 1,
        owners: "dba",
    },
    Role {
        resource: "db",
        name: "admin",
        target: "vault",
        gives: "admin",
        longest: 2 * 60,
        approvals: 2,
        owners: "dba",
    },
    // Another name for the same access: the set of both holds it.
    Role {
        resource: "db",
        name: "support",
        target: "vault",
        gives: "reader",
        longest: 4 * 60,
        approvals: 1,
        owners: "dba",
    },
    Role {
        resource: "queue",
        name: "consumer",
        target: "bus",
        gives: "consumer",
        longest: 24 * 60,
        approvals: 1,
        owners: "ops",
    },
];

/// What one request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub person: String,
    pub role: Role,
    /// In minutes.
    pub minutes: i64,
    /// Makes the text unlike any other.
    pub note: u64,
}

impl Ask {
    /// The file.
    pub fn text(&self) -> String {
        format!(
            "person: {}\nrole: {}\nduration: {}m\nreason: The orders of customer {} look wrong today.\n",
            self.person, self.role.name, self.minutes, self.note
        )
    }

    /// What it gives.
    pub fn held(&self) -> Held {
        (self.role.gives.to_owned(), self.person.clone())
    }
}

/// A request that reached the protected branch.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub path: String,
    pub blob: Oid,
    pub pull: Option<u64>,
    pub at: Instant,
    /// `None` for a text that asks for nothing.
    pub ask: Option<Ask>,
    /// In how many of the steps since it was in order, and in how many it was not.
    pub in_order: u32,
    pub not_in_order: u32,
    /// When its file went, or said something else.
    pub gone: Option<Instant>,
    /// Whether somebody touched the same access by hand, so that nothing is expected of it.
    pub touched: bool,
    /// Whether it was there when everything had come to rest: from then on it stays until it ends.
    settled: bool,
    /// Whether it went together with more than can be believed: then it stays, too.
    held_back: bool,
}

impl Arrived {
    /// When it ends by its term.
    pub fn ends(&self) -> Option<Instant> {
        Some(self.at + TimeDelta::minutes(self.ask.as_ref()?.minutes))
    }

    fn is_of(&self, target: &str, held: &Held) -> bool {
        let (gives, person) = held;
        let ask = self.ask.as_ref();
        ask.is_some_and(|ask| {
            ask.role.target == target && ask.role.gives == gives && ask.person == *person
        })
    }

    fn is_steady(&self) -> bool {
        self.in_order > 0 && self.not_in_order == 0
    }

    fn runs(&self, now: Instant) -> bool {
        self.ends().is_some_and(|ends| now < ends)
    }
}

/// Everything that was asked for and that landed.
#[derive(Debug, Default)]
pub struct Model {
    asks: BTreeMap<Oid, Ask>,
    pub arrived: Vec<Arrived>,
    /// Where among them each person's are.
    of: BTreeMap<String, Vec<usize>>,
    seen: usize,
    /// Given by hand, so never ours: what is at which target.
    pub by_hand: BTreeSet<(&'static str, Held)>,
    /// What is given by hand now, and was never asked for: nobody but who gave it may take it.
    unmanaged: BTreeSet<(&'static str, Held)>,
    /// Who left, and since when that must be known: a list of the organisation's members is good for ten minutes, a file that is
    /// gone from the protected branch is seen at once.
    pub left: BTreeMap<String, Instant>,
}

/// How many may vanish at once and be believed, however few there are.
const BELIEVED: usize = 5;

/// How long a list of the organisation's members is good for.
pub const LIST_IS_GOOD: TimeDelta = TimeDelta::minutes(10);

impl Model {
    /// Notes what the file with this blob asks for.
    pub fn wrote(&mut self, blob: Oid, ask: &Ask) {
        self.asks.insert(blob, ask.clone());
    }

    /// Notes what landed since the last time, and weighs all of it as things stand now.
    pub fn look(&mut self, hub: &Hub, now: Instant) {
        let landed = hub.landed();
        for landing in &landed[self.seen..] {
            let git = git2::Repository::open(hub.path()).unwrap();
            let parent = git
                .find_commit(landing.commit)
                .unwrap()
                .parent_id(0)
                .unwrap();
            let (before, after) = (hub.grants(parent), hub.grants(landing.commit));
            for (path, blob) in &before {
                if after.get(path) != Some(blob) {
                    let there = self.arrived.iter_mut().filter(|a| a.path == *path);
                    for arrived in there.filter(|a| a.gone.is_none()) {
                        arrived.gone = Some(landing.at);
                    }
                }
            }
            for (path, blob) in after {
                if before.get(&path) != Some(&blob) {
                    let ask = self.asks.get(&blob).cloned();
                    if let Some(ask) = &ask {
                        let of = self.of.entry(ask.person.clone()).or_default();
                        of.push(self.arrived.len());
                    }
                    self.arrived.push(Arrived {
                        ask,
                        path,
                        blob,
                        pull: landing.pull,
                        at: landing.at,
                        in_order: 0,
                        not_in_order: 0,
                        gone: None,
                        touched: false,
                        settled: false,
                        held_back: false,
                    });
                }
            }
        }
        self.seen = landed.len();
        // What is over needs no verdict any more.
        let verdicts: Vec<Option<bool>> = self
            .arrived
            .iter()
            .map(|a| a.runs(now).then(|| self.in_order(hub, a, now).is_ok()))
            .collect();
        for (arrived, in_order) in self.arrived.iter_mut().zip(verdicts) {
            match in_order {
                Some(true) => arrived.in_order += 1,
                Some(false) => arrived.not_in_order += 1,
                None => {}
            }
        }
    }

    /// Whether what a merged pull request brought is over since so long that nobody will look at it again.
    pub fn is_long_over(&self, number: u64, now: Instant) -> bool {
        let long = TimeDelta::hours(1);
        let mut of = self.arrived.iter().filter(|a| a.pull == Some(number));
        of.all(|arrived| {
            let ends = arrived.ends().unwrap_or(arrived.at);
            let over = arrived.gone.map_or(ends, |gone| gone.min(ends));
            over + long < now || (arrived.in_order == 0 && arrived.at + long < now)
        })
    }

    /// What stands at a path of the protected branch.
    pub fn text_at(&self, path: &str) -> Option<String> {
        let mut of = self.arrived.iter().rev().filter(|a| a.path == path);
        of.find_map(|arrived| Some(arrived.ask.as_ref()?.text()))
    }

    /// Whether what arrived is to be given by everything that is so now, but for the time; or what is wrong with it.
    pub fn in_order(&self, hub: &Hub, arrived: &Arrived, now: Instant) -> Result<(), String> {
        let ask = arrived.ask.as_ref().ok_or("it asks for nothing")?;
        let folder = format!("access/grants/{}/", ask.role.resource);
        let number = arrived.pull.ok_or("nobody proposed it")?;
        let asked = hub.asked(number);
        let merged = asked.state.clone();
        let late = |at: Instant| at > arrived.at;
        if !arrived.path.starts_with(&folder) {
            return Err("the role is offered elsewhere".to_owned());
        }
        if asked.touches_control {
            return Err("it also changes what decides".to_owned());
        }
        if ask.minutes > ask.role.longest {
            return Err("its term is too long".to_owned());
        }
        if self.has_left(&ask.person, now) {
            return Err("the person left".to_owned());
        }
        if !matches!(merged, hallpass::domain::pull::PullState::Merged { .. }) {
            return Err("it is not merged".to_owned());
        }
        let mut counted = BTreeSet::new();
        for by in reviewers(&asked) {
            let said = asked.reviews.iter().rev().find(|r| {
                r.by == by && !matches!(r.state, ReviewState::Commented | ReviewState::Pending)
            });
            let Some(said) = said else { continue };
            if !hub.is_in(ask.role.owners, &by) {
                continue;
            }
            match said.state {
                ReviewState::ChangesRequested | ReviewState::ObjectionDismissed => {
                    return Err(format!("{by} objects"));
                }
                ReviewState::Approved => {}
                _ => continue,
            }
            let same = hub.blob(said.commit, &arrived.path) == Some(arrived.blob);
            let independent =
                by != asked.author && !asked.pushers.contains(&by) && by != ask.person;
            if same && independent && !late(said.at) {
                counted.insert(by);
            }
        }
        if counted.len() < ask.role.approvals {
            return Err(format!("only {counted:?} approved it"));
        }
        Ok(())
    }

    /// Whether somebody left, and that must be known.
    fn has_left(&self, person: &str, now: Instant) -> bool {
        self.left.get(person).is_some_and(|since| *since <= now)
    }

    /// Whether this may be given at this moment.
    pub fn may_be_given(
        &self,
        hub: &Hub,
        target: &str,
        held: &Held,
        now: Instant,
    ) -> Result<(), String> {
        let mut why = vec!["nothing asks for it".to_owned()];
        for arrived in self.giving(target, held) {
            if arrived.ends().is_none_or(|ends| ends <= now) {
                why.push(format!("{} is over", arrived.path));
                continue;
            }
            match self.in_order(hub, arrived, now) {
                Ok(()) => return Ok(()),
                Err(error) => why.push(format!("{} of #{:?}: {error}", arrived.path, arrived.pull)),
            }
        }
        Err(why.join("; "))
    }

    /// Whether this may be there at this moment. What ends because something went is given some time: that is only inferred.
    pub fn may_be_held(
        &self,
        target: &'static str,
        held: &Held,
        now: Instant,
        inferred: Inferred,
    ) -> bool {
        if self.by_hand.contains(&(target, held.clone())) {
            return true;
        }
        let mut of = self.giving(target, held);
        of.any(|arrived| {
            let left = self.has_left(&held.1, now);
            let there = (arrived.gone.is_none() || arrived.held_back) && !left;
            let given = arrived.in_order > 0 && arrived.runs(now);
            given && (there || inferred == Inferred::Tolerated)
        })
    }

    /// Everything that ever asked for this.
    fn giving<'a>(&'a self, target: &str, held: &Held) -> impl Iterator<Item = &'a Arrived> {
        let of = self.of.get(&held.1).into_iter().flatten();
        let all = of.map(|at| &self.arrived[*at]);
        all.filter(move |arrived| arrived.is_of(target, held))
    }

    /// What must be there once everything has come to rest.
    pub fn must_be_held(&self, now: Instant) -> Vec<(&'static str, Held, String)> {
        let live = self.arrived.iter().filter(|a| self.holds(a, now));
        let held = live.filter(|a| a.is_steady()).filter_map(|arrived| {
            let ask = arrived.ask.as_ref()?;
            Some((ask.role.target, ask.held(), arrived.path.clone()))
        });
        held.collect()
    }

    /// Whether this gives what it asks for, if it ever did.
    fn holds(&self, arrived: &Arrived, now: Instant) -> bool {
        let ask = arrived.ask.as_ref();
        let here = ask.is_some_and(|ask| !self.left.contains_key(&ask.person));
        let there = arrived.gone.is_none() || arrived.held_back;
        here && there && arrived.runs(now) && !arrived.touched
    }

    /// Everything is at rest: what is there now, and has to be, is known to be given.
    pub fn settles(&mut self, now: Instant) {
        let settled: Vec<bool> = self
            .arrived
            .iter()
            .map(|a| a.settled || (a.is_steady() && self.holds(a, now)))
            .collect();
        for (arrived, settled) in self.arrived.iter_mut().zip(settled) {
            arrived.settled = settled;
        }
    }

    /// How many are known to be given.
    pub fn settled(&self, now: Instant) -> usize {
        let given = |a: &&Arrived| a.settled && self.holds(a, now);
        self.arrived.iter().filter(given).count()
    }

    /// All files vanish at once, which nobody should believe.
    pub fn all_vanish(&mut self) {
        for arrived in self.arrived.iter_mut().filter(|a| a.gone.is_none()) {
            arrived.held_back = true;
        }
    }

    /// Whether this may be taken by the service; or what is wrong with that.
    pub fn may_be_taken(
        &self,
        target: &'static str,
        held: &Held,
        now: Instant,
    ) -> Result<(), String> {
        if self.unmanaged.contains(&(target, held.clone())) {
            return Err("it was given by hand".to_owned());
        }
        // What vanished at one target may be so little that it is believed.
        let here = |a: &Arrived| a.ask.as_ref().is_some_and(|ask| ask.role.target == target);
        let vanished = |a: &&Arrived| here(a) && a.held_back && a.settled && self.holds(a, now);
        let few = self.arrived.iter().filter(vanished).count() <= BELIEVED;
        let mut of = self.giving(target, held);
        let gives = |a: &&Arrived| a.settled && self.holds(a, now) && !(few && a.held_back);
        match of.find(gives) {
            Some(gives) => Err(format!("{} gives it", gives.path)),
            None => Ok(()),
        }
    }

    /// Somebody gave this by hand.
    pub fn given_by_hand(&mut self, target: &'static str, held: &Held) {
        self.by_hand.insert((target, held.clone()));
        if self.giving(target, held).next().is_none() {
            self.unmanaged.insert((target, held.clone()));
        }
        self.touched(target, held);
    }

    /// Somebody took this by hand.
    pub fn taken_by_hand(&mut self, target: &'static str, held: &Held) {
        self.unmanaged.remove(&(target, held.clone()));
        self.touched(target, held);
    }

    /// Somebody touched this by hand: nothing is expected of it any more.
    fn touched(&mut self, target: &str, held: &Held) {
        for arrived in self.arrived.iter_mut().filter(|a| a.is_of(target, held)) {
            arrived.touched = true;
        }
    }
}

/// Whether access may still be there that ends because something vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inferred {
    Tolerated,
    MustBeGone,
}

fn reviewers(asked: &Asked) -> BTreeSet<String> {
    asked.reviews.iter().map(|said| said.by.clone()).collect()
}
