//! What people write on pull requests, as far as it asks Hallpass something.
//!
//! Invariant: nothing that is written in a comment decides about anything. Hallpass answers, and that is all.

use super::model::{Actor, ActorKind, Instant, PullNumber};

/// One comment on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The forge's number of it.
    pub id: u64,
    /// Where it stands.
    pub pull: PullNumber,
    /// Who wrote it.
    pub author: Actor,
    /// Whether it was written through an App.
    pub through_app: bool,
    /// What it says. Untrusted text.
    pub text: String,
    /// When it was written.
    pub written_at: Instant,
    /// When it was changed last.
    pub changed_at: Instant,
}

/// What somebody wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Who can approve, what is missing, what happens next.
    Explain,
    /// How to give back what the pull request gave.
    Return,
    /// Something that Hallpass does not do here.
    Unknown,
}

/// What a question begins with.
const WORD: &str = "/hallpass";

/// Whether a text may be a question at all: reason enough to look at the comments.
pub fn may_ask(text: &str) -> bool {
    text.starts_with(WORD)
}

impl Remark {
    /// What it asks; `None` where it is none of Hallpass's business. What a program wrote, and what was changed since it was written,
    /// asks nothing: others may have answered what stood there before.
    pub fn ask(&self) -> Option<Ask> {
        let person = self.author.kind == ActorKind::User && !self.through_app;
        if !person || self.changed_at != self.written_at {
            return None;
        }
        let line = self.text.lines().next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some(WORD) || line.starts_with(char::is_whitespace) {
            return None;
        }
        Some(match (words.next(), words.next()) {
            (Some("explain"), None) => Ask::Explain,
            (Some("return"), None) => Ask::Return,
            _ => Ask::Unknown,
        })
    }
}
