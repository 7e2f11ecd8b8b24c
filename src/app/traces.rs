//! Traces: what was done and how long it took, sent to a collector where one is configured.
//!
//! Promises:
//! - Only spans of our own leave, and of them only what [`ATTRIBUTES`] lists: numbers, words of the program, and names of connections and
//!   repositories. No log line does, no name of a person, no text of a request, no secret.
//! - Nothing waits for the collector. A thread of its own sends; what does not fit into its queue meanwhile is dropped, and an end of the
//!   process waits `GRACE` for it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData,
};
use tracing::Metadata;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::config;

/// What a span may carry beside its name, its times and whether it failed.
pub const ATTRIBUTES: &[&str] = &[
    "git.call",
    "http.request.method",
    "http.response.status_code",
    "provider.call",
    "provider.connection",
    "provider.outcome",
    "wake.attempts",
    "wake.name",
];

/// How long one delivery to the collector may take.
const DELIVERY: Duration = Duration::from_secs(5);

/// How often what has ended is sent.
const EVERY: Duration = Duration::from_secs(2);

/// How long the end of the process waits for what is not sent yet.
const GRACE: Duration = Duration::from_secs(2);

/// Where spans go until the process ends.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Begins to send to the collector. Whether it is there shows only when something is sent.
    ///
    /// # Errors
    /// When there is no HTTP client to be had, or no thread.
    pub fn to(collector: &config::Traces) -> anyhow::Result<Self> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(collector.endpoint.as_str())
            .with_timeout(DELIVERY)
            .build()
            .context("cannot send traces")?;
        let pace = BatchConfigBuilder::default()
            .with_scheduled_delay(EVERY)
            .build();
        let sender = BatchSpanProcessor::builder(Told::new(exporter))
            .with_batch_config(pace)
            .build();
        let resource = Resource::builder()
            .with_service_name(collector.service.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(sender)
            .build();
        Ok(Self { provider })
    }

    /// What hands spans over, to be put beside the log.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("hallpass"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_ours))
    }

    /// Sends what is left, as far as that goes quickly. Blocks.
    pub fn end(self) {
        // The sender has told what it could not send.
        let _ = self.provider.shutdown_with_timeout(GRACE);
    }
}

/// Spans of our own. Events hold text of people.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    metadata.is_span() && (target == "hallpass" || target.starts_with("hallpass::"))
}

/// An exporter that says once in the log that the collector does not take anything, and once that it does again.
struct Told {
    exporter: SpanExporter,
    failing: AtomicBool,
}

impl Told {
    fn new(exporter: SpanExporter) -> Self {
        Self {
            exporter,
            failing: AtomicBool::new(false),
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The exporter knows the headers that it sends.
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.exporter.export(batch).await;
        let failed_before = self.failing.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Err(error) if !failed_before => tracing::warn!(
                error = %error,
                "traces are dropped until their collector takes them: {error}"
            ),
            Ok(()) if failed_before => tracing::info!("the collector takes traces again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
