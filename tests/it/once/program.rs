//! The real program, against the stand-in, by the machine's clock.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::clock::{Clock, SystemClock};
use hallpass::domain::evidence::instant;
use hallpass::repo::Signers;
use hallpass::sandbox::{AppSpec, Change, KNOWN_KEY, Permission, Sandbox, SandboxOptions, Verdict};

use crate::audit::Desk;

const REPO: &str = "access";
const GRANT: &str = "access/grants/crew/ada.yaml";

struct Office {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
}

impl Office {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let options = SandboxOptions::new(clock, folder.path().join("github"));
        let sandbox = Sandbox::start(options).await.unwrap();
        let ids = ["ada", "grace", "mallory"].map(|login| (login, sandbox.member(login)));
        sandbox.member("root");
        sandbox.owner("root");
        sandbox.team("owners", &["grace", "root"]);
        sandbox.team("readers", &[]);
        let person = |(login, id)| {
            let text = format!("github_id: {id}\nidentities:\n  github: {login}\n");
            (format!("access/people/{login}.yaml"), text)
        };
        let mut files: Vec<(String, String)> = ids.into_iter().map(person).collect();
        files.push((".github/CODEOWNERS".into(), "* @acme/owners\n".into()));
        files.push((
            "access/resources/crew.yaml".into(),
            "description: The team that reads mail\nrisk: low\nprovider: github\nroles:\n  reader:\n    description: Membership\n    \
             entitlement: { team: readers }\n    max_duration: 1h\n"
                .into(),
        ));
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(p, t)| (p.as_str(), t.as_str()))
            .collect();
        sandbox.repository(REPO, &files).unwrap();
        sandbox.base_permission(Some(Permission::Push));
        sandbox.team_may("owners", REPO, Permission::Push);
        sandbox.app(AppSpec::hallpass(7, KNOWN_KEY)).unwrap();
        sandbox.installation(7, 8);
        let office = Self { folder, sandbox };
        Signers::at(&office.path("key")).unwrap();
        office.write_configuration();
        office
    }

    fn write_configuration(&self) {
        let toml = format!(
            "[github]\nrepository = \"acme/access\"\napp_id = 7\napi = \"{}\"\nweb = \"{}\"\nmerge = \"auto\"\nmerge_reverts = true\n\
             [timing]\nrevert_window = \"1s\"\n[providers.github]\nkind = \"github-team\"\n\
             organisation = \"acme\"\n",
            self.sandbox.api_url(),
            self.sandbox.url()
        );
        std::fs::write(self.path("hallpass.toml"), toml).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program where nothing is left of any run before.
    fn once(&self, more: &[&str]) -> (Option<i32>, String) {
        let key = std::fs::read_to_string(self.path("key")).unwrap();
        let done = run(
            self.folder.path(),
            &[&["--once"], more].concat(),
            Some(&key),
        );
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let log = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!log.contains(&key), "a key in the log");
        assert!(!self.path("data").exists(), "nothing is kept here");
        (done.status.code(), text + &log)
    }

    fn holders(&self) -> Vec<String> {
        let members = self.sandbox.team_members("readers");
        members.into_iter().map(|(login, _)| login).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "runs the real program")]
fn run(folder: &Path, words: &[&str], key: Option<&str>) -> Output {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"));
    program
        .current_dir(folder)
        .arg("reconcile")
        .args(words)
        .env("HALLPASS_GITHUB_PRIVATE_KEY", KNOWN_KEY);
    if let Some(key) = key {
        program.env("HALLPASS_EVIDENCE_KEY", key);
    }
    program.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_plays_the_whole_life_of_a_request_from_an_empty_folder_each_time() {
    let office = Office::new().await;
    let sandbox = &office.sandbox;
    let (code, said) = office.once(&[]);
    assert_eq!(code, Some(0), "{said}");

    let text = |until: &str| {
        format!(
            "person: ada\nrole: reader\n{until}\nreason: A customer asks where their mail went.\n"
        )
    };
    let ask = |until: &str, message: &str| {
        let change = Change::write(GRANT, text(until));
        sandbox
            .push("ada", REPO, "ask", &[change], message)
            .unwrap();
    };
    ask("duration: 2h", "Ask");
    let pull = sandbox
        .open_pull("ada", REPO, "ask", "main", "Please", "")
        .unwrap();
    let conclusion = || {
        let head = sandbox.pull(REPO, pull).head_sha;
        let checks = sandbox.checks(REPO, &head);
        checks.last().unwrap().conclusion.clone()
    };
    let (code, said) = office.once(&[]);
    assert_eq!(
        code,
        Some(0),
        "a request that is refused is no failure of the run: {said}"
    );
    assert_eq!(conclusion().as_deref(), Some("failure"));
    assert!(said.contains("Open, and judged: #1"), "{said}");

    let ends = SystemClock.now() + TimeDelta::seconds(60);
    ask(&format!("expires: {}", instant(ends)), "Ask for less");
    let review = |login: &str| {
        let said = sandbox.review(login, REPO, pull, Verdict::Approve, "The customer is real.");
        said.unwrap();
    };
    review("mallory");
    let (code, said) = office.once(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(sandbox.pull(REPO, pull).merged.is_none(), "{said}");
    review("grace");
    let (code, said) = office.once(&["--patience", "0"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Granted: ada on crew/reader"), "{said}");
    assert_eq!(office.holders(), ["ada"]);

    // Nothing happens between two runs; this one waits for the end, and for what follows.
    let (code, said) = office.once(&["--patience", "120"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(SystemClock.now() >= ends);
    assert!(said.contains("Revoked: ada on crew/reader"), "{said}");
    assert!(office.holders().is_empty());
    assert!(sandbox.file(REPO, "main", GRANT).is_none(), "{said}");
    assert!(sandbox.pulls(REPO).iter().all(|p| !p.open));

    let (code, said) = office.once(&["--json"]);
    assert_eq!(code, Some(0), "{said}");
    let answer: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(answer["did"], serde_json::json!([]), "{answer}");
    let key = Signers::at(&office.path("key")).unwrap().public();
    let (code, said) = Desk::given(&sandbox.repository_path(REPO), &key).verify(&[]);
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_key_for_the_evidence_does_not_begin() {
    let office = Office::new().await;
    let done = run(office.folder.path(), &["--once"], None);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("HALLPASS_EVIDENCE_KEY"), "{said}");
    assert!(sandbox_was_left_alone(&office));
}

fn sandbox_was_left_alone(office: &Office) -> bool {
    office
        .sandbox
        .branch_tip(REPO, "hallpass/evidence")
        .is_none()
}
