//! `docs/security.md`, which engineers of security sign, held to the tests that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

use crate::tidy::sources;

const PAGE: &str = include_str!("../../../docs/security.md");

/// An abuse case, as the page has it.
struct Row {
    number: usize,
    outcome: &'static str,
    proved_by: BTreeSet<&'static str>,
}

fn rows() -> Vec<Row> {
    let cells = Regex::new(r"(?m)^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$").unwrap();
    let (_, from) = PAGE.split_once("<!-- the cases -->").expect("the table");
    let (table, _) = from.split_once("<!-- end of the cases -->").unwrap();
    let row = |found: regex::Captures<'static>| Row {
        number: found[1].parse().unwrap(),
        outcome: found.get(3).unwrap().as_str(),
        proved_by: words(found.get(4).unwrap().as_str()).collect(),
    };
    cells.captures_iter(table).map(row).collect()
}

/// What stands in code type.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Every test of this binary, as `module::name`.
fn tests() -> BTreeSet<String> {
    let marked =
        r"#\[(?:tokio::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:pub )?(?:async )?fn (\w+)\(";
    // Those of the store are told once and run on each database.
    let told_once = r"async fn (\w+)\(store: Store\)";
    let test = Regex::new(&format!("{marked}|{told_once}")).unwrap();
    let mut found = BTreeSet::new();
    for (path, text) in sources("tests/it") {
        let path = path.strip_prefix("tests/it").unwrap().with_extension("");
        let module = path.display().to_string().replace('/', "::");
        for name in test.captures_iter(&text) {
            let name = name.get(1).or(name.get(2)).unwrap().as_str();
            found.insert(format!("{module}::{name}"));
        }
    }
    found
}

#[test]
fn every_abuse_case_has_its_row_and_says_what_proves_it() {
    let numbers: Vec<usize> = rows().iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=108).collect::<Vec<_>>());
    let there = tests();
    assert!(there.len() > 1000, "{} tests were found", there.len());
    for row in rows() {
        let out_of_scope = row.outcome.to_lowercase().contains("out of scope");
        assert!(
            !row.proved_by.is_empty() || out_of_scope,
            "{} names no test and does not say why",
            row.number
        );
        for name in row.proved_by {
            assert!(there.contains(name), "{}: there is no {name}", row.number);
        }
    }
}

#[test]
fn a_test_that_carries_the_number_of_a_case_is_named_at_that_case() {
    let carries = Regex::new("^abuse::.*::ac_([0-9]+)_").unwrap();
    let rows: BTreeMap<usize, Row> = rows().into_iter().map(|row| (row.number, row)).collect();
    let mut carried = 0;
    for test in tests() {
        let Some(number) = carries.captures(&test) else {
            continue;
        };
        let row = &rows[&number[1].parse().unwrap()];
        assert!(row.proved_by.contains(test.as_str()), "{test}");
        carried += 1;
    }
    assert!(carried > 80, "{carried}");
}

/// What a heading is reached by, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    let text: String = heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter(kept)
        .collect();
    text.to_lowercase().replace(' ', "-")
}

#[test]
fn the_page_speaks_of_rules_and_places_that_exist() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let link = Regex::new(r"\]\(([^)#:]*)(?:#([^)]+))?\)").unwrap();
    for found in link.captures_iter(PAGE) {
        let page = match &found[1] {
            "" => PAGE.to_owned(),
            file if Path::new(file).extension().is_some() => {
                std::fs::read_to_string(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
            }
            other => panic!("{other}"),
        };
        if let Some(wanted) = found.get(2) {
            let headings = page.lines().filter(|line| line.starts_with('#'));
            let mut there = headings.map(anchor);
            assert!(there.any(|a| a == wanted.as_str()), "{}", &found[0]);
        }
    }
    let rules = std::fs::read_to_string(folder.join("rules.md")).unwrap();
    let rule = Regex::new("^[a-z]+(-[a-z]+)+$").unwrap();
    for row in rows() {
        for word in words(row.outcome).filter(|word| rule.is_match(word)) {
            assert!(rules.contains(&format!("### {word}\n")), "{word}");
        }
    }
    // The labels of the catalogue are nobody's words.
    assert!(!Regex::new("HP[0-9]{4}").unwrap().is_match(PAGE));
}
