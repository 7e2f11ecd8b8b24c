//! The ledger: what was admitted, what is held now, what ended. One entry a grant, from its arrival on the protected branch to
//! its end.
//!
//! ```text
//! arrived --no proof--> denied
//!    |---proved, starts later--> scheduled --+
//!    |                              |        |  file gone, term over, approval lost, person gone: ended, no provider call
//!    +-------proved---> granting <--+        |
//!                          |  (intent is durable: "perhaps held")
//!                          v
//!                       active --due--> revoking --read back--> ended
//! ```
//!
//! A file that asks for a bundle arrives as one entry. Once it is proved in every part, an entry for each part takes its place, and
//! each lives its own life from there.
//!
//! Invariant: `granting` and `revoking` are written before the provider is called, and left only after a read-back.

use serde::{Deserialize, Serialize};

use super::approval::{Approval, Basis};
use super::emergency::Review;
use super::model::{
    Access, Actor, BlobId, CommitId, ConnectionName, GrantId, GrantPath, Instant, PullNumber,
    RoleRef, Subject,
};
use super::people::Receiver;

/// One grant's entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which grant.
    pub id: GrantId,
    /// Its file.
    pub path: GrantPath,
    /// Which role of a bundle it gives; `None` for a file that gives one role, and for a bundle of which it is not known yet
    /// whether it is approved.
    #[serde(default)]
    pub part: Option<RoleRef>,
    /// The exact content of the file.
    pub blob: BlobId,
    /// How it reached the protected branch.
    pub arrival: Arrival,
    /// Where it stands.
    pub state: State,
    /// What it gives; known from its admission on.
    pub terms: Option<Terms>,
    /// What its file asked for, where that could be read: kept of what was denied, which has no terms.
    #[serde(default)]
    pub asked: Option<Wanted>,
    /// Why it ended or is ending.
    pub cause: Option<Cause>,
    /// When it became final.
    pub settled_at: Option<Instant>,
    /// Calls to the provider that failed since the last one that did not.
    pub attempts: u32,
    /// When something is to be done next; `None` when nothing is.
    pub wake_at: Option<Instant>,
    /// What the last failed call said.
    pub last_error: Option<String>,
    /// Whether its file is gone from the protected branch (or other content took its place), so that nothing is left to tidy.
    pub tidied: bool,
    /// Whether its file was replaced or went since, whatever stands at the path now: the same content may have come back.
    #[serde(default)]
    pub superseded: bool,
    /// The review that is due after an emergency; written with the first intent to give the access, so `None` for what was never
    /// given and for what needs no review.
    #[serde(default)]
    pub review: Option<Review>,
    /// Since when nobody is accountable for the service that holds it; `None` while somebody is, and for people.
    #[serde(default)]
    pub orphaned_since: Option<Instant>,
    /// What ends it before its term is over, whatever stands on the protected branch; `None`: nothing. Never taken back.
    #[serde(default)]
    pub called_off: Option<CalledOff>,
    /// How often the entry was written. Compared on writing: a stale writer loses.
    pub version: u64,
}

/// Why and since when a grant is to end although its term is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalledOff {
    /// Why.
    pub cause: Cause,
    /// When that was decided.
    pub at: Instant,
    /// Who ended it at once, by the page; `None` where something else ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    /// What they said why. Untrusted text; the evidence has its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a file reached the protected branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The first-parent commit of the protected branch that brought it.
    pub commit: CommitId,
    /// The pull request whose merge that commit is, once established.
    pub pull: Option<PullNumber>,
    /// When: the merge as the forge tells it, or until then when it was first seen. Never the commit's own date, which is free
    /// text.
    pub at: Instant,
    /// Which of several arrivals at one path is the newer: counts up with each arrival at the path.
    pub order: u64,
}

/// Where a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its file is on the protected branch; the proof is not yet weighed.
    Arrived,
    /// No proof: never granted. Final.
    Denied,
    /// Proved; begins later.
    Scheduled,
    /// About to be given: perhaps held.
    Granting,
    /// Given and read back.
    Active,
    /// About to be taken: perhaps held.
    Revoking,
    /// Over. Final.
    Ended,
}

impl State {
    /// The word in the database and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::Denied => "denied",
            Self::Scheduled => "scheduled",
            Self::Granting => "granting",
            Self::Active => "active",
            Self::Revoking => "revoking",
            Self::Ended => "ended",
        }
    }

    /// Whether the target system may hold something for it.
    pub fn may_be_held(self) -> bool {
        matches!(self, Self::Granting | Self::Active | Self::Revoking)
    }

    /// Whether nothing will happen to it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Denied | Self::Ended)
    }
}

/// For whom a file asked, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Who.
    pub subject: Subject,
    /// What, as people say it.
    pub role: RoleRef,
}

/// What an admitted grant gives: everything that revoking needs, so that it needs neither git nor forge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Who.
    pub subject: Subject,
    /// What, as people say it.
    pub role: RoleRef,
    /// What, as the target system takes it.
    pub access: Access,
    /// From when.
    pub starts: Instant,
    /// Until when.
    pub ends: Instant,
    /// Why. Untrusted text.
    pub reason: String,
    /// The ticket. Untrusted text.
    pub ticket: Option<String>,
    /// The commit that judged.
    pub base: CommitId,
    /// What made the approvals enough.
    #[serde(default)]
    pub basis: Basis,
    /// Who approved.
    pub approvals: Vec<Approval>,
    /// When the first grant of an unbroken chain of renewals began; `None` is `starts`.
    #[serde(default)]
    pub since: Option<Instant>,
    /// Until when an owner must have reviewed a grant that was given in an emergency; `None` for any other.
    #[serde(default)]
    pub review_by: Option<Instant>,
    /// Whether the account had it before and not from Hallpass, so that it was taken over.
    #[serde(default)]
    pub taken_over: bool,
}

impl Terms {
    /// When the subject's unbroken access by this grant and those that it renewed began.
    pub fn since(&self) -> Instant {
        self.since.unwrap_or(self.starts)
    }
}

/// Why a grant ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Its term is over.
    Expired,
    /// Its file is gone from the protected branch.
    Withdrawn,
    /// Its file says something else now.
    Replaced,
    /// Its approval no longer holds when it was about to be given: an approver left, a review was dismissed.
    ApprovalLost,
    /// The person left: their file is gone from the protected branch, or their account from the organisation, or the login is
    /// somebody else's now.
    SubjectGone,
    /// The service account has had no accountable owner for longer than is tolerated.
    OwnerGone,
    /// An owner ended it in an access review.
    ReviewEnded,
    /// No owner answered for it in an access review, and the schedule ends what nobody answers.
    ReviewLapsed,
    /// An owner of its path ended it at once.
    OwnerEmergency,
    /// Whoever had it, or was accountable for the service that did, ended it at once.
    HolderEmergency,
}

impl Cause {
    /// The cause that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        use serde::de::{IntoDeserializer, value::Error};
        let word: serde::de::value::StrDeserializer<'_, Error> = word.into_deserializer();
        Self::deserialize(word).ok()
    }

    /// The word for evidence.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Replaced => "replaced",
            Self::ApprovalLost => "approval-lost",
            Self::SubjectGone => "subject-gone",
            Self::OwnerGone => "owner-gone",
            Self::ReviewEnded => "review-ended",
            Self::ReviewLapsed => "review-lapsed",
            Self::OwnerEmergency => "owner-emergency",
            Self::HolderEmergency => "holder-emergency",
        }
    }
}

/// What one subject holds by the ledger: context for the approver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Which grant.
    pub id: GrantId,
    /// Its file.
    pub path: GrantPath,
    /// Who.
    pub subject: Subject,
    /// What.
    pub role: RoleRef,
    /// What, as the target system takes it: [`Access::key`]. Other roles may give the same.
    pub access_key: String,
    /// From when.
    pub starts: Instant,
    /// Until when.
    pub ends: Instant,
    /// When the unbroken access began that this grant gives or goes on with; `None` where nothing was given yet.
    pub since: Option<Instant>,
}

impl Entry {
    /// A file that has just landed: nothing is known of it but where it came from.
    pub fn arrived(path: GrantPath, blob: BlobId, arrival: Arrival) -> Self {
        Self {
            id: path.id(&arrival.commit),
            path,
            part: None,
            blob,
            arrival,
            state: State::Arrived,
            terms: None,
            asked: None,
            cause: None,
            settled_at: None,
            attempts: 0,
            wake_at: None,
            last_error: None,
            tidied: false,
            superseded: false,
            review: None,
            orphaned_since: None,
            called_off: None,
            version: 0,
        }
    }

    /// Decides that it ends at `now`, for `cause`: the next pass takes it away. What is not held, or ends already, is left as it is.
    #[must_use]
    pub fn call_off(self, cause: Cause, now: Instant) -> Option<Self> {
        let held = matches!(self.state, State::Granting | State::Active);
        (held && self.called_off.is_none()).then(|| Self {
            called_off: Some(CalledOff {
                cause,
                at: now,
                by: None,
                reason: None,
            }),
            wake_at: Some(now),
            ..self
        })
    }

    /// The entry of one part of the bundle that arrived as this one: from here on it has a life of its own.
    #[must_use]
    pub fn of_part(&self, role: &RoleRef) -> Self {
        Self {
            id: self.path.part_id(&self.arrival.commit, role),
            part: Some(role.clone()),
            attempts: 0,
            wake_at: None,
            last_error: None,
            version: 0,
            ..self.clone()
        }
    }

    /// Makes it final: nothing more will happen to it.
    pub fn settle(&mut self, state: State, now: Instant) {
        self.state = state;
        self.settled_at = Some(now);
        self.wake_at = None;
        self.attempts = 0;
        self.last_error = None;
    }

    /// Puts off the next attempt to give it or take it, but what is given at most to the end of its term: that is due on time even
    /// where nobody knows whether the last attempt had an effect.
    pub fn try_again(&mut self, at: Instant) {
        let ends = self.terms.as_ref().map(|t| t.ends);
        self.wake_at = Some(match (self.state, ends) {
            (State::Scheduled | State::Granting, Some(ends)) => at.min(ends),
            _ => at,
        });
        self.attempts += 1;
    }

    /// Whether it was given in an emergency (or perhaps was) and no owner has signed the review yet.
    pub fn is_unreviewed(&self) -> bool {
        self.review.as_ref().is_some_and(|r| r.signed.is_none())
    }

    /// The connection that gives it; `None` before its admission.
    pub fn connection(&self) -> Option<&ConnectionName> {
        self.terms.as_ref().map(|t| &t.access.connection)
    }

    /// Who it was given to; `None` before its admission.
    pub fn receiver(&self) -> Option<Receiver> {
        self.terms.as_ref().map(|terms| Receiver {
            subject: terms.subject.clone(),
            github_id: terms.access.account.github_id,
        })
    }

    /// Whom and what it is about: by its terms, or by what its file asked for.
    pub fn subject_and_role(&self) -> Option<(&Subject, &RoleRef)> {
        let granted = self.terms.as_ref().map(|t| (&t.subject, &t.role));
        granted.or_else(|| self.asked.as_ref().map(|a| (&a.subject, &a.role)))
    }

    /// The entry as context for an approver, if it is live.
    pub fn holding(&self) -> Option<Holding> {
        let live = !self.state.is_final();
        let terms = self.terms.as_ref().filter(|_| live)?;
        Some(self.holding_of(terms))
    }

    /// [`Entry::holding`] as it was at `at`, of what has ended since.
    pub fn holding_at(&self, at: Instant) -> Option<Holding> {
        let ended_since = self.state == State::Ended && self.settled_at.is_some_and(|end| end > at);
        let there = ended_since && self.arrival.at <= at;
        let terms = self.terms.as_ref().filter(|_| there)?;
        Some(Holding {
            since: (terms.starts <= at).then(|| terms.since()),
            ..self.holding_of(terms)
        })
    }

    fn holding_of(&self, terms: &Terms) -> Holding {
        Holding {
            id: self.id.clone(),
            path: self.path.clone(),
            subject: terms.subject.clone(),
            role: terms.role.clone(),
            access_key: terms.access.key(),
            starts: terms.starts,
            ends: terms.ends,
            since: self.state.may_be_held().then(|| terms.since()),
        }
    }
}

/// What a target system said when it gave something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// What the read-back found, in a phrase: "octocat is a member of orders_ro".
    pub read_back: String,
    /// What the subject must still do, such as accepting an invitation.
    pub pending: Option<String>,
    /// The target's immutable id of the account, where it has one.
    pub account_id: Option<String>,
    /// The target's immutable id of what was given, where it has one: see [`Access::entitlement_id`].
    pub entitlement_id: Option<String>,
}

/// What a target system said when it took something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    /// What the read-back found, in a phrase.
    pub read_back: String,
    /// Other ways by which the account still has the same: another grantor, a nested group. Empty is what we want.
    pub still_effective_through: Vec<String>,
    /// Sessions that may still use it, and until when at the latest where the target says.
    pub sessions: Vec<String>,
    /// How many sessions were ended.
    pub sessions_ended: u32,
}

/// Somebody who has an entitlement in the target system, by whatever way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The account there.
    pub name: String,
    /// The target's immutable id of the account, where it has one.
    pub id: Option<String>,
    /// Whether it is given but not yet effective, such as an invitation.
    pub pending: bool,
}
