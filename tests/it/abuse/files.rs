//! Content that a reviewer and a program could read differently, or that costs more than it says.

use hallpass::domain::catalogue::File;
use hallpass::domain::parse::{MAX_BYTES, MAX_DEPTH, MAX_NODES, read_tree};
use hallpass::domain::schema::Kind;

use crate::text::{GRANT, PATH, file, findings, grant};

/// The rule of the first finding of each text; a text that is accepted has none.
fn refused(texts: &[&str]) -> Vec<String> {
    let rule = |text: &&str| {
        let found = grant(text);
        let first = found.first().map(String::as_str).unwrap_or("accepted");
        first.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    texts.iter().map(rule).collect()
}

/// A grant whose first line is `line`.
fn with(line: &str) -> String {
    GRANT.replacen("person: ada", line, 1)
}

#[test]
fn ac_31_a_scalar_that_two_readers_take_for_different_things_is_refused() {
    let scalars = [
        "0123",
        "1e3",
        "true",
        "no",
        "NO",
        "12:30:45",
        "2026-01-01 ",
        "0x1f",
        "0o7",
        ".inf",
        "~",
        "null",
        "1_000",
        "+1",
        "y",
        "Off",
    ];
    for scalar in scalars {
        let text = with(&format!("person: {scalar}"));
        assert!(!grant(&text).is_empty(), "{scalar}");
        // Quoted it is a text for everybody, and names nobody.
        let quoted = with(&format!("person: \"{}\"", scalar.trim()));
        assert!(!grant(&quoted).is_empty(), "{scalar}");
    }
    assert_eq!(
        refused(&[&with("{1: a, \"1\": b}"), &with("1: ada")]),
        ["yaml-key", "yaml-key"]
    );
}

#[test]
fn ac_31_what_is_accepted_reads_the_same_typed_and_untyped() {
    #[derive(serde::Deserialize)]
    struct Typed {
        person: String,
        role: String,
        duration: String,
        reason: String,
    }
    for reason in [
        "Checkout fails, see INC-1",
        "\"quoted: text # with marks\"",
        "'it''s urgent'",
        ">-\n  folded\n  text",
        "|\n  kept in two\n  lines of text",
    ] {
        let text = GRANT.replace("Checkout fails for some customers.", reason);
        assert_eq!(grant(&text), [""; 0], "{reason}");
        let tree = read_tree(&[file(PATH, &text)]);
        let ours = &tree.grants.values().next().expect("a grant").grant;
        let typed: Typed = serde_yaml::from_str(&text).unwrap();
        let untyped: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        let field = |name: &str| untyped[name].as_str().unwrap().to_owned();
        for (ours, typed, untyped) in [
            (ours.subject.to_string(), typed.person, field("person")),
            (ours.role.to_string(), typed.role, field("role")),
            ("2h".to_owned(), typed.duration, field("duration")),
            (ours.reason.clone(), typed.reason, field("reason")),
        ] {
            assert_eq!(
                (ours.as_str(), typed.as_str()),
                (untyped.as_str(), untyped.as_str())
            );
        }
    }
}

#[test]
fn ac_32_no_line_end_hides_a_key() {
    for end in [
        "\r", "\u{85}", "\u{2028}", "\u{2029}", "\u{b}", "\u{c}", "\0",
    ] {
        let text = with(&format!("person: ada # note{end}role: admin"));
        assert_eq!(grant(&text), ["1:19 forbidden-character"], "{end:?}");
    }
    // In a name of a file that is read too.
    let owners = "* @acme/security\n/access/ @acme/security # note\r/access/ @mallory\n";
    let found = findings(&[(".github/CODEOWNERS", owners)]);
    assert_eq!(found[0].rule, "codeowners-hidden-character", "{found:?}");
}

#[test]
fn ac_32_every_byte_is_a_character_that_a_reviewer_sees_or_is_refused() {
    for byte in 0..=0xff_u8 {
        let mut bytes = GRANT.as_bytes().to_vec();
        let reason = GRANT.find("Checkout").expect("the reason");
        bytes.insert(reason, byte);
        let refused = !read_tree(&[file(PATH, bytes)]).findings.is_empty();
        let seen = matches!(byte, b' '..=b'~');
        // Some that are seen mean something to YAML at the beginning of a text, and a line end ends it.
        let yaml = b"\n\"'[]{}&*!|>%@`,?#-=:".contains(&byte);
        assert!(refused != seen || yaml, "0x{byte:02x}");
    }
}

#[test]
fn ac_33_a_merge_key_brings_no_field() {
    for line in [
        "<<: { person: ada }",
        "\"<<\": { person: ada }",
        "person: ada\n<<: { role: admin }",
        "person: ada\n<<: [{ role: admin }]",
    ] {
        let found = grant(&with(line));
        assert!(found[0].ends_with("yaml-merge-key"), "{line}: {found:?}");
    }
}

#[test]
fn ac_34_neither_anchors_nor_bombs_are_suffered() {
    let bomb: String = (0..12)
        .map(|n| {
            format!(
                "a{n}: &a{n} [{}]\n",
                format!("*a{},", n - 1 + i32::from(n == 0)).repeat(9)
            )
        })
        .collect();
    let levels = usize::from(MAX_DEPTH) + 1;
    let deep = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let wide: String = (0..=MAX_NODES).map(|n| format!("k{n}: v\n")).collect();
    let large = format!("{GRANT}#{}\n", "x".repeat(MAX_BYTES));
    assert_eq!(
        refused(&[
            &with("person: &a ada"),
            &with("x: &a y\nperson: *a"),
            &bomb,
            &with(&format!("person: {deep}")),
            &wide,
            &large,
        ]),
        [
            "yaml-anchor",
            "yaml-anchor",
            "yaml-anchor",
            "too-complex",
            "too-complex",
            "file-too-large"
        ]
    );
}

#[test]
fn ac_35_tags_directives_and_second_documents_are_refused() {
    assert_eq!(
        refused(&[
            &with("person: !!binary YWRh"),
            &with("person: !include ada"),
            &with("person: !x ada"),
            &with("%YAML 1.1\n---\nperson: ada"),
            &with("%TAG ! tag:example.org,2026:\n---\nperson: ada"),
            &with("? person\n: ada"),
            &format!("{GRANT}---\n{GRANT}"),
        ]),
        [
            "yaml-tag",
            "yaml-tag",
            "yaml-tag",
            "yaml-directive",
            "yaml-directive",
            "yaml-key",
            "yaml-documents"
        ]
    );
}

#[test]
fn ac_36_a_key_stands_once_however_it_is_written() {
    for again in [
        "person: bob",
        "\"person\": bob",
        "'person': bob",
        "\"\\x70erson\": bob",
    ] {
        let found = grant(&with(&format!("{again}\nperson: ada")));
        assert!(found[0].ends_with("duplicate-key"), "{again}: {found:?}");
    }
}

#[test]
fn ac_37_only_true_is_true() {
    for word in ["yes", "on", "y", "True", "TRUE", "1", "\"true\""] {
        let found = grant(&format!("{GRANT}emergency: {word}\n"));
        let rule = found[0].rsplit(' ').next().unwrap_or_default();
        assert!(
            ["ambiguous-value", "wrong-type"].contains(&rule),
            "{word}: {found:?}"
        );
    }
    assert_eq!(grant(&format!("{GRANT}emergency: false\n")), [""; 0]);
}

#[test]
fn ac_38_formats_are_asserted_and_schemas_fetch_nothing() {
    // A second that is a leap second is none here, however the format is written down.
    for instant in ["2026-11-23T23:59:60Z", "2026-11-23T20:00:00z", "soon"] {
        let text = GRANT.replace("duration: 2h", &format!("expires: \"{instant}\""));
        assert_eq!(grant(&text), ["3:10 bad-value"], "{instant}");
    }
    let references = regex::Regex::new(r#""\$(?:ref|dynamicRef)": *"([^"]*)""#).unwrap();
    for kind in Kind::ALL {
        let schema = kind.source();
        for found in references.captures_iter(schema) {
            assert!(found[1].starts_with('#'), "{kind:?} reads {}", &found[1]);
        }
    }
    // Whatever a file says of its schema changes nothing: the one that is compiled in is asserted.
    let text = format!("# yaml-language-server: $schema=file:///etc/passwd\n{GRANT}");
    assert_eq!(grant(&text), [""; 0]);
    assert_eq!(
        refused(&[&with("$schema: http://127.0.0.1/\nperson: ada")]),
        ["unknown-field"]
    );
    let manifest = include_str!("../../../Cargo.toml");
    let line = manifest
        .lines()
        .find(|line| line.starts_with("jsonschema"))
        .expect("the validator");
    assert!(
        line.contains("default-features = false") && !line.contains("features = ["),
        "it could resolve files and addresses: {line}"
    );
}

#[test]
fn ac_32_hidden_characters_are_refused_in_every_kind_of_file() {
    for (path, text) in crate::text::WORLD {
        for hidden in ['\u{202e}', '\u{200b}', '\u{feff}', '\u{2028}'] {
            let text = format!("# a{hidden}b\n{text}");
            let files: [File; 1] = [file(path, &text)];
            let tree = read_tree(&files);
            let told = tree.findings.len() + tree.codeowners.problems.len();
            assert!(told > 0, "{path} U+{:04X}", hidden as u32);
        }
    }
}
