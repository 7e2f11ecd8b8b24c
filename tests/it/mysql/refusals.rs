//! What is not given, and not said to be gone.

use hallpass::providers::Provider;
use hallpass::providers::mysql::{DefaultRole, MySql};
use secrecy::SecretString;
use sqlx::Executor;

use super::{World, access, quoted, refusal, unknown};
use crate::contract::approved::approved;
use crate::contract::{connection, order};

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

#[tokio::test]
async fn the_last_who_controls_the_server_keeps_that() {
    let world = World::new("my_last").await;
    world.run("CREATE USER my_last_eve").await;
    for user in ["ada", "eve"] {
        world
            .by_hand(&format!("GRANT my_last_ro TO my_last_{user}"))
            .await;
    }
    // It became powerful since it was given.
    world.run("GRANT SUPER ON *.* TO my_last_ro").await;
    world.revoke("ro", "eve").await.unwrap();
    let error = world.revoke("ro", "ada").await.unwrap_err();
    assert!(refusal(&error).contains("the last account"), "{error}");
    assert_eq!(world.holders("ro").await, ["my_last_ada"]);
    world.run("REVOKE SUPER ON *.* FROM my_last_ro").await;
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}
