//! One pull request, judged.
//!
//! [`decide`] judges it while it is open, [`admit`] what its merge put on the protected branch; both by the same rules, from
//! the same kind of facts. Nothing is remembered between two calls: whoever left a team meanwhile no longer counts.
//!
//! Invariant: an [`Approved`] grant exists only with a [`Proof`] for exactly the content that stands on the protected branch.

mod admission;
mod conflicts;
mod doubt;
mod eligible;
mod emergency;
mod judge;
mod membership;
mod policy;
mod release;
mod renewal;
mod round;
mod scope;
mod surroundings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::approval::{Approval, Proof};
use super::catalogue::Catalogue;
use super::changes::Changes;
use super::emergency::Emergency;
use super::finding::{Finding, Severity};
use super::impact::{self, Impact, Known};
use super::ledger::{Entry, Holding};
use super::model::{
    Access, BlobId, CommitId, Grant, GrantId, GrantPath, Instant, PullNumber, RepoPath, RoleRef,
    Subject, TermLength, UserId,
};
use super::people::Receiver;
use super::pull::{Pull, PullState, Reviewed, Roster};
use super::release::Hold;

pub use super::approval::Missing;
pub use eligible::MayAsk;
pub use round::Answered;
pub use surroundings::{PAST, Pending, Surroundings};

/// What is asked for: for whom, and which roles, bundles and what they bundle.
pub type Asks = BTreeSet<(Subject, RoleRef)>;

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
    /// What the pull request changes, from trees: merge base to head. Shared, as it is read once and looked at by many.
    pub changes: Arc<Changes>,
    /// What stood at the changed paths in every reviewed commit.
    pub reviewed: &'a Reviewed,
    /// Who stands behind the owners of the changed paths.
    pub roster: &'a Roster,
    /// What the subjects hold now, by the ledger.
    pub holdings: &'a [Holding],
    /// Grants that ended or were denied and whose file still stands on the protected branch: removing exactly these needs nobody,
    /// and they stand in nobody's way. Of the files that the pull request removes, and of those that give its subjects the roles
    /// that it asks for or roles that exclude them; of whatever gives them anything, where a policy asks.
    pub ended: &'a BTreeMap<GrantPath, BlobId>,
    /// Everything else that the service knows and a clone does not.
    pub around: &'a Surroundings,
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
    /// What could not be looked up, beside what the approval of each file waits for: a sentence each.
    pub unknown: Vec<String>,
    /// One for each grant file that it changes, by path; of a file that asks for a bundle, one for each part, side by side.
    pub requests: Vec<Request>,
    /// One for each other governed file that it changes, by path.
    pub control: Vec<Control>,
    /// The review of an emergency, where that is all that it is.
    pub sign_off: Option<SignOff>,
    /// The release of what the brake holds, where that is all that it is.
    pub release: Option<LettingGo>,
    /// The answers to an access review, where that is all that it is.
    pub answered: Option<Answered>,
    /// What a change of the files that decide would do to live grants; `None` for any other change. Decides nothing.
    pub impact: Option<Impact>,
    /// Sentences about the pull request as a whole: why it is not granted although nothing is wrong with its files.
    pub notes: Vec<String>,
    /// Whether it changes nothing but grant files, so that Hallpass may merge it when it is approved.
    pub only_grants: bool,
}

/// What one grant file of a pull request asks for; where it asks for a bundle, one part of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The path of the file.
    pub path: GrantPath,
    /// The role that is asked for: the file's, or one of those that the file's role bundles. `None` for a removal or a file that
    /// cannot be read.
    pub role: Option<RoleRef>,
    /// The bundle that the role is asked for with: the file's role. `None` where it is asked for by itself.
    pub bundle: Option<RoleRef>,
    /// What the file says; `None` for a removal or a file that cannot be read.
    pub grant: Option<Grant>,
    /// Its blob at head; `None` for a removal.
    pub blob: Option<BlobId>,
    /// What the target would be asked to give; `None` for a removal or where a finding says why not.
    pub access: Option<Access>,
    /// Who receives the access, or answers for the service that does: nobody of them can approve it.
    pub receivers: Vec<UserId>,
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

/// One governed file that is no grant: it decides who decides, or by what rules.
#[derive(Debug, Clone)]
pub struct Control {
    /// Its path. May be hostile.
    pub path: String,
    /// What is missing for the approval of one of its owners; `None` where one has approved.
    pub missing: Option<Missing>,
}

/// The review of one emergency, which an owner of the grant's file signs by approving its record.
#[derive(Debug, Clone)]
pub struct SignOff {
    /// What was given.
    pub emergency: Emergency,
    /// The approval that signs it; or what is missing.
    pub signed: Result<Approval, Box<Missing>>,
}

/// The release of removals that are held, which two owners of everything concerned give by approving its record.
#[derive(Debug, Clone)]
pub struct LettingGo {
    /// What is held.
    pub hold: Hold,
    /// The approvals that release it; or what is missing.
    pub released: Result<Vec<Approval>, Box<Missing>>,
}

/// What a merged pull request gives at one path: the only way to an [`Approved`] grant.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// Proved: may be granted.
    Approved(Box<Approved>),
    /// A bundle, proved in every part: each becomes a grant of its own.
    Bundle(Vec<Approved>),
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
    role: RoleRef,
    access: Access,
    review_within: Option<TermLength>,
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
    /// The role that it gives: the file's, or one of those that the file's role bundles.
    pub fn role(&self) -> &RoleRef {
        &self.role
    }
    /// What the target system is asked to give.
    pub fn access(&self) -> &Access {
        &self.access
    }
    /// The same for exactly the account, and of exactly the thing, that go by these ids at the target: what goes on with access that is
    /// held must not become the access of whoever has the name by now.
    #[must_use]
    pub fn bound(&self, account_id: Option<String>, entitlement_id: Option<String>) -> Self {
        let mut bound = self.clone();
        bound.access.account.id = account_id;
        bound.access.entitlement_id = entitlement_id;
        bound
    }
    /// Who is to receive it.
    pub fn receiver(&self) -> Receiver {
        Receiver {
            subject: self.grant.subject.clone(),
            github_id: self.access.account.github_id,
        }
    }
    /// How soon after it was given an owner must have reviewed it; `None` where owners or a policy approved it beforehand.
    pub fn review_within(&self) -> Option<TermLength> {
        self.review_within
    }
}

impl Request {
    /// The part of a bundle that it is; `None` for a role that is asked for by itself, and for a removal.
    pub fn part(&self) -> Option<&RoleRef> {
        self.role.as_ref().filter(|_| self.bundle.is_some())
    }

    /// What it is called in evidence, before there is a grant: `<resource>/<name>#<pull>`, with the part of a bundle after `+`.
    pub fn name(&self, pull: PullNumber) -> String {
        let name = self.path.request(pull);
        match self.part() {
            Some(part) => format!("{name}+{}.{}", part.resource, part.role),
            None => name,
        }
    }

    /// The roles whose limits bind it: the one that is asked for, and the bundle that it is asked for with.
    pub fn binding(&self) -> impl Iterator<Item = &RoleRef> {
        self.role.iter().chain(&self.bundle)
    }
}

impl Verdict {
    /// What is wrong and denies: the findings that are more than warnings.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        let denies = |f: &&Finding| f.severity == Severity::Error;
        self.findings.iter().filter(denies)
    }

    /// What is missing anywhere, grant files first.
    pub fn missing(&self) -> impl Iterator<Item = &Missing> {
        let grants = self.requests.iter().filter_map(|r| match &r.approval {
            Standing::Missing(missing) => Some(missing),
            Standing::Approved(_) | Standing::NotNeeded(_) => None,
        });
        let control = self.control.iter().filter_map(|c| c.missing.as_ref());
        let record = self.record().into_iter();
        grants
            .chain(control)
            .chain(record.flat_map(|(_, missing)| missing))
    }

    /// The record of ours that the pull request brings for a signature, if that is all that it is: its path, and what is missing there.
    pub fn record(&self) -> Option<(RepoPath, Vec<&Missing>)> {
        let sign_off = self.sign_off.as_ref().map(|of| {
            let missing = of.signed.as_ref().err().map(|m| &**m);
            let path = of.emergency.record_path().as_repo_path();
            (path, missing.into_iter().collect())
        });
        let release = || {
            let of = self.release.as_ref()?;
            let missing = of.released.as_ref().err().map(|m| &**m);
            let path = of.hold.record_path().as_repo_path();
            Some((path, missing.into_iter().collect()))
        };
        let answered = || {
            let of = self.answered.as_ref()?;
            let missing = of.signed.as_ref().err().into_iter().flatten();
            Some((of.sheet.record_path().as_repo_path(), missing.collect()))
        };
        sign_off.or_else(release).or_else(answered)
    }
}

/// Judges one pull request.
pub fn decide(case: &Case<'_>) -> Verdict {
    let mut verdict = judge::judge(case);
    if !verdict.control.is_empty() && impact::decides(&case.changes) {
        let known = Known {
            ended: case.ended,
            held: &case.around.held,
            now: case.now,
        };
        verdict.impact = Some(impact::impact(case.base, &case.changes, &known));
    }
    let note = match &case.pull.state {
        PullState::Closed => {
            "This pull request is closed. Reopen it, or open a new one, to ask again."
        }
        PullState::Open if case.pull.draft => {
            "This pull request is a draft: it is checked, but never granted. Mark it as ready for review."
        }
        PullState::Open | PullState::Merged { .. } => return verdict,
    };
    if verdict.outcome != Outcome::NotConcerned {
        verdict.notes.push(note.to_owned());
    }
    if verdict.outcome == Outcome::Approved {
        verdict.outcome = Outcome::Waiting;
    }
    verdict
}

/// Judges what a *merged* pull request put at `path`: the same rules as [`decide`], with the first parent of the merge as
/// the base and the memberships of now.
///
/// `main_blob` is what stands at the path on the protected branch: it must be what was approved.
pub fn admit(case: &Case<'_>, path: &GrantPath, main_blob: &BlobId) -> Admission {
    let files = BTreeMap::from([(path.clone(), main_blob.clone())]);
    let never = || Admission::Unapproved(vec!["It was not judged.".to_owned()]);
    admit_all(case, &files).remove(path).unwrap_or_else(never)
}

/// [`admit`] for every file that one merge brought, judging the pull request once.
pub fn admit_all(
    case: &Case<'_>,
    files: &BTreeMap<GrantPath, BlobId>,
) -> BTreeMap<GrantPath, Admission> {
    let verdict = judge::judge(case);
    let refused = refused(case, &verdict);
    let one = |(path, main_blob): (&GrantPath, &BlobId)| {
        let of_file = || admission::of_file(case, &verdict, path, main_blob);
        (path.clone(), refused.clone().unwrap_or_else(of_file))
    };
    files.iter().map(one).collect()
}

/// [`admit_all`] for what the ledger has of one merge: files, and parts of bundles that have become entries already. With what
/// [`decide`] says of it, so that it is judged once.
pub fn admit_entries(
    case: &Case<'_>,
    entries: &[Entry],
) -> (Verdict, BTreeMap<GrantId, Admission>) {
    let verdict = decide(case);
    let refused = refused(case, &verdict);
    let one = |entry: &Entry| {
        let given = || match &entry.part {
            None => admission::of_file(case, &verdict, &entry.path, &entry.blob),
            Some(part) => admission::of_part(case, &verdict, (&entry.path, part), &entry.blob),
        };
        (entry.id.clone(), refused.clone().unwrap_or_else(given))
    };
    let admissions = entries.iter().map(one).collect();
    (verdict, admissions)
}

/// Why nothing that a pull request holds is given.
fn refused(case: &Case<'_>, verdict: &Verdict) -> Option<Admission> {
    let why = unmerged(case).map(|why| vec![why]);
    why.or_else(|| denied(verdict)).map(Admission::Unapproved)
}

fn unmerged(case: &Case<'_>) -> Option<String> {
    let pull = case.pull;
    if !matches!(pull.state, PullState::Merged { .. }) {
        return Some(format!("Pull request #{} is not merged.", pull.number));
    }
    (pull.base_branch != case.protected_branch).then(|| {
        format!(
            "Pull request #{} was merged into another branch than `{}`.",
            pull.number, case.protected_branch
        )
    })
}

fn denied(verdict: &Verdict) -> Option<Vec<String>> {
    // That nobody can approve one file, or one part, is a matter of that alone: see `admission`.
    let own = |f: &&Finding| {
        let is_end = |m: &Missing| m.dead_end.as_ref().is_some_and(|end| end.rule == f.rule);
        let missing = |r: &Request| matches!(&r.approval, Standing::Missing(m) if is_end(m));
        let mut requests = verdict.requests.iter();
        requests.any(|r| r.path.as_str() == f.path && missing(r))
    };
    let errors: Vec<String> = verdict
        .errors()
        .filter(|finding| !own(finding))
        // Without the message, which may quote what somebody wrote: reasons are written down for ever.
        .map(|f| format!("{} at {}:{}:{}", f.rule, f.path, f.line, f.column))
        .collect();
    (!errors.is_empty()).then_some(errors)
}
