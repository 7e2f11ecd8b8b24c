//! When the holder of a grant is told that it ends soon.

use std::fmt;

use chrono::TimeDelta;

use super::model::{Instant, Malformed};

/// How long before its end a grant is told of: a share of its term, at most [`EndsSoon::MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndsSoon {
    percent: u32,
}

impl EndsSoon {
    /// Nobody is told earlier than this.
    pub const MOST: TimeDelta = TimeDelta::days(7);
    /// Nobody is told later than this: a term whose share is shorter gets no notice.
    pub const LEAST: TimeDelta = TimeDelta::minutes(10);

    /// Reads `25%`.
    ///
    /// # Errors
    /// When it is no whole share from 1 % to 90 %.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let percent = text.strip_suffix('%').map(str::trim_end);
        let percent = percent.and_then(|number| number.parse().ok());
        percent
            .filter(|percent| (1..=90).contains(percent))
            .map(|percent| Self { percent })
            .ok_or_else(|| Malformed {
                value: text.to_owned(),
                expected: "a share of the term from \"1%\" to \"90%\"",
            })
    }

    /// When the holder of a grant from `starts` to `ends` is told; `None` when the term is too short for a notice to help.
    pub fn at(self, starts: Instant, ends: Instant) -> Option<Instant> {
        let (whole, percent) = ((ends - starts).num_seconds(), i64::from(self.percent));
        let share = whole / 100 * percent + whole % 100 * percent / 100;
        let lead = TimeDelta::try_seconds(share)?.min(Self::MOST);
        if lead < Self::LEAST {
            return None;
        }
        ends.checked_sub_signed(lead)
    }
}

impl Default for EndsSoon {
    fn default() -> Self {
        Self { percent: 25 }
    }
}

impl fmt::Display for EndsSoon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent)
    }
}
