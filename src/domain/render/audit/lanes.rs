//! The drawing of one resource: who held what when.

use askama::Template;
use askama::filters::HtmlSafe;

use super::super::super::audit::report::{Bar, Lane, Report, Resource, SLOTS};
use super::super::human::visible;
use super::axis::{Axis, Tick, place, round_up};
use super::charts::{RIGHT, class_word};
use super::words;

/// Where the names end and time begins.
const NAMES: f64 = 200.0;
/// How high the strip of what was held at once is.
const STRIP: f64 = 34.0;
/// How high a lane is.
const LANE: f64 = 20.0;
/// Where the lanes begin.
const TOP: f64 = STRIP + 12.0;

/// From which share of its time on a bar is drawn as held throughout, and how strongly one is drawn that was hardly held at all.
const WHOLE: f64 = 0.95;
const FAINTEST: f64 = 0.35;

/// A bar that leads to the commit that began it.
struct Link {
    href: String,
    class: &'static str,
    x: String,
    y: String,
    width: String,
    /// How strongly it is drawn, where it was held for a part of that time only.
    faint: Option<String>,
    /// Where a mark says that it goes on, if it does.
    goes_on: Option<String>,
    /// Where a mark says that it was removed late, if it was.
    late: Option<String>,
    middle: String,
    title: String,
}

struct Name {
    y: String,
    text: String,
    whole: String,
}

/// Who held what when.
#[derive(Template)]
#[template(path = "lanes.svg", config = "src/domain/render/audit/askama.toml")]
pub(super) struct Lanes {
    id: String,
    name: String,
    ticks: Vec<Tick>,
    strip: String,
    most: u64,
    names: Vec<Name>,
    bars: Vec<Link>,
    height: String,
    bottom: String,
    described: String,
}

impl HtmlSafe for Lanes {}

impl Lanes {
    /// `href` says where the page of a bar's first commit is.
    pub(super) fn of<'l>(
        id: String,
        resource: &Resource<'l>,
        report: &Report<'_>,
        href: impl Fn(&Bar<'l>) -> String,
    ) -> Self {
        let axis = Axis {
            from: report.from,
            to: report.to,
            left: NAMES,
            right: RIGHT,
        };
        let lanes = resource.lanes.listed.as_slice();
        let y = |i: usize| TOP + LANE * i as f64;
        let names = lanes.iter().enumerate().map(|(i, lane)| name(lane, y(i)));
        let bars = lanes.iter().enumerate().flat_map(|(i, lane)| {
            let (axis, href) = (&axis, &href);
            lane.bars
                .iter()
                .map(move |bar| link(lane, bar, (axis, y(i)), href(bar)))
        });
        let most = resource.at_once.iter().copied().max().unwrap_or(0);
        Self {
            id,
            name: visible(resource.name),
            ticks: axis.ticks(),
            strip: strip(&resource.at_once, most),
            most,
            names: names.collect(),
            bars: bars.collect(),
            height: place(y(lanes.len()) + 22.0),
            bottom: place(y(lanes.len())),
            described: format!(
                "{} by {}; at the most {} at once. The table below tells of each line.",
                words::counted(resource.grants, "grant"),
                words::counted(resource.subjects, "holder"),
                words::number(most)
            ),
        }
    }
}

fn name(lane: &Lane<'_>, y: f64) -> Name {
    let role = lane
        .role
        .split_once('/')
        .map_or(lane.role, |(_, role)| role);
    let who = visible(words::subject(lane.subject));
    let whole = format!("{who} · {}", visible(role));
    Name {
        y: place(y + LANE * 0.7),
        text: words::cut(&whole, 27),
        whole,
    }
}

fn link(lane: &Lane<'_>, bar: &Bar<'_>, (axis, y): (&Axis, f64), href: String) -> Link {
    let (x, end) = (axis.x(bar.from), axis.x(bar.until));
    let width = (end - x).max(2.5);
    let until = match bar.goes_on {
        true => "and goes on".to_owned(),
        false => format!("to {}", words::instant(bar.until)),
    };
    let late = match bar.late {
        0 => String::new(),
        late => format!(", {late} removed late or not at all"),
    };
    let share = bar.held_seconds as f64 / (bar.until - bar.from).num_seconds().max(1) as f64;
    let (faint, held) = match share < WHOLE {
        true => (
            Some(format!("{:.2}", FAINTEST + (1.0 - FAINTEST) * share)),
            format!(
                ", held for {} of that",
                words::length(bar.held_seconds * 1_000)
            ),
        ),
        false => (None, String::new()),
    };
    Link {
        href,
        class: class_word(bar.class),
        faint,
        x: place(x),
        y: place(y + 4.0),
        width: place(width),
        goes_on: bar.goes_on.then(|| place(x + width)),
        late: (bar.late > 0).then(|| place(x + width)),
        middle: place(y + LANE / 2.0),
        title: format!(
            "{} on {}, from {} {until}{held}: {}, {}{late}. First: {}",
            visible(lane.subject),
            visible(lane.role),
            words::instant(bar.from),
            words::counted(bar.grants, "grant"),
            bar.class.as_str(),
            visible(bar.grant)
        ),
    }
}

/// The line of how much was held at once.
fn strip(at_once: &[u64], most: u64) -> String {
    let (top, wide) = (round_up(most), (RIGHT - NAMES) / SLOTS as f64);
    let y = |count: u64| place(STRIP - (STRIP - 8.0) * count as f64 / top as f64);
    let mut points = vec![format!("{},{}", place(NAMES), y(0))];
    for (i, count) in at_once.iter().enumerate() {
        let (from, to) = (NAMES + wide * i as f64, NAMES + wide * (i + 1) as f64);
        points.push(format!("{},{}", place(from), y(*count)));
        points.push(format!("{},{}", place(to), y(*count)));
    }
    points.push(format!("{},{}", place(RIGHT), y(0)));
    points.join(" ")
}
