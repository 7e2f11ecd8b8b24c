//! The cases that are written beside policies: a policy that says otherwise than its cases is not taken over.

use std::collections::BTreeSet;

use crate::domain::catalogue::{Catalogue, ChangedFile};
use crate::domain::finding::{Finding, Place};
use crate::domain::policy::cases::{self, CaseResult, MAX_CASES, PolicyTests};

/// The cases of `tree` that fail. None while its policies are broken, which has a finding of its own.
pub(super) fn failed(tree: &Catalogue) -> Vec<Finding> {
    if tree.policies.broken().is_some() {
        return Vec::new();
    }
    let all = || tree.policy_tests.values();
    if all().map(|tests| tests.cases.len()).sum::<usize>() > MAX_CASES {
        return all().map(too_many).collect();
    }
    let results = all();
    let results = results.flat_map(|tests| cases::run(tests, tree));
    results.filter_map(finding).collect()
}

/// The cases of `after` that fail because of `changes`: those of changed files, and those that do not fail in `base`.
pub(super) fn newly_failed(
    base: &Catalogue,
    after: &Catalogue,
    changes: &[ChangedFile],
) -> Vec<Finding> {
    let mut found = failed(after);
    let changed: BTreeSet<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    if found.iter().any(|f| !changed.contains(f.path.as_str())) {
        let before = failed(base);
        let before: BTreeSet<(&str, u32)> = before.iter().map(place).collect();
        found.retain(|f| changed.contains(f.path.as_str()) || !before.contains(&place(f)));
    }
    found
}

fn too_many(tests: &PolicyTests) -> Finding {
    Finding::error(
        "policy-too-complex",
        tests.path.as_str(),
        Place::START,
        format!("there are more than {MAX_CASES} cases beside policies, so that none is asked"),
        "Keep those that show something of their own.",
    )
}

fn place(finding: &Finding) -> (&str, u32) {
    (&finding.path, finding.line)
}

fn finding(result: CaseResult) -> Option<Finding> {
    let CaseResult {
        file,
        line,
        name,
        failure,
    } = result;
    Some(Finding::error(
        "policy-test-failed",
        file.as_str(),
        Place { line, column: 1 },
        format!("the case {name:?} fails: {}", failure?),
        "Correct the policy, or the case where it is the case that is wrong; `hallpass policy test` runs them all.",
    ))
}
