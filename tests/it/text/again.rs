//! A tree that is read after another one says the same as if it was read alone.

use std::sync::Arc;

use hallpass::domain::catalogue::{Catalogue, File};
use hallpass::domain::model::GrantPath;
use hallpass::domain::parse::{read_tree, read_tree_after};
use hallpass::domain::rules::check_tree;

use super::{GRANT, PATH, now, places, world_with};

const OTHER: &str = "access/grants/orders/other.yaml";
const TOO_LONG: &str =
    "person: ada\nrole: readonly\nduration: 90d\nreason: Checkout fails for some customers.\n";

fn said(tree: &Catalogue) -> Vec<String> {
    places(&check_tree(tree, now()))
}

fn read_after(files: &[File], before: &[File]) -> (Catalogue, Catalogue) {
    let before = read_tree(before);
    let after = read_tree_after(files, &before);
    let alone = read_tree(files);
    assert_eq!(after.grants, alone.grants);
    assert_eq!(said(&after), said(&alone));
    (before, after)
}

#[test]
fn grants_that_did_not_change_are_held_once() {
    let (before, after) = read_after(
        &world_with(&[(PATH, TOO_LONG), (OTHER, GRANT)]),
        &world_with(&[(PATH, TOO_LONG)]),
    );
    assert!(said(&after).iter().any(|line| line.starts_with(PATH)));
    let path = GrantPath::new(PATH).unwrap();
    let [one, two] = [&before, &after].map(|tree| &tree.grants[&path].grant);
    assert!(Arc::ptr_eq(one, two));
}

#[test]
fn what_changed_or_moved_or_became_a_link_is_read_anew() {
    let other = GRANT.replace("2h", "3h");
    read_after(&world_with(&[(PATH, &other)]), &world_with(&[(PATH, GRANT)]));
    read_after(&world_with(&[(OTHER, GRANT)]), &world_with(&[(PATH, GRANT)]));
    let mut linked = world_with(&[(PATH, GRANT)]);
    linked.last_mut().unwrap().mode = 0o120_000;
    let (_, after) = read_after(&linked, &world_with(&[(PATH, GRANT)]));
    assert!(after.grants.is_empty());
}

#[test]
fn of_a_tree_whose_files_are_gone_nothing_is_left() {
    let (_, after) = read_after(&world_with(&[]), &world_with(&[(PATH, GRANT)]));
    assert!(after.grants.is_empty());
}
