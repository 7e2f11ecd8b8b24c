//! What the play happens on: the stand-in with its people, and the service as `hallpass serve` runs it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::desk::Desk;
use super::folder::Folder;
use super::running::{Pace, Running, taken};
use super::wait::until;
use super::{Place, Show};
use crate::clock::SystemClock;
use crate::domain::schema;
use crate::sandbox::{
    AccountKind, AppSpec, KNOWN_KEY, Permission, Ruleset, Sandbox, SandboxOptions,
};

/// The access repository.
pub const REPO: &str = "access";
/// The App that the service is.
pub const APP: u64 = 4211;
pub const INSTALLATION: u64 = 77;
/// The App's client id, by which people sign in.
pub const CLIENT: &str = "Iv1.0000000000004211";

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

/// Who a newcomer may be, and what they are to this repository.
pub const PEOPLE: [(&str, &str); 8] = [
    ("ada", "who asks"),
    ("octocat", "who holds access"),
    ("grace", "an owner of orders"),
    ("linus", "an owner of on-call"),
    ("mei", "an owner of money, and security"),
    ("morgan", "an administrator"),
    ("olga", "an auditor from outside"),
    ("eve", "nobody here"),
];

/// Where the service and the stand-in listen; 0 is wherever it is free.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    service: u16,
    sandbox: u16,
}

impl Ports {
    /// Those that a show needs.
    pub fn of(show: Show) -> Self {
        let port = match show {
            Show::Incident => 0,
            Show::Keep(Place { port }) | Show::Sample(Place { port }) => port,
        };
        let sandbox = match port {
            0 => 0,
            port => port.wrapping_add(1),
        };
        Self {
            service: port,
            sandbox,
        }
    }
}

/// The running world.
#[derive(Debug)]
pub struct Stage {
    /// GitHub.
    pub sandbox: Sandbox,
    /// Where everything is written.
    pub folder: Folder,
    /// The service.
    pub service: Running,
    port: u16,
}

impl Stage {
    /// Starts the stand-in and the service, and waits until neither has anything to do.
    pub async fn build(folder: Folder, ports: Ports, pace: Pace) -> anyhow::Result<Self> {
        let mut options = SandboxOptions::new(Arc::new(SystemClock), folder.path("github"));
        options.port = ports.sandbox;
        let sandbox = Sandbox::start(options)
            .await
            .with_context(|| taken(ports.sandbox))?;
        populate(&sandbox)?;
        let secret = hex::encode(rand::random::<[u8; 24]>());
        folder.write("webhook-secret", &secret)?;
        folder.write("app-private-key.pem", KNOWN_KEY)?;
        let running = Running::start(&sandbox, &folder, ports.service, pace).await?;
        let stage = Self {
            sandbox,
            folder,
            service: running,
            port: ports.service,
        };
        stage
            .sandbox
            .deliver_to(format!("{}/webhook", stage.service.url), secret);
        stage.looked().await?;
        Ok(stage)
    }

    /// Starts the service again, at another pace.
    pub async fn restart(&mut self, pace: Pace) -> anyhow::Result<()> {
        self.service.close().await;
        self.sandbox.reset_calls();
        self.service = Running::start(&self.sandbox, &self.folder, self.port, pace).await?;
        let secret = std::fs::read_to_string(self.folder.path("webhook-secret"))?;
        self.sandbox
            .deliver_to(format!("{}/webhook", self.service.url), secret);
        self.looked().await
    }

    /// Waits until the service has looked at everything once.
    async fn looked(&self) -> anyhow::Result<()> {
        until("the service looks at the repository when it starts", || {
            let looked = !self.sandbox.calls().is_empty();
            looked.then_some(()).ok_or_else(|| "no call".to_owned())
        })
        .await?;
        self.rest().await;
        Ok(())
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

    /// A link that makes a browser somebody, and leads to the service's pages.
    pub fn entrance(&self, login: &str) -> String {
        let (pages, page) = (self.sandbox.url(), &self.service.page);
        format!("{pages}/login?as={login}&return_to={page}/sign-in")
    }

    /// A clone for somebody.
    pub async fn desk(&self, login: &str, name: &str) -> anyhow::Result<Desk> {
        let token = self.sandbox.personal_token(login);
        let url = self.sandbox.git_url(REPO);
        Desk::clone(login, token, &url, self.folder.path(name)).await
    }

    /// Ends the service in order.
    pub async fn close(mut self) {
        self.service.close().await;
    }
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
    for outsider in ["olga", "eve"] {
        sandbox.user(outsider);
    }
    for (login, _) in PEOPLE {
        // So that a link signs in without a further click.
        sandbox.authorises(login, CLIENT);
    }
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
