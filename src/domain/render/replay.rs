//! What a replay found, for a terminal and for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::impact::parts;
use crate::domain::model::{Instant, Subject};
use crate::domain::replay::Replay;

/// The result as text: the count last, as every report ends with one.
pub fn replay(replay: &Replay) -> String {
    format!("{}{}\n", parts(&replay.parts()), replay.headline())
}

/// `{"judged": n, "counts": {...}, "changed": [...]}`. One line.
pub fn replay_json(replay: &Replay) -> String {
    let changed = replay.changed.iter().map(|one| Changed {
        path: one.path.as_str(),
        commit: one.commit.as_str(),
        at: one.at,
        subject: &one.subject,
        role: one.role.to_string(),
        turn: one.turn.word(),
        because: &one.because,
    });
    let counts = replay.counts().into_iter();
    let report = Report {
        judged: replay.judged,
        counts: counts.map(|(turn, n)| (turn.word(), n)).collect(),
        changed: changed.collect(),
    };
    let text = serde_json::to_string(&report).expect("texts and numbers always serialize");
    text + "\n"
}

#[derive(Serialize)]
struct Report<'a> {
    judged: usize,
    counts: BTreeMap<String, usize>,
    changed: Vec<Changed<'a>>,
}

#[derive(Serialize)]
struct Changed<'a> {
    path: &'a str,
    commit: &'a str,
    at: Instant,
    subject: &'a Subject,
    role: String,
    turn: String,
    because: &'a [String],
}
