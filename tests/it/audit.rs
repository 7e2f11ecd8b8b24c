//! `hallpass audit`, as an auditor runs it: the real program on a fresh clone, with nothing but the public key.

mod again;
mod trust;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chrono::TimeDelta;
use hallpass::sandbox::{Change, MergeMethod};

use crate::world::{Ears, REPO, World, file, grant, person_file};

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

/// What an auditor has.
pub struct Desk {
    folder: tempfile::TempDir,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Desk {
    /// Clones what the forge has now, and is given the key.
    pub fn of(world: &World) -> Self {
        Self::given(&world.repository_path(), &world.evidence_key())
    }

    /// Clones a repository, and is given this key.
    pub fn given(origin: &Path, key: &str) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let desk = Self { folder };
        desk.git(&["clone", "-q", &origin.display().to_string(), "access"]);
        std::fs::write(desk.path("key.pub"), key).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "auditors have git")]
    fn git(&self, args: &[&str]) -> String {
        let done = Command::new("git")
            .current_dir(self.folder.path())
            .args(args)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", text(&done.stderr));
        text(&done.stdout)
    }

    #[expect(clippy::disallowed_methods, reason = "runs the real program")]
    fn ask(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_hallpass"))
            .current_dir(self.path("access"))
            .arg("audit")
            .args(args)
            .output()
            .unwrap()
    }

    /// Exit status and answer.
    pub fn answer(&self, args: &[&str]) -> (i32, String) {
        let done = self.ask(args);
        assert_eq!(text(&done.stderr), "", "{args:?}");
        (done.status.code().unwrap(), text(&done.stdout))
    }

    /// Exit status and what it complains of.
    pub fn refused(&self, args: &[&str]) -> (i32, String) {
        let done = self.ask(args);
        (done.status.code().unwrap(), text(&done.stderr))
    }

    pub fn verify(&self, more: &[&str]) -> (i32, String) {
        let args = ["verify", "--key", "../key.pub"];
        self.answer(&[&args, more].concat())
    }
}

/// Access for two hours, used up; and a merge by an administrator that nobody approved.
async fn a_day() -> World {
    let world = World::new(Ears::Hearing, "").await;
    world.resync().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    world.advance(minutes(120)).await;
    world.advance(minutes(30)).await;
    let pull = world
        .request("ada", "db/ada-again", &grant("ada", "readonly", "2h"))
        .await;
    world.merge_as_admin(pull, MergeMethod::Merge).await;
    world.advance(minutes(10)).await;
    world.resync().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_the_grants_alone_tells_who_approved_and_until_when() {
    for (method, how) in [("squash", "--no-merges"), ("merge", "--first-parent")] {
        let world = World::new(
            Ears::Hearing,
            &format!("merge = \"auto\"\nmerge_method = \"{method}\""),
        )
        .await;
        let text = grant("ada", "readonly", "2h");
        let pull = world.request("ada", "db/ada-incident", &text).await;
        world.approve(pull, "grace").await;
        let desk = Desk::of(&world);
        let log = [
            "-C",
            "access",
            "log",
            how,
            "-1",
            "--format=%s%n%(trailers)",
            "access/grants/",
        ];
        let said = desk.git(&log);
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some("Grant db/readonly to ada (#1)"));
        let told: Vec<&str> = lines.map(|l| l.split(" (").next().unwrap()).collect();
        let wanted = [
            "Request: db/ada-incident#1",
            "Subject: person ada",
            "Role: db/readonly",
            "Term: 2h",
            "Until: 2026-11-23T11:00Z",
            "Approved-by: grace",
        ];
        assert_eq!(told[..6], wanted, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_finds_whole_what_the_service_wrote_and_is_answered() {
    let world = a_day().await;
    let desk = Desk::of(&world);

    let (status, said) = desk.verify(&[]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("Whole and right"), "{said}");
    assert!(said.contains("made 1 decisions again"), "{said}");

    let given = world.told("granted");
    assert_eq!(given.len(), 1);
    let (_, said) = desk.answer(&["access", "--at", "2026-11-23T10:00Z", "--resource", "db"]);
    assert!(said.contains("1 grants were held"), "{said}");
    assert!(said.contains("person ada  db/readonly"), "{said}");
    assert!(said.contains("grace"), "{said}");
    let (_, said) = desk.answer(&["access", "--at", "2026-11-23T11:30:00Z"]);
    assert!(said.contains("0 grants were held"), "{said}");
    let (_, said) = desk.answer(&["access", "--at", "2026-11-23T10:00Z", "--person", "linus"]);
    assert!(said.contains("0 grants were held"), "{said}");

    let (_, said) = desk.answer(&["history", "db/ada-incident"]);
    for word in [
        "Requested:",
        "Approved: grace",
        "Granted:",
        "Revoked:",
        "Reverted:",
        "git show",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let why = said
        .lines()
        .find_map(|l| l.trim().strip_prefix("why: git "))
        .unwrap();
    let shown: Vec<&str> = ["-C", "access"].into_iter().chain(why.split(' ')).collect();
    assert!(desk.git(&shown).contains("reason:"));

    let (status, said) = desk.answer(&["exceptions"]);
    assert!(said.contains("merged-without-proof"), "{said}");
    assert_eq!(status, 0, "it was reverted: {said}");

    let period = ["population", "--from", "2026-11-23", "--to", "2026-11-24"];
    let (_, csv) = desk.answer(&[&period[..], &["--csv"]].concat());
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let (_, json) = desk.answer(&[&period[..], &["--json"]].concat());
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found["requested"], 2);
    assert_eq!(found["given"], 1);
    assert_eq!(found["ended"], 1);
    let (_, said) = desk.answer(&["reviewers"]);
    assert!(said.contains("grace"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_for_a_spreadsheet_is_a_formula() {
    let world = World::new(Ears::Hearing, "").await;
    let formula = "=1+1";
    let ada = world.sandbox.file(REPO, "main", &person_file("ada"));
    let ada = text(&ada.unwrap()).replace("vault: ada", &format!("vault: \"{formula}\""));
    let ada = Change::write(person_file("ada"), ada);
    world.decree(&[ada]).await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    world.advance(minutes(1)).await;
    assert_eq!(world.holders("reader"), [formula]);
    let desk = Desk::of(&world);
    let (_, csv) = desk.answer(&["access", "--at", "2026-11-23T10:00:00Z", "--csv"]);
    let cells: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    assert!(cells.contains(&"'=1+1"), "{csv}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_behind_the_back_of_the_service_is_named() {
    let mut world = a_day().await;
    world.stop().await;
    let quiet = Change::Write {
        path: file("db/quiet"),
        content: grant("ada", "admin", "2h").into_bytes(),
    };
    world
        .sandbox
        .push_to_main("root", REPO, &[quiet], "Quietly")
        .unwrap();
    let desk = Desk::of(&world);
    let (status, said) = desk.verify(&[]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("commit-unexplained"), "{said}");
    assert!(said.contains("access/grants/db/quiet.yaml"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_was_cut_or_signed_by_somebody_else_is_named() {
    let world = a_day().await;
    let desk = Desk::of(&world);
    let (_, anchor) = desk.answer(&["anchor"]);
    std::fs::write(desk.path("anchor.json"), anchor).unwrap();
    assert_eq!(desk.verify(&["--anchor", "../anchor.json"]).0, 0);
    // The newest records are gone: what is left is whole, and only the anchor tells.
    let cut = ["--evidence", "origin/hallpass/evidence~2"];
    let (status, said) = desk.verify(&[&cut[..], &["--anchor", "../anchor.json"]].concat());
    assert_eq!(status, 1);
    assert!(said.contains("anchor-missing"), "{said}");

    let other = desk.path("other_key");
    hallpass::repo::Signers::at(&other).unwrap();
    let stranger = hallpass::repo::Signers::at(Path::new(&other))
        .unwrap()
        .public();
    std::fs::write(desk.path("key.pub"), stranger).unwrap();
    let (status, said) = desk.verify(&[]);
    assert_eq!(status, 1);
    assert!(said.contains("unknown-key"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_commit_is_left_out_aloud_and_keeps_nobody_from_being_answered() {
    let world = a_day().await;
    let desk = Desk::of(&world);
    let mallory = ["-c", "user.name=mallory", "-c", "user.email=m@example.org"];
    let commit = ["commit-tree", "origin/main^{tree}", "-m", "Hello"];
    let behind = ["-p", "origin/hallpass/evidence"];
    let words = [&["-C", "access"][..], &mallory, &commit, &behind].concat();
    let foreign = desk.git(&words).trim().to_owned();

    let branch = ["--evidence", &foreign];
    let access = ["access", "--at", "2026-11-23T10:00Z"];
    let done = desk.ask(&[&access[..], &branch].concat());
    let (said, warned) = (text(&done.stdout), text(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{warned}");
    assert!(said.contains("1 grants were held"), "{said}");
    assert!(warned.starts_with("warning: "), "{warned}");
    assert!(warned.contains(&foreign), "{warned}");

    let list = ["population", "--from", "2026-11-23", "--to", "2026-11-24"];
    let done = desk.ask(&[&list[..], &branch, &["--json"]].concat());
    let found: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(found["given"], 1);
    assert_eq!(found["left_out"], serde_json::json!([foreign]));

    let (status, said) = desk.verify(&branch);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("no-record"), "{said}");
}

const DAY: [&str; 5] = ["report", "--from", "2026-11-23", "--to", "2026-11-24"];

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_keeps_a_page_and_finds_each_figure_of_it_in_git() {
    let world = a_day().await;
    let desk = Desk::of(&world);
    let whole = [
        &DAY[..],
        &["--key", "../key.pub", "--html", "../report.html"],
    ]
    .concat();
    assert_eq!(desk.answer(&whole), (0, String::new()));
    let page = std::fs::read_to_string(desk.path("report.html")).unwrap();
    for word in [
        "Nothing wrong was found, but not everything was checked.",
        "no anchor was given",
        "None is open.",
        "merged-without-proof",
        "1 decision made again",
        "grace",
    ] {
        assert!(page.contains(word), "{word}");
    }
    let (_, anchor) = desk.answer(&["anchor"]);
    std::fs::write(desk.path("anchor.json"), anchor).unwrap();
    let all = [&whole[..], &["--anchor", "../anchor.json"]].concat();
    assert_eq!(desk.answer(&all).0, 0);
    let page = std::fs::read_to_string(desk.path("report.html")).unwrap();
    assert!(page.contains("Whole and right."), "{page}");
    let written = desk.answer(&[&DAY[..], &["--html", "-"]].concat()).1;
    assert!(written.contains("Signatures: no public key was given"));

    // What the page says how to list is what it counts.
    let records: u64 = desk
        .git(&[
            "-C",
            "access",
            "rev-list",
            "--count",
            "origin/hallpass/evidence",
        ])
        .trim()
        .parse()
        .unwrap();
    assert!(
        page.contains(&format!("{records} records in the period")),
        "{records}"
    );
    let (_, command) = page.rsplit_once("<code>git log ").unwrap();
    let (command, _) = command.split_once("</code>").unwrap();
    let listed: Vec<&str> = ["-C", "access", "log", "--format=%H"]
        .into_iter()
        .chain(command.split(' '))
        .collect();
    assert_eq!(
        desk.git(&listed).lines().count() as u64,
        records,
        "{command}"
    );
    let (_, figures) = desk.answer(&[&DAY[..], &["--key", "../key.pub", "--json"]].concat());
    let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
    let mut checked = 0;
    for figure in figures["totals"]["figures"].as_array().unwrap() {
        let kinds = figure["kinds"].as_array().unwrap();
        let Some(kind) = kinds.first() else { continue };
        assert_eq!(
            figure["commits"]["of"],
            world.told(kind.as_str().unwrap()).len(),
            "{figure}"
        );
        checked += 1;
    }
    assert_eq!(checked, 9);
    for cited in page.split("<tr id=\"c-").skip(1) {
        desk.git(&["-C", "access", "cat-file", "-e", &cited[..40]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_ends_with_one_when_somebody_must_look() {
    let world = a_day().await;
    let desk = Desk::of(&world);
    let other = hallpass::repo::Signers::at(&desk.path("other_key")).unwrap();
    std::fs::write(desk.path("key.pub"), other.public()).unwrap();
    let (status, page) = desk.answer(&[&DAY[..], &["--key", "../key.pub", "--html", "-"]].concat());
    assert_eq!(status, 1);
    assert!(page.contains("unknown-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_says_why() {
    let world = a_day().await;
    let desk = Desk::of(&world);
    for (arguments, said) in [
        (&["report"][..], "--html <FILE>"),
        (&["report", "--html", "-", "--json"], "give --html a file"),
        (
            &[
                "report",
                "--json",
                "--from",
                "2026-11-24",
                "--to",
                "2026-11-23",
            ],
            "--from must be before --to",
        ),
        (
            &["report", "--html", "no/such/folder/report.html"],
            "no/such/folder",
        ),
        (
            &["report", "--json", "--forge", "ftp://x"],
            "https://github.com/acme/access",
        ),
    ] {
        let done = desk.ask(arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
        assert!(text(&done.stderr).contains(said), "{}", text(&done.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_without_evidence_says_how_to_get_it() {
    let folder = tempfile::TempDir::new().unwrap();
    git2::Repository::init(folder.path().join("access")).unwrap();
    let desk = Desk { folder };
    let done = desk.ask(&["access"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("git fetch origin hallpass/evidence"));
    let done = desk.ask(&["access", "--at", "yesterday"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("2026-10-01T12:00:00Z"));
}
