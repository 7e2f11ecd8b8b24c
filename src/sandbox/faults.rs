//! The switches that make the stand-in fail.

use std::time::Duration;

/// How the forge is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Down {
    /// It is not.
    #[default]
    No,
    /// Every request is answered 503.
    Unavailable,
    /// Connections are refused, open ones are cut.
    Refused,
}

/// On which side of the effect a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing happened.
    Before,
    /// It happened, and the caller was told that it failed.
    After,
}

/// GitHub's two ways of saying "too fast".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimit {
    /// The hour's budget is spent: 403, `x-ratelimit-remaining: 0`, `x-ratelimit-reset`.
    Primary {
        /// Seconds of the sandbox's clock until the budget is fresh.
        reset_in: u32,
    },
    /// Too much at once: 403 and `retry-after`.
    Secondary {
        /// Seconds to wait.
        retry_after: u32,
    },
}

/// A call that will fail.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// `None`: any operation.
    pub operation: Option<String>,
    pub times: u32,
    pub status: u16,
    pub when: When,
}

/// All switches.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub latency: Duration,
    pub planned: Vec<Planned>,
    pub rate_limit: Option<RateLimit>,
    pub reject_push: Option<String>,
}

impl Faults {
    /// Takes the failure that is planned for a call, if any.
    pub fn take(&mut self, operation: &str) -> Option<(u16, When)> {
        let matches = |planned: &Planned| {
            planned
                .operation
                .as_deref()
                .is_none_or(|name| name == operation)
        };
        let found = self
            .planned
            .iter_mut()
            .find(|planned| planned.times > 0 && matches(planned))?;
        found.times -= 1;
        let taken = (found.status, found.when);
        self.planned.retain(|planned| planned.times > 0);
        Some(taken)
    }
}
