//! What happens to the access of services: whether somebody answers for it.

use super::super::ledger::Entry;
use super::super::model::Instant;
use super::{Event, Kind, about, instant, who_what};

/// Nobody is accountable any more for the service that holds it: it ends at `ends` unless somebody is by then.
pub fn orphaned(entry: &Entry, ends: Instant, at: Instant) -> Event {
    let sentence = format!("Orphaned: nobody is accountable for {}", who_what(entry));
    // It may happen to the same grant again.
    let word = format!("orphaned:{}", instant(at));
    about(Kind::Orphaned, &word, entry, at, &sentence)
        .line("Tolerated-until", instant(ends))
        .finish()
}

/// Somebody is accountable again for the service that holds it.
pub fn adopted(entry: &Entry, at: Instant) -> Event {
    let sentence = format!(
        "Adopted: somebody is accountable again for {}",
        who_what(entry)
    );
    let word = format!("adopted:{}", instant(at));
    about(Kind::Adopted, &word, entry, at, &sentence).finish()
}
