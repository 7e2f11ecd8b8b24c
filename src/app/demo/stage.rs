//! What the play happens on: the stand-in with its people, and the service as `hallpass serve` runs it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::folder::Folder;
use super::wait::until;
use crate::app::service::Service;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::schema;
use crate::providers::Registry;
use crate::sandbox::{
    AccountKind, AppSpec, KNOWN_KEY, Permission, Ruleset, Sandbox, SandboxOptions,
};

/// The access repository.
pub const REPO: &str = "access";
/// The App that the service is.
const APP: u64 = 4211;
const INSTALLATION: u64 = 77;

macro_rules! example {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)))),*]
    };
}

/// The example of this repository, without grants: in the beginning nobody has anything.
const EXAMPLE: &[(&str, &str)] = example![
    ".github/CODEOWNERS",
    "access/people/ada.yaml",
    "access/people/grace.yaml",
    "access/people/linus.yaml",
    "access/people/mei.yaml",
    "access/people/octocat.yaml",
    "access/policies/guardrails.cedar",
    "access/policies/guardrails.test.yaml",
    "access/resources/billing.yaml",
    "access/resources/dashboards.yaml",
    "access/resources/incident-kit.yaml",
    "access/resources/ledger.yaml",
    "access/resources/on-call.yaml",
    "access/resources/orders.yaml",
    "access/services/deploy-bot.yaml",
    "access/services/invoice-export.yaml",
];

/// The teams that CODEOWNERS names, and who is in them.
const OWNERS: [(&str, &[&str]); 5] = [
    ("maintainers", &["morgan"]),
    ("security", &["morgan", "mei"]),
    ("orders-owners", &["grace", "linus"]),
    ("finance-controllers", &["mei"]),
    ("sre-leads", &["linus"]),
];

/// The teams that are asked for.
const TARGETS: [&str; 7] = [
    "orders-ro",
    "orders-support",
    "orders-migrator",
    "orders-admin",
    "on-call",
    "billing-admins",
    "dashboards",
];

/// The running world.
#[derive(Debug)]
pub struct Stage {
    /// GitHub.
    pub sandbox: Sandbox,
    /// Where everything is written.
    pub folder: Folder,
    /// Where the service listens.
    pub service: String,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Stage {
    /// Starts the stand-in and the service, and waits until neither has anything to do.
    pub async fn build(folder: Folder) -> anyhow::Result<Self> {
        let options = SandboxOptions::new(Arc::new(SystemClock), folder.path("github"));
        let sandbox = Sandbox::start(options)
            .await
            .context("cannot start the stand-in of GitHub")?;
        populate(&sandbox)?;
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("cannot listen on 127.0.0.1")?;
        let service = format!("http://{}", listener.local_addr()?);
        let secret = hex::encode(rand::random::<[u8; 24]>());
        folder.write("webhook-secret", &secret)?;
        folder.write("app-private-key.pem", KNOWN_KEY)?;
        let toml = configuration(&sandbox, &listener.local_addr()?.to_string());
        folder.write("hallpass.toml", &toml)?;
        // The secrets stand in files, so nothing of the environment is needed, or could get in the way.
        let config = Config::load(&folder.path("hallpass.toml"), |_| None)?;
        let assembled = Service::assemble(&config, Arc::new(SystemClock), Registry::new()).await?;
        sandbox.deliver_to(format!("{service}/webhook"), secret);
        let stop = CancellationToken::new();
        let running = tokio::spawn(assembled.run(listener, None, stop.clone()));
        let stage = Self {
            sandbox,
            folder,
            service,
            stop,
            running,
        };
        until("the service looks at the repository when it starts", || {
            let looked = !stage.sandbox.calls().is_empty();
            looked.then_some(()).ok_or_else(|| "no call".to_owned())
        })
        .await?;
        stage.rest().await;
        Ok(stage)
    }

    /// Waits until the service has asked nothing for a while; at most ten seconds.
    pub async fn rest(&self) {
        let begun = Instant::now();
        let mut before = self.sandbox.calls();
        let mut still_since = Instant::now();
        while still_since.elapsed() < Duration::from_millis(500) {
            if begun.elapsed() > Duration::from_secs(10) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = self.sandbox.calls();
            if now != before {
                (before, still_since) = (now, Instant::now());
            }
        }
    }

    /// A clone for somebody.
    pub async fn desk(&self, login: &str, name: &str) -> anyhow::Result<Desk> {
        let token = self.sandbox.personal_token(login);
        let url = self.sandbox.git_url(REPO);
        Desk::clone(login, token, &url, self.folder.path(name)).await
    }

    /// Ends the service in order.
    pub async fn close(self) {
        self.stop.cancel();
        // What it could not finish is in its log; the play is over either way.
        let _ = self.running.await;
    }
}

fn configuration(sandbox: &Sandbox, listen: &str) -> String {
    format!(
        "# Written by `hallpass demo`. For GitHub itself, leave out `api` and `web`; `hallpass serve --example` explains every key.\n\
         \n\
         [github]\n\
         repository = \"acme/{REPO}\"\n\
         app_id = {APP}\n\
         installation_id = {INSTALLATION}\n\
         private_key_file = \"app-private-key.pem\"\n\
         webhook_secret_file = \"webhook-secret\"\n\
         api = \"{}\"\n\
         web = \"{}\"\n\
         merge = \"auto\"\n\
         merge_reverts = true\n\
         \n\
         [server]\n\
         listen = \"{listen}\"\n\
         data_dir = \"data\"\n\
         \n\
         [timing]\n\
         # How long ended access is gathered before one pull request removes its files: a minute where nobody is watching.\n\
         revert_window = \"1s\"\n\
         \n\
         [providers.github]\n\
         kind = \"github-team\"\n\
         organisation = \"acme\"\n",
        sandbox.api_url(),
        sandbox.url()
    )
}

/// The example with teams in place of the roles of a database.
fn files() -> Vec<(String, String)> {
    let adapt = |path: &str, text: &str| match path {
        "access/resources/orders.yaml" => text
            .replace("provider: orders-primary", "provider: github")
            .replace("{ role: orders_", "{ team: orders-"),
        _ => text.to_owned(),
    };
    let mut files: Vec<(String, String)> = EXAMPLE
        .iter()
        .map(|(path, text)| ((*path).to_owned(), adapt(path, text)))
        .collect();
    let schemas = schema::Kind::ALL.map(|kind| {
        (
            format!("schemas/{}.schema.json", kind.name()),
            kind.source().to_owned(),
        )
    });
    files.extend(schemas);
    files
}

fn populate(sandbox: &Sandbox) -> anyhow::Result<()> {
    for (path, text) in EXAMPLE {
        let Some(login) = path
            .strip_prefix("access/people/")
            .and_then(|name| name.strip_suffix(".yaml"))
        else {
            continue;
        };
        let id = text
            .lines()
            .find_map(|line| line.strip_prefix("github_id: "));
        let id = id.and_then(|id| id.parse().ok());
        sandbox.account(login, id, AccountKind::User);
        sandbox.belongs(login, crate::sandbox::Membership::Active);
    }
    sandbox.member("morgan");
    sandbox.owner("morgan");
    let files = files();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    sandbox.repository(REPO, &files)?;
    sandbox.base_permission(Some(Permission::Push));
    for (team, members) in OWNERS {
        sandbox.team(team, members);
        sandbox.team_may(team, REPO, Permission::Push);
    }
    for team in TARGETS {
        sandbox.team(team, &[]);
    }
    sandbox.app(AppSpec::hallpass(APP, KNOWN_KEY))?;
    sandbox.installation(APP, INSTALLATION);
    // What a careful organisation demands of `main`; only the App may merge what needs nobody's approval.
    let rules = Ruleset {
        pull_request: true,
        approvals: 1,
        code_owner_review: true,
        required_check: Some(("hallpass".to_owned(), Some(APP))),
        bypass_apps: vec![APP],
        ..Ruleset::default()
    };
    sandbox.ruleset(REPO, Some(rules));
    Ok(())
}
