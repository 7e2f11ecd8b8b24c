//! Which warnings take automatic approval away: those that say that a person is to look, and none that time or a stranger makes.

use std::collections::BTreeSet;

use hallpass::domain::decision::{Admission, Outcome, Pending, Verdict, admit};
use hallpass::domain::finding::{Finding, Place};
use hallpass::domain::model::{PullNumber, RoleRef, Subject};
use hallpass::domain::rules::{RULES, Warning, is_for_a_person};

use super::BASELINE;
use super::requests::{OTHER, admin, admission, path, under};
use crate::approval::scene::{FILE, Scene, blob, login};
use crate::decision::office::{WANTED, merged, rules, standing, verdict};

/// Approves whatever is asked for on orders.
const AUTO: &str = "@id(\"auto-orders\")\npermit (principal, action == Action::\"auto_approve\", resource)\nwhen { resource in Resource::\"orders\" };\n";

fn role(name: &str) -> RoleRef {
    RoleRef::try_from(format!("orders/{name}")).unwrap()
}

/// octocat asks for orders/readonly, which excludes orders/admin, where policies approve both.
fn excluding() -> Scene {
    let mut scene = under(&format!("{BASELINE}{AUTO}"));
    let RoleRef {
        resource,
        role: readonly,
    } = role("readonly");
    let orders = scene.base.resources.get_mut(&resource).unwrap();
    let readonly = orders.roles.get_mut(&readonly).unwrap();
    readonly.conflicts_with.insert(role("admin"));
    scene
}

/// The same while somebody else's pull request asks for orders/admin for octocat.
fn contested() -> Scene {
    let mut scene = excluding();
    scene.around.pending.push(Pending {
        pull: PullNumber(13),
        subject: Subject::Person(login("octocat")),
        role: role("admin"),
    });
    scene
}

fn warnings(verdict: &Verdict) -> Vec<&'static str> {
    verdict.findings.iter().map(|f| f.rule).collect()
}

#[test]
fn a_pull_request_of_a_stranger_takes_no_automatic_approval_away() {
    let mut scene = contested();
    let open = verdict(&scene);
    assert_eq!(warnings(&open), ["role-conflict-pending"]);
    assert_eq!(open.outcome, Outcome::Approved);
    merged(&mut scene);
    assert!(matches!(admission(&scene), Admission::Approved(_)));
}

#[test]
fn of_two_requests_that_exclude_each_other_policies_give_the_first_alone() {
    assert_eq!(verdict(&contested()).outcome, Outcome::Approved);
    // The other one was merged first: what it gives is not given yet, and nobody holds it by the ledger.
    let mut scene = contested();
    standing(&mut scene, OTHER, &admin());
    scene.around.pending.clear();
    let open = verdict(&scene);
    assert_eq!(rules(&open), ["role-conflict"]);
    assert_eq!(open.outcome, Outcome::Denied);
    // Nor where both were approved before, and merged at once.
    merged(&mut scene);
    assert_eq!(
        admission(&scene),
        Admission::Unapproved(vec![format!("role-conflict at {FILE}:2:7")])
    );
}

#[test]
fn time_alone_takes_no_automatic_approval_away() {
    let mut scene = under(&format!("{BASELINE}{AUTO}"));
    scene.changes.clear();
    let past = format!("{WANTED}starts: 2026-11-24T11:00:00Z\n");
    scene.adds(FILE, &past);
    let open = verdict(&scene);
    assert_eq!(warnings(&open), ["starts-in-past"]);
    assert_eq!(open.outcome, Outcome::Approved);
    merged(&mut scene);
    let admission = admit(&scene.case(), &path(), &blob(&past));
    assert!(matches!(admission, Admission::Approved(_)), "{admission:?}");
}

#[test]
fn every_other_finding_is_for_a_person() {
    let error = |rule| Finding::error(rule, FILE, Place::START, "", "");
    let mut passing = BTreeSet::new();
    for rule in RULES {
        assert!(is_for_a_person(&error(rule.name)), "{}", rule.name);
        if !is_for_a_person(&error(rule.name).as_warning()) {
            assert_eq!(rule.warning, Some(Warning::InPassing), "{}", rule.name);
            passing.insert(rule.name);
        }
        // Each rule that may only warn says so to people too.
        let says = rule.meaning.contains("a warning");
        assert_eq!(rule.warning.is_some(), says, "{}", rule.name);
    }
    assert_eq!(passing, ["role-conflict-pending", "starts-in-past"].into());
    assert!(is_for_a_person(&error("of-no-table").as_warning()));
    let documented = include_str!("../../../docs/policies.md");
    for rule in passing {
        assert!(documented.contains(&format!("`{rule}`")), "{rule}");
    }
}
