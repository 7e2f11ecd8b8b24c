//! How fast `hallpass serve` accepts signed webhooks: `cargo bench --bench webhook [-- RATE SECONDS [SLOW]]`.
//!
//! Starts the real program, sends `RATE` signed deliveries a second from this process over loopback, and prints the latency from
//! sending to the `202`. Each delivery is durable before it is answered. The target of DESIGN, section 8, is p99 <= 20 ms at
//! 2,000/s on two cores.
//!
//! With `SLOW`, that many connections send a byte a second meanwhile, and others send what is unsigned, malformed or too large. At the end
//! it is told how each was answered, what is missing in the queue, and how much memory the program took.

#![expect(clippy::disallowed_methods, reason = "times the real program")]

#[path = "memory.rs"]
mod memory;
#[path = "webhook/siege.rs"]
mod siege;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use hallpass::store::{Store, TakenWake, Wake};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::Semaphore;

const SECRET: &str = "a webhook secret of the benchmark";

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let rate = numbers.first().copied().unwrap_or(2_000);
    let seconds = numbers.get(1).copied().unwrap_or(10);
    let slow = numbers.get(2).copied().unwrap_or(0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, address) = start(folder.path());
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    };
    let memory = |which| memory::of(server.0.id(), which);
    let at_first = memory("VmRSS:");
    let siege = (slow > 0).then(|| siege::Siege::lay(&address, slow));
    let mut times = runtime().block_on(send(&address, rate, seconds));
    if let Some(siege) = siege {
        for (what, count) in siege.raise() {
            println!("{count:>8}  {what}");
        }
    }
    println!(
        "memory: {at_first} MiB at first, {} MiB at the end, {} MiB at most",
        memory("VmRSS:"),
        memory("VmHWM:")
    );
    drop(server);
    let sent: BTreeSet<u64> = (0..rate * seconds).map(pull).collect();
    let queued = runtime().block_on(queued(folder.path()));
    println!(
        "{} pull requests were told of, {} of them are not in the queue",
        sent.len(),
        sent.difference(&queued).count()
    );
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "webhook, {} deliveries at {rate}/s, {cores} cores: p50 {:.2?}, p90 {:.2?}, p99 {:.2?}, max {:.2?}",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

/// Which pull request the `n`-th delivery tells of.
fn pull(n: u64) -> u64 {
    n % 500 + 1
}

/// What waits in the queue that the program left.
async fn queued(folder: &std::path::Path) -> BTreeSet<u64> {
    let url = format!("sqlite://{}/data/hallpass.db", folder.display());
    let store = Store::read(&url).await.expect("its database");
    let ever: DateTime<Utc> = "9999-12-31T23:59:59Z".parse().expect("an instant");
    let wakes = store.due_wakes(ever).await.expect("its queue");
    let number = |taken: &TakenWake| match taken.wake {
        Wake::Pull(number) => Some(number.0),
        _ => None,
    };
    wakes.iter().filter_map(number).collect()
}

fn start(folder: &std::path::Path) -> (Server, String) {
    let config = folder.join("hallpass.toml");
    // No forge listens there: accepting webhooks does not need one.
    let text = "[github]\nrepository = \"acme/access\"\napp_id = 1\ninstallation_id = 1\napi = \"http://127.0.0.1:9/api/v3\"\nweb = \"http://127.0.0.1:9\"\n\
        [server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\n";
    std::fs::write(&config, text).expect("a configuration");
    let key = hallpass::sandbox::KNOWN_KEY;
    let mut child = Command::new(env!("CARGO_BIN_EXE_hallpass"))
        .args(["serve", "--config"])
        .arg(&config)
        .env("HALLPASS_GITHUB_PRIVATE_KEY", key)
        .env("HALLPASS_WEBHOOK_SECRET", SECRET)
        .env("HALLPASS_LOG", "off")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped"))
        .read_line(&mut line)
        .expect("the address");
    let address = line
        .trim()
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    (Server(child), address)
}

async fn send(address: &str, rate: u64, seconds: u64) -> Vec<Duration> {
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(256)
        // The server closes a connection on which nothing comes for ten seconds: none is to be used in that very moment.
        .pool_idle_timeout(Duration::from_secs(5))
        .build()
        .expect("a client");
    let url = format!("{address}/webhook");
    let under_way = Arc::new(Semaphore::new(256));
    let mut tasks = tokio::task::JoinSet::new();
    let mut clock = tokio::time::interval(Duration::from_nanos(1_000_000_000 / rate));
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for n in 0..rate * seconds {
        clock.tick().await;
        let permit = Arc::clone(&under_way).acquire_owned().await.expect("open");
        let (client, url) = (client.clone(), url.clone());
        tasks.spawn(async move {
            let body = format!(
                r#"{{"action":"synchronize","pull_request":{{"number":{}}},"repository":{{"full_name":"acme/access"}},"installation":{{"id":1}}}}"#,
                pull(n)
            );
            let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
            mac.update(body.as_bytes());
            let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
            let sent = Instant::now();
            let answer = client
                .post(&url)
                .header("X-Hub-Signature-256", signature)
                .header("X-GitHub-Event", "pull_request")
                .header("X-GitHub-Delivery", format!("00000000-0000-4000-8000-{n:012}"))
                .header("Content-Type", "application/json")
                .body(body)
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.status(), 202);
            drop(permit);
            sent.elapsed()
        });
    }
    let mut times = Vec::new();
    while let Some(time) = tasks.join_next().await {
        times.push(time.expect("no panic"));
    }
    times
}
