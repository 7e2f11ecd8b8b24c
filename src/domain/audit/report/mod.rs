//! A report on a period: the figures that a person looks at, each with the commits that show it.
//!
//! Pure: the same evidence, period and limits give the same report to everybody. `domain::render` draws it.
//!
//! Invariant: nothing is left out silently. Whatever is listed up to a limit is a [`Listed`], which says how many there are.

mod activity;
mod controls;
mod exceptions;
mod held;
mod scale;
mod spread;
mod timeline;
mod told;
mod totals;
mod waits;

use chrono::TimeDelta;
use serde::Serialize;

use super::super::model::{CommitId, Instant, TermLength};
use super::questions::{Filter, Reviewer, population, reviewers};
use super::{Lives, Step, Verified};

pub use activity::{Activity, Moment};
pub use controls::{Outcome, Shown, ShownBy};
pub use exceptions::{Exceptions, KindCount, Noted};
pub use held::{Class, Longest, Share, Standing};
pub use scale::{Scale, Step as ScaleStep};
pub use spread::{Bucket, Sample, Spread};
pub use timeline::{Bar, Lane, Resource, SLOTS};
pub use totals::{Figure, Totals};
pub use waits::{Ending, NotCounted, Wait};

/// How many commits stand beside a figure: the newest. `git log` lists the others.
pub const CITED: usize = 3;

/// How many reviewers are listed.
const REVIEWERS: usize = 50;

/// What a report is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// From when, including.
    pub from: Instant,
    /// Until when, excluding.
    pub to: Instant,
    /// The instant of asking: what was still to come then is not drawn.
    pub now: Instant,
    /// How long after it is due a removal counts as late.
    pub late: TimeDelta,
    /// Access that was given for longer than this, renewals included, counts as standing.
    pub standing: TermLength,
}

impl Asked {
    fn within(&self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }

    /// Until when there is something to tell.
    fn end(&self) -> Instant {
        self.to.min(self.now).max(self.from)
    }
}

/// The first ones of many, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed<T> {
    /// How many there are.
    pub of: u64,
    /// The ones that are listed.
    pub listed: Vec<T>,
}

impl<T> Listed<T> {
    fn first(all: Vec<T>, most: usize) -> Self {
        let of = all.len() as u64;
        let listed = all.into_iter().take(most).collect();
        Self { of, listed }
    }

    /// How many are not listed.
    pub fn left_out(&self) -> u64 {
        self.of.saturating_sub(self.listed.len() as u64)
    }
}

impl<'l> Listed<Cited<'l>> {
    /// The newest ones of `all`, which come oldest first.
    fn newest(all: impl DoubleEndedIterator<Item = Cited<'l>> + ExactSizeIterator) -> Self {
        Self {
            of: all.len() as u64,
            listed: all.rev().take(CITED).collect(),
        }
    }
}

/// A commit of the evidence branch that shows something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cited<'l> {
    /// When it happened.
    pub at: Instant,
    /// Which commit.
    pub commit: &'l CommitId,
    /// What it says, in a sentence. May be hostile.
    pub sentence: &'l str,
}

impl<'l> From<&'l Step> for Cited<'l> {
    fn from(step: &'l Step) -> Self {
        Self {
            at: step.at,
            commit: &step.commit,
            sentence: &step.sentence,
        }
    }
}

/// A report.
#[derive(Debug, Clone, Serialize)]
pub struct Report<'l> {
    /// From when, including.
    pub from: Instant,
    /// Until when, excluding.
    pub to: Instant,
    /// The instant of asking.
    pub asked_at: Instant,
    /// How many seconds after it is due a removal counts as late.
    pub late_seconds: i64,
    /// Access that was given for longer than this, renewals included, counts as standing.
    pub standing_after: TermLength,
    /// Whether the evidence, all of it, is whole and right.
    pub check: &'l Verified,
    /// What did not go as it should: all that is open, and what is closed of the period.
    pub exceptions: Exceptions<'l>,
    /// The period in numbers.
    pub totals: Totals<'l>,
    /// What was given, ended and held as time went by.
    pub activity: Activity,
    /// Standing access beside access that was given just in time.
    pub standing: Standing<'l>,
    /// How long people waited for access.
    pub access: Vec<Wait<'l>>,
    /// How long after it was due access was taken away.
    pub removal: Wait<'l>,
    /// The same by why it ended.
    pub endings: Vec<Ending<'l>>,
    /// Who held what when, by resource; the one with most grants first.
    pub resources: Listed<Resource<'l>>,
    /// How each reviewer approves.
    pub reviewers: Listed<Reviewer>,
    /// Which records show which control.
    pub controls: Vec<Shown<'l>>,
}

impl<'l> Report<'l> {
    /// What the evidence tells of the period.
    pub fn of(lives: &'l Lives, check: &'l Verified, asked: &Asked) -> Self {
        let told = told::Told::of(lives, asked);
        let classes = held::Classes::of(lives, asked.standing.delta());
        let all_held = held::held(lives, &classes, asked);
        let exceptions = Exceptions::of(lives, asked);
        let population = population(lives, asked.from, asked.to, &Filter::default());
        let given = population.grants.iter().filter(|life| {
            let given = life.given.as_ref();
            given.is_some_and(|given| asked.within(given.at))
        });
        let reviewers = Listed::first(reviewers(given.copied()), REVIEWERS);
        Self {
            from: asked.from,
            to: asked.to,
            asked_at: asked.now,
            late_seconds: asked.late.num_seconds(),
            standing_after: asked.standing,
            check,
            totals: Totals::of(&told, &population, &all_held),
            activity: Activity::of(&all_held, asked),
            standing: Standing::of(&all_held, asked),
            access: waits::access(&population, asked),
            removal: waits::removal(&population, asked),
            endings: waits::endings(&population, asked),
            resources: timeline::resources(&all_held, asked),
            controls: controls::controls(&told, check, &exceptions),
            exceptions,
            reviewers,
        }
    }

    /// When the first record was written; `None` where there is none.
    pub fn beginning(lives: &Lives) -> Option<Instant> {
        let steps = lives.iter().flat_map(|life| &life.steps);
        let requests = lives.requests().flat_map(|(_, steps)| steps);
        let others = lives.others().iter().map(|(_, record)| record.at);
        steps
            .chain(requests)
            .map(|step| step.at)
            .chain(others)
            .min()
    }

    /// Whether somebody must look: a problem was found, or an exception is open.
    pub fn is_alarming(&self) -> bool {
        !self.check.problems.is_empty() || self.exceptions.open.of > 0
    }
}
