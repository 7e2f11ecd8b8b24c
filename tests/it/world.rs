//! A whole world on loopback: the stand-in of GitHub with real git, the service as `hallpass serve` puts it together, a target
//! system, and a clock that moves only when told to.
//!
//! Scenarios are told in sentences. Each can run *hearing* (webhooks arrive) or *deaf* (none does; the world is looked at by
//! resync only), and must end in the same world.

mod crash;
mod ended;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::app::recover::{self, Doing, Outcome};
use hallpass::app::service::Service;
use hallpass::clock::{Clock, ManualClock};
use hallpass::config::Config;
use hallpass::domain::ledger::Entry;
use hallpass::domain::model::{CommitId, ConnectionName, PullNumber, UserId};
use hallpass::http;
use hallpass::providers::{Provider, Registry};
use hallpass::reconcile::Vouched;
use hallpass::sandbox::{
    AppSpec, Change, CheckView, KNOWN_KEY, MergeMethod, Permission, Ruleset, Sandbox,
    SandboxOptions, Verdict,
};
use hallpass::store::Scope;
use hallpass::worker::Resync;
use tokio_util::sync::CancellationToken;

use crate::contracts;
use crate::leaks::{self, REASON, REMARK};
use crate::vault::Vault;

pub use crash::{at_every_wait, killed_at};

pub const REPO: &str = "access";
pub const APP: u64 = 4242;
pub const INSTALLATION: u64 = 77;
const SECRET: &str = "canary, the webhook secret of the tests";

/// The App's client secret, for the page.
pub const CLIENT_SECRET: &str = "canary, the client secret of the tests";

/// Whether webhooks arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ears {
    Hearing,
    Deaf,
}

pub struct World {
    pub clock: Arc<ManualClock>,
    pub sandbox: Sandbox,
    pub vault: Arc<Vault>,
    pub ears: Ears,
    more: Registry,
    service: Option<Service>,
    server: CancellationToken,
    toml: String,
    folder: tempfile::TempDir,
}

/// A grant of `role` on `db` for `duration`.
pub fn grant(person: &str, role: &str, duration: &str) -> String {
    format!("person: {person}\nrole: {role}\nduration: {duration}\nreason: {REASON}\n")
}

impl World {
    /// A world whose webhooks arrive.
    pub async fn hearing() -> Self {
        Self::new(Ears::Hearing, "").await
    }

    /// A world of people, teams, one resource `db` on the vault and one resource `crew` on a GitHub team. `github` adds lines to the
    /// `[github]` table of the configuration.
    pub async fn new(ears: Ears, github: &str) -> Self {
        Self::connected(ears, github, Registry::new()).await
    }

    /// [`World::new`], with more connections beside the vault.
    pub async fn connected(ears: Ears, github: &str, more: Registry) -> Self {
        leaks::listen();
        let start = "2026-11-23T09:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let folder = tempfile::tempdir().unwrap();
        let mut options = SandboxOptions::new(
            Arc::clone(&clock) as Arc<dyn Clock>,
            folder.path().join("github"),
        );
        options.contracts = Some(contracts::github());
        let sandbox = Sandbox::start(options).await.unwrap();
        populate(&sandbox);
        let merge = if github.contains("merge =") {
            ""
        } else {
            "merge = \"auto\"\nmerge_reverts = true\n"
        };
        let toml = format!(
            "[github]\nrepository = \"acme/{REPO}\"\napp_id = {APP}\ninstallation_id = {INSTALLATION}\napi = \"{}\"\nweb = \"{}\"\n{merge}{github}\n\
             [server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\n[providers.github]\nkind = \"github-team\"\norganisation = \"acme\"\n",
            sandbox.api_url(),
            sandbox.url()
        );
        let mut world = Self {
            clock,
            sandbox,
            vault: Arc::default(),
            ears,
            more,
            service: None,
            server: CancellationToken::new(),
            toml,
            folder,
        };
        world.start().await;
        world
    }

    /// Starts (or, after a crash, starts again) the service on the same database and mirror.
    pub async fn start(&mut self) {
        self.stop().await;
        let service = self.assemble().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.server = CancellationToken::new();
        tokio::spawn(http::serve(
            listener,
            service.router(),
            self.server.clone().cancelled_owned(),
        ));
        self.sandbox
            .deliver_to(format!("http://{address}/webhook"), SECRET);
        self.sandbox.deaf(self.ears == Ears::Deaf);
        self.service = Some(service);
    }

    /// The service on its database and mirror, put together. It is stopped before.
    pub async fn assemble(&self) -> Service {
        let (config, clock, extra) = self.parts();
        Service::assemble(&config, clock, extra).await.unwrap()
    }

    /// Starts the service again with `more` behind its configuration.
    pub async fn configure(&mut self, more: &str) {
        self.toml.push_str(more);
        self.start().await;
    }

    /// What the service is put together from.
    pub fn parts(&self) -> (Config, Arc<dyn Clock>, Registry) {
        let path = self.folder.path().join("hallpass.toml");
        std::fs::write(&path, &self.toml).unwrap();
        let secrets = |name: &str| match name {
            "HALLPASS_GITHUB_PRIVATE_KEY" => Some(KNOWN_KEY.to_owned()),
            "HALLPASS_WEBHOOK_SECRET" => Some(SECRET.to_owned()),
            "HALLPASS_CLIENT_SECRET" => Some(CLIENT_SECRET.to_owned()),
            name => crate::notify::secret(name).map(str::to_owned),
        };
        let config = Config::load(&path, secrets).unwrap_or_else(|e| panic!("{e}"));
        let vault: Arc<dyn Provider> = Arc::clone(&self.vault) as Arc<dyn Provider>;
        let mut extra = self.more.clone();
        extra.insert(ConnectionName::new("vault").unwrap(), vault);
        (config, Arc::clone(&self.clock) as Arc<dyn Clock>, extra)
    }

    /// The service's own folder.
    pub fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// The files of its database.
    pub fn database(&self) -> Vec<std::path::PathBuf> {
        files_of_database(&self.data())
    }

    /// Stops the service and loses its database; the mirror and the key stay.
    pub async fn lose_database(&mut self) {
        self.stop().await;
        for file in files_of_database(&self.data()) {
            std::fs::remove_file(file).unwrap();
        }
    }

    /// Stops the service and loses its whole folder: database, mirror and key.
    pub async fn lose_everything(&mut self) {
        self.stop().await;
        std::fs::remove_dir_all(self.data()).unwrap();
    }

    /// Stops the service and loses database and mirror; the key stays.
    pub async fn lose_all_but_the_key(&mut self) {
        self.stop().await;
        let key = self.private_evidence_key();
        std::fs::remove_dir_all(self.data()).unwrap();
        std::fs::create_dir(self.data()).unwrap();
        std::fs::write(self.data().join("evidence_key"), key).unwrap();
    }

    /// Stops the service, changes its configuration, and starts it again.
    pub async fn reconfigure(&mut self, from: &str, to: &str) {
        assert!(self.toml.contains(from), "{}", self.toml);
        self.toml = self.toml.replace(from, to);
        self.start().await;
    }

    /// Stops the service, keeps a copy of its database, and starts it again.
    pub async fn back_up(&mut self) -> tempfile::TempDir {
        self.stop().await;
        let backup = tempfile::tempdir().unwrap();
        for file in files_of_database(&self.data()) {
            std::fs::copy(&file, backup.path().join(file.file_name().unwrap())).unwrap();
        }
        self.start().await;
        backup
    }

    /// Stops the service and puts an old database in the place of its own.
    pub async fn put_back(&mut self, backup: &Path) {
        self.lose_database().await;
        for file in files_of_database(backup) {
            std::fs::copy(&file, self.data().join(file.file_name().unwrap())).unwrap();
        }
    }

    /// Stops the service and uses its database as another process would.
    pub async fn hold_database(&mut self) -> std::fs::File {
        self.stop().await;
        let lock = std::fs::File::create(self.data().join("hallpass.db.lock")).unwrap();
        lock.lock().unwrap();
        lock
    }

    /// Puts the database together again, and starts the service.
    pub async fn recover(&mut self, vouched: &Vouched) -> Outcome {
        self.start().await;
        let outcome = recover::recover(self.service(), vouched, Doing::Write).await;
        let outcome = outcome.unwrap();
        assert_eq!(outcome.recovery.doubts, Vec::<String>::new());
        // As a process of its own does it: nothing of what it saw is kept.
        self.start().await;
        outcome
    }

    /// Runs the program with this service's configuration, beside nothing: the service is stopped. Exit status, output, errors.
    pub async fn program(&mut self, words: &[&str]) -> (i32, String, String) {
        self.stop().await;
        let done = self.run(words);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = done.status.code().unwrap();
        (code, text(&done.stdout), text(&done.stderr))
    }

    /// Stops the service, as a crash would: nothing is told to anybody.
    pub async fn stop(&mut self) {
        self.server.cancel();
        if let Some(service) = self.service.take() {
            service.store().close().await;
        }
    }

    pub fn service(&self) -> &Service {
        self.service.as_ref().expect("the service runs")
    }

    /// Lets everything happen that follows from what was done: webhooks are delivered, wakes worked off, until nothing changes.
    pub async fn settle(&self) {
        let mut before = String::new();
        for _ in 0..30 {
            self.sandbox.settle().await;
            let resync = if self.ears == Ears::Deaf {
                Resync::Everything
            } else {
                Resync::QueueOnly
            };
            self.service().worker().run_once(resync).await.unwrap();
            self.sandbox.settle().await;
            let now = self.fingerprint().await;
            if now == before {
                return;
            }
            before = now;
        }
        panic!("the world does not come to rest:\n{before}");
    }

    /// The tick: looks at everything, then lets everything happen that follows.
    pub async fn resync(&self) {
        self.service()
            .worker()
            .run_once(Resync::Everything)
            .await
            .unwrap();
        self.settle().await;
    }

    async fn fingerprint(&self) -> String {
        let pulls = self.sandbox.pulls(REPO);
        let tips = ["main", "hallpass/evidence", "hallpass/ended-access"]
            .map(|b| self.sandbox.branch_tip(REPO, b));
        format!(
            "{pulls:?} {tips:?} {:?} {:?}",
            self.entries().await,
            self.vault.effects()
        )
    }

    /// Moves the time and lets what is due happen.
    pub async fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
        self.settle().await;
    }

    /// Somebody opens a pull request that writes one grant file: `db/ada-incident` is `access/grants/db/ada-incident.yaml`.
    pub async fn request(&self, author: &str, name: &str, text: &str) -> PullNumber {
        self.propose(author, &[Change::write(file(name), text)])
            .await
    }

    /// Somebody opens a pull request with any changes.
    pub async fn propose(&self, author: &str, changes: &[Change]) -> PullNumber {
        let branch = format!("request-{}", self.sandbox.pulls(REPO).len() + 1);
        self.sandbox
            .push(author, REPO, &branch, changes, "Request access")
            .unwrap();
        let pull = self
            .sandbox
            .open_pull(author, REPO, &branch, "main", "Please", "")
            .unwrap();
        self.settle().await;
        pull
    }

    /// Somebody pushes one more commit to a pull request.
    pub async fn push(&self, author: &str, pull: PullNumber, name: &str, text: &str) {
        let branch = self.sandbox.pull(REPO, pull).head;
        self.sandbox
            .push(
                author,
                REPO,
                &branch,
                &[Change::write(file(name), text)],
                "Change it",
            )
            .unwrap();
        self.settle().await;
    }

    pub async fn approve(&self, pull: PullNumber, reviewer: &str) {
        self.review(pull, reviewer, Verdict::Approve, REMARK).await;
    }

    pub async fn review(&self, pull: PullNumber, reviewer: &str, verdict: Verdict, body: &str) {
        self.sandbox
            .review(reviewer, REPO, pull, verdict, body)
            .unwrap();
        self.settle().await;
    }

    /// Root changes files that decide, straight on main.
    pub async fn decree(&self, changes: &[Change]) {
        let decree = "Change who decides";
        self.sandbox
            .push_to_main("root", REPO, changes, decree)
            .unwrap();
        self.settle().await;
    }

    pub async fn merge_as_admin(&self, pull: PullNumber, method: MergeMethod) {
        self.sandbox
            .merge_as_admin("root", REPO, pull, method)
            .unwrap();
        self.settle().await;
    }

    pub fn is_merged(&self, pull: PullNumber) -> bool {
        self.sandbox.pull(REPO, pull).merged.is_some()
    }

    /// The check `hallpass` on the pull request's tip.
    pub fn check(&self, pull: PullNumber) -> CheckView {
        let head = self.sandbox.pull(REPO, pull).head_sha;
        let mut checks = self.sandbox.checks(REPO, &head);
        checks.retain(|c| c.name == "hallpass");
        assert_eq!(checks.len(), 1, "one check on {head}: {checks:?}");
        checks.remove(0)
    }

    pub fn conclusion(&self, pull: PullNumber) -> String {
        let check = self.check(pull);
        check.conclusion.unwrap_or(check.status)
    }

    /// Who has `role` in the vault.
    pub fn holders(&self, role: &str) -> Vec<String> {
        self.vault.holders(role)
    }

    pub async fn entries(&self) -> Vec<Entry> {
        self.service().store().entries(Scope::All).await.unwrap()
    }

    /// `path state` of every entry of the ledger.
    pub async fn ledger(&self) -> Vec<String> {
        let entries = self.entries().await;
        let mut lines: Vec<String> = entries
            .iter()
            .map(|e| format!("{} {}", e.path.short(), e.state.as_str()))
            .collect();
        lines.sort();
        lines
    }

    pub fn open_pulls(&self) -> Vec<String> {
        self.sandbox
            .pulls(REPO)
            .into_iter()
            .filter(|p| p.open)
            .map(|p| p.title)
            .collect()
    }

    /// The messages on the evidence branch, oldest first.
    pub fn evidence(&self) -> Vec<String> {
        let Some(tip) = self.sandbox.branch_tip(REPO, "hallpass/evidence") else {
            return Vec::new();
        };
        let git = git2::Repository::open(self.sandbox.repository_path(REPO)).unwrap();
        let mut walk = git.revwalk().unwrap();
        walk.push(git2::Oid::from_str(tip.as_str()).unwrap())
            .unwrap();
        let mut messages: Vec<String> = walk
            .map(|id| {
                git.find_commit(id.unwrap())
                    .unwrap()
                    .message()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        messages.reverse();
        messages
    }

    /// Where the forge keeps the access repository, to be cloned.
    pub fn repository_path(&self) -> std::path::PathBuf {
        self.sandbox.repository_path(REPO)
    }

    /// The public key of the service, as its operator hands it out.
    pub fn evidence_key(&self) -> String {
        let file = self.folder.path().join("data/evidence_key");
        hallpass::repo::Signers::at(&file).unwrap().public()
    }

    /// The private key of the evidence.
    pub fn private_evidence_key(&self) -> String {
        std::fs::read_to_string(self.data().join("evidence_key")).unwrap()
    }

    /// The subject lines of the evidence of one kind, oldest first.
    pub fn told(&self, kind: &str) -> Vec<String> {
        let trailer = format!("Event: {kind}\n");
        let of_kind = self.evidence().into_iter().filter(|m| m.contains(&trailer));
        of_kind
            .map(|m| m.lines().next().unwrap_or_default().to_owned())
            .collect()
    }

    /// Everything that two runs of the same scenario must agree on.
    pub async fn summary(&self) -> String {
        let told: BTreeSet<String> = self
            .evidence()
            .iter()
            .map(|m| m.lines().next().unwrap_or_default().to_owned())
            // What landed before the first look is not told one by one; who hears nothing looks first at the first tick.
            .filter(|line| !line.starts_with("Landed: "))
            .collect();
        let ids = regex::Regex::new("[0-9a-f]{12,40}").unwrap();
        // The order counts for each account alone: what is given to one and taken from another at one instant, passes do beside each other.
        let mut effects = self.vault.effects();
        effects.sort_by_key(|effect| effect[1..].to_owned());
        let text = format!(
            "ledger {:#?}\nvault {:#?}\nopen {:#?}\ntold {told:#?}",
            self.ledger().await,
            effects,
            self.open_pulls()
        );
        ids.replace_all(&text, "ID").into_owned()
    }

    /// The program with this configuration.
    pub fn command(&self, words: &[&str]) -> std::process::Command {
        command(self.folder.path(), words)
    }

    /// The service as a program with the same configuration and key, in a folder of its own.
    pub fn replica(&self, folder: &Path) -> std::process::Command {
        std::fs::write(folder.join("hallpass.toml"), &self.toml).unwrap();
        let key = std::fs::read_to_string(self.data().join("evidence_key")).unwrap();
        let mut command = command(folder, &["serve"]);
        command.env("HALLPASS_EVIDENCE_KEY", key);
        command
    }

    /// Runs the program with this configuration, beside the service.
    pub fn run(&self, words: &[&str]) -> std::process::Output {
        let host = self.sandbox.url().trim_start_matches("http://");
        let token = self.sandbox.personal_token("root");
        let mut command = self.command(words);
        command
            .env("GH_ENTERPRISE_TOKEN", &token)
            .env("GH_HOST", host);
        let done = command.output().unwrap();
        leaks::in_text("what it printed", &done.stdout);
        leaks::in_text("what it complained of", &done.stderr);
        done
    }

    /// Sends webhooks to a service that listens at `address`.
    pub fn deliver_to(&self, address: &str) {
        self.sandbox
            .deliver_to(format!("{address}/webhook"), SECRET);
    }

    /// What `hallpass import` answers, as JSON.
    pub fn import(&self, words: &[&str]) -> serde_json::Value {
        let done = self.run(&[&["import"], words].concat());
        let out = String::from_utf8_lossy(&done.stdout);
        let err = String::from_utf8_lossy(&done.stderr);
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}\n{err}"))
    }

    /// Nothing that was sent or answered contradicted GitHub's own description.
    pub fn assert_contract(&self) {
        let violations = self.sandbox.violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

/// The program with the configuration that lies in `folder`.
#[expect(clippy::disallowed_methods, reason = "runs the real program")]
fn command(folder: &Path, words: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"));
    command
        .args(words)
        .arg("--config")
        .arg(folder.join("hallpass.toml"))
        .env("HALLPASS_GITHUB_PRIVATE_KEY", KNOWN_KEY)
        .env("HALLPASS_WEBHOOK_SECRET", SECRET)
        .envs(crate::notify::SECRETS);
    command
}

fn files_of_database(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let ours = |file: &std::path::PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy();
        name.starts_with("hallpass.db") && !name.ends_with(".lock")
    };
    files.filter(ours).collect()
}

/// The path of a grant by its short name.
pub fn file(name: &str) -> String {
    format!("access/grants/{name}.yaml")
}

/// The path of somebody's file.
pub fn person_file(login: &str) -> String {
    format!("access/people/{login}.yaml")
}

/// What somebody's file says.
pub fn person(login: &str, id: UserId) -> String {
    format!(
        "github_id: {id}\nname: {login}\nidentities:\n  vault: {login}\n  github: {login}\n  nowhere: {login}\n"
    )
}

fn populate(sandbox: &Sandbox) {
    let ids: BTreeMap<&str, UserId> = ["root", "ada", "grace", "linus", "mei", "mallory"]
        .map(|login| (login, sandbox.member(login)))
        .into();
    sandbox.owner("root");
    sandbox.user("stranger");
    sandbox.team("dba", &["grace", "linus"]);
    sandbox.team("security", &["root", "mei"]);
    sandbox.team("readers", &[]);
    let people = ["ada", "grace", "linus", "mei"];
    let mut files: Vec<(String, String)> = vec![
        (
            ".github/CODEOWNERS".into(),
            "* @acme/security\n/access/grants/db/ @acme/dba\n/access/grants/crew/ @acme/dba\n"
                .into(),
        ),
        ("access/resources/db.yaml".into(), DB.into()),
        ("access/resources/crew.yaml".into(), CREW.into()),
        (
            "access/resources/nowhere.yaml".into(),
            CREW.replace("provider: github", "provider: nowhere"),
        ),
        ("README.md".into(), "Access of acme.\n".into()),
    ];
    for login in people {
        files.push((person_file(login), person(login, ids[login])));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    sandbox.repository(REPO, &files).unwrap();
    sandbox.team_may("dba", REPO, Permission::Push);
    sandbox.team_may("security", REPO, Permission::Maintain);
    sandbox.base_permission(Some(Permission::Push));
    sandbox.app(AppSpec::hallpass(APP, KNOWN_KEY)).unwrap();
    sandbox.installation(APP, INSTALLATION);
    sandbox.ruleset(
        REPO,
        Some(Ruleset {
            bypass_apps: vec![APP],
            ..Ruleset::default()
        }),
    );
}

/// The resource `db`.
pub const DB: &str = "\
description: The orders database, production
risk: critical
provider: vault
roles:
  readonly:
    description: SELECT on every table
    entitlement: { role: reader }
    max_duration: 8h
  admin:
    description: Schema changes
    entitlement: { role: admin }
    max_duration: 2h
    approvals: 2
";

const CREW: &str = "\
description: The team that reads customer mail
risk: moderate
provider: github
roles:
  reader:
    description: Membership of the team
    entitlement: { team: readers }
    max_duration: 30d
";

/// The tip of main.
pub fn main_tip(world: &World) -> CommitId {
    world.sandbox.branch_tip(REPO, "main").unwrap()
}
