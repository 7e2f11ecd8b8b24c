//! Team membership, where GitHub says what the stand-in never does.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// What taking the access away comes to, with these answers; account 1 is called `octocat-new` by now, and the team is number 42 of the
/// organisation 9.
async fn revoked(
    answers: impl Fn(&str) -> Option<(u16, Value)> + Send + Sync + 'static,
) -> (Result<Revoked, ProviderError>, Vec<String>) {
    revoked_as(&access(), answers).await
}

async fn revoked_as(
    access: &Access,
    answers: impl Fn(&str) -> Option<(u16, Value)> + Send + Sync + 'static,
) -> (Result<Revoked, ProviderError>, Vec<String>) {
    let server = Scripted::new(move |asked: &Asked| {
        let call = asked.call.split('?').next().unwrap();
        let team = || json!({ "id": 42, "slug": "oncall", "organization": { "id": 9 } });
        let answer = answers(call).or_else(|| match call {
            "GET /user/1" => Some((200, user(1, "octocat-new"))),
            "GET /users/acme" => Some((200, user(9, "acme"))),
            "GET /orgs/acme/teams/oncall" => Some((200, team())),
            _ => None,
        });
        answer.map(|(status, body)| said(status, &body))
    })
    .await;
    let outcome = provider(&server).revoke(access, &order()).await;
    (outcome, server.calls())
}

const TEAM: &str = "/organizations/9/team/42";
const MEMBERSHIP: &str = "/organizations/9/team/42/memberships/octocat-new";

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
            "GET /orgs/acme/teams/oncall".to_owned(),
            "GET /user/1".to_owned(),
            format!("GET {MEMBERSHIP}"),
            format!("DELETE {MEMBERSHIP}"),
            format!("GET {MEMBERSHIP}"),
            "GET /user/1".to_owned()
        ]
    );
}

#[tokio::test]
async fn an_account_that_is_renamed_meanwhile_is_tried_again() {
    let asked = AtomicU64::new(0);
    let (outcome, _) = revoked(move |call| match call.split_once(' ') {
        Some(("DELETE", MEMBERSHIP)) => Some((404, json!({}))),
        Some(("GET", "/user/1")) if asked.fetch_add(1, Ordering::Relaxed) > 0 => {
            Some((200, user(1, "octocat-newer")))
        }
        _ => None,
    })
    .await;
    assert!(
        matches!(outcome, Err(ProviderError::Unavailable { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_account_is_gone_when_the_team_does_not_list_it_either() {
    let listed = |invited: Value| {
        revoked(move |call| match call.split_once(' ') {
            Some(("GET", "/user/1")) => Some((404, json!({}))),
            Some(("GET", "/organizations/9/team/42/members")) => Some((200, json!([]))),
            Some(("GET", "/organizations/9/team/42/invitations")) => Some((200, invited.clone())),
            _ => None,
        })
    };
    let revoked = listed(json!([])).await.0.unwrap();
    assert!(revoked.read_back.contains("no longer exists"));
    assert_eq!(revoked.still_effective_through, [""; 0]);
    let invited = json!([{ "id": 1, "login": "Octocat", "email": null }]);
    let revoked = listed(invited).await.0.unwrap();
    assert_eq!(
        revoked.still_effective_through,
        ["the invitation of @octocat to acme/oncall"]
    );
}

#[tokio::test]
async fn a_team_is_gone_when_the_list_of_all_teams_does_not_name_it() {
    let mut known = access();
    known.entitlement_id = Some("42".to_owned());
    for (access, way) in [(access(), "/orgs/acme/teams/oncall"), (known, TEAM)] {
        let listed = |status: u16, teams: Value| {
            let answers = move |call: &str| match call.split_once(' ') {
                Some(("GET", here)) if here == way => Some((404, json!({}))),
                Some(("GET", "/orgs/acme/teams")) => Some((status, teams.clone())),
                _ => None,
            };
            revoked_as(&access, answers)
        };
        let other = json!([{ "id": 41, "slug": "dba" }]);
        let gone = listed(200, other).await.0.unwrap();
        assert_eq!(gone.still_effective_through, [""; 0]);
        // Hidden, or not told at all.
        let same = json!([{ "id": 41, "slug": "dba" }, { "id": 42, "slug": "oncall" }]);
        for (status, teams) in [(200, same), (404, json!({})), (403, json!({}))] {
            let (outcome, calls) = listed(status, teams).await;
            assert!(
                matches!(outcome, Err(ProviderError::Refused { .. })),
                "{way} {status}: {outcome:?}"
            );
            assert!(!calls.iter().any(|call| call.starts_with("DELETE")));
        }
    }
}

#[tokio::test]
async fn a_place_of_another_role_is_taken_away_only_where_ours_was_given() {
    let answers = |role: &'static str, inherited: bool| {
        move |call: &str| match call.split_once(' ') {
            Some(("GET", TEAM)) => {
                let organisation = json!({ "id": 9 });
                let team = json!({ "id": 42, "slug": "oncall", "organization": organisation });
                Some((200, team))
            }
            Some(("GET", MEMBERSHIP)) => Some((200, json!({ "state": "active", "role": role }))),
            Some(("GET", "/organizations/9/team/42/members")) => {
                let mut member = user(1, "octocat-new");
                member["inherited"] = inherited.into();
                Some((200, json!([member])))
            }
            Some(("GET", "/organizations/9/team/42/teams")) => Some((200, json!([]))),
            Some(("DELETE", MEMBERSHIP)) => Some((204, Value::Null)),
            _ => None,
        }
    };
    let removed = |calls: &[String]| calls.iter().any(|call| call.starts_with("DELETE"));
    for (ours, theirs, left) in [("member", "maintainer", 1), ("maintainer", "member", 0)] {
        let mut access = access();
        access.entitlement = json!({ "team": "oncall", "role": ours });
        let (outcome, calls) = revoked_as(&access, answers(theirs, false)).await;
        let through = outcome.unwrap().still_effective_through;
        assert_eq!(through.len(), left, "{through:?}");
        assert!(!removed(&calls), "{calls:?}");
        // The number of the team is written down once it was given.
        access.entitlement_id = Some("42".to_owned());
        let (_, calls) = revoked_as(&access, answers(theirs, false)).await;
        assert!(removed(&calls), "{calls:?}");
    }
    // Of a child team only, there is no other place here.
    let (_, calls) = revoked_as(&access(), answers("maintainer", true)).await;
    assert!(removed(&calls), "{calls:?}");
}

#[tokio::test]
async fn a_removal_without_effect_is_tried_again() {
    let (outcome, _) = revoked(|call| match call.split_once(' ') {
        Some(("DELETE", MEMBERSHIP)) => Some((204, Value::Null)),
        Some(("GET", MEMBERSHIP)) => Some((200, json!({ "state": "active", "role": "member" }))),
        Some(("GET", "/organizations/9/team/42/teams")) => Some((200, json!([]))),
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
        Some(("GET", MEMBERSHIP | "/organizations/9/team/44/memberships/octocat-new")) => {
            Some((200, json!({ "state": "active", "role": "member" })))
        }
        Some(("GET", "/organizations/9/team/42/teams")) => {
            let children = json!([{ "id": 43, "slug": "day" }, { "id": 44, "slug": "night" }]);
            Some((200, children))
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
