//! The ledger and the queue on disk: SQLite by default, PostgreSQL by its URL.
//!
//! Invariant: what [`Store::commit`] returned from is durable, whole, and survives `kill -9`.

use std::collections::BTreeSet;

use crate::domain::evidence::Event;
use crate::domain::ledger::Entry;
use crate::domain::model::{CommitId, ConnectionName, GrantPath, Instant, PullNumber, Subject};

/// What went wrong with the database, named by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote the entry first: read again, decide again.
    #[error("the ledger entry {0} was changed by somebody else meanwhile")]
    Conflict(String),
    /// Try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// A person must look: a schema of a newer version, a broken file, unreadable rows.
    #[error("the database is broken: {what}")]
    Broken {
        /// What was found.
        what: String,
        /// Why.
        #[source]
        source: Option<sqlx::Error>,
    },
}

/// What has to be looked at. Wakes with the same name coalesce: a storm of webhooks for one pull request is one look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wake {
    /// One pull request.
    Pull(PullNumber),
    /// The protected branch.
    Main,
    /// Everything: what a resync does.
    All,
}

/// A wake that was taken from the queue: finished by its token, so that a wake that arrives meanwhile is not lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenWake {
    /// What to look at.
    pub wake: Wake,
    /// The state of the row when it was taken.
    pub token: u64,
    /// How often it was tried in vain.
    pub attempts: u32,
}

/// Which entries of the ledger to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Entries of one connection that are not final.
    Live(&'a ConnectionName),
    /// Entries of one connection that are due at the instant, and every other live entry for the same access.
    Due(&'a ConnectionName, Instant),
    /// Entries in [`crate::domain::ledger::State::Arrived`] (they belong to no connection yet), and every other entry that is
    /// not final.
    Unsettled,
    /// Final entries whose file may still stand on the protected branch.
    Untidied,
    /// Everything, final or not.
    All,
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {}

#[expect(
    clippy::unused_async,
    clippy::missing_errors_doc,
    reason = "being built"
)]
impl Store {
    /// Opens the database at `url` (`sqlite:///path/file.db`, `postgres://...`), creating and migrating it.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let _ = url;
        unimplemented!("store")
    }

    /// Writes entries and events in one transaction. An entry of version 0 is inserted, another is updated if the stored version
    /// is still the entry's; the stored version becomes one more. An event whose key is known is left out silently.
    /// On any error nothing is written.
    pub async fn commit(&self, entries: &[Entry], events: &[Event]) -> Result<(), StoreError> {
        let _ = (entries, events);
        unimplemented!("store")
    }

    /// [`Store::commit`], and moves the cursor of the protected branch in the same transaction.
    pub async fn commit_arrivals(
        &self,
        entries: &[Entry],
        cursor: &CommitId,
    ) -> Result<(), StoreError> {
        let _ = (entries, cursor);
        unimplemented!("store")
    }

    /// Up to which commit of the protected branch arrivals are recorded.
    pub async fn cursor(&self) -> Result<Option<CommitId>, StoreError> {
        unimplemented!("store")
    }

    /// Entries of the ledger, by id.
    pub async fn entries(&self, scope: Scope<'_>) -> Result<Vec<Entry>, StoreError> {
        let _ = scope;
        unimplemented!("store")
    }

    /// Entries of the ledger, final or not, for these files.
    pub async fn entries_at(&self, paths: &BTreeSet<GrantPath>) -> Result<Vec<Entry>, StoreError> {
        let _ = paths;
        unimplemented!("store")
    }

    /// Live entries of these subjects.
    pub async fn entries_of(&self, subjects: &BTreeSet<Subject>) -> Result<Vec<Entry>, StoreError> {
        let _ = subjects;
        unimplemented!("store")
    }

    /// Connections that have entries due at `now`.
    pub async fn due_connections(
        &self,
        now: Instant,
    ) -> Result<BTreeSet<ConnectionName>, StoreError> {
        let _ = now;
        unimplemented!("store")
    }

    /// When the next admitted entry is due: what the expiry timer waits for.
    pub async fn next_due(&self) -> Result<Option<Instant>, StoreError> {
        unimplemented!("store")
    }

    /// Records that something is to be looked at. One durable transaction for all of them; concurrent callers may share one.
    pub async fn wake(&self, wakes: &[Wake], now: Instant) -> Result<(), StoreError> {
        let _ = (wakes, now);
        unimplemented!("store")
    }

    /// The wakes that are due, oldest first.
    pub async fn due_wakes(&self, now: Instant) -> Result<Vec<TakenWake>, StoreError> {
        let _ = now;
        unimplemented!("store")
    }

    /// Removes a wake that was worked off, unless it was asked for again meanwhile.
    pub async fn finish_wake(&self, taken: &TakenWake) -> Result<(), StoreError> {
        let _ = taken;
        unimplemented!("store")
    }

    /// Puts a wake off after a failure.
    pub async fn defer_wake(&self, taken: &TakenWake, until: Instant) -> Result<(), StoreError> {
        let _ = (taken, until);
        unimplemented!("store")
    }

    /// Events that are not known to be on the remote's evidence branch, in the order they were written, with their sequence.
    pub async fn unpublished(&self, limit: u32) -> Result<Vec<(u64, Event)>, StoreError> {
        let _ = limit;
        unimplemented!("store")
    }

    /// Records that these events are on the remote's evidence branch.
    pub async fn published(&self, sequences: &[u64]) -> Result<(), StoreError> {
        let _ = sequences;
        unimplemented!("store")
    }

    /// The check that was last published for a pull request: its number at the forge, its commit, a digest of its content.
    pub async fn last_check(
        &self,
        pull: PullNumber,
    ) -> Result<Option<(u64, CommitId, String)>, StoreError> {
        let _ = pull;
        unimplemented!("store")
    }

    /// Remembers the check that was published.
    pub async fn remember_check(
        &self,
        pull: PullNumber,
        id: u64,
        head: &CommitId,
        digest: &str,
    ) -> Result<(), StoreError> {
        let _ = (pull, id, head, digest);
        unimplemented!("store")
    }
}
