//! The organisation's policies: how they are read, what they say, and what becomes of a request because of it.

mod files;

use hallpass::domain::catalogue::Catalogue;
use hallpass::domain::finding::Finding;

use crate::text::{catalogue, findings};

/// The path of the policy file of most tests.
pub const FILE: &str = "access/policies/guardrails.cedar";

/// What permits everything, so that others can forbid.
pub const BASELINE: &str = "@id(\"baseline\")\npermit (principal, action, resource);\n";

/// A policy that forbids requests under `condition`.
pub fn forbid(id: &str, condition: &str) -> String {
    format!(
        "@id(\"{id}\")\n@message(\"{id} says no.\")\nforbid (principal, action, resource)\nwhen {{ {condition} }};\n"
    )
}

/// The world of the text tests with one policy file.
pub fn tree(policies: &str) -> Catalogue {
    catalogue(&[(FILE, policies)])
}

/// `line:column rule` of what is wrong with a policy file in that world.
pub fn wrong(policies: &str) -> Vec<String> {
    let found = findings(&[(FILE, policies)]);
    assert!(found.iter().all(|f| f.path == FILE), "{found:?}");
    let told = |f: &Finding| format!("{}:{} {}", f.line, f.column, f.rule);
    found.iter().map(told).collect()
}
