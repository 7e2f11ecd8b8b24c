//! A call at a target that came late: its process stood still, or the network did, and another server has gone on meanwhile. What it did may
//! contradict the ledger, which knows nothing of it.

use super::ledger::{Entry, State};
use super::model::Instant;

/// What the call was to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// Give an access.
    Grant,
    /// Take it.
    Revoke,
}

/// The entries that are to be asked for again, as they are to be written, so that the target has what the ledger says whatever the call did.
/// `own` is the entry that it was made for, as it stands now, and `same` are the live ones for the same access.
///
/// Asked for again is what is perhaps not as it was read back: an access that must be there and was perhaps taken, or one that must be gone
/// and was perhaps given. An entry that another server is at is written too: what that one read back may have been before the late call.
pub fn asked_again(late: Late, own: Option<&Entry>, same: &[Entry], now: Instant) -> Vec<Entry> {
    let again = |entry: &Entry, state: State| Entry {
        state,
        wake_at: Some(now),
        settled_at: None,
        ..entry.clone()
    };
    let is_kept = |e: &&Entry| matches!(e.state, State::Granting | State::Active);
    let kept = same.iter().filter(is_kept);
    let going = same.iter().filter(|e| e.state == State::Revoking);
    match late {
        Late::Revoke => kept.map(|e| again(e, State::Granting)).collect(),
        Late::Grant if kept.count() > 0 => Vec::new(),
        Late::Grant => {
            let going: Vec<&Entry> = going.collect();
            let over = own.filter(|e| e.state.is_final() && going.is_empty());
            let gone = going.iter().copied().chain(over);
            gone.map(|e| again(e, State::Revoking)).collect()
        }
    }
}
