//! The page for people: who has what now, what waits, what ended, and the story of each grant. Off unless it is configured.
//!
//! Invariants: nothing is shown to whoever is not signed in, nor to whoever the forge does not say may see it; no secret is in any
//! page; nothing is asked of the forge to make a page; reading changes nothing. The one thing that can be done here is to end access at
//! once, which is evidence.
//!
//! It shares the listener with the webhook and has limits of its own, so that nobody slows the webhook down through it.

mod about;
mod cookies;
mod gate;
mod guard;
mod lists;
mod overview;
mod revoking;
mod shown;
mod sign_in;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use url::Url;

use crate::clock::Clock;
use crate::domain::causes::chain;
use crate::domain::model::{Owner, RepoName};
use crate::domain::render::page;
use crate::domain::report::Pages;
use crate::store::Store;
use crate::worker::Worker;

/// How many requests are served at once. Others are told to come back.
const PLACES: usize = 64;

/// How many of them read the database at once: fewer than it has connections, so that the worker never waits for a page.
const READERS: usize = 2;

/// How many of them ask the forge at once.
const ASKING: usize = 4;

/// How many of those who come to sign in, whom nobody knows yet, are asked about at once. They have turns of their own, so that strangers
/// cannot keep those who are signed in waiting.
const SIGNING_IN: usize = 4;

/// Who may see the page, and where it is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where people reach it: scheme, host and port, and nothing else.
    pub url: Url,
    /// Where they sign in: `https://github.com`, or `https://HOST`.
    pub web: Url,
    /// The App's client id.
    pub client_id: String,
    /// Who sees it without access to the repository.
    pub auditors: BTreeSet<Owner>,
    /// The access repository.
    pub repository: RepoName,
    /// Where its files are.
    pub pages: Pages,
}

impl Settings {
    /// The origin of the page: what a browser says that its forms come from.
    fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Where the forge sends people back to.
    fn callback(&self) -> String {
        format!("{}/sign-in/callback", self.origin())
    }
}

/// The page with what it works on.
#[derive(Debug)]
pub struct Page {
    store: Store,
    clock: Arc<dyn Clock>,
    worker: Arc<Worker>,
    settings: Settings,
    places: Semaphore,
    readers: Semaphore,
    asking: Semaphore,
    signing_in: Semaphore,
}

impl Page {
    /// The page of what `store` holds.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        worker: Arc<Worker>,
        settings: Settings,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            clock,
            worker,
            settings,
            places: Semaphore::new(PLACES),
            readers: Semaphore::new(READERS),
            asking: Semaphore::new(ASKING),
            signing_in: Semaphore::new(SIGNING_IN),
        })
    }
}

/// Every address of the page.
pub fn router(page: &Arc<Page>) -> Router {
    Router::new()
        .route("/", get(overview::overview))
        .route("/live", get(lists::live))
        .route("/waiting", get(lists::waiting))
        .route("/ended", get(lists::ended))
        .route("/ask", get(lists::ask))
        .route("/search", get(lists::search))
        .route("/person/{login}", get(about::person))
        .route("/service/{name}", get(about::service))
        .route("/resource/{name}", get(about::resource))
        .route("/grant/{resource}/{name}", get(about::grant))
        .route(
            "/grant/{resource}/{name}/end",
            get(revoking::ask).post(revoking::end),
        )
        .route("/sign-in", get(sign_in::begin))
        .route("/sign-in/callback", get(sign_in::finish))
        .route("/sign-out", post(sign_in::out))
        .route("/assets/page.css", get(style))
        .route("/assets/countdown.js", get(script))
        .route("/assets/icon.svg", get(icon))
        .fallback(about::nowhere)
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(page),
            guard::guard,
        ))
        .layer(CatchPanicLayer::new())
        .with_state(Arc::clone(page))
}

async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
        page::STYLE,
    )
}

async fn script() -> impl IntoResponse {
    let kind = "text/javascript; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], page::SCRIPT)
}

async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], page::ICON)
}

/// An answer in the place of the one that was asked for.
#[derive(Debug)]
struct Instead(Box<Response>);

impl From<Response> for Instead {
    fn from(answer: Response) -> Self {
        Self(Box::new(answer))
    }
}

impl IntoResponse for Instead {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// What a handler answers.
type Answer = Result<Response, Instead>;

/// What a template made, as an answer.
fn html<E: std::error::Error>(status: StatusCode, made: Result<String, E>) -> Response {
    match made {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(error = %chain(&error), "a page cannot be written: {}", chain(&error));
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page cannot be written\n",
            )
                .into_response()
        }
    }
}

/// A short answer.
fn plain(status: StatusCode, title: &str, said: &str) -> Response {
    html(status, page::plain(title, said))
}

/// The answer to whoever may not see what they asked for, whether it is there or not.
fn nothing() -> Response {
    let said = "There is nothing here that you can see, or it could not be found out just now whether you may. \
                If you should see it, try again in a minute.";
    plain(StatusCode::NOT_FOUND, "Nothing here", said)
}

/// The answer while the database, or everything, is busy.
fn busy() -> Response {
    let said = "Too much is being asked for just now. Please try again in a moment.";
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, "Busy", said);
    let later = HeaderValue::from_static("5");
    answer.headers_mut().insert(header::RETRY_AFTER, later);
    answer
}
