//! Where instants and numbers stand in a drawing.

use super::super::super::audit::report::{Scale, ScaleStep};
use super::super::super::model::Instant;

/// About how many ticks an axis of time has at the most.
const TICKS: i64 = 12;
const DAY: i64 = 86_400;

/// A mark on an axis.
pub(super) struct Tick {
    pub(super) at: String,
    pub(super) label: String,
}

/// An axis of time from left to right.
pub(super) struct Axis {
    pub(super) from: Instant,
    pub(super) to: Instant,
    pub(super) left: f64,
    pub(super) right: f64,
}

impl Axis {
    /// Where an instant stands; what lies outside, at the edge.
    pub(super) fn x(&self, at: Instant) -> f64 {
        let whole = (self.to - self.from).num_milliseconds().max(1) as f64;
        let part = (at - self.from).num_milliseconds() as f64 / whole;
        self.left + (self.right - self.left) * part.clamp(0.0, 1.0)
    }

    /// Marks where clocks and calendars have them.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let scale = Scale::of(self.from, self.to, TICKS);
        let ticks = scale.begins.iter().skip(1).map(|at| Tick {
            at: place(self.x(*at)),
            label: label(*at, scale.step),
        });
        ticks.collect()
    }
}

fn label(at: Instant, step: ScaleStep) -> String {
    let midnight = at.timestamp().rem_euclid(DAY) == 0;
    let form = match step {
        ScaleStep::Seconds(s) if s >= DAY => "%-d %b",
        ScaleStep::Seconds(_) if midnight => "%-d %b",
        ScaleStep::Seconds(s) if s >= 60 => "%H:%M",
        ScaleStep::Seconds(_) => "%H:%M:%S",
        ScaleStep::Months(m) if m < 12 => "%b %Y",
        ScaleStep::Months(_) => "%Y",
    };
    at.format(form).to_string()
}

/// A place in a drawing, to a tenth of its unit.
pub(super) fn place(at: f64) -> String {
    let text = format!("{at:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// An axis of counts from the bottom up: its top is a round number that is not below `most`.
pub(super) fn round_up(most: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [1, 2, 4, 5, 8, 10] {
            let round = unit.saturating_mul(step);
            if round >= most.max(1) {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}
