//! The access review that began last, as the evidence tells: what owners were asked, what is still to be answered, and what they ended.
//!
//! Only the last one counts: it asked about everything that an earlier one left unanswered.

use std::collections::{BTreeMap, BTreeSet};

use super::super::codeowners;
use super::super::emergency::Asked;
use super::super::evidence::{Kind, Record, ReviewLine};
use super::super::ledger::{Cause, Entry};
use super::super::model::{CommitId, GrantId, Instant, Owner, PullNumber, TermLength};
use super::super::round::{Answer, Line, Sheet};

/// An access review, put together again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// When it began, by its schedule.
    pub at: Instant,
    /// The sheets that are open, as they stand.
    pub open: Vec<Sheet>,
    /// The sheets, by path, that owners were not asked for yet: they are made anew from the ledger.
    pub unasked: BTreeSet<String>,
    /// What could not be put together, a sentence each.
    pub lost: Vec<String>,
}

/// What is known of a sheet.
enum Known {
    Open(Box<Sheet>),
    Done,
    Lost,
}

/// The round that began last; `None` where none did. `entries` are what the evidence tells of grants.
pub fn last_round(records: &[Record], entries: &[Entry]) -> Option<Round> {
    let opened = records
        .iter()
        .filter(|r| r.kind == Kind::AccessReviewOpened && r.round.is_some());
    let opened = opened.max_by_key(|r| r.round)?;
    let at = opened.round?;
    let entries: BTreeMap<&str, &Entry> = entries.iter().map(|e| (e.id.as_str(), e)).collect();
    let mut known: BTreeMap<&str, Known> = BTreeMap::new();
    let mut lost = Vec::new();
    for record in records.iter().filter(|r| r.round == Some(at)) {
        let Some(path) = record.record.as_deref() else {
            continue;
        };
        let before = known.remove(path);
        let now = match (record.kind, before) {
            (Kind::AccessReviewAsked, before) => match asked(record, &entries) {
                Some(sheet) => Some(Known::Open(Box::new(goes_on(sheet, before)))),
                None => {
                    lost.push(format!(
                        "what {path} asks cannot be put together: its grants are asked about again in the next access review"
                    ));
                    Some(Known::Lost)
                }
            },
            (kind, Some(Known::Open(sheet))) => Some(after(kind, *sheet, record)),
            (_, before) => before,
        };
        known.extend(now.map(|now| (path, now)));
    }
    let paths = opened.sheets.iter().flatten();
    let unasked = paths.filter(|path| !known.contains_key(path.as_str()));
    Some(Round {
        at,
        unasked: unasked.cloned().collect(),
        open: known
            .into_values()
            .filter_map(|known| match known {
                Known::Open(sheet) => Some(*sheet),
                Known::Done | Known::Lost => None,
            })
            .collect(),
        lost,
    })
}

/// The sheet that a record says owners were asked.
fn asked(record: &Record, entries: &BTreeMap<&str, &Entry>) -> Option<Sheet> {
    let owners = record.owners.iter().flatten();
    let owners: Option<Vec<Owner>> = owners.map(|owner| codeowners::owner(owner)).collect();
    let lines = record.lines.as_ref()?.iter();
    let lines: Option<Vec<Line>> = lines.map(|told| line(told, entries)).collect();
    let sheet = Sheet {
        round: record.round?,
        owners: owners?,
        part: record.sheet_part?,
        within: TermLength::parse(record.within.as_deref()?).ok()?,
        unanswered: answer(record.unanswered.as_deref()?)?,
        lines: lines?,
        attempt: u32::try_from(record.attempt?).ok()?,
        asked: Some(Asked {
            pull: PullNumber(record.review_pull?),
            head: CommitId::new(record.head.as_deref()?).ok()?,
        }),
        answer_by: record.answer_by,
        unsigned: Vec::new(),
        lapsed: None,
    };
    // What cannot be written in one line of the evidence cannot be told apart from something else.
    (sheet.record_path().as_str() == record.record.as_deref()?).then_some(sheet)
}

fn answer(word: &str) -> Option<Answer> {
    [Answer::Keep, Answer::End]
        .into_iter()
        .find(|answer| answer.as_str() == word)
}

fn line(told: &ReviewLine, entries: &BTreeMap<&str, &Entry>) -> Option<Line> {
    let entry = entries.get(told.grant.as_str())?;
    let terms = entry.terms.as_ref()?;
    Some(Line {
        grant: entry.id.clone(),
        path: entry.path.clone(),
        subject: terms.subject.clone(),
        role: terms.role.clone(),
        access: terms.access.clone(),
        since: told.since,
        ends: told.until,
        account_last_used: told.account_last_used,
    })
}

/// Asked again: what happened to it before goes on.
fn goes_on(sheet: Sheet, before: Option<Known>) -> Sheet {
    match before {
        Some(Known::Open(before)) => Sheet {
            unsigned: before.unsigned,
            lapsed: before.lapsed,
            ..sheet
        },
        _ => sheet,
    }
}

/// What becomes of an open sheet by a later record.
fn after(kind: Kind, mut sheet: Sheet, record: &Record) -> Known {
    match kind {
        Kind::AccessReviewUnsigned => {
            sheet.attempt += 1;
            sheet.asked = None;
            sheet.unsigned.extend(record.review_pull.map(PullNumber));
        }
        Kind::AccessReviewCompleted => {
            let lines = record.lines.iter().flatten();
            let nobodys = lines.filter(|line| line.answer == "unanswered");
            let nobodys: BTreeSet<GrantId> = nobodys
                .filter_map(|line| GrantId::new(&line.grant).ok())
                .collect();
            return match sheet.left(&nobodys) {
                Some(left) => Known::Open(Box::new(left)),
                None => Known::Done,
            };
        }
        Kind::AccessReviewLapsed => match record.unanswered.as_deref() {
            Some("end") => return Known::Done,
            _ => sheet.lapsed = Some(record.at),
        },
        _ => {}
    }
    Known::Open(Box::new(sheet))
}

/// Ends what owners ended, or what ended because nobody answered, and is not known to be taken away: whatever its term says.
pub(super) fn call_off(entries: &mut BTreeMap<GrantId, Entry>, records: &[Record]) {
    for record in records {
        let (cause, word) = match (record.kind, record.unanswered.as_deref()) {
            (Kind::AccessReviewCompleted, _) => (Cause::ReviewEnded, "end"),
            (Kind::AccessReviewLapsed, Some("end")) => (Cause::ReviewLapsed, "unanswered"),
            _ => continue,
        };
        let ended = record.lines.iter().flatten().filter(|l| l.answer == word);
        for grant in ended.filter_map(|line| GrantId::new(&line.grant).ok()) {
            let off = entries.get(&grant).cloned();
            let off = off.and_then(|entry| entry.call_off(cause.clone(), record.at));
            entries.extend(off.map(|off| (grant, off)));
        }
    }
}
