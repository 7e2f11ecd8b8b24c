//! Where the fields of a changed grant file stand, for findings that only a pull request has.

use super::super::model::GrantPath;
use super::super::parse::{GrantPlaces, Read, read_file};
use super::Case;

/// The places in the file at `path` as the pull request leaves it; the beginning of the file where that cannot be read.
pub(super) fn of(case: &Case<'_>, path: &GrantPath) -> GrantPlaces {
    let mut after = case.changes.iter().filter_map(|c| c.after.as_ref());
    let file = after.find(|file| file.path == path.as_str());
    match file.and_then(read_file) {
        Some(Ok(Read::Grant(_, _, places))) => places,
        _ => GrantPlaces::default(),
    }
}
