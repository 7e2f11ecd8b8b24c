//! One pull request: judged, shown, written down, and merged when it is due.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::info;

use super::case::Facts;
use super::{Merging, ReconcileError, Reconciler, aside};
use crate::domain::decision::{self, Change, Outcome, Verdict};
use crate::domain::evidence;
use crate::domain::landing;
use crate::domain::message::Waiting;
use crate::domain::model::{CommitId, PullNumber};
use crate::domain::proposal;
use crate::domain::pull::PullState;
use crate::domain::report::{self, Check};
use crate::forge::{ForgeError, MergeOutcome};
use crate::repo::Remote;
use crate::store::{Judged, Wake};

impl Reconciler {
    /// Brings one pull request's check up to date, and merges it when it is due.
    ///
    /// # Errors
    /// When forge, git or database could not be asked: look again later.
    pub async fn pull(&self, number: PullNumber) -> Result<(), ReconcileError> {
        let merges = self.merges.load(Ordering::SeqCst);
        let Some(facts) = self.observe_pull(number).await? else {
            self.unsay(number).await?;
            return self.stand_or_fall(number, None).await;
        };
        if facts.is_asked_too_early() {
            // Judged by what is noted it would be denied, and a moment later not.
            let what = format!("#{number} asks owners, and it is not noted yet that it does");
            return Err(ReconcileError::Unsettled(what));
        }
        let safe_mode = self.safe_mode_on(&facts.base_commit).await?;
        let facts = Arc::new(facts);
        let (judged, branch) = (Arc::clone(&facts), self.settings.protected_branch.clone());
        let configured = self.connections();
        let unknown = self.ask_targets(&facts, &configured).await;
        let (verdict, check) = aside(move || {
            let case = judged.case(&branch);
            let verdict = decision::decide(&case);
            let verdict =
                landing::demand_connections(verdict, &judged.changes, &configured, &unknown);
            let check = report::check(&case, &verdict);
            (verdict, check)
        })
        .await?;
        if let Some(mode) = safe_mode {
            // By a branch or a ledger that is in doubt nothing is decided, only told.
            let check = report::paused(check, &verdict, &mode);
            self.remember_verdict(&facts, &verdict, &check).await?;
            return self.publish(&facts.pull, &check).await;
        }
        self.store
            .commit(
                &[],
                &evidence::of_verdict(&facts.pull, &facts.decided_on, &verdict, facts.now),
            )
            .await?;
        self.remember_verdict(&facts, &verdict, &check).await?;
        self.publish(&facts.pull, &check).await?;
        self.note_waiting(&facts, &verdict, &check.title).await?;
        self.merge_when_due(&facts, &verdict, merges).await?;
        match verdict.outcome {
            Outcome::Uncertain(what) => Err(ReconcileError::Unsettled(what.join("; "))),
            _ => Ok(()),
        }
    }

    /// Notes whether owners are waited for, for whoever is told of that.
    async fn note_waiting(
        &self,
        facts: &Facts,
        verdict: &Verdict,
        title: &str,
    ) -> Result<(), ReconcileError> {
        let case = facts.case(&self.settings.protected_branch);
        let waiting = Waiting {
            case: &case,
            verdict,
            title,
        };
        self.stand_or_fall(facts.pull.number, Some(waiting)).await
    }

    /// The facts of an open pull request; `None` when there is nothing to judge any more.
    pub(super) async fn observe_pull(
        &self,
        number: PullNumber,
    ) -> Result<Option<Facts>, ReconcileError> {
        let pull = match self.forge.pull(number).await {
            Ok(pull) => pull,
            Err(ForgeError::NotFound { .. }) => {
                self.forget_asks(number).await?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        match pull.state {
            PullState::Open => {}
            PullState::Closed => {
                self.wake_younger(&pull).await?;
                self.turn_down(number).await?;
                return Ok(None);
            }
            PullState::Merged { .. } => {
                self.wake_younger(&pull).await?;
                self.forget_asks(number).await?;
                self.store.wake(&[Wake::Main], self.now()).await?;
                return Ok(None);
            }
        }
        let (remote, base) = self.fetch_pull(number).await?;
        Ok(Some(self.facts(&remote, pull, base).await?))
    }

    /// Fetches what an open pull request would change, and the protected branch, of which it returns the tip.
    pub(super) async fn fetch_pull(
        &self,
        number: PullNumber,
    ) -> Result<(Remote, CommitId), ReconcileError> {
        let remote = self.remote().await?;
        let branch = &self.settings.protected_branch;
        self.mirror.fetch(&remote, &[branch], &[number.0]).await?;
        let base = self.mirror.tip(branch).await?.ok_or_else(|| {
            ReconcileError::Unsettled("the protected branch does not exist".to_owned())
        })?;
        Ok((remote, base))
    }

    /// Remembers what it waits for, for the page; nothing of what does not concern Hallpass.
    async fn remember_verdict(
        &self,
        facts: &Facts,
        verdict: &Verdict,
        check: &Check,
    ) -> Result<(), ReconcileError> {
        let outcome = match verdict.outcome {
            Outcome::NotConcerned => return Ok(self.store.forget_judged(verdict.pull).await?),
            Outcome::Denied => "denied",
            Outcome::Waiting => "waiting",
            Outcome::Uncertain(_) => "uncertain",
            Outcome::Approved => "approved",
        };
        let judged = Judged {
            pull: verdict.pull,
            author: facts.pull.author.as_ref().map(|a| a.login.clone()),
            outcome: outcome.to_owned(),
            says: check.title.clone(),
            since: facts.now,
        };
        Ok(self.store.remember_judged(&judged).await?)
    }

    /// Merges what is due, unless another was merged since `merges` were: then it is judged again, by what stands there now.
    async fn merge_when_due(
        &self,
        facts: &Facts,
        verdict: &Verdict,
        merges: u64,
    ) -> Result<(), ReconcileError> {
        let tidies = verdict.requests.iter().all(|r| r.change == Change::Tidy);
        let acts = verdict.release.is_some() || verdict.answered.is_some();
        let merging = if tidies && !acts {
            self.settings.merge_reverts
        } else {
            self.settings.merge
        };
        // The record of an emergency is merged as reverts are: it changes nothing but the trail. A release acts, as a request does, and
        // so do answers to an access review.
        let grants = verdict.only_grants && !verdict.requests.is_empty();
        let due = verdict.outcome == Outcome::Approved && (grants || verdict.record().is_some());
        if !due || merging == Merging::Off {
            return Ok(());
        }
        let number = facts.pull.number;
        let _turn = self.merging.lock().await;
        if self.merges.load(Ordering::SeqCst) != merges {
            return Ok(self.store.wake(&[Wake::Pull(number)], self.now()).await?);
        }
        let (title, message) = proposal::merge_message(&facts.pull, verdict, self.now());
        match self
            .forge
            .merge(number, &facts.pull.head, &title, &message)
            .await?
        {
            MergeOutcome::Merged(commit) => {
                self.merges.fetch_add(1, Ordering::SeqCst);
                info!(pull = number.0, merge.commit = %commit, "merged #{number}");
                self.store.wake(&[Wake::Main], self.now()).await?;
            }
            // Somebody pushed, or a rule of the repository is not met yet: looked at again later.
            MergeOutcome::NotNow(why) => {
                return Err(ReconcileError::Unsettled(format!(
                    "the forge would not merge #{number}: {why}"
                )));
            }
        }
        Ok(())
    }
}
