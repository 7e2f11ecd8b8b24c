//! How far a proposal went, told the same way by every command that makes one.

use std::fmt::Write as _;

use serde::Serialize;

use super::visible::visible;
use crate::app::propose::{OpenPull, Outcome};

/// What became of a proposal, in the documented order of its fields.
#[derive(Debug, Serialize)]
pub(super) struct Proposed<'a> {
    /// The branch of the pull request.
    pub(super) branch: &'a str,
    /// The pull request; null where it is left to be opened.
    pub(super) pull: Option<&'a OpenPull>,
    /// Whether it was there before.
    pub(super) already: bool,
    /// Why it went no further; null where the pull request is open.
    pub(super) why: Option<&'a str>,
    /// What is left to do.
    pub(super) next: &'a [String],
    /// Why the branch that counts may have moved since; null where it was just fetched.
    pub(super) stale: Option<&'a str>,
}

impl<'a> Proposed<'a> {
    pub(super) fn of(outcome: &'a Outcome, branch: &'a str, stale: Option<&'a str>) -> Self {
        let (pull, why, next) = match outcome {
            Outcome::Opened(open) | Outcome::Already(open) => (Some(open), None, &[][..]),
            Outcome::Prepared { why, next } => (None, Some(why.as_str()), next.as_slice()),
        };
        Self {
            branch,
            pull,
            already: matches!(outcome, Outcome::Already(_)),
            why,
            next,
            stale,
        }
    }

    /// For people, each line indented. `base` is the branch that counts.
    pub(super) fn lines(&self, base: &str) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        if let Some(open) = self.pull {
            let (number, url) = (open.number, visible(&open.url));
            let _ = match self.already {
                true => writeln!(out, "  #{number} is open already: {url}"),
                false => writeln!(out, "  opened #{number}: {url}"),
            };
            return out;
        }
        let why = self.why.unwrap_or_default();
        let _ = writeln!(
            out,
            "  prepared on branch {} of this clone, and no further: {}",
            visible(self.branch),
            visible(why)
        );
        if let Some(stale) = self.stale.filter(|stale| *stale != why) {
            let (base, stale) = (visible(base), visible(stale));
            let _ = writeln!(out, "  {base} is as it was last fetched: {stale}");
        }
        for (verb, step) in ["then", "and"].iter().zip(self.next) {
            let step = visible(step);
            let what = if step.starts_with("http") {
                "open "
            } else {
                ""
            };
            let _ = writeln!(out, "  {verb} {what}{step}");
        }
        out
    }
}
