//! The first page: what needs somebody to act, what ends next, what waits, what ended last.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;

use super::gate::Viewer;
use super::shown::{FEW, Shown, TROUBLES, asking, reading};
use super::{Answer, Page, html};
use crate::domain::drift::Known;
use crate::domain::ledger::Entry;
use crate::domain::model::{Instant, PullNumber};
use crate::domain::release::{BRAKES, Brake};
use crate::domain::render::page::{self, Overview, Trouble};
use crate::store::{List, StoreError, Waiting, Whose};

/// How long after its end a removal is overdue, rather than under way.
const UNDER_WAY: TimeDelta = TimeDelta::seconds(15);

/// `GET /`.
pub(super) async fn overview(State(page): State<Arc<Page>>, viewer: Viewer) -> Answer {
    let shown = Shown::read(&page).await?;
    let read = reading(&page, Now::read(&page, shown.now)).await?;
    let held = read.held.iter().filter_map(|brake| brake.hold.as_ref());
    let held = held.map(|hold| (hold.what(), hold.asked.as_ref().map(|a| a.pull)));
    let held: Vec<(String, Option<PullNumber>)> = held.collect();
    let trouble = Trouble {
        overdue: &read.overdue,
        unsettled: &read.unsettled,
        drift: &read.drift,
        unreviewed: &read.unreviewed,
        held: &held,
    };
    let of = Overview {
        trouble,
        live: &read.live,
        count: read.count,
        waiting: &asking(read.waiting),
        over: &read.over,
    };
    let made = page::overview(shown.frame(&page, &viewer), of);
    Ok(html(StatusCode::OK, made))
}

/// What the first page shows.
struct Now {
    overdue: Vec<Entry>,
    unsettled: Vec<Entry>,
    unreviewed: Vec<Entry>,
    drift: Vec<Known>,
    held: Vec<Brake>,
    live: Vec<Entry>,
    count: (u64, u64),
    waiting: Vec<Waiting>,
    over: Vec<Entry>,
}

impl Now {
    async fn read(page: &Page, now: Instant) -> Result<Self, StoreError> {
        let store = &page.store;
        let list = |list, most| async move { store.listed(&list, None, most).await };
        let overdue = list(List::Overdue(now - UNDER_WAY), TROUBLES).await?;
        let mut unsettled = list(List::Unsettled, 4 * TROUBLES).await?;
        let is_overdue = |e: &Entry| overdue.iter().any(|o| o.id == e.id);
        unsettled.retain(|e| e.attempts > 0 && !is_overdue(e));
        unsettled.truncate(TROUBLES as usize);
        let brakes = store.notes(BRAKES).await?;
        let brakes = brakes.iter();
        Ok(Self {
            unsettled,
            unreviewed: list(List::Unreviewed, TROUBLES).await?,
            drift: store.first_drift(TROUBLES).await?,
            // One that cannot be read is for the worker to tell of.
            held: brakes
                .filter_map(|(_, text)| serde_json::from_str(text).ok())
                .collect(),
            live: list(List::Live(Whose::All), 2 * FEW).await?,
            count: store.count_live().await?,
            waiting: store.waiting(Whose::All, PullNumber(0), FEW).await?,
            over: list(List::Over(Whose::All), FEW).await?,
            overdue,
        })
    }
}
