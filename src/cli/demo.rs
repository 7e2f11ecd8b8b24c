//! `hallpass demo`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::app::demo::{self, Audience, DemoError, Place, Show};

/// Play an incident from request to revert on this machine, in about a minute
///
/// Starts a stand-in of GitHub and the service on 127.0.0.1, and plays: a request for too long a term is refused, corrected,
/// approved by somebody who does not own it, then by an owner; the access is there, its time ends, it is gone, the file is
/// removed; and an administrator merges without approval, which grants nothing. REST, webhooks and git are real, and so are the
/// configuration, the database and the clock. Needs git, and no account anywhere.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass demo --help` for examples.", after_long_help = EXAMPLES)]
pub struct Demo {
    /// Where to leave the repository, its evidence, the configuration and the log: new, empty, or of an earlier demo
    #[arg(long, value_name = "DIR", default_value = "hallpass-demo")]
    dir: PathBuf,

    /// Afterwards, leave everything running with a lively sample, to be clicked through in a browser, until Ctrl-C
    #[arg(long)]
    keep: bool,

    /// With --keep: begin with the sample, without the incident
    #[arg(long, requires = "keep")]
    at_once: bool,

    /// With --keep: the service's port; the stand-in gets the next. 0 for any that are free
    #[arg(long, requires = "keep", default_value_t = 4211, value_parser = clap::value_parser!(u16).range(..65535))]
    port: u16,
}

const EXAMPLES: &str = "\
Examples:
  hallpass demo
      Play, and leave ./hallpass-demo.
  hallpass demo --dir /tmp/hallpass
      Leave it there instead.
  hallpass demo --keep
      Play, then leave it running: links for a browser are printed, each as another person.
  hallpass demo --keep --at-once --port 9000
      Only the sample, at other ports.
  git -C hallpass-demo/access log hallpass/evidence
      Afterwards: who had what, when, why, approved by whom, removed when.
  hallpass serve --check --config hallpass-demo/hallpass.toml
      The configuration is a real one.

Exit status:
  0  every step did what it should
  1  a step did not: what was expected and what was seen is told
  2  could not begin";

impl Demo {
    /// Plays.
    ///
    /// # Errors
    /// When it could not begin.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let audience = if std::io::stdout().is_terminal() {
            Audience::Watching
        } else {
            Audience::Reading
        };
        let mut out = anstream::stdout();
        match demo::play(&self.dir, self.show(), audience, &mut out) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error @ DemoError::NotBegun(_)) => Err(error.into()),
            Err(DemoError::StepFailed { step, log, source }) => {
                anstream::eprintln!("\nerror: step {step} failed: {source:#}");
                anstream::eprintln!("  the service's log: {}", log.display());
                Ok(ExitCode::FAILURE)
            }
        }
    }

    fn show(&self) -> Show {
        let place = Place { port: self.port };
        match (self.keep, self.at_once) {
            (false, _) => Show::Incident,
            (true, false) => Show::Keep(place),
            (true, true) => Show::Sample(place),
        }
    }
}
