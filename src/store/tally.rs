//! How much there is of what: counted by the database, for metrics.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row};

use super::fault::{instant, natural, text};
use super::{Store, StoreError, ledger};
use crate::domain::ledger::State;
use crate::domain::model::{ConnectionName, Instant};

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Entries that are not final and belong to a connection.
    pub grants: BTreeMap<(ConnectionName, State), u64>,
    /// Entries whose proof is not weighed yet.
    pub arrived: u64,
    /// Entries that may be held though their end has come, and when that of the oldest was.
    pub overdue: BTreeMap<ConnectionName, (u64, Instant)>,
    /// Open pull requests that ask for something.
    pub asking: u64,
    /// Emergencies that no owner has reviewed.
    pub unreviewed: u64,
    /// Deployments without an answer.
    pub deployments: u64,
    /// Events that are not published, and the time of the oldest.
    pub outbox: (u64, Option<Instant>),
    /// Wakes in the queue.
    pub wakes: u64,
}

/// Counts every live grant once, by an index alone; `$1` is the time.
pub const ALL_GRANTS: &str = "SELECT connection, state, COUNT(*), COUNT(CASE WHEN ends_at <= $1 THEN 1 END), MIN(ends_at) \
     FROM ledger WHERE live = 1 AND connection IS NOT NULL GROUP BY connection, state";
const ARRIVED: &str = "SELECT COUNT(*) FROM ledger WHERE live = 1 AND state = 'arrived'";
const ASKING: &str = "SELECT COUNT(DISTINCT pull) FROM asks";
const UNREVIEWED: &str = "SELECT COUNT(*) FROM ledger WHERE unreviewed IS NOT NULL";
const DEPLOYMENTS: &str = "SELECT COUNT(*) FROM deployments WHERE answered = 0";
const UNPUBLISHED: &str = "SELECT COUNT(*) FROM outbox WHERE published = 0";
const OLDEST: &str = "SELECT at FROM outbox WHERE published = 0 ORDER BY sequence LIMIT 1";
const WAKES: &str = "SELECT COUNT(*) FROM wake";

impl Store {
    /// Counts everything that is not over. What happens meanwhile may be in one count and not in another.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tally(&self, now: Instant) -> Result<Tally, StoreError> {
        let readers = &self.inner.readers;
        let oldest = sqlx::query(OLDEST).fetch_optional(readers).await?;
        let oldest: Option<String> = oldest.map(|row| row.try_get(0)).transpose()?;
        let oldest = oldest.map(|at| instant("the outbox", &at)).transpose()?;
        let mut tally = Tally {
            arrived: count(readers, ARRIVED).await?,
            asking: count(readers, ASKING).await?,
            unreviewed: count(readers, UNREVIEWED).await?,
            deployments: count(readers, DEPLOYMENTS).await?,
            outbox: (count(readers, UNPUBLISHED).await?, oldest),
            wakes: count(readers, WAKES).await?,
            ..Tally::default()
        };
        let groups = groups(readers, now).await?;
        groups.into_iter().for_each(|group| tally.add(group));
        Ok(tally)
    }
}

async fn count(readers: &AnyPool, sql: &'static str) -> Result<u64, StoreError> {
    natural("a count", sqlx::query_scalar(sql).fetch_one(readers).await?)
}

/// One group: a connection, a state, how many there are, how many of them are past their end, and the first end.
type Group = (ConnectionName, State, u64, u64, Instant);

async fn groups(readers: &AnyPool, now: Instant) -> Result<Vec<Group>, StoreError> {
    let one = |row: &AnyRow| {
        let (word, first): (String, String) = (row.try_get(1)?, row.try_get(4)?);
        let state = serde_json::from_value::<State>(word.into())
            .map_err(|e| StoreError::broken(format!("the ledger holds an unknown state: {e}")))?;
        let number = |column| natural("a count", row.try_get(column)?);
        let first = instant("the ledger", &first)?;
        Ok((
            ledger::connection(row)?,
            state,
            number(2)?,
            number(3)?,
            first,
        ))
    };
    let rows = sqlx::query(ALL_GRANTS).bind(text(now));
    let rows = rows.fetch_all(readers).await?;
    rows.iter().map(one).collect()
}

impl Tally {
    fn add(&mut self, (connection, state, number, ended, first): Group) {
        if state.may_be_held() && ended > 0 {
            let overdue = self.overdue.entry(connection.clone());
            let (all, oldest) = overdue.or_insert((0, first));
            (*all, *oldest) = (*all + ended, first.min(*oldest));
        }
        self.grants.insert((connection, state), number);
    }
}
