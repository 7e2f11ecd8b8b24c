//! `hallpass serve`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::app::{logging, serve};

/// Run the service: judge pull requests, give what is proved, take what is over, write the evidence
///
/// Secrets come from the environment or from files; `--example` says which. An interrupt or a termination signal stops it in
/// order; a second one, at once. A process that is killed loses nothing: what was under way is in the database.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass serve --help` for examples.", after_long_help = EXAMPLES)]
pub struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "hallpass.toml")]
    config: PathBuf,
    /// Print a commented configuration and end
    #[arg(long)]
    example: bool,
    /// Say what is wrong with the configuration and end
    #[arg(long, conflicts_with = "example")]
    check: bool,
    /// Ask the service that runs by this configuration whether it is ready, and end: for a container's health check
    #[arg(long, conflicts_with_all = ["example", "check"])]
    probe: bool,
    /// How log lines are written, on standard error; HALLPASS_LOG=hallpass=debug shows more of them
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
}

const EXAMPLES: &str = "\
Examples:
  hallpass serve --example > hallpass.toml
      Begin a configuration.
  hallpass serve --check
      Is ./hallpass.toml right, and is every secret there? Starts nothing and asks nobody.
  hallpass serve --config /etc/hallpass/hallpass.toml --log json
      Run until told to stop.
  hallpass serve --probe
      Does the service on this machine do its work? What a load balancer asks for at /health/ready.

Exit status:
  0  stopped in order
  1  with --probe: it is not ready
  2  could not run";

/// How log lines are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    pub(super) fn format(self) -> logging::Format {
        match self {
            Self::Text => logging::Format::Text,
            Self::Json => logging::Format::Json,
        }
    }
}

impl Serve {
    /// Runs the command.
    ///
    /// # Errors
    /// When the configuration, the database or the address cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        if self.example {
            super::print(serve::EXAMPLE)?;
        } else if self.check {
            serve::check(&self.config)?;
            super::print(&format!("{}: all good\n", self.config.display()))?;
        } else if self.probe {
            let health = serve::probe(&self.config)?;
            super::print(&format!("{}\n", health.said.trim_end()))?;
            if !health.ready {
                return Ok(ExitCode::FAILURE);
            }
        } else {
            serve::run(&self.config, self.log.format())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
