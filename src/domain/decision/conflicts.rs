//! Separation of duties beyond the tree: what is live by the ledger, what other open pull requests ask for.

use super::super::finding::Finding;
use super::{Case, Request};

/// What is wrong with `requests`.
pub(super) fn findings(_case: &Case<'_>, _requests: &[Request]) -> Vec<Finding> {
    Vec::new()
}
