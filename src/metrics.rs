//! What operators measure: counters and times that the service keeps while it runs, in the text that Prometheus reads.
//!
//! Promises:
//! - Nothing here is global. Whoever counts is handed a [`Metrics`], and clones of it count together.
//! - No label holds a name of a person, a repository, an account or a grant: see [`LABELS`]. How many series there are is decided by the
//!   configuration and by the resources of the access repository.
//! - What *is* (live grants, drift, what is overdue) is never counted along: [`State`] is read from the database at each scrape, so that it
//!   is right after a restart, and on every replica.

mod list;
mod state;

use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::domain::model::ConnectionName;

pub use list::{ALL, Described, LABELS, Shape};
pub use state::State;

/// The media type of [`Metrics::text`].
pub const MEDIA: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From a moment to a day: how long people and systems wait.
const WAITS: [f64; 13] = [
    0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0,
];

/// From a hundredth of a second to the longest that a call may take.
const CALLS: [f64; 11] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0,
];

type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Gauges<const N: usize> = Family<Labels<N>, Gauge>;
type Times<const N: usize> = Family<Labels<N>, Histogram>;

/// What the service counts. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    to_decide: Histogram,
    to_grant: Times<1>,
    to_revoke: Times<1>,
    call_times: Times<2>,
    calls: Counters<3>,
    wakes: Counters<2>,
    webhooks: Counters<1>,
    forge_calls: Counters<1>,
    messages: Counters<2>,
    forge_remaining: Gauges<2>,
    unproved: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let waits: fn() -> Histogram = || Histogram::new(WAITS);
        let calls: fn() -> Histogram = || Histogram::new(CALLS);
        Self {
            to_decide: Histogram::new(WAITS),
            to_grant: Family::new_with_constructor(waits),
            to_revoke: Family::new_with_constructor(waits),
            call_times: Family::new_with_constructor(calls),
            calls: Family::default(),
            wakes: Family::default(),
            webhooks: Family::default(),
            forge_calls: Family::default(),
            messages: Family::default(),
            forge_remaining: Family::default(),
            unproved: Counter::default(),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// A pull request was looked at, `after` it was asked for.
    pub fn decided(&self, after: TimeDelta) {
        self.to_decide.observe(seconds(after));
    }

    /// Access was given, `after` it should have begun.
    pub fn granted(&self, connection: &ConnectionName, after: TimeDelta) {
        let labels = [("connection", connection.to_string())];
        self.to_grant.get_or_create(&labels).observe(seconds(after));
    }

    /// Access was taken away, `after` that was due.
    pub fn revoked(&self, connection: &ConnectionName, after: TimeDelta) {
        let labels = [("connection", connection.to_string())];
        self.to_revoke
            .get_or_create(&labels)
            .observe(seconds(after));
    }

    /// Something was merged without proof, and not granted.
    pub fn unproved(&self) {
        self.unproved.inc();
    }

    /// A call at a target system ended. `call` and `outcome` are words of the program.
    pub fn called(
        &self,
        connection: &ConnectionName,
        call: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        let at = ("connection", connection.to_string());
        let call = ("call", call.to_owned());
        let times = self
            .call_times
            .get_or_create_owned(&[at.clone(), call.clone()]);
        times.observe(took.as_secs_f64());
        let labels = [at, call, ("outcome", outcome.to_owned())];
        self.calls.get_or_create(&labels).inc();
    }

    /// A wake was worked off or put off. Both are words of the program.
    pub fn worked(&self, wake: &'static str, outcome: &'static str) {
        let labels = [("wake", wake.to_owned()), ("outcome", outcome.to_owned())];
        self.wakes.get_or_create(&labels).inc();
    }

    /// A webhook was answered with this status.
    pub fn heard(&self, status: u16) {
        let labels = [("status", status.to_string())];
        self.webhooks.get_or_create(&labels).inc();
    }

    /// Somebody was told by a channel, or was not. Both are words of the program.
    pub fn told(&self, channel: &'static str, outcome: &'static str) {
        let labels = [
            ("channel", channel.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        self.messages.get_or_create(&labels).inc();
    }

    /// The forge was called. `outcome` is a word of the program.
    pub fn asked_forge(&self, outcome: &'static str) {
        self.forge_calls
            .get_or_create(&[("outcome", outcome.to_owned())])
            .inc();
    }

    /// How many calls the forge allows until its limit: for one installation of the App, and one of the forge's own limits.
    pub fn forge_allows(&self, installation: u64, limit: &str, remaining: i64) {
        // The forge says it in a header, which can hold anything.
        let known = ["core", "search", "graphql"]
            .into_iter()
            .find(|known| *known == limit);
        let labels = [
            ("installation", installation.to_string()),
            ("limit", known.unwrap_or("other").to_owned()),
        ];
        self.forge_remaining.get_or_create(&labels).set(remaining);
    }

    /// All of it, and what is: the text of one scrape. `None` for the state where the database does not answer.
    ///
    /// # Errors
    /// Never with the words of this program.
    pub fn text(&self, state: Option<&State>) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        add(
            &mut registry,
            "hallpass_decision_seconds",
            self.to_decide.clone(),
        );
        add(
            &mut registry,
            "hallpass_grant_seconds",
            self.to_grant.clone(),
        );
        add(
            &mut registry,
            "hallpass_revoke_seconds",
            self.to_revoke.clone(),
        );
        add(
            &mut registry,
            "hallpass_provider_call_seconds",
            self.call_times.clone(),
        );
        add(&mut registry, "hallpass_provider_calls", self.calls.clone());
        add(&mut registry, "hallpass_wakes", self.wakes.clone());
        add(&mut registry, "hallpass_webhooks", self.webhooks.clone());
        add(&mut registry, "hallpass_messages", self.messages.clone());
        add(
            &mut registry,
            "hallpass_forge_calls",
            self.forge_calls.clone(),
        );
        add(
            &mut registry,
            "hallpass_forge_calls_remaining",
            self.forge_remaining.clone(),
        );
        add(
            &mut registry,
            "hallpass_unproved_merges",
            self.unproved.clone(),
        );
        state::add_to(&mut registry, state);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// Under its own help.
fn add(registry: &mut Registry, name: &'static str, metric: impl Metric) {
    let described = ALL.iter().find(|described| described.name == name);
    // The full stop is the encoder's.
    let help = described.map_or("", |described| described.help.trim_end_matches('.'));
    registry.register(name, help, metric);
}

fn seconds(length: TimeDelta) -> f64 {
    // Clocks differ by a little: what was done at once may seem to be done before.
    length.as_seconds_f64().max(0.0)
}
