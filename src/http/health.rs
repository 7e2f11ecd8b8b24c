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

/// The process answers. Says nothing about anything else, so that a database that is away does not get it restarted.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// The database answers, and the worker finished a pass not long ago.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    let ping = tokio::time::timeout(PATIENCE, shared.store.ping()).await;
    let store = matches!(ping, Ok(Ok(())));
    if let Ok(Err(error)) = &ping {
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
    let status = if store && worker {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let seconds = age.map(|age| age / 1000);
    (
        status,
        Json(
            json!({ "ready": store && worker, "store": store, "worker": worker, "last_pass_seconds_ago": seconds }),
        ),
    )
}
