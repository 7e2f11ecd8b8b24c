//! Paths, queries and the way to the next page.

use http::HeaderMap;
use http::header::HeaderName;
use url::Url;

use super::BoxError;

/// A path of these segments. Whatever a segment holds, it stays one segment.
pub fn path(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |path, segment| {
        path + "/" + &encoded(segment)
    })
}

/// A path with a query of these pairs.
pub fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

/// Percent-encodes everything but letters, digits, `-`, `_`, `~` and inner dots.
fn encoded(text: &str) -> String {
    // `.` and `..` would be steps in a path.
    let steps = text.bytes().all(|b| b == b'.');
    let plain = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'~') || (b == b'.' && !steps)
    };
    text.bytes().fold(String::new(), |mut out, b| {
        if plain(b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    })
}

/// What the `Link` header calls the next page, which must be of the same server: our token goes there.
pub(super) fn next_page(
    headers: &HeaderMap,
    link: HeaderName,
    api: &Url,
) -> Result<Option<String>, BoxError> {
    for value in headers.get_all(link) {
        for one in value.to_str()?.split(',') {
            let Some((address, parameters)) = one.trim().split_once('>') else {
                continue;
            };
            let next = parameters
                .split(';')
                .any(|p| matches!(p.trim(), r#"rel="next""# | "rel=next"));
            if !next {
                continue;
            }
            let address = Url::parse(address.trim_start_matches('<'))?;
            if address.origin() != api.origin() {
                return Err(format!(
                    "the next page is on another server: {}",
                    address.origin().ascii_serialization()
                )
                .into());
            }
            // Absolute, because GitHub names pages by `/repositories/<id>/..`, below the same root or not.
            return Ok(Some(address.into()));
        }
    }
    Ok(None)
}
