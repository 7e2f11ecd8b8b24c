//! Service accounts: somebody answers for them, or they lose what they hold.

use chrono::TimeDelta;
use hallpass::sandbox::Change;

use super::{hearing_and_deaf, hours, minutes};
use crate::world::{DB, REPO, World, file, grant, person_file};

const BOT: &str =
    "description: Exports the orders every night\nowner: mei\nidentities:\n  vault: exporter\n";

fn wish(duration: &str) -> String {
    grant("exporter", "readonly", duration).replace("person:", "service:")
}

async fn with_service(world: &World) {
    let long = DB.replace("max_duration: 8h", "max_duration: 60d");
    world
        .decree(&[
            Change::write("access/resources/db.yaml", long),
            Change::write("access/services/exporter.yaml", BOT),
        ])
        .await;
    let pull = world.request("ada", "db/export", &wish("60d")).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["exporter"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_owner_is_gone_is_reported_and_ends_after_its_grace() {
    hearing_and_deaf(async |world| {
        with_service(world).await;
        world.decree(&[Change::delete(person_file("mei"))]).await;
        let orphaned = world.told("orphaned");
        assert_eq!(
            orphaned,
            ["Orphaned: nobody is accountable for service exporter on db/readonly"]
        );
        // It gets nothing new.
        let pull = world.request("ada", "db/more", &wish("1d")).await;
        assert_eq!(world.conclusion(pull), "failure");
        world.sandbox.close_pull("ada", REPO, pull).unwrap();
        world.advance(TimeDelta::days(7) - minutes(1)).await;
        world.resync().await;
        assert_eq!(world.holders("reader"), ["exporter"]);
        world.advance(minutes(1)).await;
        world.resync().await;
        assert!(world.holders("reader").is_empty());
        assert_eq!(world.told("orphaned").len(), 1);
        assert!(world.told("revoked")[0].contains("owner-gone"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_keeps_what_the_service_holds() {
    hearing_and_deaf(async |world| {
        with_service(world).await;
        world.sandbox.expel("mei");
        world.settle().await;
        world.advance(minutes(10)).await;
        assert_eq!(world.told("orphaned").len(), 1);
        world.advance(TimeDelta::days(5)).await;
        let owned = BOT.replace("mei", "linus");
        world
            .decree(&[Change::write("access/services/exporter.yaml", owned)])
            .await;
        assert_eq!(world.told("adopted").len(), 1);
        world.advance(TimeDelta::days(5)).await;
        world.resync().await;
        assert_eq!(world.holders("reader"), ["exporter"]);
        // The grace begins anew.
        world
            .decree(&[Change::delete("access/services/exporter.yaml")])
            .await;
        world.advance(TimeDelta::days(6)).await;
        world.resync().await;
        assert_eq!(world.holders("reader"), ["exporter"]);
        world.advance(TimeDelta::days(1)).await;
        world.resync().await;
        assert!(world.holders("reader").is_empty());
        assert_eq!(world.told("orphaned").len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_owner_is_no_member_gets_nothing() {
    hearing_and_deaf(async |world| {
        let id = world.sandbox.user("contractor");
        world
            .decree(&[
                Change::write(
                    person_file("contractor"),
                    crate::world::person("contractor", id),
                ),
                Change::write(
                    "access/services/exporter.yaml",
                    BOT.replace("mei", "contractor"),
                ),
            ])
            .await;
        let pull = world.request("ada", "db/export", &wish("2h")).await;
        let check = world.check(pull);
        assert_eq!(check.annotations[0]["title"], "not-a-member");
        assert!(
            check.annotations[0]["message"]
                .to_string()
                .contains("owner of service exporter")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_service_can_give_its_access_back_but_never_approve_it() {
    hearing_and_deaf(async |world| {
        world
            .decree(&[Change::write(
                "access/services/exporter.yaml",
                BOT.replace("mei", "linus"),
            )])
            .await;
        let pull = world.request("ada", "db/export", &wish("8h")).await;
        world.approve(pull, "linus").await;
        assert!(!world.is_merged(pull), "the owner of the service");
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["exporter"]);
        world.advance(hours(1)).await;
        // linus owns the path as well, so let it be somebody who only answers for the service.
        world
            .decree(&[Change::write("access/services/exporter.yaml", BOT)])
            .await;
        let back = world
            .propose("mei", &[Change::delete(file("db/export"))])
            .await;
        assert!(world.is_merged(back), "{:?}", world.check(back));
        assert!(world.holders("reader").is_empty());
        assert!(world.told("revoked")[0].contains("withdrawn"));
    })
    .await;
}
