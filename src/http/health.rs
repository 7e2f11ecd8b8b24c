//! Whether the process lives, and whether it does its work.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Shared;
use crate::domain::model::Instant;
use crate::domain::safety;
use crate::store::Store;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// For how long its answer is good: anybody may ask.
const KEPT: TimeDelta = TimeDelta::seconds(1);

const STORE: &str =
    "the database does not answer: see that it runs and can be reached; the log says why";
const MAIN: &str = "the protected branch was never read: the log says why; check [github] and the App's installation";
const WORKER: &str = "the worker has not looked at its queue for too long: the log says what it does; restart it if nothing";

/// The process answers. Says nothing about anything else, so that a database that is away does not get it restarted.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// Why nothing is granted in safe mode. No reason to send webhooks elsewhere, or to restart anything: what is due still ends, and safe mode
/// is over as soon as its reason is.
fn safe_mode(word: &str) -> String {
    format!(
        "safe mode ({word}): {}; what is due by time is still revoked. `hallpass doctor` says what to do",
        safety::explained(word)
    )
}

/// What everybody may ask; the database is asked once a second at most.
pub(super) struct Probe {
    shared: Arc<Shared>,
    last: Mutex<Option<(Instant, Heard)>>,
}

/// What the database said.
#[derive(Clone)]
struct Heard {
    store: bool,
    main: bool,
    /// Why nothing is granted.
    why: Option<String>,
}

impl Probe {
    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            last: Mutex::new(None),
        }
    }

    /// What the database said last, where that is not long ago. Whoever asks meanwhile waits for the same answer.
    async fn heard(&self) -> Heard {
        let mut last = self.last.lock().await;
        let now = self.shared.clock.now();
        match &*last {
            // A clock that was put back keeps nothing for longer.
            Some((at, heard)) if (TimeDelta::zero()..KEPT).contains(&(now - *at)) => heard.clone(),
            _ => {
                let heard = ask(&self.shared.store).await;
                *last = Some((self.shared.clock.now(), heard.clone()));
                heard
            }
        }
    }
}

async fn ask(database: &Store) -> Heard {
    let cursor = tokio::time::timeout(PATIENCE, database.cursor()).await;
    let main = matches!(cursor, Ok(Ok(Some(_))));
    if let Ok(Err(error)) = &cursor {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "the database does not answer a health check"
        );
    }
    let doubt = tokio::time::timeout(PATIENCE, database.note(safety::NOTE)).await;
    let why = match (main, doubt) {
        (true, Ok(Ok(None))) => None,
        (true, Ok(Ok(Some(word)))) => Some(safe_mode(&word)),
        _ => Some("it cannot be known what is granted: see `problems`".to_owned()),
    };
    let store = matches!(cursor, Ok(Ok(_)));
    Heard { store, main, why }
}

/// The database answers, the protected branch was read once, and the worker finished a pass not long ago. Where not, `problems` says
/// what is wrong and what to do. Safe mode leaves it ready, and is told beside that.
pub(super) async fn ready(State(probe): State<Arc<Probe>>) -> (StatusCode, Json<Value>) {
    let Heard { store, main, why } = probe.heard().await;
    let shared = &probe.shared;
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
        "ready": ready, "store": store, "main": main, "worker": worker, "last_pass_seconds_ago": seconds,
        "granting": why.is_none(), "not_granting_because": why, "problems": problems
    });
    (status, Json(answer))
}
