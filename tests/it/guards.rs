//! The patches of `tests/guards`, each of which takes one guard of the product away. `tests/guards/run` asks whether the tests notice,
//! which takes long; here it is only asked whether each of them still can.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many there are at least.
const FEWEST: usize = 40;

/// What the first lines of a patch say.
const HEADER: [&str; 3] = ["Guard", "Case", "Caught-by"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guards")
}

/// The patches, each with its text.
fn patches() -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut patches: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "patch"))
        .collect();
    patches.sort();
    let text = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    };
    patches.into_iter().map(text).collect()
}

/// What the header of a patch says of `name`.
fn says<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let header = text.lines().take_while(|line| !line.starts_with("diff "));
    let said = header.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    said.flat_map(str::split_whitespace).collect()
}

#[test]
fn every_guard_has_a_patch_that_says_what_it_takes_away_and_touches_the_product_alone() {
    let patches = patches();
    assert!(patches.len() >= FEWEST, "{}", patches.len());
    for (path, text) in &patches {
        let path = path.display();
        for name in HEADER {
            assert!(!says(text, name).is_empty(), "{path}: no {name}");
        }
        let mut files = text.lines().filter_map(|line| line.strip_prefix("+++ "));
        assert!(files.clone().next().is_some(), "{path}: changes nothing");
        assert!(files.all(|file| file.starts_with("b/src/")), "{path}");
    }
}

#[test]
fn each_of_the_ten_rules_and_each_part_of_the_catalogue_loses_a_guard() {
    let patches = patches();
    let cases: Vec<String> = patches
        .iter()
        .map(|(_, t)| says(t, "Case").join(" "))
        .collect();
    let words = |case: &String| -> BTreeSet<String> {
        let words = case.split([' ', ',', '/']).map(str::to_owned);
        words.filter(|word| !word.is_empty()).collect()
    };
    let words: Vec<BTreeSet<String>> = cases.iter().map(words).collect();
    for rule in 1..=10 {
        let rule = format!("R{rule}");
        assert!(words.iter().any(|words| words.contains(&rule)), "{rule}");
    }
    for (cases, fewest) in [(1..=30, 10), (31..=50, 8), (51..=73, 8), (74..=108, 10)] {
        let within = |words: &&BTreeSet<String>| {
            let numbers = words.iter().filter_map(|word| word.strip_prefix("AC-"));
            numbers
                .flat_map(str::parse::<u32>)
                .any(|n| cases.contains(&n))
        };
        let found = words.iter().filter(within).count();
        assert!(found >= fewest, "{cases:?}: {found}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the patches are for git")]
fn every_patch_applies_to_the_tree_as_it_is() {
    for (path, _) in patches() {
        let done = Command::new("git")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["apply", "--check"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{}: {said}", path.display());
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "asks this very program for its tests"
)]
fn every_test_that_is_to_notice_exists() {
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--list", "--format", "terse"])
        .output()
        .unwrap();
    let list = String::from_utf8(done.stdout).unwrap();
    let tests: BTreeSet<&str> = list
        .lines()
        .filter_map(|l| l.strip_suffix(": test"))
        .collect();
    for (path, text) in patches() {
        for test in says(&text, "Caught-by") {
            assert!(tests.contains(test), "{}: {test}", path.display());
        }
    }
}
