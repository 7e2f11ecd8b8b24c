//! Who may ask, what excludes what, and for how long an approval counts: told in whole worlds, hearing and deaf.

use chrono::TimeDelta;
use hallpass::domain::ledger::Cause;
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::{Change, CheckView, MergeMethod, When};

use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{REPO, World, file, grant};

const BOOKS: &str = "\
description: The general ledger
risk: high
provider: vault
roles:
  submitter:
    description: Enters payments
    entitlement: { role: submit }
    max_duration: 8h
  approver:
    description: Releases payments
    entitlement: { role: release }
    max_duration: 8h
    conflicts_with: [books/submitter]
  auditor:
    description: Reads everything
    entitlement: { role: audit }
    max_duration: 8h
    eligible:
      teams: ['@acme/auditors']
  clerk:
    description: Files receipts
    entitlement: { role: file }
    max_duration: 8h
    eligible:
      attributes: { department: [finance] }
";

const RULE: &str = "role-conflict-pending";

/// What the repository declares from now on.
async fn declare(world: &World, path: &str, text: &str) {
    let changes = [Change::write(path, text)];
    world
        .sandbox
        .push_to_main("root", REPO, &changes, "Declare it")
        .unwrap();
    world.settle().await;
}

/// The check of a pull request as GitHub shows it: the newest of its name. What says something else at the lines of the files is a
/// new one.
fn check(world: &World, pull: PullNumber) -> CheckView {
    let head = world.sandbox.pull(REPO, pull).head_sha;
    let checks = world.sandbox.checks(REPO, &head).into_iter();
    checks
        .filter(|check| check.name == "hallpass")
        .max_by_key(|check| check.id)
        .unwrap()
}

fn conclusion(world: &World, pull: PullNumber) -> String {
    let check = check(world, pull);
    check.conclusion.unwrap_or(check.status)
}

async fn with_books(world: &World) {
    declare(world, "access/resources/books.yaml", BOOKS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_open_requests_that_exclude_each_other_know_of_each_other() {
    hearing_and_deaf(async |world| {
        with_books(world).await;
        let submit = world
            .request("ada", "books/ada-submits", &grant("ada", "submitter", "2h"))
            .await;
        assert!(!check(world, submit).summary.contains(RULE));
        let release = world
            .request("ada", "books/ada-releases", &grant("ada", "approver", "2h"))
            .await;
        let linus = world
            .request(
                "linus",
                "books/linus-releases",
                &grant("linus", "approver", "2h"),
            )
            .await;
        for (one, other) in [(submit, release), (release, submit)] {
            let summary = check(world, one).summary;
            assert!(summary.contains(RULE), "{summary}");
            assert!(summary.contains(&format!("#{other} asks for")), "{summary}");
            // Both are open: neither denies the other.
            assert_eq!(conclusion(world, one), "in_progress");
        }
        assert!(!check(world, linus).summary.contains(RULE));

        // One of them asks for something else now: the other one's check says so.
        world
            .push(
                "ada",
                submit,
                "books/ada-submits",
                &grant("ada", "approver", "1h"),
            )
            .await;
        assert!(!check(world, release).summary.contains(RULE));
        world
            .push(
                "ada",
                submit,
                "books/ada-submits",
                &grant("ada", "submitter", "1h"),
            )
            .await;
        assert!(check(world, release).summary.contains(RULE));
        world.sandbox.close_pull("ada", REPO, submit).unwrap();
        world.settle().await;
        assert!(!check(world, release).summary.contains(RULE));
        world.sandbox.reopen("ada", REPO, submit).unwrap();
        world.settle().await;
        assert!(check(world, release).summary.contains(RULE));

        // Whichever merges second is denied.
        world.approve(release, "mei").await;
        assert_eq!(world.holders("release"), ["ada"]);
        assert_eq!(conclusion(world, submit), "failure");
        assert!(check(world, submit).title.contains("role-conflict"));
        world.approve(submit, "mei").await;
        world.merge_as_admin(submit, MergeMethod::Merge).await;
        assert!(world.holders("submit").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_in_nobodys_way_although_its_file_still_stands() {
    hearing_and_deaf(async |world| {
        with_books(world).await;
        let submit = world
            .request("ada", "books/ada-submits", &grant("ada", "submitter", "2h"))
            .await;
        world.approve(submit, "mei").await;
        assert_eq!(world.holders("submit"), ["ada"]);

        let again = world
            .request(
                "ada",
                "books/ada-submits-more",
                &grant("ada", "submitter", "2h"),
            )
            .await;
        assert!(check(world, again).title.contains("duplicate-grant"));
        let release = world
            .request("ada", "books/ada-releases", &grant("ada", "approver", "2h"))
            .await;
        assert!(check(world, release).title.contains("role-conflict"));

        world.advance(TimeDelta::hours(2)).await;
        assert!(world.holders("submit").is_empty());
        let stands = world.sandbox.file(REPO, "main", &file("books/ada-submits"));
        assert!(stands.is_some(), "the next revert has not come yet");
        assert_eq!(conclusion(world, again), "in_progress");
        assert_eq!(conclusion(world, release), "in_progress");
        world.approve(release, "mei").await;
        assert_eq!(world.holders("release"), ["ada"]);
        assert_eq!(
            conclusion(world, again),
            "failure",
            "it excludes what is held now"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_taken_is_in_the_way_until_it_is_taken() {
    hearing_and_deaf(async |world| {
        with_books(world).await;
        let submit = world
            .request("ada", "books/ada-submits", &grant("ada", "submitter", "2h"))
            .await;
        world.approve(submit, "mei").await;
        world.vault.down(true);
        let leave = world
            .propose("ada", &[Change::delete(file("books/ada-submits"))])
            .await;
        assert!(world.is_merged(leave));
        assert_eq!(
            world.holders("submit"),
            ["ada"],
            "the vault does not answer"
        );

        let release = world
            .request("ada", "books/ada-releases", &grant("ada", "approver", "2h"))
            .await;
        assert!(check(world, release).title.contains("role-conflict"));
        let summary = check(world, release).summary.replace('\n', " ");
        assert!(summary.contains("whose file is gone"), "{summary}");
        world.vault.down(false);
        world.advance(TimeDelta::minutes(20)).await;
        assert!(world.holders("submit").is_empty());
        assert_eq!(conclusion(world, release), "in_progress");
    })
    .await;
}

/// Why a grant ended.
async fn why(world: &World, name: &str) -> Option<Cause> {
    let entries = world.entries().await;
    let entry = entries.into_iter().find(|e| e.path.short() == name);
    entry.unwrap().cause
}

/// A request that begins in a day.
fn tomorrow(role: &str) -> String {
    grant("ada", role, "2h") + "starts: 2026-11-24T09:00:00Z\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_team_may_ask_and_lose_what_begins_after_they_left() {
    hearing_and_deaf(async |world| {
        world.sandbox.team("auditors", &["ada"]);
        with_books(world).await;
        let stranger = world
            .request(
                "linus",
                "books/linus-audits",
                &grant("linus", "auditor", "2h"),
            )
            .await;
        assert!(check(world, stranger).title.contains("not-eligible"));
        let stays = world
            .request("ada", "books/ada-audits", &grant("ada", "auditor", "2h"))
            .await;
        world.approve(stays, "mei").await;
        assert_eq!(world.holders("audit"), ["ada"]);
        world.advance(TimeDelta::hours(3)).await;
        let later = world
            .request("ada", "books/ada-audits-later", &tomorrow("auditor"))
            .await;
        world.approve(later, "mei").await;
        assert!(world.is_merged(later), "{:?}", check(world, later));

        world.sandbox.leave_team("ada", "auditors");
        world.advance(TimeDelta::hours(21)).await;
        assert!(world.holders("audit").is_empty());
        assert_eq!(
            why(world, "books/ada-audits-later").await,
            Some(Cause::ApprovalLost)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changed_departments_loses_what_has_not_begun() {
    hearing_and_deaf(async |world| {
        with_books(world).await;
        let file = world
            .sandbox
            .file(REPO, "main", "access/people/ada.yaml")
            .unwrap();
        let file = String::from_utf8(file).unwrap();
        let ada = |department: &str| format!("{file}attributes: {{ department: {department} }}\n");
        declare(world, "access/people/ada.yaml", &ada("finance")).await;
        let soon = world
            .request("ada", "books/ada-files", &grant("ada", "clerk", "2h"))
            .await;
        world.approve(soon, "mei").await;
        assert_eq!(world.holders("file"), ["ada"]);
        world.advance(TimeDelta::hours(3)).await;
        let later = world
            .request("ada", "books/ada-files-later", &tomorrow("clerk"))
            .await;
        world.approve(later, "mei").await;
        assert!(world.is_merged(later), "{:?}", check(world, later));

        declare(world, "access/people/ada.yaml", &ada("sales")).await;
        world.advance(TimeDelta::hours(21)).await;
        assert!(world.holders("file").is_empty());
        assert_eq!(
            why(world, "books/ada-files-later").await,
            Some(Cause::ApprovalLost)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_that_cannot_be_looked_up_is_neither_yes_nor_no() {
    let world = World::hearing().await;
    world.sandbox.team("auditors", &["ada"]);
    with_books(&world).await;
    let pull = world
        .request("ada", "books/ada-audits", &tomorrow("auditor"))
        .await;
    world.approve(pull, "mei").await;
    assert!(world.is_merged(pull));
    // At its start the members cannot be read: nothing is given, and nothing is denied.
    world.sandbox.fail_next(
        Some("GET /orgs/{org}/teams/{team_slug}/members"),
        1_000,
        502,
        When::Before,
    );
    world.clock.advance(TimeDelta::days(1));
    world.settle().await;
    assert!(world.holders("audit").is_empty());
    assert_eq!(world.ledger().await, ["books/ada-audits scheduled"]);
    world.sandbox.heal();
    world.advance(TimeDelta::minutes(20)).await;
    assert_eq!(world.holders("audit"), ["ada"]);
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_last_week_no_longer_counts() {
    hearing_and_deaf_with("merge = \"off\"\nmerge_reverts = true\n", async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(conclusion(world, pull), "success");
        world.advance(TimeDelta::days(7)).await;
        world.resync().await;
        assert_eq!(
            conclusion(world, pull),
            "success",
            "it counts for seven days"
        );
        world.advance(TimeDelta::minutes(11)).await;
        // Nobody touched the pull request: the look at every open one, ten minutes apart, tells.
        world.resync().await;
        assert_eq!(conclusion(world, pull), "in_progress");
        assert!(
            world
                .check(pull)
                .summary
                .contains("an approval counts for 7d")
        );
        // Merged all the same, it is judged at its merge.
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert!(world.holders("reader").is_empty());
        assert_eq!(world.told("merged-without-proof").len(), 1);
    })
    .await;
}

/// AC-7
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_for_another_branch_does_not_count_for_the_protected_one() {
    hearing_and_deaf(async |world| {
        let readme = [Change::write("README.md", "Lax.\n")];
        world
            .sandbox
            .push("root", REPO, "lax", &readme, "Begin it")
            .unwrap();
        let text = grant("ada", "readonly", "2h");
        let changes = [Change::write(file("db/ada-incident"), &text)];
        world
            .sandbox
            .push("ada", REPO, "request", &changes, "Request access")
            .unwrap();
        let pull = world
            .sandbox
            .open_pull("ada", REPO, "request", "lax", "Please", "")
            .unwrap();
        world.settle().await;
        assert!(check(world, pull).title.contains("wrong-branch"));
        world.approve(pull, "grace").await;

        world.advance(TimeDelta::minutes(1)).await;
        world.sandbox.retarget("ada", REPO, pull, "main").unwrap();
        world.settle().await;
        assert_eq!(conclusion(world, pull), "in_progress");
        let summary = check(world, pull).summary;
        assert!(summary.contains("aimed at another branch"), "{summary}");
        // It stays so after a crash, and at the merge.
        world.start().await;
        world.resync().await;
        assert!(!world.is_merged(pull));
        // What is approved in the instant in which it was last seen elsewhere could still have been approved there.
        world.advance(TimeDelta::minutes(1)).await;
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", check(world, pull));
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_same_pull_request_gives_back_is_still_in_the_way() {
    hearing_and_deaf(async |world| {
        with_books(world).await;
        // Six small things and a role that excludes another: so many removals at once are held back until somebody has looked.
        let mut held: Vec<String> = Vec::new();
        for (i, who) in ["ada", "grace", "linus"].into_iter().enumerate() {
            for role in ["submitter", "clerk"] {
                held.push(format!("books/{who}-{role}-{i}"));
            }
        }
        world
            .decree(&[Change::write(
                "access/resources/books.yaml",
                BOOKS.replace(
                    "    eligible:\n      attributes: { department: [finance] }\n",
                    "",
                ),
            )])
            .await;
        for name in &held {
            let mut words = name.trim_start_matches("books/").split('-');
            let (who, role) = (words.next().unwrap(), words.next().unwrap());
            let pull = world.request(who, name, &grant(who, role, "2h")).await;
            world.approve(pull, "mei").await;
            assert!(world.is_merged(pull), "{:?}", check(world, pull));
        }
        let mut swap: Vec<Change> = held.iter().map(|name| Change::delete(file(name))).collect();
        swap.push(Change::write(
            file("books/ada-releases"),
            grant("ada", "approver", "2h"),
        ));
        let pull = world.propose("ada", &swap).await;
        world.approve(pull, "mei").await;
        let both = world.holders("submit").contains(&"ada".to_owned())
            && world.holders("release").contains(&"ada".to_owned());
        assert!(!both, "submits and releases");
        assert!(check(world, pull).title.contains("role-conflict"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_due_but_not_done_is_in_the_way() {
    hearing_and_deaf(async |world| {
        with_books(world).await;
        let until = grant("ada", "submitter", "2h")
            .replace("duration: 2h", "expires: 2026-11-23T10:00:00Z");
        let submit = world.request("ada", "books/ada-submits", &until).await;
        world.approve(submit, "mei").await;
        assert_eq!(world.holders("submit"), ["ada"]);
        world.vault.down(true);
        world.advance(TimeDelta::hours(1)).await;
        assert_eq!(world.holders("submit"), ["ada"], "nobody could take it");
        let release = world
            .request("ada", "books/ada-releases", &grant("ada", "approver", "2h"))
            .await;
        world.approve(release, "mei").await;
        assert!(check(world, release).title.contains("role-conflict"));
        assert!(world.holders("release").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_holds_nothing_that_excludes_what_its_owner_holds() {
    hearing_and_deaf(async |world| {
        with_books(world).await;
        for name in ["robot", "crawler"] {
            let text = format!("description: Releases payments at night\nowner: ada\nidentities:\n  vault: {name}\n");
            declare(world, &format!("access/services/{name}.yaml"), &text).await;
        }
        let by = |name: &str, role: &str| {
            grant("ada", role, "2h").replace("person: ada", &format!("service: {name}"))
        };
        let submit = world
            .request("ada", "books/ada-submits", &grant("ada", "submitter", "2h"))
            .await;
        world.approve(submit, "mei").await;
        assert_eq!(world.holders("submit"), ["ada"]);
        let robot = world
            .request("ada", "books/robot", &by("robot", "approver"))
            .await;
        assert!(check(world, robot).title.contains("role-conflict"), "{:?}", check(world, robot));
        world.approve(robot, "mei").await;
        assert!(!world.is_merged(robot));
        // Given back, and not taken yet.
        world.vault.down(true);
        let leave = [Change::delete(file("books/ada-submits"))];
        world.propose("ada", &leave).await;
        world
            .push(
                "ada",
                robot,
                "books/robot",
                &by("robot", "approver").replace("2h", "1h"),
            )
            .await;
        assert!(check(world, robot).title.contains("role-conflict"), "{:?}", check(world, robot));
        world.vault.down(false);
        world.advance(TimeDelta::minutes(20)).await;
        world.approve(robot, "mei").await;
        assert_eq!(world.holders("release"), ["robot"]);
        // Neither does another service of hers, nor she herself.
        let two = [
            ("crawler", by("crawler", "submitter")),
            ("ada", grant("ada", "submitter", "2h")),
        ];
        for (name, text) in two {
            let pull = world.request("ada", &format!("books/{name}"), &text).await;
            assert!(check(world, pull).title.contains("role-conflict"), "{name}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pull_request_gives_no_two_that_exclude_each_other_to_one_hand() {
    let world = World::hearing().await;
    with_books(&world).await;
    let text = "description: Releases payments at night\nowner: ada\nidentities:\n  vault: robot\n";
    declare(&world, "access/services/robot.yaml", text).await;
    let robot = grant("ada", "approver", "2h").replace("person: ada", "service: robot");
    let both = [
        Change::write(file("books/ada"), grant("ada", "submitter", "2h")),
        Change::write(file("books/robot"), robot),
    ];
    let pull = world.propose("ada", &both).await;
    assert!(
        check(&world, pull).title.contains("role-conflict"),
        "{:?}",
        check(&world, pull)
    );
    world.assert_contract();
}
