//! Separation of duties beyond the tree: what is live by the ledger, what other open pull requests ask for.

use std::collections::BTreeSet;

use super::super::finding::Finding;
use super::super::ledger::Holding;
use super::super::model::{Grant, GrantPath, RoleRef};
use super::{Case, Pending, Request};

/// What is wrong with `requests`.
pub(super) fn findings(case: &Case<'_>, requests: &[Request]) -> Vec<Finding> {
    let over = case.over();
    let mut found = Vec::new();
    for request in requests {
        let (Some(grant), Some(own)) = (&request.grant, &request.role) else {
            continue;
        };
        let asked = Asked {
            case,
            path: &request.path,
            grant,
            own: own.clone(),
        };
        let excluded = case.base.excluded_by(&asked.own).into_iter().flatten();
        for excluded in excluded.filter(|role| **role != asked.own) {
            found.extend(asked.held(excluded, &over));
            found.extend(asked.pending(excluded));
        }
    }
    found
}

/// One request, while its roles are compared with those that exclude it.
struct Asked<'a> {
    case: &'a Case<'a>,
    path: &'a GrantPath,
    grant: &'a Grant,
    own: RoleRef,
}

impl Asked<'_> {
    /// A live grant of `excluded` that no file of the base gives, any more or yet: it is being taken, or being given.
    fn held(&self, excluded: &RoleRef, over: &BTreeSet<GrantPath>) -> Option<Finding> {
        let given = self.case.base.giving(&self.grant.subject, excluded);
        let told: BTreeSet<&GrantPath> = given
            .filter(|(path, _)| !over.contains(*path))
            .map(|(path, _)| path)
            .collect();
        let changed = |path: &GrantPath| {
            let mut changes = self.case.changes.iter();
            changes.any(|c| c.path == path.as_str())
        };
        let untold = |held: &&Holding| {
            // A file that the same pull request changes or removes is judged as it will be.
            held.subject == self.grant.subject
                && held.role == *excluded
                && !told.contains(&held.path)
                && !changed(&held.path)
        };
        let held = self.case.holdings.iter().find(untold)?;
        let (own, subject) = (&self.own, &self.grant.subject);
        Some(Finding::error(
            "role-conflict",
            self.path.as_str(),
            self.case.changes.places(self.path).role,
            format!(
                "{own} and {excluded} exclude each other, and {subject} still holds {excluded} by {}, whose file is gone",
                held.path
            ),
            "Wait until it has been taken away; the check looks again by itself.",
        ))
    }

    /// Another open pull request that asks for `excluded`. Both are open, so neither is denied for the other.
    fn pending(&self, excluded: &RoleRef) -> Option<Finding> {
        let asks = |p: &&Pending| p.subject == self.grant.subject && p.role == *excluded;
        let pulls: BTreeSet<String> = self
            .case
            .around
            .pending
            .iter()
            .filter(asks)
            .map(|p| format!("#{}", p.pull))
            .collect();
        if pulls.is_empty() {
            return None;
        }
        let pulls: Vec<String> = pulls.into_iter().collect();
        let (own, subject) = (&self.own, &self.grant.subject);
        let finding = Finding::error(
            "role-conflict-pending",
            self.path.as_str(),
            self.case.changes.places(self.path).role,
            format!(
                "{own} and {excluded} exclude each other, and {} asks for {excluded} for {subject}",
                pulls.join(", ")
            ),
            "Close one of the two: whichever is merged second is denied.",
        );
        Some(finding.as_warning())
    }
}
