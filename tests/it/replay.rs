//! Past requests, judged anew by other files.

mod command;
mod scenario;

use std::sync::Arc;

use hallpass::domain::catalogue::{Catalogue, Declared};
use hallpass::domain::model::{CommitId, GrantPath};
use hallpass::domain::replay::{Merged, Replay, replay};

use crate::policy::{BASELINE, FILE, forbid};
use crate::text::{GRANT, PATH, catalogue, now};

/// The world of the text tests with these policies beside the baseline.
fn tree(policies: &str) -> Catalogue {
    let text = format!("{BASELINE}{policies}");
    catalogue(&[(FILE, &text)])
}

fn declared(text: &str) -> Declared {
    let path = GrantPath::new(PATH).unwrap();
    catalogue(&[(PATH, text)]).grants[&path].clone()
}

/// A request of this text that was merged at the time of the tests.
fn merged(text: &str) -> Merged {
    Merged {
        path: GrantPath::new(PATH).unwrap(),
        commit: CommitId::new("a".repeat(40)).unwrap(),
        at: now(),
        grant: declared(text).grant,
        before: None,
        since: None,
        held: Vec::new(),
        declared: Arc::new(catalogue(&[])),
    }
}

/// `turn: because` of each.
fn told(replay: &Replay) -> Vec<String> {
    let one = |c: &hallpass::domain::replay::Changed| {
        format!("{}: {}", c.turn.word(), c.because.join(", "))
    };
    replay.changed.iter().map(one).collect()
}

fn turns(past: &[Merged], base: &str, head: &str) -> Vec<String> {
    let found = replay(past, &tree(base), &tree(head));
    assert_eq!(found.judged, past.len());
    told(&found)
}

#[test]
fn a_policy_that_forbids_what_was_allowed_is_told_by_name_and_the_other_way_round() {
    let short = forbid("short-terms", "context.minutes > 60");
    let past = [merged(GRANT)];
    assert_eq!(turns(&past, "", &short), ["allowed-to-denied: short-terms"]);
    assert_eq!(turns(&past, &short, ""), ["denied-to-allowed: short-terms"]);
    assert!(turns(&past, &short, &short).is_empty());
    let long = forbid("long-terms", "context.minutes > 120");
    assert!(turns(&past, "", &long).is_empty());
}

#[test]
fn what_is_refused_by_both_for_different_reasons_is_no_change() {
    let past = [merged(GRANT)];
    let (one, other) = (
        forbid("one", "context.minutes > 60"),
        forbid("other", "context.minutes > 30"),
    );
    assert!(turns(&past, &one, &other).is_empty());
}

#[test]
fn approval_without_a_person_is_a_change_of_its_own() {
    let by_itself = "@id(\"reads\")\npermit (principal, action == Action::\"auto_approve\", resource) when { resource.name == \"readonly\" };\n";
    assert_eq!(
        turns(&[merged(GRANT)], "", by_itself),
        ["allowed-to-automatic: reads"]
    );
}

#[test]
fn what_depends_on_a_team_cannot_be_told_unless_every_team_gives_the_same() {
    let backend = |id: &str, term: &str| {
        forbid(
            id,
            &format!("!(principal in Team::\"acme/backend\") && {term}"),
        )
    };
    let past = [merged(GRANT)];
    let only = backend("backend-only", "true");
    assert_eq!(turns(&past, "", &only), ["cannot-tell: backend-only"]);
    // Not of this request: the team does not matter.
    assert!(turns(&past, "", &backend("backend-only", "context.minutes > 500")).is_empty());
    // Denied without the team on both sides, and with it on one.
    let all = forbid("all", "true");
    assert_eq!(turns(&past, &only, &all), ["cannot-tell: all"]);
}

#[test]
fn what_depends_on_other_requests_cannot_be_told() {
    let past = [merged(GRANT)];
    let cap = forbid("cap", "context.open_requests >= 3");
    assert_eq!(turns(&past, "", &cap), ["cannot-tell: cap"]);
    let roles = forbid("cap", "context.live_count >= 1");
    assert!(turns(&past, "", &roles).is_empty(), "what was held is told");
}

#[test]
fn what_depends_on_who_asked_cannot_be_told() {
    let own = forbid("not-for-oneself", "context.self_requested");
    assert_eq!(
        turns(&[merged(GRANT)], "", &own),
        ["cannot-tell: not-for-oneself"]
    );
}

#[test]
fn a_renewal_is_judged_as_one_and_by_all_the_time_since_its_begin() {
    let renewed = Merged {
        before: Some(declared(GRANT).grant),
        since: Some(now() - chrono::TimeDelta::hours(10)),
        ..merged(GRANT)
    };
    assert!(renewed.renews());
    let never = "@id(\"never\")\n@message(\"No.\")\nforbid (principal, action == Action::\"renew\", resource);\n";
    assert_eq!(
        turns(&[renewed.clone(), merged(GRANT)], "", never),
        ["allowed-to-denied: never"]
    );
    let total = forbid("half-a-day", "context.total_minutes > 11 * 60");
    assert_eq!(
        turns(&[renewed], "", &total),
        ["allowed-to-denied: half-a-day"]
    );
    assert!(turns(&[merged(GRANT)], "", &total).is_empty());
}

#[test]
fn what_the_subject_held_then_counts() {
    let beside = forbid(
        "not-beside",
        "context.live_roles.contains(Role::\"ledger/approver\")",
    );
    let approver = "person: ada\nrole: approver\nduration: 1d\nreason: Closes the month.\n";
    let other = GrantPath::new("access/grants/ledger/ada.yaml").unwrap();
    let held = Merged {
        held: vec![(other, declared_at_ledger(approver))],
        ..merged(GRANT)
    };
    assert_eq!(
        turns(&[held], "", &beside),
        ["allowed-to-denied: not-beside"]
    );
    assert!(turns(&[merged(GRANT)], "", &beside).is_empty());
}

fn declared_at_ledger(text: &str) -> Arc<hallpass::domain::model::Grant> {
    let path = "access/grants/ledger/ada.yaml";
    catalogue(&[(path, text)]).grants[&GrantPath::new(path).unwrap()]
        .grant
        .clone()
}

#[test]
fn lower_limits_of_a_role_refuse_past_requests_by_their_rule() {
    let orders = "access/resources/orders.yaml";
    let text = crate::text::WORLD
        .iter()
        .find(|(path, _)| *path == orders)
        .unwrap()
        .1;
    let lower = text.replace("max_duration: 8h", "max_duration: 1h");
    let found = replay(
        &[merged(GRANT)],
        &catalogue(&[]),
        &catalogue(&[(orders, &lower)]),
    );
    assert_eq!(told(&found), ["allowed-to-denied: term-too-long"]);
}

#[test]
fn who_left_since_was_still_somebody_then() {
    let ada = "access/people/ada.yaml";
    let gone = |policies: &str| {
        let text = format!("{BASELINE}{policies}");
        let mut tree = catalogue(&[(FILE, &text)]);
        tree.people
            .remove(&hallpass::domain::model::Login::new("ada").unwrap());
        tree
    };
    let all = forbid("all", "true");
    assert_eq!(
        told(&replay(&[merged(GRANT)], &gone(""), &gone(&all))),
        ["allowed-to-denied: all"]
    );
    // Whom the change itself changes is judged as each side has them.
    let finance = forbid(
        "finance",
        "principal.hasTag(\"department\") && principal.getTag(\"department\") == \"finance\"",
    );
    let text = format!("{BASELINE}{finance}");
    let of = |person: &str| catalogue(&[(FILE, &text), (ada, person)]);
    let before = of("github_id: 1\nidentities:\n  pg: ada\n  books: ada\n");
    let after = of(
        "github_id: 1\nattributes: { department: finance }\nidentities:\n  pg: ada\n  books: ada\n",
    );
    assert_eq!(
        told(&replay(&[merged(GRANT)], &before, &after)),
        ["allowed-to-denied: finance"]
    );
}
