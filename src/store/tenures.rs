//! Since when people are seen in the teams that own files: a note for each team.

use super::{Store, StoreError, ledger};
use crate::domain::model::{Instant, Owner};
use crate::domain::pull::{Lookup, Team};
use crate::domain::tenure::Tenure;

/// Each note is this and the team.
const NOTE: &str = "tenure:";

/// Noted where earlier readings were lost: since when.
const LOST: &str = "tenures-lost";

impl Store {
    /// Takes in who was found in `team` at `now`, and returns since when each of them is seen there; `None` where nothing is known.
    ///
    /// # Errors
    /// [`StoreError::Broken`] says that what was noted cannot be understood.
    pub async fn seen_in(
        &self,
        team: &Owner,
        found: &Lookup<Team>,
        now: Instant,
    ) -> Result<Option<Tenure>, StoreError> {
        let name = format!("{NOTE}{team}");
        let known = self.known_of(&name).await?;
        let after = Tenure::after(known.as_ref(), found, now);
        if after == known {
            return Ok(after);
        }
        // Once more, so that what another server took in meanwhile is not undone.
        let mut tx = self.inner.writer.begin().await?;
        let known = read(&name, ledger::note(&mut *tx, &name).await?)?.or(known);
        let after = Tenure::after(known.as_ref(), found, now);
        if let Some(after) = &after {
            ledger::set_note(&mut tx, &name, &written(after)?).await?;
        }
        tx.commit().await?;
        Ok(after)
    }

    /// Notes that earlier readings were lost at `now`: whoever is found in a team of which nothing is noted was first seen then, and not
    /// always there.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn note_tenures_lost(&self, now: Instant) -> Result<(), StoreError> {
        self.set_note(LOST, &now.to_rfc3339()).await
    }

    async fn known_of(&self, name: &str) -> Result<Option<Tenure>, StoreError> {
        let known = read(name, self.note(name).await?)?;
        if known.is_some() || self.note(LOST).await?.is_none() {
            return Ok(known);
        }
        // Not the first reading, only the first that is remembered.
        Ok(Some(Tenure::default()))
    }
}

fn read(name: &str, text: Option<String>) -> Result<Option<Tenure>, StoreError> {
    let read = |text: String| {
        serde_json::from_str(&text)
            .map_err(|error| StoreError::broken(format!("the note {name} cannot be read: {error}")))
    };
    text.map(read).transpose()
}

fn written(tenure: &Tenure) -> Result<String, StoreError> {
    serde_json::to_string(tenure)
        .map_err(|error| StoreError::broken(format!("who is in a team cannot be written: {error}")))
}
