//! When the accounts that an access review asks about were last used, where their systems tell.
//!
//! It helps owners and decides nothing, so nothing waits for it for long: what is not told in time is not known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tracing::warn;

use super::{Reconciler, chain};
use crate::domain::model::{Account, ConnectionName, Instant};
use crate::domain::round::{Line, Sheet};

/// How long all systems together have to tell, in real time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many accounts are asked about at once.
const AT_ONCE: usize = 8;

type Key = (ConnectionName, String, Option<String>);

fn key(line: &Line) -> Key {
    let Account { name, id, .. } = &line.access.account;
    (line.access.connection.clone(), name.clone(), id.clone())
}

impl Reconciler {
    /// Notes in the lines of `sheets` when their accounts were last used.
    pub(super) async fn know_last_use(&self, sheets: &mut [Sheet]) {
        let lines = sheets.iter().flat_map(|sheet| &sheet.lines);
        let accounts: BTreeMap<Key, Account> = lines
            .map(|line| (key(line), line.access.account.clone()))
            .collect();
        let mut silent = BTreeSet::new();
        let mut known: BTreeMap<Key, Instant> = BTreeMap::new();
        let asked = stream::iter(accounts).map(|(key, account)| async move {
            let used = self.last_used(&key.0, &account).await;
            (key, used)
        });
        let mut answers = Box::pin(asked.buffer_unordered(AT_ONCE));
        let collect = async {
            while let Some((key, used)) = answers.next().await {
                match used {
                    Ok(used) => known.extend(used.map(|at| (key, at))),
                    Err(why) if silent.insert(key.0.clone()) => {
                        warn!(provider.connection = %key.0, "when accounts were last used is not known: {why}");
                    }
                    Err(_) => {}
                }
            }
        };
        if tokio::time::timeout(PATIENCE, collect).await.is_err() {
            warn!(
                "not every system told in time when accounts were last used: the access review begins without"
            );
        }
        for line in sheets.iter_mut().flat_map(|sheet| &mut sheet.lines) {
            // What a clock there has ahead of us says nothing.
            let used = known.get(&key(line)).copied();
            line.account_last_used = used.filter(|at| *at <= self.now());
        }
    }

    async fn last_used(
        &self,
        connection: &ConnectionName,
        account: &Account,
    ) -> Result<Option<Instant>, String> {
        match self.providers.get(connection) {
            Some(provider) => {
                let used = provider.last_used(account).await;
                used.map_err(|error| chain(&error))
            }
            None => Ok(None),
        }
    }
}
