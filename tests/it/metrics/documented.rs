//! The page, the alert rules and the dashboard speak of the metrics that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hallpass::metrics::{ALL, Described, LABELS, Shape};
use regex::Regex;
use serde_json::Value;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(file);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The name under which people find it in Prometheus.
fn shown(described: &Described) -> String {
    match described.shape {
        Shape::Counter => format!("{}_total", described.name),
        _ => described.name.to_owned(),
    }
}

/// Every name that a query may use.
fn samples() -> BTreeSet<String> {
    let of = |described: &Described| match described.shape {
        Shape::Histogram => ["_bucket", "_sum", "_count"]
            .map(|suffix| format!("{}{suffix}", described.name))
            .to_vec(),
        _ => vec![shown(described)],
    };
    ALL.iter().flat_map(of).collect()
}

/// The metrics and the labels that the queries use.
fn assert_known(file: &str, queries: &[String]) {
    let names = Regex::new(r"\bhallpass_[a-z_]+").unwrap();
    let grouped =
        Regex::new(r"(?:by|on) ?\(([a-z_, ]*)\)|\{\{ ?\$labels\.([a-z_]+) ?\}\}|\{\{([a-z_]+)\}\}")
            .unwrap();
    assert!(!queries.is_empty(), "{file}");
    let samples = samples();
    for query in queries {
        for name in names.find_iter(query) {
            assert!(
                samples.contains(name.as_str()),
                "{file}: {query}: {}",
                name.as_str()
            );
        }
        let groups = grouped.captures_iter(query);
        let labels = groups.filter_map(|g| g.get(1).or(g.get(2)).or(g.get(3)));
        for label in labels.flat_map(|l| l.as_str().split(',')) {
            let known = LABELS.iter().any(|(known, _)| *known == label.trim());
            assert!(known, "{file}: {query}: {label}");
        }
    }
}

#[test]
fn the_page_says_of_each_metric_what_it_means() {
    let page = read("metrics.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `hallpass_"))
        .collect();
    assert_eq!(rows.len(), ALL.len());
    for (described, row) in ALL.iter().zip(rows) {
        let labels: Vec<String> = described.labels.iter().map(|l| format!("`{l}`")).collect();
        let begin = format!(
            "| `{}` | {} | {} |",
            shown(described),
            labels.join(" "),
            described.help
        );
        assert!(
            row.starts_with(&begin.replace("|  |", "| |")),
            "{row}\n{begin}"
        );
    }
    for (label, holds) in LABELS.iter().filter(|(label, _)| *label != "le") {
        let row = format!("| `{label}` | {holds} |");
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn the_alert_rules_are_about_metrics_that_there_are() {
    let text = read("metrics/alerts.yaml");
    let rules: Value = serde_yaml::from_str(&text).unwrap();
    let rules: Vec<&Value> = rules["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    let queries: Vec<String> = rules
        .iter()
        .map(|r| r["expr"].as_str().unwrap().to_owned())
        .collect();
    assert_known("alerts.yaml", &queries);
    let page = read("metrics.md");
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        let told =
            ["summary", "description"].map(|k| rule["annotations"][k].as_str().unwrap().to_owned());
        assert_known(name, &told);
        assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()));
        assert!(
            page.contains(&format!("| `{name}` |")),
            "{name} is not on the page"
        );
    }
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&read("metrics/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut queries = Vec::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        if panel["type"] == "row" {
            continue;
        }
        assert!(
            !panel["description"].as_str().unwrap().is_empty(),
            "{panel}"
        );
        for target in panel["targets"].as_array().unwrap() {
            queries.push(target["expr"].as_str().unwrap().to_owned());
            queries.push(target["legendFormat"].as_str().unwrap().to_owned());
        }
    }
    assert_known("dashboard.json", &queries);
}
