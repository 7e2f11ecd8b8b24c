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
mod proof;
mod stage;
mod tally;
mod teller;
mod wait;

use std::io::Write;
use std::path::{Path, PathBuf};

use folder::Folder;
use stage::Stage;
use teller::Teller;

/// Who looks at the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A person at a terminal: with a pause to read, and a countdown.
    Watching,
    /// A file or a program.
    Reading,
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

/// Plays the demo, tells it to `out`, and leaves what there is to read in `dir`.
///
/// # Errors
/// [`DemoError::NotBegun`] when `dir` holds something else than an earlier demo, or git is missing; [`DemoError::StepFailed`] when
/// something did not happen within its time.
pub fn play(dir: &Path, audience: Audience, out: &mut dyn Write) -> Result<(), DemoError> {
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
        let stage = Stage::build(folder).await.map_err(DemoError::NotBegun)?;
        let result = acts::play(&stage, &mut teller).await;
        stage.close().await;
        result.map_err(|source| DemoError::StepFailed {
            step: teller.step_number(),
            log,
            source,
        })
    })
}
