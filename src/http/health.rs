//! Whether the process lives, and whether it does its work.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Shared;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(2);

const STORE: &str =
    "the database does not answer: see that it runs and can be reached; the log says why";
const MAIN: &str = "the protected branch was never read: the log says why; check [github] and the App's installation";
const WORKER: &str = "the worker has not looked at its queue for too long: the log says what it does; restart it if nothing";

/// The process answers. Says nothing about anything else, so that a database that is away does not get it restarted.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// The database answers, the protected branch was read once, and the worker finished a pass not long ago. Where not, `problems` says
/// what is wrong and what to do.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    let cursor = tokio::time::timeout(PATIENCE, shared.store.cursor()).await;
    let store = matches!(cursor, Ok(Ok(_)));
    let main = matches!(cursor, Ok(Ok(Some(_))));
    if let Ok(Err(error)) = &cursor {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "the database does not answer a health check"
        );
    }
    let age = shared
        .last_pass
        .borrow()
        .map(|at| (shared.clock.now() - at).num_milliseconds());
    let limit = i64::try_from(shared.stale_after.as_millis()).unwrap_or(i64::MAX);
    let worker = age.is_some_and(|age| age <= limit);
    let problems: Vec<&str> = [(store, STORE), (main || !store, MAIN), (worker, WORKER)]
        .into_iter()
        .filter_map(|(fine, problem)| (!fine).then_some(problem))
        .collect();
    let ready = problems.is_empty();
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let seconds = age.map(|age| age / 1000);
    let answer = json!({
        "ready": ready, "store": store, "main": main, "worker": worker, "last_pass_seconds_ago": seconds, "problems": problems
    });
    (status, Json(answer))
}
