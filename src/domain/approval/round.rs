//! Whose word signs the answers to an access review.

use std::collections::BTreeSet;

use super::super::decision::Case;
use super::super::model::{BlobId, GrantId};
use super::super::release::distinct;
use super::super::round::{Line, Sheet};
use super::bench::Bench;
use super::{Approval, Beneficiary, Demand, Missing, Question, weigh_before};

/// What signs the answers to a sheet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures {
    /// The approvals of owners, each person once.
    pub approvals: Vec<Approval>,
    /// Grants for which nobody could sign as things stand, because all their owners hold them, or nobody owns them.
    pub nobodys: BTreeSet<GrantId>,
}

/// The approvals by which owners of the grants sign `content`, the answers to `sheet` that the pull request brings. One is enough
/// for each grant, by somebody who does not have the access that it gives. Who pushed to the pull request may sign it: pushing is how
/// owners answer, and nothing can be written into answers but that access is kept or ends.
///
/// # Errors
/// What is missing: each of it once, however many grants it is missing for.
pub fn attest(
    case: &Case<'_>,
    sheet: &Sheet,
    content: &BlobId,
) -> Result<Signatures, Vec<Missing>> {
    let mut signed = Signatures::default();
    let (mut missing, mut dead_ends) = (Vec::new(), Vec::new());
    for line in &sheet.lines {
        match of_line(case, sheet, line, content) {
            Ok(approvals) => signed.approvals.extend(approvals),
            Err(what) if what.dead_end.is_some() => {
                signed.nobodys.insert(line.grant.clone());
                keep_once(&mut dead_ends, *what);
            }
            Err(what) => keep_once(&mut missing, *what),
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    signed.approvals = distinct(signed.approvals);
    signed.approvals.sort_by_key(|approval| approval.review);
    if signed.approvals.is_empty() {
        return Err(dead_ends);
    }
    Ok(signed)
}

fn of_line(
    case: &Case<'_>,
    sheet: &Sheet,
    line: &Line,
    content: &BlobId,
) -> Result<Vec<Approval>, Box<Missing>> {
    let demand = &Demand {
        needed: 1,
        beneficiary: Beneficiary::by(case.base, &line.subject, Some(&line.access)),
        ..Demand::default()
    };
    let owned = &line.path.as_repo_path();
    let question = Question {
        path: &sheet.record_path().as_repo_path(),
        owned,
        content: Some(content),
        demand,
    };
    let mut bench = Bench::of(case, owned, &demand.beneficiary);
    bench.welcome_pushers();
    let counted = weigh_before(case, &question, &bench)?;
    Ok(counted.into_iter().map(|c| c.of(content)).collect())
}

fn keep_once(all: &mut Vec<Missing>, one: Missing) {
    if !all.contains(&one) {
        all.push(one);
    }
}
