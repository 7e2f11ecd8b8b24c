//! `hallpass doctor`: what is wrong is found, with the way out; what is right is not called wrong.

use chrono::TimeDelta;
use hallpass::app::doctor::{examine_with, tell_with};
use hallpass::domain::doctor::{Area, Line, Verdict};
use hallpass::sandbox::{Change, Down, Permission, Ruleset};

use crate::notify::endpoint::{Endpoint, Next};
use crate::world::{DB, Ears, REPO, World, grant};

const APP: u64 = 4242;
const INSTALLATION: u64 = 77;
const EVIDENCE: &str = "hallpass/evidence";

/// What a careful organisation demands of `main`.
fn careful() -> Ruleset {
    Ruleset {
        pull_request: true,
        approvals: 1,
        code_owner_review: true,
        required_check: Some(("hallpass".to_owned(), Some(APP))),
        bypass_apps: vec![APP],
        ..Ruleset::default()
    }
}

/// A world in which everything is as it must be.
async fn sound() -> World {
    let world = World::hearing().await;
    world
        .decree(&[Change::delete("access/resources/nowhere.yaml")])
        .await;
    world.settle().await;
    world.sandbox.ruleset(REPO, Some(careful()));
    world.sandbox.guard(REPO, EVIDENCE);
    world
}

async fn examined(world: &World) -> Vec<Line> {
    let (config, clock, extra) = world.parts();
    examine_with(&config, clock, extra, |_| {}).await.unwrap()
}

/// The lines that are no pass, each as `verdict: sentence`.
fn wrong(lines: &[Line]) -> Vec<String> {
    let wrong = lines.iter().filter(|line| line.verdict != Verdict::Pass);
    wrong
        .map(|line| {
            assert!(
                line.remedy.as_ref().is_some_and(|r| r.len() > 10),
                "{line:?}"
            );
            format!("{:?}: {}", line.verdict, line.says).to_lowercase()
        })
        .collect()
}

/// What the stand-in's loopback address and its one list of events cannot have right; and that these worlds keep no anchors.
const ALWAYS: [&str; 2] = ["which is not encrypted", "no anchors are kept outside"];

async fn told(world: &World) -> Vec<String> {
    let mut wrong = wrong(&examined(world).await);
    wrong.retain(|line| !ALWAYS.iter().any(|always| line.contains(always)));
    wrong
}

/// That exactly this is told beside what the stand-in cannot have right.
#[track_caller]
fn assert_only(told: &[String], expected: &[&str]) {
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (line, expected) in told.iter().zip(expected) {
        assert!(line.contains(expected), "{line}\nis not about\n{expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everything_is_as_it_must_be_nothing_is_told() {
    let world = sound().await;
    let lines = examined(&world).await;
    assert_only(&told(&world).await, &[]);
    let areas = [
        Area::App,
        Area::Branches,
        Area::Owners,
        Area::Files,
        Area::Connections,
        Area::Evidence,
        Area::Ledger,
    ];
    for area in areas {
        let passes = lines
            .iter()
            .any(|l| l.area == area && l.verdict == Verdict::Pass);
        assert!(passes, "{area:?}: {lines:#?}");
    }
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_that_are_lacking_or_too_many_are_named() {
    let world = sound().await;
    world.sandbox.app_permission(APP, "checks", Some("read"));
    world
        .sandbox
        .app_permission(APP, "administration", Some("write"));
    let told = told(&world).await;
    assert!(
        told.iter()
            .any(|l| l.starts_with("failure: it lacks `checks: write` on acme")),
        "{told:#?}"
    );
    assert!(
        told.iter().any(|l| l
            .starts_with("warning: it may do more on acme than it needs: `administration: write`")),
        "{told:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_is_switched_off_is_told() {
    let world = sound().await;
    world.sandbox.suspend(INSTALLATION, true);
    let told = told(&world).await;
    assert!(
        told.iter()
            .any(|l| l == "failure: the installation on acme is suspended"),
        "{told:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_the_protected_branch_that_is_missing_is_told() {
    let world = sound().await;
    let check = |name: &str, app| Some((name.to_owned(), app));
    let table = [
        (
            Ruleset {
                approvals: 0,
                ..careful()
            },
            "merged without the review of code owners",
        ),
        (
            Ruleset {
                code_owner_review: false,
                ..careful()
            },
            "merged without the review of code owners",
        ),
        (
            Ruleset {
                required_check: None,
                ..careful()
            },
            "`hallpass` is not required",
        ),
        (
            Ruleset {
                required_check: check("hallpass", None),
                ..careful()
            },
            "everybody who can write may pass it",
        ),
        (
            Ruleset {
                required_check: check("hallpass", Some(15368)),
                ..careful()
            },
            "expected from app 15368, not from app 4242",
        ),
        (
            Ruleset {
                required_check: check("build", Some(APP)),
                ..careful()
            },
            "`hallpass` is not required",
        ),
    ];
    for (rules, expected) in table {
        world.sandbox.ruleset(REPO, Some(rules));
        assert_only(&told(&world).await, &[expected]);
    }
    // It can neither tidy nor write evidence.
    world.sandbox.ruleset(
        REPO,
        Some(Ruleset {
            bypass_apps: Vec::new(),
            ..careful()
        }),
    );
    assert_only(
        &told(&world).await,
        &[
            "not so: the pull requests that tidy `main`",
            "not so: nobody but hallpass pushes to `hallpass/evidence`",
        ],
    );
    world.sandbox.ruleset(REPO, None);
    let without = told(&world).await;
    assert!(!without.iter().any(|line| line.contains("hallpass/notes")));
    // Runs without a server leave notes there.
    let notes = [Change::write("notes.json".to_owned(), "{}")];
    let pushed = world
        .sandbox
        .push("root", REPO, "hallpass/notes", &notes, "Notes");
    pushed.unwrap();
    let without = told(&world).await;
    for expected in [
        "`main` can be pushed to without a pull request",
        "`hallpass` is not required for `main`",
        "`main` can be rewritten by a force-push and be deleted",
        "`hallpass/evidence` can be rewritten by a force-push and be deleted",
        "everybody who can write may push to `hallpass/evidence`",
        "everybody who can write may push to `hallpass/notes`",
        "`hallpass/notes` can be rewritten by a force-push and be deleted",
    ] {
        assert!(
            without.iter().any(|line| line.contains(expected)),
            "{expected}: {without:#?}"
        );
    }
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_who_are_not_there_and_paths_without_owners_are_told() {
    let table = [
        (
            "* @acme/security\n/access/grants/db/\n",
            "nobody owns access/grants/db/any.yaml",
        ),
        (
            "/access/ @acme/security\n",
            "nobody owns .gitattributes, .github/codeowners",
        ),
        (
            "* @acme/security\n/access/grants/db/ @acme/nobody\n",
            "@acme/nobody",
        ),
        (
            "* @acme/security\n/access/grants/db/ @stranger\n",
            "@stranger",
        ),
        (
            "* @acme/security\n/access/grants/db/ @acme/readers\n",
            "@acme/readers",
        ),
        (
            "* @acme/security\n/access/grants/db/ grace@example.org\n",
            "grace@example.org is an address",
        ),
        (
            "* @acme/security\n!/access/grants/db/ @acme/dba\n",
            ".github/codeowners:2",
        ),
    ];
    let world = sound().await;
    world.sandbox.team_may("readers", REPO, Permission::Push);
    for (codeowners, expected) in table {
        world
            .decree(&[Change::write(".github/CODEOWNERS", codeowners)])
            .await;
        let told = told(&world).await;
        assert!(
            told.iter().any(|line| line.contains(expected)),
            "{expected}: {told:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_do_not_answer_or_do_not_exist_are_told() {
    let world = sound().await;
    world.vault.down(true);
    let told_down = told(&world).await;
    assert!(
        told_down
            .iter()
            .any(|l| l.starts_with("failure: `vault` does not tell who has db/readonly")),
        "{told_down:#?}"
    );
    world.vault.down(false);
    let nowhere = DB.replace("provider: vault", "provider: nowhere");
    world
        .decree(&[Change::write("access/resources/db.yaml", nowhere)])
        .await;
    let told = told(&world).await;
    assert!(
        told.iter()
            .any(|l| l.contains("the resource db gives by `nowhere`")),
        "{told:#?}"
    );
    assert!(
        told.iter()
            .any(|l| l.contains("no resource gives anything by `vault`")),
        "{told:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn access_that_is_overdue_is_told_with_what_the_target_says() {
    let world = sound().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    world.vault.down(true);
    world.advance(TimeDelta::hours(2)).await;
    world.advance(TimeDelta::minutes(5)).await;
    let told = told(&world).await;
    let overdue = told.iter().find(|l| l.contains("was to end at")).unwrap();
    assert!(overdue.contains("the test says so"), "{overdue}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_does_not_answer_is_not_known_and_not_called_broken() {
    let world = sound().await;
    world.sandbox.down(Down::Unavailable);
    let told = told(&world).await;
    assert!(
        told.iter()
            .any(|l| l.starts_with("unknown: github does not tell about the app")),
        "{told:#?}"
    );
    assert!(
        told.iter()
            .any(|l| l.starts_with("unknown: the protected branch cannot be read")),
        "{told:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_knows_less_than_the_evidence_is_told_and_nothing_is_written() {
    let mut world = sound().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    world.lose_database().await;
    for _ in 0..2 {
        let told = told(&world).await;
        let doubt = told.iter().find(|l| l.contains("safe mode")).unwrap();
        assert!(doubt.starts_with("failure: nothing is granted"), "{doubt}");
    }
    let (config, ..) = world.parts();
    assert!(!config.server.data_dir.join("hallpass.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_the_evidence_is_looked_at_and_never_made() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = sound().await;
    let (config, ..) = world.parts();
    let key = config.server.data_dir.join("evidence_key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_only(&told(&world).await, &["others on this machine may read"]);
    std::fs::write(&key, "no key").unwrap();
    assert_only(&told(&world).await, &["failure: "]);
    std::fs::remove_file(&key).unwrap();
    assert_only(&told(&world).await, &["there is no key yet"]);
    assert!(!key.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_says_it_to_people_and_to_programs() {
    let mut world = World::new(Ears::Hearing, "").await;
    world.stop().await;
    let done = world.run(&["doctor"]);
    let text = String::from_utf8(done.stdout).unwrap();
    // The stand-in of the tests lives at another time than the program.
    assert!(text.contains("  FAILED  the clock is "), "{text}");
    assert!(text.contains("-> Keep the time by NTP"), "{text}");
    assert_eq!(done.status.code(), Some(1));
    let quiet = world.run(&["doctor", "--quiet", "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&quiet.stdout).unwrap();
    let checks = answer["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["verdict"] == "failure"));
    for check in checks {
        assert_eq!(
            check["verdict"] == "pass",
            check.get("remedy").is_none(),
            "{check}"
        );
    }
}

#[test]
fn a_clock_is_judged_by_how_far_it_is_off() {
    use hallpass::domain::doctor::{Clocks, clocks};
    let theirs = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let verdict = |off: i64| {
        let ours = theirs + TimeDelta::seconds(off);
        clocks(Clocks { theirs, ours }).verdict
    };
    for (off, expected) in [
        (0, Verdict::Pass),
        (3, Verdict::Pass),
        (-3, Verdict::Pass),
        (4, Verdict::Warning),
        (-44, Verdict::Warning),
        (45, Verdict::Failure),
        (-3600, Verdict::Failure),
    ] {
        assert_eq!(verdict(off), expected, "{off}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_looked_at_without_a_message_and_told_only_when_asked_to() {
    let endpoint = Endpoint::start().await;
    let mut world = sound().await;
    world.configure(&endpoint.section("\"granted\"")).await;
    let lines = examined(&world).await;
    let of_notices = |line: &&Line| line.area == Area::Notices;
    let found: Vec<&Line> = lines.iter().filter(of_notices).collect();
    assert_eq!(found.len(), 1);
    assert!(found[0].says.contains("nothing was sent"), "{found:?}");
    assert!(endpoint.calls().is_empty());
    let (config, clock, _) = world.parts();
    let told = tell_with(&config, std::sync::Arc::clone(&clock))
        .await
        .unwrap();
    assert_eq!(told[0].verdict, Verdict::Pass);
    assert_eq!(
        endpoint.titles(),
        ["This is a test: Hallpass tells of acme/access here"]
    );
    endpoint.then(&[Next::Say(401, None)]);
    let refused = tell_with(&config, clock).await.unwrap();
    assert_eq!(refused[0].verdict, Verdict::Failure);
    assert!(
        refused[0]
            .remedy
            .as_ref()
            .unwrap()
            .contains("[notices.http]")
    );
}
