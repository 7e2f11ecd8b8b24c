//! `hallpass init` and `hallpass app create`, run as programs by somebody who begins.

mod app;
mod interview;

use std::path::{Path, PathBuf};
use std::process::Output;

use hallpass::app::doctor::examine_with;
use hallpass::domain::doctor::{Area, Line, Verdict};
use hallpass::providers::Registry;
use hallpass::sandbox::{Permission, Sandbox, SandboxOptions};

/// A folder, and what is begun in it.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Every file below the folder, sorted, but those of git.
    pub fn files(&self) -> Vec<String> {
        fn walk(root: &Path, dir: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(root, &path, found);
                } else {
                    let path = path.strip_prefix(root).unwrap();
                    found.push(path.display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(self.folder.path(), self.folder.path(), &mut found);
        found.sort();
        found
    }

    #[expect(clippy::disallowed_methods, reason = "runs the real program")]
    pub fn hallpass(&self, words: &[&str]) -> Output {
        std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"))
            .current_dir(self.folder.path())
            .args(words)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }

    /// Exit status and everything that was said.
    pub fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let done = self.hallpass(words);
        let said = [&done.stdout[..], &done.stderr[..]].concat();
        (
            done.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

pub const FLAGS: [&str; 14] = [
    "init",
    "access",
    "--organisation",
    "acme",
    "--owner",
    "@acme/security",
    "--resource",
    "on-call",
    "--resource-owner",
    "@acme/sre-leads",
    "--person",
    "octocat=583231",
    "--person",
    "ada=41012815",
];

#[test]
fn what_is_begun_is_valid_and_every_path_has_an_owner() {
    for mode in [&[][..], &["--service-less"]] {
        let desk = Desk::new();
        let (code, said) = desk.run(&[&FLAGS, mode].concat());
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = desk.run(&["validate", "access"]);
        assert_eq!(code, Some(0), "{said}");
        let codeowners = desk.read("access/.github/CODEOWNERS");
        assert!(
            codeowners.contains("/access/grants/on-call/  @acme/sre-leads\n"),
            "{codeowners}"
        );
        // No secret stands in what is pushed.
        for file in desk.files().iter().filter(|f| f.starts_with("access/")) {
            let text = desk.read(file);
            assert!(!text.contains("PRIVATE KEY"), "{file}");
        }
    }
}

#[test]
fn every_kind_of_connection_begins_with_files_that_are_valid() {
    for kind in hallpass::app::init::Beginning::names() {
        let desk = Desk::new();
        let words = [
            "init",
            "access",
            "--organisation",
            "acme",
            "--resource",
            "thing",
            "--kind",
            kind,
            "--person",
            "octocat=583231",
            "--yes",
        ];
        let (code, said) = desk.run(&words);
        assert_eq!(code, Some(0), "{kind}: {said}");
        // Only what a person has to bring is missing: secrets, and the App.
        let toml = desk.read("access-setup/hallpass.toml");
        let toml = toml.replace("# app_id = 123456", "app_id = 1");
        std::fs::write(desk.path("access-setup/hallpass.toml"), toml).unwrap();
        let (code, said) =
            desk.run(&["serve", "--check", "--config", "access-setup/hallpass.toml"]);
        assert_eq!(code, Some(2), "{kind}: {said}");
        let wrong: Vec<&str> = said
            .lines()
            .filter(|line| {
                ![
                    "private key is missing",
                    "secret is missing",
                    "which is not set",
                    "programs",
                ]
                .iter()
                .any(|known| line.contains(known))
            })
            .collect();
        assert!(wrong.is_empty(), "{kind}: {wrong:#?}");
    }
}

#[test]
fn nothing_is_overwritten_and_a_second_run_writes_what_is_missing() {
    let desk = Desk::new();
    desk.run(&FLAGS);
    let before = desk.files();
    std::fs::write(desk.path("access/README.md"), "Ours.\n").unwrap();
    std::fs::remove_file(desk.path("access/.github/workflows/hallpass.yml")).unwrap();
    std::fs::remove_file(desk.path("access/schemas/grant.schema.json")).unwrap();
    let (code, said) = desk.run(&["init", "access"]);
    assert_eq!(
        code,
        Some(0),
        "it knows the rest by what stands there: {said}"
    );
    assert_eq!(desk.files(), before);
    assert_eq!(desk.read("access/README.md"), "Ours.\n");
    let written: Vec<&str> = said
        .lines()
        .skip_while(|line| *line != "Written")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .map(str::trim)
        .collect();
    assert_eq!(
        written,
        [
            "access/.github/workflows/hallpass.yml",
            "access/schemas/grant.schema.json"
        ]
    );
    assert!(
        said.contains("Left as it was, and is not what would be written now\n  access/README.md"),
        "{said}"
    );
}

#[test]
fn what_is_missing_or_cannot_be_used_is_named_with_its_flag() {
    let table: [(&[&str], &str); 6] = [
        (&[], "give it with --organisation"),
        (&["--organisation", "a/b"], "--organisation"),
        (
            &["--organisation", "acme", "--owner", "security"],
            "write @login or @organisation/team",
        ),
        (
            &["--organisation", "acme", "--resource", "On Call"],
            "--resource",
        ),
        (
            &["--organisation", "acme", "--resource", "x", "--kind", "fax"],
            "it is none of aws-iam",
        ),
        (
            &["--organisation", "acme", "--person", "octocat=x"],
            "is no number",
        ),
    ];
    for (words, expected) in table {
        let desk = Desk::new();
        let (code, said) = desk.run(&[&["init", "access"], words].concat());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
        assert_eq!(desk.files(), Vec::<String>::new(), "nothing is half begun");
    }
}

#[test]
fn a_repository_may_begin_without_anything_to_ask_for() {
    let desk = Desk::new();
    let (code, said) = desk.run(&["init", "access", "--organisation", "acme", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let codeowners = desk.read("access/.github/CODEOWNERS");
    assert!(
        codeowners.contains("*                @acme/security\n"),
        "{codeowners}"
    );
}

#[test]
fn programs_are_told_what_was_written_and_what_is_next() {
    let desk = Desk::new();
    let done = desk.hallpass(&[&FLAGS[..], &["--json"]].concat());
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(answer["sound"], true, "{answer}");
    assert_eq!(answer["files"][0]["became"], "written");
    assert!(answer["next"].as_array().unwrap().len() > 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_a_person_is_asked_of_github() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = standin(folder.path()).await;
    let id = sandbox.user("octocat");
    let desk = Desk::new();
    let words = [
        "init",
        "access",
        "--organisation",
        "acme",
        "--person",
        "octocat",
        "--web",
        sandbox.url(),
    ];
    let (code, said) = desk.run(&words);
    assert_eq!(code, Some(0), "{said}");
    let person = desk.read("access/access/people/octocat.yaml");
    assert!(person.contains(&format!("github_id: {id}\n")), "{person}");
    let nobody = Desk::new();
    let words = words.map(|word| if word == "octocat" { "nobody" } else { word });
    let (code, said) = nobody.run(&words);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--person nobody=NUMBER"), "{said}");
}

pub async fn standin(folder: &Path) -> Sandbox {
    let clock = std::sync::Arc::new(hallpass::clock::SystemClock);
    let mut options = SandboxOptions::new(clock, folder.join("github"));
    options.contracts = Some(crate::contracts::github());
    Sandbox::start(options).await.unwrap()
}

/// Pushes what was begun, sets the rulesets as `gh api` would, and asks the doctor.
pub async fn examined(desk: &Desk, sandbox: &Sandbox, app: u64) -> Vec<Line> {
    let files: Vec<(String, String)> = desk
        .files()
        .into_iter()
        .filter_map(|file| Some((file.strip_prefix("access/")?.to_owned(), desk.read(&file))))
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    sandbox.repository("access", &files).unwrap();
    for team in ["security", "sre-leads"] {
        sandbox.team(team, &["morgan", "mei"]);
        sandbox.team_may(team, "access", Permission::Push);
    }
    sandbox.team("on-call", &[]);
    sandbox.installation(app, 8);
    let token = sandbox.personal_token("morgan");
    for name in ["main", "evidence"] {
        let body = desk.read(&format!("access-setup/rulesets/{name}.json"));
        let answer = reqwest::Client::new()
            .post(format!("{}/repos/acme/access/rulesets", sandbox.api_url()))
            .header("user-agent", "gh")
            .header("authorization", format!("Bearer {token}"))
            .body(body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        assert_eq!(status, 201, "{}", answer.text().await.unwrap());
    }
    let path = desk.path("access-setup/hallpass.toml");
    let config = hallpass::config::Config::load(&path, |_| None).unwrap_or_else(|e| panic!("{e}"));
    let clock = std::sync::Arc::new(hallpass::clock::SystemClock);
    let lines = examine_with(&config, clock, Registry::new(), |_| {}).await;
    lines.unwrap()
}

/// That the doctor wants nothing of what was begun.
pub fn assert_well(lines: &[Line]) {
    // The stand-in has no address that is encrypted, the first start makes the key of the evidence, and where anchors are kept outside
    // only they can say.
    let known = [
        "webhooks",
        "no key yet that signs evidence",
        "no anchors are kept outside",
    ];
    let wrong = lines.iter().filter(|line| line.verdict != Verdict::Pass);
    let wrong: Vec<&Line> = wrong
        .filter(|line| !known.iter().any(|k| line.says.contains(k)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for area in [Area::App, Area::Branches, Area::Owners, Area::Files] {
        assert!(lines.iter().any(|line| line.area == area), "{area:?}");
    }
}
