//! CODEOWNERS with GitHub's own lenient meaning, for the rules of the protected branch and for `codeowners/errors`.
//!
//! Written apart from the strict one of Hallpass, so that neither repeats a mistake of the other.

use std::path::Path;

use git2::{Oid, Repository};
use regex::Regex;

use super::refusal::Refusal;

/// A line of the file.
#[derive(Debug, Clone)]
pub struct Line {
    pub number: usize,
    pub source: String,
    pub owners: Vec<String>,
    /// `None` where GitHub cannot read the pattern.
    pub pattern: Option<Regex>,
}

/// Reads the file in force at a commit: its path and its lines.
pub fn read(git: &Repository, commit: Oid) -> Result<Option<(&'static str, Vec<Line>)>, Refusal> {
    let tree = git.find_commit(commit)?.tree()?;
    for path in [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"] {
        if let Ok(entry) = tree.get_path(Path::new(path)) {
            let blob = git.find_blob(entry.id())?;
            return Ok(Some((
                path,
                parse(&String::from_utf8_lossy(blob.content())),
            )));
        }
    }
    Ok(None)
}

fn parse(text: &str) -> Vec<Line> {
    let lines = text.lines().enumerate().map(|(index, source)| {
        (
            index + 1,
            source,
            source.split('#').next().unwrap_or_default().trim(),
        )
    });
    let lines = lines.filter(|(_, _, rule)| !rule.is_empty());
    lines
        .map(|(number, source, rule)| {
            let mut words = rule.split_whitespace();
            let pattern = words.next().and_then(compile);
            Line {
                number,
                source: source.to_owned(),
                owners: words.map(str::to_owned).collect(),
                pattern,
            }
        })
        .collect()
}

/// The owners of a path: the last matching line alone decides.
pub fn owners<'a>(lines: &'a [Line], path: &str) -> &'a [String] {
    let line = lines.iter().rev().find(|line| {
        line.pattern
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(path))
    });
    line.map_or(&[], |line| &line.owners)
}

fn compile(pattern: &str) -> Option<Regex> {
    if pattern.starts_with('!') || pattern.contains(['[', ']', '\\']) || pattern.contains("***") {
        return None;
    }
    let anchored = pattern.trim_end_matches('/').contains('/');
    let body = pattern.trim_start_matches('/');
    let (body, directory) = match body.strip_suffix('/') {
        Some(body) => (body, true),
        None => (body, false),
    };
    let segments: Vec<&str> = body.split('/').collect();
    let mut regex = String::from(if anchored { "^" } else { "^(?:.*/)?" });
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        match (*segment, last) {
            ("**", false) => regex.push_str("(?:[^/]+/)*"),
            ("**", true) => regex.push_str(".+"),
            (segment, _) => {
                for letter in segment.chars() {
                    match letter {
                        '*' => regex.push_str("[^/]*"),
                        '?' => regex.push_str("[^/]"),
                        other => regex.push_str(&regex::escape(&other.to_string())),
                    }
                }
                if !last {
                    regex.push('/');
                }
            }
        }
    }
    let tail = segments.last().copied().unwrap_or_default();
    regex.push_str(match (directory, tail) {
        (true, _) => "/.+$",
        (false, "*") if anchored => "$",
        (false, "**") => "$",
        (false, _) => "(?:/.*)?$",
    });
    Regex::new(&regex).ok()
}
