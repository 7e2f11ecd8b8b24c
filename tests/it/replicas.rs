//! Several servers on one PostgreSQL database, as the manifests run them.

mod divided;
mod late;
mod three;

use std::path::Path;
use std::process::Command;

use hallpass::sandbox::Change;
use sqlx::{Connection as _, Executor as _};

use crate::audit::Desk;
use crate::postgres::server::Server;
use crate::running::{Running, ask_and_get, give_back, open, until, world};
use crate::world::{REPO, World, file};

/// Both look by themselves, often: webhooks go to neither.
const PACE: &str = "[timing]\nresync = '500ms'\nrevert_window = '1s'\n";

/// One of the servers: the same configuration and key, and a folder of its own.
fn replica(world: &World, data: &Path, database: &str) -> Command {
    let mut command = world.replica(data);
    command.env("HALLPASS_STORE_URL", database);
    command
}

/// What the evidence must tell of one grant that was given back, whoever of them did what.
fn assert_told_once(world: &World, whose: &str) {
    for kind in ["requested", "approved", "granted", "revoked"] {
        let told = world.told(kind);
        let about = told.iter().filter(|line| line.contains(whose)).count();
        assert!(about <= 1, "{kind}: {told:?}");
        if kind == "granted" || kind == "revoked" {
            assert_eq!(about, 1, "{kind}: {told:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_database_give_and_take_once_and_one_goes_on_alone() {
    let database = Server::shared().database("replicas").await;
    let world = world(PACE).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let start = |n: usize| Running::start(replica(&world, folders[n].path(), &database));
    let (one, other) = (start(0), start(1));

    ask_and_get(&world, "ada").await;
    give_back(&world, "ada").await;
    until("both are told", || !world.told("revoked").is_empty()).await;
    assert_told_once(&world, "ada");

    // One is killed between the grant and its end: the other ends it.
    ask_and_get(&world, "mei").await;
    drop(one);
    give_back(&world, "mei").await;
    until("the end is told", || world.told("revoked").len() == 2).await;
    assert_told_once(&world, "mei");

    // It comes back, and both stop in order.
    let one = start(0);
    let pull = open(
        &world,
        "linus",
        "wrong",
        Change::write(file("crew/linus"), "person: linus\n"),
    );
    let head = world.sandbox.pull(REPO, pull).head_sha;
    until("a request is judged", || {
        !world.sandbox.checks(REPO, &head).is_empty()
    })
    .await;
    for server in [one, other] {
        let (code, log) = server.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("SAFE MODE"), "{log}");
    }
    let (code, said) = Desk::of(&world).verify(&[]);
    assert_eq!(code, 0, "{said}");
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_works_on_while_a_newer_one_changes_the_schema_and_does_not_start_after() {
    let database = Server::shared().database("replicas_newer").await;
    let world = world(PACE).await;
    let folder = tempfile::tempdir().unwrap();
    let older = Running::start(replica(&world, folder.path(), &database));
    ask_and_get(&world, "ada").await;
    let mut newer = sqlx::PgConnection::connect(&database).await.unwrap();
    for change in [
        "ALTER TABLE ledger ADD COLUMN later TEXT",
        "ALTER TABLE outbox ADD COLUMN later TEXT",
        "ALTER TABLE wake ADD COLUMN later TEXT",
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, '', 0)",
    ] {
        newer.execute(change).await.unwrap();
    }
    give_back(&world, "ada").await;
    let (code, log) = older.end();
    assert_eq!(code, Some(0), "{log}");
    assert_told_once(&world, "ada");

    let refused = replica(&world, folder.path(), &database).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    let why = "it was written by a newer version of Hallpass (its schema has migration 9999); run that version";
    assert!(said.contains(why), "{said}");
}
