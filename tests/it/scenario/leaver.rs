//! People who leave: everything that they hold ends, and nobody inherits it.

use hallpass::sandbox::{Change, When};

use super::{hearing_and_deaf, hearing_and_deaf_with, hours, minutes};
use crate::world::{Ears, World, file, grant, person, person_file};

const MEMBERS: &str = "GET /orgs/{org}/members";

async fn granted(world: &World) {
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "8h"))
        .await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
}

fn ended_because_ada_left(world: &World) {
    assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);
    let told = world.told("revoked");
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("subject-gone"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoevers_file_is_deleted_loses_everything() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        world.decree(&[Change::delete(person_file("ada"))]).await;
        ended_because_ada_left(world);
        // Their grant files are tidied up.
        world.advance(minutes(2)).await;
        assert_eq!(world.ledger().await, ["db/ada-incident ended"]);
        assert!(world.open_pulls().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_file_is_broken_is_not_gone_and_gets_nothing_new() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        let later = grant("ada", "admin", "2h") + "starts: 2026-11-23T10:00:00Z\n";
        let pull = world.request("ada", "db/ada-later", &later).await;
        world.approve(pull, "grace").await;
        world.approve(pull, "linus").await;
        let sound = world
            .sandbox
            .file(crate::world::REPO, "main", &person_file("ada"))
            .unwrap();
        world
            .decree(&[Change::write(person_file("ada"), "github_id: ada\n")])
            .await;
        world.advance(hours(1)).await;
        assert_eq!(world.vault.effects(), ["+reader ada"]);
        world
            .decree(&[Change::write(person_file("ada"), sound)])
            .await;
        world.advance(minutes(5)).await;
        assert_eq!(world.vault.effects(), ["+reader ada", "+admin ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_the_organisation_loses_everything() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        world.sandbox.expel("ada");
        world.settle().await;
        // Whoever is deaf lists the members again after a while.
        world.advance(minutes(10)).await;
        ended_because_ada_left(world);
        world.advance(minutes(2)).await;
        let pull = world
            .request("mei", "db/ada-again", &grant("ada", "admin", "1h"))
            .await;
        let check = world.check(pull);
        assert_eq!(check.conclusion.as_deref(), Some("failure"));
        assert_eq!(check.annotations[0]["title"], "not-a-member");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_makes_the_end_of_a_leaver_immediate() {
    let world = World::hearing().await;
    granted(&world).await;
    world.sandbox.expel("ada");
    world.settle().await;
    ended_because_ada_left(&world);
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_in_the_file_is_another_person() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        let other = world.sandbox.member("ada-the-second");
        world
            .decree(&[Change::write(person_file("ada"), person("ada", other))])
            .await;
        world.advance(minutes(10)).await;
        ended_because_ada_left(world);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_registered_again_inherits_nothing() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        world.sandbox.rename_user("ada", "ada-of-old");
        let new = world.sandbox.member("ada");
        // GitHub tells nobody about a rename.
        world.advance(minutes(10)).await;
        world.resync().await;
        ended_because_ada_left(world);
        // With a file of their own the new one may ask, like anybody.
        world
            .decree(&[Change::write(person_file("ada"), person("ada", new))])
            .await;
        world.advance(minutes(10)).await;
        assert!(world.holders("reader").is_empty());
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "1h"))
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_comes_back_short_is_not_believed() {
    // Eight grants at once are given in any order, so the two worlds are not compared.
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = World::new(ears, "").await;
        let crowd: Vec<String> = (0..8).map(|n| format!("crowd-{n}")).collect();
        let files: Vec<Change> = crowd
            .iter()
            .map(|login| {
                let id = world.sandbox.member(login);
                Change::write(person_file(login), person(login, id))
            })
            .collect();
        world.decree(&files).await;
        // The members were listed before they came.
        world.advance(minutes(10)).await;
        let wishes: Vec<Change> = crowd
            .iter()
            .map(|login| {
                let name = file(&format!("db/{login}"));
                Change::write(name, grant(login, "readonly", "8h"))
            })
            .collect();
        let pull = world.propose("ada", &wishes).await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader").len(), 8);
        for login in &crowd[..6] {
            world.sandbox.expel(login);
        }
        world.settle().await;
        world.advance(minutes(10)).await;
        assert_eq!(world.holders("reader").len(), 8, "held back");
        // One of them was a mistake: five at once are believed.
        world.sandbox.join("crowd-0");
        world.settle().await;
        world.advance(minutes(10)).await;
        assert_eq!(
            world.holders("reader"),
            ["crowd-0", "crowd-6", "crowd-7"],
            "{:?}",
            world.told("revoked")
        );
        world.advance(hours(8)).await;
        assert!(world.holders("reader").is_empty());
        world.assert_contract();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_ends_nothing_and_admits_nobody() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        world
            .sandbox
            .fail_next(Some(MEMBERS), 10_000, 502, When::Before);
        world.sandbox.expel("ada");
        world.settle().await;
        world.advance(minutes(30)).await;
        assert_eq!(world.holders("reader"), ["ada"]);
        let pull = world
            .request("mei", "db/mei-incident", &grant("mei", "readonly", "1h"))
            .await;
        world.approve(pull, "grace").await;
        assert!(!world.is_merged(pull));
        let check = world.check(pull);
        assert_eq!(check.status, "in_progress");
        assert!(
            check.summary.contains("member of the organisation"),
            "{}",
            check.summary
        );
        world.sandbox.heal();
        world.advance(minutes(10)).await;
        assert_eq!(world.holders("reader"), ["mei"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_joins_the_organisation_may_ask() {
    hearing_and_deaf(async |world| {
        let id = world.sandbox.user("newcomer");
        world
            .decree(&[Change::write(
                person_file("newcomer"),
                person("newcomer", id),
            )])
            .await;
        let pull = world
            .request(
                "ada",
                "db/newcomer-incident",
                &grant("newcomer", "readonly", "1h"),
            )
            .await;
        assert_eq!(world.check(pull).annotations[0]["title"], "not-a-member");
        world.sandbox.join("newcomer");
        world.settle().await;
        world.advance(minutes(10)).await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["newcomer"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_outsiders_may_hold_access_only_their_file_counts() {
    let outsiders = "merge = \"auto\"\nmerge_reverts = true\noutsiders = true\n";
    hearing_and_deaf_with(outsiders, async |world| {
        granted(world).await;
        world.sandbox.expel("ada");
        world.settle().await;
        world.advance(minutes(20)).await;
        assert_eq!(world.holders("reader"), ["ada"]);
        world.decree(&[Change::delete(person_file("ada"))]).await;
        ended_because_ada_left(world);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_access_is_cancelled_when_the_person_leaves_before_it_begins() {
    hearing_and_deaf(async |world| {
        let text = grant("ada", "readonly", "2h") + "starts: 2026-11-23T12:00:00Z\n";
        let pull = world.request("ada", "db/ada-night", &text).await;
        world.approve(pull, "grace").await;
        assert_eq!(world.ledger().await, ["db/ada-night scheduled"]);
        world.sandbox.expel("ada");
        world.settle().await;
        world.advance(minutes(10)).await;
        assert_eq!(world.ledger().await, ["db/ada-night ended"]);
        world.advance(hours(3)).await;
        assert_eq!(world.vault.calls(), 0);
        assert!(world.told("cancelled")[0].contains("subject-gone"));
        assert!(world.told("merged-without-proof").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leaver_holds_ends_though_the_service_was_off_when_they_left() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        world.stop().await;
        world.sandbox.expel("ada");
        world.sandbox.settle().await;
        world.start().await;
        world.resync().await;
        ended_because_ada_left(world);
    })
    .await;
}
