//! Safe mode: when it begins, what it stops, what it does not stop, and when it is over.

use chrono::TimeDelta;
use hallpass::app::service::Telling;
use hallpass::sandbox::{Change, MergeMethod};

use tokio_util::sync::CancellationToken;

use crate::world::{Ears, REPO, World, grant, main_tip};

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

/// Ada has `db/readonly` for two hours.
async fn with_ada() -> World {
    let world = World::new(Ears::Deaf, "").await;
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_installation_and_an_ordinary_life_know_no_safe_mode() {
    let world = with_ada().await;
    world.advance(hours(3)).await;
    assert!(world.holders("reader").is_empty());
    assert!(world.told("safe-mode").is_empty());
    assert_eq!(
        world
            .service()
            .worker()
            .reconciler()
            .safe_mode()
            .await
            .unwrap(),
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_beside_evidence_gives_nothing_and_removes_nothing() {
    let mut world = with_ada().await;
    world.lose_database().await;
    world.start().await;
    world.resync().await;
    assert_eq!(world.holders("reader"), ["ada"], "nothing is inferred");
    let known = ["db/ada-incident active"];
    assert_eq!(world.ledger().await, known, "only what ends it is known");
    let told = world.told("safe-mode");
    assert_eq!(told, ["Safe mode: nothing is granted (evidence-ahead)"]);

    let text = grant("linus", "readonly", "1h");
    let pull = world.request("linus", "db/linus-incident", &text).await;
    let check = world.check(pull);
    assert_eq!(check.conclusion, None);
    assert_eq!(
        check.title,
        "Paused: Hallpass is in safe mode, nothing is granted"
    );
    assert!(check.summary.contains("whoever approves or merges"));
    world.approve(pull, "grace").await;
    assert!(!world.is_merged(pull), "nothing is merged");
    world.merge_as_admin(pull, MergeMethod::Merge).await;
    world.resync().await;
    assert_eq!(world.holders("reader"), ["ada"], "nothing is granted");

    // Found afresh at every start, told once.
    world.start().await;
    world.resync().await;
    assert_eq!(world.told("safe-mode").len(), 1);
    assert_eq!(world.holders("reader"), ["ada"]);
    world.advance(hours(2)).await;
    world.resync().await;
    assert!(
        world.holders("reader").is_empty(),
        "what is due ends, whether or not anybody recovers"
    );
    assert_eq!(world.told("revoked").len(), 1);
    assert!(world.open_pulls().is_empty(), "nothing is tidied");
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_gives_nothing_and_still_ends_what_is_due() {
    let mut world = with_ada().await;
    let backup = world.back_up().await;
    let text = grant("linus", "readonly", "1h");
    let pull = world.request("linus", "db/linus-incident", &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada", "linus"]);

    world.put_back(backup.path()).await;
    world.start().await;
    world.resync().await;
    assert_eq!(world.holders("reader"), ["ada", "linus"]);
    let known = ["db/ada-incident active", "db/linus-incident active"];
    assert_eq!(world.ledger().await, known);
    assert_eq!(
        world.told("safe-mode"),
        ["Safe mode: nothing is granted (evidence-ahead)"]
    );
    world.advance(hours(1)).await;
    assert_eq!(world.holders("reader"), ["ada"], "what it does not know");
    world.advance(hours(1)).await;
    assert!(world.holders("reader").is_empty(), "and what it knows");
    // What safe mode itself writes down does not make it look as if the database knew the rest.
    world.start().await;
    world.resync().await;
    assert!(
        world
            .service()
            .worker()
            .reconciler()
            .safe_mode()
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_before_this_was_noted_is_no_reason_for_safe_mode() {
    let mut world = with_ada().await;
    let store = world.service().store().clone();
    store.note_with("evidence-seen", None, &[]).await.unwrap();
    world.start().await;
    world.resync().await;
    assert!(world.told("safe-mode").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_no_key_of_ours_signed_is_a_reason_as_long_as_the_database_is_empty() {
    let mut world = with_ada().await;
    world.lose_everything().await;
    world.start().await;
    world.resync().await;
    assert_eq!(world.holders("reader"), ["ada"]);
    assert_eq!(
        world.told("safe-mode"),
        ["Safe mode: nothing is granted (evidence-foreign)"]
    );
    // Its own words are signed by the new key, and change nothing about that.
    world.start().await;
    world.resync().await;
    assert_eq!(world.told("safe-mode").len(), 1);
    assert!(world.entries().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_main_is_told_and_so_is_the_way_back() {
    let world = World::new(Ears::Deaf, "").await;
    let first = main_tip(&world);
    let text = grant("ada", "readonly", "8h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    let seen = main_tip(&world);
    let rewrite = |onto: String, text: &'static str| {
        let change = [Change::write("README.md", text)];
        world
            .sandbox
            .force_push("root", REPO, "main", &onto, &change, text)
            .unwrap()
    };
    let text = grant("linus", "readonly", "1h");
    let second = world.request("linus", "db/linus-incident", &text).await;
    rewrite(first.to_string(), "other");
    world.resync().await;
    assert_eq!(world.holders("reader"), ["ada"]);
    assert_eq!(
        world.told("safe-mode"),
        ["Safe mode: nothing is granted (main-rewritten)"]
    );
    world.approve(second, "grace").await;
    assert!(!world.is_merged(second));
    assert!(world.check(second).title.starts_with("Paused:"));

    rewrite(seen.to_string(), "restored");
    world.advance(TimeDelta::minutes(10)).await;
    assert_eq!(
        world.told("safe-mode"),
        [
            "Safe mode: nothing is granted (main-rewritten)",
            "Safe mode is over: what is proved is granted again (main-rewritten)",
        ]
    );
    world.advance(TimeDelta::minutes(10)).await;
    assert!(world.is_merged(second), "what waited goes on by itself");
    assert_eq!(world.holders("reader"), ["ada", "linus"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_backup_takes_for_the_last_grant_does_not_take_a_renewal_with_it() {
    let mut world = with_ada().await;
    let backup = world.back_up().await;
    world.advance(hours(1)).await;
    let longer = grant("ada", "readonly", "8h").replace("look wrong", "still look wrong");
    let pull = world.request("ada", "db/ada-incident", &longer).await;
    world.approve(pull, "grace").await;
    assert!(world.is_merged(pull), "{:?}", world.check(pull));
    world.put_back(backup.path()).await;
    world.start().await;
    world.resync().await;
    world.advance(hours(2)).await;
    assert_eq!(world.holders("reader"), ["ada"], "the other grant holds it");
    world.advance(hours(8)).await;
    assert!(world.holders("reader").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_and_an_orderly_end_are_told_and_a_scheduled_job_tells_its_start_once() {
    let mut world = World::new(Ears::Deaf, "").await;
    world.stop().await;
    let service = world.assemble().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(service.run(listener, None, stop.clone()));
    stop.cancel();
    running.await.unwrap().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        world.told("started"),
        [format!("Started: Hallpass {version}")]
    );
    assert_eq!(
        world.told("stopped"),
        [format!("Stopped: Hallpass {version}")]
    );
    world.start().await;
    for _ in 0..2 {
        let told = world.service().tell_start(Telling::WhenChanged);
        told.await.unwrap();
    }
    world.resync().await;
    assert_eq!(world.told("started").len(), 1, "nothing changed since");
    assert!(world.told("safe-mode").is_empty());
}
