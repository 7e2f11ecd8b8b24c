//! Distinguished names, compared without asking a server. <https://www.rfc-editor.org/rfc/rfc4514>

/// A name as its parts, from the outermost in: each a sorted list of attribute and value, in lower case. Two names that are equal so
/// are the same entry in every directory that ignores case in names, which all do for those of people and groups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dn(Vec<Vec<(String, Vec<u8>)>>);

impl Dn {
    /// Reads a name; `None` for what is none, or is empty.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = split(text, &[',', ';']);
        let parts: Option<Vec<_>> = parts.into_iter().rev().map(part).collect();
        parts.filter(|parts| !parts.is_empty()).map(Self)
    }

    /// Whether it is `base`, or below it.
    pub fn is_within(&self, base: &Self) -> bool {
        self.0.starts_with(&base.0)
    }

    /// Whether the entry is named by `value` of `attribute` alone: `uid=ada,...`.
    pub fn is_named(&self, attribute: &str, value: &str) -> bool {
        let wanted = (
            attribute.to_ascii_lowercase(),
            value.to_lowercase().into_bytes(),
        );
        self.0.last().is_some_and(|part| *part == [wanted])
    }
}

fn part(text: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let pairs = split(text, &['+']).into_iter().map(|pair| {
        let (attribute, value) = pair.split_once('=')?;
        let attribute = attribute.trim().to_ascii_lowercase();
        let named = !attribute.is_empty()
            && attribute
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
        named.then_some(())?;
        Some((attribute, unescaped(value.trim_start())?))
    });
    let mut pairs: Vec<_> = pairs.collect::<Option<_>>()?;
    pairs.sort();
    Some(pairs)
}

/// The value itself, in lower case. Bytes that are not text stay as they are.
fn unescaped(value: &str) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    // Spaces at the end belong to the value only where they are escaped.
    let mut kept = 0;
    let mut rest = value.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            plain.push(byte);
            kept = if byte == b' ' { kept } else { plain.len() };
            continue;
        }
        let first = rest.next()?;
        let hex = |byte: u8| char::from(byte).to_digit(16);
        let byte = match (hex(first), rest.peek().copied().and_then(hex)) {
            (Some(high), Some(low)) => {
                rest.next();
                u8::try_from(high * 16 + low).ok()?
            }
            _ => first,
        };
        plain.push(byte);
        kept = plain.len();
    }
    plain.truncate(kept);
    Some(match String::from_utf8(plain) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(error) => error.into_bytes(),
    })
}

/// `text` at each of `separators` that is not escaped.
fn split<'a>(text: &'a str, separators: &[char]) -> Vec<&'a str> {
    let (mut parts, mut from, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if separators.contains(&c) {
            parts.push(&text[from..at]);
            from = at + c.len_utf8();
        }
    }
    parts.push(&text[from..]);
    parts
}
