//! The check of a commit, which all open pull requests share that have it as their head: the one of which the worst is said publishes
//! its own, and the others leave it to that one.
//!
//! Each writes down what it says before it reads what the others say, so that of two that are judged at once at least one sees the other.
//! Only who is to speak is woken, and only where the forge does not show it, or where it does not know of somebody: so nobody wakes
//! anybody for ever.
//!
//! Accepted race: two that publish at one commit in the same moment may do so in the other order than they write it down. That stands
//! until either is judged otherwise.

use sha2::{Digest, Sha256};
use tracing::info;

use super::{Merging, ReconcileError, Reconciler};
use crate::domain::model::{CommitId, PullNumber};
use crate::domain::pull::Pull;
use crate::domain::report::{self, Check, CheckStatus, Voice};
use crate::forge::CheckId;
use crate::store::Said;

impl Reconciler {
    /// Publishes the check, unless the forge already shows exactly this, or another pull request speaks at the same commit.
    pub(super) async fn publish(&self, pull: &Pull, check: &Check) -> Result<(), ReconcileError> {
        let voice = Voice {
            pull: pull.number,
            here: pull.base_branch == self.settings.protected_branch,
            status: check.status,
        };
        // Another pull request may bring the same commit to the protected branch: what does not concern us elsewhere must not say so of
        // that one.
        if !voice.here && check.status == CheckStatus::Neutral {
            return self.unsay(voice.pull).await;
        }
        let digest = digest(check);
        let before = self.store.said(voice.pull).await?;
        let beside = |before: &Said| before.head == check.head && before.voice.here == voice.here;
        let joins = !before.as_ref().is_some_and(beside);
        let differs = |before: &Said| before.voice != voice || before.digest != digest;
        if joins || before.as_ref().is_some_and(differs) {
            // Before it is remembered that this is said: a crash in between must not lose it. What is merged in a moment is labelled then.
            if check.status != CheckStatus::Success || self.settings.merge == Merging::Off {
                self.relabel(voice.pull).await?;
            }
            self.store.say(&voice, &check.head, &digest).await?;
        }
        if let Some(left) = before.map(|before| before.head)
            && left != check.head
        {
            self.wake_speaker(&left).await?;
        }
        self.speak(&voice, check, joins).await
    }

    /// Publishes the check of `voice`, if it is the one to speak at its commit; if not, makes sure that the other one does.
    async fn speak(&self, voice: &Voice, check: &Check, joins: bool) -> Result<(), ReconcileError> {
        let mut published: Option<String> = None;
        // Looked at again once it is published: another may have said something meanwhile.
        loop {
            let said = self.store.said_at(&check.head).await?;
            let voices: Vec<Voice> = said.iter().map(|one| one.voice).collect();
            let speaker = report::speaker(&voices);
            let Some(speaks) = said.iter().find(|one| Some(one.voice) == speaker) else {
                return Ok(());
            };
            let number = speaks.voice.pull;
            if number != voice.pull {
                if joins || published.is_some() || speaks.shown.is_none() {
                    self.wake_pulls(std::iter::once(number)).await?;
                }
                return Ok(());
            }
            let check = report::shared(check.clone(), voice, &voices);
            let digest = digest(&check);
            if published.as_ref().or(speaks.shown.as_ref()) == Some(&digest) {
                return Ok(());
            }
            let known = said.iter().filter_map(|one| one.run).max();
            let id = self.forge.publish_check(&check, known.map(CheckId)).await?;
            self.store
                .show(number, &check.head, (id.0, &digest))
                .await?;
            info!(pull = number.0, check.title = %check.title, "published the check of #{number}: {}", check.title);
            published = Some(digest);
        }
    }

    /// Forgets what was said of a pull request of which nothing is to be said any more, and lets others speak at its commit.
    pub(super) async fn unsay(&self, pull: PullNumber) -> Result<(), ReconcileError> {
        match self.store.unsay(pull).await? {
            Some(left) => self.wake_speaker(&left).await,
            None => Ok(()),
        }
    }

    /// Wakes the pull request that is to speak at a commit which another one has left.
    async fn wake_speaker(&self, head: &CommitId) -> Result<(), ReconcileError> {
        let said = self.store.said_at(head).await?;
        let voices: Vec<Voice> = said.iter().map(|one| one.voice).collect();
        let speaker = report::speaker(&voices);
        self.wake_pulls(speaker.into_iter().map(|voice| voice.pull))
            .await
    }
}

fn digest(check: &Check) -> String {
    hex::encode(Sha256::digest(format!("{check:?}")))
}
