//! The program as a service beside a test, by the real time.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use hallpass::clock::{Clock as _, SystemClock};
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::{Change, Verdict};
use rustix::process::{Pid, Signal, kill_process};

use crate::leaks::{self, REMARK};
use crate::world::{REPO, World, file, grant};

/// How long anything may take that is waited for here.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// `hallpass serve`, running. Dropping it kills it.
pub struct Running {
    process: Child,
    /// What it says first: where it listens.
    says: Receiver<String>,
    log: tempfile::NamedTempFile,
    /// Where it listens; empty until it does.
    pub address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            println!("{}\n== was running", self.log());
        } else {
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
        let (told, says) = channel();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        // A pipe cannot be read with an end to the patience.
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = out.read_line(&mut line);
            let _ = told.send(line);
            // Nothing that it says later may hold it up.
            let _ = std::io::copy(&mut out, &mut std::io::sink());
        });
        Self {
            says,
            process,
            log,
            address: String::new(),
        }
    }

    /// Waits until it listens.
    pub fn listens(&mut self) {
        let line = self.says.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| panic!("it does not listen:\n{}", self.log()));
        let address = line.trim().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("{}", self.log()));
        self.address = address.to_owned();
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// Kills it while it runs. What it logged.
    pub fn kill(&mut self) -> String {
        let ended = self.process.try_wait().unwrap();
        assert_eq!(ended, None, "it ended by itself:\n{}", self.log());
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.log()
    }

    /// Lets it stand still, or go on.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Asks it to end in order. Its status, and what it logged.
    pub fn end(self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        self.ends()
    }

    /// Waits until it ends by itself. Its status, and what it logged.
    pub fn ends(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
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
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
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
