//! Renewals: without a gap, and not for ever.

use hallpass::sandbox::{Change, MergeMethod, When};

use super::{hearing_and_deaf, hours, minutes};
use crate::world::{DB, REPO, World, file, grant};

const PULLS_OF: &str = "GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls";

/// The same access for so long, for a reason that was not given before.
fn renewed(duration: &str) -> String {
    let longer = format!("look wrong still, so {duration} more");
    grant("ada", "readonly", duration).replace("look wrong", &longer)
}

async fn granted(world: &World) {
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
    world.advance(hours(1)).await;
}

async fn renews(world: &World, duration: &str) {
    let pull = world
        .request("ada", "db/ada-incident", &renewed(duration))
        .await;
    world.approve(pull, "grace").await;
    assert!(world.is_merged(pull), "{:?}", world.check(pull));
}

#[tokio::test(flavor = "multi_thread")]
async fn access_is_renewed_without_a_gap_though_the_forge_lags() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        world
            .sandbox
            .fail_next(Some(PULLS_OF), 10_000, 502, When::Before);
        renews(world, "4h").await;
        assert_eq!(
            world.ledger().await,
            ["db/ada-incident active", "db/ada-incident arrived"]
        );
        world.advance(minutes(50)).await;
        assert_eq!(world.holders("reader"), ["ada"], "until its own end");
        world.sandbox.heal();
        world.advance(minutes(5)).await;
        assert_eq!(
            world.ledger().await,
            ["db/ada-incident active", "db/ada-incident ended"]
        );
        world.advance(hours(3)).await;
        assert_eq!(world.holders("reader"), ["ada"]);
        world.advance(hours(1)).await;
        assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);
        assert_eq!(world.told("renewed").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_cannot_reach_a_renamed_account_still_ends_its_access() {
    hearing_and_deaf(async |world| {
        world.vault.identify("ada", 7);
        granted(world).await;
        world.vault.rename_account("ada", "ada-lovelace");
        renews(world, "4h").await;
        assert_eq!(
            world.ledger().await,
            ["db/ada-incident ended", "db/ada-incident granting"]
        );
        assert_eq!(world.holders("reader"), ["ada-lovelace"]);
        world.advance(hours(5)).await;
        assert!(world.holders("reader").is_empty());
        assert_eq!(
            world.vault.effects(),
            ["+reader ada", "-reader ada-lovelace"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_gives_nothing_to_whoever_has_the_name_now() {
    let world = World::hearing().await;
    world.vault.identify("ada", 7);
    granted(&world).await;
    world.vault.rename_account("ada", "ada-lovelace");
    world.vault.identify("ada", 8);
    renews(&world, "4h").await;
    world.advance(hours(1)).await;
    assert_eq!(world.holders("reader"), ["ada-lovelace"]);
    world.advance(hours(4)).await;
    assert!(world.holders("reader").is_empty());
    assert_eq!(
        world.vault.effects(),
        ["+reader ada", "-reader ada-lovelace"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_lags_for_too_long_keeps_nothing_beyond_its_end() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        world
            .sandbox
            .fail_next(Some(PULLS_OF), 10_000, 502, When::Before);
        renews(world, "4h").await;
        world.advance(hours(1)).await;
        assert!(world.holders("reader").is_empty(), "its own term is over");
        world.sandbox.heal();
        world.advance(minutes(5)).await;
        assert_eq!(world.holders("reader"), ["ada"], "proved after all");
        world.advance(hours(4)).await;
        assert!(world.holders("reader").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_without_proof_ends_what_was_there() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        let pull = world
            .request("ada", "db/ada-incident", &renewed("4h"))
            .await;
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert_eq!(
            world.ledger().await,
            ["db/ada-incident denied", "db/ada-incident ended"]
        );
        assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);
        assert!(world.told("revoked")[0].contains("replaced"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_stay_within_the_total_that_the_role_allows() {
    hearing_and_deaf(async |world| {
        let limited = DB.replace(
            "    max_duration: 8h\n",
            "    max_duration: 8h\n    max_total: 10h\n",
        );
        assert_ne!(limited, DB);
        world
            .decree(&[Change::write("access/resources/db.yaml", limited)])
            .await;
        granted(world).await;
        let since = world.entries().await[0].terms.as_ref().unwrap().starts;
        renews(world, "8h").await;
        world.advance(hours(4)).await;
        // Held for five hours: five are left.
        let pull = world
            .request("ada", "db/ada-incident", &renewed("6h"))
            .await;
        let check = world.check(pull);
        assert_eq!(check.conclusion.as_deref(), Some("failure"));
        assert_eq!(check.annotations[0]["title"], "total-too-long");
        assert_eq!(check.annotations[0]["start_line"], 3);
        let said = check.annotations[0]["message"].to_string();
        assert!(said.contains("until 2026-11-23T19:00:00Z"), "{said}");
        world
            .push("ada", pull, "db/ada-incident", &renewed("5h"))
            .await;
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        let entries = world.entries().await;
        let live = entries.iter().find(|e| e.state.may_be_held()).unwrap();
        assert_eq!(live.terms.as_ref().unwrap().since(), since, "the chain");
        // What is decided when it is open is decided again when it is merged.
        let pull = world
            .request("ada", "db/ada-incident", &renewed("6h"))
            .await;
        world.approve(pull, "grace").await;
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert!(world.holders("reader").is_empty());
        let denied = world.told("merged-without-proof");
        assert_eq!(denied.len(), 1);
        // Once it is over, it may be asked for anew.
        world.advance(minutes(2)).await;
        assert!(
            world
                .sandbox
                .file(REPO, "main", &file("db/ada-incident"))
                .is_none()
        );
        let pull = world
            .request("ada", "db/ada-incident", &renewed("8h"))
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

/// What somebody whose total is used up tries: another file, another name for the same access, the same file by another name.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_file_goes_on_with_access_beyond_its_total() {
    hearing_and_deaf(async |world| {
        let limited = DB.replace(
            "    max_duration: 8h\n",
            "    max_duration: 8h\n    max_total: 10h\n",
        );
        let twin = "  reader:\n    description: SELECT, by another name\n    entitlement: { role: reader }\n    max_duration: 8h\n    max_total: 10h\n";
        world
            .decree(&[Change::write("access/resources/db.yaml", limited + twin)])
            .await;
        granted(world).await;
        let since = world.entries().await[0].terms.as_ref().unwrap().starts;
        renews(world, "8h").await;
        world.advance(hours(4)).await;

        let renamed = [
            Change::delete(file("db/ada-incident")),
            Change::write(file("db/ada-again"), grant("ada", "readonly", "8h")),
        ];
        let pull = world.propose("ada", &renamed).await;
        let check = world.check(pull);
        assert_eq!(check.annotations[0]["title"], "duplicate-grant", "{check:?}");
        world.sandbox.close_pull("ada", REPO, pull).unwrap();

        let pull = world
            .request("ada", "db/ada-twin", &grant("ada", "reader", "8h"))
            .await;
        let check = world.check(pull);
        assert_eq!(check.annotations[0]["title"], "total-too-long", "{check:?}");
        // Within the total it is theirs, and counts from the first grant on.
        world
            .push("ada", pull, "db/ada-twin", &grant("ada", "reader", "5h"))
            .await;
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        let entries = world.entries().await;
        let twin = entries.iter().find(|e| e.path.short() == "db/ada-twin");
        assert_eq!(twin.unwrap().terms.as_ref().unwrap().since(), since);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_would_begin_later_is_refused_and_ends_nothing() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        let later = renewed("4h") + "starts: 2026-11-23T11:00:00Z\n";
        let pull = world.request("ada", "db/ada-incident", &later).await;
        world.approve(pull, "grace").await;
        assert!(!world.is_merged(pull));
        let check = world.check(pull);
        assert_eq!(check.annotations[0]["title"], "renewal-starts-later");
        assert_eq!(check.annotations[0]["start_line"], 5);
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_begun_may_be_put_off() {
    hearing_and_deaf(async |world| {
        let at = |hour: u32| {
            let text = renewed(&format!("{}m", hour + 100));
            text + &format!("starts: 2026-11-23T{hour}:00:00Z\n")
        };
        for hour in [11, 12] {
            let pull = world.request("ada", "db/ada-incident", &at(hour)).await;
            world.approve(pull, "grace").await;
            assert!(world.is_merged(pull), "{:?}", world.check(pull));
        }
        world.advance(hours(2)).await;
        assert!(world.holders("reader").is_empty());
        world.advance(hours(1)).await;
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}
