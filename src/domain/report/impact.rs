//! What a change of the files that decide would do to live grants, and would have done to past requests, for whoever approves it.

use super::super::impact::{Impact, Part};
use super::super::replay::Replay;
use super::markdown::{fence, sentence};

/// About how many bytes of one part are shown.
const SHOWN: usize = 3_000;

/// The section; it says so when nothing happens, so that nobody wonders whether it was looked at.
pub(super) fn section(impact: &Impact) -> String {
    let mut out = String::from("### What it does to live access\n\n");
    let parts = impact.parts();
    if parts.is_empty() {
        out.push_str("No live grant is touched.\n\n");
    }
    out.push_str(&told(&parts));
    out
}

/// What the change would have meant for past requests.
pub(super) fn replayed(replay: &Replay) -> String {
    let mut out = String::from("### What it would have done to past requests\n\n");
    out.push_str(&sentence(&replay.headline()));
    out.push_str("\n\n");
    out.push_str(&told(&replay.parts()));
    out
}

/// A story in parts: how many of each, then the first of each.
fn told(parts: &[Part]) -> String {
    let mut out = String::new();
    if parts.len() > 1 {
        for part in parts {
            out.push_str(&format!("- {}\n", sentence(&part.heading)));
        }
        out.push('\n');
    }
    for part in parts {
        out.push_str(&format!("**{}**\n", sentence(&part.heading)));
        if !part.entries.is_empty() {
            out.push_str(&entries(part));
        }
        out.push('\n');
    }
    out
}

fn entries(part: &Part) -> String {
    let (mut text, mut shown) = (String::new(), 0);
    for entry in &part.entries {
        if !text.is_empty() && text.len() + entry.len() > SHOWN {
            break;
        }
        text.push_str(entry);
        text.push('\n');
        shown += 1;
    }
    let left = part.entries.len() - shown;
    if left > 0 {
        text.push_str(&format!("... and {left} more"));
    }
    fence("text", text.trim_end())
}
