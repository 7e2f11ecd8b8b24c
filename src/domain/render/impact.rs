//! What a change would do to live grants, for a terminal and for programs.

use std::fmt::Write;

use serde::Serialize;

use super::human::visible;
use crate::domain::impact::{self, Fate, Impact, Part};
use crate::domain::model::{Owner, Subject};

/// The impact as text, every grant of it; empty where there is nothing to tell.
pub fn impact(impact: &Impact) -> String {
    parts(&impact.parts())
}

/// A story in parts, with every entry.
pub(super) fn parts(parts: &[Part]) -> String {
    let mut out = String::new();
    for part in parts {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", part.heading);
        for line in part.entries.iter().flat_map(|entry| entry.lines()) {
            let _ = writeln!(out, "    {}", visible(line));
        }
        out.push('\n');
    }
    out
}

/// An impact in the documented order of its fields.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    counts: Counts,
    grants: Vec<Grant<'a>>,
    other_owners: Vec<Handover<'a>>,
    breaks_codeowners: bool,
    breaks_policies: bool,
    held_back: usize,
    not_asked: usize,
    unread: &'a [String],
}

#[derive(Serialize)]
struct Counts {
    ends_at_merge: usize,
    ends_after_grace: usize,
    not_again: usize,
    otherwise: usize,
    other_owners: usize,
}

#[derive(Serialize)]
struct Grant<'a> {
    path: &'a str,
    subject: &'a Subject,
    role: String,
    fate: &'static str,
    effects: Vec<String>,
}

#[derive(Serialize)]
struct Handover<'a> {
    resource: &'a str,
    before: Vec<String>,
    after: Vec<String>,
    grants: usize,
}

impl<'a> From<&'a Impact> for Told<'a> {
    fn from(impact: &'a Impact) -> Self {
        let grant = |touched: &'a impact::Touched| Grant {
            path: touched.path.as_str(),
            subject: &touched.subject,
            role: touched.role.to_string(),
            fate: touched.fate.as_str(),
            effects: touched.effects.iter().map(ToString::to_string).collect(),
        };
        let names =
            |owners: &[Owner]| -> Vec<String> { owners.iter().map(ToString::to_string).collect() };
        let handover = |h: &'a impact::Handover| Handover {
            resource: h.resource.as_str(),
            before: names(&h.before),
            after: names(&h.after),
            grants: h.grants,
        };
        Self {
            counts: Counts {
                ends_at_merge: impact.of(Fate::Ends).count(),
                ends_after_grace: impact.of(Fate::EndsAfterGrace).count(),
                not_again: impact.of(Fate::NotAgain).count(),
                otherwise: impact.of(Fate::Otherwise).count(),
                other_owners: impact.handovers.iter().map(|h| h.grants).sum(),
            },
            grants: impact.touched.iter().map(grant).collect(),
            other_owners: impact.handovers.iter().map(handover).collect(),
            breaks_codeowners: impact.breaks_codeowners,
            breaks_policies: impact.breaks_policies,
            held_back: impact.held_back,
            not_asked: impact.not_asked,
            unread: &impact.unread,
        }
    }
}
