//! Any bytes as CODEOWNERS: each line is read by itself, what is not plain is a problem with its place, and the last line that means a path
//! decides about it alone.
#![no_main]

use std::collections::BTreeSet;

use hallpass::domain::codeowners::{Codeowners, LOCATIONS, MAX_BYTES, Ownership};
use hallpass::domain::model::RepoPath;
use hallpass_fuzz::lines::is_plain;
use hallpass_fuzz::{alone, sound};
use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 6] = [
    "access/grants/orders/a.yaml",
    "access/grants/orders",
    "access/people/ada.yaml",
    ".github/CODEOWNERS",
    "README.md",
    "a/b/c/d",
];

fn parse(bytes: &[u8]) -> Codeowners {
    let read = Codeowners::parse(LOCATIONS[0], bytes);
    for problem in &read.problems {
        assert_eq!(problem.path, LOCATIONS[0]);
        sound(problem, bytes);
    }
    read
}

/// Who owns a path, by which line.
fn owners(read: &Codeowners, path: &RepoPath) -> (Option<u32>, Vec<String>) {
    let found = read.owners(path);
    let cleared = matches!(found, Ownership::Cleared { .. });
    assert_eq!(cleared, found.line().is_some() && found.owners().is_empty());
    (
        found.line(),
        found.owners().iter().map(ToString::to_string).collect(),
    )
}

fuzz_target!(init: alone(), |data: &[u8]| {
    assert!(data.len() < MAX_BYTES);
    let whole = parse(data);
    let with_problems: BTreeSet<u32> = whole.problems.iter().map(|p| p.line).collect();
    let lines: Vec<(u32, Codeowners)> = (1..).zip(data.split(|b| *b == b'\n')).map(|(n, line)| {
        let alone = parse(line);
        assert_eq!(alone.problems.is_empty(), !with_problems.contains(&n), "line {n}");
        let plain = std::str::from_utf8(line).is_ok_and(is_plain);
        let comment = line.trim_ascii_start().starts_with(b"#");
        // In a comment words of every language may stand.
        assert!(
            plain == alone.problems.is_empty() || (comment && !plain),
            "line {n}, {plain}: {:?}",
            alone.problems
        );
        (n, alone)
    }).collect();
    for path in PATHS {
        let path = RepoPath::new(path).expect("a path");
        let last = lines.iter().rev().find_map(|(n, line)| {
            let (found, owners) = owners(line, &path);
            found.map(|_| (Some(*n), owners))
        });
        assert_eq!(owners(&whole, &path), last.unwrap_or_default(), "{path}");
    }
});
