//! Roles and accounts that are called otherwise by now, or are others.

use hallpass::domain::model::Access;
use hallpass::providers::{Provider as _, ProviderError};
use sqlx::{AssertSqlSafe, Executor as _};

use super::cases::{ENDING, World, refusal};
use super::{server, start};
use crate::contract::order;

/// Gives it, and tells it with the ids that the server told.
async fn known(world: &World<'_>) -> Access {
    let granted = world.grant_of(&world.access()).await.unwrap();
    let mut access = world.access();
    access.account.id = granted.account_id;
    access.entitlement_id = granted.entitlement_id;
    access
}

async fn oid(name: &str) -> String {
    sqlx::query_scalar("SELECT oid::text FROM pg_roles WHERE rolname = $1")
        .bind(name)
        .fetch_one(&mut server().admin().await)
        .await
        .unwrap()
}

/// As if the server had been restored from a dump into another cluster.
fn of_another_cluster(access: &Access) -> Access {
    let (oid, cluster) = access.entitlement_id.as_ref().unwrap().split_once('@').unwrap();
    Access {
        entitlement_id: Some(format!("{oid}@{cluster}1")),
        ..access.clone()
    }
}

#[tokio::test]
async fn an_account_and_a_role_that_were_renamed_are_taken_under_their_new_names() {
    let world = World::new("rename").await;
    let access = known(&world).await;
    world.run("ALTER ROLE rename_ada RENAME TO rename_byron").await;
    world.run("ALTER ROLE rename_ro RENAME TO rename_rx").await;
    let revoked = world.provider.revoke(&access, &order()).await.unwrap();
    assert_eq!(revoked.read_back, "rename_byron is no member of rename_rx");
    assert_eq!(world.holders("rename_rx").await, [""; 0]);
}

#[tokio::test]
async fn what_goes_on_goes_on_for_nobody_else_and_with_nothing_else() {
    let world = World::new("goeson").await;
    let access = known(&world).await;
    let again = world.grant_of(&access).await.unwrap();
    assert_eq!(again.account_id, access.account.id);
    assert_eq!(again.entitlement_id, access.entitlement_id);
    world.run("ALTER ROLE goeson_ada RENAME TO goeson_byron").await;
    let unknown = |error: &ProviderError| matches!(error, ProviderError::UnknownSubject { .. });
    let error = world.grant_of(&access).await.unwrap_err();
    assert!(unknown(&error) && error.to_string().contains("called \"goeson_byron\" now"), "{error}");
    world.run("CREATE ROLE goeson_ada LOGIN").await;
    assert!(unknown(&world.grant_of(&access).await.unwrap_err()));
    assert_eq!(world.holders("goeson_ro").await, ["goeson_byron"]);

    world.run("DROP ROLE goeson_ada").await;
    world.run("ALTER ROLE goeson_byron RENAME TO goeson_ada").await;
    world.run("ALTER ROLE goeson_ro RENAME TO goeson_rx").await;
    let error = world.grant_of(&access).await.unwrap_err();
    assert!(refusal(&error).contains("called \"goeson_rx\" now"), "{error}");
    world.run("CREATE ROLE goeson_ro").await;
    world.may_give("goeson_ro").await;
    refusal(&world.grant_of(&access).await.unwrap_err());
    assert_eq!(world.holders("goeson_ro").await, [""; 0]);
}

#[tokio::test]
async fn a_role_that_was_dropped_is_gone_though_another_has_its_name() {
    let world = World::new("anew").await;
    let access = known(&world).await;
    world.run("DROP ROLE anew_ro").await;
    world.run("CREATE ROLE anew_ro").await;
    world.may_give("anew_ro").await;
    world.give_by_hand("anew_ada").await;
    let revoked = world.provider.revoke(&access, &order()).await.unwrap();
    assert!(revoked.read_back.contains("another has its name"), "{revoked:?}");
    assert_eq!(world.holders("anew_ro").await, ["anew_ada"], "not given by us");
}

#[tokio::test]
async fn after_a_restore_nothing_is_gone_that_somebody_of_the_name_has() {
    let world = World::new("restored").await;
    world.run("CREATE ROLE restored_bob LOGIN").await;
    world.give_by_hand("restored_bob").await;
    // Another cluster in which both still go by the same numbers, as after an upgrade.
    let access = of_another_cluster(&known(&world).await);
    let revoked = world.provider.revoke(&access, &order()).await.unwrap();
    assert_eq!(revoked.read_back, "restored_ada is no member of restored_ro");

    // One in which the numbers are of others, or of nobody.
    let mut access = of_another_cluster(&known(&world).await);
    access.entitlement_id = Some("4294967295@1".to_owned());
    for id in [oid("restored_bob").await, "4294967294".to_owned()] {
        world.give().await;
        access.account.id = Some(id);
        let error = world.provider.revoke(&access, &order()).await.unwrap_err();
        let remedy = "REVOKE \"restored_ro\" FROM \"restored_ada\" by hand";
        assert!(refusal(&error).contains(remedy), "{error}");
        assert_eq!(world.holders("restored_ro").await, ["restored_ada", "restored_bob"]);
        world.revoke_by_hand("restored_ada").await;
        let revoked = world.provider.revoke(&access, &order()).await.unwrap();
        assert!(revoked.read_back.contains("nobody who may be restored_ada"), "{revoked:?}");
        assert_eq!(world.holders("restored_ro").await, ["restored_bob"]);
    }
}

#[tokio::test]
async fn a_dump_that_was_restored_over_its_own_cluster_is_told_from_one_that_was_made_anew() {
    let world = World::new("over").await;
    let access = known(&world).await;
    world.run("DROP ROLE over_ada; DROP ROLE over_ro").await;
    world.run("CREATE ROLE over_ro; CREATE ROLE over_ada LOGIN").await;
    world.may_give("over_ro").await;
    world.give_by_hand("over_ada").await;
    let error = world.provider.revoke(&access, &order()).await.unwrap_err();
    assert!(refusal(&error).contains("REVOKE \"over_ro\" FROM \"over_ada\""), "{error}");
    world.revoke_by_hand("over_ada").await;
    world.provider.revoke(&access, &order()).await.unwrap();
}

#[tokio::test]
async fn sessions_of_an_account_that_was_dropped_are_ended_with_its_access() {
    let world = World::with("ghost", ENDING).await;
    let access = known(&world).await;
    let mut session = world.session("ghost_ada").await;
    world.run("DROP ROLE ghost_ada").await;
    let revoked = world.provider.revoke(&access, &order()).await.unwrap();
    assert_eq!((revoked.sessions, revoked.sessions_ended), (vec![], 1));
    session.execute("SELECT 1").await.unwrap_err();
}

#[tokio::test]
async fn an_id_that_the_server_cannot_have_given_is_for_a_person() {
    let world = World::new("foreign").await;
    for (account, entitlement) in [("AIDA", "1"), ("1", "arn:aws"), ("-1", "1"), ("99999999999", "1")] {
        let mut access = world.access();
        access.account.id = Some(account.to_owned());
        access.entitlement_id = Some(entitlement.to_owned());
        let error = world.provider.revoke(&access, &order()).await.unwrap_err();
        assert!(refusal(&error).contains("no number of a role"), "{error}");
    }
}

#[tokio::test]
async fn of_two_last_who_control_the_server_one_stays_though_both_are_taken_at_once() {
    let world = World::new("both").await;
    world.run("CREATE ROLE both_eve LOGIN").await;
    world.run("ALTER ROLE both_ro CREATEROLE").await;
    for _ in 0..8 {
        for account in ["both_ada", "both_eve"] {
            world.give_by_hand(account).await;
        }
        let takes = ["both_ada", "both_eve"].map(|account| world.take(account));
        let taken = futures_util::future::join_all(takes).await;
        assert_eq!(world.holders("both_ro").await.len(), 1, "{taken:?}");
        let refused: Vec<_> = taken.into_iter().filter_map(Result::err).collect();
        assert!(refusal(&refused[0]).contains("the last account with"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_role_with_more_members_than_are_read_is_refused_and_still_taken() {
    let server = start();
    let mut admin = server.admin().await;
    let world = World::on(&server, "crowd").await;
    for some in 0..=20 {
        let (from, to) = (some * 1000, some * 1000 + 999);
        let made = format!(
            "DO $$ BEGIN FOR n IN {from}..{to} LOOP EXECUTE format('CREATE ROLE crowd_%s IN ROLE crowd_ro', n); END LOOP; END $$"
        );
        admin.execute(AssertSqlSafe(made)).await.unwrap();
    }
    let entitlement = world.access().entitlement;
    let error = world.provider.holders(&entitlement).await.unwrap_err();
    assert!(refusal(&error).contains("more than 20000"), "{error}");
    world.give().await;
    let revoked = world.provider.revoke(&world.access(), &order()).await.unwrap();
    assert_eq!(revoked.read_back, "crowd_ada is no member of crowd_ro");
}
