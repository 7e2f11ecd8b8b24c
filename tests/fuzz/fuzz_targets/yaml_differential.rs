//! What the program reads out of a file is what another reader of YAML reads out of it, down to the last character.
//!
//! The other reader may accept more: it is asked only about what ours accepted, and must then agree.
#![no_main]

use hallpass::domain::model::{Gives, Term};
use hallpass::domain::parse::read_tree;
use hallpass_fuzz::{alone, file};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const RESOURCE: &str = "access/resources/orders.yaml";
const PERSON: &str = "access/people/ada.yaml";
const GRANT: &str = "access/grants/orders/request.yaml";

/// What stands around text that is to become an entitlement, the one value that may be of any shape.
const AROUND: &str = "description: Orders\nrisk: low\nprovider: pg\nroles:\n  readonly:\n    description: Reads\n    max_duration: 8h\n    entitlement:";

fn agree(text: &str, path: &str, ours: &Value) {
    let theirs = serde_saphyr::from_str::<Value>(text);
    let theirs = theirs.unwrap_or_else(|error| panic!("only ours reads {text:?}: {error}"));
    assert_eq!(theirs.pointer(path), Some(ours), "{path} of {text:?}");
}

fn entitlement(text: &str) {
    let tree = read_tree(&[file(RESOURCE, text.as_bytes())]);
    let resource = tree.resources.values().next();
    for (name, role) in resource.iter().flat_map(|r| &r.roles) {
        if let Gives::Entitlement { value, .. } = &role.gives {
            agree(text, &format!("/roles/{name}/entitlement"), value);
        }
        let description = Value::from(role.description.as_str());
        agree(text, &format!("/roles/{name}/description"), &description);
    }
}

fn person(text: &str) {
    let tree = read_tree(&[file(PERSON, text.as_bytes())]);
    if let Some(person) = tree.people.values().next() {
        agree(text, "/github_id", &Value::from(person.github_id.0));
        for (name, value) in &person.identities {
            agree(
                text,
                &format!("/identities/{name}"),
                &Value::from(value.as_str()),
            );
        }
        for (name, value) in &person.attributes {
            agree(
                text,
                &format!("/attributes/{name}"),
                &Value::from(value.as_str()),
            );
        }
    }
}

fn grant(text: &str) {
    let tree = read_tree(&[file(GRANT, text.as_bytes())]);
    if let Some(declared) = tree.grants.values().next() {
        let grant = &declared.grant;
        agree(text, "/role", &Value::from(grant.role.as_str()));
        agree(text, "/reason", &Value::from(grant.reason.as_str()));
        for (name, value) in [("ticket", &grant.ticket), ("risk", &grant.risk)] {
            if let Some(value) = value {
                agree(text, &format!("/{name}"), &Value::from(value.as_str()));
            }
        }
        if let Term::Expires(at) = grant.term {
            let written = at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            agree(text, "/expires", &Value::from(written));
        }
        for (name, value) in [("emergency", grant.emergency), ("adopt", grant.adopt)] {
            if value {
                agree(text, &format!("/{name}"), &Value::from(true));
            }
        }
    }
}

fuzz_target!(init: alone(), |data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    match first {
        b'r' => entitlement(text),
        b'p' => person(text),
        b'g' => grant(text),
        // A value that begins behind its key.
        b':' => entitlement(&format!("{AROUND} {text}\n")),
        // A block below its key, whatever its lines hold.
        _ => {
            let lines = text.split('\n').map(|line| format!("      {line}\n"));
            entitlement(&format!("{AROUND}\n{}", lines.collect::<String>()));
        }
    }
});
