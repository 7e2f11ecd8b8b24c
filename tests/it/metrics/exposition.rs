//! A strict reader of OpenMetrics text: whatever is not exactly as the standard says stops the test.
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/#text-format>

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Index;

use hallpass::metrics::{ALL, Described, LABELS, Shape};
use regex::Regex;

/// Every sample of one scrape, by its name with its labels.
pub struct Scrape(BTreeMap<String, f64>);

impl Index<&str> for Scrape {
    type Output = f64;

    fn index(&self, sample: &str) -> &f64 {
        let found = self.0.get(sample);
        found.unwrap_or_else(|| panic!("no {sample} in {:#?}", self.0))
    }
}

/// What a family has said so far.
struct Family {
    described: &'static Described,
    /// Of a histogram, by its other labels: the buckets as they came, and whether there were sum and count.
    buckets: BTreeMap<String, Vec<(f64, f64)>>,
    sums: BTreeSet<String>,
    counts: BTreeMap<String, f64>,
}

impl Scrape {
    pub fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("ends with # EOF");
        assert!(body.is_empty() || body.ends_with('\n'));
        let (mut samples, mut seen) = (BTreeMap::new(), BTreeSet::new());
        let (mut help, mut family): (Option<&str>, Option<Family>) = (None, None);
        for line in body.lines() {
            assert!(line.bytes().all(|b| (b' '..0x7f).contains(&b)), "{line:?}");
            if let Some(rest) = line.strip_prefix("# HELP ") {
                family.take().iter().for_each(Family::finish);
                let (name, words) = rest.split_once(' ').unwrap();
                assert!(seen.insert(name.to_owned()), "{name} twice");
                let described = ALL.iter().find(|d| d.name == name);
                let described = described.unwrap_or_else(|| panic!("{name} is not in the list"));
                assert_eq!(words, described.help, "{name}");
                help = Some(name);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, shape) = rest.split_once(' ').unwrap();
                assert_eq!(help.take(), Some(name), "HELP stands right before TYPE");
                family = Some(Family::new(name, shape));
            } else {
                let family = family
                    .as_mut()
                    .unwrap_or_else(|| panic!("{line:?} is of no family"));
                let (sample, value) = family.sample(line);
                assert!(samples.insert(sample, value).is_none(), "{line:?} twice");
            }
        }
        family.take().iter().for_each(Family::finish);
        assert_eq!(help, None);
        Self(samples)
    }

    pub fn get(&self, sample: &str) -> Option<f64> {
        self.0.get(sample).copied()
    }
}

impl Family {
    fn new(name: &str, shape: &str) -> Self {
        let described = ALL.iter().find(|d| d.name == name).unwrap();
        assert_eq!(shape, described.shape.as_str(), "{name}");
        Self {
            described,
            buckets: BTreeMap::new(),
            sums: BTreeSet::new(),
            counts: BTreeMap::new(),
        }
    }

    fn sample(&mut self, line: &str) -> (String, f64) {
        let form = r#"^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\[\\"n])*",?)*)\})? (-?[0-9.]+(?:e-?[0-9]+)?)$"#;
        let found = Regex::new(form).unwrap().captures(line);
        let found = found.unwrap_or_else(|| panic!("no sample: {line:?}"));
        let (name, value) = (&found[1], found[3].parse::<f64>().unwrap());
        let labels = found.get(2).map_or("", |labels| labels.as_str());
        assert!(!labels.ends_with(','), "{line:?}");
        let pair = Regex::new(r#"([a-z_]+)="((?:[^"\\]|\\.)*)""#).unwrap();
        let pairs: Vec<(&str, &str)> = pair
            .captures_iter(labels)
            .map(|pair| {
                let [label, value] = pair.extract().1;
                (label, value)
            })
            .collect();
        let suffix = name.strip_prefix(self.described.name);
        let suffix = suffix.unwrap_or_else(|| panic!("{line:?} in {}", self.described.name));
        let others = pairs.iter().filter(|(label, _)| *label != "le");
        let names: Vec<&str> = others.clone().map(|(label, _)| *label).collect();
        assert_eq!(names, self.described.labels, "{line:?}");
        assert!(
            names
                .iter()
                .all(|name| LABELS.iter().any(|(label, _)| label == name))
        );
        let key = format!("{:?}", others.collect::<Vec<_>>());
        let edge = pairs
            .iter()
            .find(|(label, _)| *label == "le")
            .map(|(_, edge)| *edge);
        self.note(suffix, key, edge, value);
        (line.rsplit_once(' ').unwrap().0.to_owned(), value)
    }

    fn note(&mut self, suffix: &str, key: String, edge: Option<&str>, value: f64) {
        match (self.described.shape, suffix, edge) {
            (Shape::Gauge, "", None) => {}
            (Shape::Counter, "_total", None) => assert!(value >= 0.0),
            (Shape::Histogram, "_sum", None) => assert!(self.sums.insert(key)),
            (Shape::Histogram, "_count", None) => {
                assert!(self.counts.insert(key, value).is_none());
            }
            (Shape::Histogram, "_bucket", Some(edge)) => {
                let edge = if edge == "+Inf" {
                    f64::INFINITY
                } else {
                    edge.parse().unwrap()
                };
                self.buckets.entry(key).or_default().push((edge, value));
            }
            odd => panic!("{}: {odd:?}", self.described.name),
        }
    }

    /// Buckets rise to `+Inf`, which holds as many as there are.
    fn finish(&self) {
        for (key, buckets) in &self.buckets {
            let name = self.described.name;
            let rises = buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
            assert!(rises, "{name} {key}: {buckets:?}");
            let last = buckets.last().unwrap();
            assert_eq!(Some(&last.1), self.counts.get(key), "{name} {key}");
            assert!(
                last.0.is_infinite() && self.sums.contains(key),
                "{name} {key}"
            );
        }
        assert_eq!(self.buckets.len(), self.counts.len());
        assert_eq!(self.buckets.len(), self.sums.len());
    }
}

#[test]
fn the_reader_itself_takes_nothing_that_is_not_so() {
    let head = "# HELP hallpass_wakes_waiting What is still to be looked at.\n# TYPE hallpass_wakes_waiting gauge\n";
    let good = format!("{head}hallpass_wakes_waiting 3\n# EOF\n");
    assert_eq!(Scrape::read(&good)["hallpass_wakes_waiting"], 3.0);
    for bad in [
        good.replace("# EOF\n", ""),
        good.replace("gauge", "counter"),
        good.replace("What is", "What"),
        good.replace("waiting 3", "waiting three"),
        good.replace("waiting 3", "waiting{wake=\"all\"} 3"),
        good.replace("waiting 3", "waiting{wake=\"a\"l\"} 3"),
        good.replace("hallpass_wakes_waiting 3", "hallpass_grants 3"),
        format!("{head}hallpass_wakes_waiting 3\nhallpass_wakes_waiting 3\n# EOF\n"),
        format!("{head}{good}"),
        "hallpass_wakes_waiting 3\n# EOF\n".to_owned(),
    ] {
        let read = std::panic::catch_unwind(|| Scrape::read(&bad));
        assert!(read.is_err(), "{bad}");
    }
}
