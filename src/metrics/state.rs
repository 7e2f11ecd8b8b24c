//! What is, at the moment of a scrape.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{Atomic, Gauge};
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

use super::{Labels, add, seconds};
use crate::domain::ledger;
use crate::domain::model::{ConnectionName, ResourceName};
use crate::domain::release::Whose;

/// What the database says, counted.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Whether the protected branch was read.
    pub main_seen: bool,
    /// How long ago the worker last looked at its queue; `None` before it did.
    pub last_pass: Option<TimeDelta>,
    /// Every connection there is, so that each has its series, also where there is nothing to count.
    pub connections: Vec<ConnectionName>,
    /// Grants that are not over.
    pub grants: BTreeMap<(ConnectionName, ledger::State), u64>,
    /// Merged grants whose proof is not weighed.
    pub arrivals: u64,
    /// Open pull requests that ask for something.
    pub requests: u64,
    /// Overdue removals, and since when the oldest is.
    pub overdue: BTreeMap<ConnectionName, (u64, TimeDelta)>,
    /// What brakes hold.
    pub held: Vec<(Whose, u64)>,
    /// Differences, by connection, resource and kind.
    pub drift: BTreeMap<(ConnectionName, Option<ResourceName>, &'static str), u64>,
    /// Grants given in an emergency without a review.
    pub unreviewed: u64,
    /// Deployments without an answer.
    pub deployments: u64,
    /// Events that wait for their push, and how long the oldest does.
    pub evidence: (u64, TimeDelta),
    /// Of each place outside: how long an anchor is overdue there, and whether it lost or changed one.
    pub anchors: BTreeMap<String, (TimeDelta, bool)>,
    /// Whether nothing is granted, in safe mode.
    pub safe_mode: bool,
    /// What people are to be told and were not yet, by channel.
    pub messages: BTreeMap<String, u64>,
    /// What is to be looked at.
    pub wakes: u64,
}

type Counts<const N: usize> = Family<Labels<N>, Gauge<u64, AtomicU64>>;
type Lengths<const N: usize> = Family<Labels<N>, Gauge<f64, AtomicU64>>;

fn plain<N: Send + Sync + 'static, A: Atomic<N> + Default>(value: N) -> Gauge<N, A> {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
}

fn set<const N: usize>(counts: &Counts<N>, labels: Labels<N>, value: u64) {
    counts.get_or_create(&labels).set(value);
}

fn count(registry: &mut Registry, name: &'static str, value: u64) {
    add(registry, name, plain::<u64, AtomicU64>(value));
}

fn length(registry: &mut Registry, name: &'static str, value: TimeDelta) {
    add(registry, name, plain::<f64, AtomicU64>(seconds(value)));
}

/// Everything that is, as gauges of `registry`.
pub(super) fn add_to(registry: &mut Registry, state: Option<&State>) {
    let build: Counts<1> = Family::default();
    set(
        &build,
        [("version", env!("CARGO_PKG_VERSION").to_owned())],
        1,
    );
    add(registry, "hallpass_build", build);
    count(registry, "hallpass_store_up", u64::from(state.is_some()));
    let Some(state) = state else { return };
    count(registry, "hallpass_main_seen", u64::from(state.main_seen));
    if let Some(ago) = state.last_pass {
        length(registry, "hallpass_last_pass_seconds", ago);
    }
    count(registry, "hallpass_arrivals_waiting", state.arrivals);
    count(registry, "hallpass_requests_waiting", state.requests);
    count(
        registry,
        "hallpass_emergencies_unreviewed",
        state.unreviewed,
    );
    count(registry, "hallpass_deployments_waiting", state.deployments);
    count(registry, "hallpass_evidence_waiting", state.evidence.0);
    length(
        registry,
        "hallpass_evidence_oldest_seconds",
        state.evidence.1,
    );
    count(registry, "hallpass_wakes_waiting", state.wakes);
    count(registry, "hallpass_safe_mode", u64::from(state.safe_mode));
    add_anchors(registry, state);
    let messages: Counts<1> = Family::default();
    for (channel, waiting) in &state.messages {
        set(&messages, [("channel", channel.clone())], *waiting);
    }
    add(registry, "hallpass_messages_waiting", messages);
    add_grants(registry, state);
    add_overdue(registry, state);
    add_differences(registry, state);
}

fn add_anchors(registry: &mut Registry, state: &State) {
    let (overdue, trouble): (Lengths<1>, Counts<1>) = Default::default();
    for (place, (late, wrong)) in &state.anchors {
        let labels = [("place", place.clone())];
        overdue.get_or_create(&labels).set(seconds(*late));
        set(&trouble, labels, u64::from(*wrong));
    }
    add(registry, "hallpass_anchor_overdue_seconds", overdue);
    add(registry, "hallpass_anchor_trouble", trouble);
}

fn add_grants(registry: &mut Registry, state: &State) {
    let grants: Counts<2> = Family::default();
    let labels = |connection: &ConnectionName, state: ledger::State| {
        let state = state.as_str().to_owned();
        [("connection", connection.to_string()), ("state", state)]
    };
    for connection in &state.connections {
        set(&grants, labels(connection, ledger::State::Active), 0);
    }
    for ((connection, state), number) in &state.grants {
        set(&grants, labels(connection, *state), *number);
    }
    add(registry, "hallpass_grants", grants);
}

fn add_overdue(registry: &mut Registry, state: &State) {
    let (numbers, ages): (Counts<1>, Lengths<1>) = Default::default();
    let none = state
        .connections
        .iter()
        .map(|c| (c, (0, TimeDelta::zero())));
    let some = state.overdue.iter().map(|(c, found)| (c, *found));
    for (connection, (number, age)) in none.chain(some) {
        let labels = [("connection", connection.to_string())];
        ages.get_or_create(&labels).set(seconds(age));
        set(&numbers, labels, number);
    }
    add(registry, "hallpass_removals_overdue", numbers);
    add(registry, "hallpass_removal_overdue_seconds", ages);
}

fn add_differences(registry: &mut Registry, state: &State) {
    let text = |resource: &Option<ResourceName>| {
        resource
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    let held: Counts<3> = Family::default();
    for (whose, number) in &state.held {
        let connection = whose.connection.as_ref().map(ToString::to_string);
        let labels = [
            ("from", whose.inferred.as_str().to_owned()),
            ("connection", connection.unwrap_or_default()),
            ("resource", text(&whose.resource)),
        ];
        set(&held, labels, *number);
    }
    add(registry, "hallpass_removals_held", held);
    let drift: Counts<3> = Family::default();
    for ((connection, resource, difference), number) in &state.drift {
        let labels = [
            ("connection", connection.to_string()),
            ("resource", text(resource)),
            ("difference", (*difference).to_owned()),
        ];
        set(&drift, labels, *number);
    }
    add(registry, "hallpass_drift", drift);
}
