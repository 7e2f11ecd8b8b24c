//! The HTTP server: webhooks in, health and metrics out, and the page for people.
//!
//! Invariants: nothing of a request is looked at before its signature is verified; what was answered with 202 is durable; no
//! body, signature or secret reaches a log.

mod health;
mod locator;
mod metrics;
pub mod page;
mod serve;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use chrono::TimeDelta;
use secrecy::SecretString;
use tokio::sync::{Notify, Semaphore, watch};
use tower_http::catch_panic::CatchPanicLayer;

use crate::clock::Clock;
use crate::domain::model::{ConnectionName, Instant, RepoName};
use crate::metrics::Metrics;
use crate::store::Store;

pub use serve::serve;

/// What the handlers share.
#[derive(Debug)]
pub struct Shared {
    /// Where wakes are made durable.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whose webhooks count.
    pub source: Source,
    /// What signs them: the current secret, and the one before while it is being changed. None may be empty.
    pub secrets: Vec<SecretString>,
    /// Told after a wake is durable.
    pub woken: Arc<Notify>,
    /// When the worker last finished a pass: the sender is the worker's.
    pub last_pass: watch::Receiver<Option<Instant>>,
    /// After how long without a pass the service is not ready.
    pub stale_after: Duration,
    /// What is counted.
    pub metrics: Metrics,
    /// The connections that are told of in metrics even where nothing is given.
    pub connections: Vec<ConnectionName>,
    /// The places outside at which anchors are kept, and how often one is written there.
    pub anchored: BTreeMap<String, TimeDelta>,
}

/// Whose webhooks count. All others are answered and ignored.
#[derive(Debug, Clone)]
pub struct Source {
    /// The access repository.
    pub repository: RepoName,
    /// The App's installation, where it is known.
    pub installation: Option<u64>,
    /// The App itself: its own checks are no news.
    pub app: u64,
    /// The branch that counts.
    pub protected_branch: String,
}

/// `POST /webhook`, `GET /health/live`, `GET /health/ready`.
///
/// # Panics
/// When there is no secret, or an empty one: anybody could sign. The configuration refuses this before.
pub fn router(shared: &Arc<Shared>) -> Router {
    use secrecy::ExposeSecret;
    let usable =
        !shared.secrets.is_empty() && shared.secrets.iter().all(|s| !s.expose_secret().is_empty());
    assert!(usable, "webhooks need a secret that is not empty");
    let intake = Arc::new(webhook::Intake {
        shared: shared.clone(),
        memory: Semaphore::new(webhook::MEMORY_KIB),
    });
    Router::new()
        .route("/webhook", post(webhook::receive).with_state(intake))
        .merge(health(shared))
        .layer(CatchPanicLayer::new())
}

/// `GET /metrics`, and health again: for a listener that the internet does not reach.
pub fn metrics_router(shared: &Arc<Shared>) -> Router {
    let scrape = get(metrics::scrape).with_state(Arc::clone(shared));
    Router::new()
        .route("/metrics", scrape)
        .merge(health(shared))
        .layer(CatchPanicLayer::new())
}

fn health(shared: &Arc<Shared>) -> Router {
    let probe = Arc::new(health::Probe::of(Arc::clone(shared)));
    let ready = get(health::ready).with_state(probe);
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", ready)
}
