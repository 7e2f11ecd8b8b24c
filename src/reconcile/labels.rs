//! Labels of pull requests at the forge, brought up to date beside everything else: nothing waits for one, and one that cannot be set is
//! set later.

use chrono::TimeDelta;
use tracing::{info, warn};

use super::{ReconcileError, Reconciler, chain};
use crate::domain::model::{Instant, PullNumber};
use crate::forge::ForgeError;

/// How many are looked at in one go: a storm of ends is no storm of calls.
const BATCH: usize = 20;

/// How long one that is looked at belongs to who looks.
const TAKEN: TimeDelta = TimeDelta::minutes(2);

impl Reconciler {
    /// Whether pull requests are labelled.
    pub fn labels(&self) -> bool {
        self.settings.labels
    }

    /// Notes that the label of `pull` may be out of date.
    pub(super) async fn relabel(&self, pull: PullNumber) -> Result<(), ReconcileError> {
        if self.settings.labels {
            self.store.relabel(pull, self.now()).await?;
        }
        Ok(())
    }

    /// Brings labels up to date that may not be, a few at a time. When more is to be done or tried; `None`: nothing is known to be.
    ///
    /// # Errors
    /// When the database fails: the next look finds the same.
    pub async fn bring_labels_up_to_date(&self) -> Result<Option<Instant>, ReconcileError> {
        if !self.settings.labels {
            self.store.forget_labels().await?;
            return Ok(None);
        }
        let now = self.now();
        let until = now + TAKEN;
        self.store.relabel_changed(now).await?;
        let pulls = self.store.to_relabel(now, until, BATCH).await?;
        let more = (pulls.len() == BATCH).then_some(now);
        for pull in pulls {
            let label = self.store.label_of(pull).await?;
            match self.forge.label(pull, label).await {
                Ok(true) => {
                    let name = label.map_or("nothing", |label| label.name());
                    info!(pull = pull.0, "labelled #{pull} as {name:?}");
                }
                Ok(false) | Err(ForgeError::NotFound { .. }) => {}
                // It would be refused again, until something happens to the pull request.
                Err(error @ ForgeError::Refused { .. }) => {
                    warn!(pull = pull.0, error = %error, "cannot label #{pull}: {}", chain(&error));
                }
                Err(error) => {
                    warn!(pull = pull.0, error = %error, "cannot label #{pull} yet: {}", chain(&error));
                    let ForgeError::Unavailable { retry_at, .. } = error else {
                        continue;
                    };
                    // The rest was put off with it. What matters more needs what the forge still answers.
                    return Ok(Some(retry_at.map_or(until, |at| at.max(until))));
                }
            }
            self.store.relabelled(pull, until).await?;
        }
        Ok(more)
    }
}
