//! MariaDB keeps the contract.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use hallpass::providers::Provider;
use hallpass::providers::mysql::{DefaultRole, MySql};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};

use super::server::Server;
use super::{RIGHTS, quoted};
use crate::contract::{self, Target, connection};

struct Database(&'static Server);

impl Database {
    fn connect(&self, at: SocketAddr, password: &str) -> Arc<dyn Provider> {
        let url = format!("mysql://contract_hallpass:{password}@{at}/?ssl-mode=disabled");
        let url = SecretString::from(url);
        Arc::new(MySql::new(connection(), &url, true, DefaultRole::Set).unwrap())
    }
}

#[async_trait]
impl Target for Database {
    fn address(&self) -> SocketAddr {
        self.0.address()
    }

    fn provider(&self, at: SocketAddr) -> Arc<dyn Provider> {
        self.connect(at, "secret")
    }

    fn stranger(&self, at: SocketAddr) -> Result<Arc<dyn Provider>, &'static str> {
        Ok(self.connect(at, "guessed"))
    }

    async fn add_account(&self, name: &str) -> bool {
        let make = format!("CREATE USER {}@'%'", quoted(name));
        self.0.try_run(&make).await.is_ok()
    }

    async fn remove_account(&self, name: &str) {
        self.0.run(format!("DROP USER {}@'%'", quoted(name))).await;
    }

    async fn rename_account(&self, _: &str, _: &str) -> Result<(), &'static str> {
        self.has_ids()
    }

    async fn rename_entitlement(&self, _: &Value, _: &str) -> Result<Value, &'static str> {
        Err("the server gives a role no other name")
    }

    async fn add_entitlement(&self, name: &str) -> Value {
        self.0
            .run(format!("CREATE ROLE {name} WITH ADMIN contract_hallpass"))
            .await;
        json!({ "role": name })
    }

    fn unknown_entitlement(&self) -> Value {
        json!({ "role": "contract_nothing" })
    }

    /// As the account itself finds, connecting anew: a membership that is not in effect is none.
    async fn holds(&self, account: &str, entitlement: &Value) -> bool {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM mysql.roles_mapping m JOIN mysql.user u ON u.User = m.User AND u.Host = m.Host \
             WHERE m.User = ? AND m.Role = ? AND u.default_role = m.Role",
        )
        .bind(account)
        .bind(entitlement["role"].as_str())
        .fetch_optional(&mut self.0.admin().await)
        .await
        .unwrap();
        found.is_some()
    }

    async fn give(&self, account: &str, entitlement: &Value) {
        let (role, account) = (entitlement["role"].as_str().unwrap(), quoted(account));
        // Whoever creates a role for another's administration may not give it.
        let url = self.0.url("contract_hallpass", "secret");
        let mut session = MySqlConnection::connect(&url).await.unwrap();
        for sql in [
            format!("GRANT {role} TO {account}@'%'"),
            format!("SET DEFAULT ROLE {role} FOR {account}@'%'"),
        ] {
            session.execute(AssertSqlSafe(sql)).await.unwrap();
        }
    }

    fn has_ids(&self) -> Result<(), &'static str> {
        Err("the server knows accounts by name only")
    }
}

#[tokio::test]
async fn mysql_keeps_the_contract_of_every_provider() {
    let server = Server::shared();
    server
        .run("CREATE USER contract_hallpass IDENTIFIED BY 'secret'")
        .await;
    for right in RIGHTS {
        server
            .run(format!("GRANT {right} TO contract_hallpass"))
            .await;
    }
    contract::hold(&Database(server)).await;
}
