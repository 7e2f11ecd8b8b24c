//! The time, asked for in one place, so that tests can move it.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::model::Instant;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The instant, now.
    fn now(&self) -> Instant;

    /// Waits until `at` has come, or at once if it has.
    async fn sleep_until(&self, at: Instant);
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Instant {
        chrono::Utc::now()
    }

    async fn sleep_until(&self, at: Instant) {
        // In steps, because the machine's clock may be set while we wait.
        loop {
            let left = (at - self.now()).to_std().unwrap_or(Duration::ZERO);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_secs(30))).await;
        }
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    now: tokio::sync::watch::Sender<Instant>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Instant) -> Self {
        Self {
            now: tokio::sync::watch::Sender::new(now),
        }
    }

    /// Moves the time forward (or, with a negative length, back).
    pub fn advance(&self, by: chrono::TimeDelta) {
        self.now.send_modify(|now| *now += by);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Instant {
        *self.now.borrow()
    }

    async fn sleep_until(&self, at: Instant) {
        let mut now = self.now.subscribe();
        // The sender lives as long as `self`, so this cannot fail while we wait on `&self`.
        let _ = now.wait_for(|now| *now >= at).await;
    }
}
