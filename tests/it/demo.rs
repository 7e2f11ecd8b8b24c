//! `hallpass demo`, as people run it: the real program, in a folder of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const README: &str = include_str!("../../src/app/demo/README.md");

#[expect(clippy::disallowed_methods, reason = "tests run the real program")]
fn hallpass() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hallpass"))
}

#[expect(clippy::disallowed_methods, reason = "auditors use git")]
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    let done = git.current_dir(folder).args(arguments).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

fn demo(folder: &Path) -> Command {
    let mut command = hallpass();
    command.arg("demo").arg("--dir").arg(folder);
    command
}

fn told(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// Finds these in this order.
fn assert_in_order(text: &str, wanted: &[&str]) {
    let mut rest = text;
    for line in wanted {
        let Some((_, after)) = rest.split_once(line) else {
            panic!("{line:?} is not in\n{rest}\nof\n{text}");
        };
        rest = after;
    }
}

/// The file names of a folder of the access repository.
fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const STORY: [&str; 24] = [
    " 1  octocat",
    "✗ check on #1: Denied: term-too-long",
    "access/grants/orders/octocat-checkout-incident.yaml:4",
    "2d is asked for; orders/readonly lasts at most 8h",
    " 2  octocat corrects it",
    "… Waiting for @acme/orders-owners (0 of 1 approval)",
    "octocat (Mona Lisa Octocat)",
    " 3  ada, a colleague",
    "… still: Waiting for @acme/orders-owners (0 of 1 approval)",
    "@ada is not an owner",
    " 4  grace, an owner",
    "✓ check: Approved by @grace; merged by hallpass[bot]",
    "✓ octocat is in acme/orders-ro, ",
    " 5  octocat works",
    "✓ nobody is in acme/orders-ro, ",
    " 6  Hallpass removes",
    "✓ #2 Remove ended access: octocat on orders/readonly",
    " 7  morgan, an administrator",
    "✗ Merged without proof: orders/ada-support-rotation is not granted",
    "✓ #4 Remove what was not granted: orders/ada-support-rotation",
    " 8  mei, an auditor",
    "Granted: octocat on orders/readonly until ",
    " 9  What the life of #1 cost",
    "Done in ",
];

const EVIDENCE: [&str; 12] = [
    "Started: Hallpass",
    "First look: the protected branch is at ",
    "Requested: octocat asks for orders/readonly for 2d (#1)",
    "Denied: #1 breaks term-too-long",
    "Requested: octocat asks for orders/readonly until ",
    "Approved: grace approves orders/octocat-checkout-incident#1",
    "Granted: octocat on orders/readonly until ",
    "Revoked: octocat on orders/readonly (expired)",
    "Reverted: orders/octocat-checkout-incident is off the protected branch",
    "Requested: ada asks for orders/support for 14d (#3)",
    "Merged without proof: orders/ada-support-rotation is not granted",
    "Reverted: orders/ada-support-rotation is off the protected branch",
];

#[test]
fn the_incident_is_played_to_its_end_and_leaves_a_clone_that_tells_it() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("hallpass-demo");
    // What an earlier demo left is replaced, and nothing else is touched.
    fs::create_dir_all(folder.join("access/left")).unwrap();
    fs::write(folder.join("README.md"), README).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    // A proxy of the environment must not stand between what runs on this machine.
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY"];
    let output = demo(&folder)
        .envs(proxies.map(|name| (name, "http://127.0.0.1:9")))
        .output()
        .unwrap();
    let (out, err) = told(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(err, "");
    assert_in_order(&out, &STORY);
    assert!(!out.contains('\x1b'), "colours belong on a terminal");
    assert!(out.contains("✓ "), "{out}");
    assert!(!out.contains("✗ 3"), "more forge calls than wanted:\n{out}");

    assert_eq!(
        fs::read_to_string(folder.join("notes.txt")).unwrap(),
        "mine"
    );
    assert!(!folder.join("access/left").exists());
    let clone = folder.join("access");
    let subjects = git(
        &clone,
        &["log", "--reverse", "--format=%s", "hallpass/evidence"],
    );
    // When a merge is seen beside the look at its pull request is nobody's promise.
    let (landed, rest): (Vec<&str>, Vec<&str>) = subjects
        .lines()
        .partition(|line| line.starts_with("Landed: "));
    assert_eq!(landed.len(), 4, "{subjects}");
    let subjects = rest.join("\n");
    assert_eq!(rest.len(), EVIDENCE.len(), "{subjects}");
    assert_in_order(&subjects, &EVIDENCE);
    let approved = git(
        &clone,
        &[
            "log",
            "--format=%(trailers:key=Approved-by)",
            "hallpass/evidence",
        ],
    );
    assert!(approved.contains("grace (41099870) review "), "{approved}");
    // The clone still has where to fetch from, and nobody holds anything.
    git(&clone, &["fetch", "--quiet"]);
    assert!(!clone.join("access/grants").exists());
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("access");
    for kind in ["people", "resources", "services"] {
        assert_eq!(
            listing(&clone.join("access").join(kind)),
            listing(&example.join(kind)),
            "the demo plays on the whole example"
        );
    }
    let summary = fs::read_to_string(folder.join("checks/2-what-the-owner-sees.md")).unwrap();
    assert!(summary.contains("INC-4211"), "{summary}");
    let log = fs::read_to_string(folder.join("hallpass.log")).unwrap();
    assert!(
        log.contains("granted `orders/octocat-checkout-incident@"),
        "{log}"
    );

    let check = hallpass()
        .args(["serve", "--check", "--config"])
        .arg(folder.join("hallpass.toml"))
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn a_step_that_fails_ends_the_demo_and_says_what_was_expected_and_seen() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("demo");
    let mut running = demo(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The repository is taken away while an approval is waited for.
    let lines = BufReader::new(running.stdout.take().unwrap()).lines();
    for line in lines {
        if line.unwrap().starts_with(" 3  ada") {
            fs::remove_dir_all(folder.join("github")).unwrap();
        }
    }
    let output = running.wait_with_output().unwrap();
    let (_, err) = told(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert_in_order(
        &err,
        &["error: step ", "expected: ", "seen: ", "hallpass.log"],
    );
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("README.md"), "# My own project\n").unwrap();
    let output = demo(folder.path()).output().unwrap();
    let (out, err) = told(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("name another folder with --dir"), "{err}");
    assert_eq!(listing(folder.path()), ["README.md"]);
}

#[test]
fn without_git_the_demo_says_so_before_it_writes_anything() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("demo");
    let output = demo(&folder).env("PATH", parent.path()).output().unwrap();
    let (_, err) = told(&output);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("the demo needs git"), "{err}");
    assert!(!folder.exists());
}

#[test]
fn the_example_asks_each_kind_of_provider_for_what_that_kind_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("access/resources");
    for name in listing(&folder) {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        let resource: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let schema = match resource["provider"].as_str() {
            // What a bundle gives stands where its parts do.
            None => continue,
            Some("github") => hallpass::providers::github_team::KIND.entitlement,
            Some(_) => hallpass::providers::postgres::KIND.entitlement,
        };
        let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
        for (role, given) in resource["roles"].as_object().unwrap() {
            let entitlement = &given["entitlement"];
            assert!(
                schema.is_valid(entitlement),
                "{name}, {role}: {entitlement}"
            );
        }
    }
}
