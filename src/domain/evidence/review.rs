//! What becomes of the review of an emergency.

use super::super::approval::Approval;
use super::super::ledger::Entry;
use super::super::model::{Actor, Instant, PullNumber};
use super::record::Vote;
use super::{Event, Kind, about, actor_word, approved_by, instant, who_what};

/// An owner signed the review of an emergency, by approving its record in pull request `pull`.
pub fn reviewed(entry: &Entry, pull: PullNumber, signature: &Approval, at: Instant) -> Event {
    let sentence = format!(
        "Reviewed: {} signs for {}",
        signature.reviewer.login,
        who_what(entry)
    );
    about(Kind::Reviewed, "reviewed", entry, at, &sentence)
        .line("Reviewer", actor_word(Some(&signature.reviewer)))
        .maybe("Reviewed-at", signature.at.map(instant))
        .line("Signed-by", approved_by(signature))
        .data("signature", Vote::from(signature))
        .number("Review-pull", pull.0)
        .finish()
}

/// The record of an emergency was merged in pull request `pull` without an owner's signature, which signs nothing.
pub fn review_unsigned(
    entry: &Entry,
    pull: PullNumber,
    reasons: &[String],
    merged_by: Option<&Actor>,
    at: Instant,
) -> Event {
    let sentence = format!(
        "Merged unsigned: the review of {} is still due",
        who_what(entry)
    );
    let word = format!("review-unsigned:#{pull}");
    let draft = about(Kind::ReviewUnsigned, &word, entry, at, &sentence)
        .maybe("Merged-by", merged_by.map(|a| actor_word(Some(a))))
        .number("Review-pull", pull.0);
    draft.lines("Missing", reasons.iter().take(20)).finish()
}

/// Nobody signed the review of an emergency in time.
pub fn review_overdue(entry: &Entry, at: Instant) -> Event {
    let sentence = format!("Overdue: nobody has reviewed {}", who_what(entry));
    let asked = entry.review.as_ref().and_then(|r| r.asked.as_ref());
    let draft = about(Kind::ReviewOverdue, "review-overdue", entry, at, &sentence);
    match asked {
        Some(asked) => draft.number("Review-pull", asked.pull.0),
        None => draft,
    }
    .finish()
}
