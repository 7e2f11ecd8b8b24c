//! How long, as flags.

use clap::Args;

use crate::domain::model::{Instant, Term, TermLength};
use crate::domain::parse;

/// How long access is to last.
#[derive(Debug, Args)]
pub(in crate::cli) struct HowLong {
    /// For how long, counted from the merge or from the start: 90m, 2h, 1d12h
    #[arg(long = "for", value_name = "DURATION", value_parser = length, conflicts_with = "until")]
    length: Option<TermLength>,
    /// Until when, instead of --for: 2026-11-30T18:00:00Z
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    until: Option<Instant>,
}

impl HowLong {
    /// The term, if there is one.
    pub(in crate::cli) fn term(&self) -> Option<Term> {
        let length = self.length.map(Term::Duration);
        length.or(self.until.map(Term::Expires))
    }
}

fn length(text: &str) -> Result<TermLength, String> {
    TermLength::parse(text).map_err(|error| error.to_string())
}

/// An instant of a flag.
pub(super) fn instant(text: &str) -> Result<Instant, String> {
    parse::instant(text).ok_or_else(|| "write it in UTC, like 2026-11-23T12:00:00Z".to_owned())
}
