//! PostgreSQL keeps the contract.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use hallpass::providers::Provider;
use hallpass::providers::postgres::{Also, Postgres};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::Row;

use super::cases::{quoted, run_quietly};
use super::{Server, server};
use crate::contract::{self, Target, connection};

struct Database(&'static Server);

fn role(entitlement: &Value) -> String {
    quoted(entitlement["role"].as_str().unwrap())
}

fn renaming(name: &str, new: &str) -> String {
    format!("ALTER ROLE {} RENAME TO {}", quoted(name), quoted(new))
}

impl Database {
    fn connect(&self, at: SocketAddr, password: &str) -> Arc<dyn Provider> {
        let also = Also {
            end_sessions: true,
            valid_until: false,
        };
        let url = format!("postgres://contract_hallpass:{password}@{at}/postgres?sslmode=disable");
        Arc::new(Postgres::new(connection(), &SecretString::from(url), also).unwrap())
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
        run_quietly(self.0, &format!("CREATE ROLE {} LOGIN", quoted(name))).await
    }

    async fn remove_account(&self, name: &str) {
        self.0.run(format!("DROP ROLE {}", quoted(name))).await;
    }

    async fn rename_account(&self, name: &str, new: &str) -> Result<(), &'static str> {
        self.0.run(renaming(name, new)).await;
        Ok(())
    }

    async fn rename_entitlement(&self, old: &Value, new: &str) -> Result<Value, &'static str> {
        self.0.run(renaming(old["role"].as_str().unwrap(), new)).await;
        Ok(json!({ "role": new }))
    }

    async fn add_entitlement(&self, name: &str) -> Value {
        self.0.run(format!("CREATE ROLE {name}")).await;
        self.0
            .run(format!(
                "GRANT {name} TO contract_hallpass WITH ADMIN OPTION"
            ))
            .await;
        json!({ "role": name })
    }

    async fn version(&self) -> Option<String> {
        let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int")
            .fetch_one(&mut self.0.admin().await)
            .await
            .unwrap();
        Some((version / 10_000).to_string())
    }

    fn unknown_entitlement(&self) -> Value {
        json!({ "role": "contract_nothing" })
    }

    async fn holds(&self, account: &str, entitlement: &Value) -> bool {
        let found = sqlx::query(
            "SELECT pg_has_role(m.oid, r.oid, 'MEMBER') FROM pg_roles m, pg_roles r WHERE m.rolname = $1 AND r.rolname = $2",
        )
        .bind(account)
        .bind(entitlement["role"].as_str())
        .fetch_optional(&mut self.0.admin().await)
        .await
        .unwrap();
        found.is_some_and(|row| row.get(0))
    }

    async fn give(&self, account: &str, entitlement: &Value) {
        let grant = format!("GRANT {} TO {}", role(entitlement), quoted(account));
        self.0.run(grant).await;
    }
}

#[tokio::test]
async fn postgres_keeps_the_contract_of_every_provider() {
    let server = server();
    server
        .run("CREATE ROLE contract_hallpass LOGIN PASSWORD 'secret'")
        .await;
    server
        .run("GRANT pg_signal_backend TO contract_hallpass")
        .await;
    contract::hold(&Database(server)).await;
}
