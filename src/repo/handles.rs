//! Open handles on the mirror, lent to one call at a time: libgit2's handle must not be shared between threads, and opening one reads
//! settings and lists packs, which costs more than most of what is asked of it.
//!
//! Invariant: a handle that a call failed or panicked with is not lent again, and neither is one from before packs were merged: it
//! would keep files open that are gone.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use git2::Repository;

use super::{RepoError, write};

/// How many wait to be lent.
const IDLE: usize = 4;

/// How often one is lent: what libgit2 remembers of what it read is let go with it.
const LENT: u32 = 200;

struct Handle {
    repo: Repository,
    lent: u32,
    /// How often packs had been merged when it was opened.
    merges: u64,
}

#[derive(Default)]
struct Idle {
    handles: Vec<Handle>,
    merges: u64,
}

/// The handles of one mirror.
#[derive(Default)]
pub(super) struct Handles(Mutex<Idle>);

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handles").finish_non_exhaustive()
    }
}

impl Handles {
    /// Does `work` with a handle on the mirror at `path`.
    pub fn with<T>(
        &self,
        path: &Path,
        work: impl FnOnce(&Repository) -> Result<T, RepoError>,
    ) -> Result<T, RepoError> {
        let mut handle = self.take(path)?;
        handle.lent += 1;
        let done = work(&handle.repo)?;
        let mut idle = self.idle();
        let is_good = handle.merges == idle.merges && handle.lent < LENT;
        if is_good && idle.handles.len() < IDLE {
            idle.handles.push(handle);
        }
        Ok(done)
    }

    /// Lets go of every handle, because packs were merged.
    pub fn let_go(&self) {
        let mut idle = self.idle();
        idle.merges += 1;
        let gone = std::mem::take(&mut idle.handles);
        // Closing them takes a while, for which nobody has to wait.
        drop(idle);
        drop(gone);
    }

    fn take(&self, path: &Path) -> Result<Handle, RepoError> {
        let merges = {
            let mut idle = self.idle();
            if let Some(handle) = idle.handles.pop() {
                return Ok(handle);
            }
            idle.merges
        };
        Ok(Handle {
            repo: write::open(path)?,
            lent: 0,
            merges,
        })
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
