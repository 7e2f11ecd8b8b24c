//! The service on the stage, as `hallpass serve` runs it: configured by a file, with its page.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::folder::Folder;
use super::stage::{APP, CLIENT, INSTALLATION, REPO};
use crate::app::service::Service;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::providers::Registry;
use crate::sandbox::{ClientSpec, Sandbox};

/// Known to everybody, and worth nothing outside the demo.
const CLIENT_SECRET: &str = "the-demo-has-no-secrets";

/// What is added to `[timing]` for who watches.
const LIVELY: &str = "# How often what the target systems hold is compared: ten minutes where nobody is watching.\ndrift = \"15s\"\n";

/// How often the service compares what target systems hold.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As everywhere.
    Usual,
    /// So often that a newcomer sees it.
    Lively,
}

/// The running service.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub url: String,
    /// Where people see its page.
    pub page: String,
    stop: CancellationToken,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

/// Where people see the page of a service that listens there.
fn page_of(address: &str) -> String {
    format!("http://{}", address.replace("127.0.0.1", "localhost"))
}

/// Why a port cannot be had, most likely.
pub fn taken(port: u16) -> String {
    format!(
        "cannot listen on 127.0.0.1:{port}; is another demo there? Name another port with --port"
    )
}

impl Running {
    /// Starts it, and lets people sign in to its page.
    pub async fn start(
        sandbox: &Sandbox,
        folder: &Folder,
        port: u16,
        pace: Pace,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.with_context(|| taken(port))?;
        let address = listener.local_addr()?.to_string();
        folder.write("hallpass.toml", &configuration(sandbox, &address, pace))?;
        // The secrets stand in files, so nothing of the environment is needed, or could get in the way.
        let callback = format!("{}/sign-in/callback", page_of(&address));
        folder.write("client-secret", CLIENT_SECRET)?;
        sandbox.client(
            APP,
            ClientSpec {
                id: CLIENT.to_owned(),
                secret: CLIENT_SECRET.to_owned(),
                callbacks: vec![callback],
            },
        );
        let config = Config::load(&folder.path("hallpass.toml"), |_| None)?;
        let assembled = Service::assemble(&config, Arc::new(SystemClock), Registry::new()).await?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(assembled.run(listener, None, stop.clone()));
        Ok(Self {
            url: format!("http://{address}"),
            page: page_of(&address),
            stop,
            task: Some(task),
        })
    }

    /// Ends it in order.
    pub async fn close(&mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // What it could not finish is in its log; the play is over either way.
            let _ = task.await;
        }
    }
}

fn configuration(sandbox: &Sandbox, listen: &str, pace: Pace) -> String {
    // Whoever only reads what a life costs is told the price without labels.
    let (lively, notices) = match pace {
        Pace::Usual => ("", ""),
        Pace::Lively => (LIVELY, "[notices]\nlabels = true\n\n"),
    };
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
         {lively}\
         \n\
         {notices}[page]\n\
         # Browsers take the page's cookies without TLS under this name of their own machine alone.\n\
         url = \"{page}\"\n\
         client_id = \"{CLIENT}\"\n\
         client_secret_file = \"client-secret\"\n\
         auditors = [\"olga\"]\n\
         \n\
         [providers.github]\n\
         kind = \"github-team\"\n\
         organisation = \"acme\"\n",
        sandbox.api_url(),
        sandbox.url(),
        page = page_of(listen),
    )
}
