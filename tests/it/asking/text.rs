//! The text of a request's file, and its name.

use hallpass::domain::asking::{Schemas, name, tidy, write};
use hallpass::domain::catalogue::{File, REGULAR_FILE};
use hallpass::domain::model::{
    BlobId, Grant, Login, ResourceName, RoleName, Subject, Term, TermLength,
};
use hallpass::domain::parse::read_tree;
use proptest::prelude::*;

fn grant(reason: &str) -> Grant {
    Grant {
        subject: Subject::Person(Login::new("octocat").unwrap()),
        role: RoleName::new("readonly").unwrap(),
        term: Term::Duration(TermLength::parse("1d2h").unwrap()),
        starts: None,
        reason: reason.to_owned(),
        ticket: None,
        risk: None,
        emergency: false,
        adopt: false,
    }
}

/// What the service reads in the file, or what it finds wrong with it.
fn read(grant: &Grant) -> Result<Grant, String> {
    let text = write(grant, Schemas::There);
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, text.as_bytes()).unwrap();
    let tree = read_tree(&[File {
        path: "access/grants/orders/x.yaml".into(),
        mode: REGULAR_FILE,
        blob: BlobId::new(id.to_string()).unwrap(),
        bytes: text.as_bytes().into(),
    }]);
    match tree.grants.values().next() {
        Some(declared) => Ok((*declared.grant).clone()),
        None => Err(format!("{text}\n{:#?}", tree.findings)),
    }
}

#[test]
fn what_somebody_types_is_text_and_nothing_else() {
    let typed = [
        "Checkout fails since 13:05; need to read the orders table.",
        "2026-11-30T18:00:00Z is when it began",
        "yes: it fails, and role: admin would be nice",
        "fails # not a comment",
        "'quoted' and \"quoted\" text",
        "- a list, or not",
        "{ role: admin, approvals: 0 }",
        "*alias &anchor !tag of YAML",
        "1234567890",
        "0x1234567890",
        "null and void",
        "%TAG ! tag:example.org",
        "ends with a colon:",
        "first line\nrole: admin\nemergency: true",
        "first paragraph\n\n  second, indented: yes\n\nthird",
        "\u{fc}ber alles M\u{f6}gliche, \u{4e16}\u{754c} \u{1f680}",
        "back\\slash and\\n no line end",
        "--- a document",
        "... its end",
    ];
    for typed in typed {
        let asked = grant(&tidy(typed));
        assert_eq!(read(&asked).as_ref(), Ok(&asked), "{typed:?}");
    }
}

#[test]
fn what_a_ticket_and_a_risk_look_like_changes_nothing() {
    for odd in [
        "true",
        "INC-1",
        "1e3",
        "~",
        "0o17",
        "=",
        "<<",
        "a: b",
        "#1",
        "12:30:45",
        "2026-11-30",
    ] {
        let asked = Grant {
            ticket: Some(odd.to_owned()),
            risk: Some(format!("{odd} and more")),
            emergency: true,
            ..grant("A reason of some length.")
        };
        assert_eq!(read(&asked).as_ref(), Ok(&asked), "{odd:?}");
    }
}

proptest! {
    #[test]
    fn any_text_that_can_be_seen_reads_back_as_it_was_typed(typed in "[ -~\u{e0}-\u{ff}\n]{10,200}") {
        let reason = tidy(&typed);
        prop_assume!(reason.chars().count() >= 10);
        let asked = grant(&reason);
        prop_assert_eq!(read(&asked), Ok(asked));
    }
}

#[test]
fn a_name_is_made_of_who_and_what_and_is_always_one_that_a_file_can_have() {
    let orders = ResourceName::new("orders").unwrap();
    let named = |ticket: Option<&str>, taken: usize| {
        let asked = Grant {
            ticket: ticket.map(str::to_owned),
            ..grant("A reason of some length.")
        };
        let seen = std::cell::Cell::new(0);
        let is_free =
            |_: &hallpass::domain::model::GrantPath| seen.replace(seen.get() + 1) >= taken;
        name(&orders, &asked, is_free).map(|path| path.short().to_owned())
    };
    assert_eq!(named(None, 0).unwrap(), "orders/octocat-readonly");
    assert_eq!(
        named(Some("INC-4211"), 0).unwrap(),
        "orders/octocat-inc-4211"
    );
    assert_eq!(
        named(Some("INC-4211"), 2).unwrap(),
        "orders/octocat-inc-4211-3"
    );
    assert_eq!(
        named(Some("../../x/\u{e9} "), 0).unwrap(),
        "orders/octocat-x"
    );
    assert_eq!(named(Some("###"), 0).unwrap(), "orders/octocat-readonly");
    assert!(named(Some(&"A".repeat(300)), 999).unwrap().len() < 120);
    assert_eq!(named(None, 5000), None);
}

/// Every object of a schema that says something of itself.
fn described(schema: &serde_json::Value, found: &mut Vec<(String, Option<String>)>) {
    use serde_json::Value;
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(says)) = fields.get("description") {
                let markdown = fields.get("markdownDescription").and_then(Value::as_str);
                found.push((says.clone(), markdown.map(str::to_owned)));
            }
            fields.values().for_each(|field| described(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| described(item, found)),
        _ => {}
    }
}

#[test]
fn editors_that_show_markdown_say_the_same_and_swallow_nothing() {
    for kind in ["grant", "person", "service", "resource", "reviews"] {
        let path = format!("{}/schemas/{kind}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let schema: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut all = Vec::new();
        described(&schema, &mut all);
        assert!(all.len() > 4, "{kind}");
        for (says, markdown) in all {
            let shown = markdown.clone().unwrap_or_else(|| says.clone());
            assert_eq!(shown.replace('`', ""), says.replace('`', ""), "{kind}");
            // Markdown takes `<name>` for a tag, and shows nothing.
            let outside: String = shown.split('`').step_by(2).collect();
            assert!(!outside.contains('<'), "{kind}: {shown}");
            assert!(markdown.is_some() || !says.contains('`'), "{kind}: {says}");
        }
    }
}
