//! Whom a round asks about what.

use std::collections::BTreeMap;

use super::super::codeowners::Codeowners;
use super::super::ledger::{Entry, State};
use super::super::model::{Instant, Owner, TermLength};
use super::{Line, MOST_LINES, Schedule, Sheet};

/// What the round that began at `round` asks: a sheet for each set of owners, and another one for each [`MOST_LINES`] of their grants.
pub fn sheets(
    schedule: &Schedule,
    round: Instant,
    entries: &[Entry],
    codeowners: &Codeowners,
) -> Vec<Sheet> {
    let mut by_owners: BTreeMap<Vec<Owner>, Vec<Line>> = BTreeMap::new();
    for line in entries.iter().filter_map(|e| line(e, schedule.every)) {
        let ownership = codeowners.owners(&line.path.as_repo_path());
        let mut owners = ownership.owners().to_vec();
        owners.sort();
        owners.dedup();
        by_owners.entry(owners).or_default().push(line);
    }
    let mut sheets = Vec::new();
    for (owners, mut lines) in by_owners {
        lines.sort_by(|a, b| a.grant.cmp(&b.grant));
        for (part, lines) in (1..).zip(lines.chunks(MOST_LINES)) {
            sheets.push(Sheet {
                round,
                owners: owners.clone(),
                part,
                within: schedule.within,
                unanswered: schedule.unanswered,
                lines: lines.to_vec(),
                attempt: 1,
                asked: None,
                answer_by: None,
                unsigned: Vec::new(),
                lapsed: None,
            });
        }
    }
    sheets
}

/// A grant that is held, is not about to end, and lasts in all for longer than `every`.
fn line(entry: &Entry, every: TermLength) -> Option<Line> {
    let held = matches!(entry.state, State::Granting | State::Active);
    let terms = entry.terms.as_ref();
    let terms = terms.filter(|_| held && entry.called_off.is_none())?;
    let since = terms.since();
    (terms.ends - since > every.delta()).then(|| Line {
        grant: entry.id.clone(),
        path: entry.path.clone(),
        subject: terms.subject.clone(),
        role: terms.role.clone(),
        access: terms.access.clone(),
        since,
        ends: terms.ends,
    })
}
