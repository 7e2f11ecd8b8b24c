//! What Okta does and the emulator does not: pages, tokens that are refused, groups of applications, accounts that are suspended.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hallpass::domain::ledger::{Granted, Revoked};
use hallpass::domain::model::{Access, Account, UserId};
use hallpass::providers::{Provider as _, ProviderError};
use serde_json::{Value, json};

use super::contract::connect;
use crate::contract::approved::approved;
use crate::contract::{connection, order};

/// An organisation: who is in which group, and what is special about it.
#[derive(Debug, Clone)]
struct Org {
    users: Vec<Value>,
    groups: Vec<Value>,
    /// Pairs of group and account.
    members: Vec<(&'static str, &'static str)>,
    own: &'static str,
    /// Where the pages after the first are said to be.
    pages_at: Option<&'static str>,
    /// What is said of what is not there.
    missing: &'static str,
    /// Whether `users` and `groups` are at that address at all.
    moved: bool,
}

/// As Okta says it.
const MISSING: &str = r#"{"errorCode":"E0000007","errorSummary":"Not found: Resource not found: u7 (User)","errorLink":"E0000007","errorId":"oae1","errorCauses":[]}"#;

fn user(id: &str, login: &str, status: &str) -> Value {
    json!({ "id": id, "status": status, "profile": { "login": login } })
}

fn group(id: &str, name: &str, kind: &str) -> Value {
    json!({ "id": id, "type": kind, "profile": { "name": name } })
}

impl Org {
    fn new() -> Self {
        Self {
            users: vec![user("u1", "ada", "ACTIVE"), user("u2", "grace", "ACTIVE")],
            groups: vec![group("g1", "readers", "OKTA_GROUP")],
            members: vec![],
            own: "u9",
            pages_at: None,
            missing: MISSING,
            moved: false,
        }
    }

    fn named<'a>(all: &'a [Value], id: &str) -> Option<&'a Value> {
        all.iter().find(|one| one["id"] == id)
    }

    fn list(&self, path: &[&str]) -> Option<Vec<Value>> {
        let pick = |all: &[Value], ids: Vec<&str>| {
            Some(
                ids.iter()
                    .filter_map(|id| Self::named(all, id).cloned())
                    .collect(),
            )
        };
        match path {
            ["users"] => Some(self.users.clone()),
            ["groups"] => Some(self.groups.clone()),
            ["users", id, "groups"] => {
                Self::named(&self.users, id)?;
                let groups = self.members.iter().filter(|(_, user)| user == id);
                pick(&self.groups, groups.map(|(group, _)| *group).collect())
            }
            ["groups", id, "users"] => {
                Self::named(&self.groups, id)?;
                let users = self.members.iter().filter(|(group, _)| group == id);
                pick(&self.users, users.map(|(_, user)| *user).collect())
            }
            _ => None,
        }
    }

    /// Whatever is listed comes one entry a page.
    fn answer(&mut self, method: &str, path: &[&str], page: usize) -> Response {
        let ok = |body: Value| body.to_string().into_response();
        match (method, path) {
            _ if self.moved => (StatusCode::NOT_FOUND, self.missing).into_response(),
            ("GET", ["users", "me"]) => ok(user(self.own, "hallpass", "ACTIVE")),
            ("GET", ["users", id]) if Self::named(&self.users, id).is_some() => {
                ok(Self::named(&self.users, id).unwrap().clone())
            }
            ("GET", ["groups", id]) if Self::named(&self.groups, id).is_some() => {
                ok(Self::named(&self.groups, id).unwrap().clone())
            }
            ("GET", _) => match self.list(path) {
                None => (StatusCode::NOT_FOUND, self.missing).into_response(),
                Some(all) => {
                    let mut response = ok(all.iter().skip(page).take(1).cloned().collect());
                    if page + 1 < all.len() {
                        let next = format!("/api/v1/{}?after={}", path.join("/"), page + 1);
                        let at = self.pages_at.unwrap_or("SELF");
                        let link = format!("<{at}{next}>; rel=\"next\"");
                        response.headers_mut().append("link", link.parse().unwrap());
                    }
                    response
                }
            },
            ("PUT", ["groups", "g1", "users", id]) => {
                let id = if *id == "u1" { "u1" } else { "u2" };
                self.members.push(("g1", id));
                StatusCode::NO_CONTENT.into_response()
            }
            ("DELETE", ["groups", group, "users", user]) => {
                self.members.retain(|(g, u)| g != group || u != user);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => StatusCode::FORBIDDEN.into_response(),
        }
    }

    async fn serve(self) -> (SocketAddr, Arc<Mutex<Self>>) {
        let org = Arc::new(Mutex::new(self));
        let kept = Arc::clone(&org);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(move |request: Request| {
            let kept = Arc::clone(&kept);
            async move {
                if request.headers()["authorization"] != "SSWS canary-okta" {
                    return StatusCode::UNAUTHORIZED.into_response();
                }
                let path = request
                    .uri()
                    .path()
                    .trim_start_matches("/api/v1/")
                    .to_owned();
                let query = request.uri().query().unwrap_or_default();
                let after = query.split('&').find_map(|p| p.strip_prefix("after="));
                let page = after.map_or(0, |page| page.parse().unwrap());
                let path: Vec<&str> = path.split('/').collect();
                let method = request.method().as_str();
                let mut response = kept.lock().unwrap().answer(method, &path, page);
                if let Some(link) = response.headers_mut().get_mut("link") {
                    let here = format!("http://{address}");
                    *link = link
                        .to_str()
                        .unwrap()
                        .replace("SELF", &here)
                        .parse()
                        .unwrap();
                }
                response
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, org)
    }
}

fn access(entitlement: Value) -> Access {
    Access {
        connection: connection(),
        account: Account {
            name: "ada".to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        },
        entitlement,
        entitlement_id: None,
    }
}

fn readers() -> Access {
    access(json!({ "group": "readers" }))
}

async fn grant(at: SocketAddr, access: &Access) -> Result<Granted, ProviderError> {
    connect(at).grant(&approved(access), &order()).await
}

async fn revoke(at: SocketAddr, access: &Access) -> Result<Revoked, ProviderError> {
    connect(at).revoke(access, &order()).await
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let mut org = Org::new();
    org.users.insert(0, user("u0", "zoe", "ACTIVE"));
    org.groups.insert(0, group("g0", "readers2", "OKTA_GROUP"));
    org.members = vec![("g0", "u1"), ("g1", "u2")];
    let (at, org) = org.serve().await;
    let granted = grant(at, &readers()).await.unwrap();
    assert_eq!(granted.account_id.as_deref(), Some("u1"));
    let held = connect(at).holders(&readers().entitlement).await.unwrap();
    let names: Vec<_> = held.iter().map(|holder| holder.name.as_str()).collect();
    assert_eq!(names, ["grace", "ada"]);
    revoke(at, &readers()).await.unwrap();
    assert_eq!(org.lock().unwrap().members, [("g0", "u1"), ("g1", "u2")]);
}

#[tokio::test]
async fn a_page_on_another_server_is_not_asked_for() {
    let mut org = Org::new();
    org.pages_at = Some("http://127.0.0.1:1");
    let (at, _) = org.serve().await;
    let error = grant(at, &readers()).await.unwrap_err();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_that_is_refused_is_for_a_person() {
    let (at, _) = Org::new().serve().await;
    let settings = hallpass::providers::http::Settings {
        url: url::Url::parse(&format!("http://{at}")).unwrap(),
        ca: None,
        link_local: hallpass::providers::http::LinkLocal::Refused,
        now: crate::http_client::still(),
    };
    let http = hallpass::providers::http::Http::with_token(settings, "SSWS", &"guessed".into());
    let okta = hallpass::providers::okta::Okta::new(connection(), http.unwrap());
    let error = okta.revoke(&readers(), &order()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    assert!(!error.to_string().contains("guessed"), "{error}");
}

#[tokio::test]
async fn only_groups_of_okta_s_own_are_given() {
    let mut org = Org::new();
    org.groups = vec![group("g2", "readers", "APP_GROUP")];
    let (at, _) = org.serve().await;
    let error = grant(at, &readers()).await.unwrap_err();
    assert!(error.to_string().contains("come from elsewhere"), "{error}");
}

#[tokio::test]
async fn a_group_of_the_same_name_that_an_application_brings_is_named() {
    let mut org = Org::new();
    org.groups.push(group("g2", "readers", "APP_GROUP"));
    org.members = vec![("g1", "u1"), ("g2", "u1")];
    let (at, org) = org.serve().await;
    let error = grant(at, &readers()).await.unwrap_err();
    assert!(error.to_string().contains("more than one group"), "{error}");
    let revoked = revoke(at, &readers()).await.unwrap();
    assert_eq!(
        revoked.still_effective_through,
        [r#"the group "readers", whose members come from elsewhere (APP_GROUP)"#]
    );
    assert_eq!(org.lock().unwrap().members, [("g2", "u1")]);
}

#[tokio::test]
async fn whoever_is_suspended_or_gone_gets_nothing() {
    for status in ["SUSPENDED", "DEPROVISIONED"] {
        let mut org = Org::new();
        org.users[0] = user("u1", "ada", status);
        let (at, org) = org.serve().await;
        let error = grant(at, &readers()).await.unwrap_err();
        assert!(
            matches!(error, ProviderError::UnknownSubject { .. }),
            "{error}"
        );
        assert_eq!(org.lock().unwrap().members, []);
    }
}

#[tokio::test]
async fn our_own_account_is_not_taken_out() {
    let mut org = Org::new();
    (org.own, org.members) = ("u1", vec![("g1", "u1")]);
    let (at, org) = org.serve().await;
    let error = revoke(at, &readers()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    assert_eq!(org.lock().unwrap().members, [("g1", "u1")]);
}

#[tokio::test]
async fn a_renamed_account_loses_what_it_was_given_and_its_old_login_keeps_its_own() {
    let mut org = Org::new();
    org.users = vec![
        user("u1", "countess", "ACTIVE"),
        user("u2", "ada", "ACTIVE"),
    ];
    org.members = vec![("g1", "u1"), ("g1", "u2")];
    let (at, org) = org.serve().await;
    let mut known = readers();
    known.account.id = Some("u1".to_owned());
    revoke(at, &known).await.unwrap();
    assert_eq!(org.lock().unwrap().members, [("g1", "u2")]);
}

#[tokio::test]
async fn a_group_of_the_right_id_and_another_name_is_not_given() {
    let (at, _) = Org::new().serve().await;
    let both = access(json!({ "group": "writers", "group_id": "g1" }));
    let error = grant(at, &both).await.unwrap_err();
    assert!(error.to_string().contains("another name now"), "{error}");
    let renamed = access(json!({ "group_id": "g1" }));
    grant(at, &renamed).await.unwrap();
    // Whatever it is called now, what was given there is taken.
    revoke(at, &both).await.unwrap();
}

fn is_again(outcome: &Result<Revoked, ProviderError>) -> bool {
    matches!(outcome, Err(ProviderError::Unavailable { .. }))
}

#[tokio::test]
async fn only_okta_itself_says_that_an_account_is_gone() {
    let mut known = readers();
    known.account.id = Some("u7".to_owned());
    let (at, _) = Org::new().serve().await;
    let revoked = revoke(at, &known).await.unwrap();
    assert!(revoked.read_back.contains("no account"), "{revoked:?}");
    for missing in [
        "",
        "<html>404 Not Found</html>",
        r#"{"message":"no Route matched with those values"}"#,
        r#"{"errorCode":"E0000022","errorSummary":"The endpoint does not support the provided HTTP method"}"#,
    ] {
        let mut org = Org::new();
        org.missing = missing;
        let (at, _) = org.serve().await;
        let outcome = revoke(at, &known).await;
        assert!(is_again(&outcome), "{missing}: {outcome:?}");
    }
    // An address below which nothing is that we know.
    let mut org = Org::new();
    org.moved = true;
    let (at, _) = org.serve().await;
    let outcome = revoke(at, &known).await;
    assert!(is_again(&outcome), "{outcome:?}");
    let outcome = revoke(at, &readers()).await;
    assert!(is_again(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn a_group_that_was_renamed_is_the_same_and_its_old_name_another() {
    let (at, org) = Org::new().serve().await;
    let mut known = readers();
    known.entitlement_id = grant(at, &known).await.unwrap().entitlement_id;
    assert_eq!(known.entitlement_id.as_deref(), Some("g1"));
    {
        let mut org = org.lock().unwrap();
        org.groups = vec![
            group("g1", "auditors", "OKTA_GROUP"),
            group("g2", "readers", "OKTA_GROUP"),
        ];
        org.members = vec![("g1", "u1"), ("g2", "u1")];
    }
    let error = grant(at, &known).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("another group"), "{error}");
    revoke(at, &known).await.unwrap();
    assert_eq!(org.lock().unwrap().members, [("g2", "u1")]);
}

#[tokio::test]
async fn a_page_that_is_longer_than_any_is_no_answer() {
    let mut org = Org::new();
    org.users[0] = user("u1", &"x".repeat(5 << 20), "ACTIVE");
    let (at, _) = org.serve().await;
    let error = grant(at, &readers()).await.unwrap_err();
    let ProviderError::Unavailable { source, .. } = error else {
        panic!("{error}");
    };
    assert!(source.to_string().contains("4096 KiB"), "{source}");
}

#[tokio::test]
async fn an_account_was_last_used_at_its_last_sign_in() {
    let mut org = Org::new();
    org.users[0]["lastLogin"] = json!("2026-11-20T08:00:00.000Z");
    org.users[1]["lastLogin"] = Value::Null;
    let (at, _) = org.serve().await;
    let mut account = readers().account;
    let used = connect(at).last_used(&account).await.unwrap();
    assert_eq!(used, Some("2026-11-20T08:00:00Z".parse().unwrap()));
    // By its id, whatever it is called.
    account.id = Some("u2".to_owned());
    assert_eq!(connect(at).last_used(&account).await.unwrap(), None);
    account.id = Some("u7".to_owned());
    assert_eq!(connect(at).last_used(&account).await.unwrap(), None);
}
