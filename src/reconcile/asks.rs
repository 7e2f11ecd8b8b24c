//! What open pull requests ask for, remembered so that requests which exclude each other know of each other.
//!
//! The forge tells it again at every look; what is remembered here only spares reading every open pull request for the sake of
//! one. Lost, it is complete again after the next full look.

use std::collections::BTreeSet;

use tracing::warn;

use super::case::Matter;
use super::{ReconcileError, Reconciler, chain};
use crate::domain::decision::{Asks, Pending};
use crate::domain::model::{PullNumber, RoleRef, Subject};
use crate::domain::pull::PullState;
use crate::store::Wake;

impl Reconciler {
    /// Remembers what an open pull request asks for, wakes those that this concerns, and returns what others ask for the same
    /// subjects. Written before it is read, so that of two that are judged at once at least one sees the other.
    pub(super) async fn pending(&self, matter: &Matter) -> Result<Vec<Pending>, ReconcileError> {
        let Matter { pull, base, .. } = matter;
        if pull.state != PullState::Open {
            self.forget_asks(pull.number).await?;
            return Ok(Vec::new());
        }
        let asks = if pull.base_branch == self.settings.protected_branch {
            &matter.asks
        } else {
            &Asks::new()
        };
        let before = self
            .store
            .remember_asks(pull.number, &pull.head, asks)
            .await?;
        let subjects = asks.iter().chain(&before).map(|(s, _)| s.clone()).collect();
        let mut others = self.store.asks_of(&subjects).await?;
        others.retain(|other| other.pull != pull.number);
        let differing: BTreeSet<&(Subject, RoleRef)> = asks.symmetric_difference(&before).collect();
        let concerned = |other: &&Pending| {
            differing.iter().any(|(subject, role)| {
                let excluded = base.excluded_by(role);
                *subject == other.subject && excluded.is_some_and(|e| e.contains(&other.role))
            })
        };
        self.wake_pulls(others.iter().filter(concerned)).await?;
        Ok(others)
    }

    /// Forgets a pull request that is not open any more, and wakes those that ask for the same subjects.
    pub(super) async fn forget_asks(&self, number: PullNumber) -> Result<(), ReconcileError> {
        let before = self.store.forget_asks(number).await?;
        self.wake_others(before).await?;
        self.relabel(number).await
    }

    /// [`Reconciler::forget_asks`] for a pull request that was closed without a merge: approvers of the next one are told.
    pub(super) async fn turn_down(&self, number: PullNumber) -> Result<(), ReconcileError> {
        let before = self.store.turn_down_asks(number, self.now()).await?;
        self.wake_others(before).await?;
        self.relabel(number).await
    }

    async fn wake_others(
        &self,
        before: BTreeSet<(Subject, RoleRef)>,
    ) -> Result<(), ReconcileError> {
        let subjects = before.into_iter().map(|(subject, _)| subject).collect();
        let others = self.store.asks_of(&subjects).await?;
        self.wake_pulls(others.iter()).await
    }

    /// Looks at every pull request that is not among the open ones any more: how it ended decides what is kept of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_asks(&self, open: &BTreeSet<PullNumber>) -> Result<(), ReconcileError> {
        let asking = self.store.asking().await?;
        let gone: Vec<Wake> = asking.difference(open).copied().map(Wake::Pull).collect();
        Ok(self.store.wake(&gone, self.now()).await?)
    }

    /// Wakes the pull requests that ask for `subject`, whose access has just ended: it may have stood in their way. Nothing that
    /// ends waits for this; what is not woken is looked at by the next full look.
    pub(super) async fn wake_askers(&self, subject: &Subject) {
        let woken = async {
            let others = self
                .store
                .asks_of(&BTreeSet::from([subject.clone()]))
                .await?;
            self.wake_pulls(others.iter()).await
        };
        if let Err(error) = woken.await {
            warn!(error = %error, "cannot wake the requests of {subject}: {}", chain(&error));
        }
    }

    async fn wake_pulls(
        &self,
        asking: impl Iterator<Item = &Pending>,
    ) -> Result<(), ReconcileError> {
        let pulls: BTreeSet<PullNumber> = asking.map(|other| other.pull).collect();
        if pulls.is_empty() {
            return Ok(());
        }
        let wakes: Vec<Wake> = pulls.into_iter().map(Wake::Pull).collect();
        Ok(self.store.wake(&wakes, self.now()).await?)
    }
}
