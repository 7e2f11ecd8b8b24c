//! Traces, as a collector gets them from the program.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use hallpass::app::traces::ATTRIBUTES;
use hallpass::clock::{Clock as _, SystemClock};
use hallpass::sandbox::{Change, When};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, span::SpanKind};
use prost::Message as _;

use crate::leaks;
use crate::running::{Running, ask_and_get, give_back, open, until, world};
use crate::world::{World, file};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What was sent, as it came.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Bytes>>>);

impl Collector {
    /// Takes everything.
    async fn listen(&self) -> String {
        let take = post(|State(all): State<Self>, body: Bytes| async move {
            all.0.lock().unwrap().push(body);
        });
        let router = axum::Router::new().route("/v1/traces", take);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = axum::serve(listener, router.with_state(self.clone()));
        tokio::spawn(server.into_future());
        format!("http://{address}")
    }

    fn resources(&self) -> Vec<ResourceSpans> {
        let all = self.0.lock().unwrap();
        all.iter()
            .flat_map(|body| {
                let request = ExportTraceServiceRequest::decode(body.as_ref()).unwrap();
                request.resource_spans
            })
            .collect()
    }

    fn spans(&self) -> Vec<Span> {
        let scopes = self.resources().into_iter().flat_map(|of| of.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The spans of this name that say all of this.
    fn found(&self, name: &str, says: &[(&str, &str)]) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| {
            let said = |(key, value): &(&str, &str)| said(&span.attributes, key) == *value;
            span.name == name && says.iter().all(said)
        });
        spans
    }

    /// The names of the spans that this one is in, from the inside.
    fn around(&self, span: &Span) -> Vec<String> {
        let all = self.spans();
        let mut names = Vec::new();
        let mut inner = span.clone();
        while let Some(outer) = all.iter().find(|s| s.span_id == inner.parent_span_id) {
            assert_eq!(outer.trace_id, span.trace_id);
            names.push(outer.name.clone());
            inner = outer.clone();
        }
        names
    }
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn said(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|said| said.key == key);
    found.map_or_else(String::new, |said| text(said.value.as_ref()))
}

/// A world, and its service that is told to send traces to `collector`.
async fn begin(collector: &str) -> (World, Running) {
    let world = world("").await;
    let mut command = world.command(&["serve"]);
    command.env(ENDPOINT, collector);
    let running = Running::start(command);
    world.deliver_to(&running.address);
    (world, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_request_arrives_as_spans() {
    let collector = Collector::default();
    let (world, running) = begin(&collector.listen().await).await;
    ask_and_get(&world, "ada").await;
    give_back(&world, "ada").await;
    let before = SystemClock.now().timestamp_nanos_opt().unwrap();
    let (code, log) = running.end();
    assert_eq!(code, Some(0), "{log}");

    for resource in collector.resources() {
        let of = resource.resource.unwrap().attributes;
        assert_eq!(said(&of, "service.name"), "hallpass");
        assert_eq!(said(&of, "service.version"), env!("CARGO_PKG_VERSION"));
    }
    // From the webhook by the looks, and the calls in them, to what was written down.
    for (name, says, within) in [
        ("webhook", &[("http.response.status_code", "202")][..], ""),
        (
            "wake",
            &[("wake.name", "Pull(PullNumber(1))"), ("wake.attempts", "0")],
            "",
        ),
        (
            "github",
            &[
                ("http.request.method", "GET"),
                ("http.response.status_code", "200"),
            ],
            "wake",
        ),
        ("git", &[("git.call", "fetch")], "wake"),
        (
            "target",
            &[
                ("provider.connection", "github"),
                ("provider.call", "grant"),
                ("provider.outcome", "done"),
            ],
            "pass",
        ),
        (
            "target",
            &[("provider.call", "revoke"), ("provider.outcome", "done")],
            "pass",
        ),
        ("git", &[("git.call", "push")], "publish"),
    ] {
        let found = collector.found(name, says);
        assert!(!found.is_empty(), "{name} {says:?}");
        let inside = |span| within.is_empty() || collector.around(span).iter().any(|n| n == within);
        assert!(found.iter().any(inside), "{name} {says:?} in {within}");
    }
    // What happened after the end was asked for is not lost.
    let last = collector.found("publish", &[]);
    assert!(
        last.iter()
            .any(|span| span.start_time_unix_nano > before as u64)
    );

    let spans = collector.spans();
    for span in &spans {
        assert!(span.events.is_empty(), "{span:?}");
        assert_eq!(span.status.as_ref().map_or("", |s| s.message.as_str()), "");
        for KeyValue { key, value, .. } in &span.attributes {
            assert!(ATTRIBUTES.contains(&key.as_str()), "{key}");
            let value = text(value.as_ref());
            for name in ["ada", "grace", "root"] {
                assert!(!value.contains(name), "{key}: {value}");
            }
        }
    }
    let kinds: Vec<i32> = spans.iter().map(|span| span.kind).collect();
    assert!(
        kinds.contains(&(SpanKind::Client as i32)) && kinds.contains(&(SpanKind::Server as i32))
    );
    for body in collector.0.lock().unwrap().iter() {
        leaks::in_record("what the collector got", body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_shows_as_failed() {
    let collector = Collector::default();
    let (world, running) = begin(&collector.listen().await).await;
    world.sandbox.fail_next(None, 2, 502, When::Before);
    open(
        &world,
        "ada",
        "ask",
        Change::write(file("crew/ada"), "person: ada\n"),
    );
    until("calls that failed arrive", || {
        let spans = collector.found("github", &[("http.response.status_code", "502")]);
        let failed =
            |span: &Span| span.status.as_ref().map(|s| s.code()) == Some(StatusCode::Error);
        !spans.is_empty() && spans.iter().all(failed)
    })
    .await;
    running.end();
}

/// A collector that takes connections and never says anything.
async fn mute() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_answer_keeps_nothing_waiting() {
    let (world, running) = begin(&mute().await).await;
    ask_and_get(&world, "ada").await;
    give_back(&world, "ada").await;
    // It never answers, so an end that waited for it would never come.
    let (code, log) = running.end();
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_is_told_of_once() {
    // Nobody listens at port 1 of this machine.
    let (world, running) = begin("http://127.0.0.1:1").await;
    ask_and_get(&world, "ada").await;
    give_back(&world, "ada").await;
    let (code, log) = running.end();
    assert_eq!(code, Some(0), "{log}");
    let told = log.matches("traces are dropped until their collector takes them");
    assert_eq!(told.count(), 1, "{log}");
}
