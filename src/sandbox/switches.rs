//! The switches that make the stand-in fail. See also `faults`.

use std::time::Duration;

use super::faults::{Down, Planned, RateLimit, When};
use super::{Sandbox, locked};

impl Sandbox {
    /// Takes the forge away (REST and git), or brings it back.
    pub fn down(&self, down: Down) {
        self.shared.down.send_replace(down);
    }

    /// Makes every answer take this long.
    pub fn latency(&self, latency: Duration) {
        locked(&self.shared.faults).latency = latency;
    }

    /// Fails the next `times` calls of `operation` (`PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge`), or of any.
    pub fn fail_next(&self, operation: Option<&str>, times: u32, status: u16, when: When) {
        let planned = Planned {
            operation: operation.map(str::to_owned),
            times,
            status,
            when,
        };
        locked(&self.shared.faults).planned.push(planned);
    }

    /// Whether pull requests that are merged are still shown as open, as GitHub's copies may be for a moment.
    pub fn lags(&self, lags: bool) {
        self.world().lags = lags;
    }

    /// Forgets every failure that is still to come.
    pub fn heal(&self) {
        locked(&self.shared.faults).planned.clear();
    }

    /// Answers every call with a rate limit, until told otherwise.
    pub fn rate_limit(&self, limit: Option<RateLimit>) {
        locked(&self.shared.faults).rate_limit = limit;
    }

    /// Refuses every ref of every push over git, with this reason, until told otherwise.
    pub fn reject_pushes(&self, reason: Option<&str>) {
        locked(&self.shared.faults).reject_push = reason.map(str::to_owned);
    }

    /// Makes every installation token invalid, as if its hour were over.
    pub fn expire_tokens(&self) {
        let mut world = self.world();
        let now = world.now();
        for token in world
            .tokens
            .values_mut()
            .filter(|token| token.installation.is_some())
        {
            token.expires_at = Some(now);
        }
    }

    /// Suspends an installation, or lifts the suspension.
    pub fn suspend(&self, installation: u64, suspended: bool) {
        let mut world = self.world();
        for found in world
            .installations
            .iter_mut()
            .filter(|found| found.id == installation)
        {
            found.suspended = suspended;
        }
    }

    /// Drops every webhook. They stay in the log.
    pub fn deaf(&self, deaf: bool) {
        self.post.disorder(|disorder| disorder.deaf = deaf);
    }

    /// Delivers every webhook twice, under one GUID.
    pub fn duplicate(&self, duplicate: bool) {
        self.post
            .disorder(|disorder| disorder.duplicate = duplicate);
    }

    /// Holds webhooks back until [`Sandbox::settle`], and then delivers them in the opposite order.
    pub fn reorder(&self, reorder: bool) {
        self.post.disorder(|disorder| disorder.reorder = reorder);
    }

    /// Delivers again what was sent before, as the "redeliver" button does. False if there is no such delivery.
    pub fn redeliver(&self, guid: &str) -> bool {
        self.post.redeliver(guid)
    }
}
