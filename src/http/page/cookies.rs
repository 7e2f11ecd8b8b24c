//! The two cookies: the session, and the sign-in that is under way. Both are bound to this host by their name, and neither a script nor
//! another site's form gets at them.

use axum::http::{HeaderMap, HeaderValue, header};

/// Names the session.
pub(super) const SESSION: &str = "__Host-hallpass";

/// Holds the sign-in that is under way.
pub(super) const SIGN_IN: &str = "__Host-hallpass-sign-in";

/// The one cookie of this name; `None` where there are several, or none.
pub(super) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    });
    match (values.next(), values.next()) {
        (Some(value), None) if value.len() <= 1024 => Some(value),
        _ => None,
    }
}

/// A cookie that lives for `seconds`; 0 takes it away.
pub(super) fn write(name: &str, value: &str, seconds: i64) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
