//! What was given, ended and held as time went by.

use serde::Serialize;

use super::super::super::model::Instant;
use super::held::{Class, Held};
use super::{Asked, Scale};

/// About how many steps a period is cut into at most.
const STEPS: i64 = 60;

/// One step of the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When it begins.
    pub from: Instant,
    /// When it ends, excluding.
    pub to: Instant,
    /// How many grants were given in it.
    pub given: u64,
    /// How many ended in it.
    pub ended: u64,
    /// How many of each [`Class`] were held at its end; `None` where that is still to come.
    pub held: Option<[u64; 3]>,
}

/// The period, step by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// The steps, without gaps.
    pub moments: Vec<Moment>,
}

impl Activity {
    pub(super) fn of(all: &[Held<'_>], asked: &Asked) -> Self {
        let scale = Scale::of(asked.from, asked.to, STEPS);
        let count = scale.begins.len();
        let (mut given, mut ended) = (vec![0_u64; count], vec![0_u64; count]);
        // What begins and ends to be held at the end of a step, by class.
        let mut change = vec![[0_i64; 3]; count];
        for held in all {
            let class = Class::ALL.iter().position(|c| *c == held.class);
            let class = class.unwrap_or_default();
            if let Some(at) = scale.place(held.from) {
                given[at] += u64::from(held.is_begun_within(asked));
                change[at][class] += 1;
            }
            if let Some(at) = scale.place(held.until).filter(|_| !held.goes_on) {
                ended[at] += 1;
                change[at][class] -= 1;
            }
        }
        let mut held = [0_i64; 3];
        let moment = |place: usize| {
            for (held, change) in held.iter_mut().zip(change[place]) {
                *held += change;
            }
            let (from, to) = (scale.begins[place], scale.end(place));
            let known = from <= asked.now;
            Moment {
                from,
                to,
                given: given[place],
                ended: ended[place],
                held: known.then(|| held.map(|count| u64::try_from(count).unwrap_or(0))),
            }
        };
        Self {
            moments: (0..count).map(moment).collect(),
        }
    }
}

impl Held<'_> {
    /// Whether it was given in the period, and not before.
    fn is_begun_within(&self, asked: &Asked) -> bool {
        let given = self.life.given.as_ref();
        given.is_some_and(|given| asked.within(given.at))
    }
}
