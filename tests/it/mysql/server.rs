//! A real MariaDB server for the tests: in a folder of its own, on a free port, gone when the test process is.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};

/// Makes a folder of data, serves it, and waits for the end of its standard input: that comes however the test process dies.
const SCRIPT: &str = r#"
set -eu
folder=$(mktemp -d)
cd "$folder"
as=
if [ "$(id -u)" = 0 ]; then as=--user=mysql; chown mysql "$folder"; fi
mariadb-install-db --no-defaults $as --datadir="$folder/data" --auth-root-authentication-method=normal --skip-test-db > log 2>&1 || { cat log >&2; exit 1; }
mariadbd --no-defaults $as --datadir="$folder/data" --bind-address=127.0.0.1 --port="$1" --socket="$folder/s.sock" \
  --skip-name-resolve --max-connections=300 --innodb-flush-log-at-trx-commit=0 >> log 2>&1 < /dev/null &
server=$!
echo "$folder"
cat > /dev/null
exec 2> /dev/null
kill -KILL "$server" 2> /dev/null || true
wait "$server" || true
rm -rf "$folder"
"#;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    guard: Child,
    port: u16,
}

impl Server {
    /// The server that all tests share. Names of accounts, roles and databases must differ between tests.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Server::start)
    }

    /// One for what would be in everybody's way: long statements lock the tables of accounts.
    pub fn aside() -> &'static Server {
        static ASIDE: OnceLock<Server> = OnceLock::new();
        ASIDE.get_or_init(Server::start)
    }

    #[expect(clippy::disallowed_methods, reason = "tests start a real server")]
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let path = std::env::var("PATH").unwrap_or_default();
        let mut guard = Command::new("sh")
            .args(["-c", SCRIPT, "sh", &port.to_string()])
            // Debian puts servers where only root looks.
            .env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"))
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
            "the tests need a MariaDB server (`apt-get install mariadb-server`), and it could not be set up; see what it wrote above"
        );
        Server { guard, port }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its address, for `user`.
    pub fn url(&self, user: &str, password: &str) -> String {
        format!(
            "mysql://{user}:{password}@{}/?ssl-mode=disabled",
            self.address()
        )
    }

    /// A connection of `root`, who prepares the tests.
    pub async fn admin(&self) -> MySqlConnection {
        let url = self.url("root", "");
        let mut last = None;
        for _ in 0..600 {
            match MySqlConnection::connect(&url).await {
                Ok(connection) => return connection,
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("MariaDB does not answer: {last:?}")
    }

    /// Runs statements as `root`.
    pub async fn run(&self, sql: impl Into<String>) {
        let sql = sql.into();
        let done = self.try_run(&sql).await;
        done.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// The same, where the server may refuse.
    pub async fn try_run(&self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        self.admin().await.execute(sql).await.map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
