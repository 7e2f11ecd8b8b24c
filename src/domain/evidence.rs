//! What is written down: one event for each transition, as one commit message.
//!
//! Invariant: an event's key names the transition. The same transition seen twice (a retry, a replayed webhook, a rebuilt
//! store) has the same key, and is written once.

use super::model::Instant;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words of the evidence itself; docs/audit.md explains them")]
pub enum Kind {
    Requested,
    Denied,
    Approved,
    Granted,
    Renewed,
    Revoked,
    Cancelled,
    Reverted,
    MergedWithoutProof,
}

impl Kind {
    /// The word in the `Event:` trailer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Denied => "denied",
            Self::Approved => "approved",
            Self::Granted => "granted",
            Self::Renewed => "renewed",
            Self::Revoked => "revoked",
            Self::Cancelled => "cancelled",
            Self::Reverted => "reverted",
            Self::MergedWithoutProof => "merged-without-proof",
        }
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
    /// The whole commit message: subject line, body, trailers.
    pub message: String,
}
