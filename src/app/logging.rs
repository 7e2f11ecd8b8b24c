//! Structured logs, on standard error or in a file.

use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt};

use super::traces::Traces;
use crate::config;

/// What is logged unless `HALLPASS_LOG` says otherwise: our own work, and warnings of the libraries. Failed calls are logged
/// once, by us, where they are handled.
const DEFAULT: &str = "warn,hallpass=info,octocrab=off";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for machines. Control characters in values are escaped.
    Json,
}

/// What is logged, by `HALLPASS_LOG`.
fn filter() -> EnvFilter {
    let filter = config::environment("HALLPASS_LOG").unwrap_or_else(|| DEFAULT.to_owned());
    EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new(DEFAULT))
}

/// Starts logging into a file instead, for people.
pub fn start_in(file: std::fs::File) {
    let layer = fmt::layer()
        .with_writer(std::sync::Arc::new(file))
        .with_ansi(false);
    // A second start keeps the first, as below.
    let _ = tracing_subscriber::registry()
        .with(filter())
        .with(layer)
        .try_init();
}

/// Starts logging, once for the process, and hands spans to `traces`. `HALLPASS_LOG` holds a filter such as `info` or
/// `hallpass=debug`; it says nothing about traces.
pub fn start(format: Format, traces: Option<&Traces>) {
    let registry = tracing_subscriber::registry().with(traces.map(Traces::layer::<Registry>));
    let layer = fmt::layer().with_writer(std::io::stderr);
    // A second start keeps the first: embedding programs may have their own subscriber.
    let _ = match format {
        Format::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let layer = layer.with_ansi(colours).with_filter(filter());
            registry.with(layer).try_init()
        }
        Format::Json => registry.with(layer.json().with_filter(filter())).try_init(),
    };
}
