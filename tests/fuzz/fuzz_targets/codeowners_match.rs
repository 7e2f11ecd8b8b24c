//! Every pattern that has one meaning means what a slow reading of the rules says that it means.
#![no_main]

use hallpass::domain::codeowners::{Codeowners, LOCATIONS};
use hallpass::domain::model::RepoPath;
use hallpass_fuzz::alone;
use hallpass_fuzz::lines::means;
use libfuzzer_sys::fuzz_target;

/// Few letters, so that patterns and paths meet often.
fn tamed(bytes: &[u8], alphabet: &[u8]) -> String {
    let one = |b: &u8| {
        // What is written as it is meant stays; seeds can be read.
        let known = alphabet.contains(b);
        char::from(if known {
            *b
        } else {
            alphabet[usize::from(*b) % alphabet.len()]
        })
    };
    bytes.iter().map(one).collect()
}

// The first line is the path, each other one a pattern.
fuzz_target!(init: alone(), |data: &[u8]| {
    let mut lines = data.split(|b| *b == b'\n');
    let path = tamed(lines.next().unwrap_or_default(), b"ab/.Ac");
    let Ok(path) = RepoPath::new(&path) else {
        return;
    };
    let patterns: Vec<String> = lines.take(8).map(|line| tamed(line, b"ab/*?.Ac")).collect();
    let mut last = None;
    let mut text = String::new();
    for (n, pattern) in patterns.iter().enumerate() {
        let alone = Codeowners::parse(LOCATIONS[0], format!("{pattern} @a\n").as_bytes());
        if pattern.is_empty() || !alone.problems.is_empty() {
            continue;
        }
        let found = alone.owners(&path).line().is_some();
        assert_eq!(found, means(pattern, path.as_str()), "{pattern} on {path}");
        text += &format!("{pattern} @a{n}\n");
        if found {
            last = Some(format!("@a{n}"));
        }
    }
    let together = Codeowners::parse(LOCATIONS[0], text.as_bytes());
    let owner = together.owners(&path).owners().first().map(ToString::to_string);
    assert_eq!(owner, last, "{text} on {path}");
});
