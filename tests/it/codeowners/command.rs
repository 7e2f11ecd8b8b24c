//! `hallpass owners`, run as people run it.

use std::fs;
use std::path::Path;

use super::LOCATIONS;

/// Runs the command in a folder: exit code, standard output, standard error.
#[expect(
    clippy::disallowed_methods,
    reason = "the command is tested as it is run"
)]
fn owners(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"))
        .arg("owners")
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("an exit code");
    (code, text(output.stdout), text(output.stderr))
}

fn folder(location: &str, codeowners: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join(location);
    fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
    fs::write(file, codeowners).expect("a file");
    dir
}

#[test]
fn each_path_is_told_with_its_owners_and_the_line_that_decides() {
    let dir = folder(LOCATIONS[0], "* @acme/all\n/access/ @acme/dba @judy\n");
    let (code, out, err) = owners(dir.path(), &["access/x.yaml", "./README.md"]);
    assert_eq!(
        out,
        "access/x.yaml\n  @acme/dba @judy\n  .github/CODEOWNERS:2: /access/\nREADME.md\n  @acme/all\n  .github/CODEOWNERS:1: *\n"
    );
    assert_eq!((code, err.as_str()), (0, ""));
}

#[test]
fn a_request_for_a_bundle_is_told_with_the_owners_of_its_parts() {
    let lines = "* @acme/all\n/access/grants/orders/ @acme/dba\n/access/grants/mail/\n";
    let dir = folder(LOCATIONS[0], lines);
    let kit = "description: A kit\nrisk: low\nroles:\n  day:\n    description: By day\n    bundle: [orders/reader, wiki/editor]\n    \
               max_duration: 1d\n  night:\n    description: By night\n    bundle: [orders/reader, mail/reader]\n    max_duration: 1d\n";
    fs::create_dir_all(dir.path().join("access/resources")).expect("a folder");
    fs::write(dir.path().join("access/resources/kit.yaml"), kit).expect("a file");
    let path = "access/grants/kit/ada.yaml";
    let (code, out, err) = owners(dir.path(), &[path]);
    assert_eq!(err, "");
    assert_eq!(code, 1, "nobody owns mail/reader");
    assert_eq!(
        out,
        "access/grants/kit/ada.yaml\n  @acme/all\n  .github/CODEOWNERS:1: *\n  \
         it is a bundle, and each part is approved by its own owners:\n    \
         mail/reader: nobody: line 3 of .github/CODEOWNERS is the last that matches, and names no owner (.github/CODEOWNERS:3: /access/grants/mail/)\n    \
         orders/reader: @acme/dba (.github/CODEOWNERS:2: /access/grants/orders/)\n    \
         wiki/editor: @acme/all (.github/CODEOWNERS:1: *)\n"
    );
    // Of a request that is there, the parts of its role.
    let grant = "person: ada\nrole: day\nduration: 2h\nreason: On call until the evening.\n";
    fs::create_dir_all(dir.path().join("access/grants/kit")).expect("a folder");
    fs::write(dir.path().join(path), grant).expect("a file");
    let (code, out, _) = owners(dir.path(), &[path]);
    assert_eq!(code, 0);
    assert!(
        !out.contains("mail/reader") && out.contains("wiki/editor"),
        "{out}"
    );
    let (_, out, _) = owners(dir.path(), &["--json", path]);
    let answer: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        answer["paths"][0]["parts"][0],
        serde_json::json!({
            "part": "orders/reader", "owners": ["@acme/dba"], "line": 2, "pattern": "/access/grants/orders/", "why": null,
        })
    );
}

#[test]
fn a_path_that_nobody_owns_fails_and_says_why() {
    let dir = folder("CODEOWNERS", "/access/ @a\n/access/open/\n");
    let (code, out, _) = owners(dir.path(), &["access/open/x", "README.md"]);
    assert_eq!(code, 1);
    assert_eq!(
        out,
        "access/open/x\n  nobody: line 2 of CODEOWNERS is the last that matches, and names no owner\n  CODEOWNERS:2: /access/open/\nREADME.md\n  nobody: no line of CODEOWNERS matches\n"
    );
}

#[test]
fn problems_are_shown_at_their_place_and_fail() {
    let dir = folder("docs/CODEOWNERS", "* @a\n!/access/ @b\n");
    let (code, out, _) = owners(dir.path(), &["x"]);
    assert_eq!(code, 1);
    assert!(out.contains("error[codeowners-invalid-line]"));
    assert!(out.contains("docs/CODEOWNERS:2:1"));
}

#[test]
fn the_answer_in_json_names_everything() {
    let dir = folder("elsewhere", "/access/ @a b@c.example\n/x[y] @z\n");
    let (code, out, _) = owners(
        dir.path(),
        &["--json", "--codeowners", "elsewhere", "access/x", "b"],
    );
    assert_eq!(code, 1);
    let answer: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(answer["codeowners"], "elsewhere");
    assert_eq!(
        answer["paths"],
        serde_json::json!([
            { "path": "access/x", "owners": ["@a", "b@c.example"], "line": 1, "pattern": "/access/", "why": null },
            { "path": "b", "owners": [], "line": null, "pattern": null, "why": "no line of elsewhere matches" },
        ])
    );
    let problem = &answer["problems"][0];
    assert_eq!(problem["rule"], "codeowners-ambiguous-pattern");
    assert_eq!(
        (&problem["path"], &problem["line"], &problem["column"]),
        (&"elsewhere".into(), &2.into(), &3.into())
    );
}

#[test]
fn what_cannot_run_says_what_to_do() {
    let dir = folder("CODEOWNERS", "* @a\n");
    let empty = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("access")).expect("a folder");
    let table: [(&Path, &[&str], &str); 5] = [
        (dir.path(), &["docs/"], "is a folder; name a file in it"),
        (dir.path(), &["./access"], "is a folder; name a file in it"),
        (dir.path(), &["../x"], "is not a path relative to the root"),
        (
            dir.path(),
            &["x", "--codeowners", "nowhere"],
            "cannot read nowhere",
        ),
        (empty.path(), &["x"], "there is no CODEOWNERS here"),
    ];
    for (dir, arguments, expected) in table {
        let (code, out, err) = owners(dir, arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(expected), "{err}");
    }
}

#[test]
fn a_file_cannot_write_to_the_terminal() {
    let dir = folder("CODEOWNERS", "/a\u{1b}[2J/ @a\n");
    let (_, out, _) = owners(dir.path(), &["a\u{1b}[2J/x"]);
    assert!(!out.contains('\u{1b}'), "{out:?}");
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_the_file_is_refused() {
    let dir = folder("real", "* @a\n");
    std::os::unix::fs::symlink("real", dir.path().join("CODEOWNERS")).expect("a link");
    let (code, out, _) = owners(dir.path(), &["x"]);
    assert_eq!(code, 1);
    assert!(out.contains("codeowners-not-a-file"));
}
