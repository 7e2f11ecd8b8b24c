//! `hallpass serve`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::app::{logging, serve};

/// Run the service: judge pull requests, give what is proved, take what is over, write the evidence.
///
/// Secrets come from the environment or from files; `--example` says which.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hallpass serve --example > hallpass.toml\n  \
    hallpass serve --check\n  \
    hallpass serve --config /etc/hallpass/hallpass.toml --log json\n\n\
    Exit status: 0 stopped in order, 2 could not run.")]
pub struct Serve {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "hallpass.toml")]
    config: PathBuf,
    /// Print a commented configuration and end.
    #[arg(long)]
    example: bool,
    /// Say what is wrong with the configuration and end.
    #[arg(long, conflicts_with = "example")]
    check: bool,
    /// Look at everything once, do what is due, and end: for a scheduled job instead of a service.
    #[arg(long, conflicts_with_all = ["example", "check"])]
    once: bool,
    /// How log lines are written, on standard error. HALLPASS_LOG filters them.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Serve {
    /// Runs the command.
    ///
    /// # Errors
    /// When the configuration, the database or the address cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let format = match self.log {
            LogFormat::Text => logging::Format::Text,
            LogFormat::Json => logging::Format::Json,
        };
        if self.example {
            super::print(serve::EXAMPLE)?;
        } else if self.check {
            serve::check(&self.config)?;
            super::print(&format!("{}: all good\n", self.config.display()))?;
        } else if self.once {
            serve::once(&self.config, format)?;
        } else {
            serve::run(&self.config, format)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
