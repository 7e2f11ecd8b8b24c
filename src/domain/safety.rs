//! Safe mode: what is known contradicts what was known before, so that nothing may be given and nothing may be inferred. What is due
//! by time still ends.
//!
//! Safe mode is found at every look, never remembered: it begins with its reason and is over with it.

use super::model::CommitId;

/// The note of the database that says for which reason safe mode was entered: [`SafeMode::as_str`].
pub const NOTE: &str = "safe-mode";

/// What the word of a reason says, for whoever asks the service how it is; its log says more.
pub fn explained(word: &str) -> &'static str {
    match word {
        "evidence-ahead" => {
            "the evidence tells of events that the database does not know: it was lost, or an old backup was put back"
        }
        "evidence-foreign" => {
            "the database is empty, and no key of this server signed the evidence"
        }
        "evidence-cut" => "the evidence no longer holds what was anchored: it was cut or rewritten",
        "main-rewritten" => "the protected branch lost commits that were seen on it",
        _ => "something contradicts what was known before",
    }
}

/// Why nothing may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SafeMode {
    /// The evidence tells of events that the database does not know: it was lost, or an old backup was put back.
    EvidenceAhead {
        /// The commit of the first such event.
        commit: CommitId,
        /// How many there are.
        count: usize,
    },
    /// The database is empty, and the evidence holds a history that none of our keys signed: database and key were lost together.
    EvidenceForeign {
        /// The tip of the evidence branch.
        tip: CommitId,
    },
    /// The evidence no longer holds what an anchor says that it held: it was cut, rewritten, replaced or deleted.
    EvidenceCut {
        /// The evidence branch.
        branch: String,
        /// The place that keeps the anchor.
        place: String,
        /// The number of the record that the anchor names.
        seq: u64,
        /// Its commit.
        commit: CommitId,
        /// What stands there now; `None`: nothing.
        tip: Option<CommitId>,
    },
    /// The protected branch no longer holds what was seen there: nothing that stands on it now can be believed.
    MainRewritten {
        /// The branch.
        branch: String,
        /// What was seen.
        seen: CommitId,
        /// What stands there now.
        tip: CommitId,
    },
}

impl SafeMode {
    /// The word for evidence and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::EvidenceAhead { .. } => "evidence-ahead",
            Self::EvidenceForeign { .. } => "evidence-foreign",
            Self::EvidenceCut { .. } => "evidence-cut",
            Self::MainRewritten { .. } => "main-rewritten",
        }
    }

    /// Whether the ledger may say that something is held which is over.
    pub fn doubts_the_ledger(&self) -> bool {
        match self {
            Self::EvidenceAhead { .. } | Self::EvidenceForeign { .. } => true,
            Self::EvidenceCut { .. } | Self::MainRewritten { .. } => false,
        }
    }

    /// What an operator does about it.
    pub fn way_out(&self) -> String {
        match self {
            Self::EvidenceAhead { .. } => {
                "stop the service, run `hallpass recover`, read what it would write, then `hallpass recover --write`".to_owned()
            }
            Self::EvidenceForeign { .. } => {
                "put the evidence key back (`[evidence]` in hallpass.toml), or stop the service and run `hallpass recover --key FILE` with the old public key"
                    .to_owned()
            }
            Self::EvidenceCut {
                branch, commit, ..
            } => format!(
                "find out who changed `{branch}`, and push it back to a history that holds {commit}: the mirror of a server, or an auditor's clone, has it. What \
                 happens meanwhile waits in the database. Where it is lost for good, see docs/recover.md"
            ),
            Self::MainRewritten { branch, tip, .. } => format!(
                "push `{branch}` back to what it held; or, where the rewrite is wanted, stop the service and run `hallpass recover --accept-main {tip}`"
            ),
        }
    }
}

impl std::fmt::Display for SafeMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EvidenceAhead { commit, count } => write!(
                f,
                "the evidence is ahead of the database: {count} events of it, from {} on, are not known here",
                commit.short()
            ),
            Self::EvidenceForeign { tip } => write!(
                f,
                "the database is empty, and the evidence at {} is signed by no key of this server",
                tip.short()
            ),
            Self::EvidenceCut {
                branch,
                place,
                seq,
                commit,
                tip,
            } => write!(
                f,
                "`{branch}` was cut or rewritten: the anchor at `{place}` says that it held record {seq} in commit {}, and {}",
                commit.short(),
                match tip {
                    Some(tip) => format!("its tip {} does not stand on that", tip.short()),
                    None => "the branch is not there any more".to_owned(),
                }
            ),
            Self::MainRewritten { branch, seen, tip } => write!(
                f,
                "the history of `{branch}` was rewritten: {} does not stand on {}, which was seen there",
                tip.short(),
                seen.short()
            ),
        }
    }
}
