//! Access that somebody ended at once, before its term was over.

use super::super::ledger::Entry;
use super::super::model::{Actor, Instant};
use super::super::visitor::Standing;
use super::draft::{Draft, actor_word};
use super::{Event, Kind, arrival, who_what};

/// `who` ended what `entry` gives, as its holder or as an owner of its path. Why they did stands in the ledger; `digest` is the SHA-256
/// of that text.
pub fn called_off(
    entry: &Entry,
    (who, standing): (&Actor, &Standing),
    digest: &str,
    at: Instant,
) -> Event {
    let sentence = format!("Called off: {} ends {} at once", who.login, who_what(entry));
    let key = format!("called-off:{}", entry.id);
    let draft = arrival(Draft::new(Kind::CalledOff, key, at, &sentence), entry)
        .line("Actor", actor_word(Some(who)))
        .line("Cause", standing.cause().as_str())
        .line("Digest", digest);
    let draft = match standing {
        Standing::Holder => draft,
        Standing::Owner(owner) => draft.lines("Owner", [owner.to_string()]),
    };
    match &entry.terms {
        Some(terms) => draft.terms(terms).finish(),
        None => draft.finish(),
    }
}
