//! A stand-in for GitHub on loopback: one organisation, its REST interface, its webhooks, and real git repositories over HTTP.
//!
//! It serves `hallpass demo` and the tests. Octocrab and libgit2 talk to it as they would to GitHub; what git can tell (diffs,
//! merges, ancestry) comes from real bare repositories behind `git http-backend`. Everything that passes is held against GitHub's
//! own descriptions ([`Contracts`]), and what we merely believe of GitHub is listed in [`ASSUMPTIONS`].
//!
//! Promises: what a test did before a call is visible to that call; webhooks are sent in the order of their causes unless
//! [`Sandbox::reorder`] says otherwise; time comes from the given clock alone, except that an App's JWT may also be signed with the
//! machine's time (octocrab does so).
//!
//! Accepted: repositories are all private and owned by the one organisation; forks are seen only through their pull requests; there are no pending reviews, no review
//! comments on lines, no merge queue.

mod assumptions;
mod auth;
mod call;
mod cgi;
mod changes;
mod codeowners;
mod contract;
mod deploying;
mod document;
mod faults;
mod forks;
mod git;
mod joining;
mod listener;
mod merging;
mod model;
mod moved;
mod oauth;
mod people;
mod post;
mod pulling;
mod readouts;
mod refusal;
mod registering;
mod render;
mod routes;
mod server;
mod setup;
mod switches;
mod web;
mod world;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use assumptions::{ASSUMPTIONS, Assumption};
pub use contract::{ContractError, Contracts};
pub use deploying::RunView;
pub use faults::{Down, RateLimit, When};
pub use model::{
    AccountKind, AppSpec, Change, KNOWN_KEY, Membership, MergeMethod, Permission, ReviewSaid,
    Ruleset, Verdict,
};
pub use oauth::ClientSpec;
pub use post::{Delivery, Outcome, Webhook, sign};
pub use readouts::{ActivityView, CheckView, PullView, ReviewView};
pub use refusal::Refusal;

use crate::clock::Clock;
use contract::Gate;
use listener::Switched;
use post::Post;
use server::Shared;
use world::World;

/// Locks, whatever a panicking test left behind.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a sandbox is started with.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Tells the time, and when tokens expire.
    pub clock: Arc<dyn Clock>,
    /// Where the repositories are written.
    pub dir: PathBuf,
    /// The organisation's login.
    pub organisation: String,
    /// GitHub's descriptions, if the gate is to be on.
    pub contracts: Option<Contracts>,
    /// Where webhooks go.
    pub webhook: Option<Webhook>,
    /// The port to listen on; 0 for one that is free.
    pub port: u16,
}

impl SandboxOptions {
    /// The organisation `acme`, without gate and webhooks.
    pub fn new(clock: Arc<dyn Clock>, dir: impl Into<PathBuf>) -> Self {
        Self {
            clock,
            dir: dir.into(),
            organisation: "acme".to_owned(),
            contracts: None,
            webhook: None,
            port: 0,
        }
    }
}

/// The running stand-in. Clones are the same one; it stops when the last is dropped.
#[derive(Debug, Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    post: Post,
    base: Arc<str>,
    _tasks: Arc<Tasks>,
}

#[derive(Debug)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Sandbox {
    /// Starts on 127.0.0.1.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(options: SandboxOptions) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let gate = Gate::new(options.contracts);
        let (post, deliver) = Post::open(options.webhook, gate.clone());
        let world = World::new(
            base.clone(),
            options.dir,
            options.clock,
            post.clone(),
            &options.organisation,
        );
        let down = watch::Sender::new(Down::No);
        let listener = Switched::new(listener, down.subscribe())?;
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            faults: Mutex::default(),
            down,
            calls: Mutex::default(),
            gate,
            pushing: tokio::sync::Mutex::default(),
        });
        let router = axum::Router::new()
            .fallback(server::serve)
            .with_state(shared.clone());
        let serve = async move {
            // Serving ends only when the task is aborted.
            let _ = axum::serve(listener, router).await;
        };
        let tasks = vec![tokio::spawn(serve), tokio::spawn(deliver)];
        Ok(Self {
            shared,
            post,
            base: base.into(),
            _tasks: Arc::new(Tasks(tasks)),
        })
    }

    /// The root of the REST interface: octocrab's `base_uri`.
    pub fn api_url(&self) -> String {
        format!("{}/api/v3", self.base)
    }

    /// The root of the web pages and of git: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The address to clone a repository from.
    pub fn git_url(&self, repo: &str) -> String {
        let world = self.world();
        let index = self.index(&world, repo);
        format!("{}.git", world.repo_page(index))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.shared.world)
    }

    /// The index of a repository that the caller made.
    fn index(&self, world: &World, repo: &str) -> usize {
        world
            .repo_named(repo)
            .unwrap_or_else(|| panic!("the sandbox has no repository `{repo}`"))
    }

    /// The id of an account that the caller made.
    fn id(&self, world: &World, login: &str) -> u64 {
        world
            .account(login)
            .map(|account| account.id)
            .unwrap_or_else(|| panic!("the sandbox has no account `{login}`"))
    }
}
