//! The command line of whoever asks for access, run as a program in a clone: of the example repository, or of a world with a service.

mod attacks;
mod flags;
mod foresight;
mod help;
mod looking;
mod text;
mod wizard;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::Repository;
use hallpass::clock::SystemClock;
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::{AccountKind, Membership, Permission, Sandbox, SandboxOptions};
use serde_json::Value;
use tempfile::TempDir;

const REPO: &str = "access";

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// All of these stand in the output.
    pub fn has(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(self.out.contains(part), "{part:?} is not in\n{self:#?}");
        }
        self
    }
}

/// The example repository, served by the stand-in, with or without its grants; nothing runs that answers.
pub struct Example {
    pub sandbox: Sandbox,
    _folder: TempDir,
}

/// A grant that the help of commands is about.
const INCIDENT: (&str, &str) = (
    "access/grants/orders/octocat-inc-4211.yaml",
    "person: octocat\nrole: readonly\nduration: 2h\nreason: Checkout fails for some customers since 13:05.\nticket: INC-4211\nrisk: Reads personal data.\n",
);

/// Every file of the example of this project that is no grant: in the beginning nobody has anything.
pub fn bare_files() -> Vec<(String, String)> {
    let mut files = granted_files();
    files.retain(|(path, _)| !path.starts_with("access/grants/"));
    files
}

/// Every file of the example of this project, with the incident in place of the one that it has.
pub fn granted_files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![(INCIDENT.0.to_owned(), INCIDENT.1.to_owned())];
    let mut folders = vec![root.join("access"), root.join("schemas")];
    let mut found = vec![root.join(".github/CODEOWNERS")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    for path in found {
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if !name.ends_with("octocat-checkout-incident.yaml") {
            files.push((name, std::fs::read_to_string(path).unwrap()));
        }
    }
    files
}

impl Example {
    pub async fn new() -> Self {
        Self::of(&bare_files()).await
    }

    pub async fn granted() -> Self {
        Self::of(&granted_files()).await
    }

    /// With these files in place of, or beside, its own.
    pub async fn with(changed: &[(&str, &str)]) -> Self {
        let mut files = granted_files();
        for (path, text) in changed {
            files.retain(|(known, _)| known != path);
            files.push(((*path).to_owned(), (*text).to_owned()));
        }
        Self::of(&files).await
    }

    pub async fn of(files: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SandboxOptions::new(Arc::new(SystemClock), folder.path().join("github"));
        let sandbox = Sandbox::start(options).await.unwrap();
        for (path, text) in files {
            let login = path.strip_prefix("access/people/");
            let Some(login) = login.and_then(|name| name.strip_suffix(".yaml")) else {
                continue;
            };
            let id = text
                .lines()
                .find_map(|line| line.strip_prefix("github_id: "));
            let id = id.and_then(|id| id.parse().ok());
            sandbox.account(login, id, AccountKind::User);
            sandbox.belongs(login, Membership::Active);
        }
        sandbox.member("stranger");
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        sandbox.repository(REPO, &files).unwrap();
        sandbox.base_permission(Some(Permission::Push));
        sandbox.team("orders-owners", &["grace", "linus"]);
        sandbox.team_may("orders-owners", REPO, Permission::Push);
        Self {
            sandbox,
            _folder: folder,
        }
    }

    pub fn desk(&self) -> Desk {
        Desk::of(&self.sandbox)
    }

    /// What a pull request changes at `path`.
    pub fn asked(&self, pull: u64, path: &str) -> String {
        let pull = self.sandbox.pull(REPO, PullNumber(pull));
        let text = self.sandbox.file(REPO, &pull.head, path);
        let text = text.unwrap_or_else(|| panic!("{path} is not in {pull:?}"));
        String::from_utf8(text).unwrap()
    }
}

/// Somebody's clone, and an empty home.
pub struct Desk {
    folder: TempDir,
    host: String,
}

impl Desk {
    pub fn of(sandbox: &Sandbox) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bare = sandbox.repository_path(REPO);
        let clone = folder.path().join("clone");
        let repo = Repository::clone(bare.to_str().unwrap(), &clone).unwrap();
        let host = sandbox.url().trim_start_matches("http://").to_owned();
        let desk = Self { folder, host };
        repo.remote_set_url("origin", &desk.origin()).unwrap();
        let mut config = repo.config().unwrap();
        config.set_str("user.name", "Somebody").unwrap();
        config
            .set_str("user.email", "somebody@example.org")
            .unwrap();
        desk
    }

    pub fn clone(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    pub fn repo(&self) -> Repository {
        Repository::open(self.clone()).unwrap()
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The address that the clone has from its forge.
    pub fn origin(&self) -> String {
        format!("http://{}/acme/{REPO}.git", self.host)
    }

    /// An empty home.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// What has to be set so that `token` is used.
    pub fn environment<'a>(&'a self, token: &'a str) -> [(&'a str, &'a str); 2] {
        [("GH_ENTERPRISE_TOKEN", token), ("GH_HOST", &self.host)]
    }

    /// Runs the program with this environment alone, and nothing to read.
    #[expect(clippy::disallowed_methods, reason = "tests run the real program")]
    pub async fn run_in(
        &self,
        dir: &Path,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> Said {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_hallpass"))
            .current_dir(dir)
            .env_clear()
            .env("HOME", self.folder.path())
            .envs(environment.iter().copied())
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// [`Desk::run_in`] the clone.
    pub async fn run(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
        self.run_in(&self.clone(), environment, arguments).await
    }

    /// As somebody with a token for the stand-in.
    pub async fn as_person(&self, sandbox: &Sandbox, login: &str, arguments: &[&str]) -> Said {
        let token = sandbox.personal_token(login);
        let said = self.run(&self.environment(&token), arguments).await;
        assert!(!format!("{said:?}").contains(&token));
        said
    }

    /// What matters to whoever works here: the branch, its tip, the index, the work tree.
    pub fn state(&self) -> String {
        let repo = self.repo();
        let head = repo.head().unwrap();
        let (name, tip) = (head.name().unwrap().to_owned(), head.target());
        let statuses = repo.statuses(None).unwrap();
        let index = std::fs::read(repo.path().join("index")).unwrap();
        format!("{name} {tip:?} {} {}", statuses.len(), hex::encode(index))
    }

    /// The branches of the clone that a command made.
    pub fn branches(&self) -> Vec<String> {
        let repo = self.repo();
        let branches = repo.branches(Some(git2::BranchType::Local)).unwrap();
        let names = branches.map(|b| b.unwrap().0.name().unwrap().unwrap().to_owned());
        let mut names: Vec<String> = names.filter(|name| name != "main").collect();
        names.sort();
        names
    }
}
