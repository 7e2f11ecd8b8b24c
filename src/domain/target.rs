//! What Hallpass knows of a kind of target system without calling it.

use super::model::Instant;

/// A kind of target system: what is true of every connection of it. Pages, checks and evidence say it in these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// As `kind = "..."` in the configuration says it.
    pub name: &'static str,
    /// What an entitlement of it is, in a phrase: "membership of a team".
    pub gives: &'static str,
    /// The shape of an entitlement, as a JSON Schema (draft 2020-12).
    pub entitlement: &'static str,
    /// How long something may still work after the removal was read back: a whole sentence, published with every removal.
    pub residual: &'static str,
    /// What the target ends by itself at the end of a term, as a second line; `None` where it cannot.
    pub native_expiry: Option<&'static str>,
    /// How it tells names of accounts apart.
    pub names: Names,
}

impl Kind {
    /// Whether an entitlement has the shape that this kind gives.
    pub fn gives_this(&self, entitlement: &serde_json::Value) -> bool {
        // Ours, and compiled by the tests; one that does not compile lets nothing through.
        serde_json::from_str(self.entitlement)
            .ok()
            .and_then(|schema| jsonschema::validator_for(&schema).ok())
            .is_some_and(|schema| schema.is_valid(entitlement))
    }
}

/// On whose behalf a target is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The same for every repetition of one call, and never the same for two: the grant's id. Targets that know idempotency keys
    /// are told it.
    pub reference: String,
    /// When the access ends, or was to end.
    pub ends: Instant,
}

/// Which way a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The account receives it.
    Grant,
    /// It is taken away.
    Revoke,
}

/// How a target tells names of accounts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Letter by letter.
    Exact,
    /// `Ada` and `ada` are one account.
    CaseInsensitive,
}

impl Names {
    /// Whether both are the same account's.
    pub fn same(self, a: &str, b: &str) -> bool {
        self.key(a) == self.key(b)
    }

    /// The same for all names of one account.
    pub fn key(self, name: &str) -> String {
        match self {
            Self::Exact => name.to_owned(),
            Self::CaseInsensitive => name.to_lowercase(),
        }
    }
}
