//! The HTTP side: finds the operation, asks the gate, the switches and the permissions, and answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::auth::Caller;
use super::call::{Answer, Call, HOURLY};
use super::contract::Gate;
use super::faults::{Down, Faults, RateLimit, When};
use super::refusal::Refusal;
use super::routes::{self, Operation};
use super::world::World;
use super::{cgi, locked, web};

/// What the server, the people and the builders share.
#[derive(Debug)]
pub struct Shared {
    pub world: Mutex<World>,
    pub faults: Mutex<Faults>,
    pub down: watch::Sender<Down>,
    pub calls: Mutex<BTreeMap<String, u64>>,
    pub gate: Gate,
    /// One push over HTTP at a time, so that each ref's move has one author.
    pub pushing: tokio::sync::Mutex<()>,
}

impl Shared {
    /// Counts a call.
    pub fn called(&self, operation: &str) {
        *locked(&self.calls).entry(operation.to_owned()).or_default() += 1;
    }
}

/// A request, read whole.
#[derive(Debug)]
pub struct Whole {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Whole {
    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Serves every request. What reaches git is done to its end, as at GitHub, whether or not anybody waits for the answer by then.
pub async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if !request.uri().path().contains(".git/") {
        return respond(shared, request).await;
    }
    let responded = tokio::spawn(respond(shared, request)).await;
    responded.unwrap_or_else(|panic| answer(violation(vec![format!("git panicked: {panic}")])))
}

async fn respond(shared: Arc<Shared>, request: Request) -> Response {
    if *shared.down.borrow() != Down::No {
        return answer(Answer::json(
            503,
            json!({ "message": "The forge is down." }),
        ));
    }
    let latency = locked(&shared.faults).latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return answer(Refusal::new(400, "The body was cut off").into());
    };
    let request = Whole {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: body.to_bytes(),
    };
    match request.path.strip_prefix("/api/v3") {
        Some(path) => {
            let path = path.to_owned();
            answer(rest(shared, request, &path).await)
        }
        None if request.path.contains(".git/") => cgi::serve(&shared, request).await,
        None => {
            let agreed = locked(&shared.world).agree(&request);
            match agreed {
                Some(agreed) => answer(agreed.unwrap_or_else(Answer::from)),
                None => web::serve(shared, request).await,
            }
        }
    }
}

fn answer(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match &answer.body {
        Some(body) => (
            status,
            [("content-type", "application/json; charset=utf-8")],
            Body::from(body.to_string()),
        )
            .into_response(),
        None => status.into_response(),
    };
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A part of a path, with what was escaped in it.
pub fn decoded(segment: &str) -> String {
    // In a path, unlike in a form, `+` is a plus.
    let pairs = format!("x={}", segment.replace('+', "%2B"));
    let mut decoded = url::form_urlencoded::parse(pairs.as_bytes());
    decoded
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

async fn rest(shared: Arc<Shared>, request: Whole, path: &str) -> Answer {
    let segments: Vec<String> = path.trim_matches('/').split('/').map(decoded).collect();
    let segments = locked(&shared.world).by_name(segments);
    let Some((operation, params)) = routes::find(&request.method, &segments) else {
        let what = format!(
            "{} {path} is not an operation of the stand-in",
            request.method
        );
        return violation(shared.gate.violated(what));
    };
    let name = format!("{operation:?}");
    shared.called(&name);
    if request.header("user-agent").is_none() {
        return Refusal::new(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.").into();
    }
    let planned = locked(&shared.faults).take(&name);
    if let Some((status, When::Before)) = planned {
        return Refusal::new(status, "The stand-in was told to fail.").into();
    }
    if let Some(limit) = locked(&shared.faults).rate_limit {
        return limited(&shared, limit);
    }
    let inner = shared.clone();
    // Git works in the handlers, so they must not hold up the other requests.
    let handled =
        tokio::task::spawn_blocking(move || handle(&inner, operation, params, &request)).await;
    let handled =
        handled.unwrap_or_else(|panic| violation(vec![format!("{name} panicked: {panic}")]));
    match planned {
        Some((status, When::After)) => {
            Refusal::new(status, "The stand-in was told to fail after the effect.").into()
        }
        _ => handled,
    }
}

/// The answer to a broken contract: loud, so that a test fails where it happened.
fn violation(found: Vec<String>) -> Answer {
    Answer::json(
        500,
        json!({ "message": format!("contract violation: {}", found.join("; ")) }),
    )
}

fn limited(shared: &Shared, limit: RateLimit) -> Answer {
    let now = locked(&shared.world).now().timestamp();
    let (message, headers) = match limit {
        RateLimit::Primary { reset_in } => (
            "API rate limit exceeded for installation.",
            vec![
                ("x-ratelimit-limit", HOURLY.to_string()),
                ("x-ratelimit-remaining", "0".to_owned()),
                ("x-ratelimit-used", HOURLY.to_string()),
                ("x-ratelimit-reset", (now + i64::from(reset_in)).to_string()),
                ("x-ratelimit-resource", "core".to_owned()),
            ],
        ),
        RateLimit::Secondary { retry_after } => (
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            vec![("retry-after", retry_after.to_string())],
        ),
    };
    Answer {
        headers,
        ..Refusal::new(403, message).into()
    }
}

fn handle(
    shared: &Shared,
    operation: &'static Operation,
    params: Vec<(&'static str, String)>,
    request: &Whole,
) -> Answer {
    let (method, template) = (operation.method, operation.template);
    let query: Vec<(String, String)> = url::form_urlencoded::parse(request.query.as_bytes())
        .into_owned()
        .collect();
    let body: Option<Value> = match request.body.is_empty() {
        true => None,
        false => match serde_json::from_slice(&request.body) {
            Ok(body) => Some(body),
            Err(_) => return Refusal::new(400, "Problems parsing JSON").into(),
        },
    };
    let wrong = shared.gate.request(method, template, &query, body.as_ref());
    if !wrong.is_empty() {
        return violation(wrong);
    }
    let mut world = locked(&shared.world);
    let mut call = Call {
        params,
        query,
        body: body.unwrap_or_default(),
        caller: Caller::Anonymous,
        accept: request.header("accept").unwrap_or_default().to_owned(),
        url: format!("{}{}", world.base, request.path),
        repo: None,
    };
    let answered = perform(
        &mut world,
        operation,
        request.header("authorization"),
        &mut call,
    );
    let mut answer = answered.unwrap_or_else(Answer::from);
    let (used, reset) = world.count(&call.budget());
    // RFC 9110, section 6.6.1; by the clock that everything here goes by.
    let date = world.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    drop(world);
    answer.headers.push(("date", date));
    answer.headers.extend(budget_headers(used, reset));
    let wrong = shared
        .gate
        .response(method, template, answer.status, answer.body.as_ref());
    if wrong.is_empty() {
        answer
    } else {
        violation(wrong)
    }
}

fn budget_headers(used: u64, reset: i64) -> [(&'static str, String); 6] {
    let left = HOURLY.saturating_sub(used);
    [
        ("x-ratelimit-limit", HOURLY.to_string()),
        ("x-ratelimit-remaining", left.to_string()),
        ("x-ratelimit-used", used.to_string()),
        ("x-ratelimit-reset", reset.to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
        ("x-github-media-type", "github.v3; format=json".to_owned()),
    ]
}

fn perform(
    world: &mut World,
    operation: &Operation,
    authorization: Option<&str>,
    call: &mut Call,
) -> Result<Answer, Refusal> {
    call.caller = world.caller(authorization)?;
    let named = |name: &str| {
        call.params
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    };
    if let (Some(owner), Some(repo)) = (named("owner"), named("repo")) {
        let name = format!("{owner}/{repo}");
        call.repo = world.repo_named(&name);
        if call.repo.is_none() {
            let moved = world
                .repo_once_named(&name)
                .ok_or_else(Refusal::not_found)?;
            world.permit(&call.caller, operation.needs, Some(moved))?;
            return Ok(world.moved_to(moved, operation, call));
        }
    }
    world.permit(&call.caller, operation.needs, call.repo)?;
    (operation.handler)(world, call)
}
