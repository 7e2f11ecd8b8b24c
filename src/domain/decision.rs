//! One pull request, judged.

use std::collections::BTreeMap;

use super::approval::Proof;
use super::catalogue::{Catalogue, ChangedFile};
use super::finding::Finding;
use super::ledger::Holding;
use super::model::{Access, BlobId, CommitId, Grant, GrantPath, Instant, PullNumber};
use super::pull::{Pull, Reviewed, Roster};

/// Everything that a verdict depends on.
#[derive(Debug)]
pub struct Case<'a> {
    /// The pull request as read.
    pub pull: &'a Pull,
    /// The branch that counts, usually `main`. A pull request to another branch is no request.
    pub protected_branch: &'a str,
    /// The commit that judges: the tip of the protected branch, or the first parent of the merge.
    pub base_commit: &'a CommitId,
    /// What that commit declares.
    pub base: &'a Catalogue,
    /// What the pull request changes, from trees: merge base to head.
    pub changes: &'a [ChangedFile],
    /// What stood at the changed paths in every reviewed commit.
    pub reviewed: &'a Reviewed,
    /// Who stands behind the owners of the changed paths.
    pub roster: &'a Roster,
    /// What the subjects hold now, by the ledger.
    pub holdings: &'a [Holding],
    /// Grants that ended or were denied and whose file still stands on the protected branch: removing exactly these needs nobody.
    pub ended: &'a BTreeMap<GrantPath, BlobId>,
    /// The time of judging.
    pub now: Instant,
}

/// What is to become of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It touches nothing that Hallpass governs.
    NotConcerned,
    /// It cannot be granted as it is: see `findings`.
    Denied,
    /// Well formed; reviews are missing: see each request.
    Waiting,
    /// Something could not be looked up; what. Denies for now and is tried again.
    Uncertain(Vec<String>),
    /// Every file has its proof (or needs none).
    Approved,
}

/// A pull request, judged.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Which one.
    pub pull: PullNumber,
    /// The commit that was judged.
    pub head: CommitId,
    /// What is to become of it.
    pub outcome: Outcome,
    /// What is wrong with its files, sorted.
    pub findings: Vec<Finding>,
    /// One for each grant file that it changes, by path.
    pub requests: Vec<Request>,
    /// Whether it changes nothing but grant files, so that Hallpass may merge it when it is approved.
    pub only_grants: bool,
}

/// One grant file of a pull request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its path.
    pub path: GrantPath,
    /// What the file says; `None` for a removal or a file that cannot be read.
    pub grant: Option<Grant>,
    /// Its blob at head; `None` for a removal.
    pub blob: Option<BlobId>,
    /// What the target would be asked to give; `None` for a removal or where a finding says why not.
    pub access: Option<Access>,
    /// What the request does to the file.
    pub change: Change,
    /// Where its approval stands.
    pub approval: Standing,
}

/// What a request does to a grant file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new file.
    Add,
    /// An existing file gets other terms; what it said before, where that could be read.
    Amend(Option<Grant>),
    /// The file goes: the access ends. What it said, where that could be read.
    Remove(Option<Grant>),
    /// A file whose access has already ended goes.
    Tidy,
}

/// Where the approval of one file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Enough owners approved exactly this content.
    Approved(Proof),
    /// Nobody needs to approve; why.
    NotNeeded(&'static str),
    /// Not yet.
    Missing(Missing),
}

/// What is missing, in words for the requester and the owners. Shaped by the owner of this module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// How many distinct owners must approve.
    pub needed: u32,
    /// How many count.
    pub have: u32,
    /// One sentence each: who can still approve, which review does not count and why, who blocks, what could not be asked.
    pub reasons: Vec<String>,
    /// What could not be looked up: makes the outcome [`Outcome::Uncertain`].
    pub unknown: Vec<String>,
}

/// What a merged pull request gives at one path: the only way to an [`Approved`] grant.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// Proved: may be granted.
    Approved(Box<Approved>),
    /// Not proved; why, one sentence each. Final for this merge: a later approval does not heal it.
    Unapproved(Vec<String>),
    /// Could not be established; why. Neither yes nor no: tried again.
    Unknown(Vec<String>),
}

/// A grant with its proof: what a provider asks to see before it gives anything. Only [`admit`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Approved {
    proof: Proof,
    grant: Grant,
    access: Access,
}

impl Approved {
    /// Who approved what.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
    /// What was asked for.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
    /// What the target system is asked to give.
    pub fn access(&self) -> &Access {
        &self.access
    }
}

/// Judges one pull request.
pub fn decide(case: &Case<'_>) -> Verdict {
    let _ = case;
    unimplemented!("decision")
}

/// Judges what a *merged* pull request put at `path`: the same rules as [`decide`], with the first parent of the merge as
/// the base and the memberships of now.
///
/// `main_blob` is what stands at the path on the protected branch: it must be what was approved.
pub fn admit(case: &Case<'_>, path: &GrantPath, main_blob: &BlobId) -> Admission {
    let _ = (case, path, main_blob);
    unimplemented!("decision")
}
