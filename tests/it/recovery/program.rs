//! `hallpass recover`, as an operator runs it.

use chrono::TimeDelta;

use crate::world::{Ears, World, grant};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_would_be_written_and_then_writes_it() {
    let mut world = World::new(Ears::Deaf, "").await;
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;

    let (code, said, error) = world.program(&["recover"]).await;
    assert_eq!(code, 0, "{error}");
    assert!(
        said.ends_with("Nothing to recover, nothing was written.\n"),
        "{said}"
    );

    world.lose_database().await;
    let (code, said, error) = world.program(&["recover"]).await;
    assert_eq!(code, 0, "{error}");
    assert!(
        said.starts_with("Safe mode: the evidence is ahead of the database: "),
        "{said}"
    );
    assert!(
        said.contains("\nHeld, until its end (1)\n  db/ada-incident@"),
        "{said}"
    );
    assert!(
        said.contains("  ada on db/readonly until 2026-11-23T11:00:00Z\n"),
        "{said}"
    );
    assert!(
        said.ends_with("Nothing was written. The same command with --write writes it.\n"),
        "{said}"
    );
    let (code, said, _) = world.program(&["recover", "--json"]).await;
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &answer["written"]), (0, &"not-asked".into()));
    assert_eq!(answer["grants"][0]["state"], "active");

    let (code, said, error) = world.program(&["recover", "--write"]).await;
    assert_eq!(code, 0, "{error}");
    assert!(said.ends_with("Written. Start the service.\n"), "{said}");
    world.start().await;
    world.resync().await;
    assert_eq!(world.ledger().await, ["db/ada-incident active"]);
    world.advance(TimeDelta::hours(2)).await;
    assert!(world.holders("reader").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_runs_is_in_the_way() {
    let mut world = World::new(Ears::Deaf, "").await;
    let lock = world.hold_database().await;
    let (code, _, error) = world.program(&["recover", "--write"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("is in use by another process"), "{error}");
    drop(lock);
}
