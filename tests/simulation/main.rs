//! Lives of requests by the thousand, in worlds that a seed makes: people who ask, approve, cheat and leave, a forge and targets that
//! fail, a service that dies and starts again. After each step an independent reference says what must not be so.
//!
//! What is real: the rules, the loop, the worker, the database, git with its evidence. What is simulated: the forge, the targets, the time.
//! A failure names its seed: `HALLPASS_SEED=7 cargo test --test simulation one_world -- --nocapture` plays that world again.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

mod actors;
mod faults;
mod hub;
mod model;
mod target;
mod world;

use world::World;

/// How many steps a world has.
const STEPS: u64 = 45;

/// Plays one world to its end. How many requests lived in it, and its trace.
async fn lives(seed: u64) -> (usize, String) {
    let mut world = World::of(seed).await;
    for step in 1..=STEPS {
        world.goes_on().await;
        if step % 15 == 0 {
            world.rests().await;
        }
    }
    world.ends().await;
    (world.hub.pulls().len(), world.trace())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment which world to play"
)]
fn seed() -> Option<u64> {
    std::env::var("HALLPASS_SEED").ok()?.parse().ok()
}

#[tokio::test]
async fn one_world_is_as_it_should_be() {
    let begun = std::time::Instant::now();
    let (requests, trace) = lives(seed().unwrap_or(1)).await;
    println!("{requests} requests in {:?}, {trace}", begun.elapsed());
}

#[tokio::test]
async fn the_same_seed_is_the_same_world() {
    let seed = seed().unwrap_or(2);
    assert_eq!(lives(seed).await, lives(seed).await);
}
