//! What a change of the files that decide does to live grants.

mod command;
mod scenario;

use std::collections::{BTreeMap, BTreeSet};

use hallpass::domain::catalogue::{Catalogue, ChangedFile};
use hallpass::domain::changes::Changes;
use hallpass::domain::impact::{Effect, Fate, Held, Impact, Known, impact, to_ask};
use hallpass::domain::model::{BlobId, GrantPath, Instant};
use hallpass::domain::parse::read_tree;

use crate::text::{WORLD, catalogue, file, now, world_with};

const READS: (&str, &str) = (
    "access/grants/orders/ada.yaml",
    "person: ada\nrole: readonly\nduration: 2h\nreason: Checkout fails for some customers.\n",
);
const MOVES: (&str, &str) = (
    "access/grants/orders/robot.yaml",
    "service: robot\nrole: readonly\nduration: 6h\nreason: Moves the parcels of this week.\n",
);
const CLOSES: (&str, &str) = (
    "access/grants/ledger/ada.yaml",
    "person: ada\nrole: approver\nexpires: 2026-12-10T18:00:00Z\nreason: Closes the month.\n",
);
const LIVE: [(&str, &str); 3] = [READS, MOVES, CLOSES];

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

fn path(text: &str) -> GrantPath {
    GrantPath::new(text).unwrap()
}

fn of_world(path: &str) -> &'static str {
    let found = WORLD.iter().find(|(p, _)| *p == path);
    found
        .unwrap_or_else(|| panic!("{path} is not in the world"))
        .1
}

/// Writes `text` over `path`; an empty text removes the file.
fn change(path: &str, text: &str) -> ChangedFile {
    let before = WORLD.iter().find(|(p, _)| *p == path);
    ChangedFile {
        path: path.to_owned(),
        before: before.map(|(p, t)| {
            let file = file(p, t);
            (file.blob, file.mode)
        }),
        after: (!text.is_empty()).then(|| file(path, text)),
    }
}

/// A file of the world with one text in place of another.
fn edit(path: &str, from: &str, to: &str) -> ChangedFile {
    let old = of_world(path);
    assert!(old.contains(from), "{path} does not say {from}");
    change(path, &old.replace(from, to))
}

#[derive(Default)]
struct Ledger {
    ended: BTreeMap<GrantPath, BlobId>,
    held: BTreeMap<GrantPath, Held>,
}

impl Ledger {
    fn impact_at(&self, base: &Catalogue, changes: &[ChangedFile], now: Instant) -> Impact {
        let known = Known {
            ended: &self.ended,
            held: &self.held,
            now,
        };
        impact(base, &Changes::read(changes.to_vec()), &known)
    }

    fn impact(&self, changes: &[ChangedFile]) -> Impact {
        self.impact_at(&catalogue(&LIVE), changes, now())
    }
}

/// `grant fate: effects` of each.
fn told(impact: &Impact) -> Vec<String> {
    let one = |t: &hallpass::domain::impact::Touched| {
        let effects: Vec<String> = t.effects.iter().map(ToString::to_string).collect();
        let (short, fate) = (t.path.short(), t.fate.as_str());
        format!("{short} {fate}: {}", effects.join("; "))
    };
    impact.touched.iter().map(one).collect()
}

fn says(changes: &[ChangedFile]) -> Vec<String> {
    told(&Ledger::default().impact(changes))
}

#[test]
fn what_a_person_holds_ends_with_their_file_and_nothing_else_does() {
    assert_eq!(
        says(&[change("access/people/ada.yaml", "")]),
        [
            "ledger/ada ends-at-merge: access/people/ada.yaml is removed",
            "orders/ada ends-at-merge: access/people/ada.yaml is removed"
        ]
    );
}

#[test]
fn so_many_leavers_at_once_that_nobody_believes_it_are_said_to_be_held_back() {
    let gone = |people: u32, leave: u32| {
        let mut files = world_with(&[]);
        for n in 0..people {
            let who = format!("github_id: {}\nidentities:\n  pg: p{n}\n", n + 100);
            files.push(file(&format!("access/people/p{n}.yaml"), who));
            let grant = READS.1.replace("ada", &format!("p{n}"));
            files.push(file(&format!("access/grants/orders/p{n}.yaml"), grant));
        }
        let leavers = (0..leave).map(|n| change(&format!("access/people/p{n}.yaml"), ""));
        let leavers: Vec<ChangedFile> = leavers.collect();
        Ledger::default().impact_at(&read_tree(&files), &leavers, now())
    };
    assert_eq!(gone(8, 5).held_back, 0);
    let many = gone(8, 6);
    assert_eq!(many.held_back, 6);
    assert!(
        many.parts()[0]
            .heading
            .starts_with("6 people would be gone at once")
    );
    assert_eq!(gone(24, 6).held_back, 0, "a quarter of them is believed");
}

#[test]
fn a_service_whose_owner_leaves_keeps_its_access_for_a_time_of_grace() {
    assert_eq!(
        says(&[change("access/people/bob.yaml", "")]),
        [
            "orders/robot ends-after-grace: nobody is accountable for service robot any more: its owner, bob, has no file"
        ]
    );
    // Somebody else becomes accountable in the same change.
    let robot = edit("access/services/robot.yaml", "owner: bob", "owner: ada");
    assert!(says(&[change("access/people/bob.yaml", ""), robot]).is_empty());
}

#[test]
fn a_service_that_goes_keeps_its_access_for_the_same_time_and_another_machine_user_for_none() {
    let robot = "access/services/robot.yaml";
    assert_eq!(
        says(&[change(robot, "")]),
        ["orders/robot ends-after-grace: access/services/robot.yaml is removed"]
    );
    let numbered =
        |id: u32| of_world(robot).replace("owner: bob", &format!("owner: bob\ngithub_id: {id}"));
    let base = read_tree(&world_with(&[MOVES, (robot, &numbered(77))]));
    let replaced = Ledger::default().impact_at(&base, &[change(robot, &numbered(78))], now());
    assert_eq!(
        told(&replaced),
        [
            "orders/robot ends-at-merge: service robot becomes another account: github_id 78 instead of 77"
        ]
    );
    let dropped = Ledger::default().impact_at(&base, &[change(robot, of_world(robot))], now());
    assert_eq!(dropped.of(Fate::Ends).count(), 0);
}

#[test]
fn a_login_that_becomes_another_account_ends_what_the_first_one_held() {
    let impact = Ledger::default().impact(&[edit(
        "access/people/ada.yaml",
        "github_id: 1",
        "github_id: 9",
    )]);
    assert_eq!(impact.of(Fate::Ends).count(), 2);
    assert_eq!(impact.touched.len(), 2);
}

#[test]
fn a_new_name_of_a_person_touches_nothing() {
    let named = edit(
        "access/people/ada.yaml",
        "github_id: 1",
        "name: Ada\ngithub_id: 1",
    );
    assert!(Ledger::default().impact(&[named]).is_empty());
}

#[test]
fn a_role_that_goes_leaves_its_holders_until_their_end() {
    let gone = change("access/resources/ledger.yaml", "");
    assert_eq!(
        says(&[gone]),
        [
            "ledger/ada not-again: the folder names the resource \"ledger\", which is not declared (unknown-resource)"
        ]
    );
}

#[test]
fn only_terms_that_were_allowed_and_are_not_any_more_are_told() {
    let orders = "access/resources/orders.yaml";
    assert_eq!(
        says(&[edit(orders, "max_duration: 8h", "max_duration: 4h")]),
        [
            "orders/robot not-again: 6h is asked for; orders/readonly lasts at most 4h, its `max_duration` (term-too-long)"
        ]
    );
    // Too long already, for a reason of the past.
    let base = world_with(&[
        MOVES,
        (
            orders,
            &of_world(orders).replace("max_duration: 8h", "max_duration: 5h"),
        ),
    ]);
    let lower = edit(orders, "max_duration: 8h", "max_duration: 4h");
    let impact = Ledger::default().impact_at(&read_tree(&base), &[lower], now());
    assert!(impact.is_empty(), "{impact:#?}");
}

#[test]
fn how_long_a_grant_with_a_fixed_end_lasts_is_told_only_if_the_ledger_knows_its_begin() {
    let lower = [edit(
        "access/resources/ledger.yaml",
        "max_duration: 30d",
        "max_duration: 2d",
    )];
    assert!(says(&lower).is_empty());
    assert_eq!(
        to_ask(&catalogue(&LIVE), &Changes::read(lower.to_vec())),
        BTreeSet::from([path(CLOSES.0)])
    );
    let mut ledger = Ledger::default();
    ledger.held.insert(
        path(CLOSES.0),
        Held {
            since: at("2026-11-20T08:00:00Z"),
            starts: at("2026-11-20T08:00:00Z"),
            ends: at("2026-12-10T18:00:00Z"),
            approvals: 1,
        },
    );
    assert_eq!(
        told(&ledger.impact(&lower)),
        [
            "ledger/ada not-again: it would last until 2026-12-10T18:00:00Z; ledger/approver lasts at most 2d, its `max_duration` (term-too-long)"
        ]
    );
}

#[test]
fn what_was_renewed_for_longer_than_the_new_total_is_told() {
    let total = [edit(
        "access/resources/orders.yaml",
        "max_duration: 8h",
        "max_duration: 8h\n    max_total: 2d",
    )];
    let held = |since: &str| {
        let mut ledger = Ledger::default();
        let held = Held {
            since: at(since),
            starts: at("2026-11-23T10:00:00Z"),
            ends: at("2026-11-23T16:00:00Z"),
            approvals: 1,
        };
        ledger.held.insert(path(MOVES.0), held);
        told(&ledger.impact(&total))
    };
    assert!(held("2026-11-21T17:00:00Z").is_empty());
    assert_eq!(
        held("2026-11-20T10:00:00Z"),
        ["orders/robot not-again: held since 2026-11-20 10:00 UTC, and now at most 2d in all"]
    );
}

#[test]
fn more_approvals_are_told_of_those_who_had_fewer() {
    let orders = "access/resources/orders.yaml";
    let more = [edit(
        orders,
        "max_duration: 8h",
        "max_duration: 8h\n    approvals: 3",
    )];
    let by_files = says(&more);
    assert_eq!(by_files.len(), 2);
    assert_eq!(
        by_files[0],
        "orders/ada otherwise: given on 1 of the 3 approvals it would need"
    );
    let mut ledger = Ledger::default();
    let held = |approvals| Held {
        since: now(),
        starts: now(),
        ends: at("2026-11-23T14:00:00Z"),
        approvals,
    };
    ledger.held.insert(path(READS.0), held(2));
    ledger.held.insert(path(MOVES.0), held(3));
    assert_eq!(
        told(&ledger.impact(&more)),
        ["orders/ada otherwise: given on 2 of the 3 approvals it would need"]
    );
}

#[test]
fn another_entitlement_account_or_connection_shows_what_is_held_differs() {
    let orders = "access/resources/orders.yaml";
    assert_eq!(
        says(&[edit(orders, "{ role: ro }", "{ role: reader }")]).len(),
        2
    );
    assert_eq!(
        says(&[edit("access/people/ada.yaml", "pg: ada", "pg: lovelace")]),
        ["orders/ada otherwise: held by another account in pg than the file would name"]
    );
    assert_eq!(
        says(&[edit(orders, "provider: pg", "provider: books")]),
        [
            "orders/robot not-again: service robot has no account in books, which gives orders (no-identity)",
            "orders/ada otherwise: held in pg; would be given in books"
        ]
    );
    // The order of keys is no other entitlement.
    let wide = of_world(orders).replace("{ role: ro }", "{ role: ro, schema: a }");
    let turned = of_world(orders).replace("{ role: ro }", "{ schema: a, role: ro }");
    let base = read_tree(&world_with(&[READS, (orders, &wide)]));
    let impact = Ledger::default().impact_at(&base, &[change(orders, &turned)], now());
    assert!(impact.is_empty(), "{impact:#?}");
}

#[test]
fn roles_that_begin_to_exclude_each_other_are_told_at_both_grants() {
    let excludes = edit(
        "access/resources/orders.yaml",
        "max_duration: 8h",
        "max_duration: 8h\n    conflicts_with: [ledger/approver]",
    );
    let impact = Ledger::default().impact(&[excludes]);
    let paths: Vec<&str> = impact.touched.iter().map(|t| t.path.short()).collect();
    assert_eq!(paths, ["ledger/ada", "orders/ada"]);
    assert!(impact.touched.iter().all(|t| {
        matches!(
            &t.effects[..],
            [Effect::Refused {
                rule: "role-conflict",
                ..
            }]
        )
    }));
}

#[test]
fn what_has_ended_is_not_live() {
    let gone = [change("access/people/ada.yaml", "")];
    let mut ledger = Ledger::default();
    let base = catalogue(&LIVE);
    let reads = path(READS.0);
    ledger
        .ended
        .insert(reads.clone(), base.grants[&reads].blob.clone());
    assert_eq!(told(&ledger.impact(&gone)).len(), 1);
    // The end that the other file names has passed.
    let later = ledger.impact_at(&base, &gone, at("2026-12-10T18:00:00Z"));
    assert!(later.is_empty(), "{later:#?}");
    // What ended there before is not what stands there now.
    ledger.ended.insert(reads, file("x", "other").blob);
    assert_eq!(told(&ledger.impact(&gone)).len(), 2);
}

#[test]
fn other_owners_are_counted_and_nobody_is_an_effect() {
    let owners = |text: &str| Ledger::default().impact(&[change(".github/CODEOWNERS", text)]);
    let handed = owners("* @acme/security\n/access/grants/orders/ @acme/dba @acme/security\n");
    assert!(handed.touched.is_empty(), "{handed:#?}");
    let hands: Vec<(String, usize, usize)> = handed
        .handovers
        .iter()
        .map(|h| (h.resource.to_string(), h.grants, h.after.len()))
        .collect();
    assert_eq!(hands, [("orders".to_owned(), 2, 2)]);

    let nobody = owners("* @acme/security\n/access/grants/ledger/\n");
    assert!(nobody.handovers.is_empty());
    assert_eq!(nobody.of(Fate::NotAgain).count(), 1);

    // The same owners by another line.
    assert!(owners("# all\n* @acme/security\n").is_empty());
    let broken = owners("* acme\n");
    assert!(broken.breaks_codeowners && broken.handovers.is_empty() && broken.touched.is_empty());
}

#[test]
fn a_bundle_is_touched_through_its_parts() {
    let kit = (
        "access/resources/kit.yaml",
        "description: What a newcomer needs\nrisk: high\nroles:\n  all:\n    description: Both\n    bundle: [orders/readonly, ledger/approver]\n    max_duration: 8h\n",
    );
    let asked = (
        "access/grants/kit/ada.yaml",
        "person: ada\nrole: all\nduration: 6h\nreason: The first day of work.\n",
    );
    let base = catalogue(&[kit, asked]);
    assert!(base.findings.is_empty(), "{:?}", base.findings);
    let of = |change: ChangedFile| Ledger::default().impact_at(&base, &[change], now());
    let lower = of(edit(
        "access/resources/orders.yaml",
        "max_duration: 8h",
        "max_duration: 4h",
    ));
    assert_eq!(lower.of(Fate::NotAgain).count(), 1, "{lower:#?}");
    let handed = of(change(
        ".github/CODEOWNERS",
        "* @acme/security\n/access/grants/ledger/ @acme/finance\n",
    ));
    let hands: Vec<&str> = handed
        .handovers
        .iter()
        .map(|h| h.resource.as_str())
        .collect();
    assert_eq!(
        hands,
        ["ledger"],
        "the part changes hands, the bundle has no owners"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_one_that_is_gone() {
    let impact = Ledger::default().impact(&[change("access/people/ada.yaml", "github_id: [\n")]);
    assert_eq!(impact.unread, ["access/people/ada.yaml"]);
    assert!(impact.touched.is_empty(), "{impact:#?}");
}

#[test]
fn the_same_files_give_the_same_words_whatever_the_time() {
    let changes = [
        edit(
            "access/resources/orders.yaml",
            "max_duration: 8h",
            "max_duration: 1h",
        ),
        edit(
            "access/resources/ledger.yaml",
            "max_duration: 30d",
            "max_duration: 1d",
        ),
        change("access/people/bob.yaml", ""),
    ];
    let base = catalogue(&LIVE);
    let ledger = Ledger::default();
    let first = ledger.impact_at(&base, &changes, now());
    assert!(!first.is_empty());
    for hours in [1, 24, 24 * 16] {
        let later = now() + chrono::TimeDelta::hours(hours);
        assert_eq!(first, ledger.impact_at(&base, &changes, later));
        assert_eq!(
            first.parts(),
            ledger.impact_at(&base, &changes, later).parts()
        );
    }
}

#[test]
fn every_part_begins_with_how_many_it_is_about() {
    let impact = Ledger::default().impact(&[
        change("access/people/ada.yaml", ""),
        edit(
            "access/resources/orders.yaml",
            "max_duration: 8h",
            "max_duration: 1h",
        ),
    ]);
    let headings: Vec<String> = impact.parts().into_iter().map(|p| p.heading).collect();
    assert_eq!(
        headings,
        [
            "2 live grants end when this is merged",
            "1 live grant stays until its end, but could not be asked for again"
        ]
    );
}

/// The world with policies beside the baseline, and the change that brings others.
fn policies(before: &str, after: &str) -> (Catalogue, [ChangedFile; 1]) {
    let with = |more: &str| format!("{}{more}", crate::policy::BASELINE);
    let path = crate::policy::FILE;
    let old = with(before);
    let base = catalogue(&[&LIVE[..], &[(path, old.as_str())]].concat());
    let change = ChangedFile {
        path: path.to_owned(),
        before: None,
        after: Some(file(path, with(after))),
    };
    (base, [change])
}

fn says_of_policies(before: &str, after: &str) -> Vec<String> {
    let (base, changes) = policies(before, after);
    told(&Ledger::default().impact_at(&base, &changes, now()))
}

#[test]
fn a_policy_that_would_not_permit_a_live_grant_again_is_named() {
    let short = crate::policy::forbid("short-terms", "context.minutes > 180");
    assert_eq!(
        says_of_policies("", &short),
        ["orders/robot not-again: not permitted by policy: short-terms"]
    );
    assert!(says_of_policies(&short, &short).is_empty());
    // Another that forbids the same is no news.
    let other = crate::policy::forbid("shorter-terms", "context.minutes > 121");
    assert!(says_of_policies(&short, &other).is_empty());
}

#[test]
fn what_some_team_or_asker_could_still_ask_for_is_not_called_forbidden() {
    let team = "!(principal in Team::\"acme/backend\")";
    // A service account is in no team.
    assert_eq!(
        says_of_policies("", &crate::policy::forbid("team", team)),
        ["orders/robot not-again: not permitted by policy: team"]
    );
    let own = crate::policy::forbid("own", "context.self_requested");
    assert!(says_of_policies("", &own).is_empty());
    let both = format!(
        "{own}{}",
        crate::policy::forbid("others", "!context.self_requested")
    );
    assert_eq!(says_of_policies("", &both).len(), 3);
}

#[test]
fn policies_about_the_hour_judge_a_grant_by_when_it_began() {
    let night = crate::policy::forbid("night", "context.hour < 6");
    let (base, changes) = policies("", &night);
    assert!(to_ask(&base, &Changes::read(changes.to_vec())).contains(&path(READS.0)));
    let began = |at: &str| {
        let mut ledger = Ledger::default();
        let starts: Instant = at.parse().unwrap();
        let held = Held {
            since: starts,
            starts,
            ends: starts + chrono::TimeDelta::hours(2),
            approvals: 1,
        };
        ledger.held.insert(path(READS.0), held);
        told(&ledger.impact_at(&base, &changes, now()))
    };
    assert_eq!(
        began("2026-11-23T03:10:00Z"),
        ["orders/ada not-again: not permitted by policy: night"]
    );
    assert!(began("2026-11-23T10:00:00Z").is_empty());
}

#[test]
fn a_risk_that_a_policy_asks_about_counts_when_the_resource_changes() {
    let high = crate::policy::forbid(
        "long-at-risk",
        "resource.risk_level > 3 && context.minutes > 180",
    );
    let text = format!("{}{high}", crate::policy::BASELINE);
    let orders = "access/resources/orders.yaml";
    let moderate = of_world(orders).replace("risk: critical", "risk: moderate");
    let files = [
        &LIVE[..],
        &[(crate::policy::FILE, text.as_str()), (orders, &moderate)],
    ]
    .concat();
    let base = catalogue(&files);
    let critical = change(orders, of_world(orders));
    assert_eq!(
        told(&Ledger::default().impact_at(&base, &[critical], now())),
        ["orders/robot not-again: not permitted by policy: long-at-risk"]
    );
}

#[test]
fn policies_that_break_are_told_once() {
    let twice = crate::policy::BASELINE;
    let (base, changes) = policies("", twice);
    let impact = Ledger::default().impact_at(&base, &changes, now());
    assert!(impact.breaks_policies, "{impact:#?}");
    assert!(impact.touched.is_empty(), "{impact:#?}");
}

/// A policy file and the one case beside it, as changes of the world.
fn with_case(policy: &str, case: &str) -> (Catalogue, ChangedFile) {
    let tests = "access/policies/guardrails.test.yaml";
    let strict = format!(
        "{}{}",
        crate::policy::BASELINE,
        crate::policy::forbid("short-terms", "context.minutes > 180")
    );
    let base = catalogue(&[(crate::policy::FILE, strict.as_str()), (tests, case)]);
    assert!(
        base.findings.is_empty() && !base.policy_tests.is_empty(),
        "{:?}",
        base.findings
    );
    let change = ChangedFile {
        path: crate::policy::FILE.to_owned(),
        before: None,
        after: Some(file(
            crate::policy::FILE,
            format!("{}{policy}", crate::policy::BASELINE),
        )),
    };
    (base, change)
}

#[test]
fn a_change_that_makes_a_case_fail_is_refused_where_the_case_stands() {
    let case = "cases:\n  - name: Not overnight\n    action: request\n    person: ada\n    role: orders/readonly\n    context: { minutes: 600 }\n    expect: deny\n";
    let refused = |policy: &str| {
        let (base, change) = with_case(policy, case);
        let found = hallpass::domain::rules::check_change(&base, &[change], now());
        crate::text::places(&found)
    };
    assert_eq!(
        refused(""),
        ["access/policies/guardrails.test.yaml:2:1 policy-test-failed"]
    );
    assert!(refused(&crate::policy::forbid("shorter", "context.minutes > 60")).is_empty());
}

#[test]
fn a_case_that_fails_already_does_not_hold_up_other_changes() {
    let wrong = "cases:\n  - name: Overnight\n    action: request\n    person: ada\n    role: orders/readonly\n    context: { minutes: 600 }\n    expect: allow\n";
    let (base, _) = with_case("", wrong);
    let whole = hallpass::domain::rules::check_tree(&base, now());
    assert!(whole.iter().any(|f| f.rule == "policy-test-failed"));
    let other = edit("access/people/ada.yaml", "github_id: 1", "github_id: 9");
    let found = hallpass::domain::rules::check_change(&base, &[other], now());
    assert!(found.is_empty(), "{found:?}");
}
