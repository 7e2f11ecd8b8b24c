//! `hallpass app create`: a GitHub App with exactly the permissions that Hallpass needs, by GitHub's manifest flow.
//!
//! A page on this machine sends the manifest to GitHub; a person agrees there; GitHub sends them back with a code, which is exchanged once for
//! the App's number and secrets. Promises: the secrets go into files that only this account can read, are never shown and never logged; no
//! file is overwritten; a code that comes without the state of this run is not exchanged.

mod exchange;
mod files;
mod page;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use url::Url;

use super::init::{self, Mode, Outcome};
use super::needs;
use crate::config::{ProviderSketch, Sketch};
use crate::domain::doctor::{Needed, Tidying};
use crate::domain::model::RepoName;

pub use exchange::Created;

/// The longest name that GitHub takes.
const NAME: usize = 34;

/// What a person says of the App.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The configuration, which names the repository and the connections.
    pub config: PathBuf,
    /// Where the server is reached from GitHub; without it, GitHub delivers nothing.
    pub url: Option<Url>,
    /// The App's name, which nobody else at GitHub may have.
    pub name: Option<String>,
    /// The folder for its secrets.
    pub keys: PathBuf,
    /// Who does the work.
    pub mode: Mode,
}

/// What is asked of GitHub.
#[derive(Debug, Clone)]
pub struct Plan {
    wish: Wish,
    repository: RepoName,
    web: String,
    api: String,
    needed: Needed,
    tidying: Tidying,
}

/// What came of it.
#[derive(Debug)]
pub struct Registered {
    /// The App.
    pub app: Created,
    /// The files that were written, none of which is shown.
    pub files: Vec<PathBuf>,
    /// The rulesets, now that the App has a number.
    pub rulesets: Vec<Outcome>,
    /// Where it is installed.
    pub install: String,
}

impl Plan {
    /// Reads the configuration, and makes sure that nothing would be overwritten.
    ///
    /// # Errors
    /// When the configuration cannot be read, names no repository, or has an App already; or a file is in the way.
    pub fn new(wish: Wish) -> anyhow::Result<Self> {
        let path = wish.config.display().to_string();
        let sketch = Sketch::read(&wish.config).with_context(|| format!("cannot use {path}"))?;
        let github = &sketch.github;
        if let Some(app) = github.app_id {
            bail!("{path} names App {app} already; take `app_id` out to register another");
        }
        let named = github.repository.clone();
        let named = named.with_context(|| format!("{path} does not say `repository`"))?;
        let repository =
            RepoName::try_from(named).with_context(|| format!("{path}: [github] repository"))?;
        let web = github.web.as_deref().unwrap_or("https://github.com");
        let api = github.api.as_deref().unwrap_or("https://api.github.com");
        files::demand_free(&wish.keys)?;
        Ok(Self {
            web: web.trim_end_matches('/').to_owned(),
            api: api.trim_end_matches('/').to_owned(),
            needed: needed(&repository, sketch.providers.values()),
            tidying: match github.merge_reverts {
                true => Tidying::ByUs,
                false => Tidying::ByPeople,
            },
            repository,
            wish,
        })
    }

    /// What GitHub is to register. A person is sent back to `redirect`.
    pub fn manifest(&self, redirect: &str) -> Value {
        let page = format!("{}/{}", self.web, self.repository);
        // GitHub wants an address even of a webhook that is off.
        let hook = match &self.wish.url {
            Some(url) => json!({ "url": hook(url), "active": true }),
            None => json!({ "url": page, "active": false }),
        };
        let events = match self.wish.url {
            Some(_) => self.needed.events.iter().cloned().collect(),
            None => Vec::new(),
        };
        json!({
            "name": self.name(),
            "url": page,
            "description": "Access requests as pull requests: reviewed by code owners, granted on merge, gone on time, proved by git.",
            "hook_attributes": hook,
            "redirect_url": redirect,
            "public": false,
            "default_permissions": self.needed.permissions,
            "default_events": events,
        })
    }

    fn name(&self) -> String {
        let usual = || format!("Hallpass {}", self.repository.owner);
        let name = self.wish.name.clone().unwrap_or_else(usual);
        name.chars().take(NAME).collect()
    }

    /// Where a manifest is sent to: the organisation's form for a new App.
    fn form(&self, state: &str) -> String {
        let owner = &self.repository.owner;
        format!(
            "{}/organizations/{owner}/settings/apps/new?state={state}",
            self.web
        )
    }

    /// Serves the page at `address`, waits until somebody comes back from GitHub, and keeps what GitHub gives. `on` hears where the page is.
    ///
    /// # Errors
    /// When the page cannot be served, GitHub refuses, or a file cannot be written.
    pub fn serve(self, address: SocketAddr, on: impl FnOnce(&str)) -> anyhow::Result<Registered> {
        super::serve::runtime()?.block_on(async {
            let code = page::wait_for_code(&self, address, on).await?;
            self.exchange(&code).await
        })
    }

    /// Exchanges a code that a person brought by hand.
    ///
    /// # Errors
    /// When GitHub refuses, or a file cannot be written.
    pub fn complete(self, code: &str) -> anyhow::Result<Registered> {
        super::serve::runtime()?.block_on(self.exchange(code))
    }

    async fn exchange(&self, code: &str) -> anyhow::Result<Registered> {
        let app = exchange::exchange(&self.api, code).await?;
        let files = files::keep(&self.wish, &app)?;
        let setup = &self.wish.keys;
        let rulesets = init::write_rulesets(setup, app.id, self.tidying, self.wish.mode)?;
        Ok(Registered {
            install: format!("{}/installations/new", app.html_url),
            files,
            rulesets,
            app,
        })
    }
}

fn needed<'a>(
    repository: &RepoName,
    providers: impl Iterator<Item = &'a ProviderSketch>,
) -> Needed {
    let connections = providers.map(|provider| {
        let organisation = provider.organisation.clone();
        let organisation = organisation.unwrap_or_else(|| repository.owner.clone());
        (provider.kind.as_str(), organisation)
    });
    needs::together(&needs::of(&repository.owner, connections))
}

/// Where GitHub delivers to.
fn hook(url: &Url) -> String {
    format!("{}/webhook", url.as_str().trim_end_matches('/'))
}

/// The folder that a file lies in.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Where secrets go that nobody names a folder for: beside the configuration.
pub fn beside(config: &Path) -> PathBuf {
    folder(config).to_owned()
}
