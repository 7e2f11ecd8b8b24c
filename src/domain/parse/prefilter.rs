//! Refuses bytes that a reviewer and a parser could read differently, before any parser sees them.
//!
//! A file that passes is NFC-normalised UTF-8 of bounded size whose only line ends are LF and CRLF, and in which every
//! character can be seen. What a diff shows is then what is read.

use unicode_normalization::is_nfc;

use super::Fault;
use crate::domain::finding::Place;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// The text of a governed file, or the first thing in it that no reviewer can see.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(Fault {
            rule: "file-too-large",
            place: Place::START,
            message: format!("the file has more than {MAX_BYTES} bytes (64 KiB)"),
            help: "Say it in fewer words, or split the file.".into(),
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    match text.char_indices().find(|&(at, c)| is_refused(text, at, c)) {
        Some((at, c)) => Err(hidden(text, at, c)),
        None if text.is_ascii() || is_nfc(text) => Ok(text),
        None => Err(not_normalized(text)),
    }
}

fn not_utf8(bytes: &[u8], valid: usize) -> Fault {
    let before = std::str::from_utf8(&bytes[..valid]).unwrap_or_default();
    let byte = bytes.get(valid).copied().unwrap_or_default();
    Fault {
        rule: "invalid-utf8",
        place: place(before, before.len()),
        message: format!("the byte 0x{byte:02X} here is not UTF-8"),
        help: "Save the file as UTF-8 without a byte order mark.".into(),
    }
}

fn is_refused(text: &str, at: usize, c: char) -> bool {
    match c {
        ' '..='~' | '\n' => false,
        '\r' => text.as_bytes().get(at + 1) != Some(&b'\n'),
        _ => is_hidden(c),
    }
}

/// Whether a character does not show, or changes how others show; line ends are among them.
pub(crate) fn is_hidden(c: char) -> bool {
    match c {
        // C0, DEL and C1, among them the tab, which YAML readers allow in different places, and NEL, a line break for some.
        _ if c.is_control() => true,
        // Invisible, or directing the text around them: format characters, fillers, variation selectors of no use in prose,
        // line and paragraph separators, the byte order mark, tags, noncharacters.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => {
            true
        }
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' => true,
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => matches!(c as u32 & 0xffff, 0xfffe | 0xffff) || matches!(c, '\u{fdd0}'..='\u{fdef}'),
    }
}

fn hidden(text: &str, at: usize, c: char) -> Fault {
    let what = match c {
        '\r' => "a carriage return without a line feed, which hides what follows it".to_owned(),
        '\t' => "a tab, which YAML readers understand differently".to_owned(),
        '\u{feff}' if at == 0 => "a byte order mark (U+FEFF)".to_owned(),
        _ => format!(
            "the character U+{:04X}, which nobody can see in a review",
            c as u32
        ),
    };
    Fault {
        rule: "forbidden-character",
        place: place(text, at),
        message: format!("here is {what}"),
        help:
            "Remove it. Indent with spaces, end lines with LF or CRLF, and use only characters that a reviewer can see."
                .into(),
    }
}

fn not_normalized(text: &str) -> Fault {
    // The first line whose normal form differs; composition never crosses a line end.
    let (line, words) = (1..)
        .zip(text.lines())
        .find(|(_, words)| !is_nfc(words))
        .unwrap_or((1, ""));
    let normal = unicode_normalization::UnicodeNormalization::nfc(words);
    let same = words
        .chars()
        .zip(normal)
        .take_while(|(a, b)| a == b)
        .count();
    Fault {
        rule: "not-normalized",
        place: Place { line, column: number(same + 1) },
        message: "this character is written in a decomposed form, so that it looks like another".into(),
        help: "Save the file in Unicode's composed form (NFC), for instance by typing the character again."
            .into(),
    }
}

/// The place of byte offset `at`, which must be on a character boundary.
pub(crate) fn place(text: &str, at: usize) -> Place {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Place {
        line: number(before.bytes().filter(|b| *b == b'\n').count() + 1),
        column: number(before[line_start..].chars().count() + 1),
    }
}

/// A count within one file, which [`MAX_BYTES`] bounds (or a listing, which memory does).
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
