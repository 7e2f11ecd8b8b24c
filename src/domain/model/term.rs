//! How long access lasts.

use std::fmt;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Malformed;

/// How long access lasts: `90m`, `2h`, `1d12h`. A day is 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TermLength {
    seconds: u32,
}

impl TermLength {
    /// The longest term that can be written: 3650 days.
    pub const MAX: Self = Self {
        seconds: 3650 * 86_400,
    };

    /// A term of whole days, for limits that are written in the program.
    ///
    /// # Panics
    /// When it is zero or longer than [`TermLength::MAX`].
    pub const fn days(days: u32) -> Self {
        assert!(days > 0 && days <= 3650, "a term is 1 to 3650 days");
        Self {
            seconds: days * 86_400,
        }
    }

    /// A term of whole seconds, for tests and the demo; files can only say minutes, hours and days.
    ///
    /// # Errors
    /// When it is zero or longer than [`TermLength::MAX`].
    pub fn from_seconds(seconds: u32) -> Result<Self, Malformed> {
        if seconds == 0 || seconds > Self::MAX.seconds {
            return Err(Malformed {
                value: format!("{seconds}s"),
                expected: TERM_FORM,
            });
        }
        Ok(Self { seconds })
    }

    /// Reads `[<n>d][<n>h][<n>m]`, each unit at most once, in this order, at least one, no leading zeros, at most 5 digits.
    ///
    /// # Errors
    /// When the text has another form, is zero, or is longer than [`TermLength::MAX`].
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed {
            value: text.to_owned(),
            expected: TERM_FORM,
        };
        let (mut seconds, mut rest, mut units) = (0_u64, text, 0);
        for (unit, size) in [('d', 86_400_u64), ('h', 3_600), ('m', 60)] {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !rest[digits..].starts_with(unit) {
                continue;
            }
            if digits == 0 || digits > 5 || rest.starts_with('0') {
                return Err(malformed());
            }
            let count: u64 = rest[..digits].parse().map_err(|_| malformed())?;
            seconds += count * size;
            rest = &rest[digits + 1..];
            units += 1;
        }
        if units == 0 || !rest.is_empty() || seconds > u64::from(Self::MAX.seconds) {
            return Err(malformed());
        }
        Self::from_seconds(u32::try_from(seconds).map_err(|_| malformed())?)
    }

    /// The length as time.
    pub fn delta(self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.seconds))
    }
}

const TERM_FORM: &str = "a duration such as 90m, 2h or 1d12h (at most 3650d)";

impl fmt::Display for TermLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, h, m, s) = (
            self.seconds / 86_400,
            self.seconds / 3_600 % 24,
            self.seconds / 60 % 60,
            self.seconds % 60,
        );
        for (count, unit) in [(d, 'd'), (h, 'h'), (m, 'm'), (s, 's')] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}
impl TryFrom<String> for TermLength {
    type Error = Malformed;
    fn try_from(value: String) -> Result<Self, Malformed> {
        Self::parse(&value)
    }
}
impl From<TermLength> for String {
    fn from(value: TermLength) -> String {
        value.to_string()
    }
}
