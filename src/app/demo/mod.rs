//! `hallpass demo`: an incident from request to revert, against a stand-in of GitHub on this machine.
//!
//! Everything between the stand-in and the service is what it is in life: REST and webhooks over HTTP, git by git's own client
//! and server, a database, a configuration file, the machine's clock. People push with git; what they do at GitHub's pages (open,
//! review, merge) is done in the stand-in directly. Only the term is shorter.
//!
//! Promise: what a line says was read back from the stand-in, or the step fails with what was expected and what was seen.

mod acts;
mod asking;
mod desk;
mod ending;
mod folder;
mod keep;
mod proof;
mod running;
mod sample;
mod stage;
mod tally;
mod teller;
mod wait;

use std::io::Write;
use std::path::{Path, PathBuf};

use folder::Folder;
use running::Pace;
use stage::{Ports, Stage};
use teller::Teller;

/// Who looks at the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A person at a terminal: with a pause to read, and a countdown.
    Watching,
    /// A file or a program.
    Reading,
}

/// What the demo does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The incident, from request to revert, and ends.
    Incident,
    /// The incident, then a lively sample that stays until the program is told to stop.
    Keep(Place),
    /// The sample at once.
    Sample(Place),
}

/// Where what stays is found: the service at this port, the stand-in at the next; both anywhere where it is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The port.
    pub port: u16,
}

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// It could not begin: the folder, git, a port.
    #[error("cannot play the demo")]
    NotBegun(#[source] anyhow::Error),
    /// A step did not do what it should.
    #[error("step {step} failed")]
    StepFailed {
        /// Which, from 1.
        step: usize,
        /// Where the service wrote its log.
        log: PathBuf,
        /// What was expected and what was seen, or what went wrong.
        source: anyhow::Error,
    },
}

/// Shows the demo, tells it to `out`, and leaves what there is to read in `dir`.
///
/// # Errors
/// [`DemoError::NotBegun`] when `dir` holds something else than an earlier demo, or git is missing; [`DemoError::StepFailed`] when
/// something did not happen within its time.
pub fn play(
    dir: &Path,
    show: Show,
    audience: Audience,
    out: &mut dyn Write,
) -> Result<(), DemoError> {
    let begun = || {
        let runtime = super::serve::runtime()?;
        runtime.block_on(desk::demand_git())?;
        let folder = Folder::claim(dir)?;
        super::logging::start_in(folder.create("hallpass.log")?);
        Ok((runtime, folder))
    };
    let (runtime, folder) = begun().map_err(DemoError::NotBegun)?;
    let log = folder.path("hallpass.log");
    let mut teller = Teller::new(out, audience);
    runtime.block_on(async {
        let pace = match show {
            Show::Sample(_) => Pace::Lively,
            Show::Incident | Show::Keep(_) => Pace::Usual,
        };
        let stage = Stage::build(folder, Ports::of(show), pace).await;
        let mut stage = stage.map_err(DemoError::NotBegun)?;
        let result = perform(show, &mut stage, &mut teller).await;
        stage.close().await;
        result.map_err(|source| DemoError::StepFailed {
            step: teller.step_number(),
            log,
            source,
        })
    })
}

async fn perform(show: Show, stage: &mut Stage, teller: &mut Teller<'_>) -> anyhow::Result<()> {
    match show {
        Show::Incident => acts::play(stage, teller).await,
        Show::Keep(_) => {
            acts::play(stage, teller).await?;
            // Only now: what the incident costs is counted.
            stage.restart(Pace::Lively).await?;
            keep::keep(stage, teller).await
        }
        Show::Sample(_) => keep::keep(stage, teller).await,
    }
}
