//! Comparing what landed on the protected branch with what a pull request asked for, and whom a change is about.

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::ChangedFile;
use super::decision::{Outcome, Verdict};
use super::finding::{Finding, Severity};
use super::model::{BlobId, ConnectionName};

/// Whether two changes leave the same content at the same paths: nothing more, nothing less, not even a mode.
///
/// An edited conflict, an indirect merge and a part of a rebase all differ.
pub fn same_result(landed: &[ChangedFile], asked: &[ChangedFile]) -> bool {
    fn after(changes: &[ChangedFile]) -> BTreeMap<&str, Option<(&BlobId, u32)>> {
        changes
            .iter()
            .map(|c| (c.path.as_str(), c.after.as_ref().map(|f| (&f.blob, f.mode))))
            .collect()
    }
    after(landed) == after(asked)
}

/// Whether two changes are the same one: [`same_result`], from the same content. What a rebase brings in several commits can leave
/// with the last of them the result of all, but it does not begin with what the first one found.
pub fn same_change(landed: &[ChangedFile], asked: &[ChangedFile]) -> bool {
    fn before(changes: &[ChangedFile]) -> BTreeMap<&str, Option<&(BlobId, u32)>> {
        changes
            .iter()
            .map(|c| (c.path.as_str(), c.before.as_ref()))
            .collect()
    }
    same_result(landed, asked) && before(landed) == before(asked)
}

/// Denies requests for a connection that the server does not have: nobody should approve what cannot be given.
pub fn demand_connections<'a>(
    mut verdict: Verdict,
    configured: impl Iterator<Item = &'a ConnectionName>,
) -> Verdict {
    let configured: BTreeSet<&ConnectionName> = configured.collect();
    for request in &verdict.requests {
        let Some(access) = request
            .access
            .as_ref()
            .filter(|a| !configured.contains(&a.connection))
        else {
            continue;
        };
        verdict.findings.push(Finding {
            path: request.path.to_string(),
            line: 1,
            column: 1,
            rule: "unknown-connection",
            severity: Severity::Error,
            message: format!(
                "this server has no connection `{}`, which the resource names as its provider",
                access.connection
            ),
            help: format!(
                "ask whoever runs Hallpass to add [providers.{}] to its configuration",
                access.connection
            ),
        });
        verdict.outcome = Outcome::Denied;
    }
    verdict.findings.sort();
    verdict.findings.dedup();
    verdict
}
