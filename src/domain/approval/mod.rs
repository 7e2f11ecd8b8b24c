//! Reviews, owners and memberships, weighed: proof, or what is missing.
//!
//! Invariant: a [`Proof`] exists only for a path and a blob that enough distinct, current, independent owners approved. It
//! cannot be made elsewhere, copied from a database or read from a webhook.
//!
//! Invariant: doubt never helps. Taking away a fact (a failed lookup, an unknown state, a commit that cannot be read, unknown
//! pushers) can turn yes into no or into "not known", never no into yes.
//!
//! Accepted limit: an approval that was given while the pull request aimed at another branch does not count once it aims at the
//! protected one, as far as it was *seen* to aim elsewhere (`Surroundings.elsewhere`). GitHub's reviews do not say for which
//! branch they were given. Whoever retargets before anybody looked keeps the approvals; those still need owners by the protected
//! branch's CODEOWNERS and exactly the content that is there now.
//!
//! A change request blocks until its author approves or takes it back. That somebody else dismisses it, which everybody with
//! write access can, changes nothing.

mod automatic;
mod bench;
mod emergency;
mod fewest;
mod release;
mod reviews;
mod round;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::decision::Case;
use super::model::{
    Actor, BlobId, CommitId, GrantPath, Instant, Login, Owner, PullNumber, RepoPath, RoleRef,
    TermLength, UserId,
};

pub(super) use automatic::prove_by_policy;
pub use bench::{Barred, Beneficiary, Refusal};
pub(super) use bench::{Bench, Member};
pub use emergency::{prove_emergency, sign};
pub use fewest::{Group, fewest};
pub use release::release;
pub use round::{Signatures, attest};
pub(super) use words::list;

/// The shortest text of an approving review, in characters, that counts as saying why.
pub const RATIONALE_CHARACTERS: usize = 10;

/// Approval of one exact content of one path, as weighed at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    path: GrantPath,
    blob: BlobId,
    part: Option<RoleRef>,
    pull: PullNumber,
    base: CommitId,
    basis: Basis,
    approvals: Vec<Approval>,
}

/// What makes the approvals of a [`Proof`] enough.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// As many owners approved as the role demands.
    #[default]
    Owners,
    /// A policy approves by itself.
    Policy {
        /// The policy's `@id`.
        id: String,
        /// The file that holds it.
        file: RepoPath,
        /// The exact content of that file.
        blob: BlobId,
    },
    /// Break-glass: as many owners approved as the role demands in an emergency, which may be none.
    Emergency,
}

impl Proof {
    /// The path that was approved.
    pub fn path(&self) -> &GrantPath {
        &self.path
    }
    /// The content that was approved.
    pub fn blob(&self) -> &BlobId {
        &self.blob
    }
    /// The part of a bundle that its own owners approved; `None` where the file's owners approved all that it gives.
    pub fn part(&self) -> Option<&RoleRef> {
        self.part.as_ref()
    }
    /// The pull request in which it was approved.
    pub fn pull(&self) -> PullNumber {
        self.pull
    }
    /// The commit whose CODEOWNERS, resources and people judged.
    pub fn base(&self) -> &CommitId {
        &self.base
    }
    /// What makes the approvals enough.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }
    /// The approvals that counted, oldest first.
    pub fn approvals(&self) -> &[Approval] {
        &self.approvals
    }
}

/// One review that counts for one file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Approval {
    /// GitHub's number of the review.
    pub review: u64,
    /// Who gave it.
    pub reviewer: Actor,
    /// The commit that was looked at.
    pub commit: CommitId,
    /// What stood at the path there, which is what stands there now.
    pub blob: BlobId,
    /// When it was given.
    pub at: Option<Instant>,
    /// Through which owner of the deciding line the reviewer counts.
    pub through: Owner,
    /// The deciding line of CODEOWNERS, from 1.
    pub line: u32,
}

/// What the approval of one file takes.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    /// How many distinct owners must approve; 0 counts as 1.
    pub needed: u32,
    /// Whether an approving review must say why.
    pub rationale: bool,
    /// The part of a bundle that is approved by those who own such grants, and not by the owners of the file. `None`: no part.
    pub part: Option<RoleRef>,
    /// How old an approval may be when it counts; `None`: any age.
    pub max_age: Option<TermLength>,
    /// Who receives the access, and so cannot approve it.
    pub beneficiary: Beneficiary,
    /// Owners whom a policy refuses as approvers, and why. Empty: no policy does.
    pub refused: BTreeMap<UserId, Refusal>,
}

/// What is asked about one path of a pull request.
struct Question<'a> {
    path: &'a RepoPath,
    /// The path whose owners are asked: another one only for a part of a bundle, and where an emergency is signed.
    owned: &'a RepoPath,
    /// What stands there at head; `None` where the pull request removes it.
    content: Option<&'a BlobId>,
    demand: &'a Demand,
}

/// What is missing, in words for the requester and the owners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// How many distinct owners must approve.
    pub needed: u32,
    /// How many count.
    pub have: u32,
    /// One sentence each: who blocks, who can still approve, which review does not count and why, which owner is none.
    pub reasons: Vec<String>,
    /// What could not be looked up: makes the outcome [`super::decision::Outcome::Uncertain`].
    pub unknown: Vec<String>,
    /// The owners of the deciding line.
    pub owners: Vec<Owner>,
    /// The people whose approval would count and is not there yet, as far as could be looked up.
    pub candidates: BTreeSet<Login>,
    /// The owners who asked for changes and have not approved since.
    pub blocked_by: Vec<Login>,
    /// Why nobody could ever approve it as things stand: a finding.
    pub dead_end: Option<DeadEnd>,
}

/// Why a path cannot be approved, whatever the reviewers do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadEnd {
    /// The rule's name.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// Proves that `content` was approved at `path`, or says what is missing.
///
/// # Errors
/// What is missing.
pub fn prove(
    case: &Case<'_>,
    path: &GrantPath,
    content: &BlobId,
    demand: &Demand,
) -> Result<Proof, Box<Missing>> {
    let file = path.as_repo_path();
    let mut bench = match &demand.part {
        Some(part) => Bench::of_part(case, path, part, &demand.beneficiary),
        None => Bench::of(case, &file, &demand.beneficiary),
    };
    let question = Question {
        path: &file,
        owned: &bench.path().clone(),
        content: Some(content),
        demand,
    };
    bench.refuse(&demand.refused);
    let counted = weigh_before(case, &question, &bench)?;
    Ok(Proof {
        part: demand.part.clone(),
        ..proof(case, path, content, Basis::Owners, counted)
    })
}

fn proof(
    case: &Case<'_>,
    path: &GrantPath,
    content: &BlobId,
    basis: Basis,
    counted: Vec<Counted>,
) -> Proof {
    let of = |c: Counted| c.of(content);
    Proof {
        path: path.clone(),
        blob: content.clone(),
        part: None,
        pull: case.pull.number,
        base: case.base_commit.clone(),
        basis,
        approvals: counted.into_iter().map(of).collect(),
    }
}

/// A review that counts, whether for a content or for a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// GitHub's number of the review.
    pub review: u64,
    /// Who gave it.
    pub reviewer: Actor,
    /// The commit that was looked at.
    pub commit: CommitId,
    /// When it was given.
    pub at: Option<Instant>,
    /// Through which owner the reviewer counts.
    pub through: Owner,
    /// The deciding line of CODEOWNERS, from 1.
    pub line: u32,
}

impl Counted {
    /// The review, as an approval of `content`.
    fn of(self, content: &BlobId) -> Approval {
        Approval {
            review: self.review,
            reviewer: self.reviewer,
            commit: self.commit,
            blob: content.clone(),
            at: self.at,
            through: self.through,
            line: self.line,
        }
    }
}

/// Weighs the reviews of a pull request for one path, where `content` stands at head (`None`: it goes). Returns the reviews
/// that count, oldest first, if they are enough.
///
/// # Errors
/// What is missing.
pub fn weigh(
    case: &Case<'_>,
    path: &RepoPath,
    content: Option<&BlobId>,
    demand: &Demand,
) -> Result<Vec<Counted>, Box<Missing>> {
    let question = &Question {
        path,
        owned: path,
        content,
        demand,
    };
    let mut bench = Bench::of(case, path, &demand.beneficiary);
    bench.refuse(&demand.refused);
    weigh_before(case, question, &bench)
}

/// [`weigh`] for the removal of the file at `path`, by the owners of one part of the bundle that it gives.
///
/// # Errors
/// What is missing.
pub(super) fn weigh_removal_of_part(
    case: &Case<'_>,
    path: &GrantPath,
    part: &RoleRef,
) -> Result<Vec<Counted>, Box<Missing>> {
    let demand = &Demand::default();
    let bench = Bench::of_part(case, path, part, &demand.beneficiary);
    let question = Question {
        path: &path.as_repo_path(),
        owned: bench.path(),
        content: None,
        demand,
    };
    weigh_before(case, &question, &bench)
}

/// [`weigh`], before a bench that may be another path's.
fn weigh_before(
    case: &Case<'_>,
    question: &Question<'_>,
    bench: &Bench<'_>,
) -> Result<Vec<Counted>, Box<Missing>> {
    let demand = question.demand;
    let heard = reviews::hear(case, question, bench);
    let needed = demand.needed.max(1);
    let have = u32::try_from(heard.counted.len()).unwrap_or(u32::MAX);
    if have >= needed && heard.blocks.is_empty() && heard.unknown.is_empty() {
        return Ok(heard.counted);
    }
    let mut unknown = bench.unknown().to_vec();
    unknown.extend(heard.unknown);
    let dead_end = if unknown.is_empty() {
        words::dead_end(case, question, bench)
    } else {
        None
    };
    let mut reasons = words::blocks(&heard.blocks);
    let taken: Vec<_> = heard.counted.iter().map(|c| c.reviewer.id).collect();
    if have < needed && dead_end.is_none() {
        reasons.push(words::still_needed(needed - have, bench, &taken));
        reasons.extend(words::not_yet(
            case,
            question,
            bench,
            (needed - have, &taken),
        ));
    }
    reasons.extend(heard.discounted);
    reasons.extend(bench.absent().iter().cloned());
    Err(Box::new(Missing {
        needed,
        have,
        reasons,
        unknown,
        owners: bench.owners().to_vec(),
        candidates: bench.free(&taken).map(|m| m.actor.login.clone()).collect(),
        blocked_by: heard.blocks.into_iter().map(|b| b.login).collect(),
        dead_end,
    }))
}
