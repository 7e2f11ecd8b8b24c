//! What somebody had or asked for before, and how it ended: context for the approver, told by the ledger's final entries
//! and by what is kept of pull requests that were closed.

use super::ledger::{Cause, Entry, State};
use super::model::{Instant, PullNumber, RoleRef, Subject};

/// One grant that is over, or a request that never became one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Who.
    pub subject: Subject,
    /// What.
    pub role: RoleRef,
    /// The pull request that brought it, where one did.
    pub pull: Option<PullNumber>,
    /// Since when it was held; `None` for what was never given.
    pub held_from: Option<Instant>,
    /// When it was over.
    pub at: Instant,
    /// How it ended.
    pub ending: Ending,
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Its term was over.
    Expired,
    /// Its file was removed before that: by the holder or an owner.
    Returned,
    /// Other terms took its place.
    Replaced,
    /// It was taken before its time: the approval no longer held, or whoever held it was gone.
    Revoked,
    /// Approved, and over before it began.
    NeverBegan,
    /// Merged without the approval that it needed, and never given.
    Unproved,
    /// Its pull request was closed without a merge.
    TurnedDown,
}

impl Ending {
    /// The words, after a number or a colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Returned => "returned early",
            Self::Replaced => "replaced by other terms",
            Self::Revoked => "revoked",
            Self::NeverBegan => "over before it began",
            Self::Unproved => "merged without proof",
            Self::TurnedDown => "closed without a merge",
        }
    }
}

impl Past {
    /// What a final entry tells; `None` for one that is not final, or of which nobody knows any more whom it was for.
    pub fn of(entry: &Entry) -> Option<Self> {
        let at = entry.settled_at.filter(|_| entry.state.is_final())?;
        let (subject, role) = entry.subject_and_role()?;
        let began = entry.terms.as_ref().map(|t| t.starts).filter(|s| *s < at);
        let ending = match (entry.state, &entry.cause) {
            (State::Denied, _) => Ending::Unproved,
            _ if began.is_none() => Ending::NeverBegan,
            (_, None | Some(Cause::Expired)) => Ending::Expired,
            (_, Some(Cause::Withdrawn)) => Ending::Returned,
            (_, Some(Cause::Replaced)) => Ending::Replaced,
            (_, Some(_)) => Ending::Revoked,
        };
        Some(Self {
            subject: subject.clone(),
            role: role.clone(),
            pull: entry.arrival.pull,
            held_from: began.filter(|_| entry.state != State::Denied),
            at,
            ending,
        })
    }
}
