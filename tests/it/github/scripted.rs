//! A server that answers as told, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{TimeDelta, TimeZone, Utc};
use hallpass::clock::{Clock, ManualClock};
use hallpass::domain::model::{Instant, RepoName};
use hallpass::forge::github::{GitHub, GitHubSettings, MergeMethod};
use hallpass::metrics::Metrics;
use hallpass::sandbox::KNOWN_KEY;
use serde_json::{Value, json};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET /repos/..?..`, below the root of the API.
    pub call: String,
    /// `http://HOST:PORT` as the caller named us.
    pub origin: String,
    pub token: String,
    pub body: Value,
}

type Answers = Box<dyn Fn(&Asked) -> Option<Response> + Send + Sync>;

struct Inner {
    answers: Answers,
    asked: Mutex<Vec<Asked>>,
    clock: Arc<ManualClock>,
}

pub struct Scripted {
    pub url: String,
    pub clock: Arc<ManualClock>,
    inner: Arc<Inner>,
}

/// When these tests happen.
pub fn noon() -> Instant {
    Utc.with_ymd_and_hms(2026, 11, 24, 12, 0, 0).unwrap()
}

impl Scripted {
    /// A server that answers what `answers` knows, gives tokens (`token-1`, `token-2`, ..) of an hour, and knows nothing else.
    pub async fn new(answers: impl Fn(&Asked) -> Option<Response> + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock = Arc::new(ManualClock::at(noon()));
        let inner = Arc::new(Inner {
            answers: Box::new(answers),
            asked: Mutex::default(),
            clock: clock.clone(),
        });
        let router = Router::new().fallback(answer).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, clock, inner }
    }

    pub fn github(&self) -> GitHub {
        GitHub::new(GitHubSettings {
            api: format!("{}/api/v3", self.url).parse().unwrap(),
            web: self.url.parse().unwrap(),
            repository: RepoName::try_from("acme/access".to_owned()).unwrap(),
            app_id: 7,
            installation_id: Some(70),
            private_key: KNOWN_KEY.into(),
            merge_method: MergeMethod::Merge,
            clock: self.clock.clone(),
            metrics: Metrics::default(),
        })
        .unwrap()
    }

    /// Everything asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// The calls so far, without those for tokens.
    pub fn calls(&self) -> Vec<String> {
        self.asked()
            .into_iter()
            .map(|a| a.call)
            .filter(|call| !call.contains("/app/"))
            .collect()
    }

    /// How many tokens were asked for.
    pub fn tokens(&self) -> usize {
        self.asked()
            .iter()
            .filter(|a| a.call.ends_with("/access_tokens"))
            .count()
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let asked = Asked {
        call: format!(
            "{} {}",
            parts.method,
            parts.uri.to_string().trim_start_matches("/api/v3")
        ),
        origin: format!("http://{}", parts.headers["host"].to_str().unwrap()),
        token: bearer(&parts.headers),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let tokens = {
        let mut all = inner.asked.lock().unwrap();
        all.push(asked.clone());
        all.iter()
            .filter(|a| a.call.ends_with("/access_tokens"))
            .count()
    };
    if let Some(response) = (inner.answers)(&asked) {
        return response;
    }
    if asked.call == "POST /app/installations/70/access_tokens" {
        // Slow enough that callers at the same time would all ask, if they could.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let expires_at = inner.clock.now() + TimeDelta::hours(1);
        return said(
            201,
            &json!({ "token": format!("token-{tokens}"), "expires_at": expires_at }),
        );
    }
    said(404, &json!({ "message": "Not Found" }))
}

fn bearer(headers: &HeaderMap) -> String {
    let value = headers
        .get("authorization")
        .map_or("", |v| v.to_str().unwrap());
    value.trim_start_matches("Bearer ").to_owned()
}

/// An answer with a JSON body.
pub fn said(status: u16, body: &Value) -> Response {
    (
        StatusCode::from_u16(status).unwrap(),
        Bytes::from(body.to_string()),
    )
        .into_response()
}

/// An answer with a JSON body and a header.
pub fn said_with(status: u16, name: &'static str, value: &str, body: &Value) -> Response {
    let mut response = said(status, body);
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

/// A `simple-user`, as far as GitHub would be read by anybody.
pub fn user(id: u64, login: &str) -> Value {
    json!({ "id": id, "login": login, "type": "User" })
}

/// A pull request 12 of `octocat` from branch `ada` at commit `head`.
pub fn pull(head: &str) -> Value {
    json!({
        "number": 12, "title": "Access", "body": null, "state": "open", "draft": false, "merged": false,
        "merged_at": null, "merged_by": null, "merge_commit_sha": null, "commits": 1,
        "updated_at": "2026-11-24T11:00:00Z", "user": user(1, "octocat"),
        "base": { "ref": "main", "sha": "b".repeat(40), "repo": { "id": 5 } },
        "head": { "ref": "ada", "sha": head, "repo": { "id": 5 } },
    })
}

/// An entry of a branch's activity.
pub fn push(kind: &str, actor: Value, after: &str) -> Value {
    json!({ "activity_type": kind, "actor": actor, "after": after, "before": "0".repeat(40), "ref": "refs/heads/ada" })
}
