//! Attacks that a repository writer, a requester, an administrator, a provider or a clock can try. Each was possible once; the
//! label (AC, F) is the one of the catalogue of threats.

use chrono::TimeDelta;
use hallpass::domain::model::GrantPath;
use hallpass::sandbox::{Change, Down, MergeMethod, Verdict};
use hallpass::worker::Resync;

use crate::vault::Fault;
use crate::world::{Ears, REPO, World, file, grant};

/// AC-20: a later approval on the merged pull request does not heal it, however late the service looks.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_given_after_the_merge_counts_for_nothing_even_if_the_service_looks_later() {
    let mut world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.stop().await;
    world.sandbox.deaf(true);
    world
        .sandbox
        .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
        .unwrap();
    world.clock.advance(TimeDelta::minutes(1));
    world
        .sandbox
        .review("grace", REPO, pull, Verdict::Approve, "Looks fine.")
        .unwrap();
    world.start().await;
    world
        .service()
        .worker()
        .run_once(Resync::Everything)
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(world.vault.calls(), 0, "{:?}", world.ledger().await);
    assert_eq!(world.told("merged-without-proof").len(), 1);
}

/// AC-28: an owner's name on a pull request is no leave for others to end everybody's access through it.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_pushes_to_an_owners_pull_request_cannot_end_anothers_access() {
    let world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);

    let pull = world
        .request("grace", "db/grace-own", &grant("grace", "readonly", "2h"))
        .await;
    let branch = world.sandbox.pull(REPO, pull).head;
    let sabotage = [
        Change::delete(file("db/grace-own")),
        Change::delete(file("db/ada-incident")),
    ];
    world
        .sandbox
        .push("mallory", REPO, &branch, &sabotage, "Tidy up")
        .unwrap();
    world.settle().await;
    assert!(!world.is_merged(pull), "{:?}", world.check(pull));
    assert_eq!(world.holders("reader"), ["ada"]);
    world.approve(pull, "linus").await;
    assert!(world.is_merged(pull), "another owner may agree");
    assert!(world.holders("reader").is_empty());
}

