//! `hallpass serve`, put together from its configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use futures_util::future::OptionFuture;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::clock::Clock;
use crate::config::{self, Config, Merge, MergeMethod};
use crate::domain::evidence;
use crate::domain::model::ConnectionName;
use crate::domain::people::Outsiders;
use crate::domain::report::Pages;
use crate::forge::github::{self, GitHub, GitHubSettings};
use crate::github_app::{Failure, SignIn};
use crate::http::{self, Shared, Source, page};
use crate::metrics::Metrics;
use crate::providers::{Counted, Provider, Registry};
use crate::reconcile::{Merging, Reconciler, Settings};
use crate::repo::{KeyError, Mirror, Signers};
use crate::store::Store;
use crate::worker::{Pace, Worker};

/// The branch of the pull request that removes the files of ended grants.
const REVERT_BRANCH: &str = "hallpass/ended-access";

/// How long the forge may take to connect a merge commit with its pull request.
const PROOF_GRACE: TimeDelta = TimeDelta::minutes(2);

/// How often every open pull request is looked at, changed or not, and the organisation's members are listed.
const FULL_LOOK: TimeDelta = TimeDelta::minutes(10);

/// How long the database may take to close where it does not answer.
const CLOSING: Duration = Duration::from_secs(10);

/// The note that says which version and configuration were started last.
const STARTED: &str = "started";

/// Which starts are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Every one.
    Always,
    /// One of another version, or by another configuration, than the last.
    WhenChanged,
}

/// The running service: the worker, and the endpoint that wakes it.
#[derive(Debug)]
pub struct Service {
    worker: Arc<Worker>,
    store: Store,
    clock: Arc<dyn Clock>,
    config_digest: String,
    http: Arc<Shared>,
    page: Option<Arc<page::Page>>,
}

impl Service {
    /// Opens database and mirror, and connects everything. Calls nothing on the network: a forge or a target system that is down
    /// does not keep the service from starting.
    ///
    /// `extra` are connections beside the configured ones, for embedding and tests.
    ///
    /// # Errors
    /// When the database, the mirror's folder or a key cannot be used.
    pub async fn assemble(
        config: &Config,
        clock: Arc<dyn Clock>,
        extra: Registry,
    ) -> anyhow::Result<Self> {
        let folder = &config.server.data_dir;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        let store = Store::open(secrecy::ExposeSecret::expose_secret(&config.store.url))
            .await
            .context("cannot open the database")?;
        let mirror = Mirror::open(&folder.join("mirror.git"))
            .await
            .context("cannot open the mirror of the repository")?;
        let metrics = Metrics::default();
        let settings_of_forge = GitHubSettings {
            metrics: metrics.clone(),
            ..forge_settings(config, Arc::clone(&clock))
        };
        let forge = GitHub::new(settings_of_forge).context("cannot set up the GitHub App")?;
        let sign_in = sign_in(config).context("cannot set up signing in")?;
        let forge = Arc::new(forge.with_sign_in(sign_in));
        let mut providers = super::providers::connect(config, &forge, &clock)?;
        providers.extend(extra);
        let providers = counted(providers, &metrics);
        let connections = providers.keys().cloned().collect();
        let reconciler = Reconciler::new(
            forge,
            mirror,
            store.clone(),
            providers,
            Arc::clone(&clock),
            signers(config)?,
            settings(config),
        )
        .counting(metrics.clone())
        .anchoring(super::anchors::connect(config, &clock)?)
        .telling(super::channels::connect(&config.channels, &clock)?);
        let bell = Arc::new(Notify::new());
        let pace = Pace {
            resync: delta(config.timing.resync),
            full: FULL_LOOK,
            drift: delta(config.timing.drift),
            retry_cap: delta(config.timing.retry_cap),
        };
        let worker = Arc::new(Worker::new(
            reconciler,
            store.clone(),
            Arc::clone(&clock),
            pace,
            Arc::clone(&bell),
        ));
        let http = Arc::new(Shared {
            metrics,
            connections,
            ..shared(config, &worker, store.clone(), Arc::clone(&clock), bell)
        });
        let page = config.page.as_ref().map(|page| {
            let settings = page_settings(config, page);
            page::Page::new(
                store.clone(),
                Arc::clone(&clock),
                Arc::clone(&worker),
                settings,
            )
        });
        Ok(Self {
            page,
            worker,
            store,
            clock,
            config_digest: config.digest.clone(),
            http,
        })
    }

    /// The worker, for a single run and for tests.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// The HTTP endpoint, to be served: webhooks, health, and the page where there is one.
    pub fn router(&self) -> axum::Router {
        let router = http::router(&self.http);
        match &self.page {
            Some(page) => router.merge(page::router(page)),
            None => router,
        }
    }

    /// What is measured, to be served where the internet does not reach it.
    pub fn metrics_router(&self) -> axum::Router {
        http::metrics_router(&self.http)
    }

    /// The database, for reports.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes down that the service starts: always, or only where version or configuration differ from those of the last start, so
    /// that a scheduled job does not fill the evidence.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tell_start(&self, telling: Telling) -> anyhow::Result<()> {
        let start = format!("{} {}", env!("CARGO_PKG_VERSION"), self.config_digest);
        let before = self.store.note(STARTED).await?;
        if telling == Telling::Always || before.as_deref() != Some(start.as_str()) {
            let event = evidence::started(&self.config_digest, self.clock.now());
            self.store
                .note_with(STARTED, Some(&start), &[event])
                .await?;
        }
        Ok(())
    }

    /// Writes down that the service ends, and publishes that as far as it goes quickly: the next start publishes the rest.
    async fn tell_stop(&self) -> anyhow::Result<()> {
        let event = evidence::stopped(&self.config_digest, self.clock.now());
        self.store.note_stopped(event).await?;
        self.worker.publish_quickly().await;
        Ok(())
    }

    /// Serves and works until `stop`, then finishes what is under way. `metrics` is where it may be scraped, if anywhere.
    ///
    /// # Errors
    /// When the listener or the database fails.
    pub async fn run(
        self,
        listener: TcpListener,
        metrics: Option<TcpListener>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let address = listener.local_addr()?;
        self.tell_start(Telling::Always).await?;
        info!(http.address = %address, "listening on http://{address}");
        let worker = tokio::spawn(Arc::clone(&self.worker).run(stop.clone()));
        // Without the worker nothing ends: who waits for pages and webhooks only would not see that.
        let worked = async {
            let worked = worker.await;
            stop.cancel();
            anyhow::Ok(worked??)
        };
        let measured = OptionFuture::from(metrics.map(|listener| {
            let stopped = stop.clone().cancelled_owned();
            http::serve(listener, self.metrics_router(), stopped)
        }));
        let served = http::serve(listener, self.router(), stop.clone().cancelled_owned());
        let served = async {
            tokio::join!(served, measured);
            stop.cancel();
        };
        let (worked, ()) = tokio::join!(worked, served);
        if worked.is_err() {
            // What does not answer must not keep us from beginning anew.
            let _ = tokio::time::timeout(CLOSING, self.store.close()).await;
            return worked.context("the worker cannot go on");
        }
        let told = self.tell_stop().await;
        self.store.close().await;
        info!("stopped; what is under way is in the ledger");
        told
    }
}

/// The same connections, whose calls are counted.
fn counted(providers: Registry, metrics: &Metrics) -> Registry {
    let counted = |(name, provider): (ConnectionName, _)| {
        let counted = Counted::new(name.clone(), provider, metrics.clone());
        (name, Arc::new(counted) as Arc<dyn Provider>)
    };
    providers.into_iter().map(counted).collect()
}

pub(super) fn delta(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}

pub(super) fn forge_settings(config: &Config, clock: Arc<dyn Clock>) -> GitHubSettings {
    let github = &config.github;
    GitHubSettings {
        api: github.api.clone(),
        web: github.web.clone(),
        repository: github.repository.clone(),
        app_id: github.app_id,
        installation_id: github.installation_id,
        private_key: github.private_key.clone(),
        merge_method: match github.merge_method {
            MergeMethod::Merge => github::MergeMethod::Merge,
            MergeMethod::Squash => github::MergeMethod::Squash,
            MergeMethod::Rebase => github::MergeMethod::Rebase,
        },
        clock,
        metrics: Metrics::default(),
    }
}

/// The keys that evidence is signed with: those of the configuration, or one of our own beside the database.
fn signers(config: &Config) -> Result<Signers, KeyError> {
    signers_there(config).unwrap_or_else(|| with_earlier(config, Signers::at(&own_key(config))))
}

/// The keys that there are; `None` where the first start is still to make one.
pub(super) fn signers_there(config: &Config) -> Option<Result<Signers, KeyError>> {
    let own = own_key(config);
    let current = match &config.evidence.key {
        Some(key) => Some(Signers::new(key, None)),
        None => own.exists().then(|| Signers::at(&own)),
    };
    current.map(|current| with_earlier(config, current))
}

fn with_earlier(config: &Config, current: Result<Signers, KeyError>) -> Result<Signers, KeyError> {
    let evidence = &config.evidence;
    let signers = current?.in_place_of(evidence.previous_key.as_ref())?;
    signers.after(&evidence.earlier_keys)
}

/// The file of the key that is made where none is configured.
pub(super) fn own_key(config: &Config) -> PathBuf {
    config.server.data_dir.join("evidence_key")
}

/// How people sign in to the page; `None` where there is none.
fn sign_in(config: &Config) -> Result<Option<SignIn>, Failure> {
    let signing_in = |page: &config::Page| {
        let (id, secret) = (page.client_id.clone(), page.client_secret.clone());
        SignIn::new(id, secret, &config.github.web)
    };
    config.page.as_ref().map(signing_in).transpose()
}

fn page_settings(config: &Config, page: &config::Page) -> page::Settings {
    page::Settings {
        url: page.url.clone(),
        web: config.github.web.clone(),
        client_id: page.client_id.clone(),
        auditors: page.auditors.clone(),
        repository: config.github.repository.clone(),
        pages: pages(config),
    }
}

/// Where the files of the repository are edited in a browser.
fn pages(config: &Config) -> Pages {
    let (web, github) = (&config.github.web, &config.github);
    Pages {
        repository: format!(
            "{}/{}",
            web.as_str().trim_end_matches('/'),
            github.repository
        ),
        branch: github.protected_branch.clone(),
        evidence_branch: config.evidence.branch.clone(),
    }
}

pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        protected_branch: config.github.protected_branch.clone(),
        evidence_branch: config.evidence.branch.clone(),
        revert_branch: REVERT_BRANCH.to_owned(),
        merge: match config.github.merge {
            Merge::Auto => Merging::Auto,
            Merge::Off => Merging::Off,
        },
        merge_reverts: if config.github.merge_reverts {
            Merging::Auto
        } else {
            Merging::Off
        },
        revert_window: delta(config.timing.revert_window),
        retry_cap: delta(config.timing.retry_cap),
        proof_grace: PROOF_GRACE,
        ends_soon: config.notices.ends_soon,
        labels: config.notices.labels,
        reminders: config.channels.reminders.clone(),
        pages: pages(config),
        outsiders: if config.github.outsiders {
            Outsiders::Allowed
        } else {
            Outsiders::Refused
        },
        members_for: FULL_LOOK,
        orphan_grace: delta(config.timing.orphan_grace),
    }
}

/// How often an anchor is written at each place.
fn anchored(config: &Config) -> BTreeMap<String, TimeDelta> {
    let places = config.evidence.anchors.iter();
    places
        .map(|(name, place)| (name.clone(), delta(place.every)))
        .collect()
}

fn shared(
    config: &Config,
    worker: &Worker,
    store: Store,
    clock: Arc<dyn Clock>,
    woken: Arc<Notify>,
) -> Shared {
    let github = &config.github;
    Shared {
        store,
        clock,
        source: Source {
            repository: github.repository.clone(),
            installation: github.installation_id,
            app: github.app_id,
            protected_branch: github.protected_branch.clone(),
        },
        secrets: github.webhook_secrets.clone(),
        woken,
        last_pass: worker.last_pass(),
        // A pass that waits for a slow forge is no reason to restart the service; a worker that hangs is.
        stale_after: config.timing.resync * 5,
        metrics: Metrics::default(),
        connections: Vec::new(),
        anchored: anchored(config),
    }
}
