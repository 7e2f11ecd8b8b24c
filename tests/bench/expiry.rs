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

#[path = "crowd.rs"]
mod crowd;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use hallpass::app::service::Service;
use hallpass::clock::{Clock, SystemClock};
use hallpass::domain::ledger::State;
use hallpass::sandbox::{Sandbox, SandboxOptions};
use hallpass::store::Scope;
use tokio_util::sync::CancellationToken;

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
    crowd::log();
    let target = crowd::target(grants).await;
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sandbox = SandboxOptions::new(Arc::clone(&clock), folder.path().join("github"));
    let sandbox = Sandbox::start(sandbox).await.unwrap();
    let standin = crowd::populate(&sandbox, grants, Vec::new());
    let service = crowd::serve(&standin, &target, folder.path(), clock, "").await;
    let first = Utc::now() + LEAD;
    let pause = TimeDelta::seconds(seconds) / i32::try_from(grants).unwrap();
    let ends = |n| first + pause * i32::try_from(n).unwrap();
    crowd::write_ledger(&service, &standin, ends).await;
    let stop = CancellationToken::new();
    let (worker, until) = (Arc::clone(service.worker()), stop.clone());
    let prepared = Utc::now();
    let running = tokio::spawn(async move { worker.run(until).await });
    let times = removed(&service, grants, seconds).await;
    let evidence = written(&service).await;
    stop.cancel();
    running.await.unwrap().unwrap();
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
