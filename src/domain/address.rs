//! Text in addresses: percent-encoding (RFC 3986, section 2.1).

/// Percent-encodes everything but what RFC 3986 calls unreserved (letters, digits, `-`, `_`, `.`, `~`) and the bytes in `also`.
pub fn encoded(text: &str, also: &[u8]) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b) || also.contains(&b);
    text.bytes().fold(String::new(), |mut out, b| {
        if plain(b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    })
}
