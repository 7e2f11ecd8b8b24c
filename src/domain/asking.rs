//! Writing a request: the text of its file, and a name for it.
//!
//! Invariant: what the file says, read by anybody, is what was asked for. Whatever somebody typed stands in it as text, and as nothing else.

use unicode_normalization::UnicodeNormalization as _;

use super::evidence::instant;
use super::model::{Grant, GrantPath, ResourceName, Subject, Term};
use super::parse::is_plain_text;

/// Where the schemas stand in an access repository that holds them, for editors.
pub const SCHEMA: &str = "schemas/grant.schema.json";

/// The first line of a grant's file, from which editors know what it may say.
const HEAD: &str = "# yaml-language-server: $schema=../../../schemas/grant.schema.json\n";

/// Whether the repository holds the schema that editors look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schemas {
    /// It does, so the file says where.
    There,
    /// It does not.
    Absent,
}

/// The file that asks for `grant`.
pub fn write(grant: &Grant, schemas: Schemas) -> String {
    let (key, name) = match &grant.subject {
        Subject::Person(login) => ("person", login.as_str()),
        Subject::Service(name) => ("service", name.as_str()),
    };
    let term = match grant.term {
        Term::Duration(length) => ("duration", length.to_string()),
        Term::Expires(at) => ("expires", instant(at)),
    };
    let fields = [
        Some((key, plain(name))),
        Some(("role", plain(grant.role.as_str()))),
        grant.starts.map(|at| ("starts", instant(at))),
        Some(term),
        Some(("reason", text(&grant.reason))),
        grant.ticket.as_ref().map(|ticket| ("ticket", text(ticket))),
        grant.risk.as_ref().map(|risk| ("risk", text(risk))),
        grant.emergency.then(|| ("emergency", "true".to_owned())),
        grant.adopt.then(|| ("adopt", "true".to_owned())),
    ];
    let head = match schemas {
        Schemas::There => HEAD,
        Schemas::Absent => "",
    };
    let lines = fields.into_iter().flatten();
    let lines = lines.map(|(key, value)| format!("{key}: {value}\n"));
    std::iter::once(head.to_owned()).chain(lines).collect()
}

/// What somebody typed, as it is kept: composed characters, line feeds and spaces only between what can be seen.
pub fn tidy(typed: &str) -> String {
    let lines = typed.trim().lines().map(str::trim_end);
    let lines: Vec<String> = lines.map(|line| line.replace('\t', " ")).collect();
    lines.join("\n").nfc().collect()
}

/// A name that YAML could take for something else is quoted: `true`, `0x1`, `1e3`.
fn plain(name: &str) -> String {
    text(name)
}

/// A text as the value of a key: as it is, as a block of lines, or quoted; the first that reads back as itself.
fn text(value: &str) -> String {
    let block = || {
        let lines = value.split('\n').map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("\n  {line}"),
        });
        format!("|-{}", lines.collect::<String>())
    };
    let (first, may_be) = match value.contains('\n') {
        true => (block(), true),
        false => (value.to_owned(), is_plain_text(value)),
    };
    if may_be && reads_as(&first, value) {
        first
    } else {
        quoted(value)
    }
}

/// JSON's quotes are YAML's.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

fn reads_as(written: &str, value: &str) -> bool {
    // What begins with one of these has a meaning of its own, whatever a lenient reader makes of it.
    let odd = |c: char| "&*!|>%@`\"'#{}[],?:-".contains(c);
    if !written.starts_with("|-") && written.starts_with(odd) {
        return false;
    }
    let read: Result<serde_json::Value, _> = serde_yaml::from_str(&format!("k: {written}\n"));
    read.is_ok_and(|read| read["k"].as_str() == Some(value))
}

/// How many names are tried.
const NAMES: u32 = 1000;

/// A path for a request of `grant` on `resource`: named after who receives it and what it is about, with a number where that is taken.
/// `None` where every one is.
pub fn name(
    resource: &ResourceName,
    grant: &Grant,
    is_free: impl Fn(&GrantPath) -> bool,
) -> Option<GrantPath> {
    let who = match &grant.subject {
        Subject::Person(login) => login.as_str(),
        Subject::Service(name) => name.as_str(),
    };
    let ticket = grant.ticket.as_deref().map(slug);
    let about = ticket
        .filter(|ticket| !ticket.is_empty())
        .unwrap_or_else(|| grant.role.to_string());
    // The whole path has 200 characters at most.
    let room =
        200_usize.saturating_sub(resource.as_str().len() + "access/grants//-1000.yaml".len());
    let stem = slug(&format!("{who}-{about}"));
    let stem = stem[..stem.len().min(room).min(90)].trim_end_matches('-');
    (1..=NAMES).find_map(|n| {
        let name = match n {
            1 => stem.to_owned(),
            n => format!("{stem}-{n}"),
        };
        let path = GrantPath::new(format!("access/grants/{resource}/{name}.yaml")).ok()?;
        is_free(&path).then_some(path)
    })
}

/// Lower-case ASCII letters and digits, and single hyphens between them.
fn slug(text: &str) -> String {
    let letter = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9') => c,
        _ => '-',
    };
    let marked: String = text.chars().map(letter).collect();
    let words: Vec<&str> = marked.split('-').filter(|word| !word.is_empty()).collect();
    words.join("-")
}
