//! How soon access is gone once it is due: `cargo bench --bench expiry [-- GRANTS SECONDS]`.
//!
//! The service as `hallpass serve` puts it together, on its own SQLite file, with a stand-in of GitHub on loopback whose main holds
//! the file of every grant, and a real PostgreSQL server on which every account is a member of the role. The ends of `GRANTS` grants
//! are spread over `SECONDS`; printed is the time from each end to the settlement of its removal, after the read-back. The target of
//! DESIGN, section 8, is p99 <= 1 s with 10,000 in one minute.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    dead_code,
    reason = "a benchmark times the real thing, and stops where it cannot go on"
)]

#[path = "../it/postgres/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use hallpass::app::service::Service;
use hallpass::clock::{Clock, SystemClock};
use hallpass::config::Config;
use hallpass::domain::approval::Basis;
use hallpass::domain::ledger::{Arrival, Entry, State, Terms};
use hallpass::domain::model::{
    Access, Account, BlobId, ConnectionName, GrantPath, PullNumber, RoleRef, Subject, UserId,
};
use hallpass::providers::Registry;
use hallpass::sandbox::{AppSpec, KNOWN_KEY, Permission, Sandbox, SandboxOptions};
use hallpass::store::Scope;
use tokio_util::sync::CancellationToken;

const APP: u64 = 4242;
const INSTALLATION: u64 = 77;
const REPO: &str = "access";

/// Between the preparation and the first end.
const LEAD: TimeDelta = TimeDelta::seconds(5);

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let grants = numbers.first().copied().unwrap_or(10_000);
    let seconds = numbers.get(1).copied().unwrap_or(60);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run(grants, i64::try_from(seconds).expect("a minute or so")));
}

async fn run(grants: usize, seconds: i64) {
    let filter = std::env::var("HALLPASS_LOG").unwrap_or_else(|_| "off".to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let target = server::Server::start();
    prepare_target(&target, grants).await;
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sandbox = SandboxOptions::new(Arc::clone(&clock), folder.path().join("github"));
    let sandbox = Sandbox::start(sandbox).await.unwrap();
    let ids = populate(&sandbox, grants);
    let service = serve(&sandbox, &target, folder.path(), clock).await;
    let first = Utc::now() + LEAD;
    write_ledger(&service, &sandbox, &ids, (first, seconds)).await;
    let stop = CancellationToken::new();
    let (worker, until) = (Arc::clone(service.worker()), stop.clone());
    let prepared = Utc::now();
    let running = tokio::spawn(async move { worker.run(until).await });
    let times = removed(&service, grants, seconds).await;
    let evidence = written(&service).await;
    stop.cancel();
    running.await.unwrap();
    tell(times, seconds, prepared > first, evidence);
    let left: i64 = {
        use sqlx::Row as _;
        sqlx::query("SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE r.rolname = 'orders_ro' AND NOT m.admin_option")
            .fetch_one(&mut target.admin().await)
            .await
            .unwrap()
            .get(0)
    };
    assert_eq!(left, 0, "every membership is gone");
}

/// A role, and so many accounts that have it from Hallpass's own account.
async fn prepare_target(target: &server::Server, grants: usize) {
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
}

/// A grant's file. Each in the folder of one of a hundred people, who have many accounts.
fn person(n: usize) -> String {
    format!("person-{}", n % 100)
}

fn path(n: usize) -> String {
    format!("access/grants/orders/grant-{n}.yaml")
}

fn text(n: usize) -> String {
    format!(
        "person: {}\nrole: readonly\nduration: 8h\nreason: The orders of customer {n} look wrong.\n",
        person(n)
    )
}

fn populate(sandbox: &Sandbox, grants: usize) -> BTreeMap<String, UserId> {
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
            "description: Orders\nrisk: high\nprovider: orders\nroles:\n  readonly:\n    description: SELECT\n    entitlement: { role: orders_ro }\n    max_duration: 8h\n".into(),
        ),
    ];
    for (login, id) in &people {
        let text = format!("github_id: {id}\nname: {login}\nidentities:\n  orders: user_0\n");
        files.push((format!("access/people/{login}.yaml"), text));
    }
    files.extend((0..grants).map(|n| (path(n), text(n))));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    sandbox.repository(REPO, &files).unwrap();
    sandbox.team_may("dba", REPO, Permission::Maintain);
    sandbox.base_permission(Some(Permission::Push));
    sandbox.app(AppSpec::hallpass(APP, KNOWN_KEY)).unwrap();
    sandbox.installation(APP, INSTALLATION);
    people
}

async fn serve(
    sandbox: &Sandbox,
    target: &server::Server,
    folder: &std::path::Path,
    clock: Arc<dyn Clock>,
) -> Service {
    let toml = format!(
        "[github]\nrepository = \"acme/{REPO}\"\napp_id = {APP}\ninstallation_id = {INSTALLATION}\napi = \"{}\"\nweb = \"{}\"\nmerge_reverts = true\n\
         [server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\n[providers.orders]\nkind = \"postgres\"\nurl_env = \"ORDERS\"\n",
        sandbox.api_url(),
        sandbox.url()
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

/// Every grant as it stands once it was given.
async fn write_ledger(
    service: &Service,
    sandbox: &Sandbox,
    people: &BTreeMap<String, UserId>,
    (first, seconds): (chrono::DateTime<Utc>, i64),
) {
    let tip = sandbox.branch_tip(REPO, "main").unwrap();
    let grants = sandbox_grants(sandbox);
    let count = i64::try_from(grants.len()).unwrap();
    let entries: Vec<Entry> = grants
        .into_iter()
        .map(|(n, path, blob)| {
            let place = i64::try_from(n).unwrap();
            let ends = first + TimeDelta::milliseconds(seconds * 1000 * place / count);
            let arrival = Arrival {
                commit: tip.clone(),
                pull: Some(PullNumber(1)),
                at: first - TimeDelta::hours(8),
                order: 1,
            };
            let mut entry = Entry::arrived(path, blob, arrival);
            entry.state = State::Active;
            entry.wake_at = Some(ends);
            let login = person(n);
            entry.terms = Some(Terms {
                subject: Subject::Person(login.parse_login()),
                role: RoleRef {
                    resource: "orders".parse_name(),
                    role: hallpass::domain::model::RoleName::new("readonly").unwrap(),
                },
                access: Access {
                    connection: ConnectionName::new("orders").unwrap(),
                    account: Account {
                        name: format!("user_{n}"),
                        github_id: people.get(&login).copied(),
                        id: None,
                    },
                    entitlement: serde_json::json!({ "role": "orders_ro" }),
                    entitlement_id: None,
                },
                starts: first - TimeDelta::hours(8),
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
        })
        .collect();
    service
        .store()
        .commit_arrivals(&entries, &[], (None, &tip))
        .await
        .unwrap();
}

trait Parse {
    fn parse_login(&self) -> hallpass::domain::model::Login;
    fn parse_name(&self) -> hallpass::domain::model::ResourceName;
}

impl Parse for str {
    fn parse_login(&self) -> hallpass::domain::model::Login {
        hallpass::domain::model::Login::new(self).unwrap()
    }
    fn parse_name(&self) -> hallpass::domain::model::ResourceName {
        hallpass::domain::model::ResourceName::new(self).unwrap()
    }
}

/// The grant files on main: number, path, content.
fn sandbox_grants(sandbox: &Sandbox) -> Vec<(usize, GrantPath, BlobId)> {
    let git = git2::Repository::open(sandbox.repository_path(REPO)).unwrap();
    let tree = git
        .revparse_single("main^{tree}")
        .unwrap()
        .peel_to_tree()
        .unwrap();
    let folder = tree
        .get_path(std::path::Path::new("access/grants/orders"))
        .unwrap();
    let folder = git.find_tree(folder.id()).unwrap();
    folder
        .iter()
        .map(|file| {
            let name = file.name().unwrap().to_owned();
            let number = name
                .trim_start_matches("grant-")
                .trim_end_matches(".yaml")
                .parse()
                .unwrap();
            let path = GrantPath::new(format!("access/grants/orders/{name}")).unwrap();
            (number, path, BlobId::new(file.id().to_string()).unwrap())
        })
        .collect()
}

/// The time from each end to its settlement, once all are settled.
async fn removed(service: &Service, grants: usize, seconds: i64) -> Vec<TimeDelta> {
    let began = Instant::now();
    let patience = Duration::from_secs(u64::try_from(seconds).unwrap() + 600);
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(
            began.elapsed() < patience,
            "not all removed after {patience:?}"
        );
        if service.store().next_due().await.unwrap().is_some() {
            continue;
        }
        let all = service.store().entries(Scope::All).await.unwrap();
        let ended = all.iter().filter(|e| e.state == State::Ended);
        let late = ended.map(|e| e.settled_at.unwrap() - e.terms.as_ref().unwrap().ends);
        let late: Vec<TimeDelta> = late.collect();
        assert_eq!(late.len(), grants);
        return late;
    }
}

/// How long it took after the last removal until all evidence was on its branch.
async fn written(service: &Service) -> Duration {
    let began = Instant::now();
    while !service.store().unpublished(1).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    began.elapsed()
}

fn tell(mut times: Vec<TimeDelta>, seconds: i64, was_late: bool, evidence: Duration) {
    times.sort();
    assert!(
        times[0] >= TimeDelta::zero(),
        "nothing goes before its time"
    );
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].num_milliseconds();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "expiry on PostgreSQL, {} grants in {seconds} s, {cores} cores (shared with the server): due -> removed p50 {} ms, p90 {} ms, p99 {} ms, max {} ms; evidence written {evidence:.1?} after the last{}",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        if was_late {
            "; THE PREPARATION CAME LATE"
        } else {
            ""
        }
    );
}
