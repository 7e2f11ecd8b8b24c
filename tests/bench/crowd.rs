//! Many live grants, for benchmarks: a stand-in of GitHub whose main holds the file of each, a PostgreSQL server on which every account
//! is a member of the role, and the service with all of them in its ledger.

#[path = "../it/postgres/server.rs"]
pub mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::app::service::Service;
use hallpass::clock::Clock;
use hallpass::config::Config;
use hallpass::domain::approval::Basis;
use hallpass::domain::ledger::{Arrival, Entry, State, Terms};
use hallpass::domain::model::{
    Access, Account, BlobId, CommitId, ConnectionName, GrantPath, Instant, Login, PullNumber,
    ResourceName, RoleName, RoleRef, Subject, UserId,
};
use hallpass::providers::Registry;
use hallpass::sandbox::{AppSpec, KNOWN_KEY, Permission, Sandbox};

const APP: u64 = 4242;
const INSTALLATION: u64 = 77;
/// The repository of the stand-in.
pub const REPO: &str = "access";

/// The terms of all that is there.
const TERM: TimeDelta = TimeDelta::hours(48);

/// The stand-in, wherever it runs.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Standin {
    api: String,
    web: String,
    /// Its bare repository.
    pub git: PathBuf,
    people: BTreeMap<String, UserId>,
}

/// Logs to standard error, where `HALLPASS_LOG` says what.
pub fn log() {
    let filter = std::env::var("HALLPASS_LOG").unwrap_or_else(|_| "off".to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

/// A server with a role, and so many accounts that have it from Hallpass's own account.
pub async fn target(grants: usize) -> server::Server {
    let target = server::Server::start();
    for sql in [
        "CREATE ROLE orders_ro".to_owned(),
        "CREATE ROLE hallpass LOGIN PASSWORD 'secret'".to_owned(),
        "GRANT orders_ro TO hallpass WITH ADMIN OPTION".to_owned(),
        format!(
            "DO $$ BEGIN FOR n IN 0..{} LOOP EXECUTE format('CREATE ROLE user_%s LOGIN', n); END LOOP; END $$",
            grants - 1
        ),
        format!(
            "SET ROLE hallpass; DO $$ BEGIN FOR n IN 0..{} LOOP EXECUTE format('GRANT orders_ro TO user_%s', n); END LOOP; END $$",
            grants - 1
        ),
        "ANALYZE pg_authid; ANALYZE pg_auth_members".to_owned(),
    ] {
        target.run(sql).await;
    }
    target
}

/// Each grant is in the name of one of a hundred people, who have many accounts.
fn person(n: usize) -> String {
    format!("person-{}", n % 100)
}

fn text(n: usize) -> String {
    format!(
        "person: {}\nrole: readonly\nduration: 48h\nreason: The orders of customer {n} look wrong.\n",
        person(n)
    )
}

/// Fills the stand-in with so many grants; `more` is written, too.
pub fn populate(sandbox: &Sandbox, grants: usize, more: Vec<(String, String)>) -> Standin {
    sandbox.member("root");
    sandbox.owner("root");
    let people: BTreeMap<String, UserId> = (0..100)
        .map(|n| (person(n), sandbox.member(&person(n))))
        .collect();
    sandbox.team("dba", &["root"]);
    let mut files: Vec<(String, String)> = vec![
        (".github/CODEOWNERS".into(), "* @acme/dba\n".into()),
        (
            "access/resources/orders.yaml".into(),
            "description: Orders\nrisk: high\nprovider: orders\nroles:\n  readonly:\n    description: SELECT\n    entitlement: { role: orders_ro }\n    max_duration: 48h\n".into(),
        ),
    ];
    for (login, id) in &people {
        let text = format!("github_id: {id}\nname: {login}\nidentities:\n  orders: user_0\n");
        files.push((format!("access/people/{login}.yaml"), text));
    }
    files.extend((0..grants).map(|n| (format!("access/grants/orders/grant-{n}.yaml"), text(n))));
    files.extend(more);
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    sandbox.repository(REPO, &files).unwrap();
    sandbox.team_may("dba", REPO, Permission::Maintain);
    sandbox.base_permission(Some(Permission::Push));
    sandbox.app(AppSpec::hallpass(APP, KNOWN_KEY)).unwrap();
    sandbox.installation(APP, INSTALLATION);
    Standin {
        api: sandbox.api_url(),
        web: sandbox.url().to_owned(),
        git: sandbox.repository_path(REPO),
        people,
    }
}

/// The service as `hallpass serve` puts it together, on its own SQLite file in `folder`; `github` adds lines to that table.
pub async fn serve(
    standin: &Standin,
    target: &server::Server,
    folder: &Path,
    clock: Arc<dyn Clock>,
    github: &str,
) -> Service {
    let toml = format!(
        "[github]\nrepository = \"acme/{REPO}\"\napp_id = {APP}\ninstallation_id = {INSTALLATION}\napi = \"{}\"\nweb = \"{}\"\nmerge_reverts = true\n{github}\n\
         [server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\n[providers.orders]\nkind = \"postgres\"\nurl_env = \"ORDERS\"\n",
        standin.api, standin.web
    );
    let file = folder.join("hallpass.toml");
    std::fs::write(&file, toml).unwrap();
    let url = target.url("hallpass", "secret", "postgres");
    let secrets = |name: &str| match name {
        "HALLPASS_GITHUB_PRIVATE_KEY" => Some(KNOWN_KEY.to_owned()),
        "HALLPASS_WEBHOOK_SECRET" => Some("a webhook secret of the benchmark".to_owned()),
        "ORDERS" => Some(url.clone()),
        _ => None,
    };
    let config = Config::load(&file, secrets).unwrap_or_else(|e| panic!("{e}"));
    Service::assemble(&config, clock, Registry::new())
        .await
        .unwrap()
}

/// Every grant as it stands once it was given. `ends` says when the n-th ends.
pub async fn write_ledger(service: &Service, standin: &Standin, ends: impl Fn(usize) -> Instant) {
    let (tip, files) = files(&standin.git);
    let entry = |(n, path, blob)| {
        let (login, ends) = (person(n), ends(n));
        let starts = ends - TERM;
        let arrival = Arrival {
            commit: tip.clone(),
            pull: Some(PullNumber(1)),
            at: starts,
            order: 1,
        };
        let mut entry = Entry::arrived(path, blob, arrival);
        entry.state = State::Active;
        entry.wake_at = Some(ends);
        entry.terms = Some(Terms {
            subject: Subject::Person(Login::new(&login).unwrap()),
            role: RoleRef {
                resource: ResourceName::new("orders").unwrap(),
                role: RoleName::new("readonly").unwrap(),
            },
            access: Access {
                connection: ConnectionName::new("orders").unwrap(),
                account: Account {
                    name: format!("user_{n}"),
                    github_id: standin.people.get(&login).copied(),
                    id: None,
                },
                entitlement: serde_json::json!({ "role": "orders_ro" }),
                entitlement_id: None,
            },
            starts,
            ends,
            reason: "The orders look wrong.".to_owned(),
            ticket: None,
            base: tip.clone(),
            basis: Basis::Owners,
            approvals: Vec::new(),
            since: None,
            review_by: None,
            taken_over: false,
        });
        entry
    };
    let entries: Vec<Entry> = files.into_iter().map(entry).collect();
    service
        .store()
        .commit_arrivals(&entries, &[], (None, &tip))
        .await
        .unwrap();
}

/// The tip of main, and the grant files there: number, path, content.
fn files(git: &Path) -> (CommitId, Vec<(usize, GrantPath, BlobId)>) {
    let git = git2::Repository::open(git).unwrap();
    let tip = git.revparse_single("main").unwrap();
    let tree = tip.peel_to_tree().unwrap();
    let folder = tree.get_path(Path::new("access/grants/orders")).unwrap();
    let folder = git.find_tree(folder.id()).unwrap();
    let file = |file: git2::TreeEntry<'_>| {
        let name = file.name().unwrap();
        let number = name.trim_start_matches("grant-");
        let number = number.trim_end_matches(".yaml").parse().unwrap();
        let path = GrantPath::new(format!("access/grants/orders/{name}")).unwrap();
        (number, path, BlobId::new(file.id().to_string()).unwrap())
    };
    let tip = CommitId::new(tip.id().to_string()).unwrap();
    (tip, folder.iter().map(file).collect())
}
