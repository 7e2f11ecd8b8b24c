//! Any bytes at the place of any governed file: read whole, or refused with a place in the file; never both, never neither.
#![no_main]

use std::sync::LazyLock;

use hallpass::domain::catalogue::{Catalogue, File};
use hallpass::domain::parse::read_tree;
use hallpass::domain::rules::check_tree;
use hallpass_fuzz::{alone, file, now, sound};
use libfuzzer_sys::fuzz_target;

/// What the first byte chooses from. Seeds begin with the letter.
const PLACES: [(u8, &str); 10] = [
    (b'g', "access/grants/orders/request.yaml"),
    (b'p', "access/people/ada.yaml"),
    (b's', "access/services/robot.yaml"),
    (b'r', "access/resources/orders.yaml"),
    (b't', "access/policies/guardrails.test.yaml"),
    (b'e', "access/emergencies/orders/request-0123456789ab.yaml"),
    (b'l', "access/releases/orders/0123456789ab.yaml"),
    (b'v', "access/reviews.yaml"),
    (b'a', "access/reviews/2027-01-04/dba-0123456789ab.yaml"),
    (b'c', "access/policies/guardrails.cedar"),
];

/// Everything that a request needs to be about something.
static AROUND: LazyLock<Vec<File>> = LazyLock::new(|| {
    let files: [(&str, &[u8]); 5] = [
        (".github/CODEOWNERS", b"* @acme/security\n"),
        (
            "access/people/ada.yaml",
            b"github_id: 1\nidentities:\n  pg: ada\n",
        ),
        (
            "access/people/bob.yaml",
            b"github_id: 2\nidentities:\n  pg: bob\n",
        ),
        (
            "access/services/robot.yaml",
            b"description: Moves parcels\nowner: bob\nidentities:\n  pg: robot\n",
        ),
        (
            "access/resources/orders.yaml",
            include_bytes!("../../../access/resources/orders.yaml"),
        ),
    ];
    files.map(|(path, bytes)| file(path, bytes)).into()
});

/// How many things a tree declares.
fn declared(tree: &Catalogue) -> usize {
    let policies = usize::from(!tree.policies.is_default());
    tree.grants.len()
        + tree.people.len()
        + tree.services.len()
        + tree.resources.len()
        + tree.policy_tests.len()
        + tree.emergencies.len()
        + tree.releases.len()
        + tree.sheets.len()
        + usize::from(tree.schedule.is_some())
        + policies
}

fuzz_target!(init: alone(), |data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let (letter, path) = PLACES
        .iter()
        .find(|(letter, _)| letter == first)
        .unwrap_or(&PLACES[usize::from(*first) % PLACES.len()]);
    let tree = read_tree(&[file(path, bytes)]);
    for finding in &tree.findings {
        assert_eq!(finding.path, *path);
        sound(finding, bytes);
    }
    // Of a policy that cannot be read it is known that it is there, so that it denies.
    let there = declared(&tree) > 0 && *letter != b'c';
    let refused = !tree.findings.is_empty();
    assert!(there != refused || *letter == b'c', "{} things, {:?}", declared(&tree), tree.findings);
    if *letter == b'c' {
        assert!(!tree.policies.is_default(), "a policy file went unnoticed");
    }
    if refused {
        return;
    }
    // Between other files.
    let mut files: Vec<File> = AROUND.iter().filter(|f| f.path != *path).cloned().collect();
    files.push(file(path, bytes));
    let whole = read_tree(&files);
    for finding in check_tree(&whole, now()).iter().filter(|f| f.path == *path) {
        sound(finding, bytes);
    }
});
