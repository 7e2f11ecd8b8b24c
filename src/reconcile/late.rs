//! What a call did whose outcome somebody else was quicker to write down, or which was not written down at all.
//!
//! Several servers on one database may be at the same entry: calls can be repeated, and who writes first is believed. But a call of one that
//! stood still, or a call that was long on its way, may come when the others have gone on. Whoever made it sets that right before anything
//! else: at once where writing tells so, and with the next pass where this one was given up or the database failed. Accepted race: where the
//! process dies in between, the comparison with the target tells of it as drift.

use std::sync::{Mutex, PoisonError};

use tracing::error;

use super::{ReconcileError, Reconciler};
use crate::domain::late::{Late, asked_again};
use crate::domain::ledger::Entry;
use crate::store::{Scope, StoreError, Wake};

/// Calls of which it is not certain that the ledger says what they did.
pub(super) type Unwritten = Mutex<Vec<(Late, Entry)>>;

/// A call whose outcome is not written down yet. Dropped as it is, it is looked at by the next pass.
pub(super) struct UnderWay<'a> {
    unwritten: &'a Unwritten,
    call: Option<(Late, Entry)>,
}

impl UnderWay<'_> {
    /// The ledger says what the call did.
    pub fn written_down(mut self) {
        self.call = None;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            let unwritten = self.unwritten.lock();
            unwritten.unwrap_or_else(PoisonError::into_inner).push(call);
        }
    }
}

impl Reconciler {
    /// Notes that a call for `entry`, as it stands in the ledger, is about to be made.
    pub(super) fn under_way(&self, late: Late, entry: &Entry) -> UnderWay<'_> {
        UnderWay {
            unwritten: &self.unwritten,
            call: Some((late, entry.clone())),
        }
    }

    /// [`Reconciler::set_right`], with this call among those that are not written.
    pub(super) async fn set_right_after(&self, call: UnderWay<'_>) -> Result<(), ReconcileError> {
        drop(call);
        self.set_right().await
    }

    /// Has what calls did whose outcome is not written down asked for again, as the ledger has it now. What the ledger agrees with is left
    /// as it is.
    pub(super) async fn set_right(&self) -> Result<(), ReconcileError> {
        let next = || {
            let unwritten = self.unwritten.lock();
            unwritten.unwrap_or_else(PoisonError::into_inner).pop()
        };
        while let Some((late, entry)) = next() {
            let call = self.under_way(late, &entry);
            self.ask_again(late, &entry).await?;
            call.written_down();
        }
        Ok(())
    }

    async fn ask_again(&self, late: Late, entry: &Entry) -> Result<(), ReconcileError> {
        let Some(terms) = &entry.terms else {
            return Ok(());
        };
        let access = &terms.access;
        loop {
            let own = self.store.entries_at(&[entry.path.clone()].into()).await?;
            let own = own.iter().find(|e| e.id == entry.id);
            let same = self.store.entries(Scope::Same(access)).await?;
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
