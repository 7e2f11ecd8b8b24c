//! What a check of a whole branch found, and what it could not look at.

use serde::{Deserialize, Serialize};

use super::super::model::{CommitId, Instant};
use super::{Problem, Rule};

/// The last record of the evidence, to be kept where nobody who runs Hallpass can change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Its number.
    pub seq: u64,
    /// The digest of its bytes.
    pub record: String,
    /// Its commit.
    pub commit: CommitId,
    /// When it happened.
    pub at: Instant,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The tip of the evidence branch that was checked.
    pub evidence: CommitId,
    /// The tip of the protected branch that was compared; absent where the clone has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub main: Option<CommitId>,
    /// How many public keys were believed; 0: signatures were not looked at.
    pub keys: u64,
    /// How many anchors were looked for.
    pub anchors: u64,
    /// How many records there are.
    pub records: u64,
    /// How many grants they tell of.
    pub grants: u64,
    /// How many decisions were made again from git, and agreed or are among the problems.
    pub replayed: u64,
    /// How many commits of the protected branch were looked for.
    pub commits: u64,
    /// The last record: what an anchor holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
    /// Everything that is wrong, in the order of the branch.
    pub problems: Vec<Problem>,
}

impl Verified {
    /// Whether it was looked at what `rule` says.
    pub fn looked_at(&self, rule: Rule) -> bool {
        match rule {
            Rule::Unsigned | Rule::BadSignature | Rule::UnknownKey => self.keys > 0,
            Rule::AnchorMissing => self.anchors > 0,
            Rule::TooFewApprovals
            | Rule::TermTooLong
            | Rule::RulesDiffer
            | Rule::NotAnOwner
            | Rule::CommitUnexplained
            | Rule::CommitGone => self.main.is_some(),
            _ => true,
        }
    }

    /// What was not looked at, a sentence each, with the way to have it looked at.
    pub fn not_looked_at(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        if !self.looked_at(Rule::Unsigned) {
            found.push("Signatures: no public key was given (--key FILE). Anybody who can push could have written these records.");
        }
        if !self.looked_at(Rule::AnchorMissing) {
            found.push("Whether the newest records were cut off, or everything was written anew by whoever holds the signing key: no anchor was given (--anchor FILE).");
        }
        if !self.looked_at(Rule::CommitUnexplained) {
            found.push("The protected branch: this clone has none (--main REV). Commits were not looked for, decisions were not made again.");
        }
        found
    }
}
