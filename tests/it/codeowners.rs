//! CODEOWNERS: GitHub's meaning, vector by vector, and our strictness.

mod command;

use std::fmt::Write as _;
use std::sync::Arc;

use hallpass::domain::catalogue::{File, REGULAR_FILE};
use hallpass::domain::codeowners::{Codeowners, LOCATIONS, MAX_BYTES, Ownership, owner};
use hallpass::domain::model::{BlobId, RepoPath};
use proptest::prelude::*;
use regex::Regex;

fn read(text: &str) -> Codeowners {
    Codeowners::parse(LOCATIONS[0], text.as_bytes())
}

fn path(text: &str) -> RepoPath {
    RepoPath::new(text).expect("a path of the test")
}

/// The owners as GitHub would name them, or why there are none.
fn owners(codeowners: &Codeowners, of: &str) -> String {
    match codeowners.owners(&path(of)) {
        Ownership::Owned { owners, .. } => owners
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
        Ownership::Cleared { .. } => "cleared".to_owned(),
        Ownership::Unowned => "unowned".to_owned(),
    }
}

/// Line, column and rule of each problem.
fn problems(codeowners: &Codeowners) -> Vec<String> {
    let place =
        |f: &hallpass::domain::finding::Finding| format!("{}:{} {}", f.line, f.column, f.rule);
    codeowners.problems.iter().map(place).collect()
}

fn matches(pattern: &str, of: &str) -> bool {
    owners(&read(&format!("{pattern} @a\n")), of) == "@a"
}

#[test]
fn every_pattern_vector_holds() {
    let table = [
        // The catalogue's own, CO-1 to CO-32.
        ("*", "access/pg/a.yml", true),
        ("*", "README.md", true),
        ("*.yml", "a.yml", true),
        ("*.yml", "access/pg/a.yml", true),
        ("*.yml", "access/pg/a.yaml", false),
        ("*.yml", "access/pg/A.YML", false),
        ("/*.yml", "a.yml", true),
        ("/*.yml", "access/a.yml", false),
        ("access/", "access/a.yml", true),
        ("access/", "access/pg/a.yml", true),
        ("access/", "team/access/a.yml", true),
        ("access/", "access", false),
        ("/access/", "access/pg/a.yml", true),
        ("/access/", "team/access/a.yml", false),
        ("/access", "access", true),
        ("/access", "access/pg/a.yml", true),
        ("/access", "access2/a.yml", false),
        ("access", "team/access/x.yml", true),
        ("access/pg", "access/pg/a.yml", true),
        ("access/pg", "old/access/pg/a.yml", false),
        ("access/pg", "access/pg2/a.yml", false),
        ("access/*", "access/a.yml", true),
        ("access/*", "access/pg/a.yml", false),
        ("/access/*", "access/pg/prod/a.yml", false),
        ("access/**", "access/pg/prod/a.yml", true),
        ("access/**", "access", false),
        ("/access/*.yml", "access/a.yml", true),
        ("/access/*.yml", "access/pg/a.yml", false),
        ("/access/*.yml", "access/a.yml/b.yml", true),
        ("access/*/prod", "access/pg/prod", true),
        ("access/*/prod", "access/pg/prod/a.yml", true),
        ("access/*/prod", "access/pg/eu/prod", false),
        // Depth.
        ("**", "a", true),
        ("**", "a/b/c", true),
        ("/**", "a/b", true),
        ("**/a", "a", true),
        ("**/a", "x/y/a", true),
        ("**/a", "x/a/y", true),
        ("**/a", "x/ab", false),
        ("**/a/b", "x/a/b", true),
        ("**/a/b", "x/a/c/b", false),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/b", true),
        ("a/**/b", "a/x/y/b/z", true),
        ("a/**/b", "x/a/b", false),
        ("a/**/*", "a/x/y", true),
        ("a/**/*", "a", false),
        ("a/**/**/b", "a/b", true),
        ("**/*", "a/b/c", true),
        ("/a/**/b/**/c", "a/b/x/b/c", true),
        ("/a/**/b/**/c", "a/c/b", false),
        ("a**/b", "axy/b", true),
        ("a**/b", "ax/y/b", false),
        ("/a**b", "a/b", false),
        // One segment.
        ("/*", "a", true),
        ("/*", "a/b", false),
        ("*/", "a/b", true),
        ("*/", "a", false),
        ("/*/", "a/b/c", true),
        ("?.md", "a.md", true),
        ("?.md", "ab.md", false),
        ("?.md", ".md", false),
        ("/a?b", "a/b", false),
        ("/?", "é", true),
        ("/??", "é", false),
        ("*", ".hidden", true),
        ("/.git*", ".gitattributes", true),
        ("/.github/", ".github/CODEOWNERS", true),
        ("/a.b", "axb", false),
        ("*a*b*", "xaybz", true),
        ("*a*b*", "xbya", false),
        ("a+(b)|{c}^$", "a+(b)|{c}^$", true),
        (
            "/access/grants/orders/",
            "access/grants/orders/x.yaml",
            true,
        ),
        (
            "/access/grants/orders/",
            "access/grants/orders-2/x.yaml",
            false,
        ),
        ("/access/grants/*/", "access/grants/orders/x.yaml", true),
        ("docs/", "docs", false),
        ("docs/a/", "x/docs/a/b", false),
    ];
    for (pattern, path, expected) in table {
        assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        assert!(
            problems(&read(&format!("{pattern} @a"))).is_empty(),
            "{pattern} is a clear pattern"
        );
    }
}

#[test]
fn every_file_vector_holds() {
    let invalid = "codeowners-invalid-line";
    let table: [(&str, &str, &str, &[&str]); 12] = [
        ("* @d\n/access/pg/ @dba", "access/pg/a.yml", "@dba", &[]),
        ("/access/pg/a.yml @dba\n* @d", "access/pg/a.yml", "@d", &[]),
        ("/access/ @a\n/access/ @b", "access/x.yml", "@b", &[]),
        (
            "/access/ @a @o/t u@e.com",
            "access/x.yml",
            "@a @o/t u@e.com",
            &[],
        ),
        (
            "/access/ @a\n/access/open",
            "access/open/x.yml",
            "cleared",
            &[],
        ),
        ("/access/ @a # note @evil", "access/x.yml", "@a", &[]),
        (
            "/access/ @a\n!/access/pg/ @b",
            "access/pg/x.yml",
            "@a",
            &["2:1"],
        ),
        ("* @d\n/access/ notanowner", "access/x.yml", "@d", &["2:10"]),
        ("/docs/ @a", "access/x.yml", "unowned", &[]),
        ("  /access/\t@a\t@b\r", "access/x.yml", "@a @b", &[]),
        ("/Access/ @a", "access/x.yml", "unowned", &[]),
        ("/access/ @Reader", "access/x.yml", "@reader", &[]),
    ];
    for (text, path, expected, faults) in table {
        let codeowners = read(text);
        assert_eq!(owners(&codeowners, path), expected, "{text:?}");
        let expected: Vec<String> = faults.iter().map(|at| format!("{at} {invalid}")).collect();
        assert_eq!(problems(&codeowners), expected, "{text:?}");
    }
}

#[test]
fn two_files_of_one_pull_request_can_have_different_owners() {
    let codeowners = read("/access/pg/ @dba\n/access/k8s/ @sre\n");
    assert_eq!(owners(&codeowners, "access/pg/a.yml"), "@dba");
    assert_eq!(owners(&codeowners, "access/k8s/a.yml"), "@sre");
}

#[test]
fn the_deciding_line_is_told_with_its_pattern() {
    let codeowners = read("# who owns what\n\n* @d\n/access/ @acme/DBA # all of it\n");
    let Ownership::Owned { line, pattern, .. } = codeowners.owners(&path("access/x")) else {
        panic!("nobody owns access/x");
    };
    assert_eq!((line, pattern), (4, "/access/"));
    assert_eq!(owners(&codeowners, "access/x"), "@acme/dba");
    assert_eq!(codeowners.owners(&path("y")).line(), Some(3));
}

#[test]
fn comments_blank_lines_and_crlf_mean_nothing() {
    let codeowners = read("\r\n#* @x\r\n   # indented @x\r\n\t\r\n* @d\r\n  \r\n");
    assert_eq!(owners(&codeowners, "a"), "@d");
    assert!(codeowners.problems.is_empty());
}

#[test]
fn a_space_in_a_pattern_is_escaped_and_ambiguous() {
    let codeowners = read("/a\\ b/ @a\n");
    assert_eq!(owners(&codeowners, "a b/c"), "@a");
    assert_eq!(problems(&codeowners), ["1:3 codeowners-ambiguous-pattern"]);
}

#[test]
fn every_strict_problem_names_line_column_and_rule() {
    let table: [(&str, &[&str]); 24] = [
        ("/a[bc] @x", &["1:3 codeowners-ambiguous-pattern"]),
        ("/a!b @x", &["1:3 codeowners-ambiguous-pattern"]),
        ("/a\\b @x", &["1:3 codeowners-ambiguous-pattern"]),
        ("/a#b @x", &["1:3 codeowners-ambiguous-pattern"]),
        ("/é/a @x", &["1:2 codeowners-ambiguous-pattern"]),
        ("/ @x", &["1:1 codeowners-ambiguous-pattern"]),
        ("a//b @x", &["1:1 codeowners-ambiguous-pattern"]),
        ("./a @x", &["1:1 codeowners-ambiguous-pattern"]),
        ("/a/../b @x", &["1:1 codeowners-ambiguous-pattern"]),
        ("/a/**/ @x", &["1:1 codeowners-ambiguous-pattern"]),
        ("  \\#a @x", &["1:3 codeowners-invalid-line"]),
        ("/a/*** @x", &["1:1 codeowners-invalid-line"]),
        ("/a\\", &["1:1 codeowners-invalid-line"]),
        ("* @d\n  !/b @x", &["2:3 codeowners-invalid-line"]),
        ("* @a @", &["1:6 codeowners-invalid-line"]),
        ("* @a/b/c", &["1:3 codeowners-invalid-line"]),
        ("* @a[bot]", &["1:3 codeowners-invalid-line"]),
        ("* a@b", &["1:3 codeowners-invalid-line"]),
        ("* @é", &["1:3 codeowners-invalid-line"]),
        (
            "* x y",
            &["1:3 codeowners-invalid-line", "1:5 codeowners-invalid-line"],
        ),
        ("* @a#b", &["1:5 codeowners-invalid-line"]),
        ("# note\r* @evil", &["1:7 codeowners-hidden-character"]),
        (
            "* @a\u{202e}",
            &[
                "1:5 codeowners-hidden-character",
                "1:3 codeowners-invalid-line",
            ],
        ),
        (
            "\u{feff}* @a",
            &[
                "1:1 codeowners-hidden-character",
                "1:1 codeowners-ambiguous-pattern",
            ],
        ),
    ];
    for (text, expected) in table {
        let codeowners = read(text);
        assert_eq!(problems(&codeowners), expected, "{text:?}");
        for problem in &codeowners.problems {
            assert_eq!(problem.path, ".github/CODEOWNERS");
            assert!(!problem.message.is_empty() && problem.help.ends_with('.'));
        }
    }
}

#[test]
fn an_owner_is_an_account_a_team_or_an_address_and_nothing_else() {
    for owner in [
        "@a-b_c",
        "@acme-2/team_x-1",
        "a@b.example",
        "o'neil.first_last%x+tag-1@mail-2.b.example",
        "a@b.io",
    ] {
        assert_eq!(owners(&read(&format!("* {owner}")), "x"), owner);
    }
    for nobody in [
        "@",
        "@/b",
        "@a/",
        "@a.b",
        "@a/b.c",
        "@@b.example",
        "a",
        "a@b",
        "a@.example",
        "a@b..example",
        "a@b_c.example",
        "a@b!.example",
        "a@-",
        "a@b.e",
        "a@b.e1",
        "a@b.ex-ample",
        "a@b.example.",
        "\"a\"@b.example",
        "a,c@b.example",
        "é@b.example",
    ] {
        let codeowners = read(&format!("* @d\n/x {nobody}"));
        assert_eq!(owners(&codeowners, "x"), "@d", "{nobody}");
        assert_eq!(problems(&codeowners), ["2:4 codeowners-invalid-line"]);
    }
}

#[test]
fn every_team_of_every_line_is_told_whether_it_decides_or_not() {
    let codeowners = read("* @acme/all @judy a@b.example\n/x @acme/DBA\n/x @acme/all @x/dba\n");
    let teams: Vec<String> = codeowners.teams().iter().map(ToString::to_string).collect();
    assert_eq!(teams, ["@acme/all", "@acme/dba", "@x/dba"]);
    assert_eq!(read("* @judy\n").teams().len(), 0);
    assert_eq!(owner("@acme/dba"), codeowners.teams().into_iter().nth(1));
}

#[test]
fn what_a_problem_names_is_shown_and_not_obeyed() {
    let long = "x".repeat(10_000);
    for text in [
        "* \u{11}",
        "* \u{1b}[2J",
        "* @a\u{202e}",
        "/\u{1b}[31m[a] @a",
        "/a\u{202e}b @a",
        "!\u{7} @a",
        "/a/\u{7}/../b @a",
        &format!("* {long}"),
        &format!("/[{long} @a"),
    ] {
        let problems = read(text).problems;
        assert!(!problems.is_empty(), "{text:?}");
        for problem in problems {
            let obeyed = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}');
            assert!(!problem.message.contains(obeyed), "{:?}", problem.message);
            assert!(problem.message.chars().count() < 300, "{}", problem.message);
        }
    }
}

#[test]
fn a_line_that_is_not_utf8_is_skipped_and_told() {
    let codeowners = Codeowners::parse("CODEOWNERS", b"* @d\n/\xc3\xa9\xff @x\n");
    assert_eq!(owners(&codeowners, "a"), "@d");
    assert_eq!(problems(&codeowners), ["2:3 codeowners-invalid-line"]);
}

#[test]
fn a_file_of_three_megabytes_owns_nothing() {
    let mut text = String::from("* @d\n");
    text.push_str(&"#".repeat(MAX_BYTES - text.len()));
    let codeowners = read(&text);
    assert_eq!(owners(&codeowners, "a"), "unowned");
    assert_eq!(problems(&codeowners), ["1:1 codeowners-too-large"]);
    text.pop();
    assert_eq!(owners(&read(&text), "a"), "@d");
}

fn file(path: &str, mode: u32, text: &str) -> File {
    File {
        path: path.to_owned(),
        mode,
        blob: BlobId::new("a".repeat(40)).expect("hexadecimal"),
        bytes: Arc::from(text.as_bytes()),
    }
}

#[test]
fn the_first_location_that_exists_is_in_force() {
    for present in 1..8_usize {
        let is_there = |i: &usize| present & (1 << i) != 0;
        let files: Vec<File> = (0..3)
            .filter(is_there)
            .rev()
            .map(|i| file(LOCATIONS[i], REGULAR_FILE, &format!("* @at{i}\n")))
            .collect();
        let first = (0..3).find(is_there).expect("one of three");
        let codeowners = Codeowners::in_force(&files);
        assert_eq!(codeowners.path, Some(LOCATIONS[first]));
        assert_eq!(owners(&codeowners, "a"), format!("@at{first}"));
    }
}

#[test]
fn without_a_file_nobody_owns_anything() {
    let elsewhere = [
        file("codeowners", REGULAR_FILE, "* @a"),
        file(".github/codeowners", REGULAR_FILE, "* @a"),
        file("x/CODEOWNERS", REGULAR_FILE, "* @a"),
    ];
    let codeowners = Codeowners::in_force(&elsewhere);
    assert_eq!(codeowners.path, None);
    assert_eq!(owners(&codeowners, "a"), "unowned");
}

#[test]
fn a_link_in_place_of_the_file_owns_nothing_and_hides_the_later_ones() {
    for (mode, what) in [
        (0o120_000, "a symbolic link (mode 120000)"),
        (0o160_000, "a submodule (mode 160000)"),
        (0o100_755, "an executable file (mode 100755)"),
        (0o100_664, "not a regular file (mode 100664)"),
    ] {
        let files = [
            file(".github/CODEOWNERS", mode, "* @evil\n"),
            file("CODEOWNERS", REGULAR_FILE, "* @d\n"),
        ];
        let codeowners = Codeowners::in_force(&files);
        assert_eq!(owners(&codeowners, "a"), "unowned");
        assert_eq!(problems(&codeowners), ["1:1 codeowners-not-a-file"]);
        let said = &codeowners.problems[0].message;
        assert!(
            said.starts_with(&format!("CODEOWNERS is {what};")),
            "{said}"
        );
    }
}

#[test]
fn hostile_patterns_do_not_take_exponential_time() {
    let mut text = String::new();
    let _ = writeln!(text, "/{}b @a", "*a".repeat(60));
    let _ = writeln!(text, "/{}b @a", "**/a/".repeat(60));
    let _ = writeln!(text, "{}b @a", "**/*a*/".repeat(60));
    let codeowners = read(&text);
    assert!(codeowners.problems.is_empty());
    assert_eq!(owners(&codeowners, &"a".repeat(5_000)), "unowned");
    assert_eq!(owners(&codeowners, &vec!["a"; 2_000].join("/")), "unowned");
}

/// Another reading of the rules, as a regular expression over the whole path.
fn naive(pattern: &str) -> Regex {
    let rooted = pattern.trim_end_matches('/').contains('/') || pattern.starts_with('/');
    let mut text = pattern.trim_start_matches('/').to_owned();
    if !rooted {
        text = format!("**/{text}");
    }
    if text.ends_with('/') {
        text.push_str("**");
    }
    let last = text.rsplit('/').next().unwrap_or_default().to_owned();
    let mut out = String::from("^");
    let mut segments = text.split('/').peekable();
    while let Some(segment) = segments.next() {
        match (segment, segments.peek()) {
            ("**", None) => out.push_str(".+"),
            ("**", Some(_)) => out.push_str("(.+/)?"),
            (_, next) => {
                for c in segment.chars() {
                    match c {
                        '*' => out.push_str("[^/]*"),
                        '?' => out.push_str("[^/]"),
                        c => out.push_str(&regex::escape(&c.to_string())),
                    }
                }
                if next.is_some() {
                    out.push('/');
                }
            }
        }
    }
    if last != "*" && last != "**" {
        out.push_str("(/.*)?");
    }
    out.push('$');
    Regex::new(&out).expect("a regular expression of the test")
}

fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b", "ab", "ba", "a.b", "*", "**", "?", "a*", "*b", "a*b", "?b", "a**b", "*?", ".a",
        "*a*b*",
    ])
}

prop_compose! {
    fn pattern()(
        segments in prop::collection::vec(segment(), 1..5),
        leading in any::<bool>(),
        trailing in any::<bool>(),
    ) -> String {
        let ends_deep = segments.last() == Some(&"**");
        let mut text = String::new();
        if leading { text.push('/'); }
        text.push_str(&segments.join("/"));
        if trailing && !ends_deep { text.push('/'); }
        text
    }
}

prop_compose! {
    fn some_path()(segments in prop::collection::vec("[.]?[ab][ab.]{0,2}", 1..6)) -> String {
        segments.join("/")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn matching_agrees_with_a_naive_reading(pattern in pattern(), path in some_path()) {
        prop_assert_eq!(matches(&pattern, &path), naive(&pattern).is_match(&path), "{} on {}", pattern, path);
    }

    #[test]
    fn the_last_matching_line_decides_alone(
        patterns in prop::collection::vec(pattern(), 1..8),
        path in some_path(),
    ) {
        let text: String = patterns.iter().enumerate().map(|(i, p)| format!("{p} @owner{i}\n")).collect();
        let expected = patterns.iter().rposition(|p| naive(p).is_match(&path));
        let expected = expected.map_or("unowned".to_owned(), |i| format!("@owner{i}"));
        prop_assert_eq!(owners(&read(&text), &path), expected);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), path in some_path()) {
        let codeowners = Codeowners::parse("CODEOWNERS", &bytes);
        let _ = owners(&codeowners, &path);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[*?/\\\\#!@a\u{e9} \t\r\n\\[\\]-]{0,60}", path in some_path()) {
        let codeowners = read(&text);
        let _ = owners(&codeowners, &path);
    }
}
