//! The client that the kinds which speak HTTP share: what it calls, what it does not, and what it says went wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use chrono::{DateTime, TimeDelta};
use hallpass::domain::model::Instant;
use hallpass::providers::ProviderError;
use hallpass::providers::http::{
    ANSWER, Answer, Call, Failure, Guard, Http, LinkLocal, Listing, Now, Reach, Settings,
};
use reqwest::dns::Resolve;
use secrecy::SecretString;
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::contract::connection;

const TOKEN: &str = "canary-token";

fn now() -> Instant {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A clock that stands still.
pub fn still() -> Now {
    Arc::new(now)
}

fn settings(url: &str) -> Settings {
    Settings {
        url: Url::parse(url).unwrap(),
        ca: None,
        link_local: LinkLocal::Refused,
        now: still(),
    }
}

/// A server that answers with `answer`, and remembers the addresses it was asked for.
async fn server(
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let router = Router::new().fallback(move |request: Request| {
        kept.lock().unwrap().push(request.uri().to_string());
        let answer = answer();
        async move { answer }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

fn said(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_owned())).unwrap()
}

/// What comes of a call that is answered so.
async fn outcome(status: u16, headers: &'static [(&str, &str)], body: &'static str) -> Failure {
    let (address, _) = server(move || said(status, headers, body)).await;
    ask(address).await.unwrap_err()
}

async fn ask(address: SocketAddr) -> Result<(), Failure> {
    let url = format!("http://{address}/scim/v2");
    let http = Http::with_token(settings(&url), "Bearer", &SecretString::from(TOKEN)).unwrap();
    let route = http
        .route(&["Users", "1"], &[("filter", "canary-filter")])
        .unwrap();
    http.send("looking up", Call::get(route)).await.map(drop)
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// When an answer says to come back; the outer option is whether it says so at all.
async fn back(status: u16, headers: &'static [(&str, &str)]) -> Option<Option<TimeDelta>> {
    match outcome(status, headers, "").await {
        Failure::Unavailable { retry_at, .. } => Some(retry_at.map(|at| at - now())),
        _ => None,
    }
}

#[tokio::test]
async fn a_server_says_when_to_come_back_and_is_not_believed_for_ever() {
    let seconds = |n| Some(Some(TimeDelta::seconds(n)));
    assert_eq!(back(429, &[("Retry-After", "7")]).await, seconds(7));
    assert_eq!(back(503, &[("Retry-After", "7")]).await, seconds(7));
    // 1_800_000_000 is 2027-01-15 08:00:00.
    let date = &[("Retry-After", "Fri, 15 Jan 2027 08:01:30 GMT")];
    assert_eq!(back(429, date).await, seconds(90));
    let past = &[("Retry-After", "Fri, 15 Jan 2021 08:01:30 GMT")];
    assert_eq!(back(429, past).await, seconds(0));
    let okta = &[("X-Rate-Limit-Reset", "1800000042")];
    assert_eq!(back(429, okta).await, seconds(42));
    assert_eq!(back(429, &[]).await, seconds(60));
    assert_eq!(back(429, &[("Retry-After", "soon")]).await, seconds(60));
    assert_eq!(
        back(429, &[("Retry-After", "4000000000")]).await,
        seconds(86_400)
    );
    assert_eq!(back(503, &[]).await, Some(None));
    assert_eq!(back(500, &[]).await, Some(None));
    assert_eq!(back(408, &[]).await, Some(None));
}

#[tokio::test]
async fn a_failure_says_what_to_do() {
    for status in [401, 403, 451, 501] {
        let failure = outcome(status, &[], r#"{"detail":"not you"}"#).await;
        let Failure::Refused { reason, .. } = &failure else {
            panic!("{status}: {failure}");
        };
        assert!(reason.contains("not you"), "{reason}");
    }
    // Whatever stands before the server says that too: it is nobody's word that something is gone.
    for status in [404, 410] {
        let failure = outcome(status, &[], r#"{"detail":"no page"}"#).await;
        assert!(
            matches!(failure, Failure::Unavailable { .. }),
            "{status}: {failure}"
        );
        let words = chain(&failure);
        assert!(words.contains("no page"), "{words}");
        assert!(words.contains("address of the connection"), "{words}");
    }
    for (status, again) in [(400, false), (422, false), (409, true), (412, true)] {
        let failure = outcome(status, &[], r#"{"errorSummary":"no"}"#).await;
        assert!(
            matches!(failure, Failure::Declined { .. }),
            "{status}: {failure}"
        );
        let told = failure.told(&connection());
        assert_eq!(
            matches!(told, ProviderError::Unavailable { .. }),
            again,
            "{status}: {told}"
        );
        assert!(chain(&told).contains("no"), "{}", chain(&told));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, asked_elsewhere) = server(|| said(200, &[], "{}")).await;
    let target = format!("http://{elsewhere}/scim/v2/Users/1");
    for status in [301, 302, 303, 307, 308] {
        let to = target.clone();
        let (address, asked) = server(move || said(status, &[("Location", &to)], "")).await;
        let failure = ask(address).await.unwrap_err();
        assert!(matches!(failure, Failure::Refused { .. }), "{failure}");
        assert!(
            failure.to_string().contains("redirects are not followed"),
            "{failure}"
        );
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
    assert_eq!(*asked_elsewhere.lock().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_server_that_says_the_token_back_is_repeated_without_it() {
    let encoded = "Y2FuYXJ5LXRva2Vu";
    let cut = format!("{} canary-token", "x".repeat(290));
    for words in [cut, format!("Basic {encoded}"), "canary%2Dtoken".to_owned()] {
        let body = serde_json::json!({ "detail": words }).to_string();
        let (address, _) = server(move || said(400, &[], &body)).await;
        let said = chain(&ask(address).await.unwrap_err());
        assert!(
            !said.contains("canary") && !said.contains(encoded),
            "{said}"
        );
    }
    let (address, _) = server(|| said(200, &[], r#"{"canary-token": true}"#)).await;
    let url = format!("http://{address}/");
    let http = Http::with_token(settings(&url), "Bearer", &SecretString::from(TOKEN)).unwrap();
    let call = Call::get(http.route(&[], &[]).unwrap());
    let answer = http.send("looking up", call).await.unwrap();
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    let said = chain(&answer.json::<Nothing>("looking up").unwrap_err());
    assert!(
        said.contains("unknown field") && !said.contains("canary"),
        "{said}"
    );
}

#[tokio::test]
async fn no_error_repeats_the_token_or_the_address() {
    let echo = r#"{"detail":"Bearer canary-token is\nnot known \u001b[31m here"}"#;
    let failure = outcome(401, &[], echo).await;
    let words = chain(&failure);
    assert!(
        words.contains("Bearer [the token] is not known [31m here"),
        "{words}"
    );

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let nobody = ask(address).await.unwrap_err();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
        client.write_all(half).await.unwrap();
    });
    let cut = ask(address).await.unwrap_err();
    for failure in [nobody, cut] {
        let words = format!("{} {failure:?}", chain(&failure));
        assert!(matches!(failure, Failure::Unavailable { .. }), "{words}");
        assert!(!words.contains("canary"), "{words}");
    }

    let odd = SecretString::from("canary\ntoken");
    let failure =
        Http::with_token(settings("https://scim.example.org"), "Bearer", &odd).unwrap_err();
    assert!(!chain(&failure).contains("canary"), "{failure}");
    let http = Http::with_token(
        settings("https://scim.example.org"),
        "Bearer",
        &SecretString::from(TOKEN),
    );
    assert!(!format!("{http:?}").contains("canary"));
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let (address, _) = server(|| {
        let chunk = vec![b' '; 1 << 20];
        let endless =
            futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
        Response::new(Body::from_stream(endless))
    })
    .await;
    let failure = ask(address).await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable { .. }), "{failure}");
    assert!(
        chain(&failure).contains("does not end"),
        "{}",
        chain(&failure)
    );

    let (address, _) = server(|| said(200, &[], &" ".repeat(ANSWER))).await;
    ask(address).await.unwrap();
}

#[tokio::test]
async fn of_what_is_said_with_a_no_only_the_beginning_is_read() {
    let (address, _) = server(|| {
        let chunk = vec![b' '; 1 << 20];
        let endless =
            futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
        let mut response = Response::new(Body::from_stream(endless));
        *response.status_mut() = http::StatusCode::BAD_GATEWAY;
        response
    })
    .await;
    let failure = ask(address).await.unwrap_err();
    assert!(chain(&failure).contains("502"), "{}", chain(&failure));
    assert!(matches!(failure, Failure::Unavailable { .. }), "{failure}");
}

#[test]
fn a_list_that_is_longer_than_any_is_refused_and_never_cut() {
    let page = |bytes: usize| Answer {
        status: http::StatusCode::OK,
        headers: http::HeaderMap::new(),
        body: vec![b' '; bytes],
        secrets: Default::default(),
    };
    for (page, fine, says) in [(page(4 << 20), 16, "64 MiB"), (page(0), 1000, "1000 pages")] {
        let mut listing = Listing::default();
        for _ in 0..fine {
            listing.add("listing", &page).unwrap();
        }
        let failure = listing.add("listing", &page).unwrap_err();
        assert!(matches!(failure, Failure::Refused { .. }), "{failure}");
        assert!(failure.to_string().contains(says), "{failure}");
    }
}

#[tokio::test]
async fn whatever_a_segment_holds_it_stays_one() {
    let (address, asked) = server(|| said(200, &[], "{}")).await;
    let http = Http::new(settings(&format!("http://{address}/scim/v2/"))).unwrap();
    for segment in ["a/b", "a?b#c", "a%2fb", "../../x", "ü\\"] {
        let route = http.route(&["Users", segment], &[("q", "a&b=c")]).unwrap();
        http.send("looking up", Call::get(route)).await.unwrap();
    }
    insta::assert_debug_snapshot!(asked.lock().unwrap(), @r#"
    [
        "/scim/v2/Users/a%2Fb?q=a%26b%3Dc",
        "/scim/v2/Users/a%3Fb%23c?q=a%26b%3Dc",
        "/scim/v2/Users/a%252fb?q=a%26b%3Dc",
        "/scim/v2/Users/..%2F..%2Fx?q=a%26b%3Dc",
        "/scim/v2/Users/%C3%BC%5C?q=a%26b%3Dc",
    ]
    "#);
    // Line ends and tabs are dropped from an address: what is left would be about another.
    for segment in ["", ".", "..", "...", "a\nb", "\ra", "a\t"] {
        let failure = http.route(&["Users", segment], &[]).unwrap_err();
        assert!(matches!(failure, Failure::Refused { .. }), "{failure}");
    }
}

#[tokio::test]
async fn the_next_page_is_on_the_same_server_or_there_is_none() {
    let next = |links: &'static [(&str, &str)]| async move {
        let (address, _) = server(move || said(200, links, "[]")).await;
        let http = Http::new(settings(&format!("http://{address}"))).unwrap();
        let url = http.route(&[], &[]).unwrap();
        let mut answer = http.send("listing", Call::get(url)).await.unwrap();
        let links = std::mem::take(&mut answer.headers);
        for (name, value) in &links {
            let value = value
                .to_str()
                .unwrap()
                .replace("SELF", &format!("http://{address}"));
            answer.headers.append(name, value.parse().unwrap());
        }
        let page = http.next_page("listing", &answer);
        page.map(|page| page.map(|url| Http::shown(&url)))
    };
    let okta = &[
        ("link", "<SELF/api/v1/users?limit=2>; rel=\"self\""),
        (
            "link",
            "<SELF/api/v1/users?after=a,b&limit=2>; rel=\"next\"",
        ),
    ];
    assert_eq!(
        next(okta).await.unwrap().as_deref(),
        Some("/api/v1/users?after=a,b&limit=2")
    );
    let one_header = &[(
        "link",
        "<SELF/a>; rel=\"first\", <SELF/b>; rel=\"next\", <SELF/c>; rel=\"last\"",
    )];
    assert_eq!(next(one_header).await.unwrap().as_deref(), Some("/b"));
    assert_eq!(
        next(&[("link", "<SELF/a>; rel=\"self\"")]).await.unwrap(),
        None
    );
    assert_eq!(next(&[]).await.unwrap(), None);
    let failure = next(&[("link", "<http://192.0.2.1/b>; rel=\"next\"")])
        .await
        .unwrap_err();
    assert!(chain(&failure).contains("another server"), "{failure}");
}

#[test]
fn plain_http_and_link_local_addresses_are_refused() {
    let of = |url: &str, allowed| Reach::of(&Url::parse(url).unwrap(), allowed);
    for url in [
        "http://127.0.0.1:8080",
        "http://127.9.9.9",
        "http://[::1]/x",
        "http://localhost",
    ] {
        assert_eq!(of(url, LinkLocal::Refused), Ok(Reach::ThisMachine), "{url}");
    }
    for url in [
        "http://scim.example.org",
        "http://10.0.0.1",
        "http://localhost.example.org",
        "ftp://127.0.0.1",
        "http://[::ffff:8.8.8.8]",
    ] {
        of(url, LinkLocal::Allowed).expect_err(url);
    }
    for url in [
        "https://scim.example.org",
        "https://10.0.0.1",
        "https://127.0.0.1",
        "https://[fd00::1]",
    ] {
        assert_eq!(of(url, LinkLocal::Refused), Ok(Reach::Network), "{url}");
    }
    for url in [
        "https://169.254.169.254/latest",
        "https://0xA9FEA9FE", // the same
        "https://2852039166", // the same
        "https://[fe80::1]",
        "https://[::ffff:169.254.169.254]",
        "https://[64:ff9b::a9fe:a9fe]",
        "https://[fd00:ec2::254]",
        "https://168.63.129.16",
        "https://0.0.0.0",
        "https://224.0.0.1",
    ] {
        let why = of(url, LinkLocal::Refused).expect_err(url);
        assert!(why.contains("allow_link_local = true"), "{why}");
        assert_eq!(of(url, LinkLocal::Allowed), Ok(Reach::Anywhere), "{url}");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_a_link_local_address_is_refused_when_it_is_looked_up() {
    // The system's resolver knows these names without asking anybody.
    for (name, reach, fine) in [
        ("169.254.169.254", Reach::Network, false),
        ("169.254.169.254", Reach::Anywhere, true),
        ("2852039166", Reach::Network, false),
        ("fe80::1", Reach::Network, false),
        ("10.0.0.1", Reach::Network, true),
        ("10.0.0.1", Reach::ThisMachine, false),
        ("localhost", Reach::ThisMachine, true),
    ] {
        let found = Guard::new(reach)
            .resolve(name.parse().unwrap())
            .await
            .map(Iterator::count);
        assert_eq!(found.is_ok(), fine, "{name} {found:?}");
        assert!(!fine || found.unwrap() > 0, "{name}");
    }
}
