//! Labels of pull requests at the forge, brought up to date beside everything else: nothing waits for one, and one that cannot be set is
//! set later.

use tracing::info;

use super::{ReconcileError, Reconciler};
use crate::domain::model::PullNumber;
use crate::forge::ForgeError;

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

    /// Brings every label up to date that may not be.
    ///
    /// # Errors
    /// When database or forge fail: the next look finds the same.
    pub async fn bring_labels_up_to_date(&self) -> Result<(), ReconcileError> {
        if !self.settings.labels {
            return Ok(());
        }
        self.store.relabel_changed().await?;
        let mut refused = None;
        for (pull, word) in self.store.to_relabel().await? {
            let label = self.store.label_of(pull).await?;
            match self.forge.label(pull, label).await {
                Ok(true) => {
                    let name = label.map_or("nothing", |label| label.name());
                    info!(pull = pull.0, "labelled #{pull} as {name:?}");
                }
                Ok(false) | Err(ForgeError::NotFound { .. }) => {}
                // One that the forge does not take keeps no other waiting.
                Err(error @ ForgeError::Refused { .. }) => {
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            self.store.relabelled(pull, &word).await?;
        }
        match refused {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}
