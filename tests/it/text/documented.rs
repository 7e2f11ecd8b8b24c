//! The rules as documented: one table, docs/rules.md, links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hallpass::domain::rules::{RULES, find, page, url};

/// Set to `1` to write docs/rules.md anew.
const BLESS: &str = "HALLPASS_BLESS";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` with one of these endings, as text.
fn texts(folder: &str, endings: &[&str]) -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if endings
                .iter()
                .any(|e| path.extension().is_some_and(|x| x == *e))
            {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

#[test]
fn rules_are_documented_once_each() {
    let names: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
    for rule in RULES {
        assert!(
            [rule.meaning, rule.remedy]
                .iter()
                .all(|text| text.ends_with('.')),
            "{rule:?}"
        );
        assert!(
            !rule.example.is_empty() && !rule.example.ends_with('.'),
            "{rule:?}"
        );
        // Markdown would swallow it.
        for text in [rule.meaning, rule.example, rule.remedy] {
            let plain: String = text.split('`').step_by(2).collect();
            assert!(
                !plain.contains(['<', '*', '_']) || rule.name == "limits-contradict",
                "{text}"
            );
        }
    }
}

#[test]
fn the_page_of_rules_is_what_the_table_says() {
    let file = root().join("docs/rules.md");
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    if std::env::var(BLESS).is_ok_and(|value| value == "1") {
        fs::write(&file, page()).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == page(),
        "docs/rules.md is stale: run again with {BLESS}=1 and read the difference in git"
    );
}

#[test]
fn every_rule_has_its_anchor_on_the_page_that_findings_link_to() {
    let page = page();
    let headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(headings, names);
    // GitHub makes the anchor of a heading from its text in lower case, which these are already.
    assert_eq!(
        url("term-too-long"),
        "https://github.com/hallpass-dev/hallpass/blob/main/docs/rules.md#term-too-long"
    );
    assert!(page.lines().filter(|line| line.starts_with("## ")).count() >= 10);
}

#[test]
fn every_rule_of_the_table_is_named_by_a_test() {
    let mut tests = texts("tests/golden", &["md"]);
    tests.extend(texts("tests/it", &["rs"]));
    for rule in RULES {
        assert!(
            tests.iter().any(|(_, text)| text.contains(rule.name)),
            "no test is about {}",
            rule.name
        );
    }
}

#[test]
fn every_rule_of_the_source_is_in_the_table_and_every_row_is_told_somewhere() {
    let sources = texts("src/domain", &["rs"]);
    // Rules are written as literals where findings are made.
    let literal = regex::Regex::new(r#""([a-z]+(?:-[a-z0-9]+)*)""#).unwrap();
    let made = regex::Regex::new(
        r#"(?:rule: |rule = |fault\(\s*|error\(\s*|problem\(\s*|finding\(\s*|refused\(\s*)"([a-z]+(?:-[a-z0-9]+)*)""#,
    )
    .unwrap();
    let mut told = BTreeSet::new();
    for (path, text) in &sources {
        if path.ends_with("rules/table.rs") || path.ends_with("rules/page.rs") {
            continue;
        }
        told.extend(literal.captures_iter(text).map(|found| found[1].to_owned()));
        for found in made.captures_iter(text) {
            assert!(
                find(&found[1]).is_some(),
                "{}: {} is not in the table",
                path.display(),
                &found[1]
            );
        }
    }
    for rule in RULES {
        assert!(told.contains(rule.name), "nothing tells of {}", rule.name);
    }
}

#[test]
fn every_rule_of_a_golden_case_links_to_its_explanation() {
    let link = regex::Regex::new(r"(?m)^\*\*\[([a-z0-9-]+)\]\((.*)\)\*\*$").unwrap();
    let mut seen = 0;
    for (path, text) in texts("tests/golden", &["md"]) {
        for found in link.captures_iter(&text) {
            let rule = find(&found[1]).unwrap_or_else(|| panic!("{}", path.display()));
            assert_eq!(found[2], url(rule.name), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} links");
}
