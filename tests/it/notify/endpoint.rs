//! `[notices.http]`, with a receiver that answers what a test tells it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hallpass::notify::receiver::Receiver;
use hallpass::notify::{Channel as _, NotifyError, Recipient};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::{HOSTILE, http, message};
use crate::leaks;

pub const SECRET: &str = "whsec_Y2FuYXJ5LWV2ZW50cy1jYW5hcnktZXZlbnRzLTEyMzQ=";

/// What the receiver does with the next call.
#[derive(Debug, Clone, Copy)]
pub enum Next {
    /// Takes it.
    Take,
    /// Answers this, with `Retry-After` in seconds where there is one.
    Say(u16, Option<u32>),
    /// Takes it, and the answer is lost.
    Lose,
}

/// One call that arrived.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub id: String,
    pub signed: bool,
    pub body: Value,
}

impl Call {
    pub fn title(&self) -> &str {
        self.body["data"]["title"].as_str().unwrap()
    }
}

#[derive(Debug, Default)]
struct Office {
    calls: Vec<Call>,
    script: VecDeque<Next>,
    always: Option<Next>,
}

/// A running receiver.
#[derive(Debug, Clone)]
pub struct Endpoint {
    office: Arc<Mutex<Office>>,
    pub url: String,
}

impl Endpoint {
    pub async fn start() -> Self {
        let office = Arc::new(Mutex::new(Office::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        let app = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&office));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { office, url }
    }

    /// What it does with the next calls, before it takes everything again.
    pub fn then(&self, script: &[Next]) {
        self.office.lock().unwrap().script.extend(script);
    }

    /// What it does with every call from here on; `None`: takes it.
    pub fn always(&self, next: Option<Next>) {
        self.office.lock().unwrap().always = next;
    }

    /// The calls that it took.
    pub fn calls(&self) -> Vec<Call> {
        let posted = |call: &Call| call.method == Method::POST;
        let calls = self.office.lock().unwrap().calls.clone();
        for call in &calls {
            leaks::in_text("a message", call.body.to_string());
        }
        calls.into_iter().filter(posted).collect()
    }

    pub fn titles(&self) -> Vec<String> {
        self.calls().iter().map(|c| c.title().to_owned()).collect()
    }

    /// The titles of the calls of one topic.
    pub fn titles_of(&self, topic: &str) -> Vec<String> {
        let kind = format!("hallpass.{topic}");
        let calls = self.calls().into_iter();
        let calls = calls.filter(|call| call.body["type"] == kind.as_str());
        calls.map(|call| call.title().to_owned()).collect()
    }

    /// The section of the configuration.
    pub fn section(&self, events: &str) -> String {
        format!(
            "[notices.http]\nurl = \"{}\"\nsecret_env = \"EVENTS_SECRET\"\nevents = [{events}]\n",
            self.url
        )
    }
}

async fn receive(
    State(office): State<Arc<Mutex<Office>>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap) {
    let next = {
        let mut office = office.lock().unwrap();
        let next = office.script.pop_front().or(office.always);
        let next = next.unwrap_or(Next::Take);
        if matches!(next, Next::Take | Next::Lose) {
            office.calls.push(Call {
                method,
                id: text(&headers, "webhook-id"),
                signed: is_signed(&headers, &body),
                body: serde_json::from_slice(&body).unwrap_or_default(),
            });
        }
        next
    };
    let mut answer = HeaderMap::new();
    match next {
        Next::Take => (StatusCode::NO_CONTENT, answer),
        Next::Say(status, later) => {
            if let Some(later) = later {
                answer.insert("retry-after", later.into());
            }
            (StatusCode::from_u16(status).unwrap(), answer)
        }
        Next::Lose => (StatusCode::BAD_GATEWAY, answer),
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// By the specification of Standard Webhooks, and not by the code that signs.
fn is_signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let key = STANDARD
        .decode(SECRET.trim_start_matches("whsec_"))
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let (id, at) = (
        text(headers, "webhook-id"),
        text(headers, "webhook-timestamp"),
    );
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(body);
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    text(headers, "webhook-signature")
        .split(' ')
        .any(|signature| signature == wanted)
}

fn channel(endpoint: &Endpoint) -> Receiver {
    Receiver::new(http(&endpoint.url), &[SECRET.into()]).unwrap()
}

#[tokio::test]
async fn an_endpoint_is_told_signed_and_under_the_same_id_each_time() {
    let endpoint = Endpoint::start().await;
    let channel = channel(&endpoint);
    for key in ["granted:a", "granted:a", "granted:b"] {
        let told = message(key, HOSTILE);
        channel.send(&told, Recipient::Everybody).await.unwrap();
    }
    let calls = endpoint.calls();
    assert!(calls.iter().all(|call| call.signed), "{calls:?}");
    assert_eq!(calls[0].id, calls[1].id);
    assert_ne!(calls[0].id, calls[2].id);
    assert_eq!(calls[0].body["type"], "hallpass.granted");
    assert_eq!(calls[0].body["timestamp"], "2026-11-23T09:00:00Z");
    // JSON carries it as data.
    assert_eq!(calls[0].body["data"]["facts"][0]["text"], HOSTILE);
}

#[tokio::test]
async fn what_an_endpoint_answers_says_what_to_do_and_repeats_no_secret() {
    let endpoint = Endpoint::start().await;
    let channel = channel(&endpoint);
    for (next, later) in [
        (Next::Say(429, Some(120)), Some("2026-11-23T09:02:00Z")),
        (Next::Say(503, None), None),
        (Next::Lose, None),
    ] {
        endpoint.then(&[next]);
        let error = channel
            .send(&message("a", "x"), Recipient::Everybody)
            .await
            .unwrap_err();
        assert!(matches!(error, NotifyError::Unavailable { .. }), "{error}");
        assert_eq!(error.retry_at(), later.map(|at| at.parse().unwrap()));
    }
    for status in [401, 403, 400] {
        endpoint.then(&[Next::Say(status, None)]);
        let error = channel
            .send(&message("a", "x"), Recipient::Everybody)
            .await
            .unwrap_err();
        assert!(matches!(error, NotifyError::Refused { .. }), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("Y2FuYXJ5"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_unavailable_and_looking_sends_nothing() {
    let endpoint = Endpoint::start().await;
    let found = channel(&endpoint).check().await.unwrap();
    assert!(found.contains("nothing was sent"), "{found}");
    assert!(endpoint.calls().is_empty());
    let down = Receiver::new(http("http://127.0.0.1:9/"), &[SECRET.into()]).unwrap();
    let error = down.check().await.unwrap_err();
    assert!(matches!(error, NotifyError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let silent = Receiver::new(http(&url), &[SECRET.into()]).unwrap();
    let told = message("a", "x");
    let sent = silent.send(&told, Recipient::Everybody);
    let accepted = async {
        let connection = listener.accept().await.unwrap();
        // Connected, and from here on only the clock moves.
        tokio::time::pause();
        std::future::pending::<()>().await;
        drop(connection);
    };
    tokio::select! {
        done = tokio::time::timeout(Duration::from_secs(60), sent) => {
            let error = done.unwrap().unwrap_err();
            assert!(matches!(error, NotifyError::Unavailable { .. }), "{error}");
        }
        () = accepted => unreachable!(),
    }
}
