//! What every page reads, and how: when it is its turn, a few rows at a time.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::gate::Viewer;
use super::{Instead, Page, busy};
use crate::domain::catalogue::Catalogue;
use crate::domain::causes::chain;
use crate::domain::ledger::Entry;
use crate::domain::model::Instant;
use crate::domain::render::page::{Asking, Frame};
use crate::domain::safety;
use crate::store::{List, Mark, StoreError, Waiting};

/// How many rows a page of a list shows.
pub(super) const ROWS: usize = 50;

/// How many rows a page shows of something that has a list of its own.
pub(super) const FEW: u32 = 10;

/// How many troubles of one kind are shown.
pub(super) const TROUBLES: u32 = 50;

/// How long reading what the branch declares may take. Pages do without.
const DECLARED: Duration = Duration::from_secs(3);

/// What is read for every page.
pub(super) struct Shown {
    pub now: Instant,
    repository: String,
    safe_mode: Option<&'static str>,
}

impl Shown {
    pub async fn read(page: &Page) -> Result<Self, Instead> {
        let note = reading(page, page.store.note(safety::NOTE)).await?;
        Ok(Self {
            now: page.clock.now(),
            repository: page.settings.repository.to_string(),
            safe_mode: note.as_deref().map(safety::explained),
        })
    }

    pub fn frame<'a>(&'a self, page: &'a Page, viewer: &'a Viewer) -> Frame<'a> {
        Frame {
            pages: &page.settings.pages,
            repository: &self.repository,
            viewer: viewer.login(),
            token: &viewer.token,
            safe_mode: self.safe_mode,
            now: self.now,
        }
    }
}

/// Reads, when it is this request's turn.
pub(super) async fn reading<T>(
    page: &Page,
    read: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Instead> {
    let _turn = page.readers.acquire().await.map_err(|_| busy())?;
    read.await.map_err(|error| {
        warn!(error = %chain(&error), "a page cannot be read: {}", chain(&error));
        busy().into()
    })
}

/// What the protected branch declares, as it was last fetched.
pub(super) async fn declared(page: &Page) -> Option<Arc<Catalogue>> {
    match tokio::time::timeout(DECLARED, page.worker.declared()).await {
        Ok(Ok(declared)) => declared,
        Ok(Err(error)) => {
            warn!(error = %chain(&error), "the page cannot read what the branch declares: {}", chain(&error));
            None
        }
        Err(_) => None,
    }
}

/// Open pull requests, as pages show them.
pub(super) fn asking(waiting: Vec<Waiting>) -> Vec<Asking> {
    let one = |waiting: Waiting| Asking {
        pull: waiting.judged.pull,
        author: waiting.judged.author,
        outcome: waiting.judged.outcome,
        says: waiting.judged.says,
        since: waiting.judged.since,
        asks: waiting
            .asks
            .into_iter()
            .map(|a| (a.subject, a.role))
            .collect(),
    };
    waiting.into_iter().map(one).collect()
}

/// At most [`ROWS`] entries of a list, and where the next are.
pub(super) async fn rows(
    page: &Page,
    list: List<'_>,
    (place, after): (&str, &str),
) -> Result<(Vec<Entry>, Option<String>), Instead> {
    let mark = Mark::parse(after);
    let most = u32::try_from(ROWS).unwrap_or(u32::MAX) + 1;
    let found = page.store.listed(&list, mark.as_ref(), most);
    let mut found = reading(page, found).await?;
    let more = found.len() > ROWS;
    found.truncate(ROWS);
    let last = found.last().filter(|_| more);
    let mark = last.and_then(|entry| Mark::after(&list, entry));
    let next = mark.map(|mark| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("after", &mark.word());
        format!("{place}?{}", query.finish())
    });
    Ok((found, next))
}
