//! Lives of requests by the thousand, in worlds that a seed makes: people who ask, approve, cheat and leave, a forge and targets that
//! fail, a service that dies and starts again. After each step an independent reference says what must not be so.
//!
//! What is real: the rules, the loop, the worker, the database, git with its evidence. What is simulated: the forge, the targets, the time.
//! A failure names its seed, and how to play that world again.
//!
//! HALLPASS_SEED    the world to play, or the first of many [default: 1]
//! HALLPASS_LIVES   how many requests have to live before no further world begins
//! HALLPASS_WITHIN  the seconds after which no further world begins

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

mod actors;
mod cheats;
mod faults;
mod hub;
mod model;
mod target;
mod world;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use world::World;

/// How many steps a world has.
const STEPS: u64 = 40;
/// After how many of them everybody rests.
const REST: u64 = 20;

/// How many steps a world has that is only compared with itself.
const SHORT: u64 = 6;

/// How many requests live where nobody says how many: enough to see that they do.
const FEW: usize = 100;

/// Plays a world of so many steps to its end. How many requests lived in it, and its trace.
async fn lives(seed: u64, steps: u64) -> (usize, String) {
    // Whatever panics from here on is heard of.
    drop(panicked());
    let mut world = World::of(seed).await;
    for step in 1..=steps {
        world.goes_on().await;
        if step % REST == 0 {
            world.rests().await;
        }
    }
    world.ends().await;
    (world.lives, world.trace())
}

/// How to play a world again.
fn again(seed: u64) -> String {
    format!(
        "to play it again: HALLPASS_SEED={seed} cargo test --locked --test simulation one_world -- --nocapture"
    )
}

static PANICKED: Mutex<Option<String>> = Mutex::new(None);

/// What the first panic said: the service survives its own, which must not hide them.
fn panicked() -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let first = PANICKED.lock().map(|mut first| {
                first.get_or_insert_with(|| panic.to_string());
            });
            drop(first);
            usual(panic);
        }));
    });
    PANICKED.lock().unwrap().clone()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment what to play"
)]
fn told(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?}")))
}

fn seed() -> u64 {
    told("HALLPASS_SEED").unwrap_or(1)
}

#[tokio::test]
async fn one_world_is_as_it_should_be() {
    let begun = Instant::now();
    let (requests, trace) = lives(seed(), STEPS).await;
    println!("{requests} requests in {:?}, {trace}", begun.elapsed());
}

#[tokio::test]
async fn the_same_seed_is_the_same_world() {
    let seed = seed();
    let played = lives(seed, SHORT).await;
    assert_eq!(played, lives(seed, SHORT).await, "seed {seed}");
}

/// Plays worlds, as many at once as there are processors, until enough requests lived.
#[test]
fn many_worlds_are_as_they_should_be() {
    let enough = told("HALLPASS_LIVES").map(|lives| usize::try_from(lives).unwrap());
    let within = told("HALLPASS_WITHIN").map(Duration::from_secs);
    let enough = enough.unwrap_or(if within.is_some() { usize::MAX } else { FEW });
    let begun = Instant::now();
    let (next, requests) = (AtomicU64::new(seed()), AtomicUsize::new(0));
    let failed = AtomicBool::new(false);
    let play = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        while requests.load(Ordering::SeqCst) < enough
            && within.is_none_or(|within| begun.elapsed() < within)
            && !failed.load(Ordering::SeqCst)
        {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            let played = std::panic::AssertUnwindSafe(|| runtime.block_on(lives(seed, STEPS)));
            match std::panic::catch_unwind(played) {
                Ok((lived, _)) => drop(requests.fetch_add(lived, Ordering::SeqCst)),
                Err(panic) => {
                    failed.store(true, Ordering::SeqCst);
                    eprintln!("seed {seed} failed; {}", again(seed));
                    std::panic::resume_unwind(panic);
                }
            }
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..processors).map(|_| scope.spawn(play)).collect();
        for player in players {
            if let Err(panic) = player.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let (requests, worlds) = (requests.into_inner(), next.into_inner() - seed());
    println!(
        "{requests} requests lived in {worlds} worlds, in {:.0?}",
        begun.elapsed()
    );
    assert!(requests > 0);
}
