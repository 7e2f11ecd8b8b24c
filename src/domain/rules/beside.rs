//! What shows only between grants: the same role twice, roles that exclude each other.

use std::collections::BTreeSet;

use super::grant::Judged;
use crate::domain::finding::Finding;
use crate::domain::model::{Grant, GrantPath, Instant, RoleRef, Term};

/// A tree does not tell that a grant by duration has ended; only the ledger does.
const JUST_ENDED: &str = "If that grant has just ended, its file goes with the next revert: the check of the pull request knows, `hallpass validate` does not.";

impl Judged<'_> {
    /// What shows only beside `others`: grants that give `role` to the same subject.
    pub(super) fn beside<'o>(
        &self,
        others: impl Fn(&RoleRef) -> Vec<(&'o GrantPath, &'o Grant)>,
        found: &mut Vec<Finding>,
    ) {
        let live = |role: &RoleRef| {
            let others = others(role).into_iter();
            others
                .filter(|(path, grant)| *path != self.path && !ended(grant, self.now))
                .map(|(path, _)| path)
                .min()
        };
        if ended(self.grant, self.now) {
            return;
        }
        let bound = self.base.binding(self.path, self.grant);
        let mut told = BTreeSet::new();
        for own in &bound {
            if let Some(other) = live(own).filter(|other| told.insert(*other)) {
                found.push(self.twice(own, other));
            }
            let excluded = self.base.excluded_by(own).into_iter().flatten();
            for excluded in excluded.filter(|role| !bound.contains(role)) {
                if let Some(other) = live(excluded) {
                    found.push(self.excluding((own, excluded), other));
                }
            }
        }
    }

    fn twice(&self, own: &RoleRef, other: &GrantPath) -> Finding {
        let message = format!("{other} already gives {own} to {}", self.grant.subject);
        let help =
            format!("Change {other} to renew that access, or remove one of the two. {JUST_ENDED}");
        self.error("duplicate-grant", self.places.subject, message, help)
    }

    fn excluding(&self, (own, excluded): (&RoleRef, &RoleRef), other: &GrantPath) -> Finding {
        let message = format!(
            "{own} and {excluded} exclude each other, and {} is given {excluded} by {other}",
            self.grant.subject
        );
        let help =
            format!("Ask for it when the other has ended, or for somebody else. {JUST_ENDED}");
        self.error("role-conflict", self.places.role, message, help)
    }
}

/// Whether the term of a grant is over by its file alone. Its access may be held nevertheless, while it cannot be taken.
pub(crate) fn ended(grant: &Grant, now: Instant) -> bool {
    matches!(grant.term, Term::Expires(at) if at <= now)
}
