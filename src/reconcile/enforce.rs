//! Takes away what was given outside, where every resource that gives it says so, unless it is too much to be believed.

use tracing::error;

use super::{ReconcileError, Reconciler};
use crate::domain::drift::{self, Survey, Watched};
use crate::domain::release::Found;

impl Reconciler {
    /// Takes away what may go, and brings the brakes in line with what may not.
    pub(super) async fn enforce(
        &self,
        watched: &[Watched],
        survey: &Survey,
    ) -> Result<(), ReconcileError> {
        let tip = self.mirror.tip(&self.settings.protected_branch).await?;
        let Some(tip) = tip else { return Ok(()) };
        let known = self.store.drift(None).await?;
        let mut brakes = Vec::new();
        for whose in drift::enforced(watched, survey) {
            let brake = self.brake(&whose).await?;
            brakes.push((whose, brake));
        }
        let enforcing = drift::enforce(watched, survey, &known, &brakes);
        for (whose, (held, inferred)) in &enforcing.brakes {
            if !held.is_empty() {
                error!(resource = ?whose.resource, count = held.len(), "too many accounts have something and not from Hallpass to take it away at once: {}", held.len());
            }
            let found = Found {
                whose,
                held: held.clone(),
                inferred: inferred.clone(),
                base: &tip,
                now: self.now(),
            };
            self.follow(&found).await?;
        }
        for (watched, known) in enforcing.take {
            self.take_away(watched, known).await?;
        }
        Ok(())
    }
}
