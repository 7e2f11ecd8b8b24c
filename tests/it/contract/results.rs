//! The page of providers, and what the contract found.

use std::fmt::Write;
use std::sync::Mutex;

use hallpass::domain::target::Kind;

use super::facts::Outcome;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers/results.md");

/// One kind at a time writes.
static PEN: Mutex<()> = Mutex::new(());

/// Compares one kind's section of the page with what was found; `HALLPASS_BLESS=1` writes it.
pub fn compare(kind: &Kind, version: Option<&str>, found: &[(&'static str, Outcome)]) {
    let named = match version {
        Some(version) => format!("`{}` {version}", kind.name),
        None => format!("`{}`", kind.name),
    };
    let section = section(kind, &named, found);
    let pen = PEN.lock().unwrap();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut parts: Vec<&str> = page.split("\n## ").collect();
    let head = parts.remove(0).trim_end();
    let mut sections: Vec<String> = parts
        .iter()
        .map(|part| part.trim_end().to_owned())
        .collect();
    let heading = format!("{named}\n");
    let at = sections.iter().position(|part| part.starts_with(&heading));
    if at.is_some_and(|at| sections[at] == section) {
        return;
    }
    let blessed = std::env::var_os("HALLPASS_BLESS").is_some();
    if blessed {
        match at {
            Some(at) => sections[at] = section.clone(),
            None => sections.push(section.clone()),
        }
        sections.sort();
        let text = sections
            .iter()
            .fold(head.to_owned(), |text, part| text + "\n\n## " + part);
        std::fs::write(PAGE, text + "\n").unwrap();
    }
    drop(pen);
    assert!(
        blessed,
        "docs/providers/results.md is stale for {named}; HALLPASS_BLESS=1 writes:\n{section}"
    );
}

fn section(kind: &Kind, named: &str, found: &[(&'static str, Outcome)]) -> String {
    let mut text = format!("{named}\n\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "Gives {}. After a removal: {}\n",
        kind.gives, kind.residual
    );
    for (column, outcome) in found {
        let _ = match outcome {
            Ok(()) => writeln!(text, "- {column}: held"),
            Err(why) => writeln!(text, "- {column}: does not apply: {why}"),
        };
    }
    text.trim_end().to_owned()
}
