//! The evidence branch: one signed commit an event, on a history of its own.
//!
//! Invariant: a key is on the branch at most once. Which keys are there is read from the branch itself; a file beside it
//! remembers the answer for the part that the remote is known to have, so that a long branch is not walked for each event. The
//! file may be lost or torn at any time: it is made again from the branch.
//!
//! Invariant: only what one of our keys signed is believed. A commit that somebody else put on the branch neither passes for an event
//! nor moves the chain of records: what is written next goes on from the last record of our own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use git2::{Mempack, ObjectType, Odb, Oid, Repository, Sort};
use ssh_key::PublicKey;

use super::history::{absent_is_none, commit_id};
use super::remote::known;
use super::signature::{self, Signers};
use super::write::{commit_text, local, write_signed};
use super::{RepoError, Told, broken, broken_file};
use crate::domain::audit::{Anchor, Signature};
use crate::domain::evidence::{self, Event, Place, Record};
use crate::domain::model::{CommitId, Instant};

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
    let keys = signers.public_keys();
    let log = Log { repo, keys: &keys };
    let mut written = match fetched {
        Some(fetched) => Index::new(&log, branch).find(fetched, &wanted)?,
        None => BTreeMap::new(),
    };
    let start = start(repo, branch, fetched)?;
    if let Some(start) = start {
        let unpushed = log
            .keys(start, fetched)
            .map_err(broken("read what is not pushed yet"))?;
        written.extend(
            unpushed
                .into_iter()
                .filter_map(|(id, key)| Some((key?, id))),
        );
    }
    write_events(&log, signers, (branch, start), events, written).map_err(broken("write evidence"))
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
    let keys = signers.public_keys();
    let log = Log { repo, keys: &keys };
    let what = || broken("read what the evidence has told since");
    let seen = seen.and_then(|seen| Oid::from_str(seen.as_str()).ok());
    // A commit that is not here any more was seen on a branch that was replaced: everything is read.
    let within = |of: Oid, commit: Oid| contains(repo, of, commit).unwrap_or(false);
    let events = match seen {
        // What was seen may wait to be pushed.
        Some(seen) if within(seen, tip) => Vec::new(),
        Some(seen) if within(tip, seen) => log.keys(tip, Some(seen)).map_err(what())?,
        _ => log.keys(tip, None).map_err(what())?,
    };
    let events = events.into_iter().map(|(id, key)| (commit_id(id), key));
    Ok(Some(Told {
        tip: commit_id(tip),
        events: events.collect(),
    }))
}

fn write_events(
    log: &Log<'_>,
    signers: &Signers,
    (branch, start): (&str, Option<Oid>),
    events: &[Event],
    mut written: BTreeMap<String, Oid>,
) -> Result<Vec<CommitId>, git2::Error> {
    let (repo, odb) = (log.repo, log.repo.odb()?);
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
        place: Place::first(),
        last_signer: None,
    };
    if let Some(start) = start {
        (chain.place, chain.last_signer) = log.end_of_chain(start)?;
    }
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
    /// Who signed the last record that is believed; `None` at the beginning, and where no key that is known did.
    last_signer: Option<PublicKey>,
}

impl Chain<'_> {
    fn add(&mut self, event: &Event) -> Result<Oid, git2::Error> {
        let current = self.signers.current();
        let before = self.last_signer.replace(current.clone());
        let changed = self.tip.is_some() && before.as_ref() != Some(current);
        if changed {
            self.change_key(before.as_ref(), event.at)?;
        }
        let signers = self.signers;
        self.write(event, |commit| signers.sign(commit))
    }

    /// Says which key signs from here on; signed by the one that did so far, so that who believes that one can believe the next.
    fn change_key(&mut self, before: Option<&PublicKey>, at: Instant) -> Result<(), git2::Error> {
        let from = before.map(signature::fingerprint);
        let event = evidence::key_changed(from.as_deref(), &self.signers.public(), at);
        let signers = self.signers;
        self.write(&event, |commit| {
            let signed = before.and_then(|_| signers.sign_as_before(commit));
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
    let Some(tip) = reference(repo, &format!("refs/heads/{branch}"))? else {
        return Ok(None);
    };
    let keys = signers.public_keys();
    let log = Log { repo, keys: &keys };
    log.last_record(tip).map_err(broken("read the last record"))
}

fn reference(repo: &Repository, name: &str) -> Result<Option<Oid>, RepoError> {
    absent_is_none(repo.refname_to_id(name)).map_err(broken(&format!("read {name}")))
}

fn contains(repo: &Repository, tip: Oid, commit: Oid) -> Result<bool, git2::Error> {
    Ok(tip == commit || repo.graph_descendant_of(tip, commit)?)
}

/// The branch, as far as it is believed.
struct Log<'r> {
    repo: &'r Repository,
    keys: &'r [&'r PublicKey],
}

impl Log<'_> {
    /// The commits from `tip` back to `seen` (without it) or the root, oldest first, with the key of each event among them that
    /// one of our keys signed.
    fn keys(&self, tip: Oid, seen: Option<Oid>) -> Result<Vec<(Oid, Option<String>)>, git2::Error> {
        let mut walk = self.repo.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        walk.push(tip)?;
        if let Some(seen) = seen {
            walk.hide(seen)?;
        }
        walk.map(|id| {
            let id = id?;
            let key = match self.signer(id)? {
                Some(_) => {
                    let commit = self.repo.find_commit(id)?;
                    event_key(&String::from_utf8_lossy(commit.message_raw_bytes()))
                }
                None => None,
            };
            Ok((id, key))
        })
        .collect()
    }

    /// Which of our keys signed a commit.
    fn signer(&self, id: Oid) -> Result<Option<&PublicKey>, git2::Error> {
        let Signature::By(signer) = signature::of(self.repo, id)? else {
            return Ok(None);
        };
        let mut keys = self.keys.iter().copied();
        Ok(keys.find(|key| signature::line(key) == signer))
    }

    /// The last record up to `tip` that one of our keys signed.
    fn last_record(&self, tip: Oid) -> Result<Option<Anchor>, git2::Error> {
        let own = self.last_own(tip)?.0.into_iter();
        let anchors = own.filter_map(|(id, bytes, _)| {
            let record = Record::read(&bytes).ok()?;
            Some(Anchor {
                seq: record.seq,
                record: evidence::digest(&bytes),
                commit: commit_id(id),
                at: record.at,
            })
        });
        Ok(anchors.max_by_key(|anchor| anchor.seq))
    }

    /// Where the chain of records goes on after `tip`, and who signed its last record: our own last one. Only where no record is
    /// signed by a key that we know does it go on from the last one that can be read at all.
    fn end_of_chain(&self, tip: Oid) -> Result<(Place, Option<PublicKey>), git2::Error> {
        let (own, fallback) = self.last_own(tip)?;
        let own = own.into_iter();
        let places = own.filter_map(|(_, bytes, signer)| Some((Place::after(&bytes)?, signer)));
        let last = places.max_by_key(|(place, _)| place.sequence);
        Ok(match last {
            Some((place, signer)) => (place, Some(signer)),
            None => (fallback.unwrap_or_else(Place::first), None),
        })
    }

    /// The records up to `tip` that one of our keys signed and that none of these follows: one, but where somebody merged. And where the
    /// chain would go on by what nobody signed.
    fn last_own(&self, tip: Oid) -> Result<(Vec<OwnRecord>, Option<Place>), git2::Error> {
        let (mut own, mut fallback) = (Vec::new(), None);
        let (mut seen, mut next) = (BTreeSet::new(), vec![tip]);
        while let Some(id) = next.pop() {
            if !seen.insert(id) {
                continue;
            }
            let commit = self.repo.find_commit(id)?;
            let bytes = record(self.repo, &commit)?;
            if let Some(bytes) = bytes.filter(|bytes| Place::after(bytes).is_some()) {
                if let Some(signer) = self.signer(id)? {
                    own.push((id, bytes, signer.clone()));
                    continue;
                }
                fallback = fallback.or_else(|| Place::after(&bytes));
            }
            // The first parent is looked at first.
            let parents: Vec<Oid> = commit.parent_ids().collect();
            next.extend(parents.into_iter().rev());
        }
        Ok((own, fallback))
    }
}

/// A commit of ours, its record, and by which key.
type OwnRecord = (Oid, Vec<u8>, PublicKey);

/// The bytes of the record that a commit holds; `None` where it holds none, or one that is larger than any that is written.
pub(super) fn record(
    repo: &Repository,
    commit: &git2::Commit<'_>,
) -> Result<Option<Vec<u8>>, git2::Error> {
    let found = record_at(repo, commit)?;
    let Some((id, _)) = found.filter(|(_, size)| *size <= evidence::LARGEST) else {
        return Ok(None);
    };
    let blob = absent_is_none(repo.find_blob(id))?;
    Ok(blob.map(|blob| blob.content().to_vec()))
}

/// Where the record of a commit is, and how many bytes it has: known before it is read.
pub(super) fn record_at(
    repo: &Repository,
    commit: &git2::Commit<'_>,
) -> Result<Option<(Oid, usize)>, git2::Error> {
    let Some(id) = commit.tree()?.get_name(RECORD).map(|entry| entry.id()) else {
        return Ok(None);
    };
    let header = absent_is_none(repo.odb()?.read_header(id))?;
    Ok(header.map(|(size, _)| (id, size)))
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
    log: &'r Log<'r>,
    path: PathBuf,
}

impl<'r> Index<'r> {
    fn new(log: &'r Log<'r>, branch: &str) -> Self {
        Self {
            log,
            path: log
                .repo
                .path()
                .join("hallpass-index")
                .join(branch.replace('/', "%")),
        }
    }

    /// The commits on `tip`'s history of those `wanted` keys that are there.
    fn find(&self, tip: Oid, wanted: &BTreeSet<&str>) -> Result<BTreeMap<String, Oid>, RepoError> {
        let what = "read the index of the evidence";
        let (end, mut found) = match self.scan(wanted) {
            Some((end, found)) if contains(self.log.repo, tip, end).unwrap_or(false) => {
                (Some(end), found)
            }
            _ => (None, BTreeMap::new()),
        };
        if end == Some(tip) {
            return Ok(found);
        }
        let added = self.log.keys(tip, end).map_err(broken(what))?;
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
