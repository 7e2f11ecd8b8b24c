//! The pages that show: each reads a few rows and hands them to its template.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use serde::Deserialize;
use tracing::warn;

use super::gate::Viewer;
use super::{Page, busy, html, nothing, revoking};
use crate::domain::catalogue::Catalogue;
use crate::domain::ledger::Entry;
use crate::domain::model::{Instant, Login, PullNumber, ResourceName, ServiceName, Subject};
use crate::domain::release::{BRAKES, Brake};
use crate::domain::render::page::{self, Asking, Frame, Listing, Overview, Search, Story, Trouble};
use crate::domain::safety;
use crate::store::{List, Mark, StoreError, Waiting, Whose};

/// How many grants a page of a list shows.
const ROWS: usize = 50;

/// How many the first page shows of each.
const FEW: u32 = 10;

/// How many troubles of one kind it shows.
const TROUBLES: u32 = 50;

/// How long after its end a removal is overdue, rather than under way.
const UNDER_WAY: TimeDelta = TimeDelta::seconds(15);

/// How many events a story has at most.
const STEPS: u32 = 300;

/// How long reading what the branch declares may take. Pages do without.
const DECLARED: Duration = Duration::from_secs(3);

/// What is read for every page.
pub(super) struct Shown {
    now: Instant,
    repository: String,
    safe_mode: Option<&'static str>,
}

impl Shown {
    pub async fn read(page: &Page) -> Result<Self, Response> {
        let note = reading(page, page.store.note(safety::NOTE)).await?;
        Ok(Self {
            now: page.clock.now(),
            repository: page.settings.repository.to_string(),
            safe_mode: note.as_deref().map(safety::means),
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
) -> Result<T, Response> {
    let _turn = page.readers.acquire().await.map_err(|_| busy())?;
    read.await.map_err(|error| {
        warn!(error = %error, "a page cannot be read: {error}");
        busy()
    })
}

/// What the protected branch declares, as it was last fetched.
pub(super) async fn declared(page: &Page) -> Option<Arc<Catalogue>> {
    match tokio::time::timeout(DECLARED, page.worker.declared()).await {
        Ok(Ok(declared)) => declared,
        Ok(Err(error)) => {
            warn!(error = %error, "the page cannot read what the branch declares: {error}");
            None
        }
        Err(_) => None,
    }
}

/// `GET /`.
pub(super) async fn overview(State(page): State<Arc<Page>>, viewer: Viewer) -> Response {
    let made = async {
        let shown = Shown::read(&page).await?;
        let read = reading(&page, Now::read(&page, shown.now)).await?;
        let held: Vec<(String, Option<PullNumber>)> = read
            .held
            .iter()
            .filter_map(|b| b.hold.as_ref())
            .map(|h| (h.what(), h.asked.as_ref().map(|a| a.pull)))
            .collect();
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
        Ok(html(
            StatusCode::OK,
            page::overview(shown.frame(&page, &viewer), of),
        ))
    };
    made.await.unwrap_or_else(|refused: Response| refused)
}

/// What the first page shows.
struct Now {
    overdue: Vec<Entry>,
    unsettled: Vec<Entry>,
    unreviewed: Vec<Entry>,
    drift: Vec<crate::domain::drift::Known>,
    held: Vec<Brake>,
    live: Vec<Entry>,
    count: u64,
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

fn asking(waiting: Vec<Waiting>) -> Vec<Asking> {
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

/// Where in a list to go on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Onwards {
    #[serde(default)]
    after: String,
}

/// At most [`ROWS`] entries of a list, and where the next are.
async fn rows(
    page: &Page,
    list: List<'_>,
    (place, after): (&str, &str),
) -> Result<(Vec<Entry>, Option<String>), Response> {
    let mark = Mark::parse(after);
    let most = u32::try_from(ROWS).unwrap_or(u32::MAX) + 1;
    let found = page.store.listed(&list, mark.as_ref(), most);
    let mut found = reading(page, found).await?;
    let more = found.len() > ROWS;
    found.truncate(ROWS);
    let last = found.last().filter(|_| more);
    let mark = last.and_then(|entry| Mark::after(&list, entry));
    let next = mark.map(|mark| {
        let mut query = url::form_urlencoded::Serializer::new(format!("{place}?"));
        query.append_pair("after", &mark.word());
        query.finish()
    });
    Ok((found, next))
}

/// `GET /live`.
pub(super) async fn live(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Query(Onwards { after }): Query<Onwards>,
) -> Response {
    let made = async {
        let shown = Shown::read(&page).await?;
        let list = List::Live(Whose::All);
        let (live, next) = rows(&page, list, ("/live", &after)).await?;
        let of = Listing {
            here: "live",
            title: "Live",
            about: Some(
                "What is given, about to be given, or scheduled; what ends next comes first.",
            ),
            resource: None,
            live: &live,
            waiting: &[],
            over: &[],
            empty: "Nobody holds anything.",
            next: next.as_deref(),
        };
        Ok(html(
            StatusCode::OK,
            page::listing(shown.frame(&page, &viewer), of),
        ))
    };
    made.await.unwrap_or_else(|refused: Response| refused)
}

/// `GET /ended`.
pub(super) async fn ended(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Query(Onwards { after }): Query<Onwards>,
) -> Response {
    let made = async {
        let shown = Shown::read(&page).await?;
        let list = List::Over(Whose::All);
        let (over, next) = rows(&page, list, ("/ended", &after)).await?;
        let of = Listing {
            here: "ended",
            title: "Ended",
            about: Some("What is over or was never given; the last comes first."),
            resource: None,
            live: &[],
            waiting: &[],
            over: &over,
            empty: "Nothing has ended yet.",
            next: next.as_deref(),
        };
        Ok(html(
            StatusCode::OK,
            page::listing(shown.frame(&page, &viewer), of),
        ))
    };
    made.await.unwrap_or_else(|refused: Response| refused)
}

/// `GET /waiting`.
pub(super) async fn waiting(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Query(Onwards { after }): Query<Onwards>,
) -> Response {
    let made = async {
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
    };
    made.await.unwrap_or_else(|refused: Response| refused)
}

/// `GET /ask`.
pub(super) async fn ask(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Query(Onwards { after }): Query<Onwards>,
) -> Response {
    let made = async {
        let shown = Shown::read(&page).await?;
        let declared = declared(&page).await;
        let frame = shown.frame(&page, &viewer);
        Ok(html(
            StatusCode::OK,
            page::asking(frame, declared.as_deref(), &after),
        ))
    };
    made.await.unwrap_or_else(|refused: Response| refused)
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
) -> Response {
    let made = async {
        let shown = Shown::read(&page).await?;
        let words: String = q.trim().chars().take(100).collect();
        let most = u32::try_from(ROWS).unwrap_or(u32::MAX);
        let word = words.trim_start_matches('@');
        let pull = words.strip_prefix('#').and_then(|n| n.parse().ok());
        let found = match (pull, word.is_empty()) {
            (Some(pull), _) => {
                reading(&page, page.store.brought_by(PullNumber(pull), most)).await?
            }
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
        let frame = shown.frame(&page, &viewer);
        Ok(html(StatusCode::OK, page::search(frame, of)))
    };
    made.await.unwrap_or_else(|refused: Response| refused)
}

/// `GET /person/{login}`.
pub(super) async fn person(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Path(login): Path<String>,
    Query(onwards): Query<Onwards>,
) -> Response {
    match Login::new(&login) {
        Ok(login) => of_subject(&page, &viewer, &Subject::Person(login), &onwards).await,
        Err(_) => nothing(),
    }
}

/// `GET /service/{name}`.
pub(super) async fn service(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Query(onwards): Query<Onwards>,
) -> Response {
    match ServiceName::new(&name) {
        Ok(name) => of_subject(&page, &viewer, &Subject::Service(name), &onwards).await,
        Err(_) => nothing(),
    }
}

async fn of_subject(
    page: &Page,
    viewer: &Viewer,
    subject: &Subject,
    onwards: &Onwards,
) -> Response {
    let made = async {
        let declared = declared(page).await;
        let (place, about) = match subject {
            Subject::Person(login) => {
                let person = declared.as_ref().and_then(|d| d.people.get(login));
                (
                    format!("/person/{login}"),
                    person.and_then(|p| p.name.clone()),
                )
            }
            Subject::Service(name) => {
                let service = declared.as_ref().and_then(|d| d.services.get(name));
                let about = service.map(|s| format!("{} Accountable: {}.", s.description, s.owner));
                (format!("/service/{name}"), about)
            }
        };
        let found = Found::read(page, Whose::Of(subject), (&place, &onwards.after)).await?;
        let shown = Shown::read(page).await?;
        let title = subject.to_string();
        let of = Listing {
            here: "",
            title: &title,
            about: about.as_deref(),
            empty: "Nothing is known of them: they hold nothing, held nothing, and nothing waits for them.",
            ..found.listing()
        };
        Ok(html(
            StatusCode::OK,
            page::listing(shown.frame(page, viewer), of),
        ))
    };
    made.await.unwrap_or_else(|refused: Response| refused)
}

/// `GET /resource/{name}`.
pub(super) async fn resource(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Query(onwards): Query<Onwards>,
) -> Response {
    let made = async {
        let name = ResourceName::new(&name).map_err(|_| nothing())?;
        let declared = declared(&page).await;
        let resource = declared.as_ref().and_then(|d| d.resources.get(&name));
        let place = format!("/resource/{name}");
        let found = Found::read(&page, Whose::On(&name), (&place, &onwards.after)).await?;
        let shown = Shown::read(&page).await?;
        let of = Listing {
            here: "",
            title: name.as_str(),
            about: resource.map(|r| r.description.as_str()),
            resource: resource.filter(|_| onwards.after.is_empty()),
            empty: "Nobody holds anything here, and nobody did.",
            ..found.listing()
        };
        Ok(html(
            StatusCode::OK,
            page::listing(shown.frame(&page, &viewer), of),
        ))
    };
    made.await.unwrap_or_else(|refused: Response| refused)
}

/// What there is of somebody, or on something: what is live and what waits on the first page, then what is over, a page at a time.
struct Found {
    live: Vec<Entry>,
    waiting: Vec<Asking>,
    over: Vec<Entry>,
    next: Option<String>,
}

impl Found {
    async fn read(
        page: &Page,
        whose: Whose<'_>,
        (place, after): (&str, &str),
    ) -> Result<Self, Response> {
        // What is live comes first, a page at a time; then what is over.
        if let Some(after) = after.strip_prefix("over~") {
            return Self::over(page, whose, (place, after)).await;
        }
        let (live, next) = rows(page, List::Live(whose), (place, after)).await?;
        let found = match next {
            Some(_) => Self {
                live: Vec::new(),
                waiting: Vec::new(),
                over: Vec::new(),
                next,
            },
            None => Self::over(page, whose, (place, "")).await?,
        };
        let waiting = match after.is_empty() {
            true => reading(page, page.store.waiting(whose, PullNumber(0), FEW)).await?,
            false => Vec::new(),
        };
        Ok(Self {
            live,
            waiting: asking(waiting),
            ..found
        })
    }

    async fn over(
        page: &Page,
        whose: Whose<'_>,
        (place, after): (&str, &str),
    ) -> Result<Self, Response> {
        let (over, next) = rows(page, List::Over(whose), (place, after)).await?;
        Ok(Self {
            live: Vec::new(),
            waiting: Vec::new(),
            over,
            next: next.map(|next| next.replace("?after=", "?after=over%7E")),
        })
    }

    fn listing(&self) -> Listing<'_> {
        Listing {
            here: "",
            title: "",
            about: None,
            resource: None,
            live: &self.live,
            waiting: &self.waiting,
            over: &self.over,
            empty: "",
            next: self.next.as_deref(),
        }
    }
}

/// `GET /grant/{resource}/{name}`.
pub(super) async fn grant(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Path(path): Path<(String, String)>,
) -> Response {
    let made = async {
        let entry = revoking::entry(&page, &path).await?;
        let (path, pull) = (&entry.path, entry.arrival.pull);
        let told = reading(&page, page.store.told_of(path, pull, STEPS)).await?;
        let mut drift = reading(&page, page.store.first_drift(4 * TROUBLES)).await?;
        drift.retain(|known| known.drift.grants.contains(&entry.id));
        let shown = Shown::read(&page).await?;
        let of = Story {
            entry: &entry,
            told: &told,
            drift: &drift,
        };
        Ok(html(
            StatusCode::OK,
            page::story(shown.frame(&page, &viewer), of),
        ))
    };
    made.await.unwrap_or_else(|refused: Response| refused)
}

/// Every other address. Whoever is not signed in is not told that there is nothing.
pub(super) async fn nowhere(_: Viewer) -> Response {
    nothing()
}
