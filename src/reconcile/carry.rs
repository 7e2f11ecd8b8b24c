//! What a database knows beside the ledger, carried from one run to the next where no database is kept: who was asked or told already, what
//! goes on, which removals are held back, what drifted.
//!
//! It stands on a branch of its own, signed. Lost, or put back as it was earlier, it costs that somebody is asked or told once more; the
//! ledger does not come from here, and nothing is given or kept by it: a release and an answer are weighed by their proof, whenever. Of what
//! decides, two things are here. That a pull request was seen to aim at another branch: lost, approvals count as where nobody had looked.
//! Since when owners are seen in their teams: lost although there is evidence of earlier runs, they count from then on, so that nobody
//! gains by taking the notes away.
//!
//! The notes also say where the evidence ended, as an anchor does: who takes that branch away, or cuts it, would otherwise make every access
//! that is held one of which nobody knows that it is to end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::safety::{NOTES_ANCHOR, SEEN};
use super::{ReconcileError, Reconciler};
use crate::domain::audit::Anchor;
use crate::domain::drift::{Changes, Known};
use crate::domain::message::Message;
use crate::repo::Keepsake;
use crate::store::{Scope, Standing};

/// What is carried. What a later version adds, an earlier one leaves out.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Carried {
    notes: BTreeMap<String, String>,
    drift: Vec<Known>,
    /// What goes on, and how often people were told of it.
    #[serde(default)]
    standing: Vec<Standing>,
}

impl Reconciler {
    /// Whether the repository has this branch.
    ///
    /// # Errors
    /// When forge or git fail.
    pub async fn has_branch(&self, name: &str) -> Result<bool, ReconcileError> {
        let remote = self.remote().await?;
        self.mirror.fetch(&remote, &[name], &[]).await?;
        Ok(self.mirror.tip(name).await?.is_some())
    }

    /// Takes over what an earlier run left on `branch`, if this database is new.
    ///
    /// # Errors
    /// When forge, git or database fail.
    pub async fn recall(&self, branch: &str) -> Result<(), ReconcileError> {
        let used = self.store.cursor().await?.is_some();
        if used || !self.store.entries(Scope::All).await?.is_empty() {
            return Ok(());
        }
        let found = self.carried(branch).await?;
        if found.is_none() {
            self.tell_no_notes(branch).await?;
        }
        let carried = found.unwrap_or_default();
        self.store
            .take_over(carried.notes, &carried.standing, self.now())
            .await?;
        for known in carried.drift {
            let at = known.first_seen;
            let new = Changes {
                new: vec![known.drift],
                over: Vec::new(),
            };
            self.store.change_drift(&new, at, &[]).await?;
        }
        Ok(())
    }

    /// There are none before the first run. Where there was one, they were lost, and nobody knows who came into a team meanwhile.
    async fn tell_no_notes(&self, branch: &str) -> Result<(), ReconcileError> {
        // Fetched with the notes.
        if self.evidence_tip().await?.is_none() {
            info!("no earlier run left notes on `{branch}`");
            return Ok(());
        }
        warn!(
            "the notes of earlier runs on `{branch}` are gone: people are asked and told once more, for how long owners have been owners \
             counts from now, and approvals that were given for another branch are not known as such"
        );
        Ok(self.store.note_tenures_lost(self.now()).await?)
    }

    /// Leaves on `branch` what the next run must know beside the ledger.
    ///
    /// # Errors
    /// When forge, git or database fail.
    pub async fn carry(&self, branch: &str) -> Result<(), ReconcileError> {
        self.note_evidence(branch).await?;
        let mut notes: BTreeMap<_, _> = self.store.portable_notes().await?.into_iter().collect();
        notes.remove(SEEN);
        let carried = Carried {
            notes,
            drift: self.store.drift(None).await?,
            standing: self.goes_on().await?,
        };
        if self.carried(branch).await?.as_ref() == Some(&carried) {
            return Ok(());
        }
        let bytes = serde_json::to_vec_pretty(&carried).map_err(unwritten)?;
        let what = Keepsake {
            bytes,
            message: "Notes for the next run\n\nWho was asked and told already, what is held back, what drifted. The evidence is elsewhere."
                .to_owned(),
            at: self.now(),
        };
        self.mirror.keep(&self.signers, branch, what).await?;
        Ok(self
            .mirror
            .push(&self.remote().await?, branch, true)
            .await?)
    }

    /// Notes where the evidence ends, which the next run must find again. Evidence that was cut takes nothing back.
    async fn note_evidence(&self, branch: &str) -> Result<(), ReconcileError> {
        let evidence = &self.settings.evidence_branch;
        let Some(head) = self.mirror.evidence_head(&self.signers, evidence).await? else {
            return Ok(());
        };
        if let Some((_, before)) = self.left_by_a_run().await?
            && !self.still_holds(&before.commit, &head.commit).await?
        {
            return Ok(());
        }
        let left = serde_json::to_string(&(branch, head)).map_err(unwritten)?;
        Ok(self.store.set_note(NOTES_ANCHOR, &left).await?)
    }

    /// Where the evidence ended when an earlier run left its notes, and the branch that says so.
    pub(super) async fn left_by_a_run(&self) -> Result<Option<(String, Anchor)>, ReconcileError> {
        let left = self.store.note(NOTES_ANCHOR).await?;
        Ok(left.and_then(|left| serde_json::from_str(&left).ok()))
    }

    /// What goes on, with how often it was told. What it says in full is found again by the next run, and is not for a branch that everybody
    /// reads.
    async fn goes_on(&self) -> Result<Vec<Standing>, ReconcileError> {
        let all = self.store.standing("").await?.into_values();
        let bare = |standing: Standing| Standing {
            message: Message {
                facts: Vec::new(),
                to_do: None,
                links: Vec::new(),
                ..standing.message
            },
            ..standing
        };
        Ok(all.filter(|standing| standing.open).map(bare).collect())
    }

    async fn carried(&self, branch: &str) -> Result<Option<Carried>, ReconcileError> {
        let evidence = &self.settings.evidence_branch;
        self.mirror
            .fetch(&self.remote().await?, &[branch, evidence], &[])
            .await?;
        let kept = self.mirror.kept(&self.signers, branch, evidence).await?;
        let Some(bytes) = kept else {
            return Ok(None);
        };
        match serde_json::from_slice(&bytes) {
            Ok(carried) => Ok(Some(carried)),
            Err(error) => {
                // Signed by us, and of another version: what it says is asked and told anew.
                warn!(error = %error, "the notes on `{branch}` cannot be read: {error}");
                Ok(None)
            }
        }
    }
}

fn unwritten(error: serde_json::Error) -> ReconcileError {
    ReconcileError::Unsettled(format!("notes cannot be written: {error}"))
}
