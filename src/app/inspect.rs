//! Looking at what a server would do and what its systems hold: beside a service that runs, or before one ever did.
//!
//! Changes nothing: the database is opened for reading, the mirror is its own, and the targets are only asked who holds what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use super::service;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::domain::catalogue::Catalogue;
use crate::domain::drift::Survey;
use crate::domain::ledger::Entry;
use crate::domain::model::{Access, ConnectionName, Instant};
use crate::domain::safety::SafeMode;
use crate::domain::target::Change;
use crate::forge::Forge;
use crate::forge::github::GitHub;
use crate::providers::Registry;
use crate::reconcile::{ReconcileError, Reconciler};
use crate::repo::{KeyError, Mirror, Signers};
use crate::store::{Remembered, Scope, Store, StoreError};

/// A server's view, for reading.
pub struct Inspection {
    reconciler: Reconciler,
    forge: Arc<GitHub>,
    store: Store,
    providers: Registry,
    clock: Arc<dyn Clock>,
    /// The place of a database that is not there yet, and of the mirror.
    _scratch: tempfile::TempDir,
}

/// Runs `look` on the server that the configuration at `path` describes.
///
/// # Errors
/// When the configuration, the database or a key cannot be used, or `look` fails.
pub fn with<T>(
    path: &Path,
    look: impl AsyncFnOnce(Inspection) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let config = Config::load(path, config::environment)?;
    super::serve::runtime()?.block_on(async {
        let inspection = Inspection::open(&config, Arc::new(SystemClock), Registry::new()).await?;
        look(inspection).await
    })
}

impl Inspection {
    /// Opens the database for reading, and calls nothing. Where there is no database yet, nothing was ever granted.
    ///
    /// # Errors
    /// When the database or a key cannot be used.
    pub async fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        extra: Registry,
    ) -> anyhow::Result<Self> {
        let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
        let store = match Store::read(config.store.url.expose_secret()).await {
            Err(StoreError::Absent) => {
                let file = scratch.path().join("nothing-yet.db");
                Store::open(&format!("sqlite://{}", file.display())).await
            }
            opened => opened,
        };
        let store = store.context("cannot read the database")?;
        let mirror = Mirror::open(&scratch.path().join("mirror.git"))
            .await
            .context("cannot make a mirror of the repository")?;
        let forge = Arc::new(
            GitHub::new(service::forge_settings(config, Arc::clone(&clock)))
                .context("cannot set up the GitHub App")?,
        );
        let mut providers = super::providers::connect(config, &forge, &clock)?;
        providers.extend(extra);
        let reconciler = Reconciler::new(
            Arc::clone(&forge) as Arc<dyn Forge>,
            mirror,
            store.clone(),
            providers.clone(),
            Arc::clone(&clock),
            signers(config, scratch.path())?,
            service::settings(config),
        )
        .anchoring(super::anchors::connect(config, &clock)?);
        Ok(Self {
            reconciler,
            forge,
            store,
            providers,
            clock,
            _scratch: scratch,
        })
    }

    /// Fetches the protected branch and tells what it declares.
    ///
    /// # Errors
    /// When the forge or git fail.
    pub async fn declared(&self) -> anyhow::Result<Arc<Catalogue>> {
        Ok(self.reconciler.declared().await?)
    }

    /// Whether the repository has this branch.
    ///
    /// # Errors
    /// When the forge or git fail.
    pub async fn has_branch(&self, name: &str) -> anyhow::Result<bool> {
        Ok(self.reconciler.has_branch(name).await?)
    }

    /// How target systems differ from the ledger now. [`Inspection::declared`] comes first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn survey(&self) -> anyhow::Result<Survey> {
        Ok(self.reconciler.survey().await?)
    }

    /// Every grant that is not over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live(&self) -> anyhow::Result<Vec<Entry>> {
        Ok(self.store.entries(Scope::Unfinished).await?)
    }

    /// The calls that would be made; `None` where the server has no such connection.
    pub fn preview(&self, change: Change, access: &Access) -> Option<Vec<String>> {
        let provider = self.providers.get(&access.connection)?;
        Some(provider.preview(change, access))
    }

    /// The connections whose accounts are GitHub's own.
    pub fn github(&self) -> BTreeSet<ConnectionName> {
        let github = self
            .providers
            .iter()
            .filter(|(_, p)| p.kind().name.starts_with("github-"));
        github.map(|(name, _)| name.clone()).collect()
    }

    /// Why a service that starts now would give nothing.
    ///
    /// # Errors
    /// When the forge, git or the database fail.
    pub async fn doubt(&self) -> Result<Option<SafeMode>, ReconcileError> {
        self.reconciler.doubt().await
    }

    /// What the service noted of the places at which anchors are kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn places(&self) -> anyhow::Result<BTreeMap<String, Remembered>> {
        Ok(self.store.places().await?)
    }

    /// The forge.
    pub fn forge(&self) -> &GitHub {
        &self.forge
    }

    /// How many events wait for the evidence branch; `at most` so many are counted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_events(&self, at_most: u32) -> anyhow::Result<usize> {
        Ok(self.store.unpublished(at_most).await?.len())
    }

    /// The connections of the server.
    pub fn connections(&self) -> impl Iterator<Item = &ConnectionName> {
        self.providers.keys()
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }
}

/// The keys whose evidence is believed. Nothing is signed here: where the server has no key yet, none is made for it, and one that cannot
/// be used is for `hallpass doctor` to tell.
fn signers(config: &Config, scratch: &Path) -> Result<Signers, KeyError> {
    match service::signers_there(config).and_then(Result::ok) {
        Some(signers) => Ok(signers),
        None => Signers::at(&scratch.join("evidence_key")),
    }
}
