//! A day with many live grants, run faster than it passes: `cargo bench --bench day [-- GRANTS FACTOR HOURS]`.
//!
//! The service as `hallpass serve` puts it together, on its own SQLite file and a real PostgreSQL server as the target, with `GRANTS`
//! grants live all the time. The stand-in of GitHub is a process of its own, where somebody asks for half an hour every two minutes, and
//! an owner approves; each of those is merged, given, taken, and tidied up. Both have the same clock, which runs `FACTOR` times as fast
//! as the machine's. No webhook arrives, so every look is one of the regular ones. Printed is, for each hour, the memory of the service
//! and whether it keeps up. What is looked for: that the memory does not grow.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    dead_code,
    reason = "a benchmark times the real thing, and stops where it cannot go on"
)]

#[path = "crowd.rs"]
mod crowd;
#[path = "memory.rs"]
mod memory;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use hallpass::clock::Clock;
use hallpass::domain::ledger::State;
use hallpass::domain::model::Instant;
use hallpass::sandbox::{Change, Sandbox, SandboxOptions, Verdict};
use hallpass::store::Scope;
use tokio_util::sync::CancellationToken;

use crowd::{REPO, Standin};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whoever asks during the day.
const ASKERS: usize = 40;
/// How often one of them does.
const EVERY: TimeDelta = TimeDelta::minutes(2);
/// What this program is told where it is to be the stand-in.
const STANDIN: &str = "standin";

/// A clock that runs faster than the machine's.
#[derive(Debug, Clone, Copy)]
struct Fast {
    from: Instant,
    factor: i32,
}

#[async_trait]
impl Clock for Fast {
    fn now(&self) -> Instant {
        self.from + (Utc::now() - self.from) * self.factor
    }

    async fn sleep_until(&self, at: Instant) {
        let left = (at - self.now()) / self.factor;
        tokio::time::sleep(left.to_std().unwrap_or(Duration::ZERO)).await;
    }
}

fn asker(n: usize) -> String {
    format!("asker-{}", n % ASKERS)
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    if let [role, folder, grants, from, factor] = &words[..]
        && role == STANDIN
    {
        let clock = Fast {
            from: from.parse().unwrap(),
            factor: factor.parse().unwrap(),
        };
        return runtime.block_on(stand_in(folder.into(), grants.parse().unwrap(), clock));
    }
    let numbers: Vec<i64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let number = |n: usize, usual| numbers.get(n).copied().unwrap_or(usual);
    let (grants, factor, hours) = (number(0, 10_000), number(1, 96), number(2, 24));
    runtime.block_on(run(
        usize::try_from(grants).unwrap(),
        i32::try_from(factor).unwrap(),
        hours,
    ));
}

/// GitHub, and the people there.
async fn stand_in(folder: PathBuf, grants: usize, clock: Fast) {
    let options = SandboxOptions::new(Arc::new(clock), folder);
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut more = vec![(
        "access/resources/shop.yaml".to_owned(),
        "description: The shop\nrisk: moderate\nprovider: orders\nroles:\n  writer:\n    description: INSERT\n    entitlement: { role: shop_rw }\n    max_duration: 8h\n"
            .to_owned(),
    )];
    for n in 0..ASKERS {
        let login = asker(n);
        let id = sandbox.member(&login);
        let text = format!("github_id: {id}\nname: {login}\nidentities:\n  orders: asker_{n}\n");
        more.push((format!("access/people/{login}.yaml"), text));
    }
    let standin = crowd::populate(&sandbox, grants, more);
    println!("{}", serde_json::to_string(&standin).unwrap());
    for n in 0.. {
        clock.sleep_until(clock.now() + EVERY).await;
        // GitHub does not keep a file for each ref and each object, of which every fetch would read thousands by the evening.
        if n % 100 == 99 {
            let mut git = Command::new("git");
            git.arg("-C").arg(&standin.git);
            let tidied = git.args(["gc", "--quiet", "--no-prune"]).status();
            assert!(tidied.unwrap().success(), "git gc");
        }
        let (who, branch) = (asker(n), format!("request-{n}"));
        let text = format!(
            "person: {who}\nrole: writer\nduration: 30m\nreason: The shop of customer {n} is closed by mistake.\n"
        );
        let file = Change::write(format!("access/grants/shop/{branch}.yaml"), text);
        sandbox.push(&who, REPO, &branch, &[file], "Ask").unwrap();
        let pull = sandbox.open_pull(&who, REPO, &branch, "main", "Please", "");
        let approved = sandbox.review("root", REPO, pull.unwrap(), Verdict::Approve, "Fine.");
        approved.unwrap();
    }
}

async fn run(grants: usize, factor: i32, hours: i64) {
    crowd::log();
    let target = crowd::target(grants).await;
    target.run("CREATE ROLE shop_rw".to_owned()).await;
    target
        .run("GRANT shop_rw TO hallpass WITH ADMIN OPTION".to_owned())
        .await;
    for n in 0..ASKERS {
        target.run(format!("CREATE ROLE asker_{n} LOGIN")).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let clock = Fast {
        from: Utc::now(),
        factor,
    };
    let mut github = Command::new(std::env::current_exe().unwrap())
        .arg(STANDIN)
        .arg(folder.path().join("github"))
        .args([grants.to_string(), clock.from.to_rfc3339()])
        .arg(factor.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(github.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let standin: Standin = serde_json::from_str(&line).unwrap();
    let time: Arc<dyn Clock> = Arc::new(clock);
    let service = crowd::serve(&standin, &target, folder.path(), time, "merge = \"auto\"").await;
    let begun = clock.now();
    // So late that nobody is told within this day that it ends soon.
    let ends = begun + TimeDelta::hours(hours + 24);
    crowd::write_ledger(&service, &standin, |_| ends).await;
    let memory = |which| memory::of(std::process::id(), which);
    let stop = CancellationToken::new();
    let (worker, until) = (Arc::clone(service.worker()), stop.clone());
    let running = tokio::spawn(async move { worker.run(until).await });
    println!(
        "{grants} live grants, {hours} hours at {factor} times the pace; before them {} MiB",
        memory("VmRSS:")
    );
    for hour in 1..=hours {
        clock.sleep_until(begun + TimeDelta::hours(hour)).await;
        let takes = memory("VmRSS:");
        let tally = service.store().tally(clock.now()).await.unwrap();
        let live: u64 = tally.grants.values().sum();
        let overdue: u64 = tally.overdue.values().map(|(number, _)| number).sum();
        println!(
            "hour {hour:>2}: {takes} MiB; {live} live, {overdue} of them overdue, {} requests wait",
            tally.asking
        );
    }
    println!("at most {} MiB", memory("VmHWM:"));
    let all = service.store().entries(Scope::All).await.unwrap();
    let ended = all.iter().filter(|e| e.state == State::Ended).count();
    println!("{ended} were given and taken meanwhile");
    stop.cancel();
    running.await.unwrap().unwrap();
    github.kill().unwrap();
    github.wait().unwrap();
}
