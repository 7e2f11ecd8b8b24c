//! Findings for a terminal: the source line, the fault underlined, the way out.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::domain::finding::{Finding, Severity};

/// Findings with the lines they are about, with terminal colours (strip them where they are not wanted). `source` gives the
/// bytes of a file; a finding of a file that it does not know is told without its line.
pub fn human<'s>(findings: &[Finding], source: impl Fn(&str) -> Option<&'s [u8]>) -> String {
    let renderer = Renderer::styled().term_width(120);
    let mut out = String::new();
    for finding in findings {
        let bytes = source(&finding.path).unwrap_or_default();
        // Of a file that is not UTF-8, what can be shown is shown.
        let text = String::from_utf8_lossy(bytes);
        out.push_str(&renderer.render(&[report(finding, &text)]));
        out.push_str("\n\n");
    }
    out
}

fn report<'a>(finding: &'a Finding, text: &'a str) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let (line, column) = (finding.line as usize, finding.column as usize);
    let path = visible(&finding.path);
    let title = level
        .primary_title(visible(&finding.message))
        .id(finding.rule)
        .id_url(crate::domain::rules::url(finding.rule));
    let help = Level::HELP.message(visible(&finding.help));
    match span(text, line, column) {
        Some((shown, span)) => {
            let fault = AnnotationKind::Primary.span(span);
            title
                .element(
                    Snippet::source(shown)
                        .line_start(line)
                        .path(path)
                        .annotation(fault),
                )
                .element(help)
        }
        None => title
            .element(Origin::path(path).line(line).char_column(column))
            .element(help),
    }
}

/// The line of a finding, and the bytes in it to underline; `None` where the text has no such place.
fn span(text: &str, line: usize, column: usize) -> Option<(String, std::ops::Range<usize>)> {
    let line = text.split('\n').nth(line.checked_sub(1)?)?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    let (before, after): (String, String) = (
        line.chars().take(column - 1).map(printable).collect(),
        line.chars().skip(column - 1).map(printable).collect(),
    );
    // A line that is too long to look at keeps its beginning; the fault stays on it.
    let after: String = after.chars().take(400).collect();
    // A fault of the whole file stands at its beginning, where a comment says nothing about it.
    let comment = before.is_empty() && after.starts_with('#');
    if comment || before.is_empty() && after.is_empty() {
        return None;
    }
    let start = before.len();
    let end = start + fault_length(&after);
    Some((before + &after, start..end))
}

/// How much of the rest of a line the fault is: a character that cannot be seen, a key up to its colon, a quoted text, or all up
/// to a comment.
fn fault_length(rest: &str) -> usize {
    if let Some(unseen) = rest
        .chars()
        .next()
        .filter(|c| matches!(c, ' ' | '\u{fffd}'))
    {
        return unseen.len_utf8();
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let closing = quote
        .and_then(|quote| rest[1..].find(quote))
        .map(|at| at + 2);
    let colon = rest
        .find(": ")
        .or_else(|| rest.ends_with(':').then(|| rest.len() - 1));
    let comment = rest.find(" #");
    let end = closing
        .or_else(|| colon.into_iter().chain(comment).min())
        .unwrap_or(rest.len());
    // Something is underlined even at the end of a line.
    rest[..end]
        .trim_end()
        .len()
        .max(rest.chars().next().map_or(0, char::len_utf8))
}

/// What stands for a character in a line that is shown, one for one so that columns stay right.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        _ if c.is_control() || is_invisible(c) => '\u{fffd}',
        _ => c,
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{3164}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A path or a message, on one line and without anything that a terminal would obey.
pub(super) fn visible(text: &str) -> String {
    let escape = |c: char| {
        if c.is_control() || is_invisible(c) {
            c.escape_unicode().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(escape).collect()
}
