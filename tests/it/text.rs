//! What people write: parsing, schemas, rules, and how findings are told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub mod command;
mod documented;
mod hostile;
mod roles;
mod round;
pub mod rules;
mod schemas;

use std::sync::Arc;

use hallpass::domain::catalogue::{Catalogue, File, REGULAR_FILE};
use hallpass::domain::finding::Finding;
use hallpass::domain::model::{BlobId, Instant};
use hallpass::domain::parse::{instant, read_tree};
use hallpass::domain::rules::check_tree;

/// The moment at which these tests judge.
pub fn now() -> Instant {
    instant("2026-11-23T12:00:00Z").expect("the instant is written canonically")
}

/// A regular file. Its id is made of its content, as git would.
pub fn file(path: &str, bytes: impl AsRef<[u8]>) -> File {
    let bytes: Arc<[u8]> = bytes.as_ref().into();
    let blob = git2::Oid::hash_object(git2::ObjectType::Blob, &bytes).unwrap();
    File {
        path: path.into(),
        mode: REGULAR_FILE,
        blob: BlobId::new(blob.to_string()).unwrap(),
        bytes,
    }
}

/// Two resources that exclude each other in part, two people, one service account, and owners for all of it.
pub const WORLD: &[(&str, &str)] = &[
    (".github/CODEOWNERS", "* @acme/security\n"),
    (
        "access/people/ada.yaml",
        "github_id: 1\nidentities:\n  pg: ada\n  books: ada\n",
    ),
    (
        "access/people/bob.yaml",
        "github_id: 2\nidentities:\n  pg: bob\n",
    ),
    (
        "access/services/robot.yaml",
        "description: Moves parcels about\nowner: bob\nidentities:\n  pg: robot\n",
    ),
    (
        "access/resources/orders.yaml",
        concat!(
            "description: Orders database\nrisk: critical\nprovider: pg\nroles:\n",
            "  readonly:\n    description: Reads\n    entitlement: { role: ro }\n    max_duration: 8h\n",
            "  admin:\n    description: Everything\n    entitlement: { role: rw }\n    max_duration: 2h\n",
            "    approvals: 2\n    requires: [ticket, risk]\n    ticket_pattern: ^INC-[0-9]+$\n",
            "    rationale: required\n    conflicts_with: [ledger/approver]\n",
        ),
    ),
    (
        "access/resources/ledger.yaml",
        concat!(
            "description: General ledger\nrisk: high\nprovider: books\nroles:\n",
            "  approver:\n    description: Approves\n    entitlement: { role: ok }\n    max_duration: 30d\n",
        ),
    ),
];

/// [`WORLD`] with more files; one of the same path takes the place of the world's.
pub fn world_with(more: &[(&str, &str)]) -> Vec<File> {
    let kept = WORLD
        .iter()
        .filter(|(path, _)| more.iter().all(|(other, _)| other != path));
    kept.chain(more)
        .map(|(path, text)| file(path, text))
        .collect()
}

/// What is wrong with [`WORLD`] and `more`.
pub fn findings(more: &[(&str, &str)]) -> Vec<Finding> {
    check_tree(&read_tree(&world_with(more)), now())
}

/// The catalogue of [`WORLD`] and `more`.
pub fn catalogue(more: &[(&str, &str)]) -> Catalogue {
    read_tree(&world_with(more))
}

/// `path:line:column rule` of each finding.
pub fn places(findings: &[Finding]) -> Vec<String> {
    let place = |f: &Finding| format!("{}:{}:{} {}", f.path, f.line, f.column, f.rule);
    findings.iter().map(place).collect()
}

/// Where the tests put the grant that they are about.
pub const PATH: &str = "access/grants/orders/request.yaml";

/// A grant that nothing is wrong with.
pub const GRANT: &str =
    "person: ada\nrole: readonly\nduration: 2h\nreason: Checkout fails for some customers.\n";

/// `line:column rule` of each finding about a grant of this text, placed at [`PATH`].
pub fn grant(text: &str) -> Vec<String> {
    let found = findings(&[(PATH, text)]);
    assert!(
        found
            .iter()
            .all(|f| !f.message.is_empty() && !f.help.is_empty()),
        "{found:?}"
    );
    found
        .iter()
        .map(|f| {
            assert_eq!(f.path, PATH, "{f:?}");
            format!("{}:{} {}", f.line, f.column, f.rule)
        })
        .collect()
}
