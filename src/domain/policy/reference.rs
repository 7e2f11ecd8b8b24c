//! What policies can ask, as documentation: docs/policies.md holds these tables.

use std::fmt::Write as _;

use super::facts::Action;
use super::vocabulary::{RISKS, Row, WEEKDAYS, table};

/// The tables of actions, entities and context, in Markdown.
pub fn reference() -> String {
    let mut out = String::from("### Actions\n\n| action | meaning |\n|---|---|\n");
    for action in Action::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| `Action::\"{}\"` | {} |",
            action.as_str(),
            action.meaning()
        );
    }
    for (name, rows) in table() {
        let _ = write!(out, "\n### {}\n\n", title(name));
        out.push_str("| attribute | type | meaning |\n|---|---|---|\n");
        for row in rows {
            out.push_str(&line(&row));
        }
    }
    let words = |all: &[&str], kind: &str| -> String {
        let all: Vec<String> = all.iter().map(|w| format!("`{kind}::\"{w}\"`")).collect();
        all.join(", ")
    };
    let _ = writeln!(
        out,
        "\n### Words\n\nRisks are {}.\nDays are {}.",
        words(&RISKS, "Risk"),
        words(&WEEKDAYS, "Weekday")
    );
    out
}

fn title(name: &str) -> &'static str {
    match name {
        "Person" => "`Person`: `principal is Person`, `Person::\"octocat\"`",
        "Service" => "`Service`: `principal is Service`, `Service::\"deploy-bot\"`",
        "Resource" => "`Resource`: `resource in Resource::\"orders\"`",
        "Role" => "`Role`: `resource == Role::\"orders/readonly\"`",
        "context" => "`context`",
        _ => "`context`, for `approve` alone",
    }
}

fn line(row: &Row) -> String {
    let optional = if row.optional {
        format!(" Ask `context has {}` first.", row.name)
    } else {
        String::new()
    };
    let (name, kind, meaning) = (row.name, row.kind.cedar(), row.meaning);
    format!("| `{name}` | `{kind}` | {meaning}{optional} |\n")
}
