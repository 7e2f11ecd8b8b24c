//! What open pull requests ask for, remembered so that requests which exclude each other know of each other.
//!
//! The forge tells it again at every look; what is remembered here only spares reading every open pull request for the sake of
//! one. Lost, it is complete again after the next full look.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use tracing::warn;

use super::case::Matter;
use super::{ReconcileError, Reconciler, chain};
use crate::domain::decision::{Asks, Pending};
use crate::domain::model::{Instant, PullNumber, RoleRef, Subject};
use crate::domain::pull::{Lookup, Pull, PullListed, PullState};
use crate::forge::ForgeError;
use crate::store::Wake;

/// For how long the list of open pull requests is believed.
const LISTED_FOR: TimeDelta = TimeDelta::seconds(5);

/// How many are looked at again at once because one before them is not open any more.
const WOKEN: u32 = 20;

/// The open pull requests, and when they were listed.
pub(super) type Listed = (Instant, Vec<PullListed>);

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
        let concerned = others.iter().filter(concerned);
        self.wake_pulls(concerned.map(|other| other.pull)).await?;
        Ok(others)
    }

    /// How many open pull requests of the author that are older ask for access, where a policy counts them. They are those that the
    /// forge lists: one that was not looked at yet may ask, and then it is not known how many do.
    pub(super) async fn open_requests(
        &self,
        matter: &Matter,
    ) -> Result<Option<Lookup<usize>>, ReconcileError> {
        let Matter { pull, base, .. } = matter;
        let here = pull.base_branch == self.settings.protected_branch;
        let asks = pull.state == PullState::Open && here && !matter.asks.is_empty();
        let counted = asks && base.policies.counts_requests();
        let Some(author) = pull.author.as_ref().filter(|_| counted) else {
            return Ok(None);
        };
        let failed = |why: String| Ok(Some(Lookup::Failed(why)));
        let mut listed = match self.open_pulls_with(pull.number).await {
            Ok(listed) => listed,
            Err(failure) => return failed(format!("open pull requests: {failure}")),
        };
        if listed.iter().all(|one| one.number != pull.number) {
            // A list that lacks what is certainly open may lack more.
            return failed(format!("the list of them lacks #{}", pull.number));
        }
        let older = |one: &PullListed| one.author == Some(author.id) && one.number < pull.number;
        listed.retain(|one| older(one) && one.base_branch == self.settings.protected_branch);
        let numbers: Vec<PullNumber> = listed.iter().map(|other| other.number).collect();
        let asking = self.store.which_ask(&numbers).await?;
        for other in listed.iter().filter(|o| !asking.contains(&o.number)) {
            let judged = self.store.judged_at(other.number).await?;
            if judged.is_none_or(|head| head != other.head) {
                return failed(format!("#{} was not looked at yet", other.number));
            }
        }
        Ok(Some(Lookup::Found(asking.len())))
    }

    /// The open pull requests, as listed at most some seconds ago, so that many that are looked at together cost one list. One that lacks
    /// `number`, which is open, is older than that, and is read again.
    async fn open_pulls_with(&self, number: PullNumber) -> Result<Vec<PullListed>, ForgeError> {
        let mut kept = self.listed.lock().await;
        let now = self.now();
        if let Some((at, listed)) = kept.as_ref()
            && *at + LISTED_FOR > now
            && listed.iter().any(|one| one.number == number)
        {
            return Ok(listed.clone());
        }
        *kept = None;
        let listed = self.forge.open_pulls().await?;
        *kept = Some((now, listed.clone()));
        Ok(listed)
    }

    /// Wakes the younger pull requests of the author of one that is not open any more, where a policy counts those before them: those
    /// that were denied, and of many the oldest. The others are looked at by the next full look.
    pub(super) async fn wake_younger(&self, closed: &Pull) -> Result<(), ReconcileError> {
        let Some(author) = &closed.author else {
            return Ok(());
        };
        *self.listed.lock().await = None;
        let (login, after) = (&author.login, closed.number);
        let younger = self.store.denied_of(login, after, WOKEN).await?;
        if younger.is_empty() {
            return Ok(());
        }
        let tree = self.fetched().await?;
        match tree.is_some_and(|tree| tree.policies.counts_requests()) {
            true => self.wake_pulls(younger.into_iter()).await,
            false => Ok(()),
        }
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
        self.wake_pulls(others.iter().map(|other| other.pull)).await
    }

    /// Looks at every pull request that is not among the open ones any more: how it ended decides what is kept of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_asks(&self, open: &BTreeSet<PullNumber>) -> Result<(), ReconcileError> {
        let mut known = self.store.asking().await?;
        // One that is closed must not go on speaking for others with the same head.
        known.extend(self.store.speaking().await?);
        let gone: Vec<Wake> = known.difference(open).copied().map(Wake::Pull).collect();
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
            self.wake_pulls(others.iter().map(|other| other.pull)).await
        };
        if let Err(error) = woken.await {
            warn!(error = %error, "cannot wake the requests of {subject}: {}", chain(&error));
        }
    }

    pub(super) async fn wake_pulls(
        &self,
        pulls: impl Iterator<Item = PullNumber>,
    ) -> Result<(), ReconcileError> {
        let pulls: BTreeSet<PullNumber> = pulls.collect();
        if pulls.is_empty() {
            return Ok(());
        }
        let wakes: Vec<Wake> = pulls.into_iter().map(Wake::Pull).collect();
        Ok(self.store.wake(&wakes, self.now()).await?)
    }
}
