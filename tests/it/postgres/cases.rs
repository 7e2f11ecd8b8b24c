//! Membership of roles on a real PostgreSQL server.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use hallpass::domain::ledger::{Granted, Holder, Revoked};
use hallpass::domain::model::{Access, Account, UserId};
use hallpass::providers::postgres::{Also, KIND, Postgres};
use hallpass::providers::{Provider, ProviderError};
use secrecy::SecretString;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::contract::approved::approved;
use crate::contract::{connection, order};
use super::{Server, server, start};

/// One test's part of the shared server: a role to be given, an account to give it to, and the account of Hallpass, which may
/// give just that role.
pub struct World<'a> {
    server: &'a Server,
    /// Distinguishes the roles of one test from those of all others.
    name: String,
    pub provider: Postgres,
}

/// Sessions are ended.
pub const ENDING: Also = Also {
    end_sessions: true,
    valid_until: false,
};

/// Whether the server does what the superuser asks for.
pub async fn run_quietly(server: &Server, sql: &str) -> bool {
    let mut admin = server.admin().await;
    admin.execute(AssertSqlSafe(sql.to_owned())).await.is_ok()
}

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl World<'static> {
    pub async fn new(name: &str) -> Self {
        Self::with(name, Also::default()).await
    }

    pub async fn with(name: &str, also: Also) -> Self {
        Self::made(server(), name, also).await
    }
}

impl<'a> World<'a> {
    /// On a server of its own.
    pub async fn on(server: &'a Server, name: &str) -> Self {
        Self::made(server, name, Also::default()).await
    }

    async fn made(server: &'a Server, name: &str, also: Also) -> Self {
        let world = Self {
            server,
            name: name.to_owned(),
            provider: connect(server, name, also),
        };
        for kind in ["ada", "hallpass"] {
            world
                .run(&format!(
                    "CREATE ROLE {name}_{kind} LOGIN PASSWORD 'secret'"
                ))
                .await;
        }
        world.run(&format!("CREATE ROLE {name}_ro")).await;
        world.may_give(&format!("{name}_ro")).await;
        world
            .run(&format!("GRANT pg_signal_backend TO {name}_hallpass"))
            .await;
        world
    }

    pub async fn run(&self, sql: &str) {
        self.server.run(sql).await;
    }

    pub async fn may_give(&self, role: &str) {
        self.run(&format!(
            "GRANT {} TO {}_hallpass WITH ADMIN OPTION",
            quoted(role),
            self.name
        ))
        .await;
    }

    fn role(&self) -> String {
        format!("{}_ro", self.name)
    }

    fn ada(&self) -> String {
        format!("{}_ada", self.name)
    }

    pub fn access(&self) -> Access {
        access(&self.role(), &self.ada())
    }

    async fn grant(&self, role: &str, account: &str) -> Result<Granted, ProviderError> {
        self.grant_of(&access(role, account)).await
    }

    pub async fn grant_of(&self, access: &Access) -> Result<Granted, ProviderError> {
        self.provider.grant(&approved(access), &order()).await
    }

    /// Takes the test's role from any account.
    pub async fn take(&self, account: &str) -> Result<Revoked, ProviderError> {
        let access = access(&self.role(), account);
        self.provider.revoke(&access, &order()).await
    }

    /// As Hallpass would, and not by it.
    pub async fn give_by_hand(&self, account: &str) {
        let (role, name) = (self.role(), &self.name);
        self.run(&format!(
            "SET ROLE {name}_hallpass; GRANT {role} TO {account}"
        ))
        .await;
    }

    pub async fn revoke_by_hand(&self, account: &str) {
        let (role, name) = (self.role(), &self.name);
        self.run(&format!(
            "SET ROLE {name}_hallpass; REVOKE {role} FROM {account}"
        ))
        .await;
    }

    pub async fn give(&self) {
        self.grant(&self.role(), &self.ada()).await.unwrap();
    }

    pub async fn holders(&self, role: &str) -> Vec<String> {
        let holders = self
            .provider
            .holders(&json!({ "role": role }))
            .await
            .unwrap();
        assert!(holders.iter().all(|holder: &Holder| !holder.pending));
        holders.into_iter().map(|holder| holder.name).collect()
    }

    pub async fn session(&self, user: &str) -> PgConnection {
        PgConnection::connect(&self.server.url(user, "secret", "postgres"))
            .await
            .unwrap()
    }
}

fn connect(server: &Server, name: &str, also: Also) -> Postgres {
    let url = SecretString::from(server.url(&format!("{name}_hallpass"), "secret", "postgres"));
    Postgres::new(connection(), &url, also).unwrap()
}

fn access(role: &str, account: &str) -> Access {
    Access {
        connection: connection(),
        account: Account {
            name: account.to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        },
        entitlement: json!({ "role": role }), entitlement_id: None, }
}

pub fn refusal(error: &ProviderError) -> String {
    assert!(matches!(error, ProviderError::Refused { .. }), "{error:?}");
    error.to_string()
}

pub async fn knows_options(server: &Server) -> bool {
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int")
        .fetch_one(&mut server.admin().await)
        .await
        .unwrap();
    version >= 160_000
}

#[tokio::test]
async fn what_is_granted_is_held_and_what_is_revoked_is_not_however_often() {
    let world = World::new("often").await;
    for _ in 0..2 {
        let granted = world.grant("often_ro", "often_ada").await.unwrap();
        assert_eq!(granted.read_back, "often_ada is a member of often_ro");
        assert_eq!(granted.pending, None);
        assert_eq!(world.holders("often_ro").await, ["often_ada"]);
    }
    for _ in 0..2 {
        let revoked = world
            .provider
            .revoke(&world.access(), &order())
            .await
            .unwrap();
        assert_eq!(revoked.read_back, "often_ada is no member of often_ro");
        assert_eq!(revoked.still_effective_through, Vec::<String>::new());
        assert_eq!((revoked.sessions.len(), revoked.sessions_ended), (0, 0));
        assert_eq!(world.holders("often_ro").await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn access_is_usable_after_the_grant_and_not_after_the_end() {
    let world = World::new("usable").await;
    world
        .run("CREATE SCHEMA usable; CREATE TABLE usable.t AS SELECT 42 AS answer")
        .await;
    world
        .run("GRANT USAGE ON SCHEMA usable TO usable_ro; GRANT SELECT ON usable.t TO usable_ro")
        .await;
    let mut session = world.session("usable_ada").await;
    let mut read = async || session.execute("SELECT answer FROM usable.t").await.is_ok();

    assert!(!read().await);
    world.give().await;
    assert!(read().await);
    world
        .provider
        .revoke(&world.access(), &order())
        .await
        .unwrap();
    assert!(!read().await);
}

#[tokio::test]
async fn whoever_has_a_role_cannot_hand_it_on() {
    let world = World::new("handon").await;
    world.run("CREATE ROLE handon_eve LOGIN").await;
    world.give().await;
    let mut session = world.session("handon_ada").await;
    let error = session
        .execute("GRANT handon_ro TO handon_eve")
        .await
        .unwrap_err();
    assert_eq!(
        error.as_database_error().unwrap().code().as_deref(),
        Some("42501")
    );
    if knows_options(world.server).await {
        session.execute("SET ROLE handon_ro").await.unwrap_err();
    }
}

#[tokio::test]
async fn a_role_or_an_account_that_does_not_exist_is_told_apart() {
    let world = World::new("exist").await;
    let error = world.grant("exist_nothing", "exist_ada").await.unwrap_err();
    assert!(
        refusal(&error).contains("no role \"exist_nothing\""),
        "{error}"
    );

    let error = world.grant("exist_ro", "exist_nobody").await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::UnknownSubject { account, .. } if account == "exist_nobody"),
        "{error:?}"
    );

    let error = world
        .provider
        .holders(&json!({ "role": "exist_nothing" }))
        .await
        .unwrap_err();
    assert!(refusal(&error).contains("no role"), "{error}");
}

#[tokio::test]
async fn a_role_or_an_account_that_is_gone_counts_as_taken_away() {
    let world = World::new("gone").await;
    for (role, account) in [
        ("gone_nothing", "gone_ada"),
        ("gone_ro", "gone_nobody"),
        ("gone_ro", &"x".repeat(70)),
    ] {
        let revoked = world
            .provider
            .revoke(&access(role, account), &order())
            .await
            .unwrap();
        assert!(
            revoked.read_back.contains("any more"),
            "{}",
            revoked.read_back
        );
    }
}

#[tokio::test]
async fn a_group_is_not_an_account() {
    let world = World::new("group").await;
    world.run("CREATE ROLE group_everybody").await;
    let error = world
        .grant("group_ro", "group_everybody")
        .await
        .unwrap_err();
    assert!(
        matches!(error, ProviderError::UnknownSubject { .. }),
        "{error:?}"
    );
    assert_eq!(world.holders("group_ro").await, Vec::<String>::new());
}

#[tokio::test]
async fn hostile_names_reach_exactly_the_role_and_the_account_of_that_name() {
    let world = World::new("hostile").await;
    for (n, name) in [
        "hostile \"; DROP ROLE hostile_ada; --",
        "hostile '; SELECT 1",
        "hostile\nnew line",
        "hostile %I %s $1 \\",
        "hostile Größe \u{1f980} \u{202e}",
        "Hostile_Ro",
        "current_user",
    ]
    .into_iter()
    .enumerate()
    {
        let account = format!("{name} {n}");
        world
            .run(&format!(
                "CREATE ROLE {}; CREATE ROLE {} LOGIN",
                quoted(name),
                quoted(&account)
            ))
            .await;
        world.may_give(name).await;

        world.grant(name, &account).await.unwrap();
        assert_eq!(world.holders(name).await, [account.as_str()]);
        assert_eq!(world.holders("hostile_ro").await, Vec::<String>::new());
        world
            .provider
            .revoke(&access(name, &account), &order())
            .await
            .unwrap();
        assert_eq!(world.holders(name).await, Vec::<String>::new());
    }
    for name in [
        "public",
        "none",
        "session_user",
        "",
        "hostile_ro ",
        "HOSTILE_RO",
        "hostile_ro\0",
    ] {
        world.grant(name, "hostile_ada").await.unwrap_err();
        world.grant("hostile_ro", name).await.unwrap_err();
    }
    assert_eq!(world.holders("hostile_ro").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_name_that_the_server_would_cut_off_does_not_hit_the_shorter_one() {
    let world = World::new("long").await;
    let (short, account) = (
        format!("long_{}", "r".repeat(58)),
        format!("long_{}", "a".repeat(58)),
    );
    world
        .run(&format!("CREATE ROLE {short}; CREATE ROLE {account} LOGIN"))
        .await;
    world.may_give(&short).await;
    let (longer, longer_account) = (format!("{short}xxxxxxx"), format!("{account}xxxxxxx"));

    refusal(&world.grant(&longer, "long_ada").await.unwrap_err());
    let error = world.grant("long_ro", &longer_account).await.unwrap_err();
    assert!(matches!(error, ProviderError::UnknownSubject { .. }));
    assert_eq!(world.holders(&short).await, Vec::<String>::new());

    world.grant(&short, &account).await.unwrap();
    world
        .provider
        .revoke(&access(&longer, &longer_account), &order())
        .await
        .unwrap();
    assert_eq!(world.holders(&short).await, [account]);
}

#[tokio::test]
async fn roles_that_control_the_server_are_never_given() {
    let world = World::new("control").await;
    world.run("CREATE ROLE control_super SUPERUSER; CREATE ROLE control_maker CREATEROLE; CREATE ROLE control_rls BYPASSRLS").await;
    world.run("CREATE ROLE control_copy REPLICATION; CREATE ROLE control_nested; GRANT control_maker TO control_nested").await;
    world
        .run("CREATE ROLE control_files; GRANT pg_read_server_files TO control_files")
        .await;
    for role in [
        "control_super",
        "control_maker",
        "control_rls",
        "control_copy",
        "control_nested",
        "control_files",
        "pg_execute_server_program",
        "pg_write_server_files",
        "control_hallpass",
    ] {
        if role != "control_hallpass" {
            world.may_give(role).await;
        }
        let error = world.grant(role, "control_ada").await.unwrap_err();
        assert!(refusal(&error).contains("control"), "{role}: {error}");
        // With the rights of a superuser the server itself would not mind.
        let url = SecretString::from(world.server.url("postgres", super::super::server::PASSWORD, "postgres"));
        let almighty = Postgres::new(connection(), &url, Also::default()).unwrap();
        if role != "control_hallpass" {
            refusal(
                &almighty
                    .grant(&approved(&access(role, "control_ada")), &order())
                    .await
                    .unwrap_err(),
            );
        }
        assert!(
            !world
                .holders(role)
                .await
                .contains(&"control_ada".to_owned()),
            "{role}"
        );
    }
    let error = world
        .grant("control_ro", "control_hallpass")
        .await
        .unwrap_err();
    assert!(refusal(&error).contains("Hallpass itself"), "{error}");
    let error = world
        .provider
        .revoke(&access("control_ro", "control_hallpass"), &order())
        .await
        .unwrap_err();
    assert!(refusal(&error).contains("Hallpass itself"), "{error}");
}

#[tokio::test]
async fn a_nested_role_that_keeps_access_effective_is_named() {
    let world = World::new("nested").await;
    world.run("CREATE ROLE nested_team; GRANT nested_ro TO nested_team; GRANT nested_team TO nested_ada").await;
    world.give().await;

    let revoked = world
        .provider
        .revoke(&world.access(), &order())
        .await
        .unwrap();
    assert_eq!(revoked.read_back, "nested_ada is no member of nested_ro");
    assert_eq!(
        revoked.still_effective_through,
        ["membership of nested_team, which has nested_ro"]
    );
    assert_eq!(world.holders("nested_ro").await, ["nested_team"]);
}

#[tokio::test]
async fn a_superuser_keeps_everything_and_that_is_said() {
    let world = World::new("god").await;
    world.run("ALTER ROLE god_ada SUPERUSER").await;
    world.give().await;
    let revoked = world
        .provider
        .revoke(&world.access(), &order())
        .await
        .unwrap();
    assert_eq!(revoked.still_effective_through, ["god_ada is a superuser"]);
}

#[tokio::test]
async fn a_membership_with_admin_option_is_not_taken_for_ours() {
    let world = World::new("admin").await;
    world
        .run("GRANT admin_ro TO admin_ada WITH ADMIN OPTION")
        .await;
    let error = world.grant("admin_ro", "admin_ada").await.unwrap_err();
    assert!(refusal(&error).contains("ADMIN OPTION"), "{error}");
}

#[tokio::test]
async fn an_account_that_handed_its_role_on_cannot_keep_it_by_that() {
    let world = World::new("chain").await;
    // Somebody gave ada more than Hallpass would.
    let mut ours = world.session("chain_hallpass").await;
    ours.execute("GRANT chain_ro TO chain_ada WITH ADMIN OPTION")
        .await
        .unwrap();
    world.run("CREATE ROLE chain_eve LOGIN").await;
    world
        .session("chain_ada")
        .await
        .execute("GRANT chain_ro TO chain_eve")
        .await
        .unwrap();

    let revoked = world
        .provider
        .revoke(&world.access(), &order())
        .await
        .unwrap();
    assert!(
        revoked
            .read_back
            .starts_with("chain_ada is no member of chain_ro"),
        "{}",
        revoked.read_back
    );
    assert!(
        !world
            .holders("chain_ro")
            .await
            .contains(&"chain_ada".to_owned())
    );
    if knows_options(world.server).await {
        assert!(
            revoked.read_back.ends_with("chain_eve"),
            "{}",
            revoked.read_back
        );
    }
}

#[tokio::test]
async fn a_membership_that_somebody_else_granted_too_is_reported() {
    let world = World::new("grantor").await;
    world.give().await;
    world.run("GRANT grantor_ro TO grantor_ada").await;
    let revoked = world
        .provider
        .revoke(&world.access(), &order())
        .await
        .unwrap();
    if knows_options(world.server).await {
        // One membership for each grantor.
        assert_eq!(
            revoked.still_effective_through,
            ["grantor_ro granted by postgres"]
        );
        assert_eq!(
            revoked.read_back,
            "grantor_ada is now only by others a member of grantor_ro"
        );
    } else {
        assert_eq!(revoked.still_effective_through, Vec::<String>::new());
        assert_eq!(world.holders("grantor_ro").await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn sessions_that_may_still_use_the_role_are_listed() {
    let world = World::new("listed").await;
    world.give().await;
    let _session = world.session("listed_ada").await;
    let revoked = world
        .provider
        .revoke(&world.access(), &order())
        .await
        .unwrap();
    assert_eq!((revoked.sessions.len(), revoked.sessions_ended), (1, 0));
    assert!(
        revoked.sessions[0].ends_with("in database postgres"),
        "{:?}",
        revoked.sessions
    );
}

#[tokio::test]
async fn a_session_that_set_the_role_is_ended_with_the_access() {
    let world = World::with("ended", ENDING).await;
    world
        .run("CREATE ROLE ended_bob LOGIN PASSWORD 'secret'")
        .await;
    world.give().await;
    // As somebody who may `SET ROLE` in every version.
    world.run("GRANT ended_ro TO ended_ada").await;
    let mut session = world.session("ended_ada").await;
    session.execute("SET ROLE ended_ro").await.unwrap();
    let mut second = world.session("ended_ada").await;
    let mut other = world.session("ended_bob").await;

    let revoked = world
        .provider
        .revoke(&world.access(), &order())
        .await
        .unwrap();

    assert_eq!((revoked.sessions, revoked.sessions_ended), (vec![], 2));
    session.execute("SELECT 1").await.unwrap_err();
    second.execute("SELECT 1").await.unwrap_err();
    other.execute("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn sessions_that_may_not_be_ended_are_a_matter_for_a_person() {
    let world = World::with("signal", ENDING).await;
    world
        .run("REVOKE pg_signal_backend FROM signal_hallpass")
        .await;
    world.give().await;
    let _session = world.session("signal_ada").await;
    let error = world
        .provider
        .revoke(&world.access(), &order())
        .await
        .unwrap_err();
    assert!(refusal(&error).contains("pg_signal_backend"), "{error}");
    // The membership is gone all the same.
    assert_eq!(world.holders("signal_ro").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let world = World::new("right").await;
    world
        .run("CREATE ROLE right_other; GRANT right_other TO right_ada")
        .await;
    let error = world.grant("right_other", "right_ada").await.err();
    if let Some(error) = &error {
        assert!(refusal(error).contains("WITH ADMIN OPTION"), "{error}");
    }
    world.run("CREATE ROLE right_bob LOGIN").await;
    let error = world.grant("right_other", "right_bob").await.unwrap_err();
    assert!(
        refusal(&error).contains("GRANT \"right_other\" TO it WITH ADMIN OPTION"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_password_is_a_matter_for_a_person_and_is_not_repeated() {
    let world = World::new("password").await;
    let url = SecretString::from(world.server.url("password_hallpass", "canary", "postgres"));
    let provider = Postgres::new(connection(), &url, Also::default()).unwrap();
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
        "{error:?} {provider:?}"
    );
}

#[tokio::test]
async fn an_entitlement_of_another_shape_is_refused() {
    let world = World::new("shape").await;
    let schema: serde_json::Value = serde_json::from_str(KIND.entitlement).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    assert!(schema.is_valid(&world.access().entitlement));
    for entitlement in [
        json!({}),
        json!({ "role": 1 }),
        json!({ "role": ["shape_ro"] }),
        json!({ "role": "shape_ro", "admin": true }),
        json!("shape_ro"),
        json!(null),
    ] {
        assert!(!schema.is_valid(&entitlement), "{entitlement}");
        let access = Access {
            entitlement: entitlement.clone(),
            ..world.access()
        };
        refusal(
            &world
                .provider
                .grant(&approved(&access), &order())
                .await
                .unwrap_err(),
        );
        refusal(&world.provider.revoke(&access, &order()).await.unwrap_err());
        refusal(&world.provider.holders(&entitlement).await.unwrap_err());
    }
}

#[tokio::test]
async fn grants_of_one_role_at_the_same_time_all_succeed_or_may_be_tried_again() {
    let world = World::new("together").await;
    for n in 0..6 {
        world.run(&format!("CREATE ROLE together_{n} LOGIN")).await;
    }
    let grants = (0..12).map(|n| {
        let world = &world;
        async move {
            loop {
                match world
                    .grant("together_ro", &format!("together_{}", n % 6))
                    .await
                {
                    Ok(_) => return,
                    Err(ProviderError::Unavailable { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
    futures_util::future::join_all(grants).await;
    assert_eq!(world.holders("together_ro").await.len(), 6);
}

#[tokio::test]
async fn a_server_that_is_locked_up_or_gone_is_tried_again() {
    let mut server = start();
    server.run("CREATE ROLE down_hallpass LOGIN PASSWORD 'secret'; CREATE ROLE down_ada LOGIN; CREATE ROLE down_ro").await;
    server
        .run("GRANT down_ro TO down_hallpass WITH ADMIN OPTION")
        .await;
    let provider = connect(&server, "down", Also::default());
    let access = access("down_ro", "down_ada");
    provider.grant(&approved(&access), &order()).await.unwrap();

    // On a server of its own, because this is in everybody's way.
    let mut admin = server.admin().await;
    let mut tx = admin.begin().await.unwrap();
    tx.execute("LOCK TABLE pg_auth_members IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let error = provider.revoke(&access, &order()).await.unwrap_err();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }),
        "{error:?}"
    );
    tx.rollback().await.unwrap();

    server.stop();
    tokio::time::pause();
    let error = provider.revoke(&access, &order()).await.unwrap_err();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }),
        "{error:?}"
    );
    let error = provider
        .grant(&approved(&access), &order())
        .await
        .unwrap_err();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_refused_without_being_repeated() {
    let error = Postgres::new(
        connection(),
        &SecretString::from("postgres://h:canary@[/x"),
        Also::default(),
    )
    .unwrap_err();
    assert!(!refusal(&error).contains("canary"), "{error}");
}

#[tokio::test]
async fn the_last_who_controls_the_server_keeps_that_and_hallpass_keeps_its_own() {
    let world = World::new("lastone").await;
    world.run("CREATE ROLE lastone_eve LOGIN").await;
    // It gave nothing of the kind when it was given, and became powerful since.
    world.give().await;
    world.run("GRANT lastone_ro TO lastone_eve").await;
    world.run("ALTER ROLE lastone_ro CREATEROLE").await;
    world.take("lastone_ada").await.unwrap();
    let error = world.take("lastone_hallpass").await.unwrap_err();
    assert!(refusal(&error).contains("Hallpass itself"), "{error}");
    world.give_by_hand("lastone_ada").await;
    world.run("REVOKE lastone_ro FROM lastone_eve").await;
    let error = world.take("lastone_ada").await.unwrap_err();
    assert!(refusal(&error).contains("last account with"), "{error}");
    assert_eq!(world.holders("lastone_ro").await, ["lastone_ada"]);
    world.run("ALTER ROLE lastone_ro NOCREATEROLE").await;
    world.run("GRANT lastone_ro TO lastone_eve").await;
}
