//! One line: a pattern and its owners, and what is wrong with them.

use super::super::model::{Login, Owner};
use super::pattern::Pattern;

/// A line that says who owns what.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Its number, from 1.
    pub(super) line: u32,
    /// The pattern, as written.
    pub(super) text: String,
    /// The pattern, compiled.
    pub(super) pattern: Pattern,
    /// The owners; none takes the path out of everybody's hands.
    pub(super) owners: Vec<Owner>,
}

/// Something wrong in a line.
#[derive(Debug)]
pub(super) struct Fault {
    /// In characters, from 1.
    pub(super) column: u32,
    pub(super) rule: &'static str,
    pub(super) message: String,
    pub(super) help: String,
}

const INVALID: &str = "codeowners-invalid-line";
const AMBIGUOUS: &str = "codeowners-ambiguous-pattern";
const HIDDEN: &str = "codeowners-hidden-character";

const BLANKS: [char; 2] = [' ', '\t'];

/// Reads one line, without its line feed. `None` for a comment, an empty line, and a line that GitHub would skip.
pub(super) fn read(number: u32, raw: &[u8], faults: &mut Vec<Fault>) -> Option<Rule> {
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    let line = match std::str::from_utf8(raw) {
        Ok(line) => line,
        Err(error) => {
            let valid = String::from_utf8_lossy(&raw[..error.valid_up_to()]);
            faults.push(not_utf8(column(&valid, valid.len())));
            return None;
        }
    };
    faults.extend(hidden(line));
    let text = line.trim_matches(BLANKS);
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let indent = line.len() - line.trim_start_matches(BLANKS).len();
    let end = indent + pattern_end(text);
    let pattern = &line[indent..end];

    let compiled = match Pattern::compile(pattern) {
        Ok(compiled) => Some(compiled),
        Err(why) => {
            faults.push(invalid_pattern(column(line, indent), pattern, why));
            None
        }
    };
    if compiled.is_some() {
        faults.extend(ambiguous(line, indent, pattern));
    }
    let owners = owners(line, end, faults);
    Some(Rule {
        line: number,
        text: pattern.to_owned(),
        pattern: compiled?,
        owners: owners?,
    })
}

/// Where the pattern at the beginning of `text` ends: at the first blank without a backslash before it.
fn pattern_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if BLANKS.contains(&c) && !escaped {
            return at;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// The owners from byte `start` on; `None` if one of them cannot be read.
fn owners(line: &str, start: usize, faults: &mut Vec<Fault>) -> Option<Vec<Owner>> {
    let mut rest = &line[start..];
    if let Some(hash) = rest.find('#') {
        if !rest[..hash].ends_with(BLANKS) {
            faults.push(glued_comment(column(line, start + hash)));
        }
        rest = &rest[..hash];
    }
    let mut owners = Some(Vec::new());
    let mut at = start;
    for token in rest.split(BLANKS) {
        if !token.is_empty() {
            match (owner(token), &mut owners) {
                (Some(owner), Some(owners)) => owners.push(owner),
                (Some(_), None) => {}
                (None, _) => {
                    faults.push(invalid_owner(column(line, at), token));
                    owners = None;
                }
            }
        }
        at += token.len() + 1;
    }
    owners
}

/// Reads `@login`, `@organisation/team` or an email address.
pub(super) fn owner(token: &str) -> Option<Owner> {
    let word = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        !text.is_empty() && text.bytes().all(plain)
    };
    if let Some(name) = token.strip_prefix('@') {
        let Some((organisation, team)) = name.split_once('/') else {
            let login = word(name).then(|| Login::new(name))?.ok()?;
            return Some(Owner::User(login));
        };
        let organisation = word(organisation).then(|| Login::new(organisation))?.ok()?;
        return word(team).then(|| Owner::Team {
            organisation,
            slug: team.to_ascii_lowercase(),
        });
    }
    let (local, domain) = token.split_once('@')?;
    let local_part = |b: u8| b.is_ascii_alphanumeric() || b"._'%+-".contains(&b);
    let label = |label: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty() && label.bytes().all(plain)
    };
    let (host, top) = domain.rsplit_once('.')?;
    let ok = !local.is_empty()
        && local.bytes().all(local_part)
        && host.split('.').all(label)
        && top.len() >= 2
        && top.bytes().all(|b| b.is_ascii_alphabetic());
    ok.then(|| Owner::Email(token.to_owned()))
}

/// The column of byte `at`, in characters from 1.
fn column(line: &str, at: usize) -> u32 {
    let before = line[..at].chars().count();
    u32::try_from(before).map_or(u32::MAX, |n| n.saturating_add(1))
}

/// Whether a character cannot be seen, or makes text look other than it is.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` as a message shows it: everything in it can be seen, and it is not longer than a line.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(60) {
        if is_hidden(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

fn hidden(line: &str) -> Option<Fault> {
    let (at, c) = line.char_indices().find(|(_, c)| is_hidden(*c))?;
    Some(Fault {
        column: column(line, at),
        rule: HIDDEN,
        message: format!(
            "the line holds the invisible character U+{:04X}, so people may see another line than GitHub reads",
            u32::from(c)
        ),
        help: "Delete the character; only spaces and tabs may be invisible.".to_owned(),
    })
}

/// What GitHub accepts but does not mean as most readers would.
fn ambiguous(line: &str, start: usize, pattern: &str) -> Option<Fault> {
    let fault = |at: usize, message: String, help: &str| {
        Some(Fault {
            column: column(line, start + at),
            rule: AMBIGUOUS,
            message: format!("the pattern `{}` {message}", shown(pattern)),
            help: help.to_owned(),
        })
    };
    let special = pattern
        .char_indices()
        .find(|(_, c)| "[]!\\#".contains(*c) || !c.is_ascii());
    if let Some((at, c)) = special {
        return fault(
            at,
            format!(
                "contains `{}`, which CODEOWNERS does not read as gitignore does",
                shown(&pattern[at..at + c.len_utf8()])
            ),
            "Use ASCII letters, digits, `*`, `?`, and a line for each folder; rename what cannot be written so.",
        );
    }
    let body = pattern.strip_prefix('/').unwrap_or(pattern);
    if body.is_empty() {
        let help = "Write `*` for everything, or name a path.";
        return fault(0, "matches no path at all".to_owned(), help);
    }
    if body == "**/" || body.ends_with("/**/") {
        let help = "Write `**` without the slash at the end.";
        return fault(
            0,
            "has a `/` after its last `**`, which readers disagree about".to_owned(),
            help,
        );
    }
    let inner = body.strip_suffix('/').unwrap_or(body);
    let odd = inner.split('/').find(|s| matches!(*s, "" | "." | ".."))?;
    let help =
        "Write the path as git does: from the root of the repository, one `/` between names.";
    fault(
        0,
        format!("has the segment `{odd}`, which no path in git has, so it matches nothing"),
        help,
    )
}

fn not_utf8(column: u32) -> Fault {
    Fault {
        column,
        rule: INVALID,
        message: "the line is not UTF-8 from here on".to_owned(),
        help: "Save the file as UTF-8.".to_owned(),
    }
}

fn invalid_pattern(column: u32, pattern: &str, why: &str) -> Fault {
    Fault {
        column,
        rule: INVALID,
        message: format!(
            "the pattern `{}` {why}; GitHub skips the line, so an earlier one decides",
            shown(pattern)
        ),
        help: "To take a path out of a folder, add a later line for that path with its own owners."
            .to_owned(),
    }
}

fn invalid_owner(column: u32, token: &str) -> Fault {
    Fault {
        column,
        rule: INVALID,
        message: format!(
            "`{}` is no owner; GitHub skips the line, so an earlier one decides",
            shown(token)
        ),
        help: "Write an owner as `@login`, `@organisation/team` or an email address; a path with a space needs `\\` before it.".to_owned(),
    }
}

fn glued_comment(column: u32) -> Fault {
    Fault {
        column,
        rule: INVALID,
        message: "a comment begins right after an owner, so it is unclear whether `#` belongs to the name".to_owned(),
        help: "Put a space before `#`.".to_owned(),
    }
}
