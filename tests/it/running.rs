//! The program as a service beside a test, by the real time.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use hallpass::clock::{Clock as _, SystemClock};
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::{Change, Verdict};
use rustix::process::{Pid, Signal, kill_process};

use crate::leaks::{self, REMARK};
use crate::world::{REPO, World, file, grant};

/// `hallpass serve`, running. Dropping it kills it.
pub struct Running {
    process: Child,
    out: BufReader<ChildStdout>,
    log: tempfile::NamedTempFile,
    /// Where it listens; empty until it does.
    pub address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !std::thread::panicking() {
            leaks::in_record("the log", std::fs::read(self.log.path()).unwrap());
        }
    }
}

impl Running {
    /// Starts it, and waits until it listens.
    pub fn start(command: Command) -> Self {
        let mut running = Self::begin(command);
        running.listens();
        running
    }

    /// Starts it, and waits for nothing.
    pub fn begin(mut command: Command) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let streams = command.stdout(Stdio::piped()).stderr(log.reopen().unwrap());
        let mut process = streams.spawn().unwrap();
        Self {
            out: BufReader::new(process.stdout.take().unwrap()),
            process,
            log,
            address: String::new(),
        }
    }

    /// Waits until it listens.
    pub fn listens(&mut self) {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("{}", self.log()));
        self.address = address.to_owned();
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// Lets it stand still, or go on.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Asks it to end in order. Its status, and what it logged.
    pub fn end(mut self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        for _ in 0..2400 {
            if let Some(status) = self.process.try_wait().unwrap() {
                return (status.code(), self.log());
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("it does not end:\n{}", self.log());
    }
}

/// Waits until something is so.
pub async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..7200 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited in vain until {what}");
}

/// A world by the real time, without its own service. `more` ends the table `[github]` of its configuration.
pub async fn world(more: &str) -> World {
    let mut world = World::new(crate::world::Ears::Hearing, more).await;
    world.stop().await;
    world.clock.advance(SystemClock.now() - world.clock.now());
    world
}

/// Somebody opens a pull request from `branch`.
pub fn open(world: &World, author: &str, branch: &str, change: Change) -> PullNumber {
    let sandbox = &world.sandbox;
    let pushed = sandbox.push(author, REPO, branch, &[change], "Access");
    pushed.unwrap();
    let opened = sandbox.open_pull(author, REPO, branch, "main", "Please", "");
    opened.unwrap()
}

fn holds(world: &World, login: &str) -> bool {
    let members = world.sandbox.team_members("readers");
    members.iter().any(|(member, _)| member == login)
}

/// Somebody asks to be a reader, Grace approves, Hallpass merges and gives.
pub async fn ask_and_get(world: &World, login: &str) {
    let (path, text) = (file(&format!("crew/{login}")), grant(login, "reader", "2h"));
    let pull = open(
        world,
        login,
        &format!("{login}-asks"),
        Change::write(path, text),
    );
    let sandbox = &world.sandbox;
    let head = sandbox.pull(REPO, pull).head_sha;
    until("the request is judged", || {
        !sandbox.checks(REPO, &head).is_empty()
    })
    .await;
    let approved = sandbox.review("grace", REPO, pull, Verdict::Approve, REMARK);
    approved.unwrap();
    until("it is given", || holds(world, login)).await;
}

/// They give it back.
pub async fn give_back(world: &World, login: &str) {
    let path = file(&format!("crew/{login}"));
    open(
        world,
        login,
        &format!("{login}-returns"),
        Change::delete(path),
    );
    until("it is taken", || !holds(world, login)).await;
}
