//! A delivery counts exactly where one of the secrets signed its very bytes. Whatever else it is, it is answered alike and leaves nothing.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use hallpass::clock::ManualClock;
use hallpass::domain::model::RepoName;
use hallpass::http::{Shared, Source, router};
use hallpass::metrics::Metrics;
use hallpass::store::Store;
use hallpass_fuzz::{alone, now, wait};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};
use tower::ServiceExt;

const SECRETS: [&str; 2] = ["It's a Secret to Everybody", "the one before"];

struct Service {
    store: Store,
    router: Router,
}

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let store = wait(Store::open(&format!(
        "sqlite://{}/hallpass.db",
        folder.display()
    )));
    let store = store.expect("a database");
    let router = router(&Arc::new(Shared {
        store: store.clone(),
        clock: Arc::new(ManualClock::at(now())),
        source: Source {
            repository: RepoName::try_from("acme/access".to_owned()).expect("a name"),
            installation: Some(7),
            app: 11,
            protected_branch: "main".to_owned(),
        },
        secrets: SECRETS.map(SecretString::from).into(),
        woken: Arc::new(Notify::new()),
        last_pass: watch::channel(None).1,
        stale_after: Duration::from_secs(180),
        metrics: Metrics::default(),
        connections: Vec::new(),
        anchored: Default::default(),
    }));
    Service { store, router }
});

/// HMAC-SHA256 as RFC 2104 writes it down.
fn hmac(secret: &str, body: &[u8]) -> [u8; 32] {
    let mut key = [0; 64];
    assert!(secret.len() <= key.len());
    key[..secret.len()].copy_from_slice(secret.as_bytes());
    let pad = |with: u8| key.map(|b| b ^ with);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(body)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// Whether a header is the signature of the body by one of the secrets.
fn signs(header: &[u8], body: &[u8]) -> bool {
    let digits = header
        .strip_prefix(b"sha256=")
        .filter(|digits| digits.len() == 64);
    let written = digits.map(|digits| String::from_utf8_lossy(digits).to_ascii_lowercase());
    written.is_some_and(|written| {
        SECRETS
            .iter()
            .any(|s| hex::encode(hmac(s, body)) == written)
    })
}

async fn send(headers: &[Vec<u8>], event: &[u8], body: &[u8]) -> Option<(StatusCode, Vec<u8>)> {
    let mut request = Request::post("/webhook").header("X-GitHub-Delivery", "72d3162e");
    request = request.header("X-GitHub-Event", HeaderValue::from_bytes(event).ok()?);
    for header in headers {
        request = request.header("X-Hub-Signature-256", HeaderValue::from_bytes(header).ok()?);
    }
    let request = request.body(Body::from(body.to_vec())).expect("a request");
    let answer = SERVICE
        .router
        .clone()
        .oneshot(request)
        .await
        .expect("an answer");
    let status = answer.status();
    let told = answer
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    Some((status, told.to_vec()))
}

async fn queued() -> usize {
    let due = SERVICE.store.due_wakes(now()).await.expect("a queue");
    for taken in &due {
        SERVICE.store.finish_wake(taken).await.expect("a queue");
    }
    due.len()
}

// How it is signed, the event on a line, the body; a header of one's own stands on a line between them.
fuzz_target!(init: { alone(); LazyLock::force(&SERVICE); }, |data: &[u8]| {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    let mut lines = rest.splitn(2, |b| *b == b'\n');
    let (event, rest) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let signed = |secret: usize, body: &[u8]| {
        format!("sha256={}", hex::encode(hmac(SECRETS[secret], body))).into_bytes()
    };
    let mut body = rest;
    let headers = match how {
        b'0' | b'1' => vec![signed(usize::from(*how == b'1'), body)],
        b'U' => vec![signed(0, body).to_ascii_uppercase()],
        b'2' => vec![signed(0, body), signed(1, body)],
        b'-' => Vec::new(),
        // All but a bit of it.
        b'~' => {
            let mut header = signed(0, body);
            let bit = body.len() % (header.len() * 8);
            header[bit / 8] ^= 1 << (bit % 8);
            vec![header]
        }
        // Another body than the one that is signed.
        b'+' => {
            let header = signed(0, body);
            body = body.get(1..).unwrap_or(b"x");
            vec![header]
        }
        _ => {
            let mut lines = rest.splitn(2, |b| *b == b'\n');
            let header = lines.next().unwrap_or_default().to_vec();
            body = lines.next().unwrap_or_default();
            vec![header]
        }
    };
    wait(async {
        let Some((status, told)) = send(&headers, event, body).await else {
            return;
        };
        let genuine = matches!(&headers[..], [one] if signs(one, body));
        if genuine {
            assert!(matches!(status, StatusCode::ACCEPTED | StatusCode::BAD_REQUEST), "{status}");
        } else {
            assert_eq!((status, &told[..]), (StatusCode::UNAUTHORIZED, &b"not signed\n"[..]));
        }
        // Reading the queue costs more than the rest: what is refused is looked after now and then, as nothing takes it out meanwhile.
        if genuine || rest.len() % 16 == 0 {
            let queued = queued().await;
            assert!(queued == 0 || status == StatusCode::ACCEPTED, "{queued} are queued: {status}");
        }
    });
});
