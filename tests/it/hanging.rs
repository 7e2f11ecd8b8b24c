//! A target that is down, slow or hangs delays nobody but itself: neither another target's access, nor a check.
//!
//! The worker runs as the service runs it; what must happen is waited for, and what must not has its gate closed all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use hallpass::app::service::Service;
use hallpass::clock::Clock;
use hallpass::domain::model::{Instant, PullNumber};
use hallpass::sandbox::{Change, Verdict};
use hallpass::worker::Stopped;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{Ears, REPO, World, file, grant};

/// The worker, running as in the service.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), Stopped>>,
}

impl Running {
    fn start(world: &World) -> Self {
        let stop = CancellationToken::new();
        let worker = Arc::clone(world.service().worker());
        let until = stop.clone();
        let task = tokio::spawn(async move { worker.run(until).await });
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Waits until something is so; the machine may be busy, so there is no telling how long that takes.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never came: {what}");
}

fn open(world: &World, author: &str, name: &str, text: &str) -> PullNumber {
    let branch = name.replace('/', "-");
    let change = Change::write(file(name), text);
    world
        .sandbox
        .push(author, REPO, &branch, &[change], "Request access")
        .unwrap();
    world
        .sandbox
        .open_pull(author, REPO, &branch, "main", "Please", "")
        .unwrap()
}

fn approve(world: &World, pull: PullNumber, who: &str) {
    let body = "Fine with me, the incident is real.";
    world
        .sandbox
        .review(who, REPO, pull, Verdict::Approve, body)
        .unwrap();
}

fn checked(world: &World, pull: PullNumber) -> bool {
    let head = world.sandbox.pull(REPO, pull).head_sha;
    !world.sandbox.checks(REPO, &head).is_empty()
}

fn team(world: &World) -> usize {
    world.sandbox.team_members("readers").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_target_hangs_another_gives_and_takes_and_requests_are_checked() {
    let world = World::hearing().await;
    let held = world
        .request("ada", "crew/ada-mail", &grant("ada", "reader", "1d"))
        .await;
    world.approve(held, "grace").await;
    assert_eq!(team(&world), 1);
    let asked = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "8h"))
        .await;
    world.vault.hangs(true);
    let running = Running::start(&world);
    approve(&world, asked, "grace");
    until("the call that hangs", || world.vault.hanging() == 1).await;

    // A check, a grant and a revocation, each of them begun after the other target hangs.
    let pull = open(
        &world,
        "mei",
        "crew/mei-mail",
        &grant("mei", "reader", "1d"),
    );
    until("a check", || checked(&world, pull)).await;
    approve(&world, pull, "grace");
    until("a grant", || team(&world) == 2).await;
    world
        .sandbox
        .push_to_main(
            "root",
            REPO,
            &[Change::delete(file("crew/ada-mail"))],
            "End it",
        )
        .unwrap();
    until("a revocation", || team(&world) == 1).await;
    // And once more after looks that had to leave the hanging target alone.
    let again = open(
        &world,
        "linus",
        "crew/linus-mail",
        &grant("linus", "reader", "1d"),
    );
    approve(&world, again, "grace");
    until("another grant", || team(&world) == 2).await;
    assert_eq!(
        world.vault.hanging(),
        1,
        "asked once, and still not answered"
    );
    assert!(world.holders("reader").is_empty());

    // What waited goes on by itself once the target answers.
    world.vault.hangs(false);
    until("what hung", || world.holders("reader") == ["ada"]).await;
    running.stop().await;
    assert_eq!(world.vault.effects(), ["+reader ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_list_holds_up_no_check_but_those_that_ask_it() {
    let world = World::hearing().await;
    world.vault.lists(false);
    let running = Running::start(&world);
    // What a resource newly promises is asked of its target before anybody approves.
    let promise = crate::world::DB.replace("role: reader", "role: another");
    let change = Change::write("access/resources/db.yaml", promise);
    for author in ["linus", "mei", "grace"] {
        let branch = format!("promise-of-{author}");
        world
            .sandbox
            .push(
                author,
                REPO,
                &branch,
                std::slice::from_ref(&change),
                "Promise",
            )
            .unwrap();
        world
            .sandbox
            .open_pull(author, REPO, &branch, "main", "Promise", "")
            .unwrap();
    }
    until("the listings that hang", || world.vault.hanging() == 3).await;
    let pull = open(
        &world,
        "mei",
        "crew/mei-mail",
        &grant("mei", "reader", "1d"),
    );
    until("a check", || checked(&world, pull)).await;
    assert_eq!(world.vault.hanging(), 3);
    world.vault.lists(true);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_down_is_asked_again_for_ever_with_pauses_that_have_an_end() {
    let world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "1h"))
        .await;
    world.approve(pull, "grace").await;
    world.vault.down(true);
    world.advance(TimeDelta::hours(1)).await;
    let before = world.vault.calls();
    let mut asked = Vec::new();
    // Two days, looked at every half minute as the timer would at each next attempt.
    for _ in 0..120 {
        let next = world.service().store().next_due().await.unwrap().unwrap();
        let pause = next - world.clock.now();
        asked.push(pause.num_seconds());
        world.clock.advance(pause);
        world
            .service()
            .worker()
            .run_once(hallpass::worker::Resync::QueueOnly)
            .await
            .unwrap();
    }
    assert_eq!(world.vault.calls() - before, 120, "{asked:?}");
    let longest = asked.iter().max().unwrap();
    assert!(asked[..6].is_sorted() && *longest <= 600, "{asked:?}");
    assert_eq!(
        asked[20..].iter().min(),
        Some(longest),
        "capped, and never given up: {asked:?}"
    );
    world.vault.down(false);
    world.advance(TimeDelta::seconds(*longest)).await;
    assert!(world.holders("reader").is_empty());
}

/// A clock that breaks when it is told to, as a bug in what everything relies on would.
#[derive(Debug)]
struct Breaking {
    clock: Arc<dyn Clock>,
    broken: AtomicBool,
}

#[async_trait]
impl Clock for Breaking {
    fn now(&self) -> Instant {
        assert!(!self.broken.load(Ordering::Relaxed), "broken on purpose");
        self.clock.now()
    }

    async fn sleep_until(&self, at: Instant) {
        self.clock.sleep_until(at).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_worker_dies_of_a_bug_ends_and_says_so() {
    let mut world = World::new(Ears::Deaf, "").await;
    world.stop().await;
    let (config, clock, extra) = world.parts();
    let broken = AtomicBool::new(false);
    let clock = Arc::new(Breaking { clock, broken });
    let service = Service::assemble(&config, Arc::clone(&clock) as Arc<dyn Clock>, extra);
    let service = service.await.unwrap();
    let mut passes = service.worker().last_pass();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = tokio::spawn(service.run(listener, None, CancellationToken::new()));
    passes.wait_for(Option::is_some).await.unwrap();
    clock.broken.store(true, Ordering::Relaxed);
    world.clock.advance(TimeDelta::minutes(1));
    let ended = tokio::time::timeout(Duration::from_secs(60), running).await;
    let error = ended.expect("it ends").unwrap().unwrap_err();
    assert!(format!("{error:#}").contains("the worker"), "{error:#}");
}
