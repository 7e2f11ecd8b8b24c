//! Deliveries: signed or refused, durable or refused, and never more than a hint.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use chrono::{DateTime, TimeDelta};
use hallpass::clock::{Clock, ManualClock};
use hallpass::domain::model::{CommitId, Instant, PullNumber, RepoName};
use hallpass::http::{Shared, Source, router, serve};
use hallpass::metrics::Metrics;
use hallpass::store::{Store, Wake};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot, watch};
use tower::ServiceExt;

const SECRET: &str = "It's a Secret to Everybody";
const PREVIOUS: &str = "the one before";

struct Service {
    store: Store,
    router: Router,
    clock: Arc<ManualClock>,
    woken: Arc<Notify>,
    last_pass: watch::Sender<Option<Instant>>,
    _folder: TempDir,
}

fn start() -> Instant {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn service() -> Service {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite://{}/hallpass.db", folder.path().display()))
        .await
        .unwrap();
    let clock = Arc::new(ManualClock::at(start()));
    let woken = Arc::new(Notify::new());
    let (last_pass, passes) = watch::channel(None);
    let source = Source {
        repository: RepoName::try_from("acme/access".to_owned()).unwrap(),
        installation: Some(7),
        app: 11,
        protected_branch: "main".to_owned(),
    };
    let router = router(&Arc::new(Shared {
        store: store.clone(),
        clock: clock.clone(),
        source,
        secrets: vec![SecretString::from(SECRET), SecretString::from(PREVIOUS)],
        woken: woken.clone(),
        last_pass: passes,
        stale_after: Duration::from_secs(180),
        metrics: Metrics::default(),
        connections: Vec::new(),
        anchored: Default::default(),
    }));
    Service {
        store,
        router,
        clock,
        woken,
        last_pass,
        _folder: folder,
    }
}

impl Service {
    async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// What is queued after a well-signed delivery, which must be accepted.
    async fn hint(&self, event: &str, body: Value) -> BTreeSet<Wake> {
        let request = delivery(
            event,
            &sign(SECRET, body.to_string().as_bytes()),
            body.to_string(),
        );
        let (status, _) = self.send(request).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{event} {body}");
        let due = self.store.due_wakes(self.clock.now()).await.unwrap();
        for taken in &due {
            self.store.finish_wake(taken).await.unwrap();
        }
        due.into_iter().map(|taken| taken.wake).collect()
    }

    async fn queued(&self) -> usize {
        self.store
            .due_wakes(start() + TimeDelta::days(1))
            .await
            .unwrap()
            .len()
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn delivery(event: &str, signature: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/webhook")
        .header("X-GitHub-Event", event)
        .header("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header("X-Hub-Signature-256", signature)
        .body(body.into())
        .unwrap()
}

fn pull(number: u64) -> Value {
    json!({
        "action": "opened",
        "pull_request": { "number": number, "title": "not looked at" },
        "repository": { "full_name": "acme/access", "id": 1 },
        "installation": { "id": 7 },
    })
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

fn pulls<const N: usize>(numbers: [u64; N]) -> BTreeSet<Wake> {
    numbers
        .into_iter()
        .map(|n| Wake::Pull(PullNumber(n)))
        .collect()
}

#[tokio::test]
async fn the_example_of_githubs_documentation_is_a_good_signature() {
    let service = service().await;
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    // The body is no JSON: that this is noticed at all shows that the signature was accepted.
    assert_eq!(
        service
            .send(delivery("ping", good, "Hello, World!"))
            .await
            .0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        service
            .send(delivery("ping", good, "Hello, World?"))
            .await
            .0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_signed_delivery_is_durable_before_it_is_answered() {
    let service = service().await;
    assert_eq!(service.hint("pull_request", pull(12)).await, pulls([12]));
    // And the worker was told.
    service.woken.notified().await;
}

#[tokio::test]
async fn whatever_is_wrong_with_a_signature_the_answer_is_the_same() {
    let service = service().await;
    let body = pull(12).to_string();
    let good = sign(SECRET, body.as_bytes());
    let mut doubled = delivery("pull_request", &good, body.clone());
    doubled
        .headers_mut()
        .append("X-Hub-Signature-256", good.parse().unwrap());
    let mut missing = delivery("pull_request", &good, body.clone());
    missing.headers_mut().remove("X-Hub-Signature-256");
    let mut requests = vec![doubled, missing];
    for signature in [
        sign("another secret", body.as_bytes()),
        sign("", body.as_bytes()),
        sign(SECRET, b""),
        good.replace("sha256=", "sha1="),
        good.replace("sha256=", ""),
        good[..good.len() - 1].to_owned(),
        format!("{good}0"),
        format!("{good} "),
        "sha256=".to_owned(),
        format!("sha256={}", "g".repeat(64)),
        String::new(),
    ] {
        requests.push(delivery("pull_request", &signature, body.clone()));
    }
    for request in requests {
        let shown = format!("{request:?}");
        assert_eq!(
            service.send(request).await,
            (StatusCode::UNAUTHORIZED, "not signed\n".to_owned()),
            "{shown}"
        );
    }
    assert_eq!(service.queued().await, 0);
}

#[tokio::test]
async fn the_secret_before_still_counts_while_it_is_being_changed() {
    let service = service().await;
    let body = pull(12).to_string();
    let request = delivery("pull_request", &sign(PREVIOUS, body.as_bytes()), body);
    assert_eq!(service.send(request).await.0, StatusCode::ACCEPTED);
    assert_eq!(service.queued().await, 1);
}

#[tokio::test]
#[should_panic(expected = "a secret that is not empty")]
async fn an_empty_secret_is_never_served() {
    let Service {
        store,
        clock,
        woken,
        last_pass,
        ..
    } = service().await;
    let source = Source {
        repository: RepoName::try_from("acme/access".to_owned()).unwrap(),
        installation: None,
        app: 11,
        protected_branch: "main".to_owned(),
    };
    let secrets = vec![SecretString::from(SECRET), SecretString::default()];
    let last_pass = last_pass.subscribe();
    let _ = router(&Arc::new(Shared {
        store,
        clock,
        source,
        secrets,
        woken,
        last_pass,
        stale_after: Duration::ZERO,
        metrics: Metrics::default(),
        connections: Vec::new(),
        anchored: Default::default(),
    }));
}

#[tokio::test]
async fn each_event_points_at_what_has_to_be_looked_at() {
    let service = service().await;
    let push = |branch: &str| with(pull(0), "ref", json!(branch));
    let check = |action: &str, app: u64, pulls: Value| {
        let check = json!({ "app": { "id": app }, "pull_requests": pulls });
        with(
            with(
                with(pull(0), "action", json!(action)),
                "check_run",
                check.clone(),
            ),
            "check_suite",
            check,
        )
    };
    let organisation = json!({ "action": "added", "organization": { "login": "acme" }, "installation": { "id": 7 } });
    let none = BTreeSet::new;
    let two = json!([{ "number": 3 }, { "number": 4 }]);
    for (event, body, wakes) in [
        ("pull_request", pull(12), pulls([12])),
        ("pull_request_review", pull(13), pulls([13])),
        (
            "issue_comment",
            with(
                with(pull(12), "action", json!("created")),
                "comment",
                json!({ "body": "/hallpass explain" }),
            ),
            BTreeSet::from([Wake::Remarks]),
        ),
        (
            "issue_comment",
            with(
                with(pull(12), "action", json!("created")),
                "comment",
                json!({ "body": "Looks good" }),
            ),
            none(),
        ),
        (
            "issue_comment",
            with(pull(12), "action", json!("edited")),
            none(),
        ),
        ("pull_request_review_comment", pull(14), pulls([14])),
        (
            "pull_request",
            with(pull(12), "pull_request", Value::Null),
            none(),
        ),
        (
            "pull_request",
            with(pull(12), "action", json!("closed")),
            BTreeSet::from([Wake::Main, Wake::Pull(PullNumber(12))]),
        ),
        (
            "pull_request",
            with(
                with(pull(12), "action", json!("closed")),
                "pull_request",
                json!({ "number": 12, "merged": true }),
            ),
            BTreeSet::from([Wake::Main]),
        ),
        (
            "push",
            push("refs/heads/main"),
            BTreeSet::from([Wake::Main]),
        ),
        ("push", push("refs/heads/main2"), none()),
        ("push", push("refs/tags/main"), none()),
        ("push", push("main"), none()),
        ("check_run", check("completed", 99, two.clone()), none()),
        ("check_suite", check("completed", 99, two.clone()), none()),
        ("check_run", check("created", 11, two.clone()), none()),
        ("check_run", check("rerequested", 11, two), pulls([3, 4])),
        ("check_run", check("completed", 99, json!([])), none()),
        (
            "check_suite",
            check("rerequested", 11, json!([])),
            BTreeSet::from([Wake::All]),
        ),
        (
            "membership",
            organisation.clone(),
            BTreeSet::from([Wake::All]),
        ),
        ("team", organisation.clone(), BTreeSet::from([Wake::All])),
        (
            "organization",
            organisation.clone(),
            BTreeSet::from([Wake::Members]),
        ),
        ("member", pull(0), BTreeSet::from([Wake::All])),
        ("ping", organisation, none()),
        ("star", pull(0), none()),
        ("something_new", pull(0), none()),
    ] {
        let shown = format!("{event} {body}");
        assert_eq!(service.hint(event, body).await, wakes, "{shown}");
    }
}

#[tokio::test]
async fn a_deployment_that_waits_is_a_reason_to_look_at_its_repository_and_nothing_of_it_is_believed()
 {
    let service = service().await;
    let said = |repository: Value| {
        json!({
            "action": "requested",
            "environment": "../../production",
            "deployment_callback_url": "https://mallory.example/approve",
            "repository": { "full_name": repository },
            "installation": { "id": 99 },
        })
    };
    let shop = RepoName::try_from("acme/shop".to_owned()).unwrap();
    for name in ["acme/shop", "Acme/Shop"] {
        let wakes = service
            .hint("deployment_protection_rule", said(json!(name)))
            .await;
        assert_eq!(wakes, BTreeSet::from([Wake::Deployments(shop.clone())]));
    }
    for odd in [
        "",
        "shop",
        "acme/shop/../access",
        "acme/../shop",
        "a b/c",
        "acme/",
    ] {
        let wakes = service
            .hint("deployment_protection_rule", said(json!(odd)))
            .await;
        assert_eq!(wakes, BTreeSet::new(), "{odd}");
    }
    let nothing = json!({ "action": "requested" });
    let wakes = service.hint("deployment_protection_rule", nothing).await;
    assert_eq!(wakes, BTreeSet::new());
}

#[tokio::test]
async fn other_repositories_and_installations_are_answered_and_ignored() {
    let service = service().await;
    for body in [
        with(
            pull(12),
            "repository",
            json!({ "full_name": "acme/access-fork" }),
        ),
        with(
            pull(12),
            "repository",
            json!({ "full_name": "mallory/access" }),
        ),
        with(pull(12), "repository", Value::Null),
        with(pull(12), "installation", json!({ "id": 8 })),
    ] {
        assert_eq!(service.hint("pull_request", body).await, BTreeSet::new());
    }
    let member = json!({ "action": "added", "installation": { "id": 8 } });
    assert_eq!(service.hint("membership", member).await, BTreeSet::new());
    // GitHub compares names without regard to case.
    let body = with(
        pull(12),
        "repository",
        json!({ "full_name": "Acme/ACCESS" }),
    );
    assert_eq!(service.hint("pull_request", body).await, pulls([12]));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_although_it_is_signed() {
    let service = service().await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "{",
        "payload=%7B%7D",
        "[]",
        r#"{"pull_request":{"number":-1}}"#,
        r#"{"ref":1}"#,
        &deep,
        "\u{feff}{}",
    ] {
        let (status, _) = service
            .send(delivery(
                "push",
                &sign(SECRET, body.as_bytes()),
                body.to_owned(),
            ))
            .await;
        assert_eq!(
            status,
            StatusCode::BAD_REQUEST,
            "{}",
            &body[..body.len().min(40)]
        );
    }
    let mut request = delivery("push", &sign(SECRET, b"{}"), "{}");
    request
        .headers_mut()
        .insert("X-GitHub-Event", "push\u{e9}".parse().unwrap());
    assert_eq!(service.send(request).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(service.queued().await, 0);
}

#[tokio::test]
async fn a_delivery_that_cannot_be_made_durable_fails_where_github_shows_it() {
    let service = service().await;
    service.store.close().await;
    let body = pull(12).to_string();
    let (status, _) = service
        .send(delivery(
            "pull_request",
            &sign(SECRET, body.as_bytes()),
            body,
        ))
        .await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_whether_or_not_it_says_its_length() {
    let service = service().await;
    let signature = sign(SECRET, b"");
    let mut announced = delivery("push", &signature, "");
    announced
        .headers_mut()
        .insert("Content-Length", (27 * 1024 * 1024).into());
    assert_eq!(
        service.send(announced).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );

    let unannounced = delivery("push", &signature, vec![b' '; 27 * 1024 * 1024]);
    assert_eq!(
        service.send(unannounced).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn bodies_that_are_under_way_share_a_bounded_memory() {
    let service = service().await;
    let slow = |_| {
        let body =
            Body::from_stream(futures_util::stream::pending::<Result<&[u8], std::io::Error>>());
        let router = service.router.clone();
        let request = delivery("push", &sign(SECRET, b""), body);
        tokio::spawn(async move { router.oneshot(request).await.unwrap().status() })
    };
    let waiting: Vec<_> = (0..8).map(slow).collect();
    // Nothing ever arrives, so only a refusal can end one of them here.
    while waiting.iter().all(|task| !task.is_finished()) {
        tokio::task::yield_now().await;
    }
    let refused = waiting.iter().filter(|task| task.is_finished()).count();
    assert!((1..8).contains(&refused), "{refused}");
    for task in waiting {
        task.abort();
    }
}

#[tokio::test]
async fn a_delivery_without_a_plain_name_is_served_all_the_same() {
    let service = service().await;
    let body = pull(12).to_string();
    let mut request = delivery("pull_request", &sign(SECRET, body.as_bytes()), body);
    request
        .headers_mut()
        .insert("X-GitHub-Delivery", "x\ty".parse().unwrap());
    assert_eq!(service.send(request).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn only_post_is_a_delivery() {
    let service = service().await;
    let request = Request::get("/webhook").body(Body::empty()).unwrap();
    assert_eq!(
        service.send(request).await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn it_is_ready_once_the_branch_was_read_while_the_database_answers_and_the_worker_works() {
    let service = service().await;
    let look = async || {
        let (status, body) = service
            .send(Request::get("/health/ready").body(Body::empty()).unwrap())
            .await;
        (
            status.as_u16(),
            serde_json::from_str::<Value>(&body).unwrap(),
        )
    };
    let ready = async || {
        let (status, body) = look().await;
        // Whoever is not ready says why.
        let problems = body["problems"].as_array().unwrap().len();
        assert_eq!(status == 200, problems == 0, "{body}");
        (status, body["last_pass_seconds_ago"].clone())
    };
    assert_eq!(ready().await, (503, Value::Null));
    service.last_pass.send(Some(start())).unwrap();
    let (status, body) = look().await;
    assert_eq!((status, &body["main"]), (503, &json!(false)));
    let problem = body["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("the protected branch was never read"),
        "{body}"
    );
    let tip = CommitId::new("0123456789abcdef0123456789abcdef01234567").unwrap();
    service
        .store
        .commit_arrivals(&[], &[], (None, &tip))
        .await
        .unwrap();
    service.clock.advance(TimeDelta::seconds(180));
    assert_eq!(ready().await, (200, json!(180)));
    assert_eq!(look().await.1["granting"], true);
    service.clock.advance(TimeDelta::seconds(1));
    assert_eq!(ready().await, (503, json!(181)));

    service.last_pass.send(Some(service.clock.now())).unwrap();
    assert_eq!(ready().await, (200, json!(0)));
    // In safe mode webhooks are taken and ends are kept: it is ready, and says that it grants nothing.
    let note = async |value: Option<&'static str>| {
        service
            .store
            .note_with("safe-mode", value, &[])
            .await
            .unwrap()
    };
    note(Some("main-rewritten")).await;
    service.clock.advance(TimeDelta::seconds(1));
    let (status, body) = look().await;
    assert_eq!((status, &body["granting"]), (200, &json!(false)));
    let why = body["not_granting_because"].as_str().unwrap();
    assert!(
        why.contains("safe mode (main-rewritten): the protected branch lost commits"),
        "{why}"
    );
    note(None).await;
    service.clock.advance(TimeDelta::seconds(1));
    assert_eq!(look().await.1["not_granting_because"], Value::Null);
    service.store.close().await;
    service.clock.advance(TimeDelta::seconds(1));
    assert_eq!(ready().await, (503, json!(3)));
    // Which is no reason to restart it.
    let live = service
        .send(Request::get("/health/live").body(Body::empty()).unwrap())
        .await;
    assert_eq!(live, (StatusCode::OK, "live\n".to_owned()));
}

#[tokio::test]
async fn however_many_ask_whether_it_is_ready_the_database_is_asked_once_a_second() {
    // A clock that was put back keeps no answer for longer.
    for (milliseconds, kept) in [(999, true), (1000, false), (-60_000, false)] {
        let service = service().await;
        let answered = async || {
            let request = Request::get("/health/ready").body(Body::empty()).unwrap();
            let (_, body) = service.send(request).await;
            let body: Value = serde_json::from_str(&body).unwrap();
            body["store"].as_bool().unwrap()
        };
        assert!(answered().await);
        // Nothing can be asked of it any more, which only whoever asks it notices.
        service.store.close().await;
        service.clock.advance(TimeDelta::milliseconds(milliseconds));
        for _ in 0..3 {
            assert_eq!(answered().await, kept, "{milliseconds}");
        }
    }
}

/// Serves on a free port until the sender is used or dropped.
async fn listen(
    router: Router,
) -> (
    std::net::SocketAddr,
    oneshot::Sender<()>,
    tokio::task::JoinHandle<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve(listener, router, async {
        let _ = stopped.await;
    }));
    (address, stop, task)
}

#[tokio::test]
async fn a_request_that_is_under_way_is_finished_before_the_end() {
    let service = service().await;
    let (address, stop, task) = listen(service.router.clone()).await;
    let body = pull(12).to_string();
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: pull_request\r\nX-Hub-Signature-256: {}\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        sign(SECRET, body.as_bytes()),
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is under way.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100"));

    stop.send(()).unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    task.await.unwrap();

    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(service.queued().await, 1);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_is_let_go() {
    let service = service().await;
    let (address, _stop, _task) = listen(service.router.clone()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"POST /webhook HTTP/1.1\r\nHost: x\r\nX-Slow")
        .await
        .unwrap();
    tokio::time::pause();
    // Returns when the server closes the connection, and not before.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?}");
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let service = service().await;
    let body = Body::from_stream(futures_util::stream::pending::<Result<&[u8], std::io::Error>>());
    tokio::time::pause();
    let (status, _) = service
        .send(delivery("push", &sign(SECRET, b""), body))
        .await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
}
