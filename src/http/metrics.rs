//! `GET /metrics`: what was counted, and what is, for Prometheus. For a listener of its own: it tells how much access there is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use chrono::TimeDelta;

use super::Shared;
use crate::domain::drift::Known;
use crate::domain::model::{ConnectionName, ResourceName};
use crate::domain::release::{BRAKES, Brake, Whose};
use crate::domain::safety;
use crate::metrics::{self, MEDIA};
use crate::store::StoreError;

/// How long the database may take. Prometheus waits for 10 s unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(8);

/// One scrape.
pub(super) async fn scrape(
    shared: State<Arc<Shared>>,
) -> Result<([(HeaderName, &'static str); 1], String), StatusCode> {
    let state = match tokio::time::timeout(PATIENCE, state(&shared)).await {
        Ok(Ok(state)) => Some(state),
        Ok(Err(error)) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the database does not answer a scrape"
            );
            None
        }
        Err(_) => {
            tracing::warn!("the database does not answer a scrape in time");
            None
        }
    };
    let text = shared.metrics.text(state.as_ref());
    let text = text.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, MEDIA)], text))
}

async fn state(shared: &Shared) -> Result<metrics::State, StoreError> {
    let now = shared.clock.now();
    let (store, since) = (&shared.store, |at| now - at);
    let last_pass = shared.last_pass.borrow().map(since);
    let tally = store.tally(now).await?;
    let overdue = tally.overdue.into_iter();
    Ok(metrics::State {
        main_seen: store.cursor().await?.is_some(),
        last_pass,
        connections: shared.connections.clone(),
        grants: tally.grants,
        arrivals: tally.arrived,
        requests: tally.asking,
        overdue: overdue
            .map(|(c, (number, ended))| (c, (number, since(ended))))
            .collect(),
        held: held(&store.notes(BRAKES).await?),
        drift: drift(&store.drift(None).await?),
        unreviewed: tally.unreviewed,
        deployments: tally.deployments,
        evidence: (
            tally.outbox.0,
            tally.outbox.1.map_or(TimeDelta::zero(), since),
        ),
        anchors: anchors(shared).await?,
        safe_mode: store.note(safety::NOTE).await?.is_some(),
        messages: store.waiting_messages().await?.into_iter().collect(),
        wakes: tally.wakes,
    })
}

/// How each place outside stands, known or not.
async fn anchors(shared: &Shared) -> Result<BTreeMap<String, (TimeDelta, bool)>, StoreError> {
    let now = shared.clock.now();
    let known = shared.store.places().await?;
    let standing = shared.anchored.iter().map(|(place, every)| {
        let memory = known.get(place).map(|known| &known.memory);
        let late = memory.map_or_else(TimeDelta::zero, |memory| memory.overdue(*every, now));
        let wrong = memory.is_some_and(|memory| memory.trouble.is_some());
        (place.clone(), (late, wrong))
    });
    Ok(standing.collect())
}

/// What each brake holds. One that cannot be read is for the worker to tell of.
fn held(notes: &[(String, String)]) -> Vec<(Whose, u64)> {
    let brakes = notes
        .iter()
        .filter_map(|(_, text)| serde_json::from_str::<Brake>(text).ok());
    let holds = brakes.filter_map(|brake| brake.hold);
    holds
        .map(|hold| (hold.whose, hold.members.len() as u64))
        .collect()
}

type Differences = BTreeMap<(ConnectionName, Option<ResourceName>, &'static str), u64>;

/// Each difference once for every resource that it touches.
fn drift(known: &[Known]) -> Differences {
    let mut all = Differences::new();
    for Known { drift, .. } in known {
        let mut resources: Vec<_> = drift
            .roles
            .iter()
            .map(|role| Some(role.resource.clone()))
            .collect();
        resources.dedup();
        if resources.is_empty() {
            resources.push(None);
        }
        for resource in resources {
            let key = (
                drift.connection.clone(),
                resource,
                drift.difference.as_str(),
            );
            *all.entry(key).or_default() += 1;
        }
    }
    all
}
