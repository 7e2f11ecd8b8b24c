//! What a call did whose outcome somebody else was quicker to write down.
//!
//! Several servers on one database may be at the same entry: calls can be repeated, and who writes first is believed. But a call of one that
//! stood still, or a call that was long on its way, may come when the others have gone on. Whoever made it sets that right before anything
//! else. Accepted race: where that one dies in between, the comparison with the target tells of it as drift.

use tracing::error;

use super::{ReconcileError, Reconciler};
use crate::domain::late::{Late, asked_again};
use crate::domain::ledger::Entry;
use crate::store::{Scope, StoreError, Wake};

impl Reconciler {
    /// Passes on what came of writing down how a call for `entry` went. Where somebody else had written the entry, what the call did is asked
    /// for again as the ledger has it now.
    pub(super) async fn or_set_right<T>(
        &self,
        late: Late,
        entry: &Entry,
        written: Result<T, ReconcileError>,
    ) -> Result<T, ReconcileError> {
        if let Err(ReconcileError::Store(StoreError::Conflict(_))) = &written {
            self.set_right(late, entry).await?;
        }
        written
    }

    async fn set_right(&self, late: Late, entry: &Entry) -> Result<(), ReconcileError> {
        let Some(terms) = &entry.terms else {
            return Ok(());
        };
        let access = &terms.access;
        loop {
            let own = self.store.entries_at(&[entry.path.clone()].into()).await?;
            let own = own.iter().find(|e| e.id == entry.id);
            let mut same = self.store.entries(Scope::Live(&access.connection)).await?;
            same.retain(|e| {
                let terms = e.terms.as_ref();
                terms.is_some_and(|t| t.access.key() == access.key())
            });
            let now = self.now();
            let again = asked_again(late, own, &same, now);
            if again.is_empty() {
                return Ok(());
            }
            match self.store.commit(&again, &[]).await {
                Err(StoreError::Conflict(_)) => continue,
                written => written?,
            }
            for entry in &again {
                error!(grant.id = %entry.id, "a call at {} came late, when another server had gone on: `{}` is {} again", access.connection, entry.id, entry.state.as_str());
            }
            return Ok(self.store.wake(&[Wake::Main], now).await?);
        }
    }
}
