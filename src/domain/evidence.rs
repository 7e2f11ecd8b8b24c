//! What is written down: one event for each transition, as one commit message.
//!
//! A message is a subject line that a person can read, and trailers for machines (`git interpret-trailers --parse`).
//!
//! Invariant: an event's key names the transition. The same transition seen twice (a retry, a replayed webhook, a rebuilt
//! store) has the same key, and is written once.
//!
//! Invariant: untrusted free text (reasons, review bodies, titles) is not in here; what a target system answered is, on one
//! line, without control characters and without characters that cannot be seen.

mod calling_off;
mod deployment;
mod draft;
mod drift;
mod held;
mod record;
mod review;
mod round;
mod service;
mod system;
mod verdict;

use super::approval::Basis;
use super::ledger::{Entry, Granted, Revoked, Terms};
use super::model::{Actor, CommitId, GrantId, Instant};

pub use calling_off::called_off;
pub use deployment::{deployment_approved, deployment_waiting};
use draft::{Draft, actor_word, precise};
pub use draft::{approved_by, approved_by_policy, instant, subject_word};
pub use drift::{drift_over, drift_removed, drifted};
pub use held::{held, hold_over, release_unsigned, released};
pub use record::{
    DecidedOn, Judged, LARGEST, Membership, Place, Record, Sealed, Vote, Who, canonical, digest,
    seal,
};
pub use review::{review_overdue, review_unsigned, reviewed};
pub use round::{
    ReviewLine, review_answers_unsigned, review_asked, review_completed, review_lapsed,
    review_opened,
};
pub use service::{adopted, orphaned};
pub use system::{
    Arrived, anchored, announced, first_look, is_of_the_chain, key_changed, landed, recovered,
    safe_mode_entered, safe_mode_left, started, stopped,
};
pub use verdict::of_verdict;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A pull request asks for access.
    Requested,
    /// A pull request was refused as it stands; its rules are named.
    Denied,
    /// A review counts for a file, or a policy approves it by itself.
    Approved,
    /// Access was given and read back.
    Granted,
    /// Access that was held got new terms.
    Renewed,
    /// Access was not given because the account has it from elsewhere.
    Blocked,
    /// Somebody ended access at once: it is due from here on.
    CalledOff,
    /// Access was taken and read back.
    Revoked,
    /// A grant ended before anything was given.
    Cancelled,
    /// The file of an ended grant is gone from the protected branch.
    Reverted,
    /// A file reached the protected branch without the approval that it needs.
    MergedWithoutProof,
    /// Nobody is accountable any more for a service that holds access.
    Orphaned,
    /// Somebody is accountable again for a service that holds access.
    Adopted,
    /// An owner signed the review of an emergency.
    Reviewed,
    /// The record of an emergency was merged without an owner's signature.
    ReviewUnsigned,
    /// Nobody signed the review of an emergency in time.
    ReviewOverdue,
    /// A target system holds something else than the ledger says.
    Drifted,
    /// A target system agrees with the ledger again.
    DriftOver,
    /// What was given outside was taken away, because its resource says so.
    DriftRemoved,
    /// Removals that are only inferred are too many to be believed, and wait for two owners.
    Held,
    /// Two owners released what was held.
    Released,
    /// The record of a release was merged without the approval of two owners.
    ReleaseUnsigned,
    /// What was held is not held back any more, and nobody released it: files came back, or it ended by time.
    HoldOver,
    /// Another key signs the evidence from here on.
    KeyChanged,
    /// The protected branch was looked at for the first time.
    FirstLook,
    /// A commit of the protected branch changed who has access, or who decides.
    Landed,
    /// A deployment waits for a grant, and whoever started it was told how to ask.
    DeploymentWaiting,
    /// A deployment was let through by a grant.
    DeploymentApproved,
    /// The service began to work.
    Started,
    /// The service ended in order.
    Stopped,
    /// Nothing is given any more until a contradiction is settled; or it is settled.
    SafeMode,
    /// An access review began: owners are asked who keeps access that lasts long.
    AccessReviewOpened,
    /// Owners signed what becomes of the grants that they were asked about.
    AccessReviewCompleted,
    /// Nobody answered in time.
    AccessReviewLapsed,
    /// Answers were merged without an owner's signature.
    AccessReviewUnsigned,
    /// Where the evidence ends was said at a place outside.
    Anchored,
    /// Owners were asked what becomes of some grants: in a pull request, until an instant.
    AccessReviewAsked,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 37] = [
        Self::Requested,
        Self::Denied,
        Self::Approved,
        Self::Granted,
        Self::Renewed,
        Self::Blocked,
        Self::CalledOff,
        Self::Revoked,
        Self::Cancelled,
        Self::Reverted,
        Self::MergedWithoutProof,
        Self::Orphaned,
        Self::Adopted,
        Self::Reviewed,
        Self::ReviewUnsigned,
        Self::ReviewOverdue,
        Self::Drifted,
        Self::DriftOver,
        Self::DriftRemoved,
        Self::Held,
        Self::Released,
        Self::ReleaseUnsigned,
        Self::HoldOver,
        Self::KeyChanged,
        Self::FirstLook,
        Self::Landed,
        Self::DeploymentWaiting,
        Self::DeploymentApproved,
        Self::Started,
        Self::Stopped,
        Self::SafeMode,
        Self::AccessReviewOpened,
        Self::AccessReviewCompleted,
        Self::AccessReviewLapsed,
        Self::AccessReviewUnsigned,
        Self::Anchored,
        Self::AccessReviewAsked,
    ];

    /// The kind that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The word in the `Event:` trailer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Denied => "denied",
            Self::Approved => "approved",
            Self::Granted => "granted",
            Self::Renewed => "renewed",
            Self::Blocked => "blocked",
            Self::CalledOff => "called-off",
            Self::Revoked => "revoked",
            Self::Cancelled => "cancelled",
            Self::Reverted => "reverted",
            Self::MergedWithoutProof => "merged-without-proof",
            Self::Orphaned => "orphaned",
            Self::Adopted => "adopted",
            Self::Reviewed => "reviewed",
            Self::ReviewUnsigned => "review-unsigned",
            Self::ReviewOverdue => "review-overdue",
            Self::Drifted => "drift",
            Self::DriftOver => "drift-over",
            Self::DriftRemoved => "drift-removed",
            Self::Held => "held",
            Self::Released => "released",
            Self::ReleaseUnsigned => "release-unsigned",
            Self::HoldOver => "hold-over",
            Self::KeyChanged => "key-changed",
            Self::FirstLook => "first-look",
            Self::Landed => "landed",
            Self::DeploymentWaiting => "deployment-waiting",
            Self::DeploymentApproved => "deployment-approved",
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::SafeMode => "safe-mode",
            Self::AccessReviewOpened => "access-review-opened",
            Self::AccessReviewCompleted => "access-review-completed",
            Self::AccessReviewLapsed => "access-review-lapsed",
            Self::AccessReviewUnsigned => "access-review-unsigned",
            Self::Anchored => "anchored",
            Self::AccessReviewAsked => "access-review-asked",
        }
    }
}

impl serde::Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&word)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown kind of event {word:?}")))
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Names the transition; unique for ever.
    pub key: String,
    /// What happened.
    pub kind: Kind,
    /// When.
    pub at: Instant,
    /// The commit message: subject line, trailers. Its place in the chain is not in it yet.
    pub message: String,
    /// The same as data, and more: what machines read. Its place in the chain is not in it yet.
    pub record: serde_json::Map<String, serde_json::Value>,
}

/// A file reached the protected branch without the approval that it needs.
pub fn merged_without_proof(
    entry: &Entry,
    reasons: &[String],
    merged_by: Option<&Actor>,
    at: Instant,
) -> Event {
    let subject = format!(
        "Merged without proof: {} is not granted",
        entry.path.short()
    );
    let key = format!("merged-without-proof:{}", entry.id);
    let draft = arrival(
        Draft::new(Kind::MergedWithoutProof, key, at, &subject),
        entry,
    )
    .maybe("Actor", merged_by.map(|a| actor_word(Some(a))));
    let draft = match &entry.asked {
        Some(wanted) => draft
            .line("Subject", subject_word(&wanted.subject))
            .line("Role", wanted.role.to_string()),
        None => draft,
    };
    draft.lines("Missing", reasons.iter().take(20)).finish()
}

fn arrival(draft: Draft, entry: &Entry) -> Draft {
    draft
        .line("Grant", entry.id.as_str())
        .file(&entry.path, &entry.blob)
        .pull(entry.arrival.pull)
        .line("Merge", entry.arrival.commit.as_str())
        .line("Merged-at", instant(entry.arrival.at))
}

fn about(kind: Kind, word: &str, entry: &Entry, at: Instant, sentence: &str) -> Draft {
    let draft = arrival(
        Draft::new(kind, format!("{word}:{}", entry.id), at, sentence),
        entry,
    )
    .line("Actor", "hallpass");
    match &entry.terms {
        Some(terms) => draft.terms(terms),
        None => draft,
    }
}

/// From `due` to `at`; 0 where it was early.
fn milliseconds(due: Instant, at: Instant) -> u64 {
    u64::try_from((at - due).num_milliseconds()).unwrap_or(0)
}

fn who_what(entry: &Entry) -> String {
    match &entry.terms {
        Some(terms) => format!("{} on {}", terms.subject, terms.role),
        None => entry.path.short().to_owned(),
    }
}

/// How access was given.
#[derive(Debug, Clone, Copy)]
pub struct Giving<'a> {
    /// What the decision went by.
    pub on: &'a DecidedOn,
    /// What the target said.
    pub answer: &'a Granted,
    /// The grant at the same path whose terms it takes over.
    pub replaces: Option<&'a GrantId>,
    /// How long something may still work after a removal: [`super::target::Kind::residual`].
    pub residual: &'a str,
    /// When the call began.
    pub called_at: Instant,
}

/// Access was given and read back.
pub fn granted(entry: &Entry, giving: Giving<'_>, at: Instant) -> Event {
    let Giving {
        on,
        answer,
        replaces,
        residual,
        called_at,
    } = giving;
    // Tried again, it finds nothing to replace any more: then only its terms know that it goes on with something.
    let renews = replaces.is_some() || entry.terms.as_ref().is_some_and(|t| t.since.is_some());
    let emergency = |t: &Terms| t.basis == Basis::Emergency;
    let (kind, verb) = if entry.terms.as_ref().is_some_and(emergency) {
        (Kind::Granted, "Break-glass")
    } else if renews {
        (Kind::Renewed, "Renewed")
    } else {
        (Kind::Granted, "Granted")
    };
    let until = entry
        .terms
        .as_ref()
        .map(|t| format!(" until {}", instant(t.ends)))
        .unwrap_or_default();
    let approvals = entry
        .terms
        .as_ref()
        .map(|t| t.approvals.as_slice())
        .unwrap_or_default();
    let basis = entry.terms.as_ref().map(|t| &t.basis);
    // It could be given once its file was merged and its term had begun.
    let due = entry
        .terms
        .as_ref()
        .map_or(entry.arrival.at, |t| t.starts.max(entry.arrival.at));
    // One key for both: a grant is given once, whether it replaces another or not.
    about(
        kind,
        "granted",
        entry,
        at,
        &format!("{verb}: {}{until}", who_what(entry)),
    )
    .approvals(approvals)
    .basis(basis.unwrap_or(&Basis::Owners))
    .maybe("Replaces", replaces.map(GrantId::as_str))
    .maybe(
        "Taken-over",
        entry
            .terms
            .as_ref()
            .filter(|t| t.taken_over)
            .map(|_| "the account had it before, and not from Hallpass"),
    )
    .data("access", entry.terms.as_ref().map(|t| &t.access))
    .line("Called-at", precise(called_at))
    .line("Read-back", &answer.read_back)
    .maybe("Pending", answer.pending.as_deref())
    .data("decided_on", on)
    .data("due", precise(due))
    .data("latency_ms", milliseconds(due, at))
    .data("residual", residual)
    .finish()
}

/// Access was not given, because the account already has it from elsewhere.
pub fn blocked(entry: &Entry, why: &str, at: Instant) -> Event {
    about(
        Kind::Blocked,
        "blocked",
        entry,
        at,
        &format!(
            "Blocked: {} is already held from elsewhere",
            who_what(entry)
        ),
    )
    .line("Reason", why)
    .finish()
}

/// A grant ended before anything was given. `missing` says what its approval lacks, where that is the cause.
pub fn cancelled(entry: &Entry, missing: &[String], at: Instant) -> Event {
    let cause = entry
        .cause
        .as_ref()
        .map_or("unknown", super::ledger::Cause::as_str);
    let draft = about(
        Kind::Cancelled,
        "cancelled",
        entry,
        at,
        &format!("Cancelled: {} was never given ({cause})", who_what(entry)),
    )
    .line("Cause", cause);
    draft.lines("Missing", missing.iter().take(20)).finish()
}

/// How a grant's access went away.
#[derive(Debug, Clone, Copy)]
pub enum Removal<'a> {
    /// The target system removed it and was read back.
    ReadBack {
        /// When the call began.
        called_at: Instant,
        /// What it said.
        answer: &'a Revoked,
        /// How long something may still work: [`super::target::Kind::residual`].
        residual: &'a str,
    },
    /// Nothing was removed, because these live grants give the same.
    Retained(&'a [GrantId]),
}

/// A grant is over and its access is gone, or is held by other grants only.
pub fn revoked(entry: &Entry, due: Instant, removal: Removal<'_>, at: Instant) -> Event {
    let cause = entry
        .cause
        .as_ref()
        .map_or("unknown", super::ledger::Cause::as_str);
    let draft = about(
        Kind::Revoked,
        "revoked",
        entry,
        at,
        &format!("Revoked: {} ({cause})", who_what(entry)),
    )
    .line("Cause", cause)
    .line("Due", precise(due));
    let draft = match removal {
        Removal::Retained(ids) => draft.lines("Retained-by", ids.iter().map(GrantId::as_str)),
        Removal::ReadBack {
            called_at,
            answer,
            residual,
        } => {
            let draft = draft
                .line("Called-at", precise(called_at))
                .line("Read-back", &answer.read_back)
                .line("Residual", residual)
                .data("latency_ms", milliseconds(due, at));
            let draft = draft.lines("Session", answer.sessions.iter().take(20));
            match answer.sessions_ended {
                0 => draft,
                n => draft.number("Sessions-ended", n.into()),
            }
        }
    };
    draft.finish()
}

/// The file of an ended grant is gone from the protected branch.
pub fn reverted(entry: &Entry, tip: &CommitId, at: Instant) -> Event {
    about(
        Kind::Reverted,
        "reverted",
        entry,
        at,
        &format!(
            "Reverted: {} is off the protected branch",
            entry.path.short()
        ),
    )
    .line("Tip", tip.as_str())
    .finish()
}
