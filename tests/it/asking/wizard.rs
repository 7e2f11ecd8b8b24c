//! `hallpass request` at a terminal: a real one, which `script` makes.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Desk, Example, REPO};
use hallpass::domain::model::PullNumber;

/// The program at a terminal.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    seen: Arc<Mutex<String>>,
    reader: std::thread::JoinHandle<()>,
    read: usize,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Terminal {
    /// Runs a command line at a terminal of this kind.
    fn open(desk: &Desk, token: Option<&str>, kind: &str, words: &str) -> Self {
        Self::wide(100, desk, token, &format!("TERM={kind} {words}"))
    }

    /// Runs a command line, after what it is to find in its environment, at a terminal of so many columns.
    #[expect(clippy::disallowed_methods, reason = "tests run the real program")]
    fn wide(columns: u32, desk: &Desk, token: Option<&str>, words: &str) -> Self {
        let (kind, words) = words.split_once(' ').unwrap();
        let line = format!(
            "stty rows 40 cols {columns}; export {kind}; exec {} {words}",
            env!("CARGO_BIN_EXE_hallpass")
        );
        let mut command = Command::new("script");
        command
            .args(["-qefc", &line, "/dev/null"])
            .current_dir(desk.clone())
            .env_clear()
            .env("HOME", desk.clone())
            .env("PATH", "/usr/bin:/bin")
            .env("SHELL", "/bin/sh")
            .envs(token.iter().flat_map(|token| desk.environment(token)));
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = spawned.expect("`script` of util-linux is there");
        let (keys, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let seen = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut buffer) {
                sink.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
        Self {
            child,
            keys,
            seen,
            reader,
            read: 0,
        }
    }

    /// Waits for text after what was waited for before.
    fn sees(&mut self, text: &str) -> &mut Self {
        let begun = Instant::now();
        loop {
            let seen = self.seen.lock().unwrap().clone();
            if let Some(at) = seen[self.read..].find(text) {
                self.read += at + text.len();
                return self;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{text:?} does not come:\n{}",
                &seen[self.read..]
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn types(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
        self
    }

    /// The exit status, and everything that was shown.
    fn ends(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        drop(self.keys);
        self.reader.join().unwrap();
        let seen = self.seen.lock().unwrap().clone();
        (status.code().unwrap(), seen)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dumb_terminal_is_asked_line_by_line() {
    let example = Example::new().await;
    let desk = example.desk();
    let token = example.sandbox.personal_token("octocat");
    let (code, seen) = tokio::task::spawn_blocking(move || {
        let mut at = Terminal::open(&desk, Some(&token), "dumb", "request");
        at.sees("What do you need? (a number, or words to search for)")
            .types("orders select every\n");
        at.sees("1  orders/readonly")
            .sees("search for)")
            .types("1\n");
        at.sees("at most 8h").sees("For how long?").types("9h\n");
        at.sees("at most 8h")
            .sees("For how long? [9h]")
            .types("2h\n");
        at.sees("Why is it needed?").types("short\n");
        at.sees("^(INC|CHG)-[0-9]+$")
            .sees("Which ticket")
            .types("4211\n");
        at.sees("Which ticket").types("INC-4250\n");
        at.sees("What could go wrong?")
            .types("Reads personal data.\n");
        // The check finds the reason too short; nothing else has to be typed again.
        at.sees("reason: short")
            .sees("What shall be changed?")
            .sees("And now?")
            .types("change the reason\n");
        at.sees("And now?").types("1\n");
        at.sees("Why is it needed? [short]")
            .types("Checkout fails for some customers.\n");
        at.sees("orders/readonly for octocat (Mona Lisa Octocat), who is you by your token");
        at.sees("1 of @acme/orders-owners")
            .sees("Open the pull request")
            .sees("And now?")
            .types("1\n");
        at.sees("opened #1: ");
        at.ends()
    })
    .await
    .unwrap();
    assert_eq!(code, 0, "{seen}");
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
    let text = example.asked(1, "access/grants/orders/octocat-inc-4250.yaml");
    assert!(
        text.contains("duration: 2h\nreason: Checkout fails for some customers.\n"),
        "{text}"
    );
    assert_eq!(example.sandbox.pull(REPO, PullNumber(1)).author, "octocat");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_searched_while_typing() {
    let example = Example::new().await;
    let desk = example.desk();
    let token = example.sandbox.personal_token("octocat");
    let (code, seen) = tokio::task::spawn_blocking(move || {
        let mut at = Terminal::open(
            &desk,
            Some(&token),
            "xterm",
            "request --reason 'Watches the launch of the new shop.'",
        );
        at.sees("What do you need?").types("dashb");
        at.sees("dashboards/viewer").types("\r");
        at.sees("For how long?").types("2h\r");
        at.sees("the policy low-risk-for-a-day approves it by itself")
            .sees("And now?")
            .types("\r");
        at.sees("opened #1: ");
        at.ends()
    })
    .await
    .unwrap();
    assert_eq!(code, 0, "{seen}");
    let text = example.asked(1, "access/grants/dashboards/octocat-viewer.yaml");
    assert!(text.contains("role: viewer\nduration: 2h\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_has_made_nothing_and_can_go_on_from_there() {
    let example = Example::new().await;
    let desk = example.desk();
    let before = desk.state();
    let token = example.sandbox.personal_token("octocat");
    for (kind, leave) in [("xterm", "\u{3}"), ("xterm", "\u{1b}"), ("dumb", "\u{4}")] {
        let (desk, token) = (example.desk(), token.clone());
        let (code, seen, branches) = tokio::task::spawn_blocking(move || {
            let words = "request orders/readonly --for 2h --reason \"It's down: nothing works\"";
            let mut at = Terminal::open(&desk, Some(&token), kind, words);
            at.sees("Which ticket").types(leave);
            at.sees("Nothing was made. To go on from here:");
            let (code, seen) = at.ends();
            (code, seen, desk.branches())
        })
        .await
        .unwrap();
        assert_eq!(code, 1, "{seen}");
        let command = "hallpass request orders/readonly --person octocat --for 2h --reason 'It'\\''s down: nothing works'";
        assert!(seen.contains(command), "{seen}");
        assert!(branches.is_empty(), "{branches:?}");
    }
    assert!(example.sandbox.pulls(REPO).is_empty());
    assert_eq!(desk.state(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_whom_nobody_knows_is_asked_for_whom_it_is() {
    let example = Example::new().await;
    let desk = example.desk();
    let (code, seen) = tokio::task::spawn_blocking(move || {
        let mut at = Terminal::open(
            &desk,
            None,
            "dumb",
            "request dashboards/viewer --for 1h --reason 'Watches the launch.'",
        );
        at.sees("note: main is as it was last fetched: there is no token for");
        at.sees("It is not known who you are.")
            .sees("Who is to have the access?")
            .types("mona\n");
        at.sees("octocat (Mona Lisa Octocat)")
            .sees("Who is to")
            .types("1\n");
        at.sees("And now?").types("1\n");
        at.sees("prepared on branch request/dashboards-octocat-viewer")
            .sees("then git push origin");
        at.ends()
    })
    .await
    .unwrap();
    assert_eq!(code, 1, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_does_not_fit_is_told_entry_by_entry() {
    let example = Example::granted().await;
    for (columns, fits) in [(240, true), (60, false), (48, false)] {
        let (desk, token) = (example.desk(), example.sandbox.personal_token("mei"));
        let (code, seen) = tokio::task::spawn_blocking(move || {
            Terminal::wide(columns, &desk, Some(&token), "TERM=xterm list --all").ends()
        })
        .await
        .unwrap();
        assert_eq!(code, 0, "{seen}");
        let mut lines = seen.lines().map(str::trim_end);
        let line = lines
            .find(|line| line.starts_with("mei (Mei Tanaka)"))
            .unwrap();
        assert_eq!(line.contains("ledger/approver"), fits, "{columns}:\n{seen}");
        let widest = seen
            .lines()
            .filter(|line| !line.starts_with("note: "))
            .map(|line| line.trim_end().chars().count())
            .max();
        assert!(
            widest.unwrap() <= usize::try_from(columns).unwrap(),
            "{columns}:\n{seen}"
        );
    }
}
