//! The ledger and the queue on disk: SQLite by default, PostgreSQL by its URL.
//!
//! Invariant: what [`Store::commit`] returned from is durable, whole, and survives `kill -9`.
//!
//! One SQL text serves both databases, through sqlx's `Any` driver: the URL alone chooses. All writes go through one
//! connection, so that a transaction never waits for a lock which it holds itself; reads have a few of their own (SQLite in
//! WAL mode lets them read beside the writer). A SQLite file belongs to one process: a lock file beside it says whose.

mod anchors;
mod asks;
mod checks;
mod commits;
mod deployments;
mod drift;
mod fault;
mod group;
mod labels;
mod ledger;
mod messages;
mod notices;
mod open;
mod outbox;
mod portable;
mod remarks;
mod sessions;
mod shown;
mod standing;
mod tally;
mod tenures;
mod wakes;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::AnyPool;
use sqlx::any::AnyConnectOptions;

use crate::domain::evidence::Event;
use crate::domain::ledger::Entry;
use crate::domain::model::{
    Access, CommitId, ConnectionName, GrantPath, Instant, PullNumber, RepoName, Subject,
};
use crate::domain::plan::sieve::Related;

/// What went wrong with the database, named by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote the entry, or moved the cursor, first: read again, decide again.
    #[error("{0} in the ledger was changed by somebody else meanwhile")]
    Conflict(String),
    /// Try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// There is no database yet.
    #[error("there is no database yet")]
    Absent,
    /// A person must look: a schema of a newer version, a broken file, unreadable rows.
    #[error("the database cannot be used: {what}")]
    Broken {
        /// What was found.
        what: String,
        /// Why.
        #[source]
        source: Option<sqlx::Error>,
    },
}

/// What is known of a place where anchors are kept.
pub use anchors::Remembered;
/// What pull requests say at their heads.
pub use checks::Said;
/// What people are told beside GitHub, and what becomes of it.
pub use messages::{Addressed, Queued, Sent};
/// What becomes of a notice that access ends soon.
pub use notices::Notice;
/// What became of somebody's comment.
pub use remarks::Handled;
/// Who is signed in.
pub use sessions::{Session, SessionKey};
/// What the page shows.
pub use shown::{Judged, List, Mark, Waiting, Whose};
/// What goes on for a while.
pub use standing::Standing;
/// How much there is of what, and the question about all grants.
pub use tally::{ALL_GRANTS, Tally};

use commits::Commit;
use group::Group;
use open::Lock;
use wakes::Asked;
use watch::soon;

/// The note that says when a service that uses the database last said so.
const SERVED: &str = "served";

/// What has to be looked at. Wakes with the same name coalesce: a storm of webhooks for one pull request is one look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wake {
    /// One pull request.
    Pull(PullNumber),
    /// The protected branch.
    Main,
    /// Everything: what a resync does.
    All,
    /// What waits for the ledger's word in one repository that deploys.
    Deployments(RepoName),
    /// Everything, and first of all who belongs to the organisation: somebody came or went.
    Members,
    /// What people wrote on pull requests.
    Remarks,
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
    /// When it was first asked for.
    pub asked_at: Instant,
}

/// Which entries of the ledger to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Entries of one connection that are not final.
    Live(&'a ConnectionName),
    /// Entries of one connection that are due at the instant, and every other live entry for the same access.
    Due(&'a ConnectionName, Instant),
    /// Entries for one access that are not final.
    Same(&'a Access),
    /// Entries that wait for a proof: arrived (they belong to no connection yet), scheduled, or about to be given.
    Waiting,
    /// Every entry that is not final.
    Unfinished,
    /// Entries that are being taken and are tried again after the instant only.
    PutOff(Instant),
    /// Final entries whose file may still stand on the protected branch.
    Untidied,
    /// Entries, final or not, that were given in an emergency and whose review no owner has signed.
    Unreviewed,
    /// Everything, final or not.
    All,
}

/// A whole ledger, to be written in the place of another.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'a> {
    /// Its entries, all of version 0.
    pub entries: &'a [Entry],
    /// Up to which commit of the protected branch arrivals are recorded; `None`: it was not looked at.
    pub cursor: Option<&'a CommitId>,
    /// What is written down with it.
    pub events: &'a [Event],
    /// What is noted with it, by name; `None` forgets what was noted there.
    pub notes: &'a [(&'a str, Option<&'a str>)],
}

/// The database. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// A few connections.
    readers: AnyPool,
    /// One connection: the writer's lock.
    writer: Writer,
    /// Where wakes are written together.
    wakes: Group<Asked>,
    /// Where entries and events are written together.
    commits: Group<Commit>,
    /// How to connect once more.
    options: AnyConnectOptions,
    /// Held, as a lock, until the store is closed. SQLite only.
    lock: Mutex<Option<Lock>>,
}

/// The one connection that writes.
#[derive(Debug, Clone)]
struct Writer {
    pool: AnyPool,
    dialect: Dialect,
    /// What PostgreSQL calls the process that serves it.
    backend: Arc<AtomicI32>,
}

/// The little in which the two databases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Writer {
    /// Begins a transaction in which no other writer can come between reading and writing.
    async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Any>, StoreError> {
        match self.dialect {
            Dialect::Sqlite => Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?),
            Dialect::Postgres => {
                let mut tx = self.pool.begin().await?;
                // Writers of all replicas take turns, as they do on SQLite; readers are not held up.
                sqlx::query("LOCK TABLE meta IN SHARE ROW EXCLUSIVE MODE")
                    .execute(&mut *tx)
                    .await?;
                Ok(tx)
            }
        }
    }
}

impl Store {
    /// Opens the database at `url` (`sqlite:///path/file.db`, `postgres://...`), creating and migrating it.
    ///
    /// # Errors
    /// [`StoreError::Broken`] when another process has the SQLite file, when a newer version of Hallpass wrote it, or when it
    /// is no database; [`StoreError::Unavailable`] when it cannot be reached.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        open::open(url).await
    }

    /// Opens an existing database for reading, beside the process that writes it. Calls that would write fail.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when there is none; [`StoreError::Broken`] when another version of Hallpass wrote it.
    pub async fn read(url: &str) -> Result<Self, StoreError> {
        open::read(url).await
    }

    /// Writes what is queued, closes every connection and gives the file up. Calls after this fail.
    pub async fn close(&self) {
        self.inner.wakes.stop().await;
        self.inner.commits.stop().await;
        self.inner.writer.pool.close().await;
        self.inner.readers.close().await;
        let mut lock = self
            .inner
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        drop(lock.take());
    }

    /// Writes entries and events in one transaction. An entry of version 0 is inserted, another is updated if the stored version
    /// is still the entry's; the stored version becomes one more. An event whose key is known is left out silently.
    /// On any error nothing of it is written. Concurrent callers may share one transaction; once this was polled, it is written even
    /// if the caller goes away.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an entry was written by somebody else since it was read.
    pub async fn commit(&self, entries: &[Entry], events: &[Event]) -> Result<(), StoreError> {
        let (entries, events) = (entries.to_vec(), events.to_vec());
        self.inner.commits.write(Commit { entries, events }).await
    }

    /// [`Store::commit`], and moves the cursor of the protected branch in the same transaction: from where it was read to where it is now.
    ///
    /// # Errors
    /// As [`Store::commit`]; [`StoreError::Conflict`] too when somebody else moved the cursor since it was read.
    pub async fn commit_arrivals(
        &self,
        entries: &[Entry],
        events: &[Event],
        (before, cursor): (Option<&CommitId>, &CommitId),
    ) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        ledger::cursor_is(&mut tx, before).await?;
        ledger::write(&mut tx, entries).await?;
        outbox::append(&mut tx, events).await?;
        ledger::move_cursor(&mut tx, cursor).await?;
        Ok(tx.commit().await?)
    }

    /// Puts `parts` in the place of the entry of a bundle that arrived, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the bundle's entry was written by somebody else since it was read, or a part is there
    /// already; nothing is written then.
    pub async fn divide(&self, bundle: &Entry, parts: &[Entry]) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        ledger::give_way(&mut tx, bundle).await?;
        ledger::write(&mut tx, parts).await?;
        Ok(tx.commit().await?)
    }

    /// Puts `ledger` in the place of everything that the ledger holds, in one transaction. Events that wait to be published go on
    /// waiting.
    ///
    /// # Errors
    /// When it was not written; nothing is changed then.
    pub async fn rebuild(&self, ledger: &Ledger<'_>) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        ledger::clear(&mut tx).await?;
        ledger::write(&mut tx, ledger.entries).await?;
        outbox::append(&mut tx, ledger.events).await?;
        match ledger.cursor {
            Some(cursor) => ledger::move_cursor(&mut tx, cursor).await?,
            None => ledger::forget_cursor(&mut tx).await?,
        }
        for (name, value) in ledger.notes {
            match value {
                Some(value) => ledger::set_note(&mut tx, name, value).await?,
                None => ledger::forget_note(&mut tx, name).await?,
            }
        }
        Ok(tx.commit().await?)
    }

    /// Up to which commit of the protected branch arrivals are recorded.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn cursor(&self) -> Result<Option<CommitId>, StoreError> {
        ledger::cursor(&self.inner.readers).await
    }

    /// Entries of the ledger, by id.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn entries(&self, scope: Scope<'_>) -> Result<Vec<Entry>, StoreError> {
        let entries = ledger::entries(&self.inner.readers, scope);
        match scope {
            Scope::Due(..) => soon(entries).await,
            _ => entries.await,
        }
    }

    /// Hands the entries of `scope` to `each`, one after another and in no order: for whoever does not keep them all, as there may be a
    /// hundred thousand.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn each_entry(
        &self,
        scope: Scope<'_>,
        each: impl FnMut(Entry),
    ) -> Result<(), StoreError> {
        ledger::each(&self.inner.readers, scope, each).await
    }

    /// Hands the live entries of `connection` that are related to what is planned for others of it to `each`, in no order, and some more than
    /// once.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn each_related(
        &self,
        connection: &ConnectionName,
        related: &Related,
        each: impl FnMut(Entry),
    ) -> Result<(), StoreError> {
        ledger::each_related(&self.inner.readers, connection, related, each).await
    }

    /// Entries of the ledger, final or not, for these files, by id.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn entries_at(&self, paths: &BTreeSet<GrantPath>) -> Result<Vec<Entry>, StoreError> {
        ledger::entries_at(&self.inner.readers, paths).await
    }

    /// Live entries of these subjects, by id.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn entries_of(&self, subjects: &BTreeSet<Subject>) -> Result<Vec<Entry>, StoreError> {
        ledger::entries_of(&self.inner.readers, subjects).await
    }

    /// The entries of these subjects that became final last, at most `most` of each.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn ended_of(
        &self,
        subjects: &BTreeSet<Subject>,
        most: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        ledger::ended_of(&self.inner.readers, subjects, most).await
    }

    /// Connections that have entries due at `now`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn due_connections(
        &self,
        now: Instant,
    ) -> Result<BTreeSet<ConnectionName>, StoreError> {
        soon(ledger::due_connections(&self.inner.readers, now)).await
    }

    /// Connections that have something due at `now` which waits for a proof: to be given, and not to be taken away.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn awaiting_proof(
        &self,
        now: Instant,
    ) -> Result<BTreeSet<ConnectionName>, StoreError> {
        ledger::awaiting_proof(&self.inner.readers, now).await
    }

    /// Connections that have entries which are not final.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn live_connections(&self) -> Result<BTreeSet<ConnectionName>, StoreError> {
        ledger::live_connections(&self.inner.readers).await
    }

    /// When the next admitted entry is due: what the expiry timer waits for.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn next_due(&self) -> Result<Option<Instant>, StoreError> {
        ledger::next_due(&self.inner.readers).await
    }

    /// When the next admitted entry becomes due that is not due at `now` yet: what the expiry timer waits for.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn next_due_after(&self, now: Instant) -> Result<Option<Instant>, StoreError> {
        soon(ledger::next_due_after(&self.inner.readers, now)).await
    }

    /// What was noted under `name`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        ledger::note(&self.inner.readers, name).await
    }

    /// Notes `value` under `name`, in place of what was noted there.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn set_note(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        ledger::set_note(&mut tx, name, value).await?;
        Ok(tx.commit().await?)
    }

    /// When a service that uses this database last said so; `None` where it stopped in order.
    ///
    /// # Errors
    /// [`StoreError::Broken`] when what it said cannot be read.
    pub async fn served_at(&self) -> Result<Option<Instant>, StoreError> {
        let served = self.note(SERVED).await?;
        let read = |at: String| fault::instant("when it was last used", &at);
        served.map(read).transpose()
    }

    /// Says that a service uses this database.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn note_served(&self, now: Instant) -> Result<(), StoreError> {
        self.set_note(SERVED, &fault::text(now)).await
    }

    /// Says that the service which used this database stopped in order, with the event of that.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn note_stopped(&self, stopped: Event) -> Result<(), StoreError> {
        self.note_with(SERVED, None, &[stopped]).await
    }

    /// Everything that was noted under names that begin with `prefix`, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        ledger::notes(&self.inner.readers, prefix).await
    }

    /// Notes `value` under `name` (`None`: forgets what was noted there), with its events, in one transaction.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn note_with(
        &self,
        name: &str,
        value: Option<&str>,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let note = (name.to_owned(), value.map(str::to_owned));
        self.commit_noting(&[], events, &[note]).await
    }

    /// [`Store::commit`], and notes each value under its name (`None`: forgets what was noted there) in the same transaction.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_noting(
        &self,
        entries: &[Entry],
        events: &[Event],
        notes: &[(String, Option<String>)],
    ) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        ledger::write(&mut tx, entries).await?;
        outbox::append(&mut tx, events).await?;
        for (name, value) in notes {
            match value {
                Some(value) => ledger::set_note(&mut tx, name, value).await?,
                None => ledger::forget_note(&mut tx, name).await?,
            }
        }
        Ok(tx.commit().await?)
    }

    /// Records that something is to be looked at. One durable transaction for all of them; concurrent callers may share one.
    ///
    /// A wake that is already queued is due at once again and keeps its count of attempts. Once this was polled, the wakes are
    /// written even if the caller goes away.
    ///
    /// # Errors
    /// When they were not written.
    pub async fn wake(&self, wakes: &[Wake], now: Instant) -> Result<(), StoreError> {
        let wakes = wakes.to_vec();
        self.inner.wakes.write(Asked { wakes, now }).await
    }

    /// Records that something is to be looked at by `at`: one that is queued for an earlier time stays queued for that.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn wake_by(&self, wake: &Wake, at: Instant) -> Result<(), StoreError> {
        wakes::wake_by(&self.inner.writer, wake, at).await
    }

    /// Records that something is to be looked at, if it is not queued at all: one that failed and is put off stays put off.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn wake_unless_queued(&self, wake: &Wake, now: Instant) -> Result<(), StoreError> {
        wakes::wake_unless_queued(&self.inner.writer, wake, now).await
    }

    /// The wakes that are due, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn due_wakes(&self, now: Instant) -> Result<Vec<TakenWake>, StoreError> {
        wakes::due(&self.inner.readers, now).await
    }

    /// When the next wake is due; `None` when none is queued.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn next_wake_due(&self) -> Result<Option<Instant>, StoreError> {
        wakes::next_due(&self.inner.readers).await
    }

    /// Removes a wake that was worked off, unless it was asked for again meanwhile.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn finish_wake(&self, taken: &TakenWake) -> Result<(), StoreError> {
        wakes::finish(&self.inner.writer, taken).await
    }

    /// Puts a wake off after a failure, unless it was asked for again meanwhile. Its attempts become one more.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn defer_wake(&self, taken: &TakenWake, until: Instant) -> Result<(), StoreError> {
        wakes::defer(&self.inner.writer, taken, until).await
    }

    /// Events that are not known to be on the remote's evidence branch, in the order they were written, with their sequence.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn unpublished(&self, limit: u32) -> Result<Vec<(u64, Event)>, StoreError> {
        outbox::unpublished(&self.inner.readers, limit).await
    }

    /// The first lines of these events, by key, of those that are known here.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sentences(&self, keys: &[String]) -> Result<BTreeMap<String, String>, StoreError> {
        outbox::sentences(&self.inner.readers, keys).await
    }

    /// Which of these keys name events that were written here.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn known_events(&self, keys: &[String]) -> Result<BTreeSet<String>, StoreError> {
        outbox::known(&self.inner.readers, keys).await
    }

    /// Records that these events are on the remote's evidence branch, and as which commits.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn published(&self, events: &[(u64, CommitId)]) -> Result<(), StoreError> {
        outbox::published(&self.inner.writer, events).await
    }
}
