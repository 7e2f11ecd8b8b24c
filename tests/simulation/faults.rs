//! What goes wrong, and when: it follows from the seed and from what is called, not from the order in which tasks happen to run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::TimeDelta;
use hallpass::clock::{Clock, ManualClock};
use hallpass::domain::model::Instant;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

/// How one call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Falls {
    /// As it should.
    Well,
    /// Nothing happens, and the caller is told so.
    Before,
    /// The effect happens, and the caller is told that it failed.
    After,
    /// The process dies before the call.
    DiesBefore,
    /// The process dies after it.
    DiesAfter,
}

/// How much goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Of a hundred calls, how many fail.
    pub failing: u32,
    /// Of a thousand calls, how many the process does not outlive.
    pub deadly: u32,
}

#[derive(Debug, Default)]
struct State {
    step: u64,
    weather: Weather,
    /// How often each call was made in this step.
    made: BTreeMap<String, u64>,
    /// When a call last failed, by who was called.
    failed: BTreeMap<&'static str, Instant>,
    died: bool,
    down: BTreeMap<&'static str, bool>,
}

/// How long after a failure a target may go without being asked again: the longest pause between two attempts.
pub const RETRIED: TimeDelta = TimeDelta::minutes(5);

/// What goes wrong.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    clock: Arc<ManualClock>,
    state: Mutex<State>,
    /// Rung when the process dies.
    death: Notify,
}

impl Faults {
    pub fn of(seed: u64, clock: &Arc<ManualClock>) -> Self {
        Self {
            seed,
            clock: Arc::clone(clock),
            state: Mutex::default(),
            death: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A new step begins, in such weather.
    pub fn begin(&self, step: u64, weather: Weather) {
        let mut state = self.state();
        state.step = step;
        state.weather = weather;
        state.made.clear();
        state.died = false;
    }

    /// Whether every call to `whom` fails.
    pub fn down(&self, whom: &'static str, down: bool) {
        self.state().down.insert(whom, down);
    }

    pub fn is_down(&self, whom: &'static str) -> bool {
        self.state().down.get(whom).copied().unwrap_or_default()
    }

    /// Whether the process died in this step, or a call to `whom` failed so lately that it need not have been tried again.
    pub fn excuse(&self, whom: &'static str) -> bool {
        let state = self.state();
        let failed = state.failed.get(whom);
        state.died || failed.is_some_and(|at| self.clock.now() <= *at + RETRIED)
    }

    /// How this call to `whom` goes. A dead process calls nobody: what it still tries does not happen.
    pub fn falls(&self, whom: &'static str, call: &str) -> Falls {
        let mut state = self.state();
        if state.died {
            return Falls::DiesBefore;
        }
        let key = format!("{whom} {call}");
        let made = state.made.entry(key.clone()).or_default();
        *made += 1;
        let made = *made;
        let text = format!("{} {} {key} {made}", self.seed, state.step);
        let mut dice = StdRng::from_seed(Sha256::digest(text).into());
        let first = dice.random_bool(0.5);
        let weather = state.weather;
        let down = state.down.get(whom).copied().unwrap_or_default();
        if dice.random_ratio(weather.deadly, 1000) {
            state.died = true;
            self.death.notify_one();
            return if first {
                Falls::DiesBefore
            } else {
                Falls::DiesAfter
            };
        }
        if down || dice.random_ratio(weather.failing, 100) {
            state.failed.insert(whom, self.clock.now());
            return if down || first {
                Falls::Before
            } else {
                Falls::After
            };
        }
        Falls::Well
    }

    /// Makes a call to `whom`: `effect` happens or does not, and the caller learns of it or does not.
    pub async fn call<T, E>(
        &self,
        whom: &'static str,
        call: &str,
        effect: impl FnOnce() -> Result<T, E>,
        failure: impl FnOnce() -> E,
    ) -> Result<T, E> {
        tokio::task::yield_now().await;
        match self.falls(whom, call) {
            Falls::Well => effect(),
            Falls::Before => Err(failure()),
            Falls::After => effect().and(Err(failure())),
            Falls::DiesBefore => std::future::pending().await,
            Falls::DiesAfter => {
                drop(effect());
                std::future::pending().await
            }
        }
    }

    /// Waits until the process dies.
    pub async fn death(&self) {
        loop {
            let rung = self.death.notified();
            if self.state().died {
                return;
            }
            rung.await;
        }
    }
}
