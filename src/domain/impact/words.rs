//! What an impact says, before it is known where: the same words for a page and for a terminal.

use super::{Fate, Handover, Impact, Touched};
use crate::domain::model::Owner;

/// A part of the story: what happens, to how many, and the lines about each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What happens, with the number first. Trusted text.
    pub heading: String,
    /// One or more lines for each, in order. May quote what requesters wrote.
    pub entries: Vec<String>,
}

impl Impact {
    /// The story in parts, the gravest first.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        if self.breaks_codeowners {
            parts.push(Part {
                heading: "CODEOWNERS could not be relied on any more: nothing at all could be granted until it is repaired".to_owned(),
                entries: Vec::new(),
            });
        }
        if self.breaks_policies {
            parts.push(Part {
                heading: "The policies could not be relied on any more: nothing at all could be granted until they are repaired".to_owned(),
                entries: Vec::new(),
            });
        }
        if self.held_back > 0 {
            parts.push(Part {
                heading: format!(
                    "{} people would be gone at once: the ends that follow from it are held back until a person has looked",
                    self.held_back
                ),
                entries: Vec::new(),
            });
        }
        for fate in Fate::ALL {
            let entries: Vec<String> = self.of(fate).map(entry).collect();
            if !entries.is_empty() {
                let heading = heading(fate, entries.len());
                parts.push(Part { heading, entries });
            }
        }
        let handed: usize = self.handovers.iter().map(|h| h.grants).sum();
        if handed > 0 {
            parts.push(Part {
                heading: format!(
                    "{} would be approved by other owners from now on",
                    grants(handed)
                ),
                entries: self.handovers.iter().map(handover).collect(),
            });
        }
        if self.not_asked > 0 {
            parts.push(Part {
                heading: format!(
                    "{} more were not compared with the policies, as there are so many",
                    grants(self.not_asked)
                ),
                entries: Vec::new(),
            });
        }
        if !self.unread.is_empty() {
            parts.push(Part {
                heading: "What these files would change is not known, because they cannot be read"
                    .to_owned(),
                entries: self.unread.clone(),
            });
        }
        parts
    }
}

fn heading(fate: Fate, number: usize) -> String {
    let ends = if number == 1 { "ends" } else { "end" };
    let stays = if number == 1 {
        "stays until its end"
    } else {
        "stay until their end"
    };
    let grants = grants(number);
    match fate {
        Fate::Ends => format!("{grants} {ends} when this is merged"),
        Fate::EndsAfterGrace => {
            format!(
                "{grants} {ends} some time after the merge, unless somebody becomes accountable"
            )
        }
        Fate::NotAgain => format!("{grants} {stays}, but could not be asked for again"),
        Fate::Otherwise => format!("{grants} {stays}, but would be given otherwise from now on"),
    }
}

fn grants(number: usize) -> String {
    if number == 1 {
        "1 live grant".to_owned()
    } else {
        format!("{number} live grants")
    }
}

fn entry(touched: &Touched) -> String {
    let mut text = format!(
        "{}: {}, {}",
        touched.path.short(),
        touched.subject,
        touched.role
    );
    for effect in &touched.effects {
        text.push_str(&format!("\n  {effect}"));
    }
    text
}

fn handover(handover: &Handover) -> String {
    format!(
        "{} in {}: {} instead of {}",
        handover.grants,
        handover.resource,
        named(&handover.after),
        named(&handover.before)
    )
}

fn named(owners: &[Owner]) -> String {
    if owners.is_empty() {
        return "nobody".to_owned();
    }
    let names: Vec<String> = owners.iter().map(ToString::to_string).collect();
    names.join(", ")
}
