//! What has a name is not always what had it: repositories, teams and roles that were renamed, swapped, hidden or lowered, and logins
//! that changed hands.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::ledger::Revoked;
use hallpass::domain::model::{Access, Account, Login, UserId};
use hallpass::providers::github_deployment::{self, GithubDeployment};
use hallpass::providers::github_organization_role::{self, GithubOrganizationRole};
use hallpass::providers::github_repository::{self, GithubRepository};
use hallpass::providers::github_team::{self, GithubTeam};
use hallpass::providers::{Provider, ProviderError};
use hallpass::sandbox::{Membership, Permission, When};
use serde_json::{Value, json};

use super::scripted::{Asked, Scripted, said, user};
use super::standin::World;
use crate::contract::approved::approved;
use crate::contract::{connection, order};

async fn world() -> World {
    let world = World::new().await;
    world.sandbox.base_permission(None);
    for (name, level) in [
        ("administration", "write"),
        ("organization_custom_org_roles", "read"),
        ("actions", "read"),
        ("deployments", "write"),
    ] {
        world.sandbox.app_permission(7, name, Some(level));
    }
    world
}

fn provider(world: &World, kind: &str) -> Arc<dyn Provider> {
    let organisation = Login::new("acme").unwrap();
    let client = |permissions| {
        world
            .github
            .client_for_organisation(&organisation, None, permissions)
    };
    let (name, org) = (connection(), organisation.clone());
    match kind {
        "repository" => Arc::new(GithubRepository::new(
            name,
            org,
            client(github_repository::PERMISSIONS),
        )),
        "team" => Arc::new(GithubTeam::new(name, org, client(github_team::PERMISSIONS))),
        "role" => Arc::new(GithubOrganizationRole::new(
            name,
            org,
            client(github_organization_role::PERMISSIONS),
        )),
        _ => Arc::new(GithubDeployment::new(
            name,
            org,
            client(github_deployment::PERMISSIONS),
        )),
    }
}

fn access(world: &World, login: &str, entitlement: Value) -> Access {
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

fn may(repository: &str, role: &str) -> Value {
    json!({ "repository": repository, "role": role })
}

/// Gives it, and tells it with the numbers that GitHub told.
async fn given(provider: &Arc<dyn Provider>, mut access: Access) -> Access {
    let granted = provider.grant(&approved(&access), &order()).await.unwrap();
    access.account.id = granted.account_id;
    access.entitlement_id = granted.entitlement_id;
    assert!(access.account.id.is_some() && access.entitlement_id.is_some());
    access
}

/// What a person is told to do.
fn refusal(outcome: Result<impl std::fmt::Debug, ProviderError>) -> String {
    match outcome {
        Err(ProviderError::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_role_that_was_lowered_in_the_place_of_ours_is_named_and_not_called_removed() {
    let world = world().await;
    world
        .sandbox
        .collaborator("access", "grace", Some(Permission::Admin));
    let provider = provider(&world, "repository");
    let wanted = access(&world, "octocat", may("access", "admin"));
    let wanted = given(&provider, wanted).await;
    for (left, named) in [
        (Permission::Maintain, "maintain"),
        (Permission::Push, "write"),
        (Permission::Pull, "read"),
    ] {
        world.sandbox.collaborator("access", "octocat", Some(left));
        let revoked = provider.revoke(&wanted, &order()).await.unwrap();
        let through = revoked.still_effective_through;
        assert!(
            through.len() == 1 && through[0].contains(&format!("{named:?} that somebody gave")),
            "{through:?}"
        );
        assert_eq!(world.sandbox.collaborates("access", "octocat"), Some(left));
    }
    // Once a person has decided, it is over.
    world.sandbox.collaborator("access", "octocat", None);
    let revoked = provider.revoke(&wanted, &order()).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

/// What taking octocat's (account 1) role `role` in acme/access (repository 5) away comes to, with these lists of direct collaborators and
/// of invitations, which nothing changes.
async fn revoked_with(role: &str, direct: Value, invited: Value) -> Revoked {
    let repository = json!({ "id": 5, "full_name": "acme/access", "owner": user(9, "acme") });
    let server = Scripted::new(move |asked: &Asked| {
        let call = asked.call.split('?').next().unwrap();
        let call = call.replace("/repos/acme/access", "/repositories/5");
        let body = match call.as_str() {
            "GET /repositories/5" => repository.clone(),
            "GET /user/1" => user(1, "octocat"),
            "GET /repositories/5/collaborators" => direct.clone(),
            "GET /repositories/5/invitations" => invited.clone(),
            "GET /repositories/5/teams" => json!([]),
            "GET /repositories/5/collaborators/octocat/permission" => {
                json!({ "role_name": "none", "user": user(1, "octocat") })
            }
            _ => return None,
        };
        Some(said(200, &body))
    })
    .await;
    let organisation = Login::new("acme").unwrap();
    let api = server.github().client_for_organisation(
        &organisation,
        Some(70),
        github_repository::PERMISSIONS,
    );
    let provider = GithubRepository::new(connection(), organisation, api);
    let access = Access {
        connection: connection(),
        account: Account {
            name: "octocat".to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        },
        entitlement: may("access", role),
        entitlement_id: None,
    };
    let revoked = provider.revoke(&access, &order()).await.unwrap();
    let changed = server.calls();
    assert!(
        !changed.iter().any(|call| call.starts_with("DELETE")),
        "{changed:?}"
    );
    revoked
}

#[tokio::test]
async fn a_role_of_the_organisations_own_in_the_place_of_ours_is_named() {
    for given in ["admin", "releaser"] {
        let direct = json!([{ "id": 1, "login": "octocat", "role_name": "auditor" }]);
        let revoked = revoked_with(given, direct, json!([])).await;
        let through = &revoked.still_effective_through;
        assert!(
            through[0].contains("\"auditor\" that somebody"),
            "{given}: {through:?}"
        );
    }
}

#[tokio::test]
async fn an_invitation_in_the_place_of_ours_is_named_while_it_can_be_accepted() {
    let invited = |expired: bool| {
        let invitee = user(1, "octocat");
        json!([{ "id": 8, "invitee": invitee, "permissions": "read", "expired": expired }])
    };
    let revoked = revoked_with("write", json!([]), invited(false)).await;
    let through = &revoked.still_effective_through;
    assert!(
        through[0].contains("an invitation to the role \"read\""),
        "{through:?}"
    );
    let revoked = revoked_with("write", json!([]), invited(true)).await;
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

#[tokio::test]
async fn a_login_in_a_list_that_belongs_to_somebody_else_is_not_them() {
    let direct = json!([{ "id": 2, "login": "octocat", "role_name": "write" }]);
    let invited = json!([{ "id": 8, "invitee": user(2, "octocat"), "permissions": "write" }]);
    let revoked = revoked_with("write", direct, invited).await;
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

#[tokio::test]
async fn a_repository_that_the_app_no_longer_sees_is_not_gone() {
    let world = world().await;
    let provider = provider(&world, "repository");
    let wanted = access(&world, "octocat", may("access", "write"));
    let known = given(&provider, wanted.clone()).await;
    world.sandbox.installation_sees(70, Some(&[]));
    for access in [&wanted, &known] {
        let reason = refusal(provider.revoke(access, &order()).await);
        assert!(reason.contains("all repositories"), "{reason}");
    }
    world.sandbox.installation_sees(70, None);
    provider.revoke(&known, &order()).await.unwrap();
    assert_eq!(world.sandbox.collaborates("access", "octocat"), None);
    // What is not among all repositories is gone.
    let gone = Access {
        entitlement_id: Some("999999".to_owned()),
        entitlement: may("nowhere", "write"),
        ..known
    };
    let revoked = provider.revoke(&gone, &order()).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
    let odd = Access {
        entitlement_id: Some("access".to_owned()),
        ..gone
    };
    refusal(provider.revoke(&odd, &order()).await);
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_found_by_its_number_only() {
    let world = world().await;
    let provider = provider(&world, "repository");
    let wanted = access(&world, "octocat", may("access", "write"));
    let known = given(&provider, wanted.clone()).await;
    world.sandbox.rename_repository("access", "entry").unwrap();
    let reason = refusal(provider.revoke(&wanted, &order()).await);
    assert!(reason.contains("renamed"), "{reason}");
    assert!(world.sandbox.collaborates("entry", "octocat").is_some());
    let revoked = provider.revoke(&known, &order()).await.unwrap();
    assert!(revoked.read_back.contains("acme/entry"), "{revoked:?}");
    assert_eq!(world.sandbox.collaborates("entry", "octocat"), None);
}

/// Gives it, gives its name to another, and asks for it to go on: the other gets nothing.
async fn goes_on_nowhere_else(
    world: &World,
    kind: &str,
    entitlement: Value,
    swap: impl FnOnce(),
    holds: impl Fn() -> bool,
) {
    let provider = provider(world, kind);
    let known = given(&provider, access(world, "octocat", entitlement)).await;
    provider.grant(&approved(&known), &order()).await.unwrap();
    swap();
    let reason = refusal(provider.grant(&approved(&known), &order()).await);
    assert!(reason.contains("cannot go on"), "{reason}");
    assert!(!holds());
}

#[tokio::test]
async fn what_is_held_does_not_go_on_in_another_repository_of_the_name() {
    let world = world().await;
    let sandbox = &world.sandbox;
    let swap = || {
        sandbox.rename_repository("access", "entry").unwrap();
        sandbox
            .repository("access", &[("README.md", "New\n")])
            .unwrap();
    };
    let holds = || sandbox.collaborates("access", "octocat").is_some();
    goes_on_nowhere_else(&world, "repository", may("access", "write"), swap, holds).await;
}

#[tokio::test]
async fn what_is_held_does_not_go_on_in_another_team_of_the_name() {
    let world = world().await;
    let sandbox = &world.sandbox;
    sandbox.team("oncall", &[]);
    let swap = || {
        sandbox.rename_team("oncall", "duty");
        sandbox.team("oncall", &[]);
    };
    let holds = || !sandbox.team_members("oncall").is_empty();
    goes_on_nowhere_else(&world, "team", json!({ "team": "oncall" }), swap, holds).await;
}

#[tokio::test]
async fn what_is_held_does_not_go_on_as_another_role_of_the_name() {
    let world = world().await;
    let sandbox = &world.sandbox;
    sandbox.organisation_role("auditor");
    let swap = || {
        sandbox.rename_organisation_role("auditor", "reader");
        sandbox.organisation_role("auditor");
    };
    let holds = || sandbox.has_role("auditor", "octocat");
    goes_on_nowhere_else(&world, "role", json!({ "role": "auditor" }), swap, holds).await;
}

#[tokio::test]
async fn deploying_does_not_go_on_to_another_environment_of_the_name() {
    let world = world().await;
    let sandbox = &world.sandbox;
    let protected = || {
        sandbox.environment("access", "production");
        sandbox.protect("access", "production", 7, true);
    };
    protected();
    let swap = || {
        sandbox.rename_repository("access", "entry").unwrap();
        sandbox
            .repository("access", &[("README.md", "New\n")])
            .unwrap();
        protected();
    };
    let entitlement = json!({ "repository": "acme/access", "environment": "production" });
    goes_on_nowhere_else(&world, "deployment", entitlement, swap, || false).await;
}

#[tokio::test]
async fn the_number_that_a_grant_was_given_to_counts_whatever_access_says_by_now() {
    let world = world().await;
    world.sandbox.team("oncall", &[]);
    world.sandbox.organisation_role("auditor");
    for (kind, entitlement) in [
        ("team", json!({ "team": "oncall" })),
        ("role", json!({ "role": "auditor" })),
        ("repository", may("access", "write")),
    ] {
        let provider = provider(&world, kind);
        let mut known = given(&provider, access(&world, "octocat", entitlement)).await;
        known.account.github_id = world.ids.get("mallory").copied();
        known.account.name = "mallory".to_owned();
        let error = provider.grant(&approved(&known), &order()).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, ProviderError::UnknownSubject { .. }),
            "{kind}: {error}"
        );
        provider.revoke(&known, &order()).await.unwrap();
        let holders = provider.holders(&known.entitlement).await.unwrap();
        assert_eq!(holders, [], "{kind}");
    }
}

#[tokio::test]
async fn an_account_that_github_hides_loses_what_it_has_all_the_same() {
    let world = world().await;
    world.sandbox.team("oncall", &[]);
    world.sandbox.organisation_role("auditor");
    for (kind, entitlement) in [
        ("team", json!({ "team": "oncall" })),
        ("role", json!({ "role": "auditor" })),
        ("repository", may("access", "write")),
    ] {
        let provider = provider(&world, kind);
        let known = given(&provider, access(&world, "octocat", entitlement)).await;
        let hidden = "GET /user/{account_id}";
        world.sandbox.fail_next(Some(hidden), 2, 404, When::Before);
        provider.revoke(&known, &order()).await.unwrap();
        world.sandbox.heal();
        let holders = provider.holders(&known.entitlement).await.unwrap();
        assert_eq!(holders, [], "{kind}");
    }
}

#[tokio::test]
async fn an_invitation_to_a_team_of_an_account_that_github_hides_is_named() {
    let mut world = world().await;
    let hubot = world.sandbox.user("hubot");
    world.ids.insert("hubot", hubot);
    world.sandbox.team("oncall", &[]);
    let provider = provider(&world, "team");
    let wanted = access(&world, "hubot", json!({ "team": "oncall" }));
    let known = given(&provider, wanted).await;
    let hidden = "GET /user/{account_id}";
    world.sandbox.fail_next(Some(hidden), 2, 404, When::Before);
    let revoked = provider.revoke(&known, &order()).await.unwrap();
    let through = &revoked.still_effective_through;
    assert!(through[0].contains("invitation of @hubot"), "{through:?}");
    world.sandbox.heal();
    let revoked = provider.revoke(&known, &order()).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
    assert_eq!(world.sandbox.team_members("oncall"), []);
}

#[tokio::test]
async fn roles_that_the_app_is_not_shown_are_not_gone() {
    let world = world().await;
    world.sandbox.organisation_role("auditor");
    let provider = provider(&world, "role");
    let wanted = access(&world, "octocat", json!({ "role": "auditor" }));
    let known = given(&provider, wanted).await;
    let roles = "GET /orgs/{org}/organization-roles";
    world.sandbox.fail_next(Some(roles), 1, 404, When::Before);
    refusal(provider.revoke(&known, &order()).await);
    assert!(world.sandbox.has_role("auditor", "octocat"));
    provider.revoke(&known, &order()).await.unwrap();
    assert!(!world.sandbox.has_role("auditor", "octocat"));
}

#[tokio::test]
async fn of_the_last_two_administrators_who_are_removed_at_once_one_stays() {
    let world = world().await;
    let provider = provider(&world, "repository");
    let mut both = Vec::new();
    for login in ["octocat", "mallory"] {
        let wanted = access(&world, login, may("access", "admin"));
        both.push(given(&provider, wanted).await);
    }
    // So that each asks who else there is before the other is removed, if nothing keeps them apart.
    world.sandbox.latency(Duration::from_millis(20));
    let order = order();
    let (one, other) = tokio::join!(
        provider.revoke(&both[0], &order),
        provider.revoke(&both[1], &order)
    );
    let left = ["octocat", "mallory"].map(|l| world.sandbox.collaborates("access", l).is_some());
    assert_eq!(left.iter().filter(|has| **has).count(), 1, "{left:?}");
    assert!(one.is_ok() != other.is_ok());
    let reason = refusal(if one.is_ok() { other } else { one });
    assert!(reason.contains("last administrator"), "{reason}");
}

#[tokio::test]
async fn a_team_that_was_renamed_loses_its_member_and_the_one_that_has_its_slug_does_not() {
    let world = world().await;
    world.sandbox.team("oncall", &[]);
    let provider = provider(&world, "team");
    let wanted = access(&world, "octocat", json!({ "team": "oncall" }));
    let known = given(&provider, wanted).await;
    world.sandbox.rename_team("oncall", "duty");
    world.sandbox.team("oncall", &["octocat"]);
    let revoked = provider.revoke(&known, &order()).await.unwrap();
    assert!(revoked.read_back.contains("acme/duty"), "{revoked:?}");
    assert_eq!(world.sandbox.team_members("duty"), []);
    let members = world.sandbox.team_members("oncall");
    assert_eq!(members, [("octocat".to_owned(), Membership::Active)]);
}
