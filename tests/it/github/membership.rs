//! Team membership against the stand-in.

use crate::contract::order;
use hallpass::domain::model::{Access, Account, ConnectionName, Login};
use hallpass::providers::github_team::{GithubTeam, PERMISSIONS};
use hallpass::providers::{Provider, ProviderError};
use hallpass::sandbox::{Down, Membership, When};
use serde_json::json;

use super::approved::approved;
use super::standin::World;

fn provider(world: &World) -> GithubTeam {
    let organisation = Login::new("acme").unwrap();
    let api = world
        .github
        .client_for_organisation(&organisation, None, PERMISSIONS);
    GithubTeam::new(ConnectionName::new("teams").unwrap(), organisation, api)
}

fn access(world: &World, login: &'static str) -> Access {
    Access {
        connection: ConnectionName::new("teams").unwrap(),
        account: Account {
            name: login.to_owned(),
            github_id: world.ids.get(login).copied(),
            id: None,
        },
        entitlement: json!({ "team": "oncall" }),
        entitlement_id: None,
    }
}

async fn holders(provider: &GithubTeam) -> Vec<(String, bool)> {
    holders_of(provider, "member").await
}

async fn holders_of(provider: &GithubTeam, role: &str) -> Vec<(String, bool)> {
    let entitlement = json!({ "team": "oncall", "role": role });
    let holders = provider.holders(&entitlement).await.unwrap();
    holders
        .into_iter()
        .map(|holder| (holder.name, holder.pending))
        .collect()
}

#[tokio::test]
async fn a_team_without_a_permission_for_it_refuses() {
    let world = World::new().await;
    world.sandbox.team("oncall", &["octocat"]);
    world.sandbox.app_permission(7, "members", Some("read"));
    let error = provider(&world)
        .revoke(&access(&world, "octocat"), &order())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ProviderError::Refused { reason, .. } if reason.contains("members: write")),
        "{error}"
    );
}

#[tokio::test]
async fn taking_membership_twice_is_taking_it_once() {
    let world = World::new().await;
    world.sandbox.team("oncall", &["octocat", "grace"]);
    let teams = provider(&world);
    for _ in 0..2 {
        let revoked = teams
            .revoke(&access(&world, "octocat"), &order())
            .await
            .unwrap();
        assert_eq!(revoked.read_back, "@octocat is no member of acme/oncall");
        assert!(revoked.still_effective_through.is_empty());
    }
    assert_eq!(holders(&teams).await, [("grace".to_owned(), false)]);
}

#[tokio::test]
async fn an_invitation_is_pending_and_is_taken_back() {
    let mut world = World::new().await;
    world.sandbox.team("oncall", &[]);
    let hubot = world.sandbox.user("hubot");
    world.ids.insert("hubot", hubot);
    assert_eq!(
        world.sandbox.join_team("hubot", "oncall"),
        Membership::Pending
    );
    let teams = provider(&world);
    assert_eq!(holders(&teams).await, [("hubot".to_owned(), true)]);
    teams
        .revoke(&access(&world, "hubot"), &order())
        .await
        .unwrap();
    assert_eq!(holders(&teams).await, []);
}

#[tokio::test]
async fn a_login_that_changed_hands_costs_its_new_owner_nothing() {
    let world = World::new().await;
    world.sandbox.team("oncall", &["octocat"]);
    world.sandbox.rename_user("octocat", "monalisa");
    world.sandbox.member("octocat");
    world.sandbox.join_team("octocat", "oncall");
    let teams = provider(&world);
    teams
        .revoke(&access(&world, "octocat"), &order())
        .await
        .unwrap();
    assert_eq!(holders(&teams).await, [("octocat".to_owned(), false)]);
}

#[tokio::test]
async fn membership_through_a_child_team_is_told() {
    let world = World::new().await;
    world.sandbox.team("oncall", &["octocat"]);
    world.sandbox.child_team("oncall", "night", &["octocat"]);
    let revoked = provider(&world)
        .revoke(&access(&world, "octocat"), &order())
        .await
        .unwrap();
    assert_eq!(
        revoked.still_effective_through,
        ["membership of the child team acme/night"]
    );
}

#[tokio::test]
async fn a_forge_that_is_away_takes_nothing_yet() {
    let world = World::new().await;
    world.sandbox.team("oncall", &["octocat"]);
    let teams = provider(&world);
    world.sandbox.down(Down::Refused);
    let error = teams
        .revoke(&access(&world, "octocat"), &order())
        .await
        .unwrap_err();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }),
        "{error}"
    );
    world.sandbox.down(Down::No);
    teams
        .revoke(&access(&world, "octocat"), &order())
        .await
        .unwrap();
}

#[tokio::test]
async fn giving_membership_twice_is_giving_it_once() {
    let world = World::new().await;
    world.sandbox.team("oncall", &[]);
    let teams = provider(&world);
    for _ in 0..2 {
        let granted = teams
            .grant(
                &approved("octocat", world.ids["octocat"], "member"),
                &order(),
            )
            .await
            .unwrap();
        assert_eq!(granted.read_back, "@octocat is a member of acme/oncall");
        assert_eq!(granted.pending, None);
    }
    assert_eq!(
        world.sandbox.team_members("oncall"),
        [("octocat".to_owned(), Membership::Active)]
    );
    let granted = teams
        .grant(
            &approved("mallory", world.ids["mallory"], "maintainer"),
            &order(),
        )
        .await
        .unwrap();
    assert_eq!(granted.read_back, "@mallory is a maintainer of acme/oncall");
}

#[tokio::test]
async fn a_member_by_hand_is_not_made_a_maintainer_and_stays_a_member() {
    let world = World::new().await;
    world.sandbox.team("oncall", &["octocat"]);
    let teams = provider(&world);
    let asked = approved("octocat", world.ids["octocat"], "maintainer");
    let error = teams.grant(&asked, &order()).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Refused { reason, .. } if reason.contains("a member of acme/oncall already")),
        "{error}"
    );
    assert_eq!(holders(&teams).await, [("octocat".to_owned(), false)]);
    // What was never given ends too.
    let mut access = access(&world, "octocat");
    access.entitlement = json!({ "team": "oncall", "role": "maintainer" });
    let revoked = teams.revoke(&access, &order()).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
    assert_eq!(holders(&teams).await, [("octocat".to_owned(), false)]);

    // Once the place has ended, there is one of the other role; and that is given twice as once.
    world.sandbox.leave_team("octocat", "oncall");
    for _ in 0..2 {
        teams.grant(&asked, &order()).await.unwrap();
    }
    let member = approved("octocat", world.ids["octocat"], "member");
    let error = teams.grant(&member, &order()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_maintainer_is_no_holder_of_membership_nor_whoever_is_to_be_one() {
    let mut world = World::new().await;
    world.sandbox.team("oncall", &["grace"]);
    let hubot = world.sandbox.user("hubot");
    world.ids.insert("hubot", hubot);
    let teams = provider(&world);
    for login in ["mallory", "hubot"] {
        let asked = approved(login, world.ids[login], "maintainer");
        teams.grant(&asked, &order()).await.unwrap();
    }
    assert_eq!(holders(&teams).await, [("grace".to_owned(), false)]);
    assert_eq!(
        holders_of(&teams, "maintainer").await,
        [("mallory".to_owned(), false), ("hubot".to_owned(), true)]
    );
}

#[tokio::test]
async fn an_owner_of_the_organisation_is_given_the_role_of_a_maintainer_only() {
    let world = World::new().await;
    world.sandbox.team("oncall", &[]);
    world.sandbox.owner("octocat");
    let teams = provider(&world);
    let asked = |role| approved("octocat", world.ids["octocat"], role);
    let error = teams.grant(&asked("member"), &order()).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Refused { reason, .. } if reason.contains("ask for the role `maintainer`")),
        "{error}"
    );
    assert_eq!(world.sandbox.team_members("oncall"), []);
    let asked = asked("maintainer");
    let granted = teams.grant(&asked, &order()).await.unwrap();
    assert_eq!(granted.read_back, "@octocat is a maintainer of acme/oncall");
}

#[tokio::test]
async fn an_outsider_is_invited_and_told_to_accept() {
    let mut world = World::new().await;
    world.sandbox.team("oncall", &[]);
    let hubot = world.sandbox.user("hubot");
    world.ids.insert("hubot", hubot);
    let teams = provider(&world);
    let granted = teams
        .grant(&approved("hubot", hubot, "member"), &order())
        .await
        .unwrap();
    assert!(
        granted
            .pending
            .unwrap()
            .contains("must accept the invitation")
    );
    teams
        .revoke(&access(&world, "hubot"), &order())
        .await
        .unwrap();
    assert_eq!(world.sandbox.team_members("oncall"), []);
}

#[tokio::test]
async fn a_login_that_somebody_else_took_over_gets_nothing() {
    let world = World::new().await;
    world.sandbox.team("oncall", &[]);
    let teams = provider(&world);
    let asked = approved("octocat", world.ids["octocat"], "member");

    world.sandbox.rename_user("octocat", "monalisa");
    let error = teams.grant(&asked, &order()).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::UnknownSubject { reason, .. } if reason.contains("renamed")),
        "{error}"
    );

    world.sandbox.member("octocat");
    let error = teams.grant(&asked, &order()).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::UnknownSubject { reason, .. } if reason.contains("belongs to")),
        "{error}"
    );
    assert_eq!(world.sandbox.team_members("oncall"), []);
}

#[tokio::test]
async fn a_team_that_is_gone_refuses_and_is_named() {
    let world = World::new().await;
    let error = provider(&world)
        .grant(
            &approved("octocat", world.ids["octocat"], "member"),
            &order(),
        )
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ProviderError::Refused { reason, .. } if reason.contains("no team acme/oncall")),
        "{error}"
    );
}

#[tokio::test]
async fn an_effect_whose_answer_was_lost_is_found_by_giving_again() {
    let world = World::new().await;
    world.sandbox.team("oncall", &[]);
    let teams = provider(&world);
    let asked = approved("octocat", world.ids["octocat"], "member");
    let operation = "PUT /orgs/{org}/teams/{team_slug}/memberships/{username}";
    world
        .sandbox
        .fail_next(Some(operation), 1, 502, When::After);
    assert!(matches!(
        teams.grant(&asked, &order()).await,
        Err(ProviderError::Unavailable { .. })
    ));
    teams.grant(&asked, &order()).await.unwrap();
    assert_eq!(
        world.sandbox.team_members("oncall"),
        [("octocat".to_owned(), Membership::Active)]
    );
}
