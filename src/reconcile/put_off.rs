//! What is tried again, and when: sooner than it was put off until, where the clock was wrong then.

use tracing::warn;

use super::{ReconcileError, Reconciler};
use crate::domain::ledger::Entry;
use crate::domain::model::Instant;
use crate::store::Scope;

impl Reconciler {
    /// Puts off entries whose time has come but whose proof could not be had: they are asked for again, without spinning.
    pub(super) async fn put_off(
        &self,
        idle: Vec<Entry>,
        now: Instant,
    ) -> Result<(), ReconcileError> {
        for mut entry in idle {
            entry.try_again(now + self.backoff(entry.attempts));
            self.write(entry, &[]).await?;
        }
        Ok(())
    }

    /// Takes up what is being taken and is put off for longer than any pause lasts: the clock was ahead when that was written, and access
    /// must not stay for as long as it was.
    ///
    /// # Errors
    /// When the database fails, or another pass writes the same entry first.
    pub async fn take_up(&self) -> Result<(), ReconcileError> {
        let now = self.now();
        let longest = now + self.settings.retry_cap;
        for mut entry in self.store.entries(Scope::PutOff(longest)).await? {
            warn!(grant.id = %entry.id, "the clock was ahead when `{}` was put off; it is tried now", entry.id);
            entry.wake_at = Some(now);
            self.write(entry, &[]).await?;
        }
        Ok(())
    }
}
