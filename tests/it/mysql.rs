//! Membership of roles on a real MariaDB server.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod contract;
mod names;
mod refusals;
pub mod server;

use hallpass::domain::ledger::{Granted, Revoked};
use hallpass::domain::model::{Access, Account, UserId};
use hallpass::domain::target::Change;
use hallpass::providers::mysql::{DefaultRole, MySql};
use hallpass::providers::{Provider, ProviderError};
use secrecy::SecretString;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};

use crate::contract::approved::approved;
use crate::contract::{connection, order};
use server::Server;

/// What the page of the provider says that the account of Hallpass needs, besides ADMIN OPTION on each role.
pub const RIGHTS: [&str; 4] = [
    "SELECT (User, Host, is_role, default_role) ON mysql.user",
    "SELECT ON mysql.roles_mapping",
    "UPDATE ON mysql.*",
    "PROCESS, CONNECTION ADMIN ON *.*",
];

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// One test's part of the shared server: a role to be given, an account to give it to, a table that the role reads, and the account
/// of Hallpass.
struct World {
    server: &'static Server,
    /// Distinguishes the names of one test from those of all others.
    name: &'static str,
    provider: MySql,
}

impl World {
    async fn new(name: &'static str) -> Self {
        Self::on(Server::shared(), name).await
    }

    async fn on(server: &'static Server, name: &'static str) -> Self {
        let world = Self {
            server,
            name,
            provider: connect(server, name, false, DefaultRole::Set),
        };
        for kind in ["ada", "hallpass"] {
            world
                .run(&format!("CREATE USER {name}_{kind} IDENTIFIED BY 'secret'"))
                .await;
        }
        for right in RIGHTS {
            world
                .run(&format!("GRANT {right} TO {name}_hallpass"))
                .await;
        }
        world.role("ro").await;
        world.run(&format!("CREATE DATABASE {name}")).await;
        world
            .run(&format!("CREATE TABLE {name}.t AS SELECT 42 AS answer"))
            .await;
        world
            .run(&format!("GRANT SELECT ON {name}.* TO {name}_ro"))
            .await;
        world
    }

    async fn ending_sessions(name: &'static str) -> Self {
        let mut world = Self::new(name).await;
        world.provider = connect(world.server, name, true, DefaultRole::Set);
        world
    }

    async fn run(&self, sql: &str) {
        self.server.run(sql).await;
    }

    /// By hand, as the one account that may give the roles: whoever creates a role for another's administration may not.
    async fn by_hand(&self, sql: &str) {
        let mut session = self.session("hallpass").await;
        let done = session.execute(AssertSqlSafe(sql.to_owned())).await;
        done.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// A role of the test that Hallpass may give.
    async fn role(&self, role: &str) {
        self.run(&format!(
            "CREATE ROLE {0}_{role} WITH ADMIN {0}_hallpass",
            self.name
        ))
        .await;
    }

    fn access(&self) -> Access {
        self.access_of("ro", "ada")
    }

    fn access_of(&self, role: &str, account: &str) -> Access {
        access(
            &format!("{}_{role}", self.name),
            &format!("{}_{account}", self.name),
        )
    }

    async fn grant(&self, role: &str, account: &str) -> Result<Granted, ProviderError> {
        self.grant_of(&self.access_of(role, account)).await
    }

    async fn grant_of(&self, access: &Access) -> Result<Granted, ProviderError> {
        self.provider.grant(&approved(access), &order()).await
    }

    async fn revoke(&self, role: &str, account: &str) -> Result<Revoked, ProviderError> {
        self.revoke_of(&self.access_of(role, account)).await
    }

    async fn revoke_of(&self, access: &Access) -> Result<Revoked, ProviderError> {
        self.provider.revoke(access, &order()).await
    }

    async fn holders(&self, role: &str) -> Vec<String> {
        let entitlement = json!({ "role": format!("{}_{role}", self.name) });
        let holders = self.provider.holders(&entitlement).await.unwrap();
        holders.into_iter().map(|holder| holder.name).collect()
    }

    async fn session(&self, user: &str) -> MySqlConnection {
        let url = self.server.url(&format!("{}_{user}", self.name), "secret");
        MySqlConnection::connect(&url).await.unwrap()
    }

    async fn reads(&self, session: &mut MySqlConnection) -> bool {
        let sql = AssertSqlSafe(format!("SELECT answer FROM {}.t", self.name));
        session.execute(sql).await.is_ok()
    }

    /// What the account's default role is; empty where there is none.
    async fn default_role(&self, user: &str) -> String {
        sqlx::query_scalar("SELECT default_role FROM mysql.user WHERE User = ?")
            .bind(format!("{}_{user}", self.name))
            .fetch_one(&mut self.server.admin().await)
            .await
            .unwrap()
    }
}

fn connect(server: &Server, name: &str, end_sessions: bool, default_role: DefaultRole) -> MySql {
    let url = SecretString::from(server.url(&format!("{name}_hallpass"), "secret"));
    MySql::new(connection(), &url, end_sessions, default_role).unwrap()
}

fn access(role: &str, account: &str) -> Access {
    Access {
        connection: connection(),
        account: Account {
            name: account.to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        },
        entitlement: json!({ "role": role }),
        entitlement_id: None,
    }
}

fn refusal(error: &ProviderError) -> String {
    assert!(matches!(error, ProviderError::Refused { .. }), "{error:?}");
    error.to_string()
}

fn unknown(error: &ProviderError) -> String {
    assert!(
        matches!(error, ProviderError::UnknownSubject { .. }),
        "{error:?}"
    );
    error.to_string()
}

#[tokio::test]
async fn access_is_in_effect_at_the_next_connection_after_the_grant_and_not_after_the_end() {
    let world = World::new("my_usable").await;
    assert!(!world.reads(&mut world.session("ada").await).await);
    let granted = world.grant("ro", "ada").await.unwrap();
    assert_eq!(
        granted.read_back,
        "my_usable_ada has my_usable_ro, by default"
    );
    assert_eq!(granted.pending, None);
    assert!(world.reads(&mut world.session("ada").await).await);
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!(
        revoked.read_back,
        "my_usable_ada does not have my_usable_ro"
    );
    assert!(!world.reads(&mut world.session("ada").await).await);
}

#[tokio::test]
async fn another_default_role_is_left_and_the_subject_told_what_to_say() {
    let world = World::new("my_other").await;
    world.run("CREATE ROLE my_other_daily").await;
    world.run("GRANT my_other_daily TO my_other_ada").await;
    world
        .run("SET DEFAULT ROLE my_other_daily FOR my_other_ada")
        .await;
    let granted = world.grant("ro", "ada").await.unwrap();
    assert_eq!(
        granted.pending.as_deref(),
        Some("SET ROLE `my_other_ro` in each session: its default role is my_other_daily")
    );
    assert_eq!(world.default_role("ada").await, "my_other_daily");
    let mut session = world.session("ada").await;
    assert!(!world.reads(&mut session).await);
    session.execute("SET ROLE my_other_ro").await.unwrap();
    assert!(world.reads(&mut session).await);

    world.revoke("ro", "ada").await.unwrap();
    assert_eq!(world.default_role("ada").await, "my_other_daily");
}

#[tokio::test]
async fn a_default_role_that_was_revoked_long_ago_is_in_nobodys_way() {
    let world = World::new("my_stale").await;
    world.run("CREATE ROLE my_stale_old").await;
    world.run("GRANT my_stale_old TO my_stale_ada").await;
    world
        .run("SET DEFAULT ROLE my_stale_old FOR my_stale_ada")
        .await;
    world.run("REVOKE my_stale_old FROM my_stale_ada").await;
    assert_eq!(world.default_role("ada").await, "my_stale_old");
    assert_eq!(world.grant("ro", "ada").await.unwrap().pending, None);
    assert_eq!(world.default_role("ada").await, "my_stale_ro");
}

#[tokio::test]
async fn after_the_end_the_role_is_no_default_role_that_waits_for_the_next_grant() {
    let world = World::new("my_waits").await;
    world.grant("ro", "ada").await.unwrap();
    // As a call that broke off after the first statement.
    world.by_hand("REVOKE my_waits_ro FROM my_waits_ada").await;
    assert_eq!(world.default_role("ada").await, "my_waits_ro");
    world.revoke("ro", "ada").await.unwrap();
    assert_eq!(world.default_role("ada").await, "");
}

#[tokio::test]
async fn default_roles_can_be_left_to_the_subject_and_then_need_no_right() {
    let mut world = World::new("my_leave").await;
    world
        .run("REVOKE UPDATE ON mysql.* FROM my_leave_hallpass")
        .await;
    let error = world.grant("ro", "ada").await.unwrap_err();
    assert!(
        refusal(&error).contains("default_role = \"leave\""),
        "{error}"
    );

    world.provider = connect(world.server, "my_leave", false, DefaultRole::Leave);
    let granted = world.grant("ro", "ada").await.unwrap();
    assert_eq!(
        granted.pending.as_deref(),
        Some("SET ROLE `my_leave_ro` in each session")
    );
    world.revoke("ro", "ada").await.unwrap();
    assert_eq!(world.holders("ro").await, [""; 0]);
    let preview = world.provider.preview(Change::Grant, &world.access());
    assert_eq!(preview.len(), 1, "{preview:?}");
}

#[tokio::test]
async fn a_session_in_which_the_role_is_in_effect_is_named_and_where_configured_ended() {
    let mut world = World::new("my_open").await;
    world.grant("ro", "ada").await.unwrap();
    let mut session = world.session("ada").await;
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!((revoked.sessions.len(), revoked.sessions_ended), (1, 0));
    assert!(
        revoked.sessions[0].ends_with(" from 127.0.0.1"),
        "{:?}",
        revoked.sessions
    );
    // This is why.
    assert!(world.reads(&mut session).await);

    world.provider = connect(world.server, "my_open", true, DefaultRole::Set);
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!((revoked.sessions, revoked.sessions_ended), (vec![], 1));
    assert!(!world.reads(&mut session).await);
}

#[tokio::test]
async fn sessions_of_an_account_for_exactly_that_host_are_left() {
    let world = World::ending_sessions("my_sibling").await;
    world
        .run("CREATE USER my_sibling_ada@'127.0.0.1' IDENTIFIED BY 'secret'")
        .await;
    world.grant("ro", "ada").await.unwrap();
    // The server takes the account with the narrower host.
    let mut session = world.session("ada").await;
    let who: String = sqlx::query_scalar("SELECT CURRENT_USER()")
        .fetch_one(&mut session)
        .await
        .unwrap();
    assert_eq!(who, "my_sibling_ada@127.0.0.1");
    assert_eq!(world.revoke("ro", "ada").await.unwrap().sessions_ended, 0);
    session.execute("SELECT 1").await.unwrap();

    world.grant("ro", "ada@127.0.0.1").await.unwrap();
    assert_eq!(world.holders("ro").await, ["my_sibling_ada@127.0.0.1"]);
    let revoked = world.revoke("ro", "ada@127.0.0.1").await.unwrap();
    assert_eq!(revoked.sessions_ended, 1);
    session.execute("SELECT 1").await.unwrap_err();
}

#[tokio::test]
async fn sessions_that_may_not_be_seen_are_not_taken_for_none() {
    let mut world = World::new("my_blind").await;
    world
        .run("REVOKE PROCESS ON *.* FROM my_blind_hallpass")
        .await;
    world.grant("ro", "ada").await.unwrap();
    let _session = world.session("ada").await;
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert!(
        revoked.sessions[0].contains("lacks PROCESS"),
        "{:?}",
        revoked.sessions
    );
    world.provider = connect(world.server, "my_blind", true, DefaultRole::Set);
    let error = world.revoke("ro", "ada").await.unwrap_err();
    assert!(refusal(&error).contains("lacks PROCESS"), "{error}");

    world
        .run("REVOKE CONNECTION ADMIN ON *.* FROM my_blind_hallpass")
        .await;
    world.run("GRANT PROCESS ON *.* TO my_blind_hallpass").await;
    let world = World {
        provider: connect(world.server, "my_blind", true, DefaultRole::Set),
        ..world
    };
    let error = world.revoke("ro", "ada").await.unwrap_err();
    assert!(refusal(&error).contains("CONNECTION ADMIN"), "{error}");
    assert_eq!(world.holders("ro").await, [""; 0]);
}
