//! What a replay says: the same words for a page and for a terminal.

use std::collections::BTreeMap;

use super::{Changed, Replay, Turn};
use crate::domain::impact::Part;

impl Replay {
    /// The result in a sentence.
    pub fn headline(&self) -> String {
        match (self.judged, self.changed.len()) {
            (0, _) => "No request was merged yet that could be judged anew.".to_owned(),
            (1, 0) => "The last request would not be decided otherwise.".to_owned(),
            (1, _) => "The last request would or may be decided otherwise.".to_owned(),
            (judged, 0) => format!(
                "Of the last {}, none would be decided otherwise.",
                requests(judged)
            ),
            (judged, changed) => format!(
                "Of the last {}, {changed} would or may be decided otherwise.",
                requests(judged)
            ),
        }
    }

    /// What would change, by how.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts: BTreeMap<Turn, Vec<String>> = BTreeMap::new();
        for one in &self.changed {
            parts.entry(one.turn).or_default().push(entry(one));
        }
        let part = |(turn, entries): (Turn, Vec<String>)| Part {
            heading: heading(turn, entries.len()),
            entries,
        };
        parts.into_iter().map(part).collect()
    }
}

fn requests(number: usize) -> String {
    match number {
        1 => "1 request".to_owned(),
        _ => format!("{number} requests"),
    }
}

fn heading(turn: Turn, number: usize) -> String {
    let requests = requests(number);
    match turn {
        Turn::Turns(before, after) => {
            format!("{requests}: {before} as things are, {after} after the change")
        }
        Turn::CannotTell => format!(
            "{requests} may be decided otherwise: that depends on who asked, what they had open or who was in which team, which git does not tell"
        ),
    }
}

fn entry(one: &Changed) -> String {
    let at = one.at.format("%Y-%m-%d %H:%M UTC");
    let (path, subject, role) = (one.path.short(), &one.subject, &one.role);
    let mut text = format!("{at} {path}: {subject}, {role}");
    if !one.because.is_empty() {
        text.push_str(&format!("\n  {}", one.because.join(", ")));
    }
    text
}
