//! Observe, decide, act: the one loop of Hallpass, level-triggered.
//!
//! Nothing here is told *why* it runs. A webhook, a timer, a restart and a resync all end in the same functions, which read
//! everything afresh: [`Reconciler::pull`] for one pull request, [`Reconciler::main`] for the protected branch (and [`Reconciler::settle`] for what
//! follows from it at each target), [`Reconciler::due`] for what is due by time (which needs neither forge nor git), [`Reconciler::reverts`] and
//! [`Reconciler::evidence`] for what is to be tidied and written down, [`Reconciler::anchors`] for what is said of that outside,
//! [`Reconciler::deployments`] for what waits for the ledger's word.
//!
//! Invariant: every change at a target system stands between two ledger writes, *begin* and *settle*.

mod act;
mod anchors;
mod asks;
mod calling_off;
mod carry;
mod case;
mod checks;
mod control;
mod delivery;
mod deployments;
mod drift;
mod emergencies;
mod enforce;
mod evidence;
mod grants;
mod holds;
mod labels;
mod last_use;
mod late;
mod messages;
mod notices;
mod people;
mod perhaps;
mod pulls;
mod put_off;
mod recover;
mod remarks;
mod reverts;
mod rounds;
mod safety;
mod settle;
mod signatures;
mod targets;
mod tenures;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::TimeDelta;

use crate::clock::Clock;
use crate::domain::catalogue::Catalogue;
use crate::domain::message::Reminders;
use crate::domain::model::{CommitId, ConnectionName, Instant, RepoName};
use crate::domain::notice::EndsSoon;
use crate::domain::parse;
use crate::domain::people::Outsiders;
use crate::domain::replay::Replay;
use crate::domain::report::Pages;
use crate::domain::safety::SafeMode;
use crate::forge::{Forge, ForgeError};
use crate::metrics::Metrics;
use crate::notify::Subscription;
use crate::providers::{ProviderError, Registry};
use crate::repo::{Mirror, Remote, RepoError, Signers};
use crate::store::{Scope, Store, StoreError};

pub use crate::domain::causes::chain;
pub use anchors::{Anchoring, Anchorings};
pub use grants::MainOutcome;
pub use recover::{Recovered, Recovery, Told, Vouched};
pub use settle::Look;

/// Why a pass could not finish: each part says itself what the caller should do. All of them are tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// Git.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A target system that was asked for what waits there.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// What is known contradicts what was known before. Granting waits until it does not any more; what is due by time still ends.
    #[error("safe mode, nothing is granted: {0}")]
    Safe(SafeMode),
    /// Another look, of this server or of another one, has seen more of the protected branch. It, or the next, does what is to be done.
    #[error("the protected branch was seen to have grown since this look")]
    Overtaken,
    /// What was read does not fit together yet, such as a head that git does not have. Look again.
    #[error("not consistent yet: {0}")]
    Unsettled(String),
}

impl ReconcileError {
    /// Whether somebody else is at the same: nothing failed, and nothing is to be put off.
    pub(super) fn is_overtaken(&self) -> bool {
        matches!(self, Self::Overtaken | Self::Store(StoreError::Conflict(_)))
    }

    /// When trying again makes sense, if the other side said so.
    pub fn retry_at(&self) -> Option<Instant> {
        match self {
            Self::Forge(ForgeError::Unavailable { retry_at, .. })
            | Self::Provider(ProviderError::Unavailable { retry_at, .. }) => *retry_at,
            _ => None,
        }
    }
}

/// Whether Hallpass merges by itself what is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merging {
    /// As soon as it is due.
    Auto,
    /// People merge.
    Off,
}

/// What the loop must know of its surroundings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The branch that counts.
    pub protected_branch: String,
    /// Where evidence is written.
    pub evidence_branch: String,
    /// The branch of the revert pull request.
    pub revert_branch: String,
    /// Approved requests.
    pub merge: Merging,
    /// Our own pull requests that remove ended grants.
    pub merge_reverts: Merging,
    /// How long ended grants are collected before one pull request removes them together.
    pub revert_window: TimeDelta,
    /// The longest pause between two attempts at a target system.
    pub retry_cap: TimeDelta,
    /// How long after a merge the forge may take to connect it with its pull request before it counts as a direct push.
    pub proof_grace: TimeDelta,
    /// How long before its end the holder of a grant is told; `None`: never.
    pub ends_soon: Option<EndsSoon>,
    /// Whether pull requests are labelled by how they stand.
    pub labels: bool,
    /// When people are told again of what still waits.
    pub reminders: Reminders,
    /// Where files are edited in a browser.
    pub pages: Pages,
    /// Whether people who are not members of the organisation may hold access.
    pub outsiders: Outsiders,
    /// How long a list of the organisation's members is good for, unless somebody says that it changed.
    pub members_for: TimeDelta,
    /// How long a service goes on without an accountable owner.
    pub orphan_grace: TimeDelta,
}

/// The loop with everything that it works on.
pub struct Reconciler {
    forge: Arc<dyn Forge>,
    mirror: Mirror,
    store: Store,
    providers: Registry,
    clock: Arc<dyn Clock>,
    signers: Signers,
    settings: Settings,
    /// One pass at a time for each connection: order is kept for each entitlement, and a slow target delays only itself.
    lanes: BTreeMap<ConnectionName, tokio::sync::Mutex<()>>,
    /// Places for the calls that give and take at each connection.
    calls: BTreeMap<ConnectionName, tokio::sync::Semaphore>,
    /// Calls of which it is not certain that the ledger says what they did.
    unwritten: late::Unwritten,
    /// For grants on connections that this server does not have.
    stray_lane: tokio::sync::Mutex<()>,
    /// What recent commits declare. A commit never changes, so neither does its entry.
    catalogues: Mutex<HashMap<CommitId, Arc<Catalogue>>>,
    /// Held while a tree is read: the next one shares with it what did not change.
    reading: tokio::sync::Mutex<()>,
    /// The organisation's members as last read. Held while they are read, so that they are read once.
    members: tokio::sync::Mutex<Option<people::Reading>>,
    /// The open pull requests as last listed, where a policy counts them. Held while they are listed.
    listed: tokio::sync::Mutex<Option<asks::Listed>>,
    /// The teams of owners as last read, where a policy asks since when people are in them. Held while they are read.
    watched: tokio::sync::Mutex<Option<tenures::Watched>>,
    /// Whether anything contradicts what was known, as last found. Held while that is written down.
    footing: tokio::sync::Mutex<safety::Footing>,
    /// Up to where the evidence was read for what is held, in safe mode.
    evidence_read: tokio::sync::Mutex<Option<CommitId>>,
    /// Held while the state of a brake is read and written.
    brakes: tokio::sync::Mutex<()>,
    /// How often something was merged, and held while that is done: of two pull requests that are judged at once, the one that
    /// is merged second is judged again.
    merges: AtomicU64,
    merging: tokio::sync::Mutex<()>,
    /// Past requests judged anew, by base and head.
    replays: Mutex<HashMap<(CommitId, CommitId), Replay>>,
    /// Runs that wait, as they were when they were last looked into.
    runs: Mutex<BTreeMap<RepoName, deployments::LookedInto>>,
    /// Where anchors of the evidence are kept.
    anchorings: Option<Anchorings>,
    /// What the evidence was last found to hold of what was anchored.
    anchors_held: tokio::sync::Mutex<anchors::Held>,
    /// The places that this process has looked at.
    places_seen: Mutex<BTreeSet<String>>,
    /// What people are told beside GitHub, and where.
    subscriptions: Vec<Subscription>,
    /// Until when each channel is left alone after it did not take a message, and how often in a row that was.
    resting: Mutex<BTreeMap<&'static str, delivery::Rest>>,
    /// When old messages were last forgotten.
    tidied: Mutex<Option<Instant>>,
    metrics: Metrics,
    /// Held by whatever is done, where one thing is done after another.
    turn: Option<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Parsed trees that are kept: the base of open pull requests is nearly always the same commit.
const CATALOGUES_KEPT: usize = 4;

impl Reconciler {
    /// Puts the loop together.
    pub fn new(
        forge: Arc<dyn Forge>,
        mirror: Mirror,
        store: Store,
        providers: Registry,
        clock: Arc<dyn Clock>,
        signers: Signers,
        settings: Settings,
    ) -> Self {
        let lanes = providers
            .keys()
            .map(|name| (name.clone(), tokio::sync::Mutex::new(())))
            .collect();
        let calls = providers
            .keys()
            .map(|name| (name.clone(), tokio::sync::Semaphore::new(act::CALLS)))
            .collect();
        let catalogues = Mutex::new(HashMap::new());
        let stray_lane = tokio::sync::Mutex::new(());
        Self {
            forge,
            mirror,
            store,
            providers,
            clock,
            signers,
            settings,
            lanes,
            calls,
            unwritten: late::Unwritten::default(),
            stray_lane,
            catalogues,
            reading: tokio::sync::Mutex::default(),
            members: tokio::sync::Mutex::default(),
            listed: tokio::sync::Mutex::default(),
            watched: tokio::sync::Mutex::default(),
            footing: tokio::sync::Mutex::default(),
            evidence_read: tokio::sync::Mutex::default(),
            brakes: tokio::sync::Mutex::default(),
            merges: AtomicU64::new(0),
            merging: tokio::sync::Mutex::default(),
            replays: Mutex::default(),
            runs: Mutex::default(),
            anchorings: None,
            anchors_held: tokio::sync::Mutex::default(),
            places_seen: Mutex::default(),
            subscriptions: Vec::new(),
            resting: Mutex::default(),
            tidied: Mutex::default(),
            metrics: Metrics::default(),
            turn: None,
        }
    }

    /// The same loop, which does one thing after another: for a simulation, in which nothing may depend on which thread is quicker.
    #[must_use]
    pub fn one_by_one(mut self) -> Self {
        self.turn = Some(tokio::sync::Mutex::default());
        self
    }

    /// How many of `most` may be done beside each other.
    fn at_once(&self, most: usize) -> usize {
        if self.is_one_by_one() { 1 } else { most }
    }

    /// Whether one thing is done after another.
    pub(crate) fn is_one_by_one(&self) -> bool {
        self.turn.is_some()
    }

    /// Waits for its turn, where one thing is done after another.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match &self.turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }

    /// The same loop, which counts in `metrics`.
    #[must_use]
    pub fn counting(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// When the files of something that ended can be proposed for removal, if that is not yet.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn next_revert(&self) -> Result<Option<Instant>, ReconcileError> {
        let untidied = self.store.entries(Scope::Untidied).await?;
        let over = untidied.iter().filter_map(|e| e.settled_at);
        let proposed = over.map(|at| at + self.settings.revert_window);
        Ok(proposed.filter(|at| *at > self.now()).min())
    }

    /// The events that this run has put on the evidence branch since it stood at `before`: their first lines, oldest first.
    ///
    /// # Errors
    /// When git or the database fail.
    pub async fn told_since(
        &self,
        before: Option<&CommitId>,
    ) -> Result<Vec<String>, ReconcileError> {
        let branch = &self.settings.evidence_branch;
        let told = self
            .mirror
            .told_since(&self.signers, branch, before)
            .await?;
        let keys: Vec<String> = told
            .into_iter()
            .flat_map(|told| told.events)
            .filter_map(|(_, key)| key)
            .collect();
        let mut sentences = self.store.sentences(&keys).await?;
        Ok(keys
            .iter()
            .filter_map(|key| sentences.remove(key))
            .collect())
    }

    /// Where the evidence branch stands, as it was last fetched.
    ///
    /// # Errors
    /// When git fails.
    pub async fn evidence_tip(&self) -> Result<Option<CommitId>, ReconcileError> {
        Ok(self.mirror.tip(&self.settings.evidence_branch).await?)
    }

    /// The same loop, which tells people beside GitHub.
    #[must_use]
    pub fn telling(mut self, subscriptions: Vec<Subscription>) -> Self {
        self.subscriptions = subscriptions;
        self
    }

    /// Where it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The forge, for the worker's listing of open pull requests.
    pub fn forge(&self) -> &dyn Forge {
        self.forge.as_ref()
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    async fn remote(&self) -> Result<Remote, ReconcileError> {
        let access = self.forge.git_access().await?;
        Ok(Remote {
            url: access.url,
            token: Some(access.token),
        })
    }

    /// What the protected branch declares, as it was last fetched; `None` before that.
    ///
    /// # Errors
    /// When git fails.
    pub async fn fetched(&self) -> Result<Option<Arc<Catalogue>>, ReconcileError> {
        match self.mirror.tip(&self.settings.protected_branch).await? {
            Some(tip) => Ok(Some(self.catalogue(&tip).await?)),
            None => Ok(None),
        }
    }

    /// What `commit` declares, parsed once.
    async fn catalogue(&self, commit: &CommitId) -> Result<Arc<Catalogue>, ReconcileError> {
        let kept = || self.kept_catalogues().get(commit).cloned();
        if let Some(catalogue) = kept() {
            return Ok(catalogue);
        }
        let _turn = self.reading.lock().await;
        if let Some(catalogue) = kept() {
            return Ok(catalogue);
        }
        let another = self.kept_catalogues().values().next().cloned();
        let before = another.unwrap_or_default();
        let files = self.mirror.files_beside(commit, &before).await?;
        let read = move || Arc::new(parse::read_tree_after(&files, &before));
        let catalogue = aside(read).await?;
        let mut kept = self.kept_catalogues();
        if kept.len() >= CATALOGUES_KEPT {
            kept.clear();
        }
        kept.insert(commit.clone(), Arc::clone(&catalogue));
        Ok(catalogue)
    }

    fn kept_catalogues(&self) -> MutexGuard<'_, HashMap<CommitId, Arc<Catalogue>>> {
        let kept = self.catalogues.lock();
        kept.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The pause before attempt `attempts + 1`: a second, doubled each time, at most the cap.
    fn backoff(&self, attempts: u32) -> TimeDelta {
        let pause = TimeDelta::seconds(1_i64 << attempts.min(20));
        pause.min(self.settings.retry_cap)
    }
}

/// Does what can take the processor for long on a thread of its own, so that nothing that is due waits for it: how much there is to
/// judge is for whoever opens a pull request to say.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ReconcileError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(found) => Ok(found),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ReconcileError::Unsettled("shutting down".to_owned())),
    }
}
