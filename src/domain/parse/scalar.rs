//! What an unquoted YAML scalar means: text, `true`, `false` or a whole number; or nothing, where readers disagree.
//!
//! YAML 1.1 and 1.2, and the libraries that implement them, give different values to `no`, `0755`, `1e3`, `12:30` or `~`. Whoever
//! reviews the file may have any of them in mind, so such a scalar must be quoted.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// A scalar that some YAML reader takes for something other than its text; what it takes it for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ambiguous(pub &'static str);

/// Everything that the type repositories of YAML 1.1 and 1.2 (<https://yaml.org/type/>) resolve to a number. A superset of
/// each, on purpose.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^[-+]?(?:0[bB][01_]*|0[oO]?[0-9_]*|0[xX][0-9A-Fa-f_]*",
        r"|[0-9][0-9_]*(?::[0-9][0-9_]*)+(?:\.[0-9_]*)?",
        r"|(?:[0-9][0-9_]*)?\.?[0-9_.]*(?:[eE][-+]?[0-9]+)?",
        r"|\.(?:inf|Inf|INF|nan|NaN|NAN))$"
    ))
    .expect("the expression is constant and a test compiles it")
});

/// The value of a plain (unquoted) scalar.
pub(super) fn plain(text: String) -> Result<Value, Ambiguous> {
    match text.as_str() {
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        "y" | "Y" | "n" | "N" | "=" => return Err(Ambiguous("something else than text")),
        "True" | "TRUE" | "False" | "FALSE" => return Err(Ambiguous("a truth value")),
        _ => {}
    }
    let word = text.len() <= 3 && text.is_ascii();
    if word && matches!(&*text.to_ascii_lowercase(), "yes" | "no" | "on" | "off") {
        return Err(Ambiguous("a truth value"));
    }
    if matches!(text.as_str(), "" | "~") || text.eq_ignore_ascii_case("null") {
        return Err(Ambiguous("nothing"));
    }
    // Numbers of every dialect begin like this; words do not, and most scalars are words.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return Ok(Value::String(text));
    }
    let bytes = text.strip_prefix('-').unwrap_or(&text).as_bytes();
    let canonical = bytes.iter().all(u8::is_ascii_digit)
        && (bytes[..] == *b"0" || bytes.first() != Some(&b'0'));
    if let (true, Ok(number)) = (canonical && text != "-0", text.parse::<i64>()) {
        return Ok(Value::from(number));
    }
    if NUMBER.is_match(&text) {
        return Err(Ambiguous("a number of another form"));
    }
    Ok(Value::String(text))
}
