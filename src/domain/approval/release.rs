//! Whose word lets go of what the brake holds.

use super::super::decision::Case;
use super::super::model::{BlobId, RepoPath};
use super::super::release::{Hold, OWNERS, distinct};
use super::bench::Bench;
use super::{Approval, Beneficiary, Demand, Missing, Question, weigh_before};

/// The approvals that release `hold`: of `content`, the record that the pull request brings, by two owners of each path that is
/// concerned, neither of whom had a hand in the pull request.
///
/// # Errors
/// What is missing.
pub fn release(
    case: &Case<'_>,
    hold: &Hold,
    content: &BlobId,
) -> Result<Vec<Approval>, Box<Missing>> {
    let paths = hold.deciding(&case.base.codeowners);
    let (mut approvals, mut missing) = (Vec::new(), Vec::new());
    for path in &paths {
        match by_owners_of(case, hold, path, content) {
            Ok(counted) => approvals.extend(counted),
            Err(what) => missing.push(*what),
        }
    }
    if paths.is_empty() {
        missing.push(Missing {
            needed: OWNERS,
            reasons: vec!["Nobody owns anything of it.".to_owned()],
            ..Missing::default()
        });
    }
    match missing.into_iter().reduce(both) {
        None => Ok(distinct(approvals)),
        Some(missing) => Err(Box::new(missing)),
    }
}

fn by_owners_of(
    case: &Case<'_>,
    hold: &Hold,
    path: &RepoPath,
    content: &BlobId,
) -> Result<Vec<Approval>, Box<Missing>> {
    let demand = &Demand {
        needed: OWNERS,
        ..Demand::default()
    };
    let question = Question {
        path: &hold.record_path().as_repo_path(),
        owned: path,
        content: Some(content),
        demand,
    };
    let bench = Bench::of(case, path, &Beneficiary::default());
    let counted = weigh_before(case, &question, &bench)?;
    Ok(counted.into_iter().map(|c| c.of(content)).collect())
}

/// What is missing where two things are: the owners of both must agree.
fn both(mut one: Missing, other: Missing) -> Missing {
    one.needed += other.needed;
    one.have += other.have;
    one.reasons.extend(other.reasons);
    one.unknown.extend(other.unknown);
    let new = |owner: &_| !one.owners.contains(owner);
    let owners: Vec<_> = other.owners.into_iter().filter(new).collect();
    one.owners.extend(owners);
    one.candidates.extend(other.candidates);
    one.blocked_by.extend(other.blocked_by);
    one.dead_end = one.dead_end.or(other.dead_end);
    one
}
