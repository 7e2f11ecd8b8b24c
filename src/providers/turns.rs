//! One after the other, for each thing by itself: what was looked at before a change is still so when the change is made.
//!
//! Accepted: turns are of one process. What several servers do to one thing at once is repeated, and read back by the one that writes it down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Who waits for whom, by what it is about. What nobody waits for is forgotten.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<String, Weak<Turn<()>>>>);

impl Turns {
    /// Waits until nobody else is at `thing`. Nobody else gets to it before the answer is dropped.
    pub(super) async fn of(&self, thing: &str) -> OwnedMutexGuard<()> {
        self.turn(thing).lock_owned().await
    }

    fn turn(&self, thing: &str) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(thing).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(thing.to_owned(), Arc::downgrade(&turn));
        turn
    }
}
