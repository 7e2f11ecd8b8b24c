//! Three servers on one database, of which one stands still, is cut off, is killed, or loses its connections, again and again: together they
//! do what one would.
//!
//! As the [kills](crate::kills), what happens follows from a seed.

use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use tokio::time::sleep;

use crate::badges::Badges;
use crate::kills::people::{PEOPLE, Stage};
use crate::kills::{PACE, assert_all_is_over, assert_healthy, seed, until_all_is_over};
use crate::postgres::server::Server;
use crate::running::Running;
use crate::wire::{Way, Wire};

const DATABASE: &str = "replicas_three";

/// How often one of them gets into trouble, and in a run that may take long (`tests/run --long`).
const ROUNDS: [u32; 2] = [12, 200];

/// One server, and its wire to the database.
struct Replica {
    running: Running,
    wire: Wire,
    folder: tempfile::TempDir,
    database: String,
}

impl Replica {
    /// One that begins to start.
    async fn begin(stage: &Stage, database: &str) -> Self {
        let server = Server::shared().address();
        let wire = Wire::to(server).await;
        let database = database.replace(&server.to_string(), &wire.address().to_string());
        let folder = tempfile::tempdir().unwrap();
        Self {
            running: start(stage, folder.path(), &database),
            wire,
            folder,
            database,
        }
    }

    fn again(&self, stage: &Stage) -> Running {
        start(stage, self.folder.path(), &self.database)
    }
}

fn start(stage: &Stage, folder: &Path, database: &str) -> Running {
    let mut command = stage.world.replica(folder);
    command.env("HALLPASS_STORE_URL", database);
    Running::begin(command)
}

/// Says the seed where the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("HALLPASS_SEED={}", self.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_of_which_one_is_always_in_trouble_do_what_one_would() {
    let seed = Seed(seed());
    let mut dice = StdRng::seed_from_u64(seed.0);
    let database = Server::shared().database(DATABASE).await;
    let badges = Badges::open().await;
    let world = crate::running::world(&format!("{PACE}{}", badges.connection())).await;
    let stage = Stage::open(world, badges);
    // All at once, on a database that none of them has seen.
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Replica::begin(&stage, &database).await);
    }
    for server in &mut servers {
        server.running.listens();
    }
    let people = stage.begin(&mut dice);
    let mut logs = Vec::new();
    for round in 0..ROUNDS[usize::from(crate::is_long())] {
        let hears = &servers[dice.random_range(0..3_usize)];
        stage.world.deliver_to(&hears.running.address);
        let n = dice.random_range(0..3_usize);
        let long = Duration::from_millis(dice.random_range(100..3000));
        let in_trouble = &mut servers[n];
        match round % 4 {
            0 => {
                in_trouble.running.signal(Signal::STOP);
                sleep(long).await;
                in_trouble.running.signal(Signal::CONT);
            }
            1 => {
                let way = [Way::There, Way::Back][dice.random_range(0..2_usize)];
                in_trouble.wire.lose(way);
                sleep(long).await;
                in_trouble.wire.heal();
            }
            2 => {
                let ends = format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{DATABASE}'"
                );
                Server::shared().run(ends).await;
            }
            _ => {
                logs.push(in_trouble.running.kill());
                in_trouble.running = in_trouble.again(&stage);
                in_trouble.running.listens();
            }
        }
        sleep(Duration::from_millis(dice.random_range(0..800))).await;
    }
    let asked = stage.ended(people).await;
    until_all_is_over(&database).await;
    for server in servers {
        let (code, log) = server.running.end();
        assert_eq!(code, Some(0), "{log}");
        logs.push(log);
    }
    logs.iter().for_each(|log| assert_healthy(log));
    assert_all_is_over(&database).await;
    // What one of them did after the others had gone on, and set right itself.
    let late = logs.iter().map(|log| log.matches(" came late, ").count());
    let given = stage.assert_told(&asked, late.sum());
    println!("{given} of {} given", asked.len());
    assert!(given >= PEOPLE.len(), "{given} given");
}
