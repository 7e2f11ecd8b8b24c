//! `hallpass app create`: the GitHub App.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use url::Url;

use super::visible::visible;
use crate::app::init::Mode;
use crate::app::registration::{self, Plan, Registered, Wish};

/// The GitHub App that Hallpass is
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hallpass app create --config access-setup/hallpass.toml --url https://hallpass.acme.example
      Register the App that the configuration needs, and keep its secrets beside it.")]
pub struct App {
    #[command(subcommand)]
    command: AppCommand,
}

#[derive(Debug, Subcommand)]
enum AppCommand {
    Create(Create),
}

/// Register the GitHub App, with exactly the permissions and events that the configuration needs
///
/// Serves a page on this machine that sends you to GitHub. You agree there; GitHub sends you back; the App's private key and secrets are
/// written into files that only you can read, and its number into the configuration. Nothing is overwritten, and no secret is shown.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass app create --help` for examples.", after_long_help = EXAMPLES)]
struct Create {
    /// The configuration, which names the repository and the connections
    #[arg(long, value_name = "FILE", default_value = "hallpass.toml")]
    config: PathBuf,
    /// Where GitHub reaches the server; webhooks go to URL/webhook. Without it the App delivers none
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// The App's name, which nobody else at GitHub may have [default: Hallpass <organisation>]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The folder for its secrets [default: the configuration's]
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// For scheduled runs of GitHub Actions: the secrets come from its environment, so that the configuration names no files
    #[arg(long, conflicts_with = "url")]
    service_less: bool,
    /// The port of the page on this machine; any that is free if left out
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Print the manifest and end: to see what is asked for, or to send it from elsewhere
    #[arg(long)]
    manifest: bool,
    /// Exchange a code that GitHub sent you back with elsewhere, after `--manifest`
    #[arg(long, value_name = "CODE", conflicts_with = "manifest")]
    code: Option<String>,
    /// Answer in JSON, for programs; without secrets
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass app create --config access-setup/hallpass.toml --url https://hallpass.acme.example
      Open the address that it prints, and follow it.
  hallpass app create --config access/.github/hallpass.toml --keys access-setup --service-less
      For a team without a server.
  hallpass app create --manifest
      What would be asked for. On a machine without a browser, post it as the field `manifest` of a form to
      https://github.com/organizations/ORG/settings/apps/new, and then:
  hallpass app create --code CODE
      The code stands in the address that GitHub sent you back to. It is taken once, and for an hour.

Exit status:
  0  the App is there, and its secrets are kept
  2  it could not be registered";

#[derive(Serialize)]
struct Answer<'a> {
    app_id: u64,
    slug: &'a str,
    client_id: &'a str,
    files: &'a [PathBuf],
    install: &'a str,
}

impl App {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// When the App cannot be registered.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            AppCommand::Create(create) => create.run(),
        }
    }
}

impl Create {
    fn run(self) -> anyhow::Result<ExitCode> {
        let keys = self.keys.clone();
        let keys = keys.unwrap_or_else(|| registration::beside(&self.config));
        let plan = Plan::new(Wish {
            config: self.config.clone(),
            url: self.url.clone(),
            name: self.name.clone(),
            keys,
            mode: match self.service_less {
                true => Mode::ServiceLess,
                false => Mode::Service,
            },
        })?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        if self.manifest {
            // Nobody waits there: the code is read from the browser's address.
            let redirect = match self.port {
                0 => format!("http://{}/created", address.ip()),
                _ => format!("http://{address}/created"),
            };
            let manifest = plan.manifest(&redirect);
            super::print(&(serde_json::to_string_pretty(&manifest)? + "\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let registered = match &self.code {
            Some(code) => plan.complete(code)?,
            None => plan.serve(address, |page| {
                anstream::eprintln!("Open this page, and agree at GitHub: {page}\nWaiting ...");
            })?,
        };
        super::print(&if self.json {
            let answer = Answer {
                app_id: registered.app.id,
                slug: &registered.app.slug,
                client_id: &registered.app.client_id,
                files: &registered.files,
                install: &registered.install,
            };
            serde_json::to_string(&answer)? + "\n"
        } else {
            self.human(&registered)
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn human(&self, registered: &Registered) -> String {
        let app = &registered.app;
        let mut out = format!("App {} ({}) is registered.\n", app.id, visible(&app.slug));
        // Writing to a String cannot fail.
        for file in &registered.files {
            let _ = writeln!(out, "  secret, for you alone: {}", file.display());
        }
        let _ = writeln!(out, "  filled in: {}", self.config.display());
        for ruleset in &registered.rulesets {
            let _ = writeln!(out, "  rules to set: {}", ruleset.path.display());
        }
        let _ = writeln!(
            out,
            "\nNext\n  1. Install it, for the access repository: {}",
            visible(&registered.install)
        );
        if self.service_less {
            out.push_str("  2. Give the secrets to the environment `hallpass` of the repository, as `hallpass init` says.\n");
        } else {
            let config = self.config.display();
            let _ = writeln!(
                out,
                "  2. Set the rules, as `hallpass init` says.\n  3. Ask whether everything is as it must be: hallpass doctor --config {config}"
            );
        }
        out
    }
}
