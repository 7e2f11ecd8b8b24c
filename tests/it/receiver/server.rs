//! The example receiver of the documentation, and a client of what it keeps that is not the provider.

use std::net::SocketAddr;
use std::sync::OnceLock;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tempfile::TempDir;

use crate::program::Program;

pub const SECRET: &str = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LTEyMzQ=";

/// A running receiver.
#[derive(Debug)]
pub struct Server {
    program: Program,
    folder: TempDir,
}

impl Server {
    /// The receiver that all tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("access.db");
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers/receiver.py");
            let secret = format!("HALLPASS_SECRET={SECRET}");
            let file = file.display().to_string();
            let words = ["env", &secret, "python3", script, &file, "{port}"];
            Self {
                program: Program::start(&words),
                folder,
            }
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.program.address()
    }

    /// Its tables. A pool of its own for each test: a pool belongs to the runtime that made it.
    async fn tables(&self) -> SqlitePool {
        let options = SqliteConnectOptions::new()
            .filename(self.folder.path().join("access.db"))
            .busy_timeout(std::time::Duration::from_secs(30));
        let pool = SqlitePoolOptions::new().max_connections(1);
        pool.connect_with(options).await.unwrap()
    }

    async fn run(&self, statement: &'static str, values: &[&str]) {
        let mut query = sqlx::query(statement);
        for value in values {
            query = query.bind(*value);
        }
        query.execute(&self.tables().await).await.unwrap();
    }

    pub async fn add_account(&self, name: &str) {
        let id = format!("{:016x}", rand::random::<u64>());
        self.run("INSERT INTO accounts VALUES (?, ?)", &[&id, name])
            .await;
    }

    pub async fn remove_account(&self, name: &str) {
        let members =
            "DELETE FROM members WHERE account = (SELECT id FROM accounts WHERE name = ?)";
        self.run(members, &[name]).await;
        self.run("DELETE FROM accounts WHERE name = ?", &[name])
            .await;
    }

    pub async fn add_group(&self, name: &str) {
        self.run("INSERT INTO groups VALUES (?)", &[name]).await;
    }

    pub async fn give(&self, account: &str, group: &str) {
        let give = "INSERT INTO members SELECT ?, id FROM accounts WHERE name = ?";
        self.run(give, &[group, account]).await;
    }

    pub async fn holds(&self, account: &str, group: &str) -> bool {
        let count =
            "SELECT count(*) FROM members JOIN accounts ON account = id WHERE grp = ? AND name = ?";
        let count = sqlx::query_scalar::<_, i64>(count)
            .bind(group)
            .bind(account);
        count.fetch_one(&self.tables().await).await.unwrap() == 1
    }
}
