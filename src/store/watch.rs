//! A database that does not answer: a host may be lost without a word, and whoever waits for it then waits for ever.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _};
use tokio::time::timeout;

use super::{Dialect, Store, StoreError};

/// How long the database may take to answer what costs it nothing.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a reading that ends wait for may take.
const READING: Duration = Duration::from_secs(60);

/// A reading that ends wait for: by another connection, the next one may succeed where this is never answered.
pub(super) async fn soon<T>(
    reading: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable(sqlx::Error::PoolTimedOut);
    timeout(READING, reading).await.map_err(|_| late())?
}

impl Store {
    /// Whether what writes goes unanswered although the database answers whoever connects now. A host that is lost without a word leaves a
    /// call that waits for ever, and holds the turn of every later one: only other connections help then, so end and begin anew.
    pub async fn goes_unanswered(&self) -> bool {
        if self.inner.writer.dialect == Dialect::Sqlite {
            return false;
        }
        let written = async {
            let tx = self.inner.writer.begin().await?;
            Ok::<_, StoreError>(tx.commit().await?)
        };
        let written = matches!(timeout(ANSWER, written).await, Ok(Ok(())));
        let read = sqlx::query("SELECT 1").execute(&self.inner.readers);
        let read = matches!(timeout(ANSWER, read).await, Ok(Ok(_)));
        if written && read {
            return false;
        }
        let backend = self.inner.writer.backend.load(Ordering::Relaxed);
        let at_work = async {
            let mut other = AnyConnection::connect_with(&self.inner.options).await?;
            let at_work = "SELECT COUNT(*) FROM pg_stat_activity WHERE pid = $1 AND state IS DISTINCT FROM 'idle'";
            let at_work = sqlx::query_scalar::<_, i64>(at_work).bind(backend);
            at_work.fetch_one(&mut other).await
        };
        match timeout(ANSWER, at_work).await {
            // What writes may only be busy: then the database sees it at work, or waiting for another writer.
            Ok(Ok(at_work)) => !read || at_work == 0,
            _ => false,
        }
    }
}
