//! Membership of roles on a real MariaDB server.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod contract;
mod server;

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
const RIGHTS: [&str; 4] = [
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
        let server = Server::shared();
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
        self.provider
            .grant(&approved(&self.access_of(role, account)), &order())
            .await
    }

    async fn revoke(&self, role: &str, account: &str) -> Result<Revoked, ProviderError> {
        self.provider
            .revoke(&self.access_of(role, account), &order())
            .await
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

#[tokio::test]
async fn a_role_within_a_role_and_what_everybody_has_are_named_until_they_are_gone() {
    let world = World::new("my_nested").await;
    world.run("CREATE ROLE my_nested_outer").await;
    world.run("CREATE ROLE my_nested_middle").await;
    world
        .by_hand("GRANT my_nested_ro TO my_nested_middle")
        .await;
    world.run("GRANT my_nested_middle TO my_nested_outer").await;
    world.run("GRANT my_nested_outer TO my_nested_ada").await;
    world.grant("ro", "ada").await.unwrap();
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!(
        revoked.still_effective_through,
        ["the role my_nested_outer, which has my_nested_ro"]
    );
    assert_eq!(world.holders("ro").await, ["role my_nested_middle"]);

    world.run("REVOKE my_nested_outer FROM my_nested_ada").await;
    world.run("GRANT my_nested_middle TO PUBLIC").await;
    let revoked = world.revoke("ro", "ada").await.unwrap();
    world.run("REVOKE my_nested_middle FROM PUBLIC").await;
    assert_eq!(
        revoked.still_effective_through,
        ["the role my_nested_middle, which everybody has"]
    );
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

#[tokio::test]
async fn a_role_that_controls_the_server_or_can_be_handed_on_is_refused() {
    let world = World::new("my_power").await;
    world.run("CREATE ROLE my_power_inner").await;
    world
        .run("CREATE FUNCTION my_power.f() RETURNS INT RETURN 1")
        .await;
    for (grant, harmless) in [
        ("SUPER ON *.*", false),
        ("SELECT ON *.*", false),
        ("CREATE USER ON *.*", false),
        ("FILE ON *.*", false),
        ("CONNECTION ADMIN ON *.*", false),
        ("SELECT ON mysql.*", false),
        ("SELECT ON mysql.global_priv", false),
        ("SELECT ON `my%`.*", false),
        ("SELECT ON `m_sql`.*", false),
        ("SELECT ON `%`.*", false),
        ("SELECT (User) ON mysql.user", false),
        ("EXECUTE ON PROCEDURE mysql.AddGeometryColumn", false),
        ("PROXY ON root@localhost", false),
        ("PROCESS ON *.*", true),
        ("ALL ON my_power.*", true),
        ("ALL ON `my\\_power%`.*", true),
        ("SELECT (answer), INSERT (answer) ON my_power.t", true),
        ("EXECUTE ON FUNCTION my_power.f", true),
    ] {
        for to in ["my_power_ro", "my_power_inner"] {
            world.run("GRANT my_power_inner TO my_power_ro").await;
            if world
                .server
                .try_run(&format!("GRANT {grant} TO {to}"))
                .await
                .is_err()
            {
                assert!(grant.starts_with("PROXY"), "{grant}");
                continue;
            }
            let outcome = world.grant("ro", "ada").await;
            world.run(&format!("REVOKE {grant} FROM {to}")).await;
            match (harmless, outcome) {
                (true, outcome) => drop(outcome.unwrap()),
                (false, outcome) => {
                    let error = outcome.expect_err(grant);
                    assert!(refusal(&error).contains("control of the server"), "{error}");
                }
            }
        }
    }
    world
        .run("GRANT SELECT ON my_power.* TO my_power_ro WITH GRANT OPTION")
        .await;
    let error = world.grant("ro", "ada").await.unwrap_err();
    assert!(refusal(&error).contains("GRANT OPTION"), "{error}");
    world
        .run("REVOKE GRANT OPTION ON my_power.* FROM my_power_ro")
        .await;
    world
        .run("GRANT my_power_inner TO my_power_ro WITH ADMIN OPTION")
        .await;
    let error = world.grant("ro", "ada").await.unwrap_err();
    assert!(refusal(&error).contains("ADMIN OPTION"), "{error}");
}

#[tokio::test]
async fn an_account_that_could_hand_the_role_on_gets_nothing_until_that_is_gone() {
    let world = World::new("my_admin").await;
    world
        .by_hand("GRANT my_admin_ro TO my_admin_ada WITH ADMIN OPTION")
        .await;
    let error = world.grant("ro", "ada").await.unwrap_err();
    assert!(refusal(&error).contains("ADMIN OPTION"), "{error}");
    world.revoke("ro", "ada").await.unwrap();
    world.grant("ro", "ada").await.unwrap();
    let mut session = world.session("ada").await;
    session
        .execute("GRANT my_admin_ro TO my_admin_hallpass")
        .await
        .unwrap_err();
}

#[tokio::test]
async fn an_account_is_written_in_one_way() {
    let world = World::new("my_spelt").await;
    world.run("CREATE USER 'my_spelt_x@y'@'%'").await;
    world.run("CREATE USER 'my_spelt_Up'@'EXAMPLE.org'").await;
    for (written, wanted) in [("ada@%", "\"my_spelt_ada\""), ("ada ", "no such account")] {
        let error = world.grant("ro", written).await.unwrap_err();
        assert!(unknown(&error).contains(wanted), "{error}");
    }
    for wrong in [
        "Ada",
        "ada@localhost",
        "x@y",
        "Up@EXAMPLE.org",
        "up@example.org",
        "\0",
        "\u{1f980}",
        "ada@",
    ] {
        unknown(&world.grant("ro", wrong).await.unwrap_err());
    }
    for right in ["ada", "x@y@%", "Up@example.org"] {
        world.grant("ro", right).await.unwrap();
        assert_eq!(world.holders("ro").await, [format!("my_spelt_{right}")]);
        world.revoke("ro", right).await.unwrap();
        assert_eq!(world.holders("ro").await, [""; 0]);
    }
}

#[tokio::test]
async fn a_role_is_no_account_and_an_account_no_role() {
    let world = World::new("my_kinds").await;
    world.run("CREATE ROLE my_kinds_group").await;
    unknown(&world.grant("ro", "group").await.unwrap_err());
    for role in ["ada", "RO", "ro ", "nothing"] {
        let error = world.grant(role, "ada").await.unwrap_err();
        assert!(refusal(&error).contains("there is no role"), "{error}");
    }
    for role in ["PUBLIC", "none", ""] {
        let access = access(role, "my_kinds_ada");
        let granted = world.provider.grant(&approved(&access), &order()).await;
        refusal(&granted.unwrap_err());
    }
}

#[tokio::test]
async fn a_role_with_a_hostile_name_is_exactly_that_role() {
    let world = World::new("my_quoted").await;
    for name in [
        "my_quoted ` x",
        "my_quoted'; DROP USER my_quoted_ada; --",
        "my_quoted\\` \"",
        "my_quoted_Größe",
    ] {
        world
            .run(&format!(
                "CREATE ROLE {} WITH ADMIN my_quoted_hallpass",
                quoted(name)
            ))
            .await;
        let access = access(name, "my_quoted_ada");
        world
            .provider
            .grant(&approved(&access), &order())
            .await
            .unwrap();
        let holders = world.provider.holders(&access.entitlement).await.unwrap();
        assert_eq!(holders.len(), 1);
        assert_eq!(world.default_role("ada").await, name);
        world.provider.revoke(&access, &order()).await.unwrap();
        assert_eq!(
            world.provider.holders(&access.entitlement).await.unwrap(),
            []
        );
    }
    assert_eq!(world.holders("ro").await, [""; 0]);
}

#[tokio::test]
async fn hallpass_changes_nothing_of_its_own_account() {
    let world = World::new("my_own").await;
    let error = world.grant("ro", "hallpass").await.unwrap_err();
    assert!(refusal(&error).contains("Hallpass itself"), "{error}");
    let error = world.revoke("ro", "hallpass").await.unwrap_err();
    assert!(refusal(&error).contains("Hallpass itself"), "{error}");
    world.grant("ro", "ada").await.unwrap();
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let world = World::new("my_right").await;
    world.run("CREATE ROLE my_right_other").await;
    let error = world.grant("other", "ada").await.unwrap_err();
    assert!(refusal(&error).contains("WITH ADMIN OPTION"), "{error}");
    world
        .run("REVOKE SELECT ON mysql.roles_mapping FROM my_right_hallpass")
        .await;
    let error = world.grant("ro", "ada").await.unwrap_err();
    assert!(refusal(&error).contains("tables of accounts"), "{error}");
}

#[tokio::test]
async fn an_address_or_a_password_that_is_wrong_is_not_repeated() {
    let world = World::new("my_secret").await;
    let url = SecretString::from(world.server.url("my_secret_hallpass", "canary"));
    let provider = MySql::new(connection(), &url, false, DefaultRole::Set).unwrap();
    let error = provider
        .revoke(&world.access(), &order())
        .await
        .unwrap_err();
    assert!(
        refusal(&error).contains("correct the user or the password"),
        "{error}"
    );
    assert!(
        !format!("{error:?} {provider:?}").contains("canary"),
        "{error:?}"
    );
    let url = SecretString::from("mysql://h:canary@[/x");
    let error = MySql::new(connection(), &url, false, DefaultRole::Set).unwrap_err();
    assert!(!refusal(&error).contains("canary"), "{error}");
}
