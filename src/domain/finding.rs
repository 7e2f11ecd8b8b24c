//! A mistake in a file, told to the person who wrote it.
//!
//! Invariant: every finding names a rule, a place and a way out. Mistakes of users are values of this type; they are never
//! errors.

use serde::Serialize;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; denies nothing.
    Warning,
    /// Denies the request.
    Error,
}

/// One mistake, where it stands, and what to do about it.
///
/// The order is by path, then place, so that a sorted list reads like the files do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, relative to the root of the repository. May hold any text: the path itself can be the mistake.
    pub path: String,
    /// The line, from 1. A mistake of the whole file stands at line 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The rule's name: a row of [`crate::domain::rules::RULES`].
    pub rule: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong, naming the values involved.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// Where a mistake of the whole file stands.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl Default for Place {
    fn default() -> Self {
        Self::START
    }
}

impl Finding {
    /// A finding that denies.
    pub fn error(
        rule: &'static str,
        path: impl Into<String>,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            line: place.line,
            column: place.column,
            rule,
            severity: Severity::Error,
            message: message.into(),
            help: help.into(),
        }
    }

    /// The same finding, as one that denies nothing.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}
