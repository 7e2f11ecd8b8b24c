//! Tables for people: in columns where the terminal is wide enough, else one entry below the other.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use unicode_width::UnicodeWidthStr as _;

use super::visible::visible;

/// How wide the terminal is; `None` where output goes elsewhere, and is never folded.
pub(super) fn width() -> Option<usize> {
    let is_terminal = std::io::stdout().is_terminal();
    let size = is_terminal.then(terminal_size::terminal_size).flatten();
    size.map(|(terminal_size::Width(width), _)| usize::from(width))
}

/// `rows` under `columns`. Cells may hold anything.
pub(super) fn text(columns: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    if rows.is_empty() {
        return "nothing\n".to_owned();
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| visible(cell)).collect())
        .collect();
    let mut widths: Vec<usize> = columns.iter().map(|column| column.width()).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let whole = widths.iter().map(|width| width + 2).sum::<usize>();
    if let Some(width) = width.filter(|width| whole > width + 2) {
        return entries(columns, &cells, width);
    }
    let header = columns.iter().map(|column| column.to_uppercase()).collect();
    let mut out = String::new();
    for row in std::iter::once(&header).chain(&cells) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let blank = width.saturating_sub(cell.width()) + 2;
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell}{:blank$}", "");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// One entry below the other: the first cell, and what else there is, named. Lines end between words, so that a path or an address stays one
/// that can be copied.
fn entries(columns: &[&str], cells: &[Vec<String>], width: usize) -> String {
    let name = columns
        .iter()
        .map(|column| column.width())
        .max()
        .unwrap_or_default();
    let mut out = String::new();
    for row in cells {
        let mut named = columns.iter().zip(row);
        if let Some((_, first)) = named.next() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{first}");
        }
        for (column, cell) in named.filter(|(_, cell)| !cell.is_empty()) {
            let (first, further) = (format!("  {column:name$}  "), " ".repeat(name + 4));
            let lines = textwrap::Options::new(width)
                .initial_indent(&first)
                .subsequent_indent(&further)
                .word_splitter(textwrap::WordSplitter::NoHyphenation)
                .break_words(false);
            let _ = writeln!(out, "{}", textwrap::fill(cell, lines));
        }
    }
    out
}
