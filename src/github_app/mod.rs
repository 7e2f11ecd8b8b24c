//! Speaking to GitHub as a GitHub App: keys, tokens, calls, pages, and what a failure means.
//!
//! A leaf like [`crate::clock`]: the forge and the `github-team` provider both speak to GitHub, and neither may import the
//! other. Nothing here knows pull requests, teams or checks.
//!
//! Promises:
//! - A token is narrowed to the repository and the permissions that its holder needs, kept in memory only, renewed at 80% of its
//!   life by the [`Clock`], by one caller at a time, and once more when GitHub answers 401. It is never logged.
//! - A list is read to its last page, or it is an error: never a shorter list.
//! - A call is sent once. Nothing is repeated behind the caller's back (except after a 401, which has no effect), so a call
//!   that failed may or may not have had its effect.
//! - Where GitHub says when to ask again, nobody asks with the same token before.
//! - Redirects are not followed: a repository that moved is for a person to look at.

mod failure;
mod route;
mod token;
mod visitor;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, LINK};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use octocrab::Octocrab;
use octocrab::jsonwebtoken::EncodingKey;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, debug_span};
use url::Url;

pub use failure::{BoxError, Failure};
pub use route::{path, query};
pub use token::{Installation, Permission, Place};
pub use visitor::SignIn;

use crate::clock::Clock;
use crate::domain::model::{Instant, Login};
use crate::metrics::Metrics;
use crate::secrets::Secrets;

/// How long one call may take, from connecting to the last byte of the answer.
const CALL_TIME: Duration = Duration::from_secs(30);
/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// The longest answer that is read. A full page of reviews with the longest bodies is about 7 MiB.
const ANSWER_BYTES: usize = 32 << 20;
/// The most pages that one list may have: 50,000 entries. A longer one is an error.
const PAGES: usize = 500;

/// Who we are at GitHub.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// The root of the REST API: `https://api.github.com`, or `https://HOST/api/v3`.
    pub api: Url,
    /// The App's number.
    pub app_id: u64,
    /// The App's private key, as PEM.
    pub private_key: SecretString,
    /// The time, for tokens.
    pub clock: Arc<dyn Clock>,
    /// Where calls are counted.
    pub metrics: Metrics,
}

/// A GitHub App: makes [`Installation`]s, which make calls.
pub struct App {
    crab: Octocrab,
    api: Url,
    id: u64,
    key: EncodingKey,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// Installations that were looked up, by the account they are on.
    installed: tokio::sync::Mutex<BTreeMap<Login, u64>>,
    /// How often GitHub did not accept a token of ours that should still have been good.
    forgotten: AtomicU64,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("api", &self.api.as_str())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// An answer that is a success.
struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl App {
    /// Sets up the client. Makes no call, but must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`Failure::Refused`] when the private key cannot be read, or the machine has no certificates to trust.
    pub fn new(settings: AppSettings) -> Result<Arc<Self>, Failure> {
        let refused = |reason: String| Failure::Refused {
            what: "setting up the GitHub App".to_owned(),
            reason,
        };
        let key = EncodingKey::from_rsa_pem(settings.private_key.expose_secret().as_bytes())
            .map_err(|e| {
                refused(format!(
                    "the App's private key is no RSA key in PEM form: {e}"
                ))
            })?;
        let crab = client(&settings.api)?;
        Ok(Arc::new(Self {
            crab,
            api: settings.api,
            id: settings.app_id,
            key,
            clock: settings.clock,
            metrics: settings.metrics,
            installed: tokio::sync::Mutex::default(),
            forgotten: AtomicU64::default(),
        }))
    }

    /// The App's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The time, as tokens go by it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// One call, once. Success is any 2xx.
    async fn call(
        &self,
        bearer: &str,
        what: &str,
        request: http::request::Builder,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, Failure> {
        let span = debug_span!(
            "github",
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = request.method_ref().map(Method::as_str),
            http.response.status_code = Empty,
        );
        let call = self.call_uncounted(bearer, what, request, body);
        let answer = call.instrument(span.clone()).await;
        if answer.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        self.metrics.asked_forge(match &answer {
            Ok(_) => "ok",
            Err(failure) => failure.outcome(),
        });
        answer
    }

    async fn call_uncounted(
        &self,
        bearer: &str,
        what: &str,
        request: http::request::Builder,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, Failure> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {bearer}"))
            .map_err(|e| Failure::unreadable(what, e))?;
        authorization.set_sensitive(true);
        let request = request.header(AUTHORIZATION, authorization);
        let request = self
            .crab
            .build_request(request, body)
            .map_err(|e| Failure::unreadable(what, e))?;
        let (parts, body) =
            match tokio::time::timeout(CALL_TIME, exchange(&self.crab, request)).await {
                Ok(answer) => answer.map_err(|source| Failure::unavailable(what, source))?,
                Err(elapsed) => return Err(Failure::unavailable(what, elapsed)),
            };
        Span::current().record("http.response.status_code", parts.status.as_u16());
        tracing::debug!(status = parts.status.as_u16(), "asked GitHub for {what}");
        if parts.status.is_success() {
            return Ok(Answer {
                headers: parts.headers,
                body,
            });
        }
        // Whatever stands between GitHub and us may say back what we sent.
        let said = Secrets::default().with("the token", bearer);
        let said = said.hide(&String::from_utf8_lossy(&body));
        Err(failure::of_answer(
            what,
            parts.status,
            &parts.headers,
            said.as_bytes(),
            self.clock.now(),
        ))
    }
}

impl Installation {
    /// The App's number.
    pub fn app_id(&self) -> u64 {
        self.app().id
    }

    /// Reads one thing.
    ///
    /// # Errors
    /// Any [`Failure`]; an answer of another shape than `T` is [`Failure::Unavailable`].
    pub async fn get<T: DeserializeOwned>(&self, what: &str, route: &str) -> Result<T, Failure> {
        self.get_as(what, route, "application/vnd.github+json")
            .await
    }

    /// Reads one thing in a media type of GitHub's, where it has several.
    ///
    /// # Errors
    /// As [`Installation::get`].
    pub async fn get_as<T: DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
        accept: &str,
    ) -> Result<T, Failure> {
        decode(
            what,
            &self
                .send(&Method::GET, what, route, accept, None)
                .await?
                .body,
        )
    }

    /// Reads a list to its last page. `route` should ask for `per_page=100`.
    ///
    /// # Errors
    /// Any [`Failure`], from any page.
    pub async fn list<T: DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
    ) -> Result<Vec<T>, Failure> {
        self.list_in(what, route, |page: Vec<T>| page).await
    }

    /// [`Installation::list`] of what GitHub wraps: `rows` takes them out of each page.
    ///
    /// # Errors
    /// Any [`Failure`], from any page.
    pub async fn list_in<P: DeserializeOwned, T>(
        &self,
        what: &str,
        route: &str,
        rows: fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        let mut next = Some(route.to_owned());
        for _ in 0..PAGES {
            let Some(page) = next.take() else {
                return Ok(all);
            };
            let answer = self
                .send(
                    &Method::GET,
                    what,
                    &page,
                    "application/vnd.github+json",
                    None,
                )
                .await?;
            all.extend(rows(decode::<P>(what, &answer.body)?));
            next = route::next_page(&answer.headers, LINK, &self.app().api)
                .map_err(|e| Failure::unreadable(what, e))?;
        }
        next.map_or(Ok(all), |_| {
            Err(Failure::unreadable(what, "a list without end"))
        })
    }

    /// Creates.
    ///
    /// # Errors
    /// As [`Installation::get`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.change(&Method::POST, what, route, body).await
    }

    /// Changes in part.
    ///
    /// # Errors
    /// As [`Installation::get`].
    pub async fn patch<T: DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.change(&Method::PATCH, what, route, body).await
    }

    /// Puts in place.
    ///
    /// # Errors
    /// As [`Installation::get`].
    pub async fn put<T: DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.change(&Method::PUT, what, route, body).await
    }

    /// Puts in place what the address says by itself; nothing is sent with it.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn assign(&self, what: &str, route: &str) -> Result<(), Failure> {
        self.send(
            &Method::PUT,
            what,
            route,
            "application/vnd.github+json",
            None,
        )
        .await
        .map(drop)
    }

    /// Removes.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn delete(&self, what: &str, route: &str) -> Result<(), Failure> {
        self.send(
            &Method::DELETE,
            what,
            route,
            "application/vnd.github+json",
            None,
        )
        .await
        .map(drop)
    }

    async fn change<T: DeserializeOwned>(
        &self,
        method: &Method,
        what: &str,
        route: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_value(body).map_err(|e| Failure::unreadable(what, e))?;
        decode(
            what,
            &self
                .send(
                    method,
                    what,
                    route,
                    "application/vnd.github+json",
                    Some(&body),
                )
                .await?
                .body,
        )
    }

    async fn send(
        &self,
        method: &Method,
        what: &str,
        route: &str,
        accept: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, Failure> {
        let request = || {
            http::Request::builder()
                .method(method.clone())
                .uri(route)
                .header(ACCEPT, accept)
        };
        self.may_ask(what)?;
        let token = self.token().await?;
        match self
            .app()
            .call(token.expose_secret(), what, request(), body)
            .await
        {
            Err(Failure::Declined { status, .. }) if status == StatusCode::UNAUTHORIZED => {}
            Ok(answer) => {
                self.note_limit(&answer.headers).await;
                return Ok(answer);
            }
            Err(failure) => {
                self.note_failure(&failure);
                return Err(failure);
            }
        }
        // The token was revoked before its time. One fresh one; if that is not taken either, a person must look.
        let token = self.renewed(&token).await?;
        self.app()
            .call(token.expose_secret(), what, request(), body)
            .await
            .inspect_err(|e| self.note_failure(e))
            .map_err(|e| e.unauthorized_is_final())
    }
}

/// A client of what is below `root`: whatever it is asked for, octocrab looks for it there.
fn client(root: &Url) -> Result<Octocrab, Failure> {
    let refused = |reason: String| Failure::Refused {
        what: "setting up the GitHub App".to_owned(),
        reason,
    };
    Octocrab::builder()
        .base_uri(root.as_str().trim_end_matches('/'))
        .map_err(|e| refused(format!("`{root}` is no address: {e}")))?
        .set_connect_timeout(Some(CONNECT_TIME))
        .set_read_timeout(Some(CALL_TIME))
        .set_write_timeout(Some(CALL_TIME))
        .build()
        .map_err(|e| {
            refused(format!(
                "no HTTPS client (are CA certificates installed?): {e}"
            ))
        })
}

/// Sends, and reads the whole answer.
async fn exchange(
    crab: &Octocrab,
    request: http::Request<octocrab::OctoBody>,
) -> Result<(http::response::Parts, Bytes), BoxError> {
    let (parts, body) = crab.send(request).await?.into_parts();
    Ok((
        parts,
        Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes(),
    ))
}

/// What is left of one of GitHub's limits, and of which.
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#checking-the-status-of-your-rate-limit>
fn allowed(headers: &HeaderMap) -> Option<(&str, i64)> {
    let text = |name| headers.get(name)?.to_str().ok();
    let remaining = text("x-ratelimit-remaining")?.parse().ok()?;
    Some((text("x-ratelimit-resource").unwrap_or("core"), remaining))
}

fn decode<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, Failure> {
    // 204: nothing, and no text that says so.
    let body = if body.is_empty() { b"null" } else { body };
    serde_json::from_slice(body).map_err(|e| Failure::unreadable(what, e))
}
