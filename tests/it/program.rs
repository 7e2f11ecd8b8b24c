//! A server that is a program, for the tests: on a free port, gone when the test process is.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Runs the program, and waits for the end of its standard input: that comes however the test process dies.
const SCRIPT: &str = r#"
"$@" < /dev/null >&2 &
server=$!
cat > /dev/null
kill "$server" 2> /dev/null || true
wait "$server"
"#;

/// A running program. Dropping it stops it.
#[derive(Debug)]
pub struct Program {
    guard: Child,
    address: SocketAddr,
}

/// Where `tests/run` puts the tools that the machine does not have.
pub fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools")
}

impl Program {
    /// Starts `words`, a program and its arguments, in which `{port}` stands for the port that it is to listen on.
    #[expect(clippy::disallowed_methods, reason = "tests start real servers")]
    pub fn start(words: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let port = address.port().to_string();
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]);
        command.args(words.iter().map(|word| word.replace("{port}", &port)));
        let guard = command
            .stdin(Stdio::piped())
            // Its log is only in the way, unless it cannot start.
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(log(address)).unwrap())
            // An interrupt at the terminal reaches us; the end of our pipe then tells the script.
            .process_group(0)
            .spawn()
            .unwrap();
        let program = Self { guard, address };
        for _ in 0..1200 {
            if TcpStream::connect(address).is_ok() {
                return program;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = std::fs::read_to_string(log(address)).unwrap_or_default();
        panic!("{words:?} does not listen; `tests/run` installs what it needs. It wrote:\n{said}")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn log(address: SocketAddr) -> PathBuf {
    std::env::temp_dir().join(format!("hallpass-test-{}.log", address.port()))
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
        let _ = std::fs::remove_file(log(self.address));
    }
}
