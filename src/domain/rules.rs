//! The named rules: one table, one name each, one remedy each.

use super::catalogue::{Catalogue, ChangedFile};
use super::finding::Finding;
use super::model::Instant;

/// One rule, as documented.
#[derive(Debug)]
pub struct Rule {
    /// Its stable name, as findings carry it.
    pub name: &'static str,
    /// What it demands, in a sentence.
    pub meaning: &'static str,
    /// An example of what it refuses.
    pub example: &'static str,
    /// The way out.
    pub remedy: &'static str,
}

/// Every rule.
pub static RULES: &[Rule] = &[];

/// Checks a whole tree: the findings of single files and everything that only shows between files. Sorted.
pub fn check_tree(tree: &Catalogue, now: Instant) -> Vec<Finding> {
    let _ = (tree, now);
    unimplemented!("rules")
}

/// Checks what a change brings, judged by `base`: grant files against the resources, people and owners of the base; control
/// files (everything else that is governed) against the tree that they would make. Only findings of changed files. Sorted.
pub fn check_change(base: &Catalogue, changes: &[ChangedFile], now: Instant) -> Vec<Finding> {
    let _ = (base, changes, now);
    unimplemented!("rules")
}

/// Whether changing `path` changes who decides or by what rules: CODEOWNERS in any location, `.gitattributes` anywhere, and
/// everything under `access/` that is not a grant.
pub fn is_control_path(path: &str) -> bool {
    let _ = path;
    unimplemented!("rules")
}
