//! What `hallpass serve` does around the service: configuration, logs, signals.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::logging;
use super::service::Service;
use super::traces::Traces;
use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::providers::Registry;
use crate::reconcile::chain;

/// How long a service may take to say whether it is ready. It gives its database two seconds.
const PROBE: Duration = Duration::from_secs(4);

/// The commented configuration that `--example` prints.
pub const EXAMPLE: &str = config::EXAMPLE;

/// Runs the service until it is told to stop (interrupt or termination signal).
///
/// # Errors
/// When the configuration, the database or the address cannot be used.
pub fn run(path: &Path, format: logging::Format) -> anyhow::Result<()> {
    let config = Config::load(path, config::environment)?;
    let traces = begin(&config, format)?;
    let done = runtime()?.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone())?);
        let service = Service::assemble(&config, Arc::new(SystemClock), Registry::new()).await?;
        let listener = listen(config.server.listen).await?;
        println!("listening on http://{}", listener.local_addr()?);
        let metrics = match config.server.metrics {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        if let Some(metrics) = &metrics {
            println!("metrics at http://{}/metrics", metrics.local_addr()?);
        }
        service.run(listener, metrics, stop).await
    });
    traces.into_iter().for_each(Traces::end);
    done
}

/// Starts logs, and traces where they are asked for.
pub(super) fn begin(config: &Config, format: logging::Format) -> anyhow::Result<Option<Traces>> {
    let traces = config.server.traces.as_ref().map(Traces::to).transpose()?;
    logging::start(format, traces.as_ref());
    Ok(traces)
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}; is another process there?"))
}

/// Reads the configuration and says what is wrong with it, without starting anything.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn check(path: &Path) -> anyhow::Result<()> {
    Config::load(path, config::environment)?;
    Ok(())
}

/// What a running service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether it does its work.
    pub ready: bool,
    /// Its own words, or why there are none.
    pub said: String,
}

/// Asks the service that runs on this machine by the configuration at `path` whether it is ready.
///
/// # Errors
/// When the configuration cannot be used. A service that does not answer is not ready, which is no error.
pub fn probe(path: &Path) -> anyhow::Result<Health> {
    let config = Config::load(path, config::environment)?;
    let mut address = config.server.metrics.unwrap_or(config.server.listen);
    if address.ip().is_unspecified() {
        // Whoever listens everywhere listens here too.
        let here: IpAddr = match address.is_ipv4() {
            true => Ipv4Addr::LOCALHOST.into(),
            false => Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(here);
    }
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .timeout(PROBE)
        .build()
        .context("cannot ask")?;
    let asked = client.get(format!("http://{address}/health/ready")).send();
    let answer = asked.and_then(|answer| Ok((answer.status().is_success(), answer.text()?)));
    Ok(match answer {
        Ok((ready, said)) => Health { ready, said },
        Err(error) => Health {
            ready: false,
            said: format!("no service answers at {address}: {}", chain(&error)),
        },
    })
}

pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// Asks for an orderly end at the first signal; a second one ends the process at once.
pub(super) fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
        tracing::info!("stopping: finishing what is under way");
        stop.cancel();
        tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
        std::process::exit(130);
    })
}
