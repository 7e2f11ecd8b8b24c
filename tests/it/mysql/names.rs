//! Accounts and roles that are not what their names say, or are called otherwise by now.

use super::server::Server;
use super::{World, refusal, unknown};

#[tokio::test]
async fn a_role_within_the_role_is_taken_under_the_name_that_it_is_listed_by() {
    let world = World::new("my_inner").await;
    world.run("CREATE ROLE my_inner_team").await;
    world.by_hand("GRANT my_inner_ro TO my_inner_team").await;
    // An account that is called as roles are listed is written with its host.
    world.run("CREATE USER 'role my_inner_team'").await;
    let listed = "role my_inner_team";
    let at = |account: &str| crate::mysql::access("my_inner_ro", account);
    let error = world.grant_of(&at(listed)).await.unwrap_err();
    assert!(
        unknown(&error).contains("written \"role my_inner_team@%\""),
        "{error}"
    );
    world.grant_of(&at("role my_inner_team@%")).await.unwrap();
    assert_eq!(world.holders("ro").await, [listed, "role my_inner_team@%"]);

    let revoked = world.revoke_of(&at(listed)).await.unwrap();
    assert_eq!(
        revoked.read_back,
        "role my_inner_team does not have my_inner_ro"
    );
    assert_eq!(world.holders("ro").await, ["role my_inner_team@%"]);
    world.revoke_of(&at("role my_inner_team@%")).await.unwrap();
    assert_eq!(world.holders("ro").await, [""; 0]);
}

#[tokio::test]
async fn what_everybody_has_is_listed_and_for_a_person() {
    let world = World::new("my_public").await;
    world.run("CREATE ROLE my_public_all").await;
    world
        .run("GRANT my_public_all TO my_public_hallpass WITH ADMIN OPTION")
        .await;
    world.run("GRANT my_public_all TO PUBLIC").await;
    let listed = world.holders("all").await;
    let access = crate::mysql::access("my_public_all", "role PUBLIC");
    let outcome = world.revoke_of(&access).await;
    world.run("REVOKE my_public_all FROM PUBLIC").await;
    assert!(listed.contains(&"role PUBLIC".to_owned()), "{listed:?}");
    let error = outcome.unwrap_err();
    assert!(
        refusal(&error).contains("REVOKE `my_public_all` FROM PUBLIC"),
        "{error}"
    );
    let revoked = world.revoke_of(&access).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

#[tokio::test]
async fn what_is_held_is_taken_though_the_role_does_not_look_like_one() {
    let world = World::new("my_unlike").await;
    world.grant("ro", "ada").await.unwrap();
    // As on MySQL a role that somebody has unlocked.
    world
        .run("UPDATE mysql.global_priv SET Priv = JSON_REMOVE(Priv, '$.is_role') WHERE User = 'my_unlike_ro'")
        .await;
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!(
        revoked.read_back,
        "my_unlike_ada does not have my_unlike_ro"
    );
    assert!(!world.reads(&mut world.session("ada").await).await);
}

#[tokio::test]
async fn an_account_that_is_for_another_host_by_now_is_named() {
    let world = World::new("my_moved").await;
    world.grant("ro", "ada").await.unwrap();
    world
        .run("RENAME USER my_moved_ada TO my_moved_ada@'127.0.0.1'")
        .await;
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!(
        revoked.still_effective_through,
        [
            "my_moved_ada@127.0.0.1, which has my_moved_ro and may be my_moved_ada under another host"
        ]
    );
    assert!(world.reads(&mut world.session("ada").await).await);
    world
        .by_hand("REVOKE my_moved_ro FROM my_moved_ada@'127.0.0.1'")
        .await;
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

#[tokio::test]
async fn a_role_of_the_name_of_an_account_that_is_gone_is_named() {
    let world = World::new("my_turned").await;
    world.grant("ro", "ada").await.unwrap();
    world.run("DROP USER my_turned_ada").await;
    world.run("CREATE ROLE my_turned_ada").await;
    world.by_hand("GRANT my_turned_ro TO my_turned_ada").await;
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!(
        revoked.still_effective_through,
        ["role my_turned_ada, which has my_turned_ro and the name of my_turned_ada"]
    );
}

/// The servers have no numbers of accounts. What can be told is who has the role when the account is gone.
#[tokio::test]
async fn who_has_the_role_when_an_account_is_gone_is_told() {
    let world = World::new("my_gone").await;
    world.run("CREATE USER my_gone_bob").await;
    for account in ["ada", "bob"] {
        world.grant("ro", account).await.unwrap();
    }
    world.run("RENAME USER my_gone_ada TO my_gone_byron").await;
    let renamed = world.server.try_run("RENAME USER my_gone_ro TO my_gone_rx");
    renamed.await.unwrap_err();
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert!(
        revoked
            .read_back
            .ends_with("still has my_gone_ro: my_gone_bob, my_gone_byron"),
        "{revoked:?}"
    );
}

#[tokio::test]
async fn of_two_last_who_control_the_server_one_stays_though_both_are_taken_at_once() {
    let world = World::new("my_both").await;
    world.run("CREATE USER my_both_eve").await;
    world.run("GRANT SUPER ON *.* TO my_both_ro").await;
    for _ in 0..8 {
        for user in ["ada", "eve"] {
            world
                .by_hand(&format!("GRANT my_both_ro TO my_both_{user}"))
                .await;
        }
        let takes = ["ada", "eve"].map(|account| world.revoke("ro", account));
        let taken = futures_util::future::join_all(takes).await;
        assert_eq!(world.holders("ro").await.len(), 1, "{taken:?}");
        let refused: Vec<_> = taken.into_iter().filter_map(Result::err).collect();
        assert!(
            refusal(&refused[0]).contains("the last account"),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_role_with_more_members_than_are_read_is_refused_and_still_taken() {
    let world = World::on(Server::aside(), "my_crowd").await;
    world
        .run(
            "INSERT INTO mysql.roles_mapping (Host, User, Role, Admin_option) \
             SELECT '%', CONCAT('my_crowd_', seq), 'my_crowd_ro', 'N' FROM mysql.seq_1_to_20001",
        )
        .await;
    let entitlement = world.access().entitlement;
    let listed = hallpass::providers::Provider::holders(&world.provider, &entitlement).await;
    let error = listed.unwrap_err();
    assert!(refusal(&error).contains("more than 20000"), "{error}");
    world.grant("ro", "ada").await.unwrap();
    let revoked = world.revoke("ro", "ada").await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}
