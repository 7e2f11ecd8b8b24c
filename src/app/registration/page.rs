//! The page on this machine that sends a person to GitHub, and that GitHub sends them back to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use url::Url;

use super::Plan;

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hallpass: create the GitHub App</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}
pre{overflow:auto;padding:1rem;border:1px solid;border-radius:.5rem}button{font:inherit;padding:.6rem 1.2rem}</style></head>
<body><h1>Create the GitHub App of {{ organisation }}</h1>
<p>GitHub shows it to you once more before it is made. It may do exactly this, and nothing else:</p>
<pre>{{ manifest }}</pre>
<form method="post" action="{{ action }}"><input type="hidden" name="manifest" value="{{ manifest }}">
<button type="submit">Go on to GitHub</button></form>
<p>Its secrets go into files on this machine, and are not shown.</p></body></html>"#
)]
struct Form<'a> {
    organisation: &'a str,
    manifest: &'a str,
    action: &'a str,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Hallpass</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style></head>
<body><h1>{{ title }}</h1><p>{{ text }}</p></body></html>"#
)]
struct Says<'a> {
    title: &'a str,
    text: &'a str,
}

/// What the page knows.
struct Page {
    /// `127.0.0.1:PORT`: a page that is reached by another name is somebody else's, pointed at this machine.
    host: String,
    /// Known to this run and to whoever went to GitHub from here.
    state: String,
    form: String,
    policy: String,
    code: Mutex<Option<oneshot::Sender<String>>>,
}

/// What GitHub sends people back with.
#[derive(Deserialize)]
struct Back {
    code: Option<String>,
    state: Option<String>,
}

/// Serves the page until somebody comes back with a code. `on` hears where it is.
pub(super) async fn wait_for_code(
    plan: &Plan,
    address: SocketAddr,
    on: impl FnOnce(&str),
) -> anyhow::Result<String> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    let host = listener.local_addr()?.to_string();
    let (sender, receiver) = oneshot::channel();
    let page = Arc::new(page(plan, host, sender)?);
    let start = format!("http://{}/", page.host);
    let router = Router::new()
        .route("/", get(form))
        .route("/created", get(created))
        .with_state(page);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = axum::serve(listener, router).with_graceful_shutdown(async {
        // Dropped or sent, it is over.
        let _ = stopped.await;
    });
    let served = tokio::spawn(served.into_future());
    on(&start);
    let code = receiver.await.context("the page was closed")?;
    // The last answer goes out before the page is gone.
    drop(stop);
    let _ = served.await;
    Ok(code)
}

fn page(plan: &Plan, host: String, code: oneshot::Sender<String>) -> anyhow::Result<Page> {
    let state = hex::encode(rand::random::<[u8; 32]>());
    let manifest = plan.manifest(&format!("http://{host}/created"));
    let form = Form {
        organisation: plan.repository.owner.as_str(),
        manifest: &serde_json::to_string_pretty(&manifest)?,
        action: &plan.form(&state),
    };
    let origin = Url::parse(&plan.web)?.origin().ascii_serialization();
    Ok(Page {
        form: form.render()?,
        policy: format!(
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' {origin}; frame-ancestors 'none'; base-uri 'none'"
        ),
        host,
        state,
        code: Mutex::new(Some(code)),
    })
}

async fn form(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response {
    if !page.is_asked(&headers) {
        return StatusCode::NOT_FOUND.into_response();
    }
    page.answer(StatusCode::OK, page.form.clone())
}

async fn created(
    State(page): State<Arc<Page>>,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Response {
    if !page.is_asked(&headers) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let sent = match (back.code, back.state) {
        // Compared by digest, so that its time tells nothing.
        (Some(code), Some(state)) if digest(&state) == digest(&page.state) => page.hand_over(code),
        _ => false,
    };
    match sent {
        true => page.says(
            StatusCode::OK,
            "Back to your terminal",
            "GitHub made the App. Hallpass keeps its secrets, and says there what is next. This page can be closed.",
        ),
        false => page.says(
            StatusCode::BAD_REQUEST,
            "This did not begin here",
            "The address does not belong to this run of `hallpass app create`, or was used already. Begin again at its page.",
        ),
    }
}

fn digest(text: &str) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text.as_bytes()).into()
}

impl Page {
    fn is_asked(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        host == Some(self.host.as_str())
    }

    /// Whether the code was taken: the first one is.
    fn hand_over(&self, code: String) -> bool {
        let mut waiting = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .take()
            .is_some_and(|sender| sender.send(code).is_ok())
    }

    fn says(&self, status: StatusCode, title: &str, text: &str) -> Response {
        let said = Says { title, text }.render();
        // A template of ours renders; were it not so, the status says enough.
        self.answer(status, said.unwrap_or_default())
    }

    fn answer(&self, status: StatusCode, html: String) -> Response {
        let headers = [
            (CONTENT_SECURITY_POLICY, self.policy.as_str()),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        (status, headers, Html(html)).into_response()
    }
}
