//! Servers that answer as some real ones do, and as the one of the other tests does not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hallpass::domain::ledger::{Granted, Revoked};
use hallpass::domain::model::{Access, Account};
use hallpass::providers::{Provider, ProviderError};
use serde_json::{Value, json};

use super::contract::connect;
use crate::contract::approved::approved;
use crate::contract::{connection, order};

/// What a server answers to a method and an address; `None` is 404.
type Answers = fn(&str, &str) -> Option<(u16, Value)>;

/// A server, and what changing calls it got.
async fn server(answers: Answers) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&changes);
    let router = Router::new().fallback(move |request: Request| {
        let kept = Arc::clone(&kept);
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let path = parts.uri.to_string();
            if parts.method != "GET" {
                let body = String::from_utf8(body.to_vec()).unwrap();
                kept.lock()
                    .unwrap()
                    .push(format!("{} {path} {body}", parts.method));
            }
            answer(answers(parts.method.as_str(), &path))
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, changes)
}

/// As SCIM says it.
fn missing() -> Value {
    let error = "urn:ietf:params:scim:api:messages:2.0:Error";
    json!({ "schemas": [error], "detail": "not found", "status": "404" })
}

fn answer(answer: Option<(u16, Value)>) -> Response {
    let (status, body) = answer.unwrap_or((404, missing()));
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

fn list(resources: Value) -> Option<(u16, Value)> {
    let total = resources.as_array().unwrap().len();
    Some((
        200,
        json!({ "totalResults": total, "Resources": resources }),
    ))
}

fn wanted() -> Access {
    Access {
        connection: connection(),
        account: Account {
            name: "ada".to_owned(),
            github_id: None,
            id: None,
        },
        entitlement: json!({ "group": "ro" }),
        entitlement_id: None,
    }
}

async fn grant(answers: Answers) -> Result<Granted, ProviderError> {
    let (address, _) = server(answers).await;
    let provider = connect(&format!("http://{address}"), "t");
    provider.grant(&approved_access(), &order()).await
}

fn approved_access() -> hallpass::domain::decision::Approved {
    let mut access = wanted();
    access.account.github_id = Some(hallpass::domain::model::UserId(1));
    approved(&access)
}

async fn revoke(answers: Answers) -> (Result<Revoked, ProviderError>, Vec<String>) {
    let (address, changes) = server(answers).await;
    let provider = connect(&format!("http://{address}"), "t");
    let revoked = provider.revoke(&wanted(), &order()).await;
    let changes = changes.lock().unwrap().clone();
    (revoked, changes)
}

fn ada(groups: Value) -> Value {
    json!({ "id": "u1", "userName": "ada", "groups": groups })
}

/// Accounts and groups of a server that tells nobody's members, and says so of ada's `groups`.
fn secretive(method: &str, path: &str, groups: Value) -> Option<(u16, Value)> {
    let group = json!({ "id": "g1", "displayName": "ro" });
    match (method, path) {
        ("PATCH", _) => Some((204, Value::Null)),
        (_, path) if path.starts_with("/Users/u1") => Some((200, ada(groups))),
        (_, path) if path.starts_with("/Users") => list(json!([ada(groups)])),
        (_, "/Groups/g1") => Some((200, group)),
        (_, path) if path.starts_with("/Groups?") => list(json!([group])),
        _ => None,
    }
}

/// The removal of `u1` from `g1`.
const REMOVAL: &str = r#"PATCH /Groups/g1 {"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members[value eq \"u1\"]"}]}"#;

#[tokio::test]
async fn the_removal_names_one_member_and_nothing_else() {
    let (revoked, changes) = revoke(|method, path| secretive(method, path, json!([]))).await;
    revoked.unwrap();
    assert_eq!(changes, [REMOVAL]);
}

/// The same server, whose group shows these members whatever was done.
fn showing(method: &str, path: &str, groups: Value, members: Value) -> Option<(u16, Value)> {
    let group = json!({ "id": "g1", "displayName": "ro", "members": members });
    match (method, path) {
        ("GET", "/Groups/g1") => Some((200, group)),
        ("GET", path) if path.starts_with("/Groups?") => list(json!([group])),
        _ => secretive(method, path, groups),
    }
}

#[tokio::test]
async fn the_removal_of_who_is_not_listed_is_sent_all_the_same() {
    let nobody = |method: &str, path: &str| showing(method, path, json!([]), json!([]));
    let others = |method: &str, path: &str| {
        let others = json!([{ "value": "u2", "type": "User" }]);
        showing(method, path, json!([]), others)
    };
    for answers in [nobody, others] {
        let (revoked, changes) = revoke(answers).await;
        revoked.unwrap();
        assert_eq!(changes, [REMOVAL]);
    }
}

/// Neither that it has given, nor that it has taken.
async fn is_not_believed(still: Answers) {
    let error = grant(still).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not tell who is in a group"),
        "{error}"
    );
    let error = revoke(still).await.0.unwrap_err();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_shows_every_group_without_members_is_not_believed() {
    let still = |method: &str, path: &str| {
        let groups = json!([{ "value": "g1", "type": "direct" }]);
        showing(method, path, groups, json!([]))
    };
    is_not_believed(still).await;
}

#[tokio::test]
async fn a_server_that_does_not_tell_members_is_not_believed() {
    let still = |method: &str, path: &str| {
        secretive(method, path, json!([{ "value": "g1", "type": "direct" }]))
    };
    is_not_believed(still).await;
}

#[tokio::test]
async fn what_the_account_itself_says_of_its_groups_counts() {
    let indirect = |method: &str, path: &str| {
        secretive(method, path, json!([{ "value": "g1", "type": "indirect" }]))
    };
    let through = revoke(indirect).await.0.unwrap().still_effective_through;
    assert_eq!(through.len(), 1);
    assert!(through[0].contains("another membership"), "{through:?}");
}

#[tokio::test]
async fn a_server_that_ignores_filters_gives_nothing_to_another() {
    let others = |_: &str, path: &str| match path {
        path if path.starts_with("/Users") => {
            list(json!([{ "id": "u2", "userName": "grace" }, { "id": "u3", "userName": "adam" }]))
        }
        path if path.starts_with("/Groups") => list(json!([{ "id": "g1", "displayName": "ro" }])),
        _ => None,
    };
    let error = grant(others).await.unwrap_err();
    assert!(
        matches!(error, ProviderError::UnknownSubject { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_list_that_is_not_what_it_says_is_no_answer() {
    for page in [
        |_: &str, _: &str| Some((200, json!({ "totalResults": 3, "Resources": [] }))),
        |_: &str, _: &str| Some((200, json!({ "totalResults": 3 }))),
        // The same page for ever.
        |_: &str, _: &str| {
            Some((
                200,
                json!({ "totalResults": 3, "Resources": [{ "id": "u1", "userName": "ada" }] }),
            ))
        },
        |_: &str, _: &str| {
            Some((
                200,
                json!({ "totalResults": 0, "Resources": [{ "id": "u1", "userName": "ada" }] }),
            ))
        },
        |_: &str, _: &str| Some((200, json!({ "Resources": [] }))),
        |_: &str, _: &str| Some((200, json!("welcome"))),
    ] {
        let error = revoke(page).await.0.unwrap_err();
        assert!(
            matches!(error, ProviderError::Unavailable { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn pages_are_read_to_the_last() {
    let paged = |_: &str, path: &str| {
        let user = |n: usize| json!({ "id": format!("u{n}"), "userName": if n == 3 { "ada".to_owned() } else { format!("x{n}") } });
        let page = |n: usize| {
            Some((
                200,
                json!({ "totalResults": 3, "itemsPerPage": 1, "Resources": [user(n)] }),
            ))
        };
        match path {
            path if path.starts_with("/Users?") => (1..=3)
                .find(|n| path.contains(&format!("startIndex={n}&")))
                .and_then(page),
            "/Groups/g1" => Some((
                200,
                json!({ "id": "g1", "displayName": "ro", "members": [{ "value": "u3", "type": "User" }] }),
            )),
            path if path.starts_with("/Groups?") => {
                list(json!([{ "id": "g1", "displayName": "ro", "members": [{ "value": "u3" }] }]))
            }
            _ => None,
        }
    };
    let granted = grant(paged).await.unwrap();
    assert_eq!(granted.account_id.as_deref(), Some("u3"));
}

#[tokio::test]
async fn an_answer_about_another_one_is_no_answer() {
    let other = |_: &str, path: &str| match path {
        path if path.starts_with("/Users") => list(json!([ada(json!([]))])),
        path if path.starts_with("/Groups?") => {
            list(json!([{ "id": "g1", "displayName": "ro", "members": [{ "value": "u1" }] }]))
        }
        "/Groups/g1" => Some((
            200,
            json!({ "id": "g2", "displayName": "ro", "members": [{ "value": "u1" }] }),
        )),
        _ => None,
    };
    let error = grant(other).await.unwrap_err();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn where_no_members_are_shown_a_server_may_decline_to_remove_one() {
    let declines = |method: &str, path: &str| match method {
        "PATCH" => Some((
            400,
            json!({ "scimType": "noTarget", "detail": "no such member" }),
        )),
        _ => secretive(method, path, json!([])),
    };
    revoke(declines).await.0.unwrap();
}

/// Takes it from the account `u1`, which is known by its id as the group `g1` is.
async fn revoke_known(answers: Answers) -> Result<Revoked, ProviderError> {
    let (address, _) = server(answers).await;
    let mut known = wanted();
    (known.account.id, known.entitlement_id) = (Some("u1".to_owned()), Some("g1".to_owned()));
    let provider = connect(&format!("http://{address}"), "t");
    provider.revoke(&known, &order()).await
}

#[tokio::test]
async fn only_the_server_itself_says_that_something_is_gone() {
    let gone = |_: &str, path: &str| match path {
        path if path.starts_with("/Users?") || path.starts_with("/Groups?") => list(json!([])),
        _ => None,
    };
    revoke_known(gone).await.unwrap();
    let somebody_else = |_: &str, _: &str| Some((404, json!({ "message": "no such page" })));
    let elsewhere = |_: &str, _: &str| Some((410, Value::Null));
    // The collections are not there either: it is the address that is wrong.
    let nothing = |_: &str, _: &str| None;
    for answers in [somebody_else, elsewhere, nothing] {
        let error = revoke_known(answers).await.unwrap_err();
        assert!(
            matches!(error, ProviderError::Unavailable { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn whether_an_account_is_active_may_be_said_as_text() {
    fn says(active: Value, path: &str) -> Option<(u16, Value)> {
        if !path.starts_with("/Users") {
            return Some((403, Value::Null));
        }
        list(json!([{ "id": "u1", "userName": "ada", "active": active }]))
    }

    let error = |outcome: Result<Granted, ProviderError>| outcome.unwrap_err().to_string();
    // Whoever is active is let on to the group, which is refused here.
    let text = grant(|_, path| says(json!("True"), path)).await;
    assert!(error(text).contains("check the rights"));
    let untold = grant(|_, path| says(Value::Null, path)).await;
    assert!(error(untold).contains("check the rights"));
    let text = grant(|_, path| says(json!("False"), path)).await;
    assert!(error(text).contains("not active"));
    let neither = grant(|_, path| says(json!([true]), path)).await;
    assert!(error(neither).contains("cannot be read"));
}
