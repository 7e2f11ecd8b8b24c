//! What a check of a whole branch found, and what it could not look at.

use std::collections::BTreeSet;

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

/// Who vouches for an anchor, beside whoever kept it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vouched {
    /// A key that is believed signed it.
    Signed,
    /// It is signed, and nobody looked by whom: no key was given.
    NotLookedAt,
    /// It is not signed: it says as much as whoever kept it is believed.
    Keeper,
}

/// An anchor that was brought to a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Where it was found: the name of a file.
    pub name: String,
    /// What it says.
    pub anchor: Anchor,
    /// The public key that signed it, on one line; `None` where it is not signed, or not by that.
    pub signer: Option<String>,
    /// Whether it bears a signature at all.
    pub is_signed: bool,
}

/// What an anchor proves of the evidence that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proved {
    /// The anchor.
    pub name: String,
    /// Every record up to this number is as it was then.
    pub seq: u64,
    /// When that record happened.
    pub at: Instant,
    /// Who vouches for the anchor.
    pub vouched: Vouched,
}

impl Brought {
    /// Who vouches for it, where `believed` holds the keys that are believed; `None`: nobody who is believed, though it is signed.
    pub fn vouched(&self, believed: Option<&BTreeSet<String>>) -> Option<Vouched> {
        match (self.is_signed, believed, &self.signer) {
            (false, _, _) => Some(Vouched::Keeper),
            (true, None, Some(_)) => Some(Vouched::NotLookedAt),
            (true, Some(keys), Some(key)) if keys.contains(key) => Some(Vouched::Signed),
            _ => None,
        }
    }
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
    /// What the anchors prove that it holds, the lowest number first.
    pub proved: Vec<Proved>,
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
            Rule::AnchorForged => self.anchors > 0 && self.keys > 0,
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
            found.push("Whether the newest records were cut off, or everything was written anew by whoever holds the signing key: no anchor was given (--anchor PATH).");
        }
        if !self.looked_at(Rule::CommitUnexplained) {
            found.push("The protected branch: this clone has none (--main REV). Commits were not looked for, decisions were not made again.");
        }
        found
    }
}
