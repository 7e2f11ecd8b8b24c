//! Sessions that were open before a membership ended: one that did `SET ROLE` keeps what it had.

use std::fmt;
use std::time::Duration;

use sqlx::{PgConnection, Row};

/// How often, and how long after each other, it is looked whether sessions that were told to end have ended.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// One session. What its client calls itself is the client's own text, and is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pid: i32,
    database: String,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {} in database {}", self.pid, self.database)
    }
}

/// The account's sessions, without ours.
pub(super) async fn open(
    server: &mut PgConnection,
    account: i64,
) -> Result<Vec<Session>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT pid, coalesce(datname::text, 'none') FROM pg_catalog.pg_stat_activity \
         WHERE usesysid = $1::oid AND pid <> pg_backend_pid() ORDER BY pid",
    )
    .bind(account)
    .fetch_all(server)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Session {
                pid: row.try_get(0)?,
                database: row.try_get(1)?,
            })
        })
        .collect()
}

/// Ends these sessions. Returns those that were still there after a while, and how many are gone.
pub(super) async fn end(
    server: &mut PgConnection,
    account: i64,
    sessions: &[Session],
) -> Result<(Vec<Session>, u32), sqlx::Error> {
    let pids: Vec<i32> = sessions.iter().map(|session| session.pid).collect();
    // By account and number, because a number can be somebody else's by now.
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usesysid = $1::oid AND pid = ANY($2)",
    )
    .bind(account)
    .bind(&pids)
    .execute(&mut *server)
    .await?;
    let mut left = sessions.to_vec();
    for _ in 0..LOOKS {
        let still = open(server, account).await?;
        left.retain(|session| still.contains(session));
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let ended = sessions.len() - left.len();
    Ok((left, u32::try_from(ended).unwrap_or(u32::MAX)))
}
