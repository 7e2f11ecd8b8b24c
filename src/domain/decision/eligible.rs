//! Who may ask for a role, and whether they belong to the organisation.

use super::super::finding::Finding;
use super::{Case, Request};

/// What is wrong with `requests`.
pub(super) fn findings(_case: &Case<'_>, _requests: &[Request]) -> Vec<Finding> {
    Vec::new()
}

/// What is not known about who may ask.
pub(super) fn unknowns(_case: &Case<'_>, _requests: &[Request]) -> Vec<String> {
    Vec::new()
}
