//! What the templates ask of the page: drawings, numbers and texts.

use std::borrow::Borrow;

use super::super::super::audit::report::{Bucket, Class, Lane, Resource, Spread, Wait};
use super::super::super::evidence;
use super::super::super::model::Instant;
use super::super::human::visible;
use super::charts::{self, Columns, GivenAndEnded, HeldByClass};
use super::lanes::Lanes;
use super::{Page, words};

/// What the templates ask about drawings.
impl<'r> Page<'r> {
    pub(super) fn given_and_ended(&self) -> GivenAndEnded {
        let report = self.report;
        GivenAndEnded::of(&report.activity, report.from, report.to)
    }

    pub(super) fn held_by_class(&self) -> HeldByClass {
        let report = self.report;
        HeldByClass::of(&report.activity, report.from, report.to)
    }

    pub(super) fn columns(&self, wait: &Wait<'_>, spread: &Spread<'_>) -> Columns {
        let late = (wait.name == self.report.removal.name).then_some(self.report.late_seconds);
        let late = late.and_then(|late| u64::try_from(late).ok());
        let id = format!("spread-{}", wait.name);
        Columns::of((&id, wait.what), spread, late.map(|late| late * 1000))
    }

    pub(super) fn lanes(&self, place: &usize, resource: &Resource<'r>) -> Lanes {
        Lanes::of(format!("r{place}"), resource, self.report, |bar| {
            let begun = bar.begun.as_ref();
            begun.map_or_else(String::new, |cited| {
                self.cite(cited);
                self.href(cited.commit)
            })
        })
    }

    pub(super) fn drawn(&self) -> u64 {
        let all = self.report.resources.listed.iter();
        all.filter(|r| !r.lanes.listed.is_empty()).count() as u64
    }

    pub(super) fn not_drawn(&self) -> u64 {
        self.report.resources.of - self.drawn()
    }

    pub(super) fn first(&self, lane: &Lane<'_>) -> String {
        let first = lane.bars.iter().map(|bar| bar.from).min();
        first.map(words::instant).unwrap_or_default()
    }

    pub(super) fn until(&self, lane: &Lane<'_>) -> String {
        let last = lane.bars.iter().map(|bar| bar.until).max();
        match lane.bars.iter().any(|bar| bar.goes_on) {
            true => "goes on".to_owned(),
            false => last.map(words::instant).unwrap_or_default(),
        }
    }

    pub(super) fn range(&self, bucket: &Bucket<'_>) -> String {
        charts::range(bucket)
    }
}

/// What the templates ask about numbers and texts.
impl Page<'_> {
    /// A text that somebody else may have written, with whatever does not show written out.
    pub(super) fn say(&self, text: &str) -> String {
        visible(text)
    }

    pub(super) fn who(&self, subject: &str) -> String {
        visible(words::subject(subject))
    }

    pub(super) fn time(&self, at: &Instant) -> String {
        words::instant(*at)
    }

    pub(super) fn iso(&self, at: &Instant) -> String {
        evidence::instant(*at)
    }

    pub(super) fn day(&self, at: &Instant) -> String {
        at.format("%Y-%m-%d").to_string()
    }

    pub(super) fn number(&self, n: impl Borrow<u64>) -> String {
        words::number(*n.borrow())
    }

    pub(super) fn counted(&self, n: impl Borrow<u64>, one: &str) -> String {
        words::counted(*n.borrow(), one)
    }

    pub(super) fn length(&self, ms: &u64) -> String {
        words::length(*ms)
    }

    pub(super) fn maybe_length(&self, ms: &Option<u64>) -> String {
        ms.map(words::length).unwrap_or_default()
    }

    pub(super) fn seconds(&self, seconds: &i64) -> String {
        words::seconds(u64::try_from(*seconds).unwrap_or(0))
    }

    pub(super) fn maybe_seconds(&self, seconds: &Option<i64>) -> String {
        seconds.map(|s| self.seconds(&s)).unwrap_or_default()
    }

    pub(super) fn held(&self, seconds: &u64) -> String {
        words::seconds(*seconds)
    }

    pub(super) fn all_held(&self) -> u64 {
        self.report
            .standing
            .shares
            .iter()
            .map(|s| s.held_seconds)
            .sum()
    }

    pub(super) fn share(&self, seconds: &u64) -> String {
        words::percent(*seconds, self.all_held())
    }

    pub(super) fn just_in_time(&self) -> String {
        let mut shares = self.report.standing.shares.iter();
        let short = shares.find(|share| share.class == Class::JustInTime);
        words::percent(short.map_or(0, |s| s.held_seconds), self.all_held())
    }

    pub(super) fn median(&self, wait: &Wait<'_>) -> String {
        let spread = wait.spread.as_ref();
        spread.map_or_else(|| "none".to_owned(), |s| words::length(s.p50_ms))
    }

    pub(super) fn ninth(&self, wait: &Wait<'_>) -> String {
        let spread = wait.spread.as_ref();
        spread.map_or_else(|| "none".to_owned(), |s| words::length(s.p90_ms))
    }
}
