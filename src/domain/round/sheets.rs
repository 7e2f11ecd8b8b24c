//! Whom a round asks about what.

use std::collections::BTreeMap;

use super::super::codeowners::Codeowners;
use super::super::ledger::{Entry, State};
use super::super::model::{Instant, Owner, TermLength};
use super::super::parse::MAX_BYTES;
use super::{Line, MOST_LINES, Schedule, Sheet};

/// How many bytes the lines of one sheet take at most: what a file of ours may hold, less its head.
const MOST_BYTES: usize = MAX_BYTES - 4 * 1024;

/// What the round that began at `round` asks: a sheet for each set of owners, and more of them where their grants are more than a file
/// may hold.
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
        for (part, lines) in (1..).zip(in_files(lines)) {
            sheets.push(Sheet {
                round,
                owners: owners.clone(),
                part,
                within: schedule.within,
                unanswered: schedule.unanswered,
                lines,
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

/// The lines, as many to a file as it may hold.
fn in_files(lines: Vec<Line>) -> Vec<Vec<Line>> {
    let mut files: Vec<Vec<Line>> = Vec::new();
    let mut bytes = 0;
    for line in lines {
        let size = line.size();
        match files.last_mut() {
            Some(file) if file.len() < MOST_LINES && bytes + size <= MOST_BYTES => {
                bytes += size;
                file.push(line);
            }
            _ => {
                bytes = size;
                files.push(vec![line]);
            }
        }
    }
    files
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
        account_last_used: None,
    })
}
