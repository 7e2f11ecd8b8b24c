//! `hallpass demo --keep`, as a newcomer starts it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The running demo. Dropping it ends it as Ctrl-C does.
pub struct Kept {
    child: Child,
    /// What it printed.
    pub told: String,
    /// The stand-in's address.
    pub pages: String,
    /// Where ada may ask.
    pub ask: String,
    _folder: TempDir,
}

impl Kept {
    /// Starts it with the sample alone, and reads until it says how to end it.
    #[expect(clippy::disallowed_methods, reason = "tests run the real program")]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_hallpass"))
            .args(["demo", "--keep", "--at-once", "--port", "0", "--dir"])
            .arg(folder.path().join("demo"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            told.push_str(&line);
            told.push('\n');
            if line.contains("Ctrl-C") {
                break;
            }
        }
        let link = |words: &str| {
            let line = told.lines().find(|line| line.contains(words));
            let line = line.unwrap_or_else(|| panic!("no {words:?} in\n{told}"));
            line.split_whitespace().last().unwrap().to_owned()
        };
        let ask = link("ask for access");
        let pages = ask.split("/login").next().unwrap().to_owned();
        Self {
            child,
            pages,
            ask,
            told,
            _folder: folder,
        }
    }

    /// The link that makes a browser somebody.
    pub fn entrance(&self, login: &str) -> String {
        let line = self
            .told
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{login},")));
        let line = line.unwrap_or_else(|| panic!("no {login} in\n{}", self.told));
        line.split_whitespace().last().unwrap().to_owned()
    }

    /// Ends it, and answers whether it ended in order.
    pub fn stop(&mut self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        self.child.wait().unwrap().success()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stop();
    }
}
