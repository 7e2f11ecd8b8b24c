//! What the evidence says, asked of nothing but the evidence: whether it is whole, and who had what, when, why, approved by whom.
//!
//! Everything here works on records that were read from a clone. No service, no database and no network is asked.

mod chain;
mod life;
mod questions;
pub mod report;
mod standing;
mod story;
mod trust;
mod verified;

use std::fmt;

use super::model::CommitId;

pub use chain::{Chain, Checked, Link, Signature};
pub use life::{Answered, Ended, Given, Life, Lives, Step};
pub use questions::{
    AT_ONCE, Exception, Filter, Held, Population, Reviewer, access_at, exceptions, population,
    reviewers,
};
pub use standing::{Stands, State, ended, holdings, of_path, since, standing};
pub use story::{Promise, Seen, check_main, check_story, replay};
pub use trust::Trust;
pub use verified::{Anchor, Brought, Proved, Verified, Vouched};

/// Something that an auditor must know: the evidence is not whole, or it tells of something that should not have happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// What kind of problem.
    pub rule: Rule,
    /// The commit of the evidence branch, or of the protected branch, that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// What is wrong, in a sentence.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.commit {
            Some(commit) => write!(
                f,
                "{} [{}] {}",
                commit.short(),
                self.rule.as_str(),
                self.message
            ),
            None => write!(f, "[{}] {}", self.rule.as_str(), self.message),
        }
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal,)*) => {
        /// What can be wrong with evidence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Rule { $($(#[doc = $doc])* $name,)* }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

rules! {
    /// The branch holds nothing: there is no evidence to check.
    Empty = "empty",
    /// A commit of the evidence branch is not signed.
    Unsigned = "unsigned",
    /// A commit was changed after it was signed, or its signature was.
    BadSignature = "bad-signature",
    /// A commit is signed by a key that was neither given to the check nor announced by one that was, or by one that was replaced before.
    UnknownKey = "unknown-key",
    /// A commit has not exactly the one before it as its parent.
    Parents = "parents",
    /// A commit holds no record, or none that can be read.
    NoRecord = "no-record",
    /// A record is not written in the one form that records have.
    NotCanonical = "not-canonical",
    /// A message says something else than its record.
    MessageDiffers = "message-differs",
    /// The records do not count up by one: some were taken out or put in.
    Sequence = "sequence",
    /// A record does not name the digest of the one before it.
    ChainBroken = "chain-broken",
    /// The same event is written down twice.
    KeyTwice = "key-twice",
    /// The evidence does not hold what an anchor says that it held.
    AnchorMissing = "anchor-missing",
    /// An anchor is signed by nobody who is believed, or was changed since.
    AnchorForged = "anchor-forged",
    /// Access was given without an earlier approval of exactly that content.
    NotApproved = "not-approved",
    /// An approval came from somebody who asked for the access, pushed to the request or receives the access.
    NotIndependent = "not-independent",
    /// An approval was given after the access.
    ApprovedLate = "approved-late",
    /// Fewer distinct people approved than the role demanded.
    TooFewApprovals = "too-few-approvals",
    /// Access was given for longer than the role allowed.
    TermTooLong = "term-too-long",
    /// The rules that a decision names are not those of the commit that it names.
    RulesDiffer = "rules-differ",
    /// The reviewers were not owners by the CODEOWNERS of the commit that judged.
    NotAnOwner = "not-an-owner",
    /// Access was taken away later than promised.
    RemovedLate = "removed-late",
    /// Access is over by its term, and nothing says that it was taken away.
    NotRemoved = "not-removed",
    /// A commit of the protected branch changes who has access or who decides, and the evidence does not tell of it.
    CommitUnexplained = "commit-unexplained",
    /// A commit that the evidence names is not on the protected branch.
    CommitGone = "commit-gone",
}

fn problem(rule: Rule, commit: &CommitId, message: impl Into<String>) -> Problem {
    Problem {
        rule,
        commit: Some(commit.clone()),
        message: message.into(),
    }
}
