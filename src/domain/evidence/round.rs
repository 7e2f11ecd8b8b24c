//! What access reviews asked, and what became of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::approval::Signatures;
use super::super::emergency::Asked;
use super::super::model::{Actor, GrantId, Instant, PullNumber, TermLength};
use super::super::round::{Answer, Line, Schedule, Sheet, digest};
use super::draft::{Draft, actor_word, instant};
use super::{Event, Kind};

/// One grant of an access review, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewLine {
    /// Which grant.
    pub grant: String,
    /// Who has it: `person <login>` or `service <name>`.
    pub who: String,
    /// What they have.
    pub role: String,
    /// Since when, without a gap.
    pub since: Instant,
    /// Until when.
    pub until: Instant,
    /// When its account was last used, by whatever it may do in that system; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_last_used: Option<Instant>,
    /// `keep`, `end`, or `unanswered`.
    pub answer: String,
}

impl ReviewLine {
    fn of(line: &Line, answer: Option<Answer>) -> Self {
        Self {
            grant: line.grant.to_string(),
            who: line.who(),
            role: line.role.to_string(),
            since: line.since,
            until: line.ends,
            account_last_used: line.account_last_used,
            answer: answer.map_or("unanswered", Answer::as_str).to_owned(),
        }
    }
}

/// A round began: what it asks about, in all. A round that asks about nothing is complete with that.
pub fn review_opened(schedule: &Schedule, round: Instant, sheets: &[Sheet], at: Instant) -> Event {
    let grants = sheets.iter().flat_map(|s| &s.lines).map(|l| &l.grant);
    let count = grants.clone().count();
    let day = round.format("%Y-%m-%d");
    let every: TermLength = schedule.every;
    let many = |n: usize, thing: &str| match n {
        1 => format!("1 {thing}"),
        n => format!("{n} {thing}s"),
    };
    let found = match sheets.len() {
        0 => format!("finds no access of more than {every}"),
        n => format!(
            "asks about {} on {}",
            many(count, "grant"),
            many(n, "sheet")
        ),
    };
    let sentence = format!("Opened: the access review of {day} {found}");
    let key = format!("access-review-opened:{}", instant(round));
    Draft::new(Kind::AccessReviewOpened, key, at, &sentence)
        .line("Round", instant(round))
        .line("Period", every.to_string())
        .line("Unanswered", schedule.unanswered.as_str())
        .number("Count", count as u64)
        .line("Digest", digest(grants))
        .lines("Sheet", sheets.iter().map(|s| s.record_path().to_string()))
        .finish()
}

/// Owners signed the answers to a sheet in pull request `pull`.
pub fn review_completed(
    sheet: &Sheet,
    answers: &BTreeMap<GrantId, Answer>,
    (pull, signed): (PullNumber, &Signatures),
    at: Instant,
) -> Event {
    let answer = |line: &Line| {
        let answer = answers.get(&line.grant).copied();
        answer.filter(|_| !signed.nobodys.contains(&line.grant))
    };
    let count = |which: Option<Answer>| {
        let lines = sheet.lines.iter().filter(|line| answer(line) == which);
        lines.count() as u64
    };
    let (kept, ended) = (count(Some(Answer::Keep)), count(Some(Answer::End)));
    let approvals = signed.approvals.iter();
    let who: Vec<&str> = approvals.map(|a| a.reviewer.login.as_str()).collect();
    let sentence = format!(
        "Completed: {} answered the access review of {}: {kept} kept, {ended} ended",
        who.join(" and "),
        sheet.round.format("%Y-%m-%d")
    );
    let word = format!("access-review-completed:{}", sheet.attempt);
    let lines = sheet.lines.iter().map(|l| ReviewLine::of(l, answer(l)));
    about(Kind::AccessReviewCompleted, &word, sheet, at, &sentence)
        .approvals(&signed.approvals)
        .number("Review-pull", pull.0)
        .number("Kept", kept)
        .number("Ended", ended)
        .data("lines", lines.collect::<Vec<_>>())
        .finish()
}

/// Owners are asked, in the pull request that `sheet` names: everything that must be known of it where the database is lost.
pub fn review_asked(sheet: &Sheet, asked: &Asked, at: Instant) -> Event {
    let sentence = format!(
        "Asked: the access review of {} for {} (#{})",
        sheet.round.format("%Y-%m-%d"),
        sheet.what(),
        asked.pull
    );
    // Asked again, it may be by another pull request or about what it says by now.
    let word = format!(
        "access-review-asked:{}:#{}:{}",
        sheet.attempt, asked.pull, asked.head
    );
    let lines = sheet.lines.iter().map(|l| ReviewLine::of(l, None));
    about(Kind::AccessReviewAsked, &word, sheet, at, &sentence)
        .number("Attempt", sheet.attempt.into())
        .number("Sheet-Part", sheet.part.into())
        .line("Within", sheet.within.to_string())
        .number("Review-pull", asked.pull.0)
        .line("Head", asked.head.as_str())
        .data("lines", lines.collect::<Vec<_>>())
        .finish()
}

/// Nobody answered a sheet in time: what it asks about is kept, or ends, as its schedule says.
pub fn review_lapsed(sheet: &Sheet, at: Instant) -> Event {
    let sentence = format!(
        "Lapsed: nobody answered the access review of {} for {}, {}",
        sheet.round.format("%Y-%m-%d"),
        sheet.what(),
        match (sheet.unanswered, sheet.lines.len()) {
            (Answer::Keep, 1) => "which is kept unreviewed",
            (Answer::Keep, _) => "which are kept unreviewed",
            (Answer::End, 1) => "which ends",
            (Answer::End, _) => "which end",
        }
    );
    let draft = about(
        Kind::AccessReviewLapsed,
        "access-review-lapsed",
        sheet,
        at,
        &sentence,
    );
    let draft = match &sheet.asked {
        Some(asked) => draft.number("Review-pull", asked.pull.0),
        None => draft,
    };
    let lines = sheet.lines.iter().map(|l| ReviewLine::of(l, None));
    draft.data("lines", lines.collect::<Vec<_>>()).finish()
}

/// The answers to a sheet were merged in pull request `pull` without an owner's signature, so they are none.
pub fn review_answers_unsigned(
    sheet: &Sheet,
    pull: PullNumber,
    reasons: &[String],
    merged_by: Option<&Actor>,
    at: Instant,
) -> Event {
    let sentence = format!(
        "Merged unsigned: the access review of {} still waits for answers for {}",
        sheet.round.format("%Y-%m-%d"),
        sheet.what()
    );
    let word = format!("access-review-unsigned:#{pull}");
    about(Kind::AccessReviewUnsigned, &word, sheet, at, &sentence)
        .maybe("Merged-by", merged_by.map(|a| actor_word(Some(a))))
        .number("Review-pull", pull.0)
        .lines("Missing", reasons.iter().take(20))
        .finish()
}

fn about(kind: Kind, word: &str, sheet: &Sheet, at: Instant, sentence: &str) -> Draft {
    let path = sheet.record_path();
    Draft::new(kind, format!("{word}:{path}"), at, sentence)
        .line("Round", instant(sheet.round))
        .line("Record", path.as_str())
        .lines("Owner", sheet.owners.iter().map(ToString::to_string))
        .maybe("Answer-by", sheet.answer_by.map(instant))
        .line("Unanswered", sheet.unanswered.as_str())
        .number("Count", sheet.lines.len() as u64)
        .line("Digest", sheet.digest())
        .lines("Grant", sheet.lines.iter().map(|l| l.grant.as_str()))
}
