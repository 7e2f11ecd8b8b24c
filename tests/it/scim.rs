//! Membership of groups at a real SCIM server, and at servers that keep to the standard less well.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod contract;
mod odd;
mod server;

use hallpass::domain::model::Access;
use hallpass::providers::scim::Scim;
use hallpass::providers::{Provider, ProviderError};
use serde_json::{Value, json};

use crate::contract::approved::approved;
use crate::contract::{access, order};
use contract::Cloud;
use server::Server;

/// One test's part of the shared server: an account `<name>_ada` and a group `<name>_ro`.
struct World {
    cloud: Cloud,
    provider: Scim,
    ada: String,
    group: String,
    access: Access,
}

impl World {
    async fn new(name: &str) -> Self {
        let cloud = Cloud(Server::shared());
        let ada = cloud.0.add_user(&format!("{name}_ada")).await.unwrap();
        let group = cloud.0.add_group(&format!("{name}_ro")).await;
        let entitlement = json!({ "group": format!("{name}_ro") });
        Self {
            access: access(&cloud, &format!("{name}_ada"), &entitlement),
            provider: cloud.connect(cloud.0.address(), server::TOKEN),
            cloud,
            ada,
            group,
        }
    }

    fn gives(mut self, entitlement: Value) -> Self {
        self.access.entitlement = entitlement;
        self
    }

    async fn grant(&self) -> Result<hallpass::domain::ledger::Granted, ProviderError> {
        self.provider.grant(&approved(&self.access), &order()).await
    }

    async fn revoke(&self) -> Result<hallpass::domain::ledger::Revoked, ProviderError> {
        self.provider.revoke(&self.access, &order()).await
    }

    async fn members(&self) -> Vec<String> {
        self.cloud.0.members(&self.group).await
    }
}

#[tokio::test]
async fn the_others_in_the_group_stay() {
    let world = World::new("others").await;
    let server = world.cloud.0;
    let grace = server.add_user("others_grace").await.unwrap();
    server.add_member(&world.group, &grace, None).await;
    server.add_member(&world.group, "dangling", None).await;
    world.grant().await.unwrap();
    assert_eq!(world.members().await.len(), 3);
    world.revoke().await.unwrap();
    assert_eq!(world.members().await, [grace, "dangling".to_owned()]);
    let listed = world
        .provider
        .holders(&world.access.entitlement)
        .await
        .unwrap();
    let names: Vec<_> = listed.into_iter().map(|holder| holder.name).collect();
    assert_eq!(names, ["others_grace"]);
}

#[tokio::test]
async fn a_renamed_account_loses_what_it_was_given() {
    let mut world = World::new("renamed").await;
    world.access.account.id = world.grant().await.unwrap().account_id;
    assert_eq!(world.access.account.id.as_deref(), Some(world.ada.as_str()));
    world
        .cloud
        .0
        .rename_user(&world.ada, "renamed_countess")
        .await;
    let revoked = world.revoke().await.unwrap();
    assert_eq!(
        revoked.read_back,
        "renamed_countess is no member of renamed_ro"
    );
    assert_eq!(world.members().await, [""; 0]);
}

#[tokio::test]
async fn the_id_of_an_account_that_is_gone_does_not_stay_in_the_group() {
    let mut world = World::new("dangling").await;
    world.access.account.id = world.grant().await.unwrap().account_id;
    world.cloud.0.remove_user("dangling_ada").await;
    assert_eq!(world.members().await, [world.ada.as_str()]);
    world.revoke().await.unwrap();
    assert_eq!(world.members().await, [""; 0]);
}

#[tokio::test]
async fn a_group_of_two_names_is_refused_and_never_keeps_anybody_in() {
    let world = World::new("doubled").await;
    world.grant().await.unwrap();
    let second = world.cloud.0.add_group("doubled_ro").await;
    let error = world.grant().await.unwrap_err();
    assert!(error.to_string().contains("more than one group"), "{error}");
    world
        .provider
        .holders(&world.access.entitlement)
        .await
        .unwrap_err();
    // Whoever makes a second group of that name does not keep the membership of the first.
    world.cloud.0.add_member(&second, &world.ada, None).await;
    let revoked = world.revoke().await.unwrap();
    assert!(
        revoked.read_back.contains("none of the 2 groups"),
        "{revoked:?}"
    );
    assert_eq!(world.members().await, [""; 0]);
    assert_eq!(world.cloud.0.members(&second).await, [""; 0]);
}

#[tokio::test]
async fn a_group_known_by_its_id_is_the_same_after_it_was_renamed() {
    let world = World::new("byid").await;
    let id = world.group.clone();
    let world = world.gives(json!({ "group_id": id, "group": "byid_ro" }));
    world.grant().await.unwrap();
    world.cloud.0.rename_group(&id, "byid_admins").await;
    let error = world.grant().await.unwrap_err();
    assert!(error.to_string().contains("another name now"), "{error}");
    world.revoke().await.unwrap();
    assert_eq!(world.members().await, [""; 0]);

    let world = world.gives(json!({ "group_id": id }));
    world.grant().await.unwrap();
    assert_eq!(world.members().await, [world.ada.as_str()]);
    for odd in ["..", "../Users", "a/b", ""] {
        let error = world
            .provider
            .holders(&json!({ "group_id": odd }))
            .await
            .unwrap_err();
        assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_membership_through_a_nested_group_is_named() {
    let world = World::new("nested").await;
    let server = world.cloud.0;
    let inner = server.add_group("nested_inner").await;
    let innermost = server.add_group("nested_innermost").await;
    server.add_member(&innermost, &world.ada, None).await;
    // One says what it is, the other does not; and they go round in a circle.
    server.add_member(&world.group, &inner, Some("Group")).await;
    server.add_member(&inner, &innermost, None).await;
    server
        .add_member(&innermost, &world.group, Some("Group"))
        .await;
    world.grant().await.unwrap();
    let through = world.revoke().await.unwrap().still_effective_through;
    assert_eq!(
        through,
        [format!(
            "membership of the nested group \"nested_innermost\" ({innermost})"
        )]
    );
    // A group in a group is nobody who holds it.
    assert_eq!(
        world
            .provider
            .holders(&world.access.entitlement)
            .await
            .unwrap(),
        []
    );
    server.remove_group(&innermost).await;
    let through = world.revoke().await.unwrap().still_effective_through;
    assert_eq!(through, [""; 0]);
}

#[tokio::test]
async fn an_account_that_is_not_active_gets_nothing_but_loses_what_it_has() {
    let world = World::new("inactive").await;
    world.cloud.0.deactivate(&world.ada).await;
    let error = world.grant().await.unwrap_err();
    assert!(
        matches!(error, ProviderError::UnknownSubject { .. }),
        "{error}"
    );
    world
        .cloud
        .0
        .add_member(&world.group, &world.ada, None)
        .await;
    world.revoke().await.unwrap();
    assert_eq!(world.members().await, [""; 0]);
}

#[tokio::test]
async fn names_of_accounts_do_not_depend_on_case_and_those_of_groups_do() {
    let mut world = World::new("cases").await;
    world.access.account.name = "CASES_Ada".to_owned();
    world.grant().await.unwrap();
    assert_eq!(world.members().await, [world.ada.as_str()]);
    let world = world.gives(json!({ "group": "CASES_ro" }));
    let error = world.grant().await.unwrap_err();
    assert!(error.to_string().contains("there is no group"), "{error}");
}

#[tokio::test]
async fn a_large_group_is_listed_whole() {
    let world = World::new("large").await;
    let mut expected = Vec::new();
    for n in 0..25 {
        let name = format!("large_member_{n:02}");
        let id = world.cloud.0.add_user(&name).await.unwrap();
        world.cloud.0.add_member(&world.group, &id, None).await;
        expected.push(name);
    }
    let listed = world
        .provider
        .holders(&world.access.entitlement)
        .await
        .unwrap();
    let mut names: Vec<_> = listed.into_iter().map(|holder| holder.name).collect();
    names.sort();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn under_another_address_nothing_is_gone() {
    let mut world = World::new("address").await;
    let granted = world.grant().await.unwrap();
    (world.access.account.id, world.access.entitlement_id) =
        (granted.account_id, granted.entitlement_id);
    let at = world.cloud.0.address();
    let right = std::mem::replace(
        &mut world.provider,
        contract::connect(&format!("http://{at}/v2/moved"), server::TOKEN),
    );
    let error = world.revoke().await.unwrap_err();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }),
        "{error}"
    );
    assert_eq!(world.members().await, [world.ada.as_str()]);
    world.provider = right;
    world.revoke().await.unwrap();
    assert_eq!(world.members().await, [""; 0]);
}
