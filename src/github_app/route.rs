//! Paths, queries and the way to the next page.

use http::HeaderMap;
use http::header::HeaderName;
use url::Url;

use super::BoxError;
use crate::domain::address;

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

/// As a step of a path.
fn encoded(text: &str) -> String {
    // `.` and `..` would be steps of another kind.
    match text.bytes().all(|b| b == b'.') {
        true => text.replace('.', "%2E"),
        false => address::encoded(text, b""),
    }
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
