//! What a database knows beside the ledger, carried from one run to the next where no database is kept: who was asked or told already, what
//! goes on, which removals are held back, what drifted.
//!
//! It stands on a branch of its own, signed. Lost, or put back as it was earlier, it costs that somebody is asked or told once more; the
//! ledger does not come from here, and nothing is given or kept by it: a release and an answer are weighed by their proof, whenever. Of what
//! decides, two things are here: that a pull request was seen to aim at another branch, and since when owners are seen in their teams. Lost,
//! approvals count as where nobody had looked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::safety::SEEN;
use super::{ReconcileError, Reconciler};
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
    /// Takes over what an earlier run left on `branch`, if this database is new.
    ///
    /// # Errors
    /// When forge, git or database fail.
    pub async fn recall(&self, branch: &str) -> Result<(), ReconcileError> {
        let used = self.store.cursor().await?.is_some();
        if used || !self.store.entries(Scope::All).await?.is_empty() {
            return Ok(());
        }
        let carried = self.carried(branch).await?.unwrap_or_else(|| {
            info!("no earlier run left notes on `{branch}`");
            Carried::default()
        });
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

    /// Leaves on `branch` what the next run must know beside the ledger.
    ///
    /// # Errors
    /// When forge, git or database fail.
    pub async fn carry(&self, branch: &str) -> Result<(), ReconcileError> {
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
        let bytes = serde_json::to_vec_pretty(&carried).map_err(|error| {
            ReconcileError::Unsettled(format!("notes cannot be written: {error}"))
        })?;
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
        self.mirror
            .fetch(&self.remote().await?, &[branch], &[])
            .await?;
        let Some(bytes) = self.mirror.kept(&self.signers, branch).await? else {
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
