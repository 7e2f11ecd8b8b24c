//! Rules between files: whole trees and changes.

use hallpass::domain::catalogue::{ChangedFile, File};
use hallpass::domain::finding::{Finding, Severity};
use hallpass::domain::rules::{MOST_GRANTS, check_change, check_tree, is_control_path};
use hallpass::domain::{parse, schema};

use super::{GRANT, PATH, catalogue, file, findings, grant, now, places, world_with};

#[test]
fn the_world_of_these_tests_is_clean() {
    assert_eq!(places(&findings(&[(PATH, GRANT)])), [""; 0]);
}

#[test]
fn a_grant_is_wrong_where_its_text_is_wrong() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("role: readonly\n", "", &["1:1 missing-field"]),
        (
            "duration: 2h",
            "duratoin: 2h",
            &["1:1 one-term", "3:1 unknown-field"],
        ),
        ("duration: 2h\n", "", &["1:1 one-term"]),
        (
            "duration: 2h",
            "duration: 2h\nexpires: 2026-11-24T12:00:00Z",
            &["4:1 one-term"],
        ),
        ("person: ada\n", "", &["1:1 one-subject"]),
        (
            "person: ada",
            "service: robot\nperson: ada",
            &["1:1 one-subject"],
        ),
        (
            "reason: Checkout fails for some customers.",
            "reason: because",
            &["4:9 bad-value"],
        ),
        (
            "person: ada",
            "person: ada\nticket: 4211",
            &["2:9 wrong-type"],
        ),
        ("person: ada", "person: [ada]", &["1:9 wrong-type"]),
        ("person: ada", "person: \u{212a}ay", &["1:9 not-normalized"]),
        ("person: ada", "person: ıda", &["1:9 bad-value"]),
        ("person: ada", "person: adda", &["1:9 unknown-person"]),
        ("person: ada", "service: rebot", &["1:10 unknown-service"]),
        ("role: readonly", "role: readonyl", &["2:7 unknown-role"]),
        ("role: readonly", "role: Readonly", &["2:7 bad-value"]),
        ("duration: 2h", "duration: 9h", &["3:11 term-too-long"]),
        ("duration: 2h", "duration: 2 hours", &["3:11 bad-value"]),
        ("duration: 2h", "duration: P1D", &["3:11 bad-value"]),
        ("duration: 2h", "duration: -2h", &["3:11 bad-value"]),
        ("duration: 2h", "duration: 99999d", &["3:11 bad-value"]),
        ("duration: 2h", "expires: 2026-11-23T20:00:00Z", &[]),
        (
            "duration: 2h",
            "expires: 2026-11-23T20:00:01Z",
            &["3:10 term-too-long"],
        ),
        (
            "duration: 2h",
            "expires: 2026-11-23T12:00:00Z",
            &["3:10 expired"],
        ),
        (
            "duration: 2h",
            "starts: 2026-11-24T10:00:00Z\nexpires: 2026-11-24T18:00:00Z",
            &[],
        ),
        (
            "duration: 2h",
            "starts: 2026-11-24T10:00:00Z\nexpires: 2026-11-24T10:00:00Z",
            &["4:10 ends-before-start"],
        ),
        (
            "duration: 2h",
            "duration: 2h\nstarts: 2026-12-07T12:00:00Z",
            &[],
        ),
        (
            "duration: 2h",
            "duration: 2h\nstarts: 2026-12-07T12:00:01Z",
            &["4:9 starts-too-late"],
        ),
        (
            "duration: 2h",
            "duration: 2h\nemergency: true",
            &["4:12 emergency-not-offered"],
        ),
        (
            "duration: 2h",
            "duration: 2h\nemergency: \"true\"",
            &["4:12 wrong-type"],
        ),
        (
            "role: readonly",
            "role: admin",
            &["2:7 field-required", "2:7 field-required"],
        ),
        (
            "role: readonly",
            "role: admin\nticket: INC-1\nrisk: Small.",
            &[],
        ),
        (
            "role: readonly",
            "role: admin\nticket: xINC-1\nrisk: Small.",
            &["3:9 ticket-pattern"],
        ),
    ];
    for (from, to, expected) in cases {
        assert!(GRANT.contains(from));
        assert_eq!(grant(&GRANT.replace(from, to)), *expected, "{to:?}");
    }
}

#[test]
fn instants_have_one_form() {
    let wrong = [
        "2026-11-23t20:00:00z",
        "2026-11-23T20:00:00+00:00",
        "2026-11-23T20:00:00.0Z",
        "2026-11-23T20:00Z",
        "2026-11-23 20:00:00Z",
        "2026-11-23",
        "2026-11-23T23:59:60Z",
        "2026-11-23T24:00:00Z",
        "2026-02-30T20:00:00Z",
        "2026-13-01T20:00:00Z",
        "0000-01-01T20:00:00Z",
        "9999-12-31T20:00:00Z",
        "10000-01-01T00:00:00Z",
        "tomorrow",
    ];
    for text in wrong {
        assert_eq!(
            grant(&GRANT.replace("duration: 2h", &format!("expires: {text}"))),
            ["3:10 bad-value"],
            "{text}"
        );
    }
    assert_eq!(parse::instant("2026-11-23T23:59:60Z"), None);
}

#[test]
fn a_message_names_the_values_and_the_help_the_way_out() {
    let told = |text: &str| {
        let found = findings(&[(PATH, text)]);
        (found[0].message.clone(), found[0].help.clone())
    };
    let (message, help) = told(&GRANT.replace("duration: 2h", "duration: 9h"));
    assert_eq!(
        message,
        "9h is asked for; orders/readonly lasts at most 8h, its `max_duration`"
    );
    assert_eq!(
        help,
        "Ask for at most 8h, and for more in another request when that ends."
    );
    let (message, help) = told(&GRANT.replace("readonly", "readonyl"));
    assert_eq!(message, "orders has no role \"readonyl\"");
    assert!(help.starts_with("Did you mean `readonly`?"), "{help}");
    let (_, help) = told(&GRANT.replace("duration:", "duratoin:"));
    assert!(help.contains("`duration` or `expires`"), "{help}");
    let (message, help) = told(&GRANT.replace("role: readonly", "role: readonly\nticket: 4211"));
    assert_eq!(message, "`ticket` is 4211, where text is expected");
    assert!(help.starts_with("Put it in quotes: \"4211\"."), "{help}");
}

#[test]
fn an_unknown_resource_is_found_by_its_folder() {
    let path = "access/grants/oders/request.yaml";
    assert_eq!(
        places(&findings(&[(path, GRANT)])),
        [format!("{path}:1:1 unknown-resource")]
    );
}

#[test]
fn a_subject_needs_an_account_where_the_resource_is() {
    let text = GRANT.replace("ada", "bob").replace("readonly", "approver");
    let found = findings(&[("access/grants/ledger/bob.yaml", &text)]);
    assert_eq!(
        places(&found),
        ["access/grants/ledger/bob.yaml:1:9 no-identity"]
    );
    assert!(found[0].help.contains("identities: { books: <account> }"));
}

#[test]
fn a_service_needs_a_known_owner() {
    let text = "description: Moves parcels about\nowner: bbo\nidentities: { pg: robot }\n";
    let found = findings(&[
        ("access/services/robot.yaml", text),
        (PATH, &GRANT.replace("person: ada", "service: robot")),
    ]);
    assert_eq!(
        places(&found),
        [
            format!("{PATH}:1:10 unknown-owner"),
            "access/services/robot.yaml:2:8 unknown-owner".into()
        ]
    );
}

#[test]
fn the_same_role_is_given_once() {
    let other = "access/grants/orders/again.yaml";
    let found = findings(&[(PATH, GRANT), (other, GRANT)]);
    assert_eq!(
        places(&found),
        [
            format!("{other}:1:9 duplicate-grant"),
            format!("{PATH}:1:9 duplicate-grant")
        ]
    );
    let ended = GRANT.replace("duration: 2h", "expires: 2026-11-01T00:00:00Z");
    assert_eq!(
        places(&findings(&[(PATH, GRANT), (other, &ended)])),
        [format!("{other}:3:10 expired")]
    );
    assert_eq!(
        places(&findings(&[
            (PATH, GRANT),
            (other, &GRANT.replace("ada", "bob"))
        ])),
        [""; 0]
    );
}

#[test]
fn roles_exclude_each_other_whichever_says_so() {
    let admin = GRANT.replace("readonly", "admin") + "ticket: INC-1\nrisk: Much.\n";
    let approver = GRANT.replace("readonly", "approver");
    let found = findings(&[(PATH, &admin), ("access/grants/ledger/ada.yaml", &approver)]);
    assert_eq!(
        places(&found),
        [
            "access/grants/ledger/ada.yaml:2:7 role-conflict".to_owned(),
            format!("{PATH}:2:7 role-conflict")
        ]
    );
}

#[test]
fn conflicts_name_roles_that_exist() {
    let resource = "description: Wiki\nrisk: low\nprovider: pg\nroles:\n  editor:\n    description: Edits\n    entitlement: { role: e }\n    \
                    max_duration: 1d\n    conflicts_with:\n      - ledger/approver\n      - ledger/aprover\n      - wiki/editor\n";
    let path = "access/resources/wiki.yaml";
    assert_eq!(
        places(&findings(&[(path, resource)])),
        [
            format!("{path}:11:9 unknown-conflict"),
            format!("{path}:12:9 unknown-conflict")
        ]
    );
}

#[test]
fn two_people_are_two_accounts() {
    let found = findings(&[(
        "access/people/bob.yaml",
        "name: Bob\ngithub_id: 1\nidentities: { pg: bob }\n",
    )]);
    assert_eq!(
        places(&found),
        [
            "access/people/ada.yaml:1:12 duplicate-github-id",
            "access/people/bob.yaml:2:12 duplicate-github-id"
        ]
    );
}

#[test]
fn names_and_places_of_files_are_checked() {
    let long = format!("access/grants/orders/{}.yaml", "x".repeat(200));
    let cases = [
        ("access/grants/orders/x.yml", "bad-path"),
        ("access/grants/orders/X.yaml", "bad-path"),
        ("access/grants/orders/-x.yaml", "bad-path"),
        ("access/grants/orders/x_y.yaml", "bad-path"),
        ("access/grants/orders/..yaml", "bad-path"),
        ("access/grants/orders/a b.yaml", "bad-path"),
        ("access/grants/orders/é.yaml", "bad-path"),
        ("access/grants/x.yml/y.yaml", "bad-path"),
        ("access/grants/../people/y.yaml", "unknown-file"),
        ("access/grants/orders/deep/x.yaml", "unknown-file"),
        ("access/grants/x.yaml", "unknown-file"),
        ("access/grants/orders/notes.md", "unknown-file"),
        ("access/people/Ada.yaml", "bad-path"),
        ("access/people/a[bot].yaml", "bad-path"),
        ("access/services/A.yaml", "bad-path"),
        ("access/resources/a.b.yaml", "bad-path"),
        ("access/README.md", "unknown-file"),
        ("access", "unknown-file"),
        ("access/policies/X.cedar", "bad-path"),
        (long.as_str(), "path-too-long"),
    ];
    for (path, rule) in cases {
        let found = parse::read_tree(&[file(path, GRANT)]).findings;
        assert_eq!(places(&found), [format!("{path}:1:1 {rule}")], "{path}");
    }
    assert!(
        parse::read_tree(&[file("src/access/x.yml", "a: b")])
            .findings
            .is_empty()
    );
}

#[test]
fn only_regular_files_are_read() {
    for mode in [0o120_000, 0o160_000, 0o100_755, 0] {
        let files = [
            File {
                mode,
                ..file(PATH, GRANT)
            },
            File {
                mode,
                ..file(".gitattributes", "")
            },
        ];
        let tree = parse::read_tree(&files);
        assert!(tree.grants.is_empty());
        assert_eq!(
            places(&tree.findings),
            [
                ".gitattributes:1:1 file-mode".to_owned(),
                format!("{PATH}:1:1 file-mode")
            ]
        );
    }
}

#[test]
fn paths_that_differ_in_case_alone_are_told_apart() {
    let upper = "access/people/ADA.yaml";
    let found = findings(&[(upper, "github_id: 9\n")]);
    assert_eq!(
        places(&found),
        [
            format!("{upper}:1:1 bad-path"),
            "access/people/ada.yaml:1:1 case-twin".into()
        ]
    );
}

#[test]
fn a_path_that_nobody_owns_is_found() {
    let cleared = "* @acme/security\n/access/grants/orders/\n";
    let found = findings(&[(".github/CODEOWNERS", cleared), (PATH, GRANT)]);
    assert_eq!(
        places(&found),
        [
            ".github/CODEOWNERS:1:1 owner-missing".to_owned(),
            format!("{PATH}:1:1 owner-missing")
        ]
    );
    assert!(
        found[1].message.contains("line 2 of .github/CODEOWNERS"),
        "{}",
        found[1].message
    );
    let unmatched = "/access/people/ @acme/security\n";
    let found = findings(&[(".github/CODEOWNERS", unmatched), (PATH, GRANT)]);
    let errors: Vec<_> = found
        .into_iter()
        .filter(|f| f.severity == Severity::Error)
        .collect();
    assert!(
        places(&errors).contains(&format!("{PATH}:1:1 owner-missing")),
        "{errors:?}"
    );
    let files: Vec<File> = world_with(&[(PATH, GRANT)])
        .into_iter()
        .filter(|f| f.path != ".github/CODEOWNERS")
        .collect();
    assert_eq!(
        places(&check_tree(&parse::read_tree(&files), now())),
        [".github/CODEOWNERS:1:1 owner-missing"]
    );
}

#[test]
fn files_that_decide_should_have_owners_too() {
    let found = findings(&[(".github/CODEOWNERS", "/access/grants/ @acme/owners\n")]);
    let warnings: Vec<_> = found.iter().map(|f| (f.rule, f.severity)).collect();
    assert_eq!(warnings, [("control-unowned", Severity::Warning); 4]);
}

/// A change to the world and `base`: `None` is a removal.
pub(super) fn changes(base: &[(&str, &str)], after: &[(&str, Option<&str>)]) -> Vec<ChangedFile> {
    let base_files = world_with(base);
    let one = |(path, text): &(&str, Option<&str>)| ChangedFile {
        path: (*path).into(),
        before: base_files
            .iter()
            .find(|f| f.path == *path)
            .map(|f| (f.blob.clone(), f.mode)),
        after: text.map(|text| file(path, text)),
    };
    after.iter().map(one).collect()
}

/// The findings of a change to the world and `base`.
pub fn change(base: &[(&str, &str)], after: &[(&str, Option<&str>)]) -> Vec<Finding> {
    check_change(&catalogue(base), &changes(base, after), now())
}

#[test]
fn a_change_is_judged_by_its_base() {
    assert_eq!(places(&change(&[], &[(PATH, Some(GRANT))])), [""; 0]);
    let found = change(
        &[],
        &[
            (PATH, Some(&GRANT.replace("ada", "eve"))),
            ("access/people/eve.yaml", Some("github_id: 7\n")),
        ],
    );
    assert_eq!(
        places(&found),
        [
            format!("{PATH}:1:1 control-and-grants"),
            format!("{PATH}:1:9 unknown-person")
        ]
    );
}

#[test]
fn a_change_tells_only_of_its_own_files() {
    let broken = [
        ("access/grants/orders/broken.yaml", "nonsense"),
        ("access/people/eve.yaml", "github_id: 1\n"),
    ];
    assert!(!findings(&broken).is_empty());
    assert_eq!(places(&change(&broken, &[(PATH, Some(GRANT))])), [""; 0]);
}

#[test]
fn a_change_is_compared_with_what_stands() {
    let other = "access/grants/orders/standing.yaml";
    assert_eq!(
        places(&change(&[(other, GRANT)], &[(PATH, Some(GRANT))])),
        [format!("{PATH}:1:9 duplicate-grant")]
    );
    // Moving a grant leaves it where it is until it was taken; changing it and removing it do not.
    assert_eq!(
        places(&change(
            &[(other, GRANT)],
            &[(PATH, Some(GRANT)), (other, None)]
        )),
        [format!("{PATH}:1:9 duplicate-grant")]
    );
    assert_eq!(
        places(&change(
            &[(other, GRANT)],
            &[(
                other,
                Some(&GRANT.replace("2h", "3h").replace("some", "still some"))
            )]
        )),
        [""; 0]
    );
    assert_eq!(
        places(&change(&[(other, GRANT)], &[(other, None)])),
        [""; 0]
    );
    let two = change(&[], &[(PATH, Some(GRANT)), (other, Some(GRANT))]);
    assert_eq!(
        places(&two),
        [
            format!("{PATH}:1:9 duplicate-grant"),
            format!("{other}:1:9 duplicate-grant")
        ]
    );
    let admin = GRANT.replace("readonly", "admin") + "ticket: INC-1\nrisk: Much.\n";
    let held = [(
        "access/grants/ledger/ada.yaml",
        &*GRANT.replace("readonly", "approver"),
    )];
    assert_eq!(
        places(&change(&held, &[(PATH, Some(&admin))])),
        [format!("{PATH}:2:7 role-conflict")]
    );
}

#[test]
fn what_has_ended_is_refused_when_asked_and_pointed_out_when_standing() {
    let ended = GRANT.replace("duration: 2h", "expires: 2026-11-01T00:00:00Z");
    assert_eq!(
        change(&[], &[(PATH, Some(&ended))])[0].severity,
        Severity::Error
    );
    assert_eq!(findings(&[(PATH, &ended)])[0].severity, Severity::Warning);
}

#[test]
fn a_start_that_has_passed_while_the_owners_thought_is_no_reason_to_refuse() {
    let begun = GRANT.replace("duration: 2h", "duration: 2h\nstarts: 2026-11-23T11:00:00Z");
    let found = change(&[], &[(PATH, Some(&begun))]);
    assert_eq!(
        (places(&found), found[0].severity),
        (
            vec![format!("{PATH}:4:9 starts-in-past")],
            Severity::Warning
        )
    );
    assert_eq!(places(&findings(&[(PATH, &begun)])), [""; 0]);
}

#[test]
fn a_change_is_about_grants_or_about_who_decides() {
    for control in [
        ".github/CODEOWNERS",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        ".gitattributes",
        "access/grants/.gitattributes",
        "access/grants/orders/.gitattributes",
        "deep/.gitattributes",
        "access/people/ada.yaml",
        "access/resources/orders.yaml",
        "access/services/robot.yaml",
        "access/policies/x.cedar",
        "access/whatever",
        "access",
        "access/grants",
    ] {
        assert!(is_control_path(control), "{control}");
        let rules: Vec<_> = change(&[], &[(PATH, Some(GRANT)), (control, None)])
            .iter()
            .map(|f| f.rule)
            .collect();
        assert!(
            rules.contains(&"control-and-grants"),
            "{control}: {rules:?}"
        );
    }
    for other in [
        PATH,
        "access/grants/orders/x.yml",
        "access/grants/x",
        "src/main.rs",
        "accessories",
        "x/access/people/y.yaml",
        ".github/CODEOWNERS.md",
    ] {
        assert!(!is_control_path(other), "{other}");
    }
    let found = change(
        &[],
        &[(PATH, Some(GRANT)), ("src/main.rs", Some("fn main() {}"))],
    );
    assert_eq!(places(&found), [format!("{PATH}:1:1 mixed-change")]);
    let found = change(
        &[],
        &[
            ("access/people/eve.yaml", Some("github_id: 7\n")),
            ("src/main.rs", None),
        ],
    );
    assert_eq!(places(&found), [""; 0]);
}

#[test]
fn a_change_asks_for_as_many_grants_as_can_be_weighed() {
    let people: Vec<(String, String)> = (0..=MOST_GRANTS)
        .map(|n| {
            (
                format!("access/people/p{n}.yaml"),
                format!("github_id: {}\nidentities: {{ pg: p{n} }}\n", 100 + n),
            )
        })
        .collect();
    let base: Vec<(&str, &str)> = people
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let grants: Vec<(String, String)> = (0..=MOST_GRANTS)
        .map(|n| {
            (
                format!("access/grants/orders/g{n}.yaml"),
                GRANT.replace("ada", &format!("p{n}")),
            )
        })
        .collect();
    let asked: Vec<(&str, Option<&str>)> = grants
        .iter()
        .map(|(path, text)| (path.as_str(), Some(text.as_str())))
        .collect();
    assert_eq!(places(&change(&base, &asked[1..])), [""; 0]);
    assert_eq!(
        places(&change(&base, &asked)),
        ["access/grants/orders/g0.yaml:1:1 too-many-grants"]
    );
    let removed: Vec<(&str, Option<&str>)> = grants
        .iter()
        .map(|(path, _)| (path.as_str(), None))
        .collect();
    assert_eq!(places(&change(&base, &removed)), [""; 0]);
}

#[test]
fn control_files_are_judged_by_the_tree_that_they_would_make() {
    let new_service = "description: Another robot of ours\nowner: eve\n";
    let eve = ("access/people/eve.yaml", Some("github_id: 7\n"));
    assert_eq!(
        places(&change(
            &[],
            &[eve, ("access/services/new.yaml", Some(new_service))]
        )),
        [""; 0]
    );
    assert_eq!(
        places(&change(
            &[],
            &[("access/services/new.yaml", Some(new_service))]
        )),
        ["access/services/new.yaml:2:8 unknown-owner"]
    );
    let twin = change(&[], &[("access/people/eve.yaml", Some("github_id: 2\n"))]);
    assert_eq!(
        places(&twin),
        ["access/people/eve.yaml:1:12 duplicate-github-id"]
    );
    // A number changes hands within one change.
    let swap = [
        ("access/people/ada.yaml", Some("github_id: 2\n")),
        ("access/people/bob.yaml", Some("github_id: 1\n")),
    ];
    assert_eq!(places(&change(&[], &swap)), [""; 0]);
}

#[test]
fn a_change_of_codeowners_is_judged_by_what_it_says() {
    let path = ".github/CODEOWNERS";
    let rules = |text: Option<&str>| places(&change(&[], &[(path, text)]));
    assert_eq!(rules(Some("* @acme/other\n")), [""; 0]);
    assert_eq!(
        rules(Some("* @acme/other\n!/access/ @acme/x\n")),
        [".github/CODEOWNERS:2:1 codeowners-invalid-line"]
    );
    assert_eq!(
        rules(Some("* @acme/other\n/access/grants/ledger/\n")),
        [".github/CODEOWNERS:1:1 owner-missing"]
    );
    assert_eq!(rules(None), [".github/CODEOWNERS:1:1 owner-missing"]);
    // What stood in its shadow comes into force.
    let shadow = [("CODEOWNERS", "* @acme/root\n")];
    assert_eq!(places(&change(&shadow, &[(path, None)])), [""; 0]);
}

#[test]
fn nothing_is_asked_for_while_a_line_of_codeowners_is_broken() {
    let base = [(
        ".github/CODEOWNERS",
        "* @acme/security\n/access/people/ nobody\n",
    )];
    let found = change(&base, &[(PATH, Some(GRANT))]);
    assert_eq!(places(&found), [format!("{PATH}:1:1 codeowners-broken")]);
    assert!(
        found[0].message.contains("line 2 of .github/CODEOWNERS"),
        "{}",
        found[0].message
    );
}

#[test]
fn a_broken_file_is_named_where_it_is_missed_and_told_alone_where_it_stands() {
    let files = [
        (
            "access/resources/orders.yaml",
            "nonsense: true\n",
            PATH,
            GRANT.to_owned(),
        ),
        (
            "access/people/ada.yaml",
            "nonsense: true\n",
            PATH,
            GRANT.to_owned(),
        ),
        (
            "access/services/robot.yaml",
            "nonsense: true\n",
            PATH,
            GRANT.replace("person: ada", "service: robot"),
        ),
        (
            "access/people/bob.yaml",
            "nonsense: true\n",
            PATH,
            GRANT.replace("person: ada", "service: robot"),
        ),
    ];
    let rules = [
        "unknown-resource",
        "unknown-person",
        "unknown-service",
        "unknown-owner",
    ];
    for ((broken, nonsense, path, text), rule) in files.iter().zip(rules) {
        let asked = change(&[(broken, nonsense)], &[(path, Some(text))]);
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert_eq!((asked[0].rule, asked[0].path.as_str()), (rule, *path));
        assert!(
            asked[0]
                .message
                .starts_with(&format!("{broken} cannot be used: ")),
            "{}",
            asked[0].message
        );
        assert!(
            asked[0].help.starts_with(&format!("Repair {broken} first")),
            "{}",
            asked[0].help
        );
        // The whole tree tells the fault itself, and not once more for everybody who needs the file.
        let whole = findings(&[(broken, nonsense), (path, text)]);
        assert!(!whole.is_empty());
        assert!(whole.iter().all(|f| f.path == *broken), "{whole:?}");
    }
}

#[test]
fn ticket_patterns_match_the_whole_ticket_and_cannot_escape_their_anchors() {
    let orders = super::WORLD
        .iter()
        .find(|(path, _)| path.ends_with("orders.yaml"))
        .unwrap()
        .1;
    let with = |pattern: &str, ticket: &str| {
        let resource = orders.replace("^INC-[0-9]+$", &format!("'{pattern}'"));
        let text = GRANT.replace("readonly", "admin") + &format!("risk: Much.\nticket: {ticket}\n");
        let found = findings(&[("access/resources/orders.yaml", &resource), (PATH, &text)]);
        found.iter().map(|f| f.rule).collect::<Vec<_>>()
    };
    assert_eq!(with("^INC|OPS-[0-9]+$", "INC"), [""; 0]);
    assert_eq!(with("^INC|OPS-[0-9]+$", "INCxyz"), ["ticket-pattern"]);
    for refused in [
        "INC-[0-9]+",
        "^a)|(?:b$",
        "^[$",
        "^(a{1000}){1000}$",
        "^(?=a)b$",
    ] {
        assert_eq!(with(refused, "ab")[..], ["bad-value"], "{refused}");
    }
}

#[test]
fn schemas_are_closed_and_their_patterns_anchored() {
    for kind in schema::Kind::ALL {
        let schema: serde_json::Value = serde_json::from_str(kind.source()).unwrap();
        assert!(
            schema["$id"]
                .as_str()
                .unwrap()
                .starts_with("urn:hallpass:schema:")
        );
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        lint(&schema, &format!("{kind:?}"));
    }
}

/// Every node of a schema that describes a value: closed if it is an object, anchored if it has a pattern, and explained.
fn lint(node: &serde_json::Value, place: &str) {
    const KNOWN: &[&str] = &[
        "$schema",
        "$id",
        "$ref",
        "$defs",
        "$comment",
        "title",
        "description",
        "type",
        "additionalProperties",
        "required",
        "allOf",
        "oneOf",
        "properties",
        "propertyNames",
        "pattern",
        "format",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "minProperties",
        "minItems",
        "maxItems",
        "maxProperties",
        "uniqueItems",
        "items",
        "enum",
        "default",
        "examples",
        "markdownDescription",
    ];
    let Some(object) = node.as_object() else {
        return;
    };
    for key in object.keys() {
        assert!(
            KNOWN.contains(&key.as_str()),
            "{place}: `{key}` is no keyword that we use"
        );
    }
    if let Some(pattern) = object.get("pattern") {
        let pattern = pattern.as_str().unwrap();
        assert!(
            pattern.starts_with('^') && pattern.ends_with('$'),
            "{place}: {pattern} is not anchored"
        );
    }
    if object.contains_key("type") {
        assert!(
            object.contains_key("title") && object.contains_key("description"),
            "{place}: not explained"
        );
    }
    if object.get("type").is_some_and(|kind| kind == "object") {
        let closed = match &object["additionalProperties"] {
            serde_json::Value::Bool(open) => !open || object.contains_key("$comment"),
            _ => object.contains_key("propertyNames"),
        };
        assert!(closed, "{place}: open");
    }
    for key in ["properties", "$defs"] {
        for (name, inner) in object
            .get(key)
            .and_then(|v| v.as_object())
            .into_iter()
            .flatten()
        {
            lint(inner, &format!("{place}/{name}"));
        }
    }
    for key in ["additionalProperties", "items", "propertyNames"] {
        if let Some(inner) = object.get(key) {
            lint(inner, &format!("{place}/{key}"));
        }
    }
}
