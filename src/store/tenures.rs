//! Since when people are seen in the teams that own files: a note for each team.

use super::{Store, StoreError, ledger};
use crate::domain::model::{Instant, Owner};
use crate::domain::pull::{Lookup, Team};
use crate::domain::tenure::Tenure;

/// Each note is this and the team.
const NOTE: &str = "tenure:";

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
        let known = read(&name, self.note(&name).await?)?;
        let after = Tenure::after(known.as_ref(), found, now);
        if after == known {
            return Ok(after);
        }
        // Once more, so that what another server took in meanwhile is not undone.
        let mut tx = self.inner.writer.begin().await?;
        let known = read(&name, ledger::note(&mut *tx, &name).await?)?;
        let after = Tenure::after(known.as_ref(), found, now);
        if let Some(after) = &after {
            ledger::set_note(&mut tx, &name, &written(after)?).await?;
        }
        tx.commit().await?;
        Ok(after)
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
