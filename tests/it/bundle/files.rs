//! What stands in files: bundles, and grants that ask for one.

use hallpass::domain::finding::Finding;
use hallpass::domain::model::{GrantPath, RoleRef};

use crate::text::{catalogue, findings, places};

const KIT: &str = "access/resources/kit.yaml";
const REQUEST: &str = "access/grants/kit/request.yaml";
const WIKI: &str = "access/resources/wiki.yaml";

/// Beside `crate::text::WORLD`: a bundle of a role of each of its resources.
const BUNDLE: &str = "description: What whoever is on call needs
risk: low
roles:
  responder:
    description: Reads the orders and approves payments
    bundle: [orders/readonly, ledger/approver]
    max_duration: 1d
";

const EDITOR: &str = "description: Wiki
risk: low
provider: pg
roles:
  editor:
    description: Edits
    entitlement: { role: editor }
    max_duration: 1d
    min_duration: 4h
    eligible: { people: [bob] }
";

const GRANT: &str =
    "person: ada\nrole: responder\nduration: 2h\nreason: On call until the morning.\n";

/// `line:column rule` of each finding about `text` as the bundle's file.
fn kit(text: &str) -> Vec<String> {
    told(KIT, &findings(&[(KIT, text), (WIKI, EDITOR)]))
}

/// `line:column rule` of each finding about `text` as a grant, where the bundle's file says `bundle`.
fn asked(bundle: &str, text: &str) -> Vec<String> {
    told(
        REQUEST,
        &findings(&[(KIT, bundle), (WIKI, EDITOR), (REQUEST, text)]),
    )
}

fn told(path: &str, findings: &[Finding]) -> Vec<String> {
    let of_it = findings.iter().filter(|f| f.path == path);
    let place = |f: &Finding| format!("{}:{} {}", f.line, f.column, f.rule);
    of_it.map(place).collect()
}

fn role(name: &str) -> RoleRef {
    RoleRef::try_from(name.to_owned()).unwrap()
}

#[test]
fn a_bundle_and_a_request_for_it_have_nothing_wrong_with_them() {
    assert_eq!(
        places(&findings(&[(KIT, BUNDLE), (REQUEST, GRANT)])),
        [""; 0]
    );
}

#[test]
fn a_resource_has_a_provider_or_is_made_of_bundles() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "risk: low\n",
            "risk: low\nprovider: pg\n",
            &["7:5 one-kind"],
        ),
        (
            "    bundle: [orders/readonly, ledger/approver]\n",
            "    entitlement: { role: r }\n",
            &["1:1 missing-field"],
        ),
        (
            "    bundle: [orders/readonly, ledger/approver]\n",
            "",
            &["1:1 missing-field", "4:3 missing-field"],
        ),
        (
            "    max_duration: 1d\n",
            "    max_duration: 1d\n    entitlement: { role: r }\n",
            &["8:5 one-kind"],
        ),
        (
            "    max_duration: 1d\n",
            "    max_duration: 1d\n    approvals: 1\n    emergency: { max_duration: 1h }\n",
            &["8:5 one-kind", "9:5 one-kind"],
        ),
        (
            "    max_duration: 1d\n",
            "    max_duration: 1d\n  other:\n    description: Something else\n    max_duration: 1d\n",
            &["8:3 missing-field"],
        ),
        (
            "[orders/readonly, ledger/approver]",
            "[orders/readonly]",
            &["6:13 bad-value"],
        ),
        (
            "[orders/readonly, ledger/approver]",
            "[orders/readonly, orders/readonly]",
            &["6:13 bad-value"],
        ),
        (
            "[orders/readonly, ledger/approver]",
            "[orders, ledger/approver]",
            &["6:14 bad-value"],
        ),
        (
            "[orders/readonly, ledger/approver]",
            "[a/a, a/b, a/c, a/d, a/e, a/f, a/g, a/h, a/i, a/j, a/k]",
            &["6:13 bad-value"],
        ),
    ];
    for (from, to, expected) in cases {
        assert!(BUNDLE.contains(from));
        assert_eq!(kit(&BUNDLE.replace(from, to)), *expected, "{to:?}");
    }
}

#[test]
fn what_is_wrong_with_the_kind_of_a_resource_is_told_with_the_way_out() {
    let mixed = BUNDLE.replace("risk: low\n", "risk: low\nprovider: pg\n");
    let found = findings(&[(KIT, &mixed)]);
    assert_eq!(
        found[0].message,
        "`responder` is a bundle in a file with a `provider`"
    );
    assert!(
        found[0].help.starts_with("Make two files of it."),
        "{}",
        found[0].help
    );
    let one = BUNDLE.replace(", ledger/approver", "");
    let found = findings(&[(KIT, &one)]);
    assert_eq!(found[0].message, "`bundle` has fewer than 2 entries");
}

#[test]
fn a_bundle_is_made_of_roles_that_give_something_and_do_not_exclude_each_other() {
    let cases: &[(&str, &[&str])] = &[
        ("[orders/readonly, wiki/editor]", &[]),
        ("[orders/readonly, ledger/aprover]", &["6:31 unknown-part"]),
        ("[kit/responder, ledger/approver]", &["6:14 unknown-part"]),
        ("[orders/admin, ledger/approver]", &["6:14 bundle-conflict"]),
        // The editor lasts at least four hours, an administrator at most two.
        ("[orders/admin, wiki/editor]", &["6:14 limits-contradict"]),
    ];
    for (parts, expected) in cases {
        let text = BUNDLE.replace("[orders/readonly, ledger/approver]", parts);
        let places = kit(&text);
        // Of two parts that contradict, the last is pointed at.
        if *expected == ["6:14 limits-contradict"] {
            assert_eq!(places.len(), 1, "{places:?}");
            assert!(places[0].ends_with("limits-contradict"), "{places:?}");
        } else {
            assert_eq!(places, *expected, "{parts}");
        }
    }
    let misspelt = BUNDLE.replace("approver]", "aprover]");
    let found = findings(&[(KIT, &misspelt)]);
    assert!(
        found[0].help.contains("Did you mean `ledger/approver`?"),
        "{found:?}"
    );
}

#[test]
fn a_request_for_a_bundle_is_judged_by_each_of_its_parts() {
    let of = |parts: &str| BUNDLE.replace("[orders/readonly, ledger/approver]", parts);
    let cases: &[(String, String, &[&str])] = &[
        // The reader of orders may have eight hours, the bundle a day, the approver a month.
        (
            of("[orders/readonly, ledger/approver]"),
            GRANT.replace("2h", "8h"),
            &[],
        ),
        (
            of("[orders/readonly, ledger/approver]"),
            GRANT.replace("2h", "9h"),
            &["3:11 term-too-long"],
        ),
        // bob has no account where the ledger is.
        (
            of("[orders/readonly, ledger/approver]"),
            GRANT.replace("ada", "bob"),
            &["1:9 no-identity"],
        ),
        (
            of("[orders/readonly, ledger/approver]"),
            GRANT.to_owned() + "emergency: true\n",
            &["5:12 emergency-not-offered"],
        ),
        // The editor lasts at least four hours, and is for bob.
        (
            of("[orders/readonly, wiki/editor]"),
            GRANT.replace("ada", "bob"),
            &[],
        ),
        (
            of("[orders/readonly, wiki/editor]"),
            GRANT.to_owned(),
            &["1:9 not-eligible"],
        ),
        // An administrator of orders fills in everything.
        (
            of("[orders/admin, orders/readonly]"),
            GRANT.to_owned(),
            &["2:7 field-required", "2:7 field-required"],
        ),
        (
            of("[orders/admin, orders/readonly]"),
            GRANT.to_owned() + "ticket: xINC-1\nrisk: Small.\n",
            &["5:9 ticket-pattern"],
        ),
        (
            of("[orders/admin, orders/readonly]"),
            GRANT.to_owned() + "ticket: INC-1\nrisk: Small.\n",
            &[],
        ),
        // What is wrong with the bundle itself lets nobody have it.
        (
            of("[orders/admin, ledger/approver]"),
            GRANT.to_owned() + "ticket: INC-1\nrisk: Small.\n",
            &["2:7 bundle-conflict"],
        ),
        (
            of("[orders/readonly, ledger/aprover]"),
            GRANT.to_owned(),
            &["2:7 unknown-part"],
        ),
        (
            of("[orders/readonly, kit/responder]"),
            GRANT.to_owned(),
            &["2:7 unknown-part"],
        ),
    ];
    for (bundle, text, expected) in cases {
        assert_eq!(asked(bundle, text), *expected, "{bundle}{text}");
    }
}

#[test]
fn a_bundle_can_only_be_stricter_than_its_parts() {
    let strict = BUNDLE.replace(
        "max_duration: 1d",
        "max_duration: 1h\n    requires: [ticket]\n    ticket_pattern: ^OPS-[0-9]+$",
    );
    assert_eq!(
        asked(&strict, GRANT),
        ["2:7 field-required", "3:11 term-too-long"]
    );
    let right = GRANT.replace("2h", "1h") + "ticket: OPS-12\n";
    assert_eq!(asked(&strict, &right), [""; 0]);
    assert_eq!(
        asked(&strict, &right.replace("OPS", "INC")),
        ["5:9 ticket-pattern"]
    );
}

#[test]
fn every_part_needs_owners() {
    let owners = "* @acme/security\n/access/grants/ledger/\n";
    let files = [
        (".github/CODEOWNERS", owners),
        (KIT, BUNDLE),
        (REQUEST, GRANT),
    ];
    let found = findings(&files);
    assert_eq!(told(REQUEST, &found), ["1:1 owner-missing"]);
    let one = found.iter().find(|f| f.path == REQUEST).unwrap();
    assert!(
        one.message.contains("access/grants/ledger/request.yaml")
            && one.message.contains("nobody can approve ledger/approver"),
        "{one:?}"
    );
}

#[test]
fn the_roles_of_a_bundle_are_given_like_any_other() {
    let reader = "person: ada\nrole: readonly\nduration: 2h\nreason: Reads the orders of today.\n";
    let admin = "person: ada\nrole: admin\nduration: 2h\nreason: Changes the schema today.\nticket: INC-1\nrisk: Much.\n";
    let single = "access/grants/orders/single.yaml";
    let with = |text: &str| {
        places(&findings(&[
            (KIT, BUNDLE),
            (REQUEST, GRANT),
            (single, text),
        ]))
    };
    assert_eq!(
        with(reader),
        [
            format!("{REQUEST}:1:9 duplicate-grant"),
            format!("{single}:1:9 duplicate-grant")
        ]
    );
    assert_eq!(
        with(admin),
        [
            format!("{REQUEST}:2:7 role-conflict"),
            format!("{single}:2:7 role-conflict")
        ]
    );
    let again = "access/grants/kit/again.yaml";
    let twice = findings(&[(KIT, BUNDLE), (REQUEST, GRANT), (again, GRANT)]);
    assert_eq!(
        places(&twice),
        [
            format!("{again}:1:9 duplicate-grant"),
            format!("{REQUEST}:1:9 duplicate-grant")
        ],
        "told once, not for each part"
    );
}

#[test]
fn a_role_may_exclude_a_bundle() {
    let excluding = BUNDLE.replace(
        "max_duration: 1d",
        "max_duration: 1d\n    conflicts_with: [wiki/editor]",
    );
    let editor = "person: ada\nrole: editor\nduration: 5h\nreason: Writes down what happened.\n";
    let found = findings(&[
        (KIT, &excluding),
        (WIKI, &EDITOR.replace("bob", "ada")),
        (REQUEST, GRANT),
        ("access/grants/wiki/ada.yaml", editor),
    ]);
    assert_eq!(
        places(&found),
        [
            format!("{REQUEST}:2:7 role-conflict"),
            "access/grants/wiki/ada.yaml:2:7 role-conflict".to_owned()
        ]
    );
}

#[test]
fn the_catalogue_tells_what_a_grant_gives_and_what_binds_it() {
    let tree = catalogue(&[(KIT, BUNDLE), (REQUEST, GRANT)]);
    let path = GrantPath::new(REQUEST).unwrap();
    let grant = &tree.grants[&path].grant;
    let parts = [role("ledger/approver"), role("orders/readonly")];
    assert_eq!(tree.gives(&path, grant), parts);
    assert_eq!(
        tree.binding(&path, grant),
        [role("kit/responder"), parts[0].clone(), parts[1].clone()]
    );
    assert_eq!(
        tree.access(&path, grant),
        None,
        "a bundle gives several things"
    );
    let access = tree.access_to(&parts[0], &grant.subject).unwrap();
    assert_eq!(access.connection.as_str(), "books");
    assert_eq!(tree.resources[&path.resource()].connection(), None);
}

#[test]
fn a_bundle_is_broken_where_its_parts_are_changed() {
    let base: &[(&str, &str)] = &[(KIT, BUNDLE)];
    let change = |path: &str, text: Option<&str>| places(&changed(base, &[(path, text)]));
    let world = |path: &str| {
        let mut files = crate::text::WORLD.iter();
        files
            .find(|(p, _)| *p == path)
            .expect("a file of the world")
            .1
    };
    let orders = "access/resources/orders.yaml";
    let ledger = "access/resources/ledger.yaml";
    assert_eq!(
        change(
            orders,
            Some(&world(orders).replace("  readonly:", "  reading:"))
        ),
        [format!("{orders}:1:1 unknown-part")]
    );
    assert_eq!(
        change(ledger, None),
        [format!("{ledger}:1:1 unknown-part"),]
    );
    let excluding = world(ledger).replace(
        "    max_duration: 30d\n",
        "    max_duration: 30d\n    conflicts_with: [orders/readonly]\n",
    );
    assert_eq!(
        change(ledger, Some(&excluding)),
        [format!("{ledger}:1:1 bundle-conflict")]
    );
    // What was broken before is no fault of whoever changes something else.
    let broken = BUNDLE.replace("ledger/approver", "ledger/aprover");
    let longer = world(orders).replace("max_duration: 8h", "max_duration: 9h");
    let found = changed(&[(KIT, &broken)], &[(orders, Some(&longer))]);
    assert_eq!(places(&found), [""; 0]);
}

fn changed(base: &[(&str, &str)], after: &[(&str, Option<&str>)]) -> Vec<Finding> {
    crate::text::rules::change(base, after)
}

#[test]
fn a_policy_names_roles_and_not_bundles() {
    let policy = |what: &str| {
        format!(
            "@id(\"baseline\")\npermit (principal, action, resource);\n\
             @id(\"not-these\")\n@message(\"Not these.\")\nforbid (principal, action == Action::\"request\", {what});\n"
        )
    };
    let of = |what: &str| {
        let text = policy(what);
        let found = findings(&[(KIT, BUNDLE), ("access/policies/guardrails.cedar", &text)]);
        let told = found.iter().map(|f| format!("{} {}", f.rule, f.help));
        told.collect::<Vec<_>>()
    };
    assert_eq!(of("resource == Role::\"orders/readonly\""), [""; 0]);
    let way_out =
        "policy-unknown-name Name Role::\"ledger/approver\", Role::\"orders/readonly\" instead.";
    assert_eq!(of("resource == Role::\"kit/responder\""), [way_out]);
    assert_eq!(of("resource in Resource::\"kit\""), [way_out]);
}
