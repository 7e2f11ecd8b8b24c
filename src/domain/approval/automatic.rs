//! Proof without a review: a policy of the organisation approves by itself.

use super::super::decision::{Case, Change, Request, Standing};
use super::super::policy::PolicyRef;
use super::super::pull::Pushers;
use super::{Basis, Proof};

/// Proves that `policy`, which permits it, approves what `request` asks. `None` where a person has to look in any case: an
/// emergency, a standing change request of an owner, a fork, an author or pushers who are not known, an owner who could not be
/// looked up.
pub(in super::super) fn prove_by_policy(
    case: &Case<'_>,
    request: &Request,
    policy: &PolicyRef,
) -> Option<Proof> {
    let Standing::Missing(missing) = &request.approval else {
        return None;
    };
    let calm = request.grant.as_ref().is_some_and(|g| !g.emergency)
        && matches!(request.change, Change::Add | Change::Amend(_));
    let undisputed = missing.blocked_by.is_empty() && missing.unknown.is_empty();
    let known = case.pull.author.is_some()
        && !case.pull.from_fork
        && matches!(case.pull.pushers, Pushers::Known(_));
    (calm && undisputed && known).then_some(())?;
    Some(Proof {
        path: request.path.clone(),
        blob: request.blob.clone()?,
        part: request.part().cloned(),
        pull: case.pull.number,
        base: case.base_commit.clone(),
        basis: Basis::Policy {
            id: policy.id.clone(),
            file: policy.file.clone(),
            blob: policy.blob.clone(),
        },
        approvals: Vec::new(),
    })
}
