//! The outbox becomes commits: one an event, pushed in batches, pushed again until the remote has them.

use tracing::{Instrument as _, error, info, info_span};

use super::safety::SEEN;
use super::{ReconcileError, Reconciler};
use crate::domain::model::CommitId;
use crate::domain::safety::SafeMode;
use crate::repo::RepoError;

/// Events in one push.
const BATCH: u32 = 500;

/// How often a push that lost a race is rebuilt on the new tip within one pass.
const RACES: u32 = 3;

impl Reconciler {
    /// Writes everything in the outbox to the evidence branch. Returns how many events the remote now has more.
    ///
    /// # Errors
    /// When git, forge or database fail: the outbox keeps the events.
    pub async fn evidence(&self) -> Result<usize, ReconcileError> {
        let mut written = 0;
        loop {
            let batch = self.store.unpublished(BATCH).await?;
            if batch.is_empty() {
                return Ok(written);
            }
            let (sequences, events): (Vec<u64>, Vec<_>) = batch.into_iter().unzip();
            let pushed = self.push_evidence(&events);
            let commits = pushed.instrument(info_span!("publish")).await?;
            let published: Vec<_> = sequences.into_iter().zip(commits).collect();
            self.store.published(&published).await?;
            written += events.len();
            info!(
                events = events.len(),
                "wrote {} events to `{}`",
                events.len(),
                self.settings.evidence_branch
            );
        }
    }

    /// The commit of each event.
    async fn push_evidence(
        &self,
        events: &[crate::domain::evidence::Event],
    ) -> Result<Vec<CommitId>, ReconcileError> {
        let branch = &self.settings.evidence_branch;
        let remote = self.remote().await?;
        let mut races = 0;
        loop {
            self.mirror.fetch(&remote, &[branch], &[]).await?;
            let doubt = self.evidence_in_doubt().await?;
            if doubt.is_some() {
                self.note_footing(doubt.clone()).await?;
            }
            if let Some(mode @ SafeMode::EvidenceCut { .. }) = doubt {
                // What is written on a branch that was cut would stand in the way of putting it back.
                return Err(ReconcileError::Safe(mode));
            }
            let commits = self
                .mirror
                .append_evidence(&self.signers, branch, events)
                .await?;
            match self.mirror.push(&remote, branch, false).await {
                Err(RepoError::Refused { reason }) if races < RACES => {
                    races += 1;
                    error!(reason = %reason, "the remote refused the evidence; rebuilding it on the newest tip");
                    continue;
                }
                result => result?,
            }
            // What was pushed comes from here; whether all before it does was just asked.
            if let (None, Some(tip)) = (doubt, self.mirror.tip(branch).await?) {
                self.store.set_note(SEEN, tip.as_str()).await?;
            }
            return Ok(commits);
        }
    }
}
