//! Labels of pull requests, on a task of their own: a forge that is slow or does not take one delays nothing else.

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Worker, unharmed};
use crate::reconcile::chain;

/// How often it is looked for labels that may be out of date.
const LOOK: TimeDelta = TimeDelta::seconds(1);

/// How long a forge that did not take one is left alone.
const REST: TimeDelta = TimeDelta::minutes(1);

impl Worker {
    /// Labels, until `stop`.
    pub(super) async fn run_labels(&self, stop: &CancellationToken) {
        while self.reconciler.labels() && !stop.is_cancelled() {
            let pause = if self.label().await { LOOK } else { REST };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.clock.sleep_until(self.clock.now() + pause) => {}
            }
        }
    }

    /// Labels what is to be labelled now. Whether that was done; what was not is done by the next look.
    pub(super) async fn label(&self) -> bool {
        let done = unharmed(self.reconciler.bring_labels_up_to_date()).await;
        if let Err(error) = &done {
            warn!(error = %error, "cannot label pull requests: {}", chain(error));
        }
        done.is_ok()
    }
}
