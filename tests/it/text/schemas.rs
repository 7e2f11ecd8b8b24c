//! The published schemas and the typed readers agree.

use hallpass::domain::model::Gives;
use hallpass::domain::parse::read_tree;
use proptest::prelude::*;

use super::file;

/// A value of a field: forms that are right somewhere, and forms that are right nowhere.
fn value() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "ada",
        "Ada_x",
        "readonly",
        "2h",
        "1d12h",
        "3650d",
        "3651d",
        "99999h",
        "0h",
        "1h1d",
        "true",
        "false",
        "\"\"",
        "1",
        "0",
        "-1",
        "11",
        "583231",
        "9007199254740992",
        "2026-11-30T18:00:00Z",
        "2026-02-29T18:00:00Z",
        "2028-02-29T18:00:00Z",
        "2099-12-31T23:59:59Z",
        "A reason of some length.",
        "INC-4211",
        "low",
        "critical",
        "required",
        "[]",
        "[ticket, risk]",
        "[ticket, ticket]",
        "[ledger/approver]",
        "[ledger/approver, orders/readonly]",
        "[ledger]",
        "{}",
        "{ a: b }",
        "{ a: { b: [1, c] } }",
        "^INC-[0-9]+$",
        "\"^(?=a)b$\"",
        "\"^a)|(b$\"",
        "é",
        "\"a\\nb\"",
        "\"a\\u0000b\"",
        "\"  x  \"",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => "[a-z0-9]{1,50}", 1 => "\"[ -!#-\\[\\]-~]{0,30}\""]
}

fn document(fields: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::subsequence(fields, 0..=fields.len())
        .prop_flat_map(|fields| {
            let count = fields.len();
            (Just(fields), prop::collection::vec(value(), count))
        })
        .prop_map(|(fields, values)| {
            fields
                .iter()
                .zip(values)
                .map(|(field, value)| format!("{field}: {value}\n"))
                .collect()
        })
}

/// What the schema accepts, the types accept: their refusal would stand at the beginning of the file without a schema's word.
fn agree(path: &str, text: &str) -> Result<(), TestCaseError> {
    let tree = read_tree(&[file(path, text)]);
    let read = tree.grants.len()
        + tree.people.len()
        + tree.services.len()
        + tree.resources.len()
        + tree.emergencies.len()
        + tree.releases.len()
        + tree.sheets.len()
        + usize::from(tree.schedule.is_some());
    prop_assert_eq!(read == 1, tree.findings.is_empty());
    for finding in &tree.findings {
        let typed =
            finding.rule == "bad-value" && finding.help.starts_with("Compare with the examples");
        prop_assert!(
            !typed,
            "the schema accepts what the types refuse: {finding:?}\n{text}"
        );
    }
    Ok(())
}

const GRANT: &[&str] = &[
    "person",
    "service",
    "role",
    "duration",
    "expires",
    "starts",
    "reason",
    "ticket",
    "risk",
    "emergency",
];
const PERSON: &[&str] = &["github_id", "name", "identities"];
const SERVICE: &[&str] = &["description", "owner", "github_id", "identities"];
const RECORD: &[&str] = &[
    "grant",
    "person",
    "role",
    "merge",
    "pull",
    "granted",
    "ends",
    "review_by",
    "attempt",
];
const RELEASE: &[&str] = &["held", "connection", "count", "digest", "base", "attempt"];
const SCHEDULE: &[&str] = &["first", "every", "within", "unanswered"];
const ANSWERS: &[&str] = &[
    "round",
    "answer_by",
    "unanswered",
    "count",
    "digest",
    "attempt",
    "lines",
];
const LINE: &[&str] = &["decision", "who", "role", "since", "until", "grant"];
const ROLE: &[&str] = &[
    "    description",
    "    entitlement",
    "    max_duration",
    "    approvals",
    "    requires",
    "    ticket_pattern",
    "    rationale",
    "    conflicts_with",
    "    bundle",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn grants(text in document(GRANT)) {
        agree("access/grants/orders/x.yaml", &text)?;
    }

    #[test]
    fn almost_right_grants(field in prop::sample::select(GRANT), value in value()) {
        let right = "person: ada\nrole: readonly\nduration: 2h\nreason: A reason of some length.\n";
        let kept: String = right.lines().filter(|line| !line.starts_with(&format!("{field}:"))).map(|line| format!("{line}\n")).collect();
        agree("access/grants/orders/x.yaml", &format!("{kept}{field}: {value}\n"))?;
    }

    #[test]
    fn people(text in document(PERSON)) {
        agree("access/people/x.yaml", &text)?;
    }

    #[test]
    fn almost_right_records(field in prop::sample::select(RECORD), value in value()) {
        let at = "2026-11-30T18:00:00Z";
        let right = format!(
            "grant: \"orders/x@0123456789ab\"\nperson: ada\nrole: orders/admin\nmerge: \"0123456789abcdef0123456789abcdef01234567\"\n\
             pull: 7\ngranted: {at}\nends: {at}\nreview_by: {at}\n"
        );
        let kept: String = right.lines().filter(|line| !line.starts_with(&format!("{field}:"))).map(|line| format!("{line}\n")).collect();
        agree("access/emergencies/orders/x-0123456789ab.yaml", &format!("{kept}{field}: {value}\n"))?;
    }

    #[test]
    fn almost_right_releases(field in prop::sample::select(RELEASE), value in value()) {
        let right = format!(
            "held: withdrawn\nconnection: db\ncount: 6\ndigest: \"{}\"\nbase: \"0123456789abcdef0123456789abcdef01234567\"\n",
            "0123456789abcdef".repeat(4)
        );
        let kept: String = right.lines().filter(|line| !line.starts_with(&format!("{field}:"))).map(|line| format!("{line}\n")).collect();
        agree("access/releases/orders/0123456789ab.yaml", &format!("{kept}{field}: {value}\n"))?;
    }

    #[test]
    fn almost_right_schedules(field in prop::sample::select(SCHEDULE), value in value()) {
        let right = "first: 2027-01-04T08:00:00Z\nevery: 90d\nwithin: 14d\nunanswered: end\n";
        let kept: String = right.lines().filter(|line| !line.starts_with(&format!("{field}:"))).map(|line| format!("{line}\n")).collect();
        agree("access/reviews.yaml", &format!("{kept}{field}: {value}\n"))?;
    }

    #[test]
    fn almost_right_answers(field in prop::sample::select(ANSWERS), value in value()) {
        let at = "2027-01-04T08:00:00Z";
        let right = format!(
            "round: {at}\nanswer_by: {at}\nunanswered: keep\ncount: 1\ndigest: \"{}\"\nlines: []\n",
            "0123456789abcdef".repeat(4)
        );
        let kept: String = right.lines().filter(|line| !line.starts_with(&format!("{field}:"))).map(|line| format!("{line}\n")).collect();
        agree("access/reviews/2027-01-04/acme-dba-0123456789ab.yaml", &format!("{kept}{field}: {value}\n"))?;
    }

    #[test]
    fn almost_right_lines_of_answers(field in prop::sample::select(LINE), value in value()) {
        let at = "2027-01-04T08:00:00Z";
        let right = format!("decision: keep\nwho: person ada\nrole: orders/readonly\nsince: {at}\nuntil: {at}\ngrant: \"orders/ada@0123456789ab\"\n");
        let kept = right.lines().filter(|line| !line.starts_with(&format!("{field}:"))).map(|line| format!("    {line}\n"));
        let line: String = kept.chain([format!("    {field}: {value}\n")]).collect();
        let text = format!(
            "round: {at}\nanswer_by: {at}\nunanswered: keep\ncount: 1\ndigest: \"{}\"\nlines:\n  -\n{line}",
            "0123456789abcdef".repeat(4)
        );
        agree("access/reviews/2027-01-04/acme-dba-0123456789ab.yaml", &text)?;
    }

    #[test]
    fn services(text in document(SERVICE)) {
        agree("access/services/x.yaml", &text)?;
    }

    #[test]
    fn almost_right_resources(field in prop::sample::select(ROLE), value in value()) {
        let right = "    description: Reads\n    entitlement: { a: b }\n    max_duration: 2h\n";
        let kept: String = right.lines().filter(|line| !line.starts_with(&format!("{field}:"))).map(|line| format!("{line}\n")).collect();
        let text = format!("description: Orders\nrisk: low\nprovider: pg\nroles:\n  reader:\n{kept}{field}: {value}\n");
        agree("access/resources/x.yaml", &text)?;
    }

    #[test]
    fn almost_right_bundles(field in prop::sample::select(ROLE), value in value()) {
        let right = "    description: Reads\n    bundle: [a/b, c/d]\n    max_duration: 2h\n";
        let kept: String = right.lines().filter(|line| !line.starts_with(&format!("{field}:"))).map(|line| format!("{line}\n")).collect();
        let text = format!("description: Kit\nrisk: low\nroles:\n  reader:\n{kept}{field}: {value}\n");
        agree("access/resources/x.yaml", &text)?;
    }
}

#[test]
fn every_field_of_a_schema_is_read() {
    let full = "person: ada\nrole: readonly\nduration: 1d2h3m\nstarts: 2026-11-24T10:00:00Z\nreason: A reason of some length.\nticket: INC-1\nrisk: Some.\n\
                emergency: false\n\
                adopt: false\n";
    let tree = read_tree(&[
        file("access/grants/orders/x.yaml", full),
        file(
            "access/people/x.yaml",
            "github_id: 7\nname: Grace Lindqvist\nidentities: { pg: x }\n",
        ),
        file(
            "access/services/x.yaml",
            "description: Moves parcels about\nowner: Ada\ngithub_id: 8\nidentities: { pg: x }\n",
        ),
        file(
            "access/resources/x.yaml",
            "description: Orders\nrisk: low\nprovider: pg\nroles:\n  reader:\n    description: Reads\n    entitlement: { a: [b, 1, true] }\n    \
             max_duration: 2h\n    approvals: 2\n    requires: [risk]\n    ticket_pattern: ^x$\n    rationale: required\n    conflicts_with: [a/b]\n",
        ),
    ]);
    assert!(tree.findings.is_empty(), "{:?}", tree.findings);
    let grant = &tree.grants.values().next().unwrap().grant;
    assert_eq!(
        serde_json::to_value(&**grant).unwrap(),
        serde_json::json!({
            "subject": { "person": "ada" }, "role": "readonly", "term": { "duration": "1d2h3m" }, "starts": "2026-11-24T10:00:00Z",
            "reason": "A reason of some length.", "ticket": "INC-1", "risk": "Some.", "emergency": false, "adopt": false,
        })
    );
    let resource = tree.resources.values().next().unwrap();
    let role = &resource.roles[0];
    assert_eq!(
        (
            role.approvals,
            role.rationale,
            role.conflicts_with.len(),
            role.requires.len()
        ),
        (2, true, 1, 1)
    );
    let Gives::Entitlement { connection, value } = &role.gives else {
        panic!("{:?}", role.gives);
    };
    assert_eq!(connection.as_str(), "pg");
    assert_eq!(*value, serde_json::json!({ "a": ["b", 1, true] }));
    // Logins are folded to lower case, as GitHub compares them.
    assert_eq!(tree.services.values().next().unwrap().owner.as_str(), "ada");
}
