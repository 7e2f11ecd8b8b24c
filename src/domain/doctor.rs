//! Whether everything that Hallpass leans on is as it must be: what was found, and what to do about it.
//!
//! Pure: facts in, lines out. Invariant: a line that is no pass says what to do.

mod app;
mod branch;
mod owners;

use serde::Serialize;

use super::anchor::Standing;
use super::evidence::instant;
use super::safety::SafeMode;

pub use app::{
    Clocks, EVENTS, Hook, Installed, Needed, Permissions, Registered, clocks, hook, installed, key,
};
pub use branch::{Branch, Bypass, BypassMode, Rule, Ruleset, Tidying, Wanted, evidence, protected};
pub use owners::{asked, owners, unowned};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it must be.
    Pass,
    /// It works, and could be safer or quicker.
    Warning,
    /// Hallpass cannot do its work, or a promise does not hold.
    Failure,
    /// It could not be found out.
    Unknown,
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// The GitHub App: key, permissions, webhook, clock.
    App,
    /// The rules of the protected branch and of the evidence branch.
    Branches,
    /// CODEOWNERS, and who stands behind its owners.
    Owners,
    /// The files of the protected branch.
    Files,
    /// The connections to target systems.
    Connections,
    /// What people are told beside GitHub.
    Notices,
    /// The key that signs evidence.
    Evidence,
    /// The database.
    Ledger,
}

impl Area {
    /// The heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::App => "The GitHub App",
            Self::Branches => "Rules of the branches",
            Self::Owners => "Owners",
            Self::Files => "Files of the protected branch",
            Self::Connections => "Connections",
            Self::Notices => "Notices",
            Self::Evidence => "Evidence",
            Self::Ledger => "Ledger",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is about.
    pub area: Area,
    /// How it went.
    pub verdict: Verdict,
    /// What was found, in a sentence.
    pub says: String,
    /// What to do; `None` where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Line {
    /// As it must be.
    pub fn pass(area: Area, says: impl Into<String>) -> Self {
        Self {
            area,
            verdict: Verdict::Pass,
            says: says.into(),
            remedy: None,
        }
    }

    /// It works, and could be better.
    pub fn warning(area: Area, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::bad(area, Verdict::Warning, says.into(), remedy.into())
    }

    /// It does not work, or is not safe.
    pub fn failure(area: Area, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::bad(area, Verdict::Failure, says.into(), remedy.into())
    }

    /// It could not be found out.
    pub fn unknown(area: Area, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::bad(area, Verdict::Unknown, says.into(), remedy.into())
    }

    fn bad(area: Area, verdict: Verdict, says: String, remedy: String) -> Self {
        Self {
            area,
            verdict,
            says,
            remedy: Some(remedy),
        }
    }
}

/// How the anchors stand that are kept at `place`.
pub fn anchors(place: &str, standing: &Standing) -> Line {
    match standing {
        Standing::None => Line::warning(
            Area::Evidence,
            format!("no anchor was written at `{place}` yet"),
            "The service writes the first one soon after its start, once there is evidence. If it does not, its log says why.",
        ),
        Standing::Written { seq, at } => Line::pass(
            Area::Evidence,
            format!(
                "anchored at `{place}` up to record {seq}, on {}",
                instant(*at)
            ),
        ),
        Standing::Late { overdue, why } => Line::failure(
            Area::Evidence,
            format!(
                "the anchor at `{place}` is overdue for {} minutes: {why}",
                overdue.num_minutes()
            ),
            format!(
                "It is tried again for ever. See that the place can be reached and written; [evidence.anchor.{place}] names it."
            ),
        ),
        Standing::Trouble(what) => Line::failure(
            Area::Evidence,
            what.clone(),
            "Compare what is left there with the evidence: `hallpass audit verify --key FILE --anchor PATH`.",
        ),
    }
}

/// Nobody outside knows where the evidence ends.
pub fn no_anchors() -> Line {
    Line::warning(
        Area::Evidence,
        "no anchors are kept outside: whoever holds the key of the evidence could write it anew, and nobody would see it",
        "Name a place that nobody who runs Hallpass can change, under [evidence.anchor]: see docs/audit.md.",
    )
}

/// Whether database, evidence and protected branch agree, so that anything is given at all.
pub fn doubt(mode: Option<&SafeMode>) -> Line {
    match mode {
        None => Line::pass(
            Area::Ledger,
            "the database, the evidence and the protected branch agree",
        ),
        Some(mode) => Line::failure(
            Area::Ledger,
            format!("nothing is granted, in safe mode: {mode}"),
            mode.way_out(),
        ),
    }
}
