//! The evidence branch: one signed commit an event, on a history of its own.
//!
//! Invariant: a key is on the branch at most once. Which keys are there is read from the branch itself; a file beside it
//! remembers the answer for the part that the remote is known to have, so that a long branch is not walked for each event. The
//! file may be lost or torn at any time: it is made again from the branch.
//!
//! Invariant: only what one of our keys signed is believed, or one that it announced, and of a key that was replaced only what it signed
//! before. A commit that somebody else put on the branch neither passes for an event nor moves the chain of records: what is written next
//! goes on from the last record of our own.

mod index;
mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use git2::{Mempack, ObjectType, Odb, Oid, Repository};

use super::history::{absent_is_none, commit_id};
use super::remote::known;
use super::signature::Signers;
use super::write::{commit_text, local, write_signed};
use super::{RepoError, Told, broken};
use crate::domain::audit::Anchor;
use crate::domain::evidence::{self, Event, Place};
use crate::domain::model::{CommitId, Instant};
use index::Index;
use log::{End, Log};
pub(super) use log::{read_record, record, record_at};

/// From how many events on they are written as one pack, not as one file each.
const PACKED: usize = 100;

/// The event as data, in the tree of its commit.
const RECORD: &str = "record.json";

/// What stands in the tree of every commit, with the branch's name for `BRANCH`.
const README: &str = "\
# The evidence of Hallpass

This branch records who asked for access, who approved it, when it was given and when it was taken away. **Each commit is one
event**: its message is for people, `record.json` holds the same and more for machines. It shares no history with other branches and
is only ever added to.

    git log origin/BRANCH                                       # the whole story, newest first
    git log --reverse origin/BRANCH                             # as it happened
    git log --grep '^Event: granted$' origin/BRANCH             # one kind of event
    git log --grep '^Subject: person octocat$' origin/BRANCH    # one person
    git log --grep '^Grant: orders/octocat-incident' origin/BRANCH

The first line of a message is for people, the lines at its end (git calls them trailers) are for machines:

    git log --format='%aI %(trailers:key=Event,valueonly,separator=) %(trailers:key=Grant,valueonly,separator=)' \\
        origin/BRANCH
    git show COMMIT:record.json

`Event-Key:` names the event and occurs once on this branch. Author and committer date are the instant of the event.

Every commit is signed, and every record names the digest of the one before it. Ask the people who run Hallpass for their public key,
by another way than this repository, and check everything with it:

    hallpass audit verify --key evidence_key.pub

or a single commit with git alone, where the file has the line `hallpass@users.noreply.github.com ssh-ed25519 AAAA...`:

    git -c gpg.ssh.allowedSignersFile=FILE verify-commit COMMIT

`allowed_signers` beside this file is such a file. It is a convenience: who can forge a commit can forge it too.
";

/// See [`super::Mirror::append_evidence`].
pub(super) fn append(
    repo: &Repository,
    signers: &Signers,
    branch: &str,
    events: &[Event],
) -> Result<Vec<CommitId>, RepoError> {
    let fetched = reference(repo, &format!("refs/heads/{branch}"))?;
    check_growth(repo, branch, fetched)?;
    let wanted: BTreeSet<&str> = events.iter().map(|event| event.key.as_str()).collect();
    let mut log = Log::new(repo, signers);
    let mut written = match fetched {
        Some(fetched) => Index::new(repo, signers, branch).find(&mut log, fetched, &wanted)?,
        None => BTreeMap::new(),
    };
    let mut end = End::first();
    if let Some(start) = start(repo, branch, fetched)? {
        let what = "read what is not pushed yet";
        let unpushed = log.pass_to(start, fetched).map_err(broken(what))?;
        let unpushed = unpushed.into_iter();
        written.extend(unpushed.filter_map(|(id, key)| Some((key?, id))));
        end = log.end(start).map_err(broken(what))?;
    }
    let is_new = |event: &Event| !written.contains_key(&event.key);
    if let Some(by) = log.replaced_by(&signers.public())
        && !end.is_announced_by(signers)
        && events.iter().any(is_new)
    {
        return Err(RepoError::KeyReplaced {
            branch: branch.to_owned(),
            by: by.clone(),
        });
    }
    write_events(repo, signers, (branch, end), events, written).map_err(broken("write evidence"))
}

/// See [`super::Mirror::told_since`].
pub(super) fn since(
    repo: &Repository,
    signers: &Signers,
    branch: &str,
    seen: Option<&CommitId>,
) -> Result<Option<Told>, RepoError> {
    let Some(tip) = reference(repo, &format!("refs/heads/{branch}"))? else {
        return Ok(None);
    };
    let mut log = Log::new(repo, signers);
    let what = || broken("read what the evidence has told since");
    let seen = seen.and_then(|seen| Oid::from_str(seen.as_str()).ok());
    // A commit that is not here any more was seen on a branch that was replaced: everything is read.
    let within = |of: Oid, commit: Oid| contains(repo, of, commit).unwrap_or(false);
    let events = match seen {
        // What was seen may wait to be pushed.
        Some(seen) if within(seen, tip) => Vec::new(),
        Some(seen) if within(tip, seen) => {
            Index::new(repo, signers, branch).go_to(&mut log, seen)?;
            log.pass_to(tip, Some(seen)).map_err(what())?
        }
        _ => log.pass_to(tip, None).map_err(what())?,
    };
    let events = events.into_iter().map(|(id, key)| (commit_id(id), key));
    Ok(Some(Told {
        tip: commit_id(tip),
        events: events.collect(),
    }))
}

fn write_events(
    repo: &Repository,
    signers: &Signers,
    (branch, end): (&str, End),
    events: &[Event],
    mut written: BTreeMap<String, Oid>,
) -> Result<Vec<CommitId>, git2::Error> {
    let (start, odb) = (end.tip, repo.odb()?);
    let batch = if events.len() < PACKED {
        None
    } else {
        Some(odb.add_new_mempack_backend(1_000)?)
    };
    let mut chain = Chain {
        repo,
        odb: &odb,
        signers,
        readme: repo.blob(README.replace("BRANCH", branch).as_bytes())?,
        allowed: repo.blob(signers.allowed().as_bytes())?,
        tip: start,
        place: end.place,
        signer: end.signer,
    };
    let mut commits = Vec::with_capacity(events.len());
    for event in events {
        let id = match written.get(&event.key) {
            Some(id) => *id,
            None => {
                let id = chain.add(event)?;
                written.insert(event.key.clone(), id);
                id
            }
        };
        commits.push(commit_id(id));
    }
    let tip = chain.tip;
    if let Some(batch) = batch.filter(|_| tip != start) {
        save(repo, &odb, &batch)?;
    }
    if let Some(tip) = tip {
        repo.reference(&local(branch), tip, true, "evidence")?;
    }
    Ok(commits)
}

/// The end of the branch, where records are added.
struct Chain<'r> {
    repo: &'r Repository,
    odb: &'r Odb<'r>,
    signers: &'r Signers,
    readme: Oid,
    allowed: Oid,
    tip: Option<Oid>,
    place: Place,
    /// See [`End::signer`].
    signer: Option<String>,
}

impl Chain<'_> {
    fn add(&mut self, event: &Event) -> Result<Oid, git2::Error> {
        let current = self.signers.public();
        if self.signer.as_ref() != Some(&current) {
            let before = self.signer.replace(current);
            if self.tip.is_some() {
                self.change_key(before.as_deref(), event.at)?;
            }
        }
        let signers = self.signers;
        self.write(event, |commit| signers.sign(commit))
    }

    /// Says which key signs from here on; signed by the one that did so far, so that who believes that one can believe the next.
    fn change_key(&mut self, before: Option<&str>, at: Instant) -> Result<(), git2::Error> {
        let signers = self.signers;
        let from = before.and_then(|key| signers.before(key));
        let event = evidence::key_changed(from.as_deref(), &signers.public(), at);
        self.write(&event, |commit| {
            let signed = from.as_ref().and_then(|_| signers.sign_as_before(commit));
            signed.unwrap_or_else(|| signers.sign(commit))
        })
        .map(drop)
    }

    fn write(
        &mut self,
        event: &Event,
        sign: impl FnOnce(&[u8]) -> Result<String, git2::Error>,
    ) -> Result<Oid, git2::Error> {
        let sealed = evidence::seal(event, &self.place);
        let mut tree = self.repo.treebuilder(None)?;
        tree.insert("README.md", self.readme, 0o100_644)?;
        tree.insert("allowed_signers", self.allowed, 0o100_644)?;
        let record = self.odb.write(ObjectType::Blob, sealed.record.as_bytes())?;
        tree.insert(RECORD, record, 0o100_644)?;
        let text = commit_text(tree.write()?, self.tip, event.at, &sealed.message);
        let id = write_signed(self.odb, &text, &sign(text.as_bytes())?)?;
        self.place = sealed.next;
        self.tip = Some(id);
        Ok(id)
    }
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

/// The last commit of the evidence: what the remote has, or what stands on that and waits to be pushed.
pub(super) fn end(repo: &Repository, branch: &str) -> Result<Option<CommitId>, RepoError> {
    let fetched = reference(repo, &format!("refs/heads/{branch}"))?;
    Ok(start(repo, branch, fetched)?.map(commit_id))
}

/// See [`super::Mirror::evidence_head`].
pub(super) fn head(
    repo: &Repository,
    signers: &Signers,
    branch: &str,
) -> Result<Option<Anchor>, RepoError> {
    let Some((log, tip)) = log_of(repo, signers, branch)? else {
        return Ok(None);
    };
    log.last_record(tip).map_err(broken("read the last record"))
}

/// Whether the fetched branch says that another key took the place of `key`.
pub(super) fn is_replaced(
    repo: &Repository,
    signers: &Signers,
    branch: &str,
    key: &str,
) -> Result<bool, RepoError> {
    let log = log_of(repo, signers, branch)?;
    Ok(log.is_some_and(|(log, _)| log.replaced_by(key).is_some()))
}

/// The fetched branch up to its tip; `None` where there is none.
fn log_of<'r>(
    repo: &'r Repository,
    signers: &Signers,
    branch: &str,
) -> Result<Option<(Log<'r>, Oid)>, RepoError> {
    let Some(tip) = reference(repo, &format!("refs/heads/{branch}"))? else {
        return Ok(None);
    };
    let mut log = Log::new(repo, signers);
    Index::new(repo, signers, branch).go_to(&mut log, tip)?;
    Ok(Some((log, tip)))
}

fn reference(repo: &Repository, name: &str) -> Result<Option<Oid>, RepoError> {
    absent_is_none(repo.refname_to_id(name)).map_err(broken(&format!("read {name}")))
}

fn contains(repo: &Repository, tip: Oid, commit: Oid) -> Result<bool, git2::Error> {
    Ok(tip == commit || repo.graph_descendant_of(tip, commit)?)
}
