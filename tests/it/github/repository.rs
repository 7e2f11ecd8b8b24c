//! Roles in repositories, and in the organisation, against the stand-in.

use std::sync::Arc;

use hallpass::domain::model::{Access, Account, Login};
use hallpass::providers::github_organization_role::{self, GithubOrganizationRole};
use hallpass::providers::github_repository::{self, GithubRepository};
use hallpass::providers::{Provider, ProviderError};
use hallpass::sandbox::Permission;
use serde_json::{Value, json};

use super::standin::World;
use crate::contract::approved::approved;
use crate::contract::{connection, order};

async fn world() -> World {
    let mut world = World::new().await;
    world.sandbox.base_permission(None);
    world
        .sandbox
        .app_permission(7, "administration", Some("write"));
    let roles = "organization_custom_org_roles";
    world.sandbox.app_permission(7, roles, Some("read"));
    let hubot = world.sandbox.user("hubot");
    world.ids.insert("hubot", hubot);
    world
}

fn repositories(world: &World) -> Arc<dyn Provider> {
    let organisation = Login::new("acme").unwrap();
    let permissions = github_repository::PERMISSIONS;
    let api = world
        .github
        .client_for_organisation(&organisation, None, permissions);
    Arc::new(GithubRepository::new(connection(), organisation, api))
}

fn roles(world: &World) -> Arc<dyn Provider> {
    let organisation = Login::new("acme").unwrap();
    let permissions = github_organization_role::PERMISSIONS;
    let api = world
        .github
        .client_for_organisation(&organisation, None, permissions);
    Arc::new(GithubOrganizationRole::new(connection(), organisation, api))
}

fn access(world: &World, login: &'static str, entitlement: Value) -> Access {
    Access {
        connection: connection(),
        account: Account {
            name: login.to_owned(),
            github_id: world.ids.get(login).copied(),
            id: None,
        },
        entitlement,
        entitlement_id: None,
    }
}

fn may(role: &str) -> Value {
    json!({ "repository": "access", "role": role })
}

#[tokio::test]
async fn somebody_from_outside_is_invited_and_the_invitation_is_taken_back() {
    let world = world().await;
    let (provider, wanted) = (repositories(&world), access(&world, "hubot", may("write")));
    for _ in 0..2 {
        let granted = provider.grant(&approved(&wanted), &order()).await.unwrap();
        assert!(granted.pending.unwrap().contains("acme/access/invitations"));
        assert_eq!(world.sandbox.invited("access"), ["hubot"]);
    }
    let held = provider.holders(&wanted.entitlement).await.unwrap();
    assert!(held[0].pending && held[0].name == "hubot", "{held:?}");
    provider.revoke(&wanted, &order()).await.unwrap();
    assert_eq!(world.sandbox.invited("access"), [""; 0]);
}

#[tokio::test]
async fn what_was_accepted_is_a_role_and_ends_as_one() {
    let world = world().await;
    let (provider, wanted) = (
        repositories(&world),
        access(&world, "hubot", may("maintain")),
    );
    provider.grant(&approved(&wanted), &order()).await.unwrap();
    world.sandbox.accept_invitation("hubot", "access");
    let granted = provider.grant(&approved(&wanted), &order()).await.unwrap();
    assert_eq!(granted.pending, None);
    assert_eq!(
        world.sandbox.collaborates("access", "hubot"),
        Some(Permission::Maintain)
    );
    provider.revoke(&wanted, &order()).await.unwrap();
    assert_eq!(world.sandbox.collaborates("access", "hubot"), None);
}

#[tokio::test]
async fn a_role_that_somebody_has_is_never_changed_into_another() {
    let world = world().await;
    world
        .sandbox
        .collaborator("access", "octocat", Some(Permission::Pull));
    let provider = repositories(&world);
    let wanted = access(&world, "octocat", may("admin"));
    let error = provider
        .grant(&approved(&wanted), &order())
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("\"read\""), "{error}");
    assert_eq!(
        world.sandbox.collaborates("access", "octocat"),
        Some(Permission::Pull)
    );
}

#[tokio::test]
async fn a_role_given_by_hand_in_the_place_of_ours_is_named_and_not_touched() {
    let world = world().await;
    let (provider, wanted) = (repositories(&world), access(&world, "octocat", may("read")));
    provider.grant(&approved(&wanted), &order()).await.unwrap();
    world
        .sandbox
        .collaborator("access", "octocat", Some(Permission::Admin));
    let revoked = provider.revoke(&wanted, &order()).await.unwrap();
    let through = &revoked.still_effective_through;
    assert!(
        through[0].contains("\"admin\" that somebody gave"),
        "{through:?}"
    );
    assert_eq!(
        world.sandbox.collaborates("access", "octocat"),
        Some(Permission::Admin)
    );
}

#[tokio::test]
async fn what_remains_by_a_team_or_by_the_organisation_is_named() {
    let world = world().await;
    let (provider, wanted) = (repositories(&world), access(&world, "grace", may("write")));
    provider.grant(&approved(&wanted), &order()).await.unwrap();
    // The team `dba` of grace may write there.
    let revoked = provider.revoke(&wanted, &order()).await.unwrap();
    assert_eq!(
        revoked.still_effective_through,
        ["membership of the team acme/dba"]
    );
    world.sandbox.leave_team("grace", "dba");
    world.sandbox.base_permission(Some(Permission::Push));
    let revoked = provider.revoke(&wanted, &order()).await.unwrap();
    let through = &revoked.still_effective_through;
    assert!(through[0].contains("base permission"), "{through:?}");
    // What is less than was given is no remainder.
    world.sandbox.base_permission(Some(Permission::Pull));
    let revoked = provider.revoke(&wanted, &order()).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

#[tokio::test]
async fn the_last_administrator_of_a_repository_stays() {
    let world = world().await;
    let (provider, wanted) = (
        repositories(&world),
        access(&world, "octocat", may("admin")),
    );
    provider.grant(&approved(&wanted), &order()).await.unwrap();
    let error = provider.revoke(&wanted, &order()).await.unwrap_err();
    assert!(error.to_string().contains("last administrator"), "{error}");
    world
        .sandbox
        .collaborator("access", "grace", Some(Permission::Admin));
    provider.revoke(&wanted, &order()).await.unwrap();
    assert_eq!(world.sandbox.collaborates("access", "octocat"), None);
}

#[tokio::test]
async fn a_role_by_a_team_is_named_when_a_person_loses_it() {
    let world = world().await;
    world.sandbox.organisation_role("all_repo_read");
    world.sandbox.give_role_to_team("all_repo_read", "dba");
    let entitlement = json!({ "role": "all_repo_read" });
    let (provider, wanted) = (roles(&world), access(&world, "grace", entitlement.clone()));
    assert_eq!(provider.holders(&entitlement).await.unwrap(), []);
    provider.grant(&approved(&wanted), &order()).await.unwrap();
    assert!(world.sandbox.has_role("all_repo_read", "grace"));
    let revoked = provider.revoke(&wanted, &order()).await.unwrap();
    assert_eq!(
        revoked.still_effective_through,
        ["membership of the team acme/dba"]
    );
    assert!(!world.sandbox.has_role("all_repo_read", "grace"));
}

#[tokio::test]
async fn only_members_have_a_role_in_the_organisation() {
    let world = world().await;
    world.sandbox.organisation_role("auditor");
    let (provider, wanted) = (
        roles(&world),
        access(&world, "hubot", json!({ "role": "auditor" })),
    );
    let error = provider
        .grant(&approved(&wanted), &order())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("a member of the organisation?"),
        "{error}"
    );
}

#[tokio::test]
async fn a_login_that_somebody_else_took_over_gets_no_role() {
    let world = world().await;
    world.sandbox.organisation_role("auditor");
    let both = [
        (repositories(&world), may("write")),
        (roles(&world), json!({ "role": "auditor" })),
    ];
    world.sandbox.rename_user("octocat", "octocat-old");
    world.sandbox.member("octocat");
    for (provider, entitlement) in both {
        let wanted = access(&world, "octocat", entitlement);
        let error = provider
            .grant(&approved(&wanted), &order())
            .await
            .unwrap_err();
        assert!(
            matches!(error, ProviderError::UnknownSubject { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_entitlement_of_another_shape_asks_nobody() {
    let world = world().await;
    let provider = repositories(&world);
    for odd in [
        json!({ "repository": "..", "role": "write" }),
        json!({ "repository": "a/b", "role": "write" }),
        json!({ "repository": "access", "role": "" }),
        json!({ "repository": "access" }),
    ] {
        provider.holders(&odd).await.unwrap_err();
        let schema: Value = serde_json::from_str(provider.kind().entitlement).unwrap();
        assert!(!jsonschema::is_valid(&schema, &odd), "{odd}");
    }
}
