//! Separation of duties beyond the tree: what is live by the ledger, what other open pull requests ask for.

use std::collections::BTreeSet;

use super::super::finding::Finding;
use super::super::ledger::Holding;
use super::super::model::{Grant, GrantPath, RoleRef, Subject};
use super::super::rules;
use super::{Case, Pending, Request};

/// What is wrong with `requests`.
pub(super) fn findings(case: &Case<'_>, requests: &[Request]) -> Vec<Finding> {
    let over = case.over();
    let mut found = Vec::new();
    for request in requests {
        let Some(grant) = &request.grant else {
            continue;
        };
        for own in request.binding() {
            let asked = Asked {
                case,
                path: &request.path,
                grant,
                own: own.clone(),
            };
            let excluded = case.base.excluded_by(own).into_iter().flatten();
            for excluded in excluded.filter(|role| *role != own) {
                found.extend(asked.held(excluded, &over));
                found.extend(asked.pending(excluded));
                found.extend(asked.same_hand(excluded, &over, requests));
            }
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
        let (base, at) = (self.case.base, self.case.judged_at());
        let given = base.giving(&self.grant.subject, excluded);
        // Those the rules tell by their files.
        let told: BTreeSet<&GrantPath> = given
            .filter(|(path, grant)| !over.contains(*path) && !rules::ended(grant, at))
            .map(|(path, _)| path)
            .collect();
        let parts = base.parts(excluded);
        // The ledger knows a bundle by its parts.
        let gives = |held: &Holding| {
            held.role == *excluded
                || (held.path.resource() == excluded.resource
                    && parts.is_some_and(|parts| parts.contains(&held.role)))
        };
        let untold = |held: &&Holding| {
            held.subject == self.grant.subject && gives(held) && !told.contains(&held.path)
        };
        let held = self.case.holdings.iter().find(untold)?;
        let (own, subject) = (&self.own, &self.grant.subject);
        let why = if base.grants.contains_key(&held.path) {
            "which is being taken away"
        } else {
            "whose file is gone"
        };
        Some(Finding::error(
            "role-conflict",
            self.path.as_str(),
            self.case.changes.places(self.path).role,
            format!(
                "{own} and {excluded} exclude each other, and {subject} still holds {excluded} by {}, {why}",
                held.path
            ),
            "Wait until it has been taken away; the check looks again by itself.",
        ))
    }

    /// `excluded` in the hand of the same person: who answers for a service gains by what it is given, as with approvals.
    fn same_hand(
        &self,
        excluded: &RoleRef,
        over: &BTreeSet<GrantPath>,
        requests: &[Request],
    ) -> Option<Finding> {
        let (case, own) = (self.case, &self.own);
        let lives = |(path, grant): &(&GrantPath, &Grant)| {
            !over.contains(*path) && !rules::ended(grant, case.judged_at())
        };
        let by = |other: &Subject| {
            let stand = case.base.giving(other, excluded).filter(lives);
            let held = case.holdings.iter();
            let held = held.filter(|h| h.subject == *other && h.role == *excluded);
            let asks = |r: &&Request| {
                r.grant.as_ref().is_some_and(|g| g.subject == *other)
                    && r.binding().any(|role| role == excluded)
            };
            let together = requests.iter().filter(asks).map(|r| &r.path);
            let paths = stand.map(|(path, _)| path).chain(held.map(|h| &h.path));
            paths.chain(together).min()
        };
        let others = case.base.same_hand(&self.grant.subject);
        let (other, path) = others.iter().find_map(|other| Some((other, by(other)?)))?;
        Some(Finding::error(
            "role-conflict",
            self.path.as_str(),
            case.changes.places(self.path).role,
            format!(
                "{own} and {excluded} exclude each other, and {other}, with the same person behind it, is given {excluded} by {path}"
            ),
            "Ask for it when the other has ended, or let somebody else answer for the service.",
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
