//! What the brake held, and what became of it.

use super::super::approval::Approval;
use super::super::model::{Actor, Instant, PullNumber};
use super::super::release::Hold;
use super::draft::{Draft, actor_word, instant};
use super::{Event, Kind};

/// Removals that are only inferred are too many to be believed.
pub fn held(hold: &Hold, at: Instant) -> Event {
    let sentence = format!("Held back: {} would go at once", hold.what());
    let members: Vec<String> = hold.members.iter().cloned().collect();
    draft(Kind::Held, "held", hold, at, &sentence)
        .lines("Removal", &members)
        .finish()
}

/// Two owners released what was held, by approving its record in pull request `pull`.
pub fn released(hold: &Hold, pull: PullNumber, approvals: &[Approval], at: Instant) -> Event {
    let who: Vec<&str> = approvals
        .iter()
        .map(|a| a.reviewer.login.as_str())
        .collect();
    let sentence = format!("Released: {} let {} go", who.join(" and "), hold.what());
    draft(Kind::Released, "released", hold, at, &sentence)
        .approvals(approvals)
        .number("Release-pull", pull.0)
        .finish()
}

/// The record of what is held was merged in pull request `pull` without two owners' approval, which releases nothing.
pub fn release_unsigned(
    hold: &Hold,
    pull: PullNumber,
    reasons: &[String],
    merged_by: Option<&Actor>,
    at: Instant,
) -> Event {
    let sentence = format!("Merged unsigned: {} are still held back", hold.what());
    let word = format!("release-unsigned:#{pull}");
    let draft = draft(Kind::ReleaseUnsigned, &word, hold, at, &sentence)
        .maybe("Merged-by", merged_by.map(|a| actor_word(Some(a))))
        .number("Release-pull", pull.0);
    draft.lines("Missing", reasons.iter().take(20)).finish()
}

/// What was held came back or ended by time, so that there is nothing to release.
pub fn hold_over(hold: &Hold, at: Instant) -> Event {
    let sentence = format!(
        "Hold over: nothing is held back any more of {}",
        hold.what()
    );
    draft(Kind::HoldOver, "hold-over", hold, at, &sentence).finish()
}

fn draft(kind: Kind, word: &str, hold: &Hold, at: Instant, sentence: &str) -> Draft {
    let record = hold.record();
    let key = format!("{word}:{}@{}", hold.record_path(), instant(hold.since));
    Draft::new(kind, key, at, sentence)
        .line("Held", record.held.as_str())
        .maybe("Connection", record.connection.as_ref().map(|c| c.as_str()))
        .maybe("Resource", hold.whose.resource.as_ref().map(|r| r.as_str()))
        .number("Count", record.count)
        .line("Digest", &record.digest)
        .line("Base", record.base.as_str())
        .line("Record", hold.record_path().as_str())
}
