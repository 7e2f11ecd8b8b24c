//! `hallpass validate`, run as a program.

use std::fs;
use std::path::Path;
use std::process::Output;

use git2::{Repository, Signature};
use tempfile::TempDir;

use super::{GRANT, PATH, WORLD};

const NOW: &str = "2026-11-23T12:00:00Z";

#[expect(
    clippy::disallowed_methods,
    reason = "this is about the program as people run it"
)]
pub fn hallpass(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"))
        .current_dir(dir)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

pub fn validate(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let (code, out, err) = hallpass(dir, &[&["validate", "--now", NOW], arguments].concat());
    assert_eq!(err, "");
    (code, out)
}

pub fn put(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub fn world(more: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (path, text) in WORLD.iter().chain(more) {
        put(dir.path(), path, text);
    }
    dir
}

/// Commits everything in the folder and moves branch `name` there.
pub fn commit(dir: &Path, name: &str) {
    let repo = Repository::open(dir)
        .or_else(|_| Repository::init(dir))
        .unwrap();
    let mut index = repo.index().unwrap();
    index
        .add_all(["*"], git2::IndexAddOption::DEFAULT, None)
        .unwrap();
    index.update_all(["*"], None).unwrap();
    index.write().unwrap();
    let tree = repo.find_tree(index.write_tree().unwrap()).unwrap();
    let who = Signature::new("Ada", "ada@example.org", &git2::Time::new(1_800_000_000, 0)).unwrap();
    let parent = repo.head().ok().map(|head| head.peel_to_commit().unwrap());
    let parents: Vec<_> = parent.iter().collect();
    let id = repo
        .commit(None, &who, &who, "A commit", &tree, &parents)
        .unwrap();
    repo.reference(&format!("refs/heads/{name}"), id, true, "")
        .unwrap();
    repo.set_head(&format!("refs/heads/{name}")).unwrap();
}

pub fn go(dir: &Path, branch: &str) {
    let repo = Repository::open(dir).unwrap();
    repo.set_head(&format!("refs/heads/{branch}")).unwrap();
    repo.checkout_head(Some(
        git2::build::CheckoutBuilder::new()
            .force()
            .remove_untracked(true),
    ))
    .unwrap();
}

#[test]
fn the_example_of_this_repository_is_clean_now_and_in_ten_years() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for now in ["2026-11-23T12:00:00Z", "2036-11-23T12:00:00Z"] {
        let (code, out, err) = hallpass(root, &["validate", "--now", now]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert!(out.ends_with("checked, nothing wrong.\n"), "{out}");
    }
}

#[test]
fn findings_are_shown_with_their_line_and_end_with_a_count() {
    let dir = world(&[(
        PATH,
        &GRANT
            .replace("readonly", "readonyl")
            .replace("2h", "9h # too long"),
    )]);
    let (code, out) = validate(dir.path(), &[]);
    let expected = "\
error[unknown-role]: orders has no role \"readonyl\"
 --> access/grants/orders/request.yaml:2:7
  |
2 | role: readonyl
  |       ^^^^^^^^
  |
  = help: Did you mean `readonly`? Offered are readonly, admin.

7 files checked: 1 error in 1 file.
";
    assert_eq!((code, out.as_str()), (1, expected));
}

#[test]
fn a_fault_of_the_whole_file_does_not_point_at_a_comment() {
    let dir = world(&[(
        "access/grants/order/request.yaml",
        &format!("# yaml-language-server: $schema=x\n{GRANT}"),
    )]);
    let (_, out) = validate(dir.path(), &[]);
    assert!(
        out.contains("access/grants/order/request.yaml:1:1"),
        "{out}"
    );
    assert!(!out.contains("yaml-language-server"), "{out}");
}

#[test]
fn a_character_that_nobody_sees_is_underlined_alone() {
    let dir = world(&[(PATH, &GRANT.replace("role: readonly", "role:\treadonly"))]);
    let (_, out) = validate(dir.path(), &[]);
    assert!(out.contains("2 | role: readonly\n  |      ^\n"), "{out}");
}

#[test]
fn a_source_line_cannot_move_the_cursor() {
    let dir = world(&[(
        PATH,
        &GRANT.replace("reason: ", "reason: \u{1b}[2J\u{202e}\u{9b}"),
    )]);
    let (code, out) = validate(dir.path(), &[]);
    assert_eq!(code, 1);
    assert!(!out.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{out:?}");
    assert!(
        out.contains("4 | reason: \u{fffd}[2J\u{fffd}\u{fffd}Checkout"),
        "{out}"
    );
}

#[test]
fn a_clean_tree_ends_with_zero_and_a_warning_does_too() {
    let dir = world(&[(PATH, GRANT)]);
    assert_eq!(
        validate(dir.path(), &[]),
        (0, "7 files checked, nothing wrong.\n".into())
    );
    put(
        dir.path(),
        PATH,
        &GRANT.replace("duration: 2h", "expires: 2026-11-01T00:00:00Z"),
    );
    let (code, out) = validate(dir.path(), &[]);
    assert!(
        out.contains("warning[expired]")
            && out.ends_with("7 files checked: 1 warning in 1 file.\n"),
        "{out}"
    );
    assert_eq!(code, 0);
}

#[test]
fn a_folder_within_the_repository_stands_for_the_repository() {
    let dir = world(&[(PATH, GRANT)]);
    let expected = (0, "7 files checked, nothing wrong.\n".to_owned());
    assert_eq!(validate(&dir.path().join("access/grants"), &[]), expected);
    assert_eq!(
        validate(Path::new("/"), &[dir.path().to_str().unwrap()]),
        expected
    );
}

#[test]
fn what_cannot_run_ends_with_two_and_says_why() {
    let dir = TempDir::new().unwrap();
    let (code, out, err) = hallpass(dir.path(), &["validate"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        err.starts_with("error: there is no `access` folder in ."),
        "{err}"
    );
    let (code, _, err) = hallpass(dir.path(), &["validate", "missing"]);
    assert!(
        code == 2 && err.contains("cannot read missing: No such file"),
        "{err}"
    );
    let (code, _, err) = hallpass(dir.path(), &["validate", "--base", "main"]);
    assert!(
        code == 2 && err.starts_with("error: there is no git repository at . or above it"),
        "{err}"
    );
    let dir = world(&[]);
    commit(dir.path(), "main");
    let (code, _, err) = hallpass(dir.path(), &["validate", "--base", "nowhere"]);
    assert!(
        code == 2 && err.contains("`nowhere` names no commit here; fetch it"),
        "{err}"
    );
    for wrong in [
        &["validate", "--format", "xml"][..],
        &["validate", "--now", "today"],
        &["frobnicate"],
    ] {
        assert_eq!(hallpass(dir.path(), wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn json_has_the_documented_fields_in_their_order() {
    let dir = world(&[(PATH, &GRANT.replace("duration: 2h", "duration: 9h"))]);
    let (code, out) = validate(dir.path(), &["--format", "json"]);
    let expected = concat!(
        r#"{"findings":[{"rule":"term-too-long","severity":"error","path":"access/grants/orders/request.yaml","line":3,"column":11,"#,
        r#""message":"9h is asked for; orders/readonly lasts at most 8h, its `max_duration`","help":"Ask for at most 8h, and for more in another request when that ends.","#,
        r#""url":"https://github.com/hallpass-dev/hallpass/blob/main/docs/rules.md#term-too-long"}]}"#,
        "\n"
    );
    assert_eq!((code, out.as_str()), (1, expected));
    fs::remove_file(dir.path().join(PATH)).unwrap();
    assert_eq!(
        validate(dir.path(), &["--format", "json"]),
        (0, "{\"findings\":[]}\n".into())
    );
}

#[test]
fn an_annotation_cannot_be_forged() {
    let dir = world(&[(PATH, GRANT), ("access/a,b:c%0A::error::x.yaml", "")]);
    let (code, out) = validate(dir.path(), &["--format", "github"]);
    assert_eq!(code, 1);
    assert!(out.starts_with("::error file=access/a%2Cb%3Ac%250A%3A%3Aerror%3A%3Ax.yaml,line=1,col=1,title=unknown-file::"), "{out}");
    assert_eq!(out.lines().count(), 1);
}

#[test]
fn sarif_tells_the_rule_the_place_and_the_way_out() {
    let dir = world(&[
        (PATH, &GRANT.replace("duration: 2h", "duration: 9h")),
        ("access/a b.yaml", ""),
    ]);
    let (code, out) = validate(dir.path(), &["--format", "sarif"]);
    assert_eq!(code, 1);
    let log: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(
        run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "access/a%20b.yaml"
    );
    let result = &run["results"][1];
    let rule = &run["tool"]["driver"]["rules"]
        [usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
    assert_eq!(
        (&result["ruleId"], &rule["id"]),
        (&"term-too-long".into(), &"term-too-long".into())
    );
    assert_eq!(
        rule["helpUri"],
        hallpass::domain::rules::url("term-too-long")
    );
    assert_eq!(result["level"], "error");
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        *region,
        serde_json::json!({ "startLine": 3, "startColumn": 11 })
    );
}

#[test]
fn an_annotation_leads_to_the_explanation_of_its_rule() {
    let dir = world(&[(PATH, &GRANT.replace("duration: 2h", "duration: 9h"))]);
    let (_, out) = validate(dir.path(), &["--format", "github"]);
    let end = format!("%0A{}\n", hallpass::domain::rules::url("term-too-long"));
    assert!(out.ends_with(&end), "{out}");
}

#[test]
fn a_rule_is_explained_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, _) = hallpass(dir.path(), &["explain", "term-too-long"]);
    assert_eq!(code, 0);
    for part in [
        "term-too-long\n  A grant lasts no longer",
        "Refused, for example: ",
        "The way out: ",
        "docs/rules.md#term-too-long\n",
    ] {
        assert!(out.contains(part), "{out}");
    }
    let (code, out, _) = hallpass(dir.path(), &["explain"]);
    let rules = hallpass::domain::rules::RULES;
    assert_eq!((code, out.lines().count()), (0, rules.len()));
    let (code, out, _) = hallpass(dir.path(), &["explain", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, told["rules"].as_array().unwrap().len()),
        (0, rules.len())
    );
    assert_eq!(
        told["rules"][0]["url"],
        hallpass::domain::rules::url(rules[0].name)
    );
    let (code, _, err) = hallpass(dir.path(), &["explain", "term-to-long"]);
    assert_eq!(code, 2);
    assert!(err.contains("did you mean `term-too-long`?"), "{err}");
}

#[cfg(unix)]
#[test]
fn the_work_tree_is_read_as_git_would_store_it() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = world(&[(PATH, GRANT)]);
    let grants = dir.path().join("access/grants/orders");
    put(dir.path(), "elsewhere.yaml", &GRANT.replace("ada", "bob"));
    symlink("../../../elsewhere.yaml", grants.join("link.yaml")).unwrap();
    symlink("../..", grants.join("loop")).unwrap();
    Repository::init(grants.join("nested")).unwrap();
    fs::set_permissions(dir.path().join(PATH), fs::Permissions::from_mode(0o755)).unwrap();
    let (code, out) = validate(dir.path(), &["--format", "github"]);
    let told: Vec<&str> = out
        .lines()
        .map(|line| line.split("::").nth(1).unwrap())
        .collect();
    assert_eq!(code, 1);
    assert_eq!(
        told,
        [
            "error file=access/grants/orders/link.yaml,line=1,col=1,title=file-mode",
            "error file=access/grants/orders/loop,line=1,col=1,title=unknown-file",
            "error file=access/grants/orders/nested,line=1,col=1,title=unknown-file",
            "error file=access/grants/orders/request.yaml,line=1,col=1,title=file-mode",
        ]
    );
}

#[test]
fn what_git_ignores_is_ignored_unless_it_looks_like_a_governed_file() {
    let dir = world(&[
        ("access/notes.yaml~", "x"),
        ("access/grants/orders/x.yaml", GRANT),
    ]);
    Repository::init(dir.path()).unwrap();
    put(
        dir.path(),
        ".gitignore",
        "*~\naccess/grants/orders/x.yaml\n",
    );
    assert_eq!(
        validate(dir.path(), &[]),
        (0, "7 files checked, nothing wrong.\n".into())
    );
    put(dir.path(), ".gitignore", "");
    assert_eq!(validate(dir.path(), &[]).0, 1);
}

#[test]
fn a_branch_is_judged_by_its_base_and_only_for_what_it_changes() {
    let dir = world(&[("access/grants/orders/broken.yaml", "nonsense")]);
    let (root, against_main) = (dir.path(), ["--base", "main", "--head", "topic"]);
    commit(root, "main");
    put(root, PATH, &GRANT.replace("readonly", "owner"));
    commit(root, "topic");
    let (code, out) = validate(root, &against_main);
    assert!(
        code == 1 && out.contains("orders has no role \"owner\""),
        "{out}"
    );
    assert!(
        out.contains("2 | role: owner") && out.ends_with("1 file checked: 1 error in 1 file.\n"),
        "{out}"
    );
    // The base learns the role: what the branch says of it, and what the work tree holds, does not count.
    go(root, "main");
    let orders = WORLD
        .iter()
        .find(|(path, _)| path.ends_with("orders.yaml"))
        .unwrap();
    put(root, orders.0, &orders.1.replace("  readonly:", "  owner:"));
    commit(root, "main");
    put(root, orders.0, "nonsense");
    assert_eq!(
        validate(root, &against_main),
        (0, "1 file checked, nothing wrong.\n".into())
    );
}

#[test]
fn what_the_base_did_since_is_not_the_branchs() {
    let dir = world(&[]);
    commit(dir.path(), "main");
    put(dir.path(), PATH, GRANT);
    commit(dir.path(), "topic");
    go(dir.path(), "main");
    put(dir.path(), "access/people/eve.yaml", "github_id: 1\n");
    put(dir.path(), "program.rs", "fn main() {}");
    commit(dir.path(), "main");
    assert_eq!(
        validate(dir.path(), &["--base", "main", "--head", "topic"]),
        (0, "1 file checked, nothing wrong.\n".into())
    );
}

#[test]
fn help_teaches_by_examples() {
    let dir = TempDir::new().unwrap();
    let (code, out, _) = hallpass(dir.path(), &["validate", "--help"]);
    assert_eq!(code, 0);
    for line in [
        "hallpass validate --base origin/main --head HEAD",
        "Exit status:",
        "--format <FORMAT>",
    ] {
        assert!(out.contains(line), "{out}");
    }
    assert!(!out.contains("--now"), "{out}");
}
