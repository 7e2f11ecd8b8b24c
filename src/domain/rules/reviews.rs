//! What the schedule of access reviews must satisfy.

use crate::domain::catalogue::Catalogue;
use crate::domain::finding::Finding;

/// Every finding of the schedule of `tree`.
pub(super) fn check(tree: &Catalogue, found: &mut Vec<Finding>) {
    let wrong = tree.schedule.and_then(|schedule| schedule.problem());
    found.extend(wrong.map(|message| {
        Finding::error(
            "review-schedule",
            "access/reviews.yaml",
            tree.index.schedule,
            message,
            "Shorten `within`, or lengthen `every`.",
        )
    }));
}
