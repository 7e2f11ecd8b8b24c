//! Judging without a service: the files of a folder, or what a branch changes in somebody's own clone.
//!
//! Reads only. Work trees are read as git would store them: links are not followed, and their mode is told.

use std::fs::{self, FileType};
use std::io::Read;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Oid, Repository};
use rayon::prelude::*;

use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::domain::catalogue::{Catalogue, ChangedFile, File, REGULAR_FILE};
use crate::domain::codeowners::LOCATIONS;
use crate::domain::model::{BlobId, Instant};
use crate::domain::parse::{self, MAX_BYTES};
use crate::domain::replay::Merged;
use crate::repo::{RepoError, read};

const SYMBOLIC_LINK: u32 = 0o120_000;
const SUBMODULE: u32 = 0o160_000;
const EXECUTABLE: u32 = 0o100_755;
/// GitHub loads no CODEOWNERS of this size or more.
const OWNERS_LIMIT: usize = 3 * 1024 * 1024;

/// Why nothing could be judged.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// Point at an access repository.
    #[error(
        "there is no `access` folder in {0} or above it; run this in an access repository, or name one"
    )]
    NoAccess(PathBuf),
    /// Look at the disk.
    #[error("cannot read {path}")]
    Disk {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Point at a clone.
    #[error(
        "there is no git repository at {0} or above it; run this in a clone, or leave out --base"
    )]
    NoRepository(PathBuf),
    /// Look at the repository, or at the name of the revision.
    #[error(transparent)]
    Git(#[from] RepoError),
    /// Fetch more history, or name another base.
    #[error(
        "{base} and {head} have no commit in common; fetch more history (`fetch-depth: 0` in GitHub Actions)"
    )]
    Unrelated {
        /// The revision that judges.
        base: String,
        /// The revision that is judged.
        head: String,
    },
}

/// What a branch changes, and what judges it.
#[derive(Debug)]
pub struct Comparison {
    /// Every governed file of the base.
    pub base: Vec<File>,
    /// How the head differs from where it left the base, as a pull request shows it.
    pub changes: Vec<ChangedFile>,
}

/// Two revisions, and what was requested before the second of them.
#[derive(Debug)]
pub struct History {
    /// What the first declares beside grants.
    pub base: Catalogue,
    /// What the second declares.
    pub head: Catalogue,
    /// The requests that landed before the second, the newest first.
    pub past: Vec<Merged>,
}

/// The last `wanted` requests of the branch that `head` is, or left, with what `base` and `head` declare.
///
/// # Errors
/// When there is no repository, or either revision names no commit.
pub fn history(dir: &Path, base: &str, head: &str, wanted: usize) -> Result<History, OfflineError> {
    let repo = open(dir)?;
    let (old, new) = (read::resolve(&repo, base)?, read::resolve(&repo, head)?);
    let base = parse::read_tree(&read::control_files(&repo, &old)?);
    let head = parse::read_tree(&read::files(&repo, &new)?);
    let past = read::merged(&repo, &new, wanted, &head.grants)?;
    Ok(History { base, head, past })
}

fn open(dir: &Path) -> Result<Repository, OfflineError> {
    read::open(dir).map_err(|error| match error {
        RepoError::Broken { source, .. } if source.code() == ErrorCode::NotFound => {
            OfflineError::NoRepository(dir.to_owned())
        }
        other => other.into(),
    })
}

/// The time by the machine's clock.
pub fn now() -> Instant {
    SystemClock.now()
}

/// Whether the terminal says of itself that it cannot move its cursor.
pub fn terminal_is_dumb() -> bool {
    config::environment("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// What `head` changes since it left `base`, in the repository that `dir` lies in.
///
/// # Errors
/// When there is no repository, either revision names no commit, or they have no history in common.
pub fn comparison(dir: &Path, base: &str, head: &str) -> Result<Comparison, OfflineError> {
    let repo = open(dir)?;
    let (judge, judged) = (read::resolve(&repo, base)?, read::resolve(&repo, head)?);
    let unrelated = || OfflineError::Unrelated {
        base: base.to_owned(),
        head: head.to_owned(),
    };
    Ok(Comparison {
        base: read::files(&repo, &judge)?,
        changes: read::proposed(&repo, &judge, &judged)?.ok_or_else(unrelated)?,
    })
}

/// Every governed file of the access repository that `dir` is, or lies in.
///
/// # Errors
/// When there is none, or a file cannot be read.
pub fn work_tree(dir: &Path) -> Result<Vec<File>, OfflineError> {
    let start = fs::canonicalize(dir).map_err(disk(dir))?;
    let access = |dir: &&Path| dir.join("access").symlink_metadata().is_ok();
    let no_access = || OfflineError::NoAccess(dir.to_owned());
    let root = start.ancestors().find(access).ok_or_else(no_access)?;
    let mut found = Vec::new();
    for path in LOCATIONS
        .iter()
        .copied()
        .chain(["access", ".gitattributes"])
    {
        let full = root.join(path);
        if let Ok(kind) = full.symlink_metadata() {
            walk(
                Found {
                    path: path.to_owned(),
                    full,
                    kind: kind.file_type(),
                },
                &mut found,
            )?;
        }
    }
    leave_out_ignored(root, &mut found);
    found.par_iter().with_min_len(64).map(Found::read).collect()
}

/// Something on disk that git would store as a file.
struct Found {
    /// As the rules name it. A name that is not UTF-8 is shown as well as it can be, and refused by the rules.
    path: String,
    full: PathBuf,
    kind: FileType,
}

/// Finds what git would store at and below `here`.
fn walk(here: Found, found: &mut Vec<Found>) -> Result<(), OfflineError> {
    // A folder with a repository of its own is a submodule for git.
    if !here.kind.is_dir() || here.full.join(".git").exists() {
        found.push(here);
        return Ok(());
    }
    for entry in fs::read_dir(&here.full).map_err(disk(&here.full))? {
        let entry = entry.map_err(disk(&here.full))?;
        let full = entry.path();
        let kind = entry.file_type().map_err(disk(&full))?;
        let path = format!("{}/{}", here.path, entry.file_name().to_string_lossy());
        walk(Found { path, full, kind }, found)?;
    }
    Ok(())
}

impl Found {
    fn read(&self) -> Result<File, OfflineError> {
        let (mode, bytes) = if self.kind.is_symlink() {
            let target = fs::read_link(&self.full).map_err(disk(&self.full))?;
            (SYMBOLIC_LINK, target.into_os_string().into_encoded_bytes())
        } else if self.kind.is_file() {
            self.read_regular().map_err(disk(&self.full))?
        } else {
            (SUBMODULE, Vec::new())
        };
        let id = Oid::hash_object(ObjectType::Blob, &bytes).map(|id| BlobId::new(id.to_string()));
        let blob = id
            .expect("hashing needs no repository")
            .expect("git writes ids in hexadecimal");
        Ok(File {
            path: self.path.clone(),
            mode,
            blob,
            bytes: bytes.into(),
        })
    }

    fn read_regular(&self) -> std::io::Result<(u32, Vec<u8>)> {
        let file = fs::File::open(&self.full)?;
        let about = file.metadata()?;
        let size = usize::try_from(about.len()).unwrap_or(usize::MAX);
        let limit = if LOCATIONS.contains(&self.path.as_str()) {
            OWNERS_LIMIT
        } else {
            MAX_BYTES
        };
        // One byte more than is accepted is enough to refuse the file.
        let mut bytes = Vec::with_capacity(size.min(limit) + 1);
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok((
            if is_executable(&about) {
                EXECUTABLE
            } else {
                REGULAR_FILE
            },
            bytes,
        ))
    }
}

#[cfg(unix)]
fn is_executable(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

/// Forgets what git would not add: backups of editors, droppings of operating systems. A file that has the form of a governed
/// one is always kept, and so is whatever is already tracked.
fn leave_out_ignored(root: &Path, found: &mut Vec<Found>) {
    let governed = |path: &str| path.ends_with(".yaml") || path.ends_with(".cedar");
    let odd = |file: &Found| file.path.starts_with("access/") && !governed(&file.path);
    if !found.iter().any(odd) {
        return;
    }
    // A folder outside of any repository ignores nothing.
    let Ok(repo) = Repository::discover(root) else {
        return;
    };
    let (Ok(index), Some(top)) = (
        repo.index(),
        repo.workdir().and_then(|top| fs::canonicalize(top).ok()),
    ) else {
        return;
    };
    found.retain(|file| {
        let Ok(path) = file.full.strip_prefix(&top) else {
            return true;
        };
        let tracked = || index.get_path(path, 0).is_some();
        !odd(file) || tracked() || !repo.is_path_ignored(path).unwrap_or(false)
    });
}

fn disk(path: &Path) -> impl Fn(std::io::Error) -> OfflineError + use<'_> {
    |source| OfflineError::Disk {
        path: path.to_owned(),
        source,
    }
}
