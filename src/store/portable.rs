//! What one database takes over from another beside the ledger, and what holds for each by itself.

use std::collections::BTreeMap;

use super::standing::Standing;
use super::{SERVED, Store, StoreError, labels, ledger, messages, outbox};
use crate::domain::evidence::Event;
use crate::domain::model::Instant;

/// How far events were looked at, for whom. Their numbers are those of one database.
const NEWS: [&str; 2] = [messages::CURSOR, labels::CURSOR];

/// Whether what is noted under `name` holds for another database as well: not how far its branch and its events were read, nor when it was in
/// use.
fn is_portable(name: &str) -> bool {
    ![ledger::CURSOR, SERVED].contains(&name) && !NEWS.contains(&name)
}

impl Store {
    /// Everything that was noted, by name, but what holds for this database alone.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn portable_notes(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut notes = self.notes("").await?;
        notes.retain(|(name, _)| is_portable(name));
        Ok(notes)
    }

    /// Takes over what another database noted, and regards whatever happens from here on as news.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn take_over(
        &self,
        notes: BTreeMap<String, String>,
        standing: &[Standing],
        now: Instant,
    ) -> Result<(), StoreError> {
        let notes = notes.into_iter().filter(|(name, _)| is_portable(name));
        let notes: Vec<_> = notes.map(|(name, value)| (name, Some(value))).collect();
        self.commit_noting(&[], &[], &notes).await?;
        for cursor in NEWS {
            self.events_past(cursor, 1).await?;
        }
        self.keep_standing(standing, &[], now).await
    }

    /// Events past the one that the note `cursor` holds, in the order they were written, at most `most`. The first time there are none:
    /// the cursor is set to the last.
    pub(super) async fn events_past(
        &self,
        cursor: &str,
        most: u32,
    ) -> Result<Vec<(u64, Event)>, StoreError> {
        let readers = &self.inner.readers;
        let Some(past) = self.note(cursor).await? else {
            let last = outbox::last(readers).await?;
            self.set_note(cursor, &last.to_string()).await?;
            return Ok(Vec::new());
        };
        let past = past
            .parse()
            .map_err(|_| StoreError::broken(format!("the note {cursor} holds {past:?}")))?;
        outbox::after(readers, past, most).await
    }
}
