//! The whole service at a change of the files that decide.

use hallpass::sandbox::Change;

use crate::scenario::hearing_and_deaf;
use crate::world::grant;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_approves_that_a_person_leaves_sees_what_ends_with_them() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);

        let leaves = world
            .propose("mei", &[Change::delete("access/people/ada.yaml")])
            .await;
        let shown = world.check(leaves).summary;
        assert!(
            shown.contains("1 live grant ends when this is merged"),
            "{shown}"
        );
        assert!(
            shown.contains("db/ada-incident: ada, db/readonly"),
            "{shown}"
        );

        // What is over by itself does not end with the merge, whether its file still stands or not.
        world.advance(chrono::TimeDelta::hours(2)).await;
        world.resync().await;
        assert!(world.holders("reader").is_empty());
        let shown = world.check(leaves).summary;
        assert!(shown.contains("No live grant is touched"), "{shown}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_says_how_long_a_grant_with_a_fixed_end_lasts() {
    hearing_and_deaf(async |world| {
        let text =
            grant("ada", "readonly", "2h").replace("duration: 2h", "expires: 2026-11-23T15:00:00Z");
        let pull = world.request("ada", "db/ada-incident", &text).await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);

        let db = world
            .sandbox
            .file(crate::world::REPO, "main", "access/resources/db.yaml")
            .unwrap();
        let db = String::from_utf8(db)
            .unwrap()
            .replace("max_duration: 8h", "max_duration: 5h");
        let lower = world
            .propose("mei", &[Change::write("access/resources/db.yaml", &db)])
            .await;
        let shown = world.check(lower).summary;
        assert!(shown.contains("could not be asked for again"), "{shown}");
        assert!(shown.contains("2026-11-23T15:00:00Z"), "{shown}");
        assert_eq!(
            world.holders("reader"),
            ["ada"],
            "nothing is denied or ended by it"
        );
    })
    .await;
}
