//! The service as people run it, killed at any moment again and again while they ask, approve, give back and let their access expire: at the
//! end nothing is lost, nothing happened twice, and nothing is stuck.
//!
//! It is killed before it listens, at random moments, and in the middle of calls at the target, whose effect comes before its death or
//! after; and started again at once. The kills of a run follow from a seed, which a failure names: `HALLPASS_SEED=7 cargo test --test it kills`
//! kills alike, though not at the same instruction. `HALLPASS_KILLS` says how often each service is killed.

pub mod people;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hallpass::store::{Scope, Store};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::badges::{Badges, When};
use crate::postgres::server::Server;
use crate::running::Running;
use people::Stage;

/// How often each service is killed where nothing else is said.
const KILLS: u64 = 50;

/// Everything happens soon: the time of the tests is the real time.
pub const PACE: &str =
    "[timing]\nresync = '2s'\nrevert_window = '1s'\nretry_cap = '1s'\ndrift = '5s'\n";

/// How many calls at the stand-in of GitHub a life makes at most: so it comes as far on any machine.
const CALLS: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_sqlite_that_is_killed_again_and_again_loses_nothing_and_does_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    killed(folder.path(), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_postgres_that_is_killed_again_and_again_loses_nothing_and_does_nothing_twice()
{
    let database = Server::shared().database("kills").await;
    let folder = tempfile::tempdir().unwrap();
    killed(folder.path(), Some(database)).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment how long it is, and what to play again"
)]
pub fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The lives of one service. A failure says how to play them again, and what the last ones logged.
struct Lives<'f> {
    stage: Arc<Stage>,
    folder: &'f Path,
    database: Option<String>,
    seed: u64,
    dice: StdRng,
    logs: Vec<String>,
}

impl Drop for Lives<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in self.logs.iter().rev().take(3).rev() {
                println!("{log}\n== killed");
            }
            println!("HALLPASS_SEED={}", self.seed);
        }
    }
}

async fn killed(folder: &Path, database: Option<String>) {
    let badges = Badges::open().await;
    let world = crate::running::world(&format!("{PACE}{}", badges.connection())).await;
    let seed = told("HALLPASS_SEED").unwrap_or_else(rand::random);
    let mut lives = Lives {
        stage: Stage::open(world, badges),
        folder,
        database,
        seed,
        dice: StdRng::seed_from_u64(seed),
        logs: Vec::new(),
    };
    let people = lives.stage.begin(&mut lives.dice);
    for _ in 0..told("HALLPASS_KILLS").unwrap_or(KILLS) {
        lives.one().await;
    }
    let last = lives.begun().await;
    let asked = lives.stage.ended(people).await;
    let (code, log) = last.end();
    assert_eq!(code, Some(0), "{log}");
    assert_healthy(&log);
    let file = lives.folder.join("data/hallpass.db");
    let url = format!("sqlite://{}", file.display());
    assert_all_is_over(lives.database.as_ref().unwrap_or(&url)).await;
    let given = lives.stage.assert_told(&asked);
    let count = lives.logs.len();
    println!("{given} of {} given in {count} lives", asked.len());
    assert!(given > count / 5, "{given} given in {count} lives");
}

/// Nothing was in doubt, and nothing ran into a bug.
pub fn assert_healthy(log: &str) {
    for word in [
        "panicked at",
        "SAFE MODE",
        "this version of Hallpass has a bug",
    ] {
        assert!(!log.contains(word), "{word}:\n{log}");
    }
}

impl Lives<'_> {
    fn command(&self) -> Command {
        let mut command = self.stage.world.replica(self.folder);
        if let Some(database) = &self.database {
            command.env("HALLPASS_STORE_URL", database);
        }
        command
    }

    /// A life that has begun: it listens, and hears.
    async fn begun(&self) -> Running {
        let mut running = Running::begin(self.command());
        let listens = tokio::task::spawn_blocking(move || {
            running.listens();
            running
        });
        let running = listens.await.unwrap();
        self.stage.world.deliver_to(&running.address);
        running
    }

    /// One life, to its violent end.
    async fn one(&mut self) {
        let moment = self.dice.random_range(0..10);
        let some = |most: u64, dice: &mut StdRng| Duration::from_millis(dice.random_range(0..most));
        let mut caught = None;
        let running = match moment {
            0 => {
                let running = Running::begin(self.command());
                tokio::time::sleep(some(150, &mut self.dice)).await;
                running
            }
            1..=6 => {
                let running = self.begun().await;
                let calls = self.dice.random_range(0..CALLS);
                self.stage.called(calls).await;
                tokio::time::sleep(some(20, &mut self.dice)).await;
                running
            }
            _ => {
                let when = [When::Before, When::After][self.dice.random_range(0..2_usize)];
                let running = self.begun().await;
                let catches = self.stage.badges.catch("", "", when);
                caught = tokio::select! {
                    caught = catches => caught.ok(),
                    () = self.stage.called(CALLS) => None,
                };
                running
            }
        };
        let log = running.kill();
        assert_healthy(&log);
        self.logs.push(log);
        if let Some(caught) = caught {
            // What it asked for happens without it, perhaps while the next one asks for it again.
            let late = some(200, &mut self.dice);
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                drop(caught);
            });
        }
    }
}

/// The database holds nothing that waits for anything.
pub async fn assert_all_is_over(url: &str) {
    let store = Store::open(url).await.unwrap();
    for scope in [Scope::Unfinished, Scope::Untidied] {
        assert_eq!(store.entries(scope).await.unwrap(), [], "{scope:?}");
    }
    assert_eq!(store.unpublished(1).await.unwrap(), []);
    store.close().await;
}
