//! `hallpass policy`: what the organisation's policies would do.

mod replay;
mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Try the organisation's policies before they count
#[derive(Debug, Args)]
pub struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::Replay),
    Test(test::Test),
}

impl Policy {
    /// Runs the named part.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Replay(replay) => replay.run(),
            Command::Test(test) => test.run(),
        }
    }
}
