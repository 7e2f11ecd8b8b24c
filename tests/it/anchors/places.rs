//! Places that are spoken to: a receiver of files, and a bucket at moto.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::put;
use chrono::TimeDelta;
use hallpass::config::PlaceKind;
use hallpass::domain::anchor::SignedAnchor;

use super::{memory, minutes, safe_mode, told_by_doctor};
use crate::aws::server::Server as Moto;
use crate::world::{Ears, World};

const TOKEN: &str = "canary-of-the-keeper";

#[derive(Default)]
struct Kept {
    files: BTreeMap<String, Bytes>,
    puts: usize,
    down: bool,
    deaf_to_reading: bool,
    loses_answers: bool,
}

type Shared = Arc<Mutex<Kept>>;

/// A receiver of files that writes nothing over.
pub struct Keeper {
    kept: Shared,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

async fn take(
    State(kept): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut kept = kept.lock().unwrap();
    kept.puts += 1;
    if headers["authorization"] != format!("Bearer {TOKEN}") {
        return StatusCode::UNAUTHORIZED;
    }
    assert_eq!(headers["if-none-match"], "*");
    assert_eq!(headers["content-type"], "application/json");
    if kept.down {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if kept.files.contains_key(&name) {
        return StatusCode::PRECONDITION_FAILED;
    }
    kept.files.insert(name, body);
    match std::mem::take(&mut kept.loses_answers) {
        true => StatusCode::BAD_GATEWAY,
        false => StatusCode::CREATED,
    }
}

async fn give(State(kept): State<Shared>, Path(name): Path<String>) -> Result<Bytes, StatusCode> {
    let kept = kept.lock().unwrap();
    match kept.files.get(&name) {
        _ if kept.deaf_to_reading => Err(StatusCode::METHOD_NOT_ALLOWED),
        Some(bytes) => Ok(bytes.clone()),
        None => Err(StatusCode::NOT_FOUND),
    }
}

impl Keeper {
    pub async fn start() -> Self {
        let kept = Shared::default();
        let router = Router::new()
            .route("/anchors/{name}", put(take).get(give))
            .with_state(Arc::clone(&kept));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), TOKEN).unwrap();
        Self {
            kept,
            address,
            folder,
        }
    }

    /// The table of the configuration.
    pub fn table(&self) -> String {
        format!(
            "[evidence.anchor.keeper]\nkind = \"http\"\nurl = \"http://{}/anchors\"\ntoken_file = \"{}\"\n",
            self.address,
            self.folder.path().join("token").display()
        )
    }

    pub fn puts(&self) -> usize {
        self.kept.lock().unwrap().puts
    }

    pub fn names(&self) -> Vec<String> {
        self.kept.lock().unwrap().files.keys().cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_each_anchor_once_and_is_asked_again_while_it_is_down() {
    let keeper = Keeper::start().await;
    keeper.kept.lock().unwrap().down = true;
    let world = World::new(Ears::Deaf, &keeper.table()).await;
    world.resync().await;
    assert_eq!(keeper.puts(), 1);
    assert!(keeper.names().is_empty());
    let error = memory(&world, "keeper").await.pending.unwrap().error;
    let error = error.unwrap();
    assert!(error.contains("503"), "{error}");
    assert!(!error.contains(TOKEN), "{error}");
    keeper.kept.lock().unwrap().down = false;
    world.advance(minutes(10)).await;
    world.resync().await;
    world.resync().await;
    assert_eq!((keeper.puts(), keeper.names().len()), (2, 1));
    let told = world.evidence().pop().unwrap();
    assert!(told.contains("\nReceipt: 201 Created\n"), "{told}");
    let bytes = keeper
        .kept
        .lock()
        .unwrap()
        .files
        .values()
        .next()
        .unwrap()
        .clone();
    let anchor = SignedAnchor::read(&bytes).unwrap();
    assert_eq!(keeper.names(), [anchor.name()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_took_without_an_answer_is_found_there() {
    for unreadable in [false, true] {
        let keeper = Keeper::start().await;
        keeper.kept.lock().unwrap().loses_answers = true;
        keeper.kept.lock().unwrap().deaf_to_reading = unreadable;
        let world = World::new(Ears::Deaf, &keeper.table()).await;
        world.resync().await;
        assert_eq!(keeper.names().len(), 1);
        assert!(world.told("anchored").is_empty());
        world.advance(minutes(10)).await;
        world.resync().await;
        assert_eq!(keeper.names().len(), 1);
        let told = world.evidence().pop().unwrap();
        let receipt = match unreadable {
            false => "\nReceipt: it stood there already, byte for byte\n",
            true => {
                "\nReceipt: something stood there already under that name, and may not be read\n"
            }
        };
        assert!(told.contains(receipt), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_lost_what_could_be_read_there_is_told_of() {
    let keeper = Keeper::start().await;
    let mut world = World::new(Ears::Deaf, &keeper.table()).await;
    world.resync().await;
    world.start().await;
    world.resync().await;
    assert_eq!(memory(&world, "keeper").await.trouble, None);
    keeper.kept.lock().unwrap().files.clear();
    world.start().await;
    world.resync().await;
    let trouble = memory(&world, "keeper").await.trouble.unwrap();
    assert!(trouble.contains("is not there any more"), "{trouble}");
    assert_eq!(safe_mode(&world).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_a_cloud_that_tells_secrets_is_refused() {
    let keeper = Keeper::start().await;
    let mut world = World::new(Ears::Deaf, &keeper.table()).await;
    world.stop().await;
    let (mut config, clock, extra) = world.parts();
    for place in config.evidence.anchors.values_mut() {
        let PlaceKind::Http { endpoint, .. } = &mut place.kind else {
            panic!("{place:?}")
        };
        endpoint.url = "https://169.254.169.254/latest".parse().unwrap();
    }
    let refused = hallpass::app::service::Service::assemble(&config, clock, extra).await;
    let why = format!("{:#}", refused.unwrap_err());
    assert!(why.contains("link-local or metadata address"), "{why}");
}

/// A bucket of its own at moto, and the table of the configuration that leads there.
async fn bucket(name: &str, prefix: &str) -> (String, tempfile::TempDir) {
    let root = format!("http://{}/{name}", Moto::shared().address());
    let made = reqwest::Client::new().put(&root).send().await.unwrap();
    assert!(made.status().is_success());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "canary-secret-key").unwrap();
    let table = format!(
        "[evidence.anchor.archive]\nkind = \"s3\"\nbucket = \"{name}\"\n{prefix}region = \"us-east-1\"\naccess_key = \"AKIATEST\"\n\
         secret_key_file = \"{}\"\nendpoint = \"http://{}\"\n",
        folder.path().join("secret").display(),
        Moto::shared().address()
    );
    (table, folder)
}

async fn object(name: &str, key: &str) -> Option<Vec<u8>> {
    let url = format!("http://{}/{name}/{key}", Moto::shared().address());
    // Moto looks at no signature, and shows what is not public only to those who have one.
    let signed = "AWS4-HMAC-SHA256 Credential=AKIATEST/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let asked = reqwest::Client::new()
        .get(url)
        .header("authorization", signed);
    let got = asked.send().await.unwrap();
    got.status().is_success().then_some(())?;
    Some(got.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_keeps_anchors_and_lists_them_for_a_server_that_lost_its_database() {
    let below = "prefix = \"hallpass/access\"\n";
    for (name, prefix, folder) in [
        ("anchors-plain", "", ""),
        ("anchors-below", below, "hallpass/access/"),
    ] {
        let (table, _secrets) = bucket(name, prefix).await;
        let mut world = World::new(Ears::Deaf, &table).await;
        world.resync().await;
        let first = memory(&world, "archive").await.newest.unwrap();
        let kept = object(name, &format!("{folder}{}", first.name())).await;
        assert_eq!(kept.as_deref(), Some(first.file().as_slice()));
        let told = world.evidence().pop().unwrap();
        assert!(told.contains("\nReceipt: 200 OK, ETag "), "{told}");
        world.advance(TimeDelta::days(1)).await;
        world.resync().await;
        let second = memory(&world, "archive").await.newest.unwrap();
        assert!(second.seq > first.seq);

        world.lose_database().await;
        world.start().await;
        world.resync().await;
        let seen = memory(&world, "archive").await.seen.unwrap();
        assert_eq!(seen, second, "the newest of those that it lists");
        let told = format!("{:?}", told_by_doctor(&world).await);
        assert!(!told.contains("canary"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_writes_nothing_over() {
    let (table, _secrets) = bucket("anchors-taken", "").await;
    // The name is known before it is written: a place that is down at first.
    let down = table.replace("anchors-taken", "anchors-nowhere");
    let mut world = World::new(Ears::Deaf, &down).await;
    world.resync().await;
    let pending = memory(&world, "archive").await.pending.unwrap();
    let error = pending.error.unwrap();
    assert!(error.contains("NoSuchBucket"), "{error}");
    let url = format!(
        "http://{}/anchors-taken/{}",
        Moto::shared().address(),
        pending.anchor.name()
    );
    let put = reqwest::Client::new().put(&url).body("mine").send().await;
    assert!(put.unwrap().status().is_success());
    world.reconfigure("anchors-nowhere", "anchors-taken").await;
    world.clock.advance(minutes(10));
    world.resync().await;
    let error = memory(&world, "archive")
        .await
        .pending
        .unwrap()
        .error
        .unwrap();
    assert!(error.contains("something else stands there"), "{error}");
    let kept = object("anchors-taken", &pending.anchor.name()).await;
    assert_eq!(kept.as_deref(), Some(b"mine".as_slice()));
}
