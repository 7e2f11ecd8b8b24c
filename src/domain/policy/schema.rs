//! The schema that policies are validated against: `schemas/hallpass.cedarschema`, written from the vocabulary.

use std::fmt::Write as _;
use std::sync::OnceLock;

use cedar_policy::{Schema, Validator};

use super::facts::Action;
use super::vocabulary::{self, RISKS, Row, WEEKDAYS};

/// The schema as published.
pub fn source() -> String {
    let mut out = String::from(
        "// What policies under access/policies/ can speak about. Written by Hallpass from its own vocabulary: do not edit.\n\
         // Explained in docs/policies.md.\n\n\
         // A GitHub team, as organisation/slug in lower case: Team::\"acme/backend\". Its active members count at the moment of judging.\n\
         entity Team;\n\n",
    );
    for (name, values) in [("Risk", &RISKS[..]), ("Weekday", &WEEKDAYS[..])] {
        let values: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "entity {name} enum [{}];\n", values.join(", "));
    }
    let mut context = Vec::new();
    for (name, rows) in vocabulary::table() {
        match name {
            "context" => {
                out.push_str(&record("type Request = ", &rows, ";"));
                context = rows;
            }
            "context of approve" => {
                context.extend(rows);
                out.push_str(&record("type Review = ", &context, ";"));
            }
            _ => {
                let (about, before, after) = entity(name);
                let _ = writeln!(out, "// {about}");
                out.push_str(&record(&format!("entity {name}{before} "), &rows, after));
            }
        }
    }
    out.push_str(&actions());
    out
}

/// What stands around the attributes of an entity type.
fn entity(name: &str) -> (&'static str, &'static str, &'static str) {
    match name {
        "Person" => (
            "A person, by login: Person::\"octocat\". Tags are the `attributes` of access/people/<login>.yaml.",
            " in [Team]",
            " tags String;",
        ),
        "Service" => (
            "A service account, by name: Service::\"deploy-bot\".",
            "",
            ";",
        ),
        "Resource" => ("A resource, by name: Resource::\"orders\".", "", ";"),
        _ => (
            "A role, by resource and name: Role::\"orders/readonly\".",
            " in [Resource]",
            ";",
        ),
    }
}

fn record(before: &str, rows: &[Row], after: &str) -> String {
    let mut out = format!("{before}{{\n");
    for row in rows {
        let sign = if row.optional { "?" } else { "" };
        let _ = writeln!(out, "  // {}", row.meaning);
        let _ = writeln!(out, "  {}{sign}: {},", row.name, row.kind.cedar());
    }
    out + "}" + after + "\n\n"
}

fn actions() -> String {
    let mut out = String::new();
    for action in Action::ALL {
        let (principal, context) = match action {
            Action::Approve => ("[Person]", "Review"),
            _ => ("[Person, Service]", "Request"),
        };
        let (meaning, name) = (action.meaning(), action.as_str());
        let _ = write!(
            out,
            "// {meaning}\naction {name} appliesTo {{\n  principal: {principal},\n  resource: [Role],\n  context: {context},\n}};\n\n"
        );
    }
    out.trim_end().to_owned() + "\n"
}

/// The schema, compiled.
pub(super) fn compiled() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let (schema, _) = Schema::from_cedarschema_str(&source())
            .expect("it is written from a table, and a test reads what is written");
        schema
    })
}

/// What holds policies against the schema.
pub(super) fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| Validator::new(compiled().clone()))
}
