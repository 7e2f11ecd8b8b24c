//! A check belongs to a commit, and several open pull requests may have that commit as their head. The forge would let any of them be
//! merged by a green check, so the one with the worst verdict speaks for all.

use std::cmp::Reverse;

use super::super::model::PullNumber;
use super::{Check, CheckStatus, title};

/// What one open pull request would say at its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    /// Which.
    pub pull: PullNumber,
    /// Whether it aims at the protected branch: what aims elsewhere is heard only where nothing does.
    pub here: bool,
    /// Where its own check stands.
    pub status: CheckStatus,
}

/// Whose check stands at a commit, of all that have it as their head: the worst, and of equals the oldest.
pub fn speaker(voices: &[Voice]) -> Option<Voice> {
    let rank = |voice: &Voice| (voice.here, voice.status, Reverse(voice.pull));
    voices.iter().copied().max_by_key(rank)
}

/// The check of `speaker`, which says whose it is and what is to be done about that, where it speaks for others too.
pub fn shared(check: Check, speaker: &Voice, voices: &[Voice]) -> Check {
    let others = voices
        .iter()
        .filter(|other| other.here == speaker.here && other.pull != speaker.pull);
    let mut others = others.map(|other| format!("#{}", other.pull)).peekable();
    if others.peek().is_none() {
        return check;
    }
    let (pull, others) = (speaker.pull, title::names(others));
    let why = format!(
        "> This is said of **#{pull}**, and holds up whatever has the same commit as its head: {others}. A check belongs to a commit, so \
         the worst that is said of any of them stands here. If #{pull} is not wanted, close it; then what is said of the rest is shown.\n\n",
    );
    Check {
        title: format!("#{pull}: {}", check.title),
        summary: format!("{why}{}", check.summary),
        ..check
    }
}
