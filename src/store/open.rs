//! Opening: the lock, the settings, the schema.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use std::sync::Mutex;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, Connection, Executor};

use super::group::Group;
use super::{Dialect, Inner, Store, StoreError, Writer};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations");

/// How many connections read. SQLite gives each of them a thread.
const READERS: u32 = 4;

/// How long a caller waits for a connection, or for another process's lock, before the database counts as unavailable.
const PATIENCE: Duration = Duration::from_secs(5);

/// Settings of every SQLite connection: readers beside the writer, and a commit that survives a loss of power.
const SQLITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
     PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF;";

/// Settings of every connection to PostgreSQL that writes: a server that stands still or is cut off in the middle of a transaction holds the
/// turn of all writers, until the database ends it.
const POSTGRES_SETTINGS: &str = "SET idle_in_transaction_session_timeout = '5s'";

pub(super) async fn open(url: &str) -> Result<Store, StoreError> {
    sqlx::any::install_default_drivers();
    let (dialect, lock) = match scheme(url)? {
        Dialect::Sqlite => (Dialect::Sqlite, Some(own(&sqlite_file(url)?)?)),
        Dialect::Postgres => (Dialect::Postgres, None),
    };
    let options: AnyConnectOptions = url.parse()?;
    // First without a pool, which would hide why a connection cannot be used, and try until its patience ends.
    let mut first = AnyConnection::connect_with(&options).await?;
    if dialect == Dialect::Sqlite {
        first.execute(SQLITE_SETTINGS).await?;
    }
    MIGRATIONS.run(&mut first).await?;
    first.close().await?;
    let backend = Arc::new(AtomicI32::default());
    let writer = pool(dialect, 1, Some(&backend))
        .connect_with(options.clone())
        .await?;
    let readers = pool(dialect, READERS, None)
        .connect_with(options.clone())
        .await?;
    let writer = Writer {
        pool: writer,
        dialect,
        backend,
    };
    let wakes = Group::start(writer.clone());
    let commits = Group::start(writer.clone());
    Ok(Store {
        inner: Arc::new(Inner {
            readers,
            writer,
            wakes,
            commits,
            options,
            lock: Mutex::new(lock),
        }),
    })
}

pub(super) async fn read(url: &str) -> Result<Store, StoreError> {
    sqlx::any::install_default_drivers();
    let dialect = scheme(url)?;
    if dialect == Dialect::Sqlite && !sqlite_file(url)?.exists() {
        return Err(StoreError::Absent);
    }
    let options: AnyConnectOptions = url.parse()?;
    let mut first = AnyConnection::connect_with(&options).await?;
    let versions: Result<Vec<i64>, _> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut first)
            .await;
    first.close().await?;
    let Ok(versions) = versions else {
        return Err(StoreError::Absent);
    };
    if !MIGRATIONS.iter().map(|m| m.version).eq(versions) {
        return Err(StoreError::broken(
            "another version of Hallpass wrote it; run the same version as the service",
        ));
    }
    let only = match dialect {
        Dialect::Sqlite => "PRAGMA query_only = ON",
        Dialect::Postgres => "SET default_transaction_read_only = on",
    };
    let pool = AnyPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(PATIENCE)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(only).await.map(|_| ()) })
        });
    let readers = pool.connect_with(options.clone()).await?;
    let writer = Writer {
        pool: readers.clone(),
        dialect,
        backend: Arc::default(),
    };
    Ok(Store {
        inner: Arc::new(Inner {
            wakes: Group::start(writer.clone()),
            commits: Group::start(writer.clone()),
            readers,
            writer,
            options,
            lock: Mutex::new(None),
        }),
    })
}

fn scheme(url: &str) -> Result<Dialect, StoreError> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Dialect::Sqlite),
        Some("postgres" | "postgresql") => Ok(Dialect::Postgres),
        _ => Err(StoreError::broken(
            "its address must begin with sqlite:// or postgres://",
        )),
    }
}

/// Connections to write or read by. Keeps in `backend` what PostgreSQL calls the process that serves the newest of them.
fn pool(dialect: Dialect, connections: u32, backend: Option<&Arc<AtomicI32>>) -> AnyPoolOptions {
    let backend = backend.filter(|_| dialect == Dialect::Postgres).cloned();
    let settings = match dialect {
        Dialect::Sqlite => SQLITE_SETTINGS,
        Dialect::Postgres => POSTGRES_SETTINGS,
    };
    let options = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .after_connect(move |connection, _| {
            let backend = backend.clone();
            Box::pin(async move {
                connection.execute(settings).await?;
                if let Some(backend) = backend {
                    let pid = sqlx::query_scalar("SELECT pg_backend_pid()");
                    backend.store(pid.fetch_one(connection).await?, Ordering::Relaxed);
                }
                Ok(())
            })
        });
    match dialect {
        Dialect::Postgres => options,
        Dialect::Sqlite => options
            // A file does not go away behind our back, and opening it again costs more than keeping it.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None),
    }
}

/// The file behind a SQLite URL, as sqlx will understand it.
fn sqlite_file(url: &str) -> Result<PathBuf, StoreError> {
    let options: SqliteConnectOptions = url.parse()?;
    let file = options.get_filename().to_path_buf();
    if url.contains(":memory:") || url.contains("mode=memory") || file.as_os_str().is_empty() {
        return Err(StoreError::broken(
            "its address names no file: what it holds must outlive the process",
        ));
    }
    Ok(file)
}

/// A lock on a file, for as long as it lives.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Said, not left to the file's closing: a child process of somebody else's making may hold a copy of it for a moment.
        // Closing follows at once, so a failure here loses nothing.
        let _ = self.0.unlock();
    }
}

/// Makes sure that the file exists, readable by us alone, and that no other process uses it.
fn own(file: &Path) -> Result<Lock, StoreError> {
    let cannot = |what: &str, error: std::io::Error| {
        StoreError::broken(format!("cannot {what} {}: {error}", file.display()))
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|e| cannot("create the folder of", e))?;
    }
    let mut beside = file.as_os_str().to_owned();
    beside.push(".lock");
    let lock = private(Path::new(&beside)).map_err(|e| cannot("create the lock file of", e))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::broken(format!(
                "{} is in use by another process. A SQLite file serves one process; stop the other one, or use PostgreSQL",
                file.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(cannot("lock", error)),
    }
    private(file).map_err(|e| cannot("create", e))?;
    Ok(Lock(lock))
}

fn private(file: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}
