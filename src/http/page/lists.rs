//! Pages that list: what is live, what waits, what ended, what can be asked for, what is found.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::gate::Viewer;
use super::shown::{ROWS, Shown, asking, declared, reading, rows};
use super::{Answer, Page, html};
use crate::domain::model::PullNumber;
use crate::domain::render::page::{self, Listing, Search};
use crate::store::{List, Whose};

/// Where in a list to go on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Onwards {
    #[serde(default)]
    pub after: String,
}

/// `GET /live`.
pub(super) async fn live(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Query(Onwards { after }): Query<Onwards>,
) -> Answer {
    let shown = Shown::read(&page).await?;
    let list = List::Live(Whose::All);
    let (live, next) = rows(&page, list, ("/live", &after)).await?;
    let of = Listing {
        here: "live",
        title: "Live",
        about: Some("What is given, about to be given, or scheduled; what ends next comes first."),
        live: &live,
        empty: "Nobody holds anything.",
        next: next.as_deref(),
        ..Listing::default()
    };
    let made = page::listing(shown.frame(&page, &viewer), of);
    Ok(html(StatusCode::OK, made))
}

/// `GET /ended`.
pub(super) async fn ended(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Query(Onwards { after }): Query<Onwards>,
) -> Answer {
    let shown = Shown::read(&page).await?;
    let list = List::Over(Whose::All);
    let (over, next) = rows(&page, list, ("/ended", &after)).await?;
    let of = Listing {
        here: "ended",
        title: "Ended",
        about: Some("What is over or was never given; the last comes first."),
        over: &over,
        empty: "Nothing has ended yet.",
        next: next.as_deref(),
        ..Listing::default()
    };
    let made = page::listing(shown.frame(&page, &viewer), of);
    Ok(html(StatusCode::OK, made))
}

/// `GET /waiting`.
pub(super) async fn waiting(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Query(Onwards { after }): Query<Onwards>,
) -> Answer {
    let shown = Shown::read(&page).await?;
    let after = PullNumber(after.parse().unwrap_or(0));
    let most = u32::try_from(ROWS).unwrap_or(u32::MAX) + 1;
    let found = page.store.waiting(Whose::All, after, most);
    let mut found = reading(&page, found).await?;
    let more = found.len() > ROWS;
    found.truncate(ROWS);
    let last = found.last().filter(|_| more);
    let next = last.map(|w| format!("/waiting?after={}", w.judged.pull));
    let frame = shown.frame(&page, &viewer);
    let made = page::waiting(frame, &asking(found), next.as_deref());
    Ok(html(StatusCode::OK, made))
}

/// `GET /ask`.
pub(super) async fn ask(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Query(Onwards { after }): Query<Onwards>,
) -> Answer {
    let shown = Shown::read(&page).await?;
    let declared = declared(&page).await;
    let frame = shown.frame(&page, &viewer);
    let made = page::asking(frame, declared.as_deref(), &after);
    Ok(html(StatusCode::OK, made))
}

/// What is looked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
}

/// `GET /search`.
pub(super) async fn search(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Query(Wanted { q }): Query<Wanted>,
) -> Answer {
    let shown = Shown::read(&page).await?;
    let words: String = q.trim().chars().take(100).collect();
    let most = u32::try_from(ROWS).unwrap_or(u32::MAX);
    let word = words.trim_start_matches('@');
    let pull = words.strip_prefix('#').and_then(|n| n.parse().ok());
    let found = match (pull, word.is_empty()) {
        (Some(pull), _) => reading(&page, page.store.brought_by(PullNumber(pull), most)).await?,
        (None, true) => Vec::new(),
        (None, false) => reading(&page, page.store.found(word, most)).await?,
    };
    let declared = declared(&page).await;
    let of = Search {
        words: &words,
        found: &found,
        most: ROWS,
        declared: declared.as_deref(),
    };
    let made = page::search(shown.frame(&page, &viewer), of);
    Ok(html(StatusCode::OK, made))
}
