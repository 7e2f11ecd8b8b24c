//! The service as people run it, killed at any moment again and again while they ask, approve, give back and let their access expire: at the
//! end nothing is lost, nothing happened twice, and nothing is stuck.
//!
//! It is killed before it listens, at random moments, and in the middle of calls at the target, whose effect comes before its death or
//! after; and started again at once. The kills of a run follow from a seed, which a failure names: `HALLPASS_SEED=7 cargo test --test it kills`
//! kills alike, though not at the same instruction.

pub mod people;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hallpass::store::{Scope, Store};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::badges::{Badges, When};
use crate::postgres::server::Server;
use crate::running::{PATIENCE, Running};
use people::{PEOPLE, Stage};

/// How often each of the two services is killed, and in a run that may take long (`tests/run --long`).
const KILLS: [u64; 2] = [50, 500];

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

/// What everything random follows from: said by who wants to play a run again.
pub fn seed() -> u64 {
    let told = std::env::var_os("HALLPASS_SEED");
    let told = told.and_then(|seed| seed.to_str()?.parse().ok());
    told.unwrap_or_else(rand::random)
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
    let seed = seed();
    let mut lives = Lives {
        stage: Stage::open(world, badges),
        folder,
        database,
        seed,
        dice: StdRng::seed_from_u64(seed),
        logs: Vec::new(),
    };
    let people = lives.stage.begin(&mut lives.dice);
    for _ in 0..KILLS[usize::from(crate::is_long())] {
        lives.one().await;
    }
    let last = lives.begun().await;
    let asked = lives.stage.ended(people).await;
    let file = lives.folder.join("data/hallpass.db");
    let url = format!("sqlite://{}", file.display());
    let url = lives.database.as_ref().unwrap_or(&url);
    until_all_is_over(url).await;
    let (code, log) = last.end();
    assert_eq!(code, Some(0), "{log}");
    assert_healthy(&log);
    assert_all_is_over(url).await;
    let given = lives.stage.assert_told(&asked, 0);
    let count = lives.logs.len();
    println!("{given} of {} given in {count} lives", asked.len());
    assert!(given >= PEOPLE.len(), "{given} given in {count} lives");
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
        let mut running = match moment {
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
        // What it asked for happens without it, and before the next one asks for it again. How later calls are set right is asked elsewhere
        // (`replicas::late`): there it happens more often than once.
        drop(caught);
    }
}

/// Waits until the database holds nothing that waits for anything, while a service works on it.
pub async fn until_all_is_over(url: &str) {
    let begun = Instant::now();
    loop {
        let left = left(&Store::read(url).await.unwrap()).await;
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "still waits: {left:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The same, when nothing works on it any more.
pub async fn assert_all_is_over(url: &str) {
    assert_eq!(
        left(&Store::open(url).await.unwrap()).await,
        Vec::<String>::new()
    );
}

/// What waits for something.
async fn left(store: &Store) -> Vec<String> {
    let mut left = Vec::new();
    for scope in [Scope::Unfinished, Scope::Untidied] {
        let entries = store.entries(scope).await.unwrap();
        left.extend(entries.iter().map(|entry| format!("{entry:?}")));
    }
    let unpublished = store.unpublished(1).await.unwrap();
    left.extend(unpublished.iter().map(|event| format!("{event:?}")));
    store.close().await;
    left
}
