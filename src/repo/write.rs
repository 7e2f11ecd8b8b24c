//! Writing to the mirror: the folder, its lock, commits of our own and the branches that hold them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use git2::{ErrorCode, ObjectType, Odb, Oid, Repository};

use super::history::{commit, commit_id};
use super::{RepoError, broken, broken_file};
use crate::domain::model::{CommitId, GrantPath, Instant, RepoPath};

/// Who writes our commits. The forge shows the account that pushed; this is for people who read the history.
const IDENTITY: &str = "Hallpass <hallpass@users.noreply.github.com>";

/// Where commits of our own wait to be pushed.
pub(super) fn local(branch: &str) -> String {
    format!("refs/hallpass/local/{branch}")
}

/// Makes a bare repository at `path`, unless there is one.
pub(super) fn init(path: &Path) -> Result<(), RepoError> {
    let what = format!("make a mirror at {}", path.display());
    free(path).map_err(broken_file(&what))?;
    match Repository::open_bare(path) {
        Ok(_) => Ok(()),
        Err(error) if error.code() == ErrorCode::NotFound => {
            let mut options = git2::RepositoryInitOptions::new();
            // No template: hooks and settings of the machine have no business here.
            options.bare(true).mkpath(true).external_template(false);
            Repository::init_opts(path, &options)
                .map(drop)
                .map_err(broken(&what))
        }
        Err(error) => Err(RepoError::Broken {
            what,
            source: error,
        }),
    }
}

pub(super) fn open(path: &Path) -> Result<Repository, RepoError> {
    Repository::open_bare(path).map_err(broken(&format!("open the mirror at {}", path.display())))
}

/// How often it is tried to free what a killed process left locked, and how long that waits each time.
const FREED: u32 = 20;
const MOMENT: Duration = Duration::from_millis(50);

/// The name of the file that is our own lock.
const LOCK: &str = "hallpass.lock";

/// Waits for the turn of this call. The lock ends with the value, and with the process.
pub(super) fn lock(repo: &Repository) -> Result<File, RepoError> {
    let what = "lock the mirror";
    let file = lock_file(repo.path()).map_err(broken_file(what))?;
    file.lock().map_err(broken_file(what))?;
    Ok(file)
}

fn lock_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).append(true).open(path.join(LOCK))
}

/// Removes what a process that was killed left locked: the locks of libgit2 are files, which outlive it, and nothing could be written there
/// ever again. Whoever writes holds our own lock, so that none of them is in use while we do.
fn free(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let own = lock_file(path)?;
    for _ in 0..FREED {
        match own.try_lock() {
            Ok(()) => return remove_locks(path),
            // A program that is just being started has our lock for a moment, until it lets go of what it inherits.
            Err(TryLockError::WouldBlock) => thread::sleep(MOMENT),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    // Somebody is writing, and needs theirs.
    Ok(())
}

/// Removes the locks in `folder`, and those of references below it.
fn remove_locks(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let (entry, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        let is_below = kind.is_dir() && !entry.ends_with("objects");
        if is_below {
            remove_locks(&entry)?;
        } else if entry.extension().is_some_and(|e| e == "lock") && !entry.ends_with(LOCK) {
            fs::remove_file(&entry)?;
        }
    }
    Ok(())
}

/// Files to remove.
pub(super) struct Removal {
    pub(super) onto: CommitId,
    pub(super) paths: Vec<GrantPath>,
    pub(super) message: String,
    pub(super) at: Instant,
}

/// See [`super::Mirror::commit_removal`].
pub(super) fn commit_removal(
    repo: &Repository,
    branch: &str,
    removal: &Removal,
) -> Result<Option<CommitId>, RepoError> {
    let onto = commit(repo, &removal.onto)?;
    let root = onto.tree_id();
    let written = without(repo, root, &Leaves::of(&removal.paths)).and_then(|tree| {
        let tree = match tree {
            Some(tree) => tree,
            None => repo.treebuilder(None)?.write()?,
        };
        if tree == root {
            return Ok(None);
        }
        let id = write_commit(
            &repo.odb()?,
            tree,
            Some(onto.id()),
            removal.at,
            &removal.message,
        )?;
        repo.reference(&local(branch), id, true, "removal")?;
        Ok(Some(commit_id(id)))
    });
    written.map_err(broken("commit a removal"))
}

/// A file to write, as one commit.
#[derive(Debug, Clone)]
pub struct Addition {
    /// The commit to build on.
    pub onto: CommitId,
    /// Where it is to stand. What stands there goes.
    pub path: RepoPath,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The message of the commit.
    pub message: String,
    /// The date of the commit.
    pub at: Instant,
}

/// See [`super::Mirror::commit_file`].
pub(super) fn commit_file(
    repo: &Repository,
    branch: &str,
    addition: &Addition,
) -> Result<Option<CommitId>, RepoError> {
    let onto = commit(repo, &addition.onto)?;
    let root = onto.tree_id();
    let segments: Vec<&str> = addition.path.as_str().split('/').collect();
    let written = repo.blob(&addition.bytes).and_then(|blob| {
        let tree = with(repo, Some(root), &segments, blob)?;
        if tree == root {
            return Ok(None);
        }
        let (at, message) = (addition.at, &addition.message);
        let id = write_commit(&repo.odb()?, tree, Some(onto.id()), at, message)?;
        repo.reference(&local(branch), id, true, "addition")?;
        Ok(Some(commit_id(id)))
    });
    written.map_err(broken("commit a file"))
}

/// The tree with `blob` as a regular file at the path of `segments`. What stood there, or in the way, goes.
fn with(
    repo: &Repository,
    tree: Option<Oid>,
    segments: &[&str],
    blob: Oid,
) -> Result<Oid, git2::Error> {
    let tree = tree.map(|id| repo.find_tree(id)).transpose()?;
    let mut builder = repo.treebuilder(tree.as_ref())?;
    match segments {
        [] => {}
        [name] => drop(builder.insert(name, blob, 0o100_644)?),
        [folder, below @ ..] => {
            let there = tree.as_ref().and_then(|tree| tree.get_name(folder));
            let there = there.filter(|entry| entry.kind() == Some(ObjectType::Tree));
            let within = with(repo, there.map(|entry| entry.id()), below, blob)?;
            builder.insert(folder, within, 0o040_000)?;
        }
    }
    builder.write()
}

/// Paths as a tree: what to remove, by the first segment.
#[derive(Default)]
struct Leaves<'p> {
    files: BTreeSet<&'p str>,
    folders: BTreeMap<&'p str, Leaves<'p>>,
}

impl<'p> Leaves<'p> {
    fn of(paths: &'p [GrantPath]) -> Self {
        let mut root = Self::default();
        for path in paths {
            let mut segments = path.as_str().split('/').peekable();
            let mut here = &mut root;
            while let Some(segment) = segments.next() {
                if segments.peek().is_none() {
                    here.files.insert(segment);
                    break;
                }
                here = here.folders.entry(segment).or_default();
            }
        }
        root
    }
}

/// The tree without the leaves; `None` when nothing is left of it. An entry that is missing or of another kind is left alone.
fn without(repo: &Repository, tree: Oid, leaves: &Leaves<'_>) -> Result<Option<Oid>, git2::Error> {
    let tree = repo.find_tree(tree)?;
    let mut builder = repo.treebuilder(Some(&tree))?;
    for name in &leaves.files {
        if tree
            .get_name(name)
            .is_some_and(|entry| entry.kind() != Some(ObjectType::Tree))
        {
            builder.remove(name)?;
        }
    }
    for (name, below) in &leaves.folders {
        let Some(entry) = tree
            .get_name(name)
            .filter(|entry| entry.kind() == Some(ObjectType::Tree))
        else {
            continue;
        };
        match without(repo, entry.id(), below)? {
            Some(id) => drop(builder.insert(name, id, 0o040_000)?),
            None => builder.remove(name)?,
        }
    }
    if builder.is_empty() {
        Ok(None)
    } else {
        builder.write().map(Some)
    }
}

/// Writes a commit object that depends on nothing but the arguments.
pub(super) fn write_commit(
    odb: &Odb<'_>,
    tree: Oid,
    parent: Option<Oid>,
    at: Instant,
    message: &str,
) -> Result<Oid, git2::Error> {
    let text = commit_text(tree, parent, at, message);
    odb.write(ObjectType::Commit, text.as_bytes())
}

/// The bytes of a commit object that depend on nothing but the arguments: what is signed.
pub(super) fn commit_text(tree: Oid, parent: Option<Oid>, at: Instant, message: &str) -> String {
    let mut text = format!("tree {tree}\n");
    if let Some(parent) = parent {
        text += &format!("parent {parent}\n");
    }
    // git cannot write what was before 1970.
    let seconds = at.timestamp().max(0);
    text += &format!("author {IDENTITY} {seconds} +0000\ncommitter {IDENTITY} {seconds} +0000\n\n");
    // git ends a message at a NUL, and would hide the rest.
    text += &message.replace('\0', "\u{fffd}");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Writes the commit that [`commit_text`] made, with its signature as git places it: as the last header, each further line of it
/// behind a space.
pub(super) fn write_signed(odb: &Odb<'_>, text: &str, signature: &str) -> Result<Oid, git2::Error> {
    let (headers, message) = text.split_once("\n\n").unwrap_or((text, ""));
    let signature = signature.trim_end().replace('\n', "\n ");
    let signed = format!("{headers}\ngpgsig {signature}\n\n{message}");
    odb.write(ObjectType::Commit, signed.as_bytes())
}
