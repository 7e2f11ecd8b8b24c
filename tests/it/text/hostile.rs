//! Hostile content: refused, each with its place.

use hallpass::domain::parse::{MAX_BYTES, read_tree};
use hallpass::domain::rules::RULES;
use proptest::prelude::*;

use super::{GRANT, PATH, file, findings, grant};

#[test]
fn a_well_formed_grant_has_no_findings() {
    assert_eq!(grant(GRANT), [""; 0]);
}

#[test]
fn plain_text_may_hold_what_yaml_uses_elsewhere() {
    for reason in [
        "reason: \"R&D *urgent*! see: [A] & {B}\"",
        "reason: see A & B, *really* urgent! why ? because",
        "reason: 'it''s urgent: *now* & !later'",
        "reason: |\n  * first\n  & second\n  ! third\n  - {x: [y]} # not a comment\n  ? why\n  --- not a document",
        "reason: >-\n  folded &text *with* !marks\n  and 100% more",
        "reason: two lines\n  *of* &plain !text",
        "reason: why is it so slow? # &comment *with* !marks",
        "reason: Größe, naïve, 注文, Ελληνικά 🎉 are words",
    ] {
        let text = format!("person: ada\nrole: readonly\n{reason}\nduration: 2h\n");
        assert_eq!(grant(&text), [""; 0], "{reason}");
    }
}

#[test]
fn windows_line_ends_are_line_ends() {
    assert_eq!(grant(&GRANT.replace('\n', "\r\n")), [""; 0]);
    assert_eq!(
        grant(&GRANT.replace('\n', "\r\n").replace("role:", "rule:")),
        ["1:1 missing-field", "2:1 unknown-field"]
    );
}

#[test]
fn a_lone_carriage_return_cannot_hide_a_key() {
    let text = GRANT.replace("person: ada", "person: ada # note\rrole: admin");
    assert_eq!(grant(&text), ["1:19 forbidden-character"]);
}

#[test]
fn every_control_character_is_refused_where_it_stands() {
    for byte in (0..=0xff_u8).filter(|b| *b < b' ' || *b >= 0x7f) {
        if byte == b'\n' {
            continue;
        }
        let mut bytes = GRANT.as_bytes().to_vec();
        bytes.insert(9, byte);
        let found = read_tree(&[file(PATH, bytes)]).findings;
        let rule = if byte < 0x80 {
            "forbidden-character"
        } else {
            "invalid-utf8"
        };
        assert_eq!(
            (found[0].line, found[0].column, found[0].rule),
            (1, 10, rule),
            "0x{byte:02X}"
        );
    }
}

#[test]
fn characters_that_nobody_sees_are_refused_where_they_stand() {
    let hidden = [
        '\u{80}',
        '\u{85}',
        '\u{9f}',
        '\u{ad}',
        '\u{61c}',
        '\u{180e}',
        '\u{200b}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{3164}',
        '\u{feff}',
        '\u{fff9}',
        '\u{fffe}',
        '\u{e0041}',
        '\u{10ffff}',
    ];
    for c in hidden {
        let text = GRANT.replace("Checkout", &format!("é{c}Checkout"));
        assert_eq!(
            grant(&text),
            ["4:10 forbidden-character"],
            "U+{:04X}",
            c as u32
        );
    }
    assert_eq!(
        grant(&format!("\u{feff}{GRANT}")),
        ["1:1 forbidden-character"]
    );
}

#[test]
fn text_is_in_composed_form() {
    let text = GRANT.replace("Checkout", "Cafe\u{301} checkout");
    assert_eq!(grant(&text), ["4:12 not-normalized"]);
}

#[test]
fn a_file_has_at_most_64_kib() {
    let pad = |to: usize| format!("{GRANT}#{}\n", "x".repeat(to - GRANT.len() - 2));
    assert_eq!(grant(&pad(MAX_BYTES)), [""; 0]);
    assert_eq!(grant(&pad(MAX_BYTES + 1)), ["1:1 file-too-large"]);
}

#[test]
fn yaml_that_means_more_than_it_shows_is_refused_where_it_stands() {
    let cases: &[(&str, &str, &str)] = &[
        ("person: ada", "person: &a ada", "1:9 yaml-anchor"),
        ("person: ada", "person: *a", "1:9 yaml-syntax"),
        ("person: ada", "&a person: ada", "1:1 yaml-anchor"),
        ("person: ada", "x: &a y\nperson: *a", "1:4 yaml-anchor"),
        ("person: ada", "person: !!binary YWRh", "1:9 yaml-tag"),
        ("person: ada", "person: !!str ada", "1:9 yaml-tag"),
        ("person: ada", "person: ! ada", "1:9 yaml-tag"),
        ("person: ada", "person: !include ada", "1:9 yaml-tag"),
        ("person: ada", "!!str person: ada", "1:1 yaml-tag"),
        ("person: ada", "<<: { person: ada }", "1:1 yaml-merge-key"),
        (
            "person: ada",
            "\"<<\": { person: ada }",
            "1:1 yaml-merge-key",
        ),
        ("person: ada", "? person\n: ada", "1:3 yaml-key"),
        ("person: ada", "1: ada", "1:1 yaml-key"),
        ("person: ada", "true: ada", "1:1 yaml-key"),
        ("person: ada", "yes: ada", "1:1 yaml-key"),
        ("person: ada", "~: ada", "1:1 yaml-key"),
        ("person: ada", "[a]: ada", "1:1 yaml-key"),
        (
            "person: ada",
            "person: bob\nperson: ada",
            "2:1 duplicate-key",
        ),
        (
            "person: ada",
            "person: bob\n\"person\": ada",
            "2:1 duplicate-key",
        ),
        (
            "person: ada",
            "%YAML 1.1\n---\nperson: ada",
            "1:1 yaml-directive",
        ),
        (
            "role: readonly",
            "role: readonly\n---",
            "3:1 yaml-documents",
        ),
        (
            "role: readonly",
            "role: readonly\n...\n---",
            "4:1 yaml-documents",
        ),
        (
            "person: ada",
            "person: [[[[[[[[1]]]]]]]]",
            "1:16 too-complex",
        ),
        ("person: ada", "person: 0123", "1:9 ambiguous-value"),
        ("person: ada", "person: .inf", "1:9 ambiguous-value"),
        ("person: ada", "person: .NaN", "1:9 ambiguous-value"),
        ("person: ada", "person: ~", "1:9 empty-value"),
        ("person: ada", "person: [unclosed", "2:5 yaml-syntax"),
        ("person: ada", "\tperson: ada", "1:1 forbidden-character"),
    ];
    for (from, to, expected) in cases {
        let found = grant(&GRANT.replace(from, to));
        assert_eq!(
            found.first().map(String::as_str),
            Some(*expected),
            "{to:?}: {found:?}"
        );
    }
    assert_eq!(grant(""), ["1:1 empty-value"]);
    assert_eq!(grant("# nothing\n"), ["1:1 empty-value"]);
}

#[test]
fn common_mistakes_are_told_where_they_were_made_and_in_plain_words() {
    let conflict = "<<<<<<< HEAD\nduration: 2h\n=======\nduration: 4h\n>>>>>>> other";
    let cases = [
        (
            "duration: 2h",
            conflict,
            3,
            "here is a conflict marker of git",
        ),
        (
            "role: readonly",
            "role:readonly",
            2,
            "this is not `name: value`",
        ),
        (
            "role: readonly",
            "role readonly\n# why\n",
            2,
            "this is not `name: value`",
        ),
        (
            "customers.",
            "customers.\nIt is urgent",
            5,
            "this is not `name: value`",
        ),
        (
            "readonly",
            "\"readonly",
            2,
            "the quotes that open here are not closed",
        ),
        (
            "Checkout",
            "'Checkout",
            4,
            "the quotes that open here are not closed",
        ),
    ];
    for (from, to, line, message) in cases {
        let found = findings(&[(PATH, &GRANT.replace(from, to))]);
        let told = found.first().map(|f| (f.line, f.message.as_str()));
        assert_eq!(told, Some((line, message)), "{to:?}");
    }
}

#[test]
fn a_file_that_is_no_mapping_has_one_fault() {
    assert_eq!(grant("- person: ada\n"), ["1:1 wrong-type"]);
    assert_eq!(grant("hello\n"), ["1:1 wrong-type"]);
}

#[test]
fn what_yaml_readers_disagree_about_must_be_quoted() {
    let ambiguous = [
        "no",
        "NO",
        "yes",
        "on",
        "Off",
        "y",
        "N",
        "True",
        "FALSE",
        "0123",
        "0o17",
        "0x1F",
        "0b11",
        "1_000",
        "1e3",
        "12e03",
        "+1",
        "-0",
        "1.5",
        ".5",
        "1.",
        "12:30:45",
        "1:30",
        ".inf",
        "-.INF",
        ".nan",
        "123456789012345678901234567890",
        "=",
    ];
    for word in ambiguous {
        let text = format!("{GRANT}ticket: {word}\n");
        assert_eq!(grant(&text), ["5:9 ambiguous-value"], "{word}");
        assert_eq!(
            grant(&format!("{GRANT}ticket: \"{word}\"\n")),
            [""; 0],
            "{word}"
        );
    }
    for word in [
        "nobody",
        "INC-1",
        "2h",
        "1d12h",
        "2026-11-24",
        "v1.2",
        "e5",
        "x1",
        "3rd",
        "-x",
    ] {
        assert_eq!(
            grant(&format!("{GRANT}ticket: {word}\n")),
            [""; 0],
            "{word}"
        );
    }
}

#[test]
fn the_worst_64_kib_are_refused_and_not_suffered() {
    let fill = |unit: &str| unit.repeat(MAX_BYTES / unit.len());
    let bombs = [
        fill("["),
        fill("{a: "),
        fill("- "),
        fill("? "),
        fill("a: &a [*a]\n"),
        fill("%TAG ! x\n"),
        fill("!"),
        fill("\"\\"),
        fill("a: |\n"),
        fill("{a: [{a: ["),
        fill("'"),
        fill("x,"),
        fill(": "),
        fill("---\n"),
        format!("a: [{}]", "x,".repeat(30_000)),
        format!("a: &x {}\nb: [{}]", "y".repeat(100), "*x,".repeat(20_000)),
        (0..9_000)
            .map(|i| format!("k{i}: v\n"))
            .take(6_000)
            .collect(),
    ];
    for bomb in bombs {
        let found = read_tree(&[file(PATH, &bomb)]).findings;
        assert!(!found.is_empty(), "{:?}", &bomb[..20]);
    }
}

proptest! {
    // What fails is printed whole and small enough to become a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_a_grant_or_findings_with_a_place_in_the_file(bytes: Vec<u8>) {
        check_bytes(&bytes)?;
    }

    #[test]
    fn any_text_gives_a_grant_or_findings_with_a_place_in_the_file(text in yamlish()) {
        check_bytes(text.as_bytes())?;
    }

    #[test]
    fn what_is_accepted_means_the_same_to_another_yaml_reader(text in yamlish()) {
        let path = "access/people/ada.yaml";
        // A person's identities accept the widest range of texts.
        let body = format!("github_id: 1\nidentities:\n  pg: {text}\n");
        let tree = read_tree(&[file(path, &body)]);
        if let Some(person) = tree.people.values().next() {
            let other: serde_yaml::Value = serde_yaml::from_str(&body).unwrap();
            let mut theirs: Vec<_> = other["identities"].as_mapping().unwrap().values().filter_map(|v| v.as_str()).collect();
            let mut ours: Vec<_> = person.identities.values().map(String::as_str).collect();
            theirs.sort_unstable();
            ours.sort_unstable();
            prop_assert_eq!(ours, theirs, "{}", body);
        }
    }
}

fn check_bytes(bytes: &[u8]) -> Result<(), TestCaseError> {
    let tree = read_tree(&[file(PATH, bytes)]);
    prop_assert_eq!(tree.grants.is_empty(), !tree.findings.is_empty());
    let lines = String::from_utf8_lossy(bytes).split('\n').count();
    for finding in &tree.findings {
        prop_assert!(
            RULES.iter().any(|rule| rule.name == finding.rule),
            "{:?}",
            finding
        );
        prop_assert!(
            finding.line >= 1 && finding.line as usize <= lines.max(1),
            "{:?}",
            finding
        );
    }
    Ok(())
}

/// Text made of what YAML is made of.
fn yamlish() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "person", "role", "ada", "readonly", "duration", "2h", ": ", ":", "\n", "\n  ", " ", "- ",
        "[", "]", "{", "}", ",", "&", "*", "!", "!!", "|", ">", "|-", ">+2", "'", "\"", "\\",
        "\\n", "#", " #", "?", "? ", "%", "---", "...", "<<", "~", "null", "true", "no", "0", "01",
        "1e3", "1", "\t", "\r\n", "é", "x", "\u{a0}",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}
