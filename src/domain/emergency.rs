//! Break-glass afterwards: what an owner is asked to sign once access was given in an emergency.
//!
//! The ledger's entry carries a [`Review`] from the first intent to give the access. Hallpass proposes a file, the [`Record`], in
//! a pull request of its own; an owner's approval of exactly that file is the signature, its merge makes it part of the trail.
//!
//! Invariant: a record says nothing that the ledger does not say. One that differs in anything is refused.

use std::fmt::Write as _;

use chrono::SubsecRound;
use serde::{Deserialize, Serialize};

use super::approval::Approval;
use super::evidence::instant;
use super::ledger::Entry;
use super::model::{
    Access, CommitId, GrantId, GrantPath, Instant, Login, PullNumber, RecordPath, RoleRef, Subject,
};

/// How the review of one emergency stands, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Which attempt to have it signed this is, from 1: one more whenever the record was merged without a signature.
    pub attempt: u32,
    /// The pull request that asks for the signature; `None` before it was opened, and when it was closed.
    pub asked: Option<Asked>,
    /// Pull requests that were merged without an owner's signature.
    pub unsigned: Vec<PullNumber>,
    /// Since when it is known to be overdue.
    pub overdue: Option<Instant>,
    /// The approval by which an owner signed it.
    pub signed: Option<Approval>,
}

/// Where the signature was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The pull request.
    pub pull: PullNumber,
    /// What Hallpass pushed to its branch.
    pub head: CommitId,
}

impl Review {
    /// A review that nobody was asked for yet.
    pub fn due() -> Self {
        Self {
            attempt: 1,
            asked: None,
            unsigned: Vec::new(),
            overdue: None,
            signed: None,
        }
    }
}

/// One emergency with its review: the ledger's facts, as decisions and pages need them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emergency {
    /// Which grant.
    pub grant: GrantId,
    /// Its file.
    pub path: GrantPath,
    /// Who broke the glass.
    pub person: Login,
    /// What was given, as people say it.
    pub role: RoleRef,
    /// What was given, as the target system takes it.
    pub access: Access,
    /// The merge that brought it.
    pub merge: CommitId,
    /// The pull request that asked for it.
    pub pull: PullNumber,
    /// When it was given: the instant that its term counts from.
    pub granted: Instant,
    /// Until when it was given, at most.
    pub ends: Instant,
    /// Until when an owner is to have signed.
    pub review_by: Instant,
    /// Why it was asked for. Untrusted text.
    pub reason: String,
    /// Who approved it beforehand.
    pub approvals: Vec<Approval>,
    /// How the review stands.
    pub review: Review,
}

impl Emergency {
    /// The emergency of a ledger's entry; `None` where there is nothing to review.
    pub fn of(entry: &Entry) -> Option<Self> {
        let (terms, review) = (entry.terms.as_ref()?, entry.review.as_ref()?);
        let Subject::Person(person) = &terms.subject else {
            return None;
        };
        Some(Self {
            grant: entry.id.clone(),
            path: entry.path.clone(),
            person: person.clone(),
            role: terms.role.clone(),
            access: terms.access.clone(),
            merge: entry.arrival.commit.clone(),
            pull: entry.arrival.pull?,
            granted: terms.starts,
            ends: terms.ends,
            review_by: terms.review_by?,
            reason: terms.reason.clone(),
            approvals: terms.approvals.clone(),
            review: review.clone(),
        })
    }

    /// Where its record stands.
    pub fn record_path(&self) -> RecordPath {
        RecordPath::of(&self.path, &self.merge)
    }

    /// The branch of the pull request that asks for the signature.
    pub fn branch(&self) -> String {
        format!("hallpass/emergency/{}", self.record_path().short())
    }

    /// What the record must say.
    pub fn record(&self) -> Record {
        let whole = |at: Instant| at.trunc_subsecs(0);
        Record {
            grant: self.grant.clone(),
            person: self.person.clone(),
            role: self.role.clone(),
            merge: self.merge.clone(),
            pull: self.pull,
            granted: whole(self.granted),
            ends: whole(self.ends),
            review_by: whole(self.review_by),
            attempt: self.review.attempt,
        }
    }

    /// Whether the time to sign it is over at `now` and nobody has.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.review.signed.is_none() && self.review_by <= now
    }

    /// Whether pull request `number` is the one that asks for the signature.
    pub fn is_asked_in(&self, number: PullNumber) -> bool {
        self.review.asked.as_ref().is_some_and(|a| a.pull == number)
    }

    /// `octocat on orders/admin`.
    pub fn who_what(&self) -> String {
        format!("{} on {}", self.person, self.role)
    }
}

/// The content of `access/emergencies/<resource>/<name>-<12 digits>.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which grant.
    pub grant: GrantId,
    /// Who broke the glass.
    pub person: Login,
    /// What was given.
    pub role: RoleRef,
    /// The merge that brought it.
    pub merge: CommitId,
    /// The pull request that asked for it.
    pub pull: PullNumber,
    /// When it was given.
    pub granted: Instant,
    /// Until when it was given.
    pub ends: Instant,
    /// Until when an owner is to have signed.
    pub review_by: Instant,
    /// Which attempt to have it signed this is.
    pub attempt: u32,
}

impl Record {
    /// The file as Hallpass writes it.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# yaml-language-server: $schema=../../../schemas/emergency.schema.json\n\
             # Written by Hallpass: an owner's approval of this file signs the review of what was given.\n\
             grant: {}\nperson: {}\nrole: {}\nmerge: \"{}\"\npull: {}\ngranted: {}\nends: {}\nreview_by: {}\n",
            quoted(self.grant.as_str()),
            quoted(self.person.as_str()),
            self.role,
            self.merge,
            self.pull,
            instant(self.granted),
            instant(self.ends),
            instant(self.review_by),
        );
        if self.attempt > 1 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "attempt: {}", self.attempt);
        }
        text
    }

    /// The names of the fields in which two records differ.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("grant", self.grant == other.grant),
            ("person", self.person == other.person),
            ("role", self.role == other.role),
            ("merge", self.merge == other.merge),
            ("pull", self.pull == other.pull),
            ("granted", self.granted == other.granted),
            ("ends", self.ends == other.ends),
            ("review_by", self.review_by == other.review_by),
            ("attempt", self.attempt == other.attempt),
        ];
        let differs = fields.into_iter().filter(|(_, same)| !same);
        differs.map(|(name, _)| name).collect()
    }
}

/// Names are plain enough to stand between quotes as they are; unquoted, some of them would be numbers to YAML.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}
