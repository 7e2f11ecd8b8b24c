//! The evidence branch: one commit an event, on a history of its own.
//!
//! Invariant: a key is on the branch at most once. Which keys are there is read from the branch itself; a file beside it
//! remembers the answer for the part that the remote is known to have, so that a long branch is not walked for each event. The
//! file may be lost or torn at any time: it is made again from the branch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use git2::{Mempack, Odb, Oid, Repository, Sort};

use super::history::{absent_is_none, commit_id};
use super::remote::known;
use super::write::{local, write_commit};
use super::{RepoError, broken, broken_file};
use crate::domain::evidence::Event;
use crate::domain::model::CommitId;

/// From how many events on they are written as one pack, not as one file each.
const PACKED: usize = 100;

/// What stands in the tree of every commit, with the branch's name for `BRANCH`.
const README: &str = "\
# The evidence of Hallpass

This branch records who asked for access, who approved it, when it was given and when it was taken away. It has no files
but this one: **each commit is one event, and its message is the record.** It shares no history with other branches and is
only ever added to.

    git log origin/BRANCH                                       # the whole story, newest first
    git log --reverse origin/BRANCH                             # as it happened
    git log --grep '^Event: granted$' origin/BRANCH             # one kind of event
    git log --grep '^Subject: person octocat$' origin/BRANCH    # one person
    git log --grep '^Grant: orders/octocat-incident' origin/BRANCH

The first line of a message is for people, the lines at its end (git calls them trailers) are for machines:

    git log --format='%aI %(trailers:key=Event,valueonly,separator=) %(trailers:key=Grant,valueonly,separator=)' \\
        origin/BRANCH
    git log -1 --format=%B COMMIT | git interpret-trailers --parse

`Event-Key:` names the event and occurs once on this branch. Author and committer date are the instant of the event.
";

/// See [`super::Mirror::append_evidence`].
pub(super) fn append(
    repo: &Repository,
    branch: &str,
    events: &[Event],
) -> Result<Vec<CommitId>, RepoError> {
    let fetched = reference(repo, &format!("refs/heads/{branch}"))?;
    check_growth(repo, branch, fetched)?;
    let wanted: BTreeSet<&str> = events.iter().map(|event| event.key.as_str()).collect();
    let mut written = match fetched {
        Some(fetched) => Index::new(repo, branch).find(fetched, &wanted)?,
        None => BTreeMap::new(),
    };
    let start = start(repo, branch, fetched)?;
    if let Some(start) = start {
        let unpushed = keys(repo, start, fetched).map_err(broken("read what is not pushed yet"))?;
        written.extend(
            unpushed
                .into_iter()
                .filter_map(|(id, key)| Some((key?, id))),
        );
    }
    write_events(repo, branch, start, events, written).map_err(broken("write evidence"))
}

fn write_events(
    repo: &Repository,
    branch: &str,
    start: Option<Oid>,
    events: &[Event],
    mut written: BTreeMap<String, Oid>,
) -> Result<Vec<CommitId>, git2::Error> {
    let mut tree = repo.treebuilder(None)?;
    tree.insert(
        "README.md",
        repo.blob(README.replace("BRANCH", branch).as_bytes())?,
        0o100_644,
    )?;
    let (tree, odb, mut tip) = (tree.write()?, repo.odb()?, start);
    let batch = if events.len() < PACKED {
        None
    } else {
        Some(odb.add_new_mempack_backend(1_000)?)
    };
    let mut commits = Vec::with_capacity(events.len());
    for event in events {
        let id = match written.get(&event.key) {
            Some(id) => *id,
            None => {
                let id = write_commit(&odb, tree, tip, event.at, &event.message)?;
                written.insert(event.key.clone(), id);
                tip = Some(id);
                id
            }
        };
        commits.push(commit_id(id));
    }
    if let Some(batch) = batch.filter(|_| tip != start) {
        save(repo, &odb, &batch)?;
    }
    if let Some(tip) = tip {
        repo.reference(&local(branch), tip, true, "evidence")?;
    }
    Ok(commits)
}

/// Writes what was kept in memory, as one pack.
fn save(repo: &Repository, odb: &Odb<'_>, batch: &Mempack<'_>) -> Result<(), git2::Error> {
    let mut pack = git2::Buf::new();
    batch.dump(repo, &mut pack)?;
    let mut writer = odb.packwriter()?;
    writer
        .write_all(&pack)
        .map_err(|error| git2::Error::from_str(&error.to_string()))?;
    writer.commit().map(drop)
}

/// Refuses to build on a remote branch that lost what it had, and remembers what it has now.
fn check_growth(repo: &Repository, branch: &str, fetched: Option<Oid>) -> Result<(), RepoError> {
    let name = known(branch);
    let Some(before) = reference(repo, &name)? else {
        return note(repo, &name, fetched);
    };
    let grown = match fetched {
        Some(now) => contains(repo, now, before).map_err(broken("compare two commits"))?,
        None => false,
    };
    if grown {
        return note(repo, &name, fetched);
    }
    let (known, found) = (commit_id(before), fetched.map(commit_id));
    Err(RepoError::Rewritten {
        branch: branch.to_owned(),
        known,
        found,
    })
}

fn note(repo: &Repository, name: &str, tip: Option<Oid>) -> Result<(), RepoError> {
    let Some(tip) = tip else { return Ok(()) };
    repo.reference(name, tip, true, "seen")
        .map(drop)
        .map_err(broken("note what the remote has"))
}

/// Where to go on: our own commits if they stand on what the remote has, otherwise what the remote has.
fn start(repo: &Repository, branch: &str, fetched: Option<Oid>) -> Result<Option<Oid>, RepoError> {
    let ours = reference(repo, &local(branch))?;
    Ok(match (ours, fetched) {
        (Some(ours), Some(fetched)) => {
            let ahead = contains(repo, ours, fetched).map_err(broken("compare two commits"))?;
            Some(if ahead { ours } else { fetched })
        }
        (ours, fetched) => fetched.or(ours),
    })
}

fn reference(repo: &Repository, name: &str) -> Result<Option<Oid>, RepoError> {
    absent_is_none(repo.refname_to_id(name)).map_err(broken(&format!("read {name}")))
}

fn contains(repo: &Repository, tip: Oid, commit: Oid) -> Result<bool, git2::Error> {
    Ok(tip == commit || repo.graph_descendant_of(tip, commit)?)
}

/// The commits from `tip` back to `seen` (without it) or the root, oldest first, with the key of each event among them.
fn keys(
    repo: &Repository,
    tip: Oid,
    seen: Option<Oid>,
) -> Result<Vec<(Oid, Option<String>)>, git2::Error> {
    let mut walk = repo.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(tip)?;
    if let Some(seen) = seen {
        walk.hide(seen)?;
    }
    walk.map(|id| {
        let id = id?;
        let commit = repo.find_commit(id)?;
        Ok((
            id,
            event_key(&String::from_utf8_lossy(commit.message_raw_bytes())),
        ))
    })
    .collect()
}

/// The value of `Event-Key:` in the last paragraph, which is where git looks for trailers. Text further up is the requester's.
fn event_key(message: &str) -> Option<String> {
    let last = message.trim_end().rsplit("\n\n").next()?;
    // The first, because Hallpass writes the key before anything that somebody else chose.
    let value = last
        .lines()
        .find_map(|line| line.strip_prefix("Event-Key:"))?;
    Some(value.trim().to_owned())
}

/// The file of keys: a line `<commit> <key>` (or `<commit>` alone) for each commit that the remote is known to have, oldest
/// first. Its last line tells how far it goes.
struct Index<'r> {
    repo: &'r Repository,
    path: PathBuf,
}

impl<'r> Index<'r> {
    fn new(repo: &'r Repository, branch: &str) -> Self {
        Self {
            repo,
            path: repo
                .path()
                .join("hallpass-index")
                .join(branch.replace('/', "%")),
        }
    }

    /// The commits on `tip`'s history of those `wanted` keys that are there.
    fn find(&self, tip: Oid, wanted: &BTreeSet<&str>) -> Result<BTreeMap<String, Oid>, RepoError> {
        let what = "read the index of the evidence";
        let (end, mut found) = match self.scan(wanted) {
            Some((end, found)) if contains(self.repo, tip, end).unwrap_or(false) => {
                (Some(end), found)
            }
            _ => (None, BTreeMap::new()),
        };
        if end == Some(tip) {
            return Ok(found);
        }
        let added = keys(self.repo, tip, end).map_err(broken(what))?;
        self.write(&added, end.is_some())
            .map_err(broken_file(what))?;
        for (id, key) in added {
            if let Some(key) = key.filter(|key| wanted.contains(key.as_str())) {
                found.entry(key).or_insert(id);
            }
        }
        Ok(found)
    }

    /// Reads the file; `None` if there is none or it is torn.
    fn scan(&self, wanted: &BTreeSet<&str>) -> Option<(Oid, BTreeMap<String, Oid>)> {
        let mut file = BufReader::new(File::open(&self.path).ok()?);
        let (mut line, mut end, mut found) = (String::new(), None, BTreeMap::new());
        while file.read_line(&mut line).ok()? > 0 {
            let (id, key) = line.strip_suffix('\n')?.split_at_checked(40)?;
            end = Some(id.to_owned());
            let key = key.trim_start();
            if wanted.contains(key) {
                found
                    .entry(key.to_owned())
                    .or_insert(Oid::from_str(id).ok()?);
            }
            line.clear();
        }
        Some((Oid::from_str(&end?).ok()?, found))
    }

    fn write(&self, added: &[(Oid, Option<String>)], append: bool) -> Result<(), std::io::Error> {
        let mut text = String::new();
        for (id, key) in added {
            text += &format!("{id} {}\n", key.as_deref().unwrap_or_default());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = File::options();
        options
            .create(true)
            .append(append)
            .write(true)
            .truncate(!append);
        options.open(&self.path)?.write_all(text.as_bytes())
    }
}
