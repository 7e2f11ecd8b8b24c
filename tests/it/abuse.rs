//! The abuse cases of the catalogue of threats: for each number of sections 2a and 2b, AC-1 to AC-50, at least one attack that must fail; of
//! the others those that no other suite tries. `docs/security.md` names for each of all 108 what proves it.
//!
//! The outcome is the one that the design demands. Where the catalogue asks for more ceremony (seasoned memberships, the agreement
//! of two owners), the test says what holds instead, and what holds where a policy of the organisation asks for it.

mod authority;
mod documented;
mod files;
mod lifecycle;
mod merges;
mod parity;
mod paths;
mod reviews;
mod size;
mod terms;
mod transport;

use std::collections::BTreeMap;

use hallpass::domain::decision::{Admission, Outcome, admit};
use hallpass::domain::model::{BlobId, GrantPath};
use hallpass::domain::pull::PullState;

use crate::approval::scene::{FILE, Scene};
use crate::decision::office::{merged, verdict};

/// What becomes of a pull request: the outcome while it is open, and what its merge would give at [`FILE`].
fn fate(scene: &Scene) -> (Outcome, Option<Admission>) {
    let open = verdict(scene).outcome;
    let mut after = scene.clone();
    merged(&mut after);
    let last_word = scene
        .pull
        .reviews
        .iter()
        .filter_map(|r| r.submitted_at)
        .max();
    if let PullState::Merged { at, .. } = &mut after.pull.state {
        *at = last_word.unwrap_or(scene.now).max(scene.now);
    }
    let path = GrantPath::new(FILE).expect("a path");
    let blob = blob_at_head(scene, FILE);
    (open, blob.map(|blob| admit(&after.case(), &path, &blob)))
}

fn blob_at_head(scene: &Scene, path: &str) -> Option<BlobId> {
    let changed: BTreeMap<&str, _> = scene.changes.iter().map(|c| (c.path.as_str(), c)).collect();
    Some(changed.get(path)?.after.as_ref()?.blob.clone())
}

/// Whether a pull request gives something: while it is open, or when somebody merges it all the same.
fn gives(scene: &Scene) -> bool {
    let (open, merged) = fate(scene);
    let admitted = matches!(merged, Some(Admission::Approved(_)));
    assert_eq!(
        open == Outcome::Approved && merged.is_some(),
        admitted,
        "what is decided when a pull request is open is decided when it was merged: {open:?}, {merged:?}"
    );
    admitted
}

#[test]
fn every_abuse_case_of_files_reviews_and_trees_has_a_test_of_its_number() {
    let sources = [
        include_str!("abuse/authority.rs"),
        include_str!("abuse/files.rs"),
        include_str!("abuse/merges.rs"),
        include_str!("abuse/paths.rs"),
        include_str!("abuse/reviews.rs"),
        include_str!("abuse/size.rs"),
        include_str!("abuse/terms.rs"),
    ]
    .concat();
    let test = regex::Regex::new(r"(?m)^ *(?:async )?fn ac_(\d\d)_[a-z0-9_]+\(").unwrap();
    let found: std::collections::BTreeSet<u32> = test
        .captures_iter(&sources)
        .map(|found| found[1].parse().unwrap())
        .collect();
    let missing: Vec<u32> = (1..=50).filter(|n| !found.contains(n)).collect();
    assert!(missing.is_empty(), "no test carries {missing:?}");
}
