//! Time cut into steps that people know: seconds, minutes, hours, days, weeks, months.

use chrono::{DateTime, Datelike as _, Months, NaiveTime, TimeDelta};

use super::super::super::model::Instant;

/// A length of time that begins where calendars and clocks do, in UTC. Weeks begin on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many seconds.
    Seconds(i64),
    /// So many months.
    Months(u32),
}

const DAY: i64 = 86_400;

/// Every step, shortest first.
const STEPS: [Step; 19] = [
    Step::Seconds(1),
    Step::Seconds(5),
    Step::Seconds(15),
    Step::Seconds(60),
    Step::Seconds(300),
    Step::Seconds(900),
    Step::Seconds(3600),
    Step::Seconds(3 * 3600),
    Step::Seconds(6 * 3600),
    Step::Seconds(12 * 3600),
    Step::Seconds(DAY),
    Step::Seconds(2 * DAY),
    Step::Seconds(7 * DAY),
    Step::Seconds(14 * DAY),
    Step::Months(1),
    Step::Months(3),
    Step::Months(12),
    Step::Months(120),
    Step::Months(1200),
];

/// The first Monday of the clock's count, 1970-01-05.
const MONDAY: i64 = 4 * DAY;

impl Step {
    /// About how long it is.
    fn seconds(self) -> i64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Months(months) => i64::from(months) * 30 * DAY,
        }
    }

    /// The latest beginning of a step that is not after `at`.
    fn floor(self, at: Instant) -> Instant {
        match self {
            Self::Seconds(seconds) => {
                let into = (at.timestamp() - MONDAY).rem_euclid(seconds);
                DateTime::from_timestamp(at.timestamp() - into, 0).unwrap_or(at)
            }
            Self::Months(months) => {
                let count = at.year() * 12 + at.month0() as i32;
                let count = count - count.rem_euclid(months as i32);
                let day = chrono::NaiveDate::from_ymd_opt(
                    count.div_euclid(12),
                    count.rem_euclid(12) as u32 + 1,
                    1,
                );
                day.map_or(at, |day| day.and_time(NaiveTime::MIN).and_utc())
            }
        }
    }

    /// The beginning of the step after the one that begins at `begin`.
    fn next(self, begin: Instant) -> Instant {
        let next = match self {
            Self::Seconds(seconds) => begin.checked_add_signed(TimeDelta::seconds(seconds)),
            Self::Months(months) => begin.checked_add_months(Months::new(months)),
        };
        next.unwrap_or(Instant::MAX_UTC)
    }
}

/// A period, cut into steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// How long the steps are; the first and the last may be cut off.
    pub step: Step,
    /// Where each begins: the first at the beginning of the period.
    pub begins: Vec<Instant>,
    /// The end of the period.
    pub to: Instant,
}

impl Scale {
    /// The period from `from` up to `to`, which is later, in the shortest steps of which at most about `most` are needed.
    pub fn of(from: Instant, to: Instant, most: i64) -> Self {
        let seconds = (to - from).num_seconds().max(1);
        let fits = |step: &&Step| seconds / step.seconds() <= most.max(1);
        let step = *STEPS.iter().find(fits).unwrap_or(&STEPS[STEPS.len() - 1]);
        let mut begins = vec![from];
        let mut next = step.next(step.floor(from));
        while next < to {
            begins.push(next);
            next = step.next(next);
        }
        Self { step, begins, to }
    }

    /// Which step `at` falls into; `None` outside of the period.
    pub fn place(&self, at: Instant) -> Option<usize> {
        let after = self.begins.partition_point(|begin| *begin <= at);
        after.checked_sub(1).filter(|_| at < self.to)
    }

    /// Where the step at `place` ends.
    pub fn end(&self, place: usize) -> Instant {
        self.begins.get(place + 1).copied().unwrap_or(self.to)
    }
}
