//! What roles say: how long, who may ask, what excludes what; and what a change of a grant may change.

use std::collections::BTreeSet;

use hallpass::domain::changes::Changes;
use hallpass::domain::finding::{Finding, Severity};
use hallpass::domain::model::GrantPath;
use hallpass::domain::rules::{check_change, check_change_knowing};

use super::rules::{change, changes};
use super::{GRANT, PATH, catalogue, findings, now, places};

const FILE: &str = "access/resources/orders.yaml";

/// The resource `orders` with these lines more in its only role, `readonly`.
fn orders(lines: &str) -> String {
    format!(
        "description: Orders database\nrisk: critical\nprovider: pg\nroles:\n  readonly:\n    description: Reads\n    \
         entitlement: {{ role: ro }}\n{lines}"
    )
}

/// `line:column rule` of each finding of a request with `term` for a role with `lines`.
fn asked(lines: &str, term: &str) -> Vec<String> {
    let text = GRANT.replace("duration: 2h", term);
    let found = change(&[(FILE, &orders(lines))], &[(PATH, Some(&text))]);
    let short = |f: &Finding| format!("{}:{} {}", f.line, f.column, f.rule);
    found.iter().map(short).collect()
}

#[test]
fn the_strictest_limit_of_a_role_counts_and_is_named() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "    max_duration: 8h\n    min_duration: 2h\n",
            "duration: 2h",
            &[],
        ),
        (
            "    max_duration: 8h\n    min_duration: 2h\n",
            "duration: 8h",
            &[],
        ),
        (
            "    max_duration: 8h\n    min_duration: 2h1m\n",
            "duration: 2h",
            &["3:11 term-too-short"],
        ),
        (
            "    max_duration: 8h\n    min_duration: 2h\n",
            "expires: 2026-11-23T14:00:00Z",
            &[],
        ),
        (
            "    max_duration: 8h\n    min_duration: 2h\n",
            "expires: 2026-11-23T13:59:59Z",
            &["3:10 term-too-short"],
        ),
        // From its start, not from now.
        (
            "    max_duration: 8h\n    min_duration: 2h\n",
            "starts: 2026-11-24T12:00:00Z\nexpires: 2026-11-24T13:00:00Z",
            &["4:10 term-too-short"],
        ),
        // What is over is only that.
        (
            "    max_duration: 8h\n    min_duration: 2h\n",
            "expires: 2026-11-23T11:00:00Z",
            &["3:10 expired"],
        ),
        (
            "    max_duration: 8h\n    min_duration: 2h\n",
            "starts: 2026-11-24T12:00:00Z\nexpires: 2026-11-24T11:00:00Z",
            &["4:10 ends-before-start"],
        ),
        (
            "    max_duration: 8h\n    max_total: 4h\n",
            "duration: 4h",
            &[],
        ),
        (
            "    max_duration: 8h\n    max_total: 4h\n",
            "duration: 5h",
            &["3:11 term-too-long"],
        ),
        (
            "    max_duration: 8h\n    max_total: 4h\n",
            "expires: 2026-11-23T16:00:01Z",
            &["3:10 term-too-long"],
        ),
        ("    max_duration: 100d\n", "duration: 100d", &[]),
    ];
    for (lines, term, expected) in cases {
        assert_eq!(asked(lines, term), *expected, "{lines}{term}");
    }
    let said = |lines: &str| {
        let text = GRANT.replace("2h", "9h");
        change(&[(FILE, &orders(lines))], &[(PATH, Some(&text))])[0]
            .message
            .clone()
    };
    assert_eq!(
        said("    max_duration: 8h\n    max_total: 4h\n"),
        "9h is asked for; orders/readonly lasts at most 4h, its `max_total`"
    );
    assert_eq!(
        said("    max_duration: 8h\n    max_total: 8h\n"),
        "9h is asked for; orders/readonly lasts at most 8h, its `max_duration`"
    );
}

#[test]
fn a_standing_grant_does_not_become_too_short_by_waiting_for_its_end() {
    let text = GRANT.replace("duration: 2h", "expires: 2026-11-23T12:30:00Z");
    let lines = "    max_duration: 8h\n    min_duration: 2h\n";
    assert_eq!(
        places(&findings(&[(FILE, &orders(lines)), (PATH, &text)])),
        [""; 0]
    );
}

#[test]
fn limits_that_contradict_each_other_are_found_where_they_stand() {
    let cases: &[(&str, &[&str])] = &[
        (
            "    min_duration: 1h\n    max_duration: 1h\n    max_total: 1h\n",
            &[],
        ),
        (
            "    min_duration: 1h1m\n    max_duration: 1h\n",
            &["8:19 limits-contradict"],
        ),
        (
            "    max_duration: 2h\n    max_total: 1h\n",
            &["8:19 limits-contradict"],
        ),
        (
            "    max_total: 1h\n    max_duration: 2h\n    min_duration: 3h\n",
            &["9:19 limits-contradict", "10:19 limits-contradict"],
        ),
        // Where it is left out, it is never less than max_duration.
        ("    max_duration: 3650d\n", &[]),
    ];
    for (lines, expected) in cases {
        let text = orders(lines);
        let expected: Vec<String> = expected.iter().map(|e| format!("{FILE}:{e}")).collect();
        assert_eq!(places(&findings(&[(FILE, &text)])), expected, "{lines}");
        // In its own pull request too.
        assert_eq!(
            places(&change(&[], &[(FILE, Some(&text))])),
            expected,
            "{lines}"
        );
    }
}

#[test]
fn who_may_ask_is_declared() {
    let lines = "    max_duration: 8h\n    eligible:\n      people: [ada, Adda]\n      services:\n        - robot\n        - rebot\n      teams: ['@acme/nobody-knows']\n";
    let found = findings(&[(FILE, &orders(lines))]);
    assert_eq!(
        places(&found),
        [
            format!("{FILE}:10:21 unknown-eligible"),
            format!("{FILE}:13:11 unknown-eligible")
        ]
    );
    assert!(
        found[0].help.starts_with("Did you mean `ada`?"),
        "{}",
        found[0].help
    );
    assert_eq!(
        places(&change(&[], &[(FILE, Some(&orders(lines)))])),
        places(&found)
    );
}

const ELIGIBLE: &[(&str, bool)] = &[
    ("people: [ada]", true),
    ("people: [bob]", false),
    ("services: [robot]", false),
    ("attributes: { department: [sales, finance] }", true),
    ("attributes: { department: [sales] }", false),
    ("attributes: { department: [finance], site: [oslo] }", true),
    (
        "attributes: { department: [finance], site: [bergen] }",
        false,
    ),
    ("attributes: { department: [finance], floor: ['3'] }", false),
    ("attributes: { site: [Oslo] }", false),
    ("people: [bob], attributes: { department: [finance] }", true),
    // Only the forge knows.
    ("teams: ['@acme/backend']", true),
    ("people: [bob], teams: ['@acme/backend']", true),
];

const ADA: (&str, &str) = (
    "access/people/ada.yaml",
    "github_id: 1\nattributes: { department: finance, site: oslo }\nidentities: { pg: ada, books: ada }\n",
);

#[test]
fn whoever_an_entry_names_may_ask_and_nobody_else() {
    for (entries, may) in ELIGIBLE {
        let text = orders(&format!(
            "    max_duration: 8h\n    eligible: {{ {entries} }}\n"
        ));
        let base = [ADA, (FILE, text.as_str())];
        let found = change(&base, &[(PATH, Some(GRANT))]);
        let expected: &[&str] = if *may { &[] } else { &["not-eligible"] };
        let rules: Vec<&str> = found.iter().map(|f| f.rule).collect();
        assert_eq!(rules, expected, "{entries}");
        assert!(found.iter().all(|f| f.severity == Severity::Error));
        // What stands was right when it was given.
        let standing = findings(&[ADA, (FILE, text.as_str()), (PATH, GRANT)]);
        assert!(
            standing.iter().all(|f| f.severity == Severity::Warning),
            "{standing:?}"
        );
        assert_eq!(standing.len(), expected.len(), "{entries}");
    }
}

#[test]
fn a_service_account_is_eligible_by_its_own_name_alone() {
    let text = GRANT.replace("person: ada", "service: robot");
    for (entries, may) in [
        ("services: [robot]", true),
        ("people: [bob]", false),
        ("teams: ['@acme/backend']", false),
        ("attributes: { department: [finance] }", false),
    ] {
        let resource = orders(&format!(
            "    max_duration: 8h\n    eligible: {{ {entries} }}\n"
        ));
        let found = change(&[(FILE, &resource)], &[(PATH, Some(&text))]);
        assert_eq!(found.is_empty(), may, "{entries}: {found:?}");
    }
}

#[test]
fn who_may_ask_is_judged_by_the_base() {
    let closed =
        orders("    max_duration: 8h\n    eligible: { attributes: { department: [finance] } }\n");
    let found = change(&[(FILE, &closed)], &[ADA_ASKS, (PATH, Some(GRANT))]);
    let rules: Vec<&str> = found.iter().map(|f| f.rule).collect();
    assert_eq!(rules, ["control-and-grants", "not-eligible"]);
    assert_eq!(
        found[1].message,
        "ada may not ask for orders/readonly, which is for people with department \"finance\""
    );
    assert!(found[1].help.contains(FILE), "{}", found[1].help);
}

const ADA_ASKS: (&str, Option<&str>) = (ADA.0, Some(ADA.1));

/// One grant that stands until 20:00, and rules of its change.
fn renewed(before: &str, after: &str) -> Vec<String> {
    let found = change(&[(PATH, before)], &[(PATH, Some(after))]);
    let short = |f: &Finding| format!("{}:{} {}", f.line, f.column, f.rule);
    found.iter().map(short).collect()
}

#[test]
fn a_changed_grant_stays_the_same_grant_and_says_anew_why() {
    let until = GRANT.replace("duration: 2h", "expires: 2026-11-23T18:00:00Z");
    let fresh = |text: &str| text.replace("some", "still some");
    let cases: &[(&str, String, &[&str])] = &[
        // Longer, shorter, or counted anew: a renewal.
        (
            GRANT,
            GRANT.replace("2h", "3h"),
            &["4:9 renewal-needs-reason"],
        ),
        (
            GRANT,
            GRANT.replace("2h", "1h"),
            &["4:9 renewal-needs-reason"],
        ),
        (
            GRANT,
            GRANT.replace("reason:", "ticket: INC-1\nreason:"),
            &["5:9 renewal-needs-reason"],
        ),
        (
            GRANT,
            format!("# Once more\n{GRANT}"),
            &["5:9 renewal-needs-reason"],
        ),
        (
            GRANT,
            GRANT
                .replace("2h", "3h")
                .replace("some customers.", "SOME  customers, ..! "),
            &["4:9 renewal-needs-reason"],
        ),
        (GRANT, fresh(&GRANT.replace("2h", "3h")), &[]),
        (GRANT, fresh(GRANT), &[]),
        (GRANT, until.clone(), &["4:9 renewal-needs-reason"]),
        (
            &until,
            until.replace("18:00:00", "18:00:01"),
            &["4:9 renewal-needs-reason"],
        ),
        (&until, fresh(&until.replace("18:00:00", "19:00:00")), &[]),
        // Only shorter.
        (&until, until.replace("18:00:00", "17:59:59"), &[]),
        (
            &until,
            until
                .replace("18:00:00", "17:00:00")
                .replace("reason:", "risk: None.\nreason:"),
            &["5:9 renewal-needs-reason"],
        ),
        // Somebody else's, or something else.
        (
            GRANT,
            fresh(&GRANT.replace("ada", "bob")),
            &["1:9 renewal-changes-grant"],
        ),
        (
            GRANT,
            GRANT.replace("person: ada", "service: robot"),
            &["1:10 renewal-changes-grant"],
        ),
        (
            GRANT,
            fresh(&GRANT.replace("readonly", "admin")) + "ticket: INC-1\nrisk: Much.\n",
            &["2:7 renewal-changes-grant"],
        ),
    ];
    for (before, after, expected) in cases {
        assert_eq!(renewed(before, after), *expected, "{after}");
    }
    // A file that cannot be read gave nothing that could be renewed.
    assert_eq!(renewed("nonsense: true\n", GRANT), [""; 0]);
}

#[test]
fn ending_sooner_is_never_too_short() {
    let lines = "    max_duration: 8h\n    min_duration: 2h\n";
    let until = GRANT.replace("duration: 2h", "expires: 2026-11-23T15:00:00Z");
    let sooner = until.replace("15:00", "12:30");
    let base = [(FILE, &*orders(lines)), (PATH, &*until)];
    assert_eq!(places(&change(&base, &[(PATH, Some(&sooner))])), [""; 0]);
    let renewed = sooner.replace("some", "still some");
    assert_eq!(
        places(&change(&base, &[(PATH, Some(&renewed))])),
        [format!("{PATH}:3:10 term-too-short")]
    );
}

#[test]
fn a_file_whose_grant_has_ended_is_in_nobodys_way() {
    let other = "access/grants/orders/standing.yaml";
    let approver = "access/grants/ledger/ada.yaml";
    let admin = GRANT.replace("readonly", "admin") + "ticket: INC-1\nrisk: Much.\n";
    let base = [
        (other, GRANT.to_owned()),
        (approver, GRANT.replace("readonly", "approver")),
    ];
    let base: Vec<(&str, &str)> = base.iter().map(|(p, t)| (*p, t.as_str())).collect();
    let over = |paths: &[&str]| -> BTreeSet<GrantPath> {
        paths
            .iter()
            .map(|path| GrantPath::new(*path).unwrap())
            .collect()
    };
    for (text, ended, rule) in [
        (GRANT, other, "duplicate-grant"),
        (&*admin, approver, "role-conflict"),
    ] {
        let changes = changes(&base, &[(PATH, Some(text))]);
        let tree = catalogue(&base);
        let blind = check_change(&tree, &changes, now());
        assert_eq!(blind.len(), 1, "{blind:?}");
        assert_eq!(blind[0].rule, rule);
        assert!(
            blind[0].help.contains("has just ended"),
            "{}",
            blind[0].help
        );
        let changes = Changes::read(changes);
        // Who knows nothing of the ledger and who knows of nothing that ended say the same, letter for letter.
        assert_eq!(
            check_change_knowing(&tree, &changes, now(), &over(&[])),
            blind
        );
        assert_eq!(
            check_change_knowing(&tree, &changes, now(), &over(&[ended])),
            []
        );
        let wrong = if ended == other { approver } else { other };
        assert_eq!(
            check_change_knowing(&tree, &changes, now(), &over(&[wrong])),
            blind
        );
    }
}
