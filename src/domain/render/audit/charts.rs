//! The drawings: where everything stands in them. What they look like is in the templates and the style.

use askama::Template;
use askama::filters::HtmlSafe;

use super::super::super::audit::report::{Activity, Bucket, Class, Moment, Spread};
use super::super::super::model::Instant;
use super::axis::{Axis, Tick, place, round_up};
use super::words;

/// How wide drawings of time are.
pub(super) const WIDTH: f64 = 960.0;
/// Where their axis begins and ends.
pub(super) const LEFT: f64 = 48.0;
pub(super) const RIGHT: f64 = WIDTH - 8.0;

/// A box with what it says when it is pointed at.
pub(super) struct Block {
    pub(super) class: &'static str,
    pub(super) x: String,
    pub(super) y: String,
    pub(super) width: String,
    pub(super) height: String,
    pub(super) title: String,
}

/// What was given above a line, what ended below it.
#[derive(Template)]
#[template(path = "activity.svg", config = "src/domain/render/audit/askama.toml")]
pub(super) struct GivenAndEnded {
    ticks: Vec<Tick>,
    blocks: Vec<Block>,
    top: u64,
    described: String,
}

impl HtmlSafe for GivenAndEnded {}

/// Half the height of [`GivenAndEnded`].
const HALF: f64 = 72.0;

impl GivenAndEnded {
    pub(super) fn of(activity: &Activity, from: Instant, to: Instant) -> Self {
        let axis = axis(from, to);
        let moments = activity.moments.as_slice();
        let most = moments.iter().map(|m| m.given.max(m.ended)).max();
        let top = round_up(most.unwrap_or(0));
        let given: u64 = moments.iter().map(|m| m.given).sum();
        let ended: u64 = moments.iter().map(|m| m.ended).sum();
        let blocks = moments.iter().flat_map(|moment| two(moment, &axis, top));
        Self {
            ticks: axis.ticks(),
            blocks: blocks.collect(),
            top,
            described: format!(
                "{} given and {} ended from {} to {}. The table below has every step.",
                words::counted(given, "grant"),
                words::number(ended),
                words::instant(from),
                words::instant(to)
            ),
        }
    }
}

fn two(moment: &Moment, axis: &Axis, top: u64) -> Vec<Block> {
    let (x, end) = (axis.x(moment.from), axis.x(moment.to));
    let title = format!(
        "{} to {}: {} given, {} ended",
        words::instant(moment.from),
        words::instant(moment.to),
        moment.given,
        moment.ended
    );
    let middle = 12.0 + HALF;
    let block = |class, count: u64, up: bool| {
        let height = HALF * count as f64 / top as f64;
        let y = if up { middle - height } else { middle };
        (count > 0).then(|| Block {
            class,
            x: place(x + 0.5),
            y: place(y),
            width: place((end - x - 1.0).max(1.0)),
            height: place(height),
            title: title.clone(),
        })
    };
    let both = [
        block("given", moment.given, true),
        block("ended", moment.ended, false),
    ];
    both.into_iter().flatten().collect()
}

fn axis(from: Instant, to: Instant) -> Axis {
    Axis {
        from,
        to,
        left: LEFT,
        right: RIGHT,
    }
}

/// A filled line.
struct Area {
    class: &'static str,
    points: String,
}

/// How many grants were held, by class, one on top of the other.
#[derive(Template)]
#[template(path = "held.svg", config = "src/domain/render/audit/askama.toml")]
pub(super) struct HeldByClass {
    ticks: Vec<Tick>,
    areas: Vec<Area>,
    top: u64,
    described: String,
}

impl HtmlSafe for HeldByClass {}

/// The height of [`HeldByClass`] without its axis.
const HEIGHT: f64 = 140.0;

/// The order from the bottom up: what should not be there is at the bottom, where its size is seen best.
const STACK: [Class; 3] = [Class::Standing, Class::Emergency, Class::JustInTime];

impl HeldByClass {
    pub(super) fn of(activity: &Activity, from: Instant, to: Instant) -> Self {
        let axis = axis(from, to);
        let known: Vec<(&Moment, [u64; 3])> = activity
            .moments
            .iter()
            .filter_map(|moment| Some((moment, moment.held?)))
            .collect();
        let most = known.iter().map(|(_, held)| held.iter().sum::<u64>());
        let most = most.max().unwrap_or(0);
        let top = round_up(most);
        let mut below = vec![0_u64; known.len()];
        let mut areas = Vec::new();
        for class in STACK {
            let counts: Vec<u64> = known.iter().map(|(_, held)| held[class as usize]).collect();
            let above: Vec<u64> = below.iter().zip(&counts).map(|(b, c)| b + c).collect();
            if counts.iter().any(|count| *count > 0) {
                areas.push(Area {
                    class: class_word(class),
                    points: outline(&known, &axis, (&below, &above), top),
                });
            }
            below = above;
        }
        Self {
            ticks: axis.ticks(),
            areas,
            top,
            described: format!(
                "Grants held at the end of each step, standing access at the bottom, then break-glass, then just in time; at the most {}. The table below has every step.",
                words::number(most)
            ),
        }
    }
}

/// Along the upper edge, and back along the lower one, in stairs.
fn outline(
    known: &[(&Moment, [u64; 3])],
    axis: &Axis,
    (below, above): (&[u64], &[u64]),
    top: u64,
) -> String {
    let y = |count: u64| place(12.0 + HEIGHT - HEIGHT * count as f64 / top as f64);
    let stair = |(moment, _): &(&Moment, [u64; 3]), count: u64| {
        let (from, to) = (place(axis.x(moment.from)), place(axis.x(moment.to)));
        (format!("{from},{}", y(count)), format!("{to},{}", y(count)))
    };
    let upper = known.iter().zip(above).flat_map(|(moment, count)| {
        let (a, b) = stair(moment, *count);
        [a, b]
    });
    let lower = known.iter().zip(below).rev().flat_map(|(moment, count)| {
        let (a, b) = stair(moment, *count);
        [b, a]
    });
    upper.chain(lower).collect::<Vec<_>>().join(" ")
}

/// How a class is called in the style.
pub(super) fn class_word(class: Class) -> &'static str {
    match class {
        Class::JustInTime => "jit",
        Class::Standing => "standing",
        Class::Emergency => "glass",
    }
}

/// A number on top of a column.
struct Value {
    at: String,
    y: String,
    label: String,
}

/// How durations are spread.
#[derive(Template)]
#[template(path = "spread.svg", config = "src/domain/render/audit/askama.toml")]
pub(super) struct Columns {
    id: String,
    blocks: Vec<Block>,
    counts: Vec<Value>,
    edges: Vec<Tick>,
    what: &'static str,
    described: String,
}

impl HtmlSafe for Columns {}

/// Columns from here to there, of such a height.
const COLUMNS: (f64, f64, f64) = (4.0, 476.0, 104.0);

impl Columns {
    /// `late_ms`: from how many milliseconds on a duration is later than promised.
    pub(super) fn of(
        (id, what): (&str, &'static str),
        spread: &Spread<'_>,
        late_ms: Option<u64>,
    ) -> Self {
        let (left, right, height) = COLUMNS;
        let buckets = spread.buckets.as_slice();
        let wide = (right - left) / buckets.len().max(1) as f64;
        let most = buckets.iter().map(|b| b.count).max().unwrap_or(0).max(1);
        let at = |i: usize| left + wide * i as f64;
        let tall = |b: &Bucket<'_>| height * b.count as f64 / most as f64;
        let late = |b: &Bucket<'_>| late_ms.is_some_and(|late| b.from_ms >= late);
        let blocks = buckets.iter().enumerate().map(|(i, b)| Block {
            class: if late(b) { "late" } else { "wait" },
            x: place(at(i) + 1.5),
            y: place(20.0 + height - tall(b)),
            width: place(wide - 3.0),
            height: place(tall(b)),
            title: format!("{}: {}", range(b), words::number(b.count)),
        });
        let counts = buckets.iter().enumerate().filter(|(_, b)| b.count > 0);
        let counts = counts.map(|(i, b)| Value {
            at: place(at(i) + wide / 2.0),
            y: place(14.0 + height - tall(b)),
            label: words::number(b.count),
        });
        let edges = buckets.iter().enumerate().filter_map(|(i, b)| {
            Some(Tick {
                at: place(at(i + 1)),
                label: words::length(b.below_ms?),
            })
        });
        Self {
            id: id.to_owned(),
            blocks: blocks.collect(),
            counts: counts.collect(),
            edges: edges.collect(),
            what,
            described: format!(
                "{} in all; half took at most {}, nine of ten at most {}, the slowest {}. The table beside it has every column.",
                words::number(spread.count),
                words::length(spread.p50_ms),
                words::length(spread.p90_ms),
                words::length(spread.max_ms)
            ),
        }
    }
}

/// From when to when a bucket goes, in words.
pub(super) fn range(bucket: &Bucket<'_>) -> String {
    match (bucket.from_ms, bucket.below_ms) {
        (0, Some(below)) => format!("less than {}", words::length(below)),
        (from, Some(below)) => format!("{} to {}", words::length(from), words::length(below)),
        (from, None) => format!("{} and more", words::length(from)),
    }
}
