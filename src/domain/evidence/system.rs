//! What happens to Hallpass itself.

use super::super::model::Instant;
use super::draft::{Draft, instant};
use super::{Event, Kind};

/// Another key signs from here on. `from` is the fingerprint of the one that did; `None` where that is not known any more.
pub fn key_changed(from: Option<&str>, to: &str, at: Instant) -> Event {
    let sentence = "Key changed: another key signs the evidence from here on";
    let key = format!("key-changed:{to}@{}", instant(at));
    Draft::new(Kind::KeyChanged, key, at, sentence)
        .maybe("Key-before", from)
        .line("Signing-key", to)
        .finish()
}
