//! Team membership, where GitHub says what the stand-in never does.

use crate::contract::order;
use hallpass::domain::ledger::Revoked;
use hallpass::domain::model::{Access, Account, ConnectionName, Login, UserId};
use hallpass::providers::github_team::{GithubTeam, KIND, PERMISSIONS};
use hallpass::providers::{Provider, ProviderError};
use serde_json::{Value, json};

use super::scripted::{Asked, Scripted, said, user};

fn provider(server: &Scripted) -> GithubTeam {
    let organisation = Login::new("acme").unwrap();
    let api = server
        .github()
        .client_for_organisation(&organisation, Some(70), PERMISSIONS);
    GithubTeam::new(ConnectionName::new("teams").unwrap(), organisation, api)
}

/// `octocat`, account 1, in the team `oncall`.
fn access() -> Access {
    Access {
        connection: ConnectionName::new("teams").unwrap(),
        account: Account {
            name: "octocat".to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        },
        entitlement: json!({ "team": "oncall" }),
        entitlement_id: None,
    }
}

/// What taking the access away comes to, with these answers; account 1 is called `octocat-new` by now.
async fn revoked(
    answers: impl Fn(&str) -> Option<(u16, Value)> + Send + Sync + 'static,
) -> (Result<Revoked, ProviderError>, Vec<String>) {
    let server = Scripted::new(move |asked: &Asked| {
        let answer = answers(asked.call.split('?').next().unwrap());
        let answer =
            answer.or_else(|| (asked.call == "GET /user/1").then(|| (200, user(1, "octocat-new"))));
        answer.map(|(status, body)| said(status, &body))
    })
    .await;
    let outcome = provider(&server).revoke(&access(), &order()).await;
    (outcome, server.calls())
}

const MEMBERSHIP: &str = "/orgs/acme/teams/oncall/memberships/octocat-new";

#[tokio::test]
async fn a_renamed_account_loses_what_it_had_under_its_new_name() {
    let (outcome, calls) = revoked(|call| match call.split_once(' ') {
        Some(("DELETE", MEMBERSHIP)) => Some((204, Value::Null)),
        _ => None,
    })
    .await;
    assert_eq!(
        outcome.unwrap().read_back,
        "@octocat-new is no member of acme/oncall"
    );
    assert_eq!(
        calls,
        [
            "GET /user/1".to_owned(),
            format!("DELETE {MEMBERSHIP}"),
            format!("GET {MEMBERSHIP}")
        ]
    );
}

#[tokio::test]
async fn an_account_or_a_team_that_is_gone_counts_as_taken_away() {
    let (outcome, calls) = revoked(|call| (call == "GET /user/1").then(|| (404, json!({})))).await;
    assert!(outcome.unwrap().read_back.contains("no longer exists"));
    assert_eq!(calls.len(), 1);
    // Every question about the team is answered 404.
    let (outcome, _) = revoked(|_| None).await;
    assert_eq!(outcome.unwrap().still_effective_through, [""; 0]);
}

#[tokio::test]
async fn a_removal_without_effect_is_tried_again() {
    let (outcome, _) = revoked(|call| match call.split_once(' ') {
        Some(("DELETE", MEMBERSHIP)) => Some((204, Value::Null)),
        Some(("GET", MEMBERSHIP)) => Some((200, json!({ "state": "active", "role": "member" }))),
        Some(("GET", "/orgs/acme/teams/oncall/teams")) => Some((200, json!([]))),
        _ => None,
    })
    .await;
    assert!(
        matches!(outcome, Err(ProviderError::Unavailable { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn membership_that_stays_through_a_child_team_is_named() {
    let (outcome, _) = revoked(|call| match call.split_once(' ') {
        Some(("DELETE", MEMBERSHIP)) => Some((204, Value::Null)),
        Some(("GET", MEMBERSHIP | "/orgs/acme/teams/night/memberships/octocat-new")) => {
            Some((200, json!({ "state": "active", "role": "member" })))
        }
        Some(("GET", "/orgs/acme/teams/oncall/teams")) => {
            Some((200, json!([{ "slug": "day" }, { "slug": "night" }])))
        }
        _ => None,
    })
    .await;
    assert_eq!(
        outcome.unwrap().still_effective_through,
        ["membership of the child team acme/night"]
    );
}

#[tokio::test]
async fn a_team_that_an_identity_provider_keeps_refuses_in_githubs_words() {
    let (outcome, _) = revoked(|call| {
        let words = "This team's membership is synchronized with an identity provider";
        call.starts_with("DELETE")
            .then(|| (403, json!({ "message": words })))
    })
    .await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Refused { reason, .. } if reason.contains("identity provider")),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_loses_anything_by_login_alone() {
    let server = Scripted::new(|_| None).await;
    let mut unbound = access();
    unbound.account.github_id = None;
    let error = provider(&server)
        .revoke(&unbound, &order())
        .await
        .unwrap_err();
    assert!(
        matches!(error, ProviderError::UnknownSubject { .. }),
        "{error}"
    );
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn an_entitlement_of_another_shape_is_refused_and_nobody_is_asked() {
    let server = Scripted::new(|_| None).await;
    for odd in [
        json!({}),
        json!("oncall"),
        json!({ "team": "oncall", "rank": 1 }),
        json!({ "team": "oncall", "role": "owner" }),
        json!({ "team": "../admins" }),
        json!({ "team": "On Call" }),
    ] {
        let error = provider(&server).holders(&odd).await.unwrap_err();
        assert!(
            matches!(error, ProviderError::Refused { .. }),
            "{odd}: {error}"
        );
        let schema =
            jsonschema::validator_for(&serde_json::from_str(KIND.entitlement).unwrap()).unwrap();
        assert!(!schema.is_valid(&odd), "{odd}");
        assert!(schema.is_valid(&json!({ "team": "oncall", "role": "maintainer" })));
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn holders_are_direct_members_and_the_invited() {
    let server = Scripted::new(|asked| match asked.call.split('?').next().unwrap() {
        "GET /orgs/acme/teams/oncall/members" => {
            let mut child = user(3, "night");
            child["inherited"] = true.into();
            Some(said(200, &json!([user(1, "octocat"), child])))
        }
        "GET /orgs/acme/teams/oncall/invitations" => Some(said(
            200,
            &json!([{ "id": 5, "login": "hubot", "email": null }, { "id": 6, "login": null, "email": "new@acme.example" }]),
        )),
        _ => None,
    })
    .await;
    let holders = provider(&server)
        .holders(&json!({ "team": "oncall" }))
        .await
        .unwrap();
    let holders: Vec<_> = holders
        .iter()
        .map(|h| (h.name.as_str(), h.pending))
        .collect();
    assert_eq!(
        holders,
        [
            ("octocat", false),
            ("hubot", true),
            ("new@acme.example", true)
        ]
    );
}
