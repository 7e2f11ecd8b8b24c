//! What the page asks of the loop: who somebody is, what the protected branch declares, and to end access at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Worker;
use crate::domain::catalogue::Catalogue;
use crate::domain::model::{Actor, GrantId, Owner};
use crate::domain::visitor::{Called, Came, Visitor};
use crate::reconcile::ReconcileError;

impl Worker {
    /// Who came back from signing in at the forge.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn introduce(&self, came: Came<'_>) -> Result<Visitor, ReconcileError> {
        self.reconciler.introduce(came).await
    }

    /// Whether somebody may see the page, asked of the forge now.
    ///
    /// # Errors
    /// When the forge does not say: then they may not.
    pub async fn admits(
        &self,
        visitor: &Visitor,
        auditors: &BTreeSet<Owner>,
    ) -> Result<bool, ReconcileError> {
        self.reconciler.admits(visitor, auditors).await
    }

    /// What the protected branch declares, as it was last fetched; `None` before that.
    ///
    /// # Errors
    /// When git fails.
    pub async fn declared(&self) -> Result<Option<Arc<Catalogue>>, ReconcileError> {
        self.reconciler.fetched().await
    }

    /// What would keep somebody from calling a grant off now; `None`: they may.
    ///
    /// # Errors
    /// When git or database fail.
    pub async fn kept_from_calling_off(
        &self,
        grant: &GrantId,
        who: &Actor,
    ) -> Result<Option<Called>, ReconcileError> {
        self.reconciler.kept_from_calling_off(grant, who).await
    }

    /// Calls a grant off on somebody's word, and has what is due looked at now.
    ///
    /// # Errors
    /// When git or database fail: nothing is noted then.
    pub async fn call_off(
        &self,
        grant: &GrantId,
        who: &Actor,
        reason: &str,
    ) -> Result<Called, ReconcileError> {
        let called = self.reconciler.call_off(grant, who, reason).await?;
        if called == Called::Off {
            self.ledger_bell.notify_one();
            self.bell.notify_one();
        }
        Ok(called)
    }
}
