//! No byte gets past the first look that a reviewer cannot see: THREATS, AC-32, by lists of code points and by other tables of Unicode.
#![no_main]

use hallpass::domain::finding::Finding;
use hallpass::domain::parse::{MAX_BYTES, read_tree};
use hallpass_fuzz::{alone, file, sound};
use icu_normalizer::ComposingNormalizerBorrowed;
use libfuzzer_sys::fuzz_target;

const FIRST: [&str; 4] = [
    "file-too-large",
    "invalid-utf8",
    "forbidden-character",
    "not-normalized",
];

/// What AC-32 names: C0 but for line ends, DEL, C1, line separators, the byte order mark, characters of direction and without width.
fn is_named(c: char) -> bool {
    matches!(c, '\0'..='\u{9}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}')
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200d}' | '\u{2060}')
}

/// The byte at which the first thing stands that must be refused.
fn refused(text: &str) -> Option<usize> {
    let lone = |at: usize| text.as_bytes().get(at + 1) != Some(&b'\n');
    text.char_indices()
        .find(|(at, c)| is_named(*c) || (*c == '\r' && lone(*at)))
        .map(|(at, _)| at)
}

fn place(text: &str, at: usize) -> (u32, u32) {
    let line = text[..at].matches('\n').count() + 1;
    let column = text[..at]
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line as u32, column as u32)
}

fn first(path: &str, bytes: &[u8]) -> Option<Finding> {
    let tree = read_tree(&[file(path, bytes)]);
    tree.findings
        .iter()
        .for_each(|finding| sound(finding, bytes));
    let mut of_bytes = tree
        .findings
        .into_iter()
        .filter(|f| FIRST.contains(&f.rule));
    let found = of_bytes.next();
    assert!(
        of_bytes.next().is_none(),
        "only one thing is told of the bytes"
    );
    found
}

fuzz_target!(init: alone(), |data: &[u8]| {
    for path in ["access/grants/orders/request.yaml", "access/policies/guardrails.cedar"] {
        let found = first(path, data);
        let rule = found.as_ref().map(|f| f.rule);
        let at = found.as_ref().map(|f| (f.line, f.column));
        if data.len() > MAX_BYTES {
            assert_eq!(rule, Some("file-too-large"));
            continue;
        }
        let text = match std::str::from_utf8(data) {
            Ok(text) => text,
            Err(error) => {
                let valid = std::str::from_utf8(&data[..error.valid_up_to()]).expect("valid so far");
                assert_eq!((rule, at), (Some("invalid-utf8"), Some(place(valid, valid.len()))));
                continue;
            }
        };
        let must = refused(text).map(|at| place(text, at));
        if let Some(must) = must {
            assert_eq!(rule, Some("forbidden-character"), "{must:?}");
            assert!(at <= Some(must), "{at:?} is behind {must:?}");
        }
        match (rule, at) {
            // What is refused beyond the list of AC-32 is nothing that people write with.
            (Some("forbidden-character"), Some((line, column))) if at != must => {
                let line = text.split('\n').nth(line as usize - 1).expect("a line");
                let c = line.chars().nth(column as usize - 1).expect("a character");
                let filler = matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
                assert!(!c.is_alphanumeric() || filler, "{c:?} is refused");
                assert!(!c.is_ascii(), "{c:?} is refused");
            }
            (Some("forbidden-character"), _) => {}
            (other, _) => {
                let normal = ComposingNormalizerBorrowed::new_nfc().is_normalized(text);
                assert_eq!(other == Some("not-normalized"), !normal, "{text:?}");
            }
        }
    }
});
