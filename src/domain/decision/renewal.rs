//! Renewals: what a changed grant file may change, and for how long in total.

use super::super::finding::Finding;
use super::{Case, Request};

/// What is wrong with `requests`.
pub(super) fn findings(_case: &Case<'_>, _requests: &[Request]) -> Vec<Finding> {
    Vec::new()
}
