//! What of the branch is believed, and where its chain of records goes on.

use std::collections::BTreeSet;

use git2::{Oid, Repository, Sort};

use super::super::history::{absent_is_none, commit_id};
use super::super::signature::{self, Signers};
use super::RECORD;
use crate::domain::audit::{Anchor, Signature, Trust};
use crate::domain::evidence::{self, Place, Record};
use crate::domain::model::CommitId;

/// The branch up to one commit. Whether a later one is believed depends on what stands before it, so that all are gone past, oldest first.
pub(super) struct Log<'r> {
    repo: &'r Repository,
    trust: Trust,
}

/// Where records are added.
pub(super) struct End {
    /// The last commit, whoever made it.
    pub tip: Option<Oid>,
    /// What comes next.
    pub place: Place,
    /// Who signs what comes next, by the last record that is believed; `None` at the beginning, and where no record is.
    pub signer: Option<String>,
}

impl End {
    /// Where there is no branch yet.
    pub fn first() -> Self {
        Self {
            tip: None,
            place: Place::first(),
            signer: None,
        }
    }

    /// Whether who signed so far can announce the key in use.
    pub fn is_announced_by(&self, signers: &Signers) -> bool {
        let before = self.signer.as_deref();
        before.is_some_and(|key| signers.before(key).is_some())
    }
}

impl<'r> Log<'r> {
    /// Before the first commit.
    pub fn new(repo: &'r Repository, signers: &Signers) -> Self {
        Self {
            repo,
            trust: Trust::new(signers.believed()),
        }
    }

    /// The commit up to here from which on another key signs than `key`.
    pub fn replaced_by(&self, key: &str) -> Option<&CommitId> {
        self.trust.replaced(key)
    }

    /// Goes on from `seen` (or from before the root) to `tip`: the commits between, oldest first, with the key of each event among them
    /// that is believed.
    pub fn pass_to(
        &mut self,
        tip: Oid,
        seen: Option<Oid>,
    ) -> Result<Vec<(Oid, Option<String>)>, git2::Error> {
        let commits = self.between(tip, seen)?;
        self.pass(&commits)
    }

    /// Goes past the next commits, as [`Log::between`] tells them.
    pub fn pass(&mut self, commits: &[Oid]) -> Result<Vec<(Oid, Option<String>)>, git2::Error> {
        let commits = commits.iter();
        commits.map(|id| Ok((*id, self.event(*id)?))).collect()
    }

    /// The same where what happened does not matter, only who is believed behind it: few signatures are looked at.
    pub fn skip(&mut self, tip: Oid, seen: Option<Oid>) -> Result<(), git2::Error> {
        let mut between = Vec::new();
        for id in self.between(tip, seen)? {
            if self.announces(id)? {
                self.last_of(&between)?;
                between.clear();
                self.event(id)?;
            } else {
                between.push(id);
            }
        }
        self.last_of(&between)
    }

    /// Goes past the last of `commits` that is believed: whoever signed it is replaced by who announces itself next.
    fn last_of(&mut self, commits: &[Oid]) -> Result<(), git2::Error> {
        for id in commits.iter().rev() {
            if self.event(*id)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Goes past these commits, which stand for all up to the last of them.
    pub fn recall(&mut self, commits: &[Oid]) -> Result<(), git2::Error> {
        commits.iter().try_for_each(|id| self.event(*id).map(drop))
    }

    /// The commits from `seen` (without it) or the root to `tip`, oldest first.
    pub fn between(&self, tip: Oid, seen: Option<Oid>) -> Result<Vec<Oid>, git2::Error> {
        let mut walk = self.repo.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        walk.push(tip)?;
        if let Some(seen) = seen {
            walk.hide(seen)?;
        }
        walk.collect()
    }

    /// Goes past one commit. The key of its event, where it is believed.
    fn event(&mut self, id: Oid) -> Result<Option<String>, git2::Error> {
        let Some(signer) = self.signer(id)? else {
            return Ok(None);
        };
        if !self.trust.believes(&signer) {
            return Ok(None);
        }
        let key = self.key(id)?;
        let announced = key.as_deref().and_then(evidence::announced);
        self.trust.pass(&commit_id(id), &signer, announced);
        Ok(key)
    }

    fn announces(&self, id: Oid) -> Result<bool, git2::Error> {
        let key = self.key(id)?;
        Ok(key.as_deref().and_then(evidence::announced).is_some())
    }

    fn key(&self, id: Oid) -> Result<Option<String>, git2::Error> {
        let commit = self.repo.find_commit(id)?;
        let message = String::from_utf8_lossy(commit.message_raw_bytes());
        Ok(event_key(&message))
    }

    fn signer(&self, id: Oid) -> Result<Option<String>, git2::Error> {
        Ok(match signature::of(self.repo, id)? {
            Signature::By(signer) => Some(signer),
            Signature::Missing | Signature::Wrong => None,
        })
    }

    /// The last record up to `tip`, where this stands, that is believed.
    pub fn last_record(&self, tip: Oid) -> Result<Option<Anchor>, git2::Error> {
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

    /// Where the chain of records goes on after `tip`, where this stands: behind our own last one. Only where none is believed does it go
    /// on from the last one that can be read at all.
    pub fn end(&self, tip: Oid) -> Result<End, git2::Error> {
        let (own, fallback) = self.last_own(tip)?;
        let own = own.into_iter();
        let ends = own.filter_map(|(id, bytes, signer)| Some((Place::after(&bytes)?, id, signer)));
        let last = ends.max_by_key(|(place, _, _)| place.sequence);
        let (place, signer) = match last {
            Some((place, id, signer)) => {
                let key = self.key(id)?;
                let announced = key.as_deref().and_then(evidence::announced);
                (place, Some(announced.map_or(signer, str::to_owned)))
            }
            None => (fallback.unwrap_or_else(Place::first), None),
        };
        Ok(End {
            tip: Some(tip),
            place,
            signer,
        })
    }

    /// The records up to `tip` that are believed and that none of these follows: one, but where somebody merged. And where the chain
    /// would go on by what nobody signed.
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
                if let Some(signer) = self.signer(id)?.filter(|key| self.counts(id, key)) {
                    own.push((id, bytes, signer));
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

    /// Whether what `key` signed counts, looking back: the last record of a key that was replaced is the one that replaced it.
    fn counts(&self, id: Oid, key: &str) -> bool {
        let by = self.trust.replaced(key);
        self.trust.believes(key) || by.is_some_and(|by| *by == commit_id(id))
    }
}

/// A commit of ours, its record, and by which key.
type OwnRecord = (Oid, Vec<u8>, String);

/// The bytes of the record that a commit holds; `None` where it holds none, or one that is larger than any that is written.
pub(in super::super) fn record(
    repo: &Repository,
    commit: &git2::Commit<'_>,
) -> Result<Option<Vec<u8>>, git2::Error> {
    read_record(repo, record_at(repo, commit)?)
}

/// The bytes of the record that [`record_at`] found, where they are not too many.
pub(in super::super) fn read_record(
    repo: &Repository,
    found: Option<(Oid, usize)>,
) -> Result<Option<Vec<u8>>, git2::Error> {
    let Some((id, _)) = found.filter(|(_, size)| *size <= evidence::LARGEST) else {
        return Ok(None);
    };
    let blob = absent_is_none(repo.find_blob(id))?;
    Ok(blob.map(|blob| blob.content().to_vec()))
}

/// Where the record of a commit is, and how many bytes it has: known before it is read.
pub(in super::super) fn record_at(
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
