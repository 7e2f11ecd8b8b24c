//! What a receiver may answer that is no good answer, and how its calls are signed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hallpass::domain::model::{Access, Account, ConnectionName, UserId};
use hallpass::providers::asked::{Asked, Carrier as _};
use hallpass::providers::http::{Http, LinkLocal, Settings};
use hallpass::providers::webhook::Webhook;
use hallpass::providers::{Provider, ProviderError, Registry};
use hallpass::sandbox::Change;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::contract::receiver;
use super::server::SECRET;
use crate::contract::approved::approved;
use crate::contract::{connection, order};
use crate::world::{DB, Ears, World};

type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that answers each action with what was put down for it.
struct Scripted {
    address: SocketAddr,
    heard: Heard,
}

type Script = (Heard, Vec<(&'static str, Response<String>)>);

async fn answer(State(script): State<Arc<Script>>, headers: HeaderMap, body: Bytes) -> Response {
    let action = serde_json::from_slice::<Value>(&body).unwrap_or_default()["action"].clone();
    script.0.lock().unwrap().push((headers, body));
    let known = script.1.iter().find(|(name, _)| action == *name);
    match known {
        Some((_, said)) => {
            let (parts, body) = said.clone().into_parts();
            Response::from_parts(parts, body.into())
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn said(body: Value) -> Response<String> {
    Response::new(body.to_string())
}

impl Scripted {
    async fn new(answers: Vec<(&'static str, Response<String>)>) -> Self {
        let heard = Heard::default();
        let state = Arc::new((Arc::clone(&heard), answers));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, heard }
    }

    fn provider(&self) -> Asked<Webhook> {
        receiver(self.address, &[SECRET], None)
    }

    fn ids(&self, action: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let asked = heard
            .iter()
            .filter(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()["action"] == action);
        let id =
            |(headers, _): &(HeaderMap, Bytes)| headers["webhook-id"].to_str().unwrap().to_owned();
        asked.map(id).collect()
    }
}

fn access() -> Access {
    Access {
        connection: connection(),
        account: Account {
            name: "ada".to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        },
        entitlement: json!({ "group": "readers" }),
        entitlement_id: None,
    }
}

async fn grant(
    provider: &impl Provider,
) -> Result<hallpass::domain::ledger::Granted, ProviderError> {
    provider.grant(&approved(&access()), &order()).await
}

#[tokio::test]
async fn calls_are_signed_as_the_standard_s_own_example_is() {
    // The example of the Standard Webhooks libraries.
    let target = Scripted::new(vec![]).await;
    let settings = Settings {
        url: Url::parse(&format!("http://{}/", target.address)).unwrap(),
        ca: None,
        link_local: LinkLocal::Refused,
        now: Arc::new(|| chrono::DateTime::from_timestamp(1_614_265_330, 0).unwrap()),
    };
    let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SECRET].map(SecretString::from);
    let webhook = Webhook::new(Http::new(settings).unwrap(), &secrets).unwrap();
    let body = br#"{"test": 2432232314}"#.to_vec();
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    webhook.carry("trying", id, body).await.unwrap_err();
    let (headers, _) = target.heard.lock().unwrap().remove(0);
    assert_eq!(headers["webhook-id"], id);
    assert_eq!(headers["webhook-timestamp"], "1614265330");
    let signatures = headers["webhook-signature"].to_str().unwrap().to_owned();
    let (first, second) = signatures.split_once(' ').unwrap();
    assert_eq!(first, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    // While a secret is being changed each call carries a signature of both.
    assert!(second.starts_with("v1,") && second != first, "{second}");
}

#[tokio::test]
async fn a_repetition_carries_the_same_id_and_a_look_never_does() {
    let held = || said(json!({ "held": true }));
    let target = Scripted::new(vec![("grant", held()), ("check", held())]).await;
    for _ in 0..2 {
        grant(&target.provider()).await.unwrap();
    }
    let (grants, checks) = (target.ids("grant"), target.ids("check"));
    assert_eq!(grants[0], grants[1]);
    assert_ne!(checks[0], checks[1]);
    let mut later = order();
    later.reference.push('1');
    let provider = target.provider();
    provider.grant(&approved(&access()), &later).await.unwrap();
    assert_ne!(target.ids("grant")[2], grants[0]);
}

#[tokio::test]
async fn what_goes_on_for_one_account_is_not_given_to_another_of_its_name() {
    for (given, found, fits) in [("17", "17", true), ("99", "17", false), ("17", "99", false)] {
        let held = |id: &str| said(json!({ "held": true, "account_id": id }));
        let target = Scripted::new(vec![("grant", held(given)), ("check", held(found))]).await;
        let mut access = access();
        access.account.id = Some("17".to_owned());
        let provider = target.provider();
        match provider.grant(&approved(&access), &order()).await {
            Ok(granted) => assert_eq!((granted.account_id.as_deref(), fits), (Some("17"), true)),
            Err(error) => {
                let unknown = matches!(error, ProviderError::UnknownSubject { .. });
                assert!(unknown && !fits, "{given} {found}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_who_has_it_by_hand_a_receiver_is_told_what_it_told_and_no_number_of_github_s() {
    let linus = json!({ "name": "linus", "id": "17" });
    let target = Scripted::new(vec![
        ("holders", said(json!({ "holders": [linus] }))),
        ("revoke", said(json!({ "held": false }))),
        ("check", said(json!({ "held": false }))),
    ])
    .await;
    let name = ConnectionName::new("nowhere").unwrap();
    let provider: Arc<dyn Provider> = Arc::new(target.provider());
    let more = Registry::from([(name, provider)]);
    let world = World::connected(Ears::Hearing, "", more).await;
    let resource = DB.replace("provider: vault", "provider: nowhere");
    let resource = format!("drift: enforce\n{resource}");
    let path = "access/resources/nowhere.yaml";
    world.decree(&[Change::write(path, resource)]).await;
    world.advance(chrono::TimeDelta::minutes(10)).await;
    world.resync().await;
    let heard = target.heard.lock().unwrap();
    let mut asked = heard
        .iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap());
    let taken = asked.find(|question| question["action"] == "revoke");
    assert_eq!(taken.unwrap()["account"], linus);
}

#[tokio::test]
async fn an_answer_that_is_no_clear_yes_gives_nothing() {
    let yes = || said(json!({ "held": true }));
    let odd = [
        said(json!({})),
        said(json!({ "held": null })),
        said(json!({ "held": "true" })),
        said(json!({ "held": false })),
        said(json!({ "held": true, "still_efective_through": [] })),
        said(json!([true])),
        said(json!({ "error": { "kind": "unavailable", "message": "later" } })),
        said(json!({ "error": { "kind": "full-moon", "message": "later" } })),
        Response::new("held: true".to_owned()),
        Response::new(String::new()),
        Response::new(format!("{{\"held\": true}}{}", " ".repeat(17 << 20))),
    ];
    for one in odd {
        let shown: String = one.body().chars().take(80).collect();
        for answers in [
            vec![("grant", one.clone()), ("check", yes())],
            vec![("grant", yes()), ("check", one.clone())],
        ] {
            let target = Scripted::new(answers).await;
            let error = grant(&target.provider()).await.expect_err(&shown);
            let again = matches!(error, ProviderError::Unavailable { .. });
            assert!(again, "{shown}: {error}");
        }
    }
}

#[tokio::test]
async fn a_removal_is_said_only_when_the_look_after_it_finds_nothing() {
    let done = || said(json!({ "held": false, "sessions": ["laptop"], "sessions_ended": 2 }));
    for (found, says) in [
        (json!({ "held": true }), Err("held still")),
        (
            json!({ "held": true, "account_id": "17" }),
            Err("held still"),
        ),
        // Somebody else has the name by now.
        (json!({ "held": true, "account_id": "18" }), Ok(vec![])),
        (json!({ "held": false }), Ok(vec![])),
        (
            json!({ "held": false, "still_effective_through": ["the group \u{7}\n admins"] }),
            Ok(vec!["the group admins"]),
        ),
        (
            json!({ "error": { "kind": "unknown-account", "message": "gone" } }),
            Ok(vec![]),
        ),
        (
            json!({ "error": { "kind": "refused", "message": "no" } }),
            Err("no"),
        ),
    ] {
        let target = Scripted::new(vec![("revoke", done()), ("check", said(found.clone()))]).await;
        let mut access = access();
        access.account.id = Some("17".to_owned());
        let revoked = target.provider().revoke(&access, &order()).await;
        match (revoked, says) {
            (Ok(revoked), Ok(through)) => {
                assert_eq!(revoked.still_effective_through, through, "{found}");
                assert_eq!(
                    (revoked.sessions, revoked.sessions_ended),
                    (vec!["laptop".to_owned()], 2)
                );
            }
            (Err(error), Err(says)) => {
                assert!(chain(&error).contains(says), "{found}: {}", chain(&error))
            }
            (found, says) => panic!("{found:?}, not {says:?}"),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn each_error_says_what_to_do_next() {
    for (kind, more, expected) in [
        ("unavailable", json!(120), "again at 2 minutes"),
        ("refused", json!(null), "a person"),
        ("unknown-account", json!(null), "another account"),
        ("unknown-entitlement", json!(null), "a person"),
    ] {
        let error =
            json!({ "error": { "kind": kind, "message": "as it is", "retry_after": more } });
        let target = Scripted::new(vec![("grant", said(error))]).await;
        let before = (super::contract::now())();
        let error = grant(&target.provider()).await.unwrap_err();
        let found = match &error {
            ProviderError::Unavailable {
                retry_at: Some(at), ..
            } => {
                let pause = *at - before;
                assert!((120..180).contains(&pause.num_seconds()), "{pause}");
                "again at 2 minutes"
            }
            ProviderError::Unavailable { .. } => "again",
            ProviderError::Refused { .. } => "a person",
            ProviderError::UnknownSubject { .. } => "another account",
        };
        assert_eq!(found, expected, "{kind}: {error}");
    }
}

#[tokio::test]
async fn nobody_and_another_place_are_for_a_person() {
    let elsewhere = || {
        Response::builder()
            .status(302)
            .header(header::LOCATION, "http://127.0.0.1:1/")
            .body(String::new())
            .unwrap()
    };
    for answers in [vec![], vec![("grant", elsewhere())]] {
        let target = Scripted::new(answers).await;
        let error = grant(&target.provider()).await.unwrap_err();
        assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_the_operator_s_schema_does_not_allow_is_never_asked() {
    let held = || said(json!({ "held": true }));
    let target = Scripted::new(vec![("grant", held()), ("check", held())]).await;
    let schema = r#"{ "properties": { "group": { "enum": ["writers"] } } }"#;
    let provider = receiver(target.address, &[SECRET], Some(schema));
    let error = grant(&provider).await.unwrap_err();
    assert!(error.to_string().contains("\"readers\" is not"), "{error}");
    provider.holders(&access().entitlement).await.unwrap_err();
    assert_eq!(target.heard.lock().unwrap().len(), 0);
    grant(&target.provider()).await.unwrap();
}

#[tokio::test]
async fn a_list_that_is_none_is_an_error_and_never_an_empty_list() {
    for odd in [
        json!({}),
        json!({ "holders": null }),
        json!({ "held": false }),
        json!({ "holders": [{ "id": "1" }] }),
    ] {
        let target = Scripted::new(vec![("holders", said(odd.clone()))]).await;
        let listed = target.provider().holders(&access().entitlement).await;
        listed.expect_err(&odd.to_string());
    }
    let list = json!({ "holders": [{ "name": "ada", "id": "17", "pending": true }] });
    let target = Scripted::new(vec![("holders", said(list))]).await;
    let listed = target
        .provider()
        .holders(&access().entitlement)
        .await
        .unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].pending), ("ada", true));
}
