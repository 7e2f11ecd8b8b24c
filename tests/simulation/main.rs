//! Lives of requests by the thousand, in worlds that a seed makes: people who ask, approve, cheat and leave, a forge and targets that
//! fail, a service that dies and starts again. After each step an independent reference says what must not be so.
//!
//! What is real: the rules, the loop, the worker, the database, git with its evidence. What is simulated: the forge, the targets, the time.
//! A failure names its seed, and how to play that world again.
//!
//! HALLPASS_SEED    the world to play, or the first of many [default: 1]
//! HALLPASS_LIVES   how many grants have to live before no further world begins [default: 500]

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
use std::time::Instant;

use world::World;

/// How many steps a world has.
const STEPS: u64 = 20;
/// After how many of them everybody rests.
const REST: u64 = 10;

/// How many steps a world has that is only compared with itself.
const SHORT: u64 = 6;

/// How many grants live where nobody says how many: enough to see that they do.
const FEW: usize = 500;

/// Plays a world of so many steps to its end, and adds to `lived` how many grants live in it as soon as they do. In how many requests
/// they were asked for, and the trace of the world.
async fn lives(seed: u64, steps: u64, lived: &AtomicUsize) -> (usize, String) {
    // Whatever panics from here on is heard of.
    drop(panicked());
    let mut world = World::of(seed).await;
    for step in 1..=steps {
        let before = world.lives;
        world.goes_on().await;
        lived.fetch_add(world.lives - before, Ordering::SeqCst);
        if step % REST == 0 {
            world.rests().await;
        }
    }
    world.ends().await;
    (world.requests, world.trace())
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
    let (begun, lived) = (Instant::now(), AtomicUsize::new(0));
    let (requests, trace) = lives(seed(), STEPS, &lived).await;
    let lived = lived.into_inner();
    println!(
        "{lived} lives in {requests} requests in {:?}, {trace}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn the_same_seed_is_the_same_world() {
    let (seed, lived) = (seed(), AtomicUsize::new(0));
    let played = lives(seed, SHORT, &lived).await;
    assert_eq!(played, lives(seed, SHORT, &lived).await, "seed {seed}");
}

/// Plays worlds, some at once, until enough grants lived.
#[test]
fn many_worlds_are_as_they_should_be() {
    let enough = told("HALLPASS_LIVES").map(|lives| usize::try_from(lives).unwrap());
    let enough = enough.unwrap_or(FEW);
    let begun = Instant::now();
    let next = AtomicU64::new(seed());
    let (lived, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed = AtomicBool::new(false);
    let play = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        while lived.load(Ordering::SeqCst) < enough && !failed.load(Ordering::SeqCst) {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            let world = || runtime.block_on(lives(seed, STEPS, &lived));
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(world)) {
                Ok((requests, _)) => drop(asked.fetch_add(requests, Ordering::SeqCst)),
                Err(panic) => {
                    failed.store(true, Ordering::SeqCst);
                    eprintln!("seed {seed} failed; {}", again(seed));
                    std::panic::resume_unwind(panic);
                }
            }
        }
    };
    // One more than there are processors: each waits for its files and its database now and then.
    let players = 1 + std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..players).map(|_| scope.spawn(play)).collect();
        for player in players {
            if let Err(panic) = player.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let (lived, worlds) = (lived.into_inner(), next.into_inner() - seed());
    println!(
        "{lived} grants lived, of {} requests, in {worlds} worlds, in {:.0?}",
        asked.into_inner(),
        begun.elapsed()
    );
    assert!(lived > 0);
}
