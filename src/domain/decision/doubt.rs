//! What must be known before anything can be granted, and is not.
//!
//! Findings say no; these say neither yes nor no. They make the outcome [`super::Outcome::Uncertain`] and the admission
//! [`super::Admission::Unknown`], unless something else denies already. A rule that asks the forge or the organisation has its
//! own `unknowns(case, requests)` and a line in [`unknowns`].

use super::{Case, Request, eligible, membership, policy};

/// A sentence for each thing that could not be looked up and that `requests` depend on.
pub(super) fn unknowns(case: &Case<'_>, requests: &[Request]) -> Vec<String> {
    let mut unknown = Vec::new();
    for of_rule in [membership::unknowns, eligible::unknowns, policy::unknowns] {
        unknown.extend(of_rule(case, requests));
    }
    unknown.sort();
    unknown.dedup();
    unknown
}
