//! Cases beside policies, and the command that runs them.

use hallpass::domain::policy::cases;
use hallpass::domain::policy::table;
use hallpass::domain::schema::Kind;

use proptest::prelude::*;

use super::{BASELINE, FILE, forbid};
use crate::text::command::{commit, hallpass, put, world};
use crate::text::{catalogue, findings, places};

const TESTS: &str = "access/policies/guardrails.test.yaml";

/// One case about ada and orders/readonly.
fn case(action: &str, context: &str, expect: &str) -> String {
    format!(
        "cases:\n  - name: Something to be shown\n    action: {action}\n    person: ada\n    role: orders/readonly\n    context: {context}\n    {expect}\n"
    )
}

/// Why the only case failed under the policies; `None` if it did not.
fn run(policies: &str, tests: &str) -> Option<String> {
    let tree = catalogue(&[(FILE, policies), (TESTS, tests)]);
    assert_eq!(tree.findings, []);
    let tests = tree.policy_tests.values().next().unwrap();
    let results = cases::run(tests, &tree);
    assert_eq!(results.len(), 1);
    results[0].failure.clone()
}

#[test]
fn a_case_holds_or_says_what_the_policies_said_instead() {
    let policies = format!("{BASELINE}{}", forbid("late", "context.hour > 20"));
    let late = "{ hour: 21 }";
    for (context, expect, failure) in [
        ("{}", "expect: allow", None),
        ("{}", "expect: allow\n    by: baseline", None),
        (
            "{}",
            "expect: deny",
            Some("it is allowed by baseline (access/policies/guardrails.cedar:1)"),
        ),
        (
            "{}",
            "expect: allow\n    by: late",
            Some("not by late by baseline (access/policies/guardrails.cedar:1)"),
        ),
        (
            late,
            "expect: deny\n    by: late\n    message: late says no.",
            None,
        ),
        (
            late,
            "expect: deny\n    message: Late says no.",
            Some("the requester reads \"late says no.\""),
        ),
        (
            late,
            "expect: deny\n    by: baseline",
            Some("not by baseline by late (access/policies/guardrails.cedar:3)"),
        ),
        (
            late,
            "expect: allow",
            Some("it is denied by late (access/policies/guardrails.cedar:3)"),
        ),
    ] {
        let failed = run(&policies, &case("request", context, expect));
        assert_eq!(failed.as_deref(), failure, "{context} {expect}");
    }
    let nothing = "@id(\"x\") permit (principal is Service, action, resource);";
    assert_eq!(run(nothing, &case("request", "{}", "expect: deny")), None);
    assert_eq!(
        run(nothing, &case("request", "{}", "expect: deny\n    by: x")).as_deref(),
        Some("not by x: no policy permits it")
    );
    let broken = format!(
        "{BASELINE}{}",
        forbid("risky", "context.minutes + 9223372036854775807 > 0")
    );
    let failed = run(&broken, &case("request", "{}", "expect: deny")).unwrap();
    assert!(
        failed.starts_with("the policies cannot answer: "),
        "a no for the wrong reason: {failed}"
    );
}

#[test]
fn every_word_of_a_context_reaches_the_policies() {
    for (context, condition) in [
        (
            "{ minutes: 7 }",
            "context.minutes == 7 && context.total_minutes == 7",
        ),
        (
            "{ total_minutes: 7 }",
            "context.total_minutes == 7 && context.minutes == 60",
        ),
        ("{ starts_in_minutes: 7 }", "context.starts_in_minutes == 7"),
        (
            "{ hour: 0, weekday: sunday }",
            "context.hour == 0 && context.weekday == Weekday::\"sunday\"",
        ),
        (
            "{}",
            "context.hour == 10 && context.weekday == Weekday::\"tuesday\"",
        ),
        (
            "{ ticket: INC-1 }",
            "context has ticket && context.ticket == \"INC-1\"",
        ),
        (
            "{}",
            "!(context has ticket) && !context.has_risk && context.self_requested",
        ),
        ("{ has_risk: true }", "context.has_risk"),
        ("{ self_requested: false }", "!context.self_requested"),
        (
            "{ live_roles: [ledger/approver] }",
            "context.live_roles == [Role::\"ledger/approver\"]",
        ),
        (
            "{ live_roles: [ledger/approver, ledger/readonly] }",
            "context.live_count == 2",
        ),
        (
            "{}",
            "context.live_count == 0 && context.open_requests == 0",
        ),
        ("{ open_requests: 3 }", "context.open_requests == 3"),
        (
            "{ emergency: true, renewal: true }",
            "context.emergency && context.renewal",
        ),
        (
            "{ author: bob }",
            "context has author && context.author.login == \"bob\" && !context.self_requested",
        ),
    ] {
        let policy =
            format!("@id(\"x\") permit (principal, action, resource) when {{ {condition} }};");
        let failed = run(&policy, &case("request", context, "expect: allow"));
        assert_eq!(failed, None, "{context}");
    }
    let review = "@id(\"x\") permit (principal == Person::\"ada\", action == Action::\"approve\", resource) when { context has person && context.person.login == \"bob\" };";
    assert_eq!(
        run(review, &case("approve", "{ person: bob }", "expect: allow")),
        None
    );
    let review = review
        .replace("person &&", "service &&")
        .replace("context.person.login", "context.service.owner.login");
    assert_eq!(
        run(
            &review,
            &case("approve", "{ service: robot }", "expect: allow")
        ),
        None
    );
    for (context, minutes) in [("{}", 52_560_000), ("{ owner_minutes: 7 }", 7)] {
        let seasoned = format!(
            "@id(\"x\") permit (principal, action == Action::\"approve\", resource) when {{ context.owner_minutes == {minutes} }};"
        );
        let failed = run(&seasoned, &case("approve", context, "expect: allow"));
        assert_eq!(failed, None, "{context}");
    }
}

#[test]
fn the_schema_of_cases_knows_every_word_of_the_context() {
    let schema: serde_json::Value = serde_json::from_str(Kind::PolicyTest.source()).unwrap();
    let known = &schema["properties"]["cases"]["items"]["properties"]["context"]["properties"];
    let known: Vec<&str> = known
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let context = table()
        .into_iter()
        .filter(|(name, _)| name.starts_with("context"));
    // That follows from the roles.
    let said = |word: &&str| *word != "live_count";
    let words: Vec<&str> = context
        .flat_map(|(_, rows)| rows)
        .map(|row| row.name)
        .filter(said)
        .collect();
    assert_eq!(known, words);
}

#[test]
fn people_services_and_roles_may_be_given_in_the_file() {
    let policy = "@id(\"x\") permit (principal is Service, action, resource) when { principal.owner.hasTag(\"team\") && principal.owner.getTag(\"team\") == \"a b\" && resource.risk == Risk::\"low\" && resource.approvals == 3 };";
    let tests = "people:\n  newcomer: { attributes: { team: a b } }\nservices:\n  mower: { owner: newcomer }\nroles:\n  garden/lawn: { risk: low, approvals: 3 }\n\
                 cases:\n  - { name: The lawn is mowed, action: request, service: mower, role: garden/lawn, expect: allow }\n";
    assert_eq!(run(policy, tests), None);
    let teams = "@id(\"x\") permit (principal in Team::\"acme/dba\", action, resource);";
    let case = case("request", "{}", "expect: allow")
        .replace("    role:", "    teams: [acme/dba]\n    role:");
    assert_eq!(run(teams, &case), None);
}

#[test]
fn a_name_that_nobody_has_fails_the_case() {
    for (from, to, why) in [
        (
            "person: ada",
            "person: adda",
            "there is no person adda, neither in the tree nor in this file; did you mean ada?",
        ),
        (
            "person: ada",
            "service: rebot",
            "there is no service account rebot, neither in the tree nor in this file; did you mean robot?",
        ),
        (
            "role: orders/readonly",
            "role: orders/readonyl",
            "there is no role orders/readonyl, neither in the tree nor in this file; did you mean orders/readonly?",
        ),
    ] {
        let tests = case("request", "{}", "expect: allow").replace(from, to);
        assert_eq!(run(BASELINE, &tests).as_deref(), Some(why));
    }
}

#[test]
fn a_misspelt_key_of_a_case_is_refused_where_it_stands() {
    let right = case("request", "{ hour: 3 }", "expect: allow");
    for (from, to, expected) in [
        ("hour: 3", "huor: 3", "6:16 unknown-field"),
        ("expect:", "expects:", "2:5 missing-field"),
        ("action: request", "action: aprove", "3:13 bad-value"),
        ("hour: 3", "hour: 24", "6:22 bad-value"),
        ("role: orders/readonly", "role: readonly", "5:11 bad-value"),
        ("    person: ada\n", "", "2:5 one-subject"),
        (
            "person: ada",
            "person: ada\n    service: robot",
            "2:5 one-subject",
        ),
    ] {
        let found = findings(&[(FILE, BASELINE), (TESTS, &right.replace(from, to))]);
        assert_eq!(
            places(&found)[0],
            format!("{TESTS}:{expected}"),
            "{to}: {found:?}"
        );
    }
    // A file of cases decides nothing: it cannot deny anybody's request.
    let tree = catalogue(&[(FILE, BASELINE), (TESTS, "cases: []\n")]);
    assert!(tree.policies.broken().is_none());
}

#[test]
fn the_command_tells_each_case_and_ends_accordingly() {
    let dir = world(&[
        (FILE, BASELINE),
        (TESTS, &case("request", "{}", "expect: allow")),
    ]);
    let (code, out, err) = hallpass(dir.path(), &["policy", "test"]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (
            0,
            "access/policies/guardrails.test.yaml\n  ok      Something to be shown\n1 case, as expected.\n",
            ""
        )
    );
    put(dir.path(), TESTS, &case("request", "{}", "expect: deny"));
    let (code, out, _) = hallpass(dir.path(), &["policy", "test", "access"]);
    assert_eq!(code, 1);
    assert!(
        out.contains(
            "  FAILED  Something to be shown\n          line 2: it is allowed by baseline"
        ),
        "{out}"
    );
    assert!(out.ends_with("1 case, which failed.\n"), "{out}");
    let (code, out, _) = hallpass(dir.path(), &["policy", "test", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 1);
    assert_eq!(answer["cases"][0]["line"], 2);
    assert_eq!(answer["findings"], serde_json::json!([]));
    put(
        dir.path(),
        TESTS,
        &case("request", "{ huor: 3 }", "expect: allow"),
    );
    let (code, out, _) = hallpass(dir.path(), &["policy", "test"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("unknown-field") && out.contains("Did you mean `hour`?"),
        "{out}"
    );
}

#[test]
fn without_cases_nothing_is_wrong_and_without_a_repository_nothing_can_be_said() {
    let dir = world(&[(FILE, BASELINE)]);
    let (code, out, _) = hallpass(dir.path(), &["policy", "test"]);
    assert_eq!(
        (code, out.as_str()),
        (
            0,
            "No cases: there is no access/policies/<name>.test.yaml.\n"
        )
    );
    let empty = tempfile::tempdir().unwrap();
    let (code, _, err) = hallpass(empty.path(), &["policy", "test"]);
    assert_eq!(code, 2);
    assert!(err.starts_with("error: "), "{err}");
}

#[test]
fn the_examples_policies_pass_their_cases_and_are_validated_as_any_other_file() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, out, _) = hallpass(root, &["policy", "test"]);
    assert_eq!(code, 0, "{out}");
    let (code, out, _) = hallpass(root, &["validate"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn a_policy_file_that_git_would_leave_out_is_checked_all_the_same() {
    let dir = world(&[(FILE, "permit (principal);"), (".gitignore", "*.cedar\n")]);
    commit(dir.path(), "main");
    let (code, out, _) = hallpass(dir.path(), &["validate"]);
    assert_eq!(code, 1);
    assert!(out.contains("policy-syntax"), "{out}");
}

/// Where a case may say something, with what it says in the case of these tests.
const PLACES: [&str; 8] = [
    "action: request",
    "person: ada",
    "role: orders/readonly",
    "context: {}",
    "expect: allow",
    "hour: 3",
    "live_roles: []",
    "author: bob",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_the_schema_of_cases_accepts_the_types_accept(
        place in prop::sample::select(PLACES.to_vec()),
        value in prop_oneof![
            prop::sample::select(vec![
                "ada", "Ada_x", "orders/readonly", "request", "auto_approve", "allow", "deny", "0", "23", "24", "-1", "true", "[]",
                "[a/b]", "[a]", "{}", "{ hour: 1 }", "{ minutes: 52560001 }", "sunday", "\"\"", "x", "1e3", "99999999999999999999",
            ]).prop_map(str::to_owned),
            "[ -~]{0,12}",
        ],
    ) {
        let context = "{ hour: 3, live_roles: [], author: bob }";
        let right = case("request", context, "expect: allow").replace("context: {}", context);
        let (key, _) = place.split_once(": ").unwrap();
        let said = right.replace(place, &format!("{key}: {value}"));
        let found = findings(&[(FILE, BASELINE), (TESTS, &said)]);
        for finding in &found {
            let typed = finding.help.starts_with("Compare with the examples");
            prop_assert!(finding.rule != "bad-value" || !typed, "{finding:?}\n{said}");
        }
        let read = catalogue(&[(FILE, BASELINE), (TESTS, &said)]).policy_tests.len();
        // A case that can be read is run, and may fail.
        let refused = found.iter().any(|f| f.rule != "policy-test-failed");
        prop_assert_eq!(read == 1, !refused);
    }
}
