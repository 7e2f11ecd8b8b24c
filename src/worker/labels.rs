//! Labels of pull requests, on a task of their own: a forge that is slow or does not take one delays nothing else.

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Worker, unharmed};
use crate::domain::model::Instant;
use crate::reconcile::chain;

/// How often it is looked for labels that may be out of date.
const LOOK: TimeDelta = TimeDelta::seconds(1);

/// How long a few labels take at least, so that many leave calls to what matters more.
const FEW: TimeDelta = TimeDelta::seconds(10);

impl Worker {
    /// Labels, until `stop`.
    pub(super) async fn run_labels(&self, stop: &CancellationToken) {
        loop {
            let next = self.label().await;
            if !self.reconciler.labels() {
                return;
            }
            let now = self.clock.now();
            let next = next.map_or(now + LOOK, |at| at.max(now + FEW));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Labels what is to be labelled now. When there is more to do, where that is known.
    pub(super) async fn label(&self) -> Option<Instant> {
        match unharmed(self.reconciler.bring_labels_up_to_date()).await {
            Ok(next) => next,
            Err(error) => {
                warn!(error = %error, "cannot look for labels: {}", chain(&error));
                Some(self.clock.now() + TimeDelta::minutes(1))
            }
        }
    }
}
