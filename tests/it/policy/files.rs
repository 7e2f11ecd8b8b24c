//! Reading policy files: what is refused, where, and that no text can harm the reader.

use std::collections::BTreeSet;

use hallpass::domain::catalogue::{ChangedFile, File, REGULAR_FILE};
use hallpass::domain::finding::Severity;
use hallpass::domain::parse::read_tree;
use hallpass::domain::policy::{self, Answer, MAX_DEPTH, MAX_POLICIES, MAX_TEAMS, MAX_TOKENS};
use hallpass::domain::rules::{MOST_POLICY_FILES, check_change, check_tree};

use super::{BASELINE, FILE, ask, forbid, wrong};
use crate::text::{GRANT, PATH, catalogue, file, findings, now, places, world_with};

/// The baseline and one more policy.
fn with(policy: &str) -> String {
    format!("{BASELINE}{policy}\n")
}

#[test]
fn policies_may_ask_everything_that_the_documentation_offers() {
    assert_eq!(wrong(BASELINE), [""; 0]);
    for condition in [
        "context.minutes > 60 && context.total_minutes > 60 && context.starts_in_minutes == 0",
        "context.hour < 6 && [Weekday::\"saturday\", Weekday::\"sunday\"].contains(context.weekday)",
        "context has ticket && context.ticket like \"INC-*\"",
        "context.live_roles.contains(Role::\"ledger/approver\")",
        "context has author && context.author in Team::\"acme/backend\"",
        "principal is Person && principal.hasTag(\"department\") && principal.getTag(\"department\") == \"finance\"",
        "principal is Service && principal.owner.login == \"ada\"",
        "resource.risk == Risk::\"critical\" && resource.risk_level > 3",
        "resource in Resource::\"orders\" && resource.resource.provider == \"pg\"",
        "resource.conflicts_with.containsAny(context.live_roles)",
    ] {
        assert_eq!(
            wrong(&with(&forbid("x", condition))),
            [""; 0],
            "{condition}"
        );
    }
}

#[test]
fn a_policy_is_wrong_where_its_text_is_wrong() {
    let cases: &[(&str, &[&str])] = &[
        (
            "permit (principal);",
            &["3:18 policy-syntax", "3:18 policy-syntax"],
        ),
        (
            "permit (principal, action, resource)",
            &["3:37 policy-syntax"],
        ),
        (
            "@id(\"x\") permit (principal, action, resource) when { context.minuts > 3 };",
            &["3:54 policy-invalid"],
        ),
        (
            "@id(\"x\") permit (principal, action, resource) when { context.minutes > \"3h\" };",
            &["3:72 policy-invalid"],
        ),
        (
            "@id(\"x\") permit (principal, action, resource) when { context.ticket == \"x\" };",
            &["3:54 policy-invalid"],
        ),
        (
            "@id(\"x\") permit (principal, action == Action::\"aprove\", resource);",
            &["3:39 policy-invalid"],
        ),
        (
            "@id(\"x\") permit (principal is Prson, action, resource);",
            &["3:31 policy-invalid"],
        ),
        (
            "@id(\"x\") permit (principal is Service, action == Action::\"approve\", resource);",
            &["3:1 policy-invalid"],
        ),
        (
            "@id(\"x\") permit (principal, action, resource) when { context.weekday == Weekday::\"sunnday\" };",
            &["3:73 policy-invalid"],
        ),
        (
            "@id(\"x\") permit (principal, action, resource) when { resource.risk == Risk::\"critcal\" };",
            &["3:71 policy-invalid"],
        ),
        (
            "@id(\"x\") permit (principal, action, resource) when { principal.getTag(\"x\") == \"y\" };",
            &["3:54 policy-invalid"],
        ),
        (
            "@id(\"x\") permit (principal, action, resource) when { false };",
            &["3:1 policy-invalid"],
        ),
        (
            "@id(\"x\") permit (principal == ?principal, action, resource);",
            &["3:1 policy-syntax"],
        ),
        ("permit (principal, action, resource);", &["3:1 policy-id"]),
        (
            "@id(\"X y\") permit (principal, action, resource);",
            &["3:1 policy-id"],
        ),
        (
            "@id(\"baseline\") permit (principal, action, resource);",
            &["1:1 policy-id", "3:1 policy-id"],
        ),
        (
            "@id(\"x\") forbid (principal, action, resource);",
            &["3:1 policy-message"],
        ),
        (
            "@id(\"x\") @message(\" \") forbid (principal, action, resource);",
            &["3:1 policy-message"],
        ),
        (
            "@id(\"x\") @message(\"a\\nb\") forbid (principal, action, resource);",
            &["3:1 policy-message"],
        ),
        (
            "@id(\"x\") @message(\"a\\u{202e}b\") forbid (principal, action, resource);",
            &["3:1 policy-message"],
        ),
        (
            "@id(\"x\") permit (principal, action, resource in Resource::\"oders\");",
            &["3:1 policy-unknown-name"],
        ),
        (
            "@id(\"x\") permit (principal in Team::\"backend\", action, resource);",
            &["3:1 policy-unknown-name"],
        ),
        (
            "@id(\"x\") permit (principal in Team::\"Acme/backend\", action, resource);",
            &["3:1 policy-unknown-name"],
        ),
        (
            "@id(\"x\") permit (principal, action, resource == Role::\"orders/readonyl\");",
            &["3:1 policy-unknown-name"],
        ),
        (
            "@id(\"x\") permit (principal == Person::\"adda\", action, resource);",
            &["3:1 policy-unknown-name"],
        ),
        ("// a comment with ; and \" and (\n", &[]),
        (
            "@id(\"x\") permit (principal, action, resource) when { context has ticket && context.ticket == \"a;b // c\" };",
            &[],
        ),
    ];
    for (policy, expected) in cases {
        assert_eq!(wrong(&with(policy)), *expected, "{policy}");
    }
    let long = "x".repeat(301);
    let long = format!("@id(\"x\") @message(\"{long}\") forbid (principal, action, resource);");
    assert_eq!(wrong(&with(&long)), ["3:1 policy-message"]);
}

#[test]
fn a_misspelt_attribute_is_told_with_the_one_that_was_meant() {
    let found = findings(&[(FILE, &with(&forbid("x", "context.minuts > 60")))]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].message.contains("`minuts`"),
        "{}",
        found[0].message
    );
    assert_eq!(found[0].help, "did you mean `minutes`?");
    let found = findings(&[(
        FILE,
        &with(&forbid("x", "resource == Role::\"orders/readonyl\"")),
    )]);
    assert!(
        found[0].help.starts_with("Did you mean `orders/readonly`?"),
        "{found:?}"
    );
}

#[test]
fn a_person_who_left_makes_a_policy_no_error() {
    let policy = "@id(\"x\") permit (principal == Person::\"gone\", action, resource);";
    assert_eq!(
        findings(&[(FILE, &with(policy))])[0].severity,
        Severity::Warning
    );
}

#[test]
fn bytes_that_a_reviewer_cannot_see_are_refused_in_policies_too() {
    for (text, rule) in [
        (
            format!("{BASELINE}// \u{202e}\n"),
            "2:4 forbidden-character".replace("2:", "3:"),
        ),
        (
            format!("{BASELINE}\t"),
            "3:1 forbidden-character".to_owned(),
        ),
        (
            format!("{BASELINE}// e\u{301}\n"),
            "3:4 not-normalized".to_owned(),
        ),
        (
            format!("{BASELINE}{}", "/".repeat(65_536)),
            "1:1 file-too-large".to_owned(),
        ),
    ] {
        assert_eq!(wrong(&text), [rule]);
    }
}

#[test]
fn an_id_stands_once_over_all_files() {
    let other = "access/policies/other.cedar";
    let found = findings(&[(FILE, BASELINE), (other, BASELINE)]);
    assert_eq!(
        places(&found),
        [
            format!("{FILE}:1:1 policy-id"),
            format!("{other}:1:1 policy-id")
        ]
    );
    let tree = catalogue(&[(FILE, BASELINE), (other, BASELINE)]);
    assert!(
        matches!(ask(&tree, |_| {}), Answer::Unusable(_)),
        "neither of the two is believed"
    );
}

#[test]
fn policies_that_permit_nothing_are_told_also_where_the_change_removes_what_did() {
    let rest = forbid("x", "context.minutes > 60");
    assert_eq!(wrong(&rest), ["1:1 policy-permits-nothing"]);
    assert_eq!(wrong(""), ["1:1 policy-permits-nothing"]);
    let other = "access/policies/other.cedar";
    let base = catalogue(&[(FILE, &rest), (other, BASELINE)]);
    let before = file(other, BASELINE);
    let gone = ChangedFile {
        path: other.into(),
        before: Some((before.blob, REGULAR_FILE)),
        after: None,
    };
    let found = check_change(&base, &[gone], now());
    assert_eq!(
        places(&found),
        [format!("{other}:1:1 policy-permits-nothing")]
    );
}

#[test]
fn a_policy_that_cannot_be_read_denies_every_request_and_is_told_at_its_line_in_its_own_change() {
    let broken = with("@id(\"x\") forbid (principal;");
    for (path, text, mode) in [
        (FILE, broken.as_str(), REGULAR_FILE),
        (FILE, "elsewhere", 0o120_000),
        ("access/policies/Odd.cedar", BASELINE, REGULAR_FILE),
        ("access/policies/odd.CEDAR", BASELINE, REGULAR_FILE),
        ("access/policies/deep/odd.cedar", BASELINE, REGULAR_FILE),
    ] {
        let mut files = world_with(&[]);
        files.push(File {
            mode,
            ..file(path, text)
        });
        let base = read_tree(&files);
        assert!(!check_tree(&base, now()).is_empty());
        let asked = ChangedFile {
            path: PATH.into(),
            before: None,
            after: Some(file(PATH, GRANT)),
        };
        let found = check_change(&base, &[asked], now());
        assert_eq!(
            places(&found),
            [format!("{PATH}:1:1 policy-broken")],
            "{path}"
        );
        assert!(matches!(ask(&base, |_| {}), Answer::Unusable(_)));
    }
    let base = catalogue(&[]);
    let asked = ChangedFile {
        path: FILE.into(),
        before: None,
        after: Some(file(FILE, &broken)),
    };
    assert_eq!(
        places(&check_change(&base, &[asked], now())),
        [format!("{FILE}:3:27 policy-syntax")]
    );
}

/// Runs something on a stack as small as the ones that the service has.
fn on_a_small_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

#[test]
fn deep_brackets_are_refused_before_they_could_end_the_process() {
    let nested = |open: &str, close: &str, depth: usize| {
        forbid(
            "x",
            &format!("{}true{}", open.repeat(depth), close.repeat(depth)),
        )
    };
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{a: ", "}"),
        ("if (", ") then true else true"),
        ("true && (", ")"),
    ] {
        for depth in [MAX_DEPTH + 1, 100, 2_000] {
            let found = on_a_small_stack(|| wrong(&with(&nested(open, close, depth))));
            assert_eq!(found.len(), 1, "{open} {depth}: {found:?}");
            assert!(
                found[0].ends_with("policy-too-complex"),
                "{open} {depth}: {found:?}"
            );
        }
    }
    // One level is the condition's own.
    let deepest = nested("(", ")", MAX_DEPTH - 1);
    assert_eq!(on_a_small_stack(|| wrong(&with(&deepest))), [""; 0]);
}

#[test]
fn the_longest_policy_that_is_read_can_be_asked_on_a_small_stack() {
    let chains = [
        ("context.has_risk", " && context.has_risk", 5),
        ("context.has_risk", " || context.has_risk", 5),
        ("context.minutes", " + context.minutes", 4),
        (
            "if context.has_risk then true else ",
            "if context.has_risk then true else ",
            7,
        ),
        ("!", "!", 1),
        (
            "context.live_roles == resource.conflicts_with",
            " && context.live_roles == resource.conflicts_with",
            10,
        ),
    ];
    for (first, more, tokens) in chains {
        for length in [MAX_TOKENS / tokens - 8, MAX_TOKENS] {
            let end = match first {
                "context.minutes" => " > 0",
                "!" => "context.has_risk",
                first if first.starts_with("if") => "true",
                _ => "",
            };
            let condition = format!("{first}{}{end}", more.repeat(length));
            let forbids = forbid("x", &condition);
            let approves = format!(
                "@id(\"x\") permit (principal, action == Action::\"auto_approve\", resource) when {{ {condition} }};"
            );
            for text in [with(&forbids), with(&approves)] {
                on_a_small_stack(|| {
                    let tree = catalogue(&[(FILE, &text)]);
                    let said = ask(&tree, |_| {});
                    if length == MAX_TOKENS {
                        assert!(matches!(said, Answer::Unusable(_)), "{first}");
                    }
                    // Whatever is said, the process goes on, and nothing that could not be evaluated permits.
                    assert!(
                        !matches!(said, Answer::Permitted(_)) || tree.policies.broken().is_none()
                    );
                });
            }
        }
    }
}

#[test]
fn the_published_schema_is_the_one_that_is_enforced() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/hallpass.cedarschema");
    super::current(path, &policy::schema_source());
}

#[test]
fn the_documentation_lists_what_policies_can_ask() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policies.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (begin, end) = (
        "<!-- written by a test, from the program -->\n",
        "<!-- end of it -->",
    );
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let text = format!("{before}{begin}\n{}\n{end}{after}", policy::reference());
    super::current(path, &text);
}

#[test]
fn every_policy_in_the_documentation_is_valid_and_every_case_passes() {
    let page = include_str!("../../../docs/policies.md");
    let blocks = |language: &str| -> Vec<String> {
        let begin = format!("```{language}\n");
        let parts = page.split(&begin).skip(1);
        parts
            .map(|part| part.split("```").next().unwrap().to_owned())
            .collect()
    };
    let policies = blocks("cedar").join("\n");
    let tests = blocks("yaml").concat();
    let test_path = "access/policies/guardrails.test.yaml";
    let tree = catalogue(&[(FILE, &policies), (test_path, &tests)]);
    assert_eq!(tree.findings, []);
    assert_eq!(wrong(&policies), [""; 0]);
    let results = tree
        .policy_tests
        .values()
        .flat_map(|t| policy::cases::run(t, &tree));
    let results: Vec<_> = results.collect();
    assert!(
        results.len() > 1 && results.iter().all(|r| r.failure.is_none()),
        "{results:?}"
    );
}

/// A file of this many policies that permit, each as long as `padding` makes it.
fn many(prefix: &str, policies: usize, padding: &str) -> String {
    let one =
        |n| format!("@id(\"{prefix}{n}\")\n// {padding}\npermit (principal, action, resource);\n");
    (0..policies).map(one).collect()
}

#[test]
fn a_file_holds_at_most_so_many_policies() {
    assert_eq!(wrong(&many("p", MAX_POLICIES, "")), [""; 0]);
    let found = wrong(&many("p", MAX_POLICIES + 1, ""));
    assert_eq!(
        found,
        [format!("{}:1 policy-too-complex", MAX_POLICIES * 3 + 1)]
    );
}

/// What is wrong with these files, and whether their policies still answer.
fn together(files: &[(String, String)]) -> (Vec<&'static str>, bool) {
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    let found = findings(&files);
    let rules = found.iter().map(|f| f.rule).collect::<BTreeSet<_>>();
    let answer = ask(&catalogue(&files), |_| {});
    (
        rules.into_iter().collect(),
        matches!(answer, Answer::Permitted(_)),
    )
}

#[test]
fn policies_that_would_take_too_long_to_ask_together_are_refused_and_deny() {
    let path = |n: usize| format!("access/policies/p{n}.cedar");
    let padding = "x".repeat(900);
    let file = |n: usize| (path(n), many(&format!("p{n}-"), 64, &padding));
    let three: Vec<_> = (0..3).map(file).collect();
    assert_eq!(together(&three[..2]), (vec![], true));
    assert_eq!(together(&three), (vec!["policy-too-complex"], false));

    let teams = |n: usize| {
        let team = |n| format!("principal in Team::\"acme/t{n}\"");
        let any = (0..n).map(team).collect::<Vec<_>>().join(" || ");
        [(path(0), format!("{BASELINE}{}", forbid("x", &any)))]
    };
    assert_eq!(together(&teams(MAX_TEAMS)), (vec![], true));
    assert_eq!(
        together(&teams(MAX_TEAMS + 1)),
        (vec!["policy-too-complex"], false)
    );
}

#[test]
fn more_cases_than_are_asked_are_refused() {
    let cases = |n: usize| {
        let one = "- { name: ada asks, action: request, person: ada, role: orders/readonly, expect: deny }\n";
        format!("cases:\n{}", one.repeat(n))
    };
    let file = |n: usize, cases: String| (format!("access/policies/c{n}.test.yaml"), cases);
    let mut files = vec![(FILE.to_owned(), BASELINE.to_owned())];
    files.extend((0..2).map(|n| file(n, cases(300))));
    assert_eq!(together(&files).0, ["policy-test-failed"]);
    files.extend((2..4).map(|n| file(n, cases(300))));
    assert_eq!(together(&files).0, ["policy-too-complex"]);
}

#[test]
fn a_change_brings_few_files_of_policies() {
    let file = |n: usize| {
        let file = file(
            &format!("access/policies/p{n}.cedar"),
            many(&format!("p{n}-"), 1, ""),
        );
        ChangedFile {
            path: file.path.clone(),
            before: None,
            after: Some(file),
        }
    };
    let changes: Vec<ChangedFile> = (0..=MOST_POLICY_FILES).map(file).collect();
    let rules = |changes: &[ChangedFile]| -> Vec<&str> {
        let found = check_change(&catalogue(&[]), changes, now());
        found.iter().map(|f| f.rule).collect()
    };
    assert_eq!(rules(&changes[1..]), [""; 0]);
    assert_eq!(rules(&changes), ["policy-too-complex"]);
}
