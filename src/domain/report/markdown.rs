//! Markdown in which the text of others stays text.
//!
//! Three ways, by how much the text is trusted: [`fence`] for what requesters write, [`code`] for names and paths, [`prose`] for
//! descriptions that owners wrote and reviewed. None of them lets a link, an image, HTML or a heading through.

use std::fmt::Write as _;

use super::super::parse::is_hidden;

/// How many characters of one text are shown; the rest is in the file.
const SHOWN: usize = 4_000;

/// How wide a fence is wrapped, so that it can be read on a phone without much scrolling.
const WIDTH: usize = 72;

/// `text` as a fenced block, between fences longer than any run of backticks in it.
pub(super) fn fence(language: &str, text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    let left = text.chars().skip(SHOWN).count();
    if left > 0 {
        // Writing to a String cannot fail.
        let _ = write!(shown, "\n... and {left} more characters: read the file");
    }
    let shown = lines(&shown, WIDTH).join("\n");
    let ticks = "`".repeat(longest_run(&shown).max(2) + 1);
    format!("{ticks}{language}\n{shown}\n{ticks}\n")
}

/// The lines of `old` and `new` as a fenced block with a sign before each: what goes, what comes.
pub(super) fn difference(old: Option<&String>, new: Option<&String>) -> String {
    let signed = |sign: char, text: Option<&String>| -> Vec<String> {
        let lines = text.into_iter().flat_map(|t| lines(t, WIDTH - 2));
        lines.map(|line| format!("{sign} {line}")).collect()
    };
    let mut both = signed('-', old);
    both.extend(signed('+', new));
    fence("diff", &both.join("\n"))
}

fn lines(text: &str, width: usize) -> Vec<String> {
    let visible = text.lines().map(visible);
    visible.flat_map(|line| wrap(line, width)).collect()
}

/// `text` as a code span.
pub(super) fn code(text: &str) -> String {
    let shown = visible(text);
    let ticks = "`".repeat(longest_run(&shown) + 1);
    if shown.is_empty() || shown.starts_with(['`', ' ']) || shown.ends_with(['`', ' ']) {
        format!("{ticks} {shown} {ticks}")
    } else {
        format!("{ticks}{shown}{ticks}")
    }
}

/// `text` as a code span in the cell of a table, which it cannot end.
pub(super) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// `text` as prose on one line: every character means itself, nobody is mentioned, nothing is linked.
pub(super) fn prose(text: &str) -> String {
    // What GitHub links after the Markdown is read is taken apart by a space without width.
    let apart = sentence(text).replace('@', "@\u{200b}");
    apart
        .replace("\\#", "\\#\u{200b}")
        .replace("://", ":\u{200b}//")
        .replace("www", "w\u{200b}ww")
}

/// Our own sentence on one line, which may name logins and teams.
pub(super) fn sentence(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in visible(text).chars() {
        if r"\`*_{}[]<>()#+!|~&$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// `text` on one line, with everything that cannot be seen written out.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hides(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character does not show, or changes how others show: variation selectors too, which only files may have.
fn hides(c: char) -> bool {
    is_hidden(c) || matches!(c, '\u{fe00}'..='\u{fe0f}')
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

/// A line, broken at spaces. A longer word stays whole.
fn wrap(line: String, width: usize) -> Vec<String> {
    if line.chars().count() <= width {
        return vec![line];
    }
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let mut lines = Vec::new();
    let mut current = indent.clone();
    for word in line.split(' ').filter(|w| !w.is_empty()) {
        let empty = current.trim().is_empty();
        if !empty && current.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut current, format!("{indent}{word}")));
        } else {
            if !empty {
                current.push(' ');
            }
            current.push_str(word);
        }
    }
    lines.push(current);
    lines
}
