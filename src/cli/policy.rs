//! `hallpass policy`: what the organisation's policies would do.

mod replay;
mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Try the organisation's policies before they count
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Policy {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  hallpass policy test
      Ask the policies what the cases beside them say that they answer.
  hallpass policy replay --base origin/main
      Which past requests your branch would have decided otherwise.";

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
