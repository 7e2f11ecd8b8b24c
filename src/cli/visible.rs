//! Text from elsewhere, as a terminal may show it: nothing in it moves the cursor, changes colours, hides or turns other text around.

use crate::domain::parse::is_hidden;

/// The text on one line. What does not show, or would be obeyed, is written out: `\u{1b}`. Line ends and tabs are spaces.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(' '),
            c if is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// [`visible`], line by line, each after `indent`.
pub(super) fn visible_lines(text: &str, indent: &str) -> String {
    let lines = text.trim_end().split('\n');
    let lines = lines.map(|line| format!("{indent}{}\n", visible(line.trim_end_matches('\r'))));
    lines.collect()
}
