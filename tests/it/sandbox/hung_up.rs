//! Whoever pushes may be gone before there is an answer: what arrived whole is done, and nothing is left that runs.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{acme, text};

/// Waits until something is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..1200 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited in vain until {what}");
}

/// Whether git serves anything below `folder`.
fn is_served(folder: &Path) -> bool {
    let folder = folder.to_str().unwrap().as_bytes();
    let processes = std::fs::read_dir("/proc").unwrap();
    let serves = |process: std::fs::DirEntry| {
        // A process that ends meanwhile has neither.
        let read = |name: &str| std::fs::read(process.path().join(name)).unwrap_or_default();
        let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|w| w == part);
        holds(&read("cmdline"), b"http-backend") && holds(&read("environ"), folder)
    };
    processes.flatten().any(serves)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_sender_is_gone_is_received_whole_and_leaves_no_process() {
    let world = acme().await;
    let token = world.personal_token("ada");
    let clone = world.clone_as(&token);
    // More than the pipes between the processes hold.
    let noise: Vec<u8> = std::iter::repeat_with(rand::random).take(1 << 20).collect();
    world.commit_file(&clone, "noise", &hex::encode(noise));
    let bundled = world.git(&clone, &["bundle", "create", "b", "HEAD", "^origin/main"]);
    assert!(bundled.status.success(), "{}", text(&bundled));
    let bundle = std::fs::read(clone.join("b")).unwrap();
    let pack = bundle.windows(4).position(|part| part == b"PACK").unwrap();
    let head = world.git(&clone, &["rev-parse", "HEAD"]).stdout;
    let head = String::from_utf8(head).unwrap().trim().to_owned();
    let line = format!("{:040} {head} refs/heads/noise\0report-status", 0);
    let mut body = format!("{:04x}{line}0000", 4 + line.len()).into_bytes();
    body.extend(&bundle[pack..]);

    let who = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
    let request = format!(
        "POST /acme/access.git/git-receive-pack HTTP/1.1\r\nhost: forge\r\nauthorization: Basic {who}\r\n\
         content-type: application/x-git-receive-pack-request\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let address = world.url().trim_start_matches("http://").to_owned();
    let mut sender = TcpStream::connect(address).await.unwrap();
    sender.write_all(request.as_bytes()).await.unwrap();
    sender.write_all(&body).await.unwrap();
    drop(sender);

    until("the branch is there", || {
        let tip = world.branch_tip("access", "noise");
        tip.is_some_and(|tip| tip.as_str() == head)
    })
    .await;
    until("the push is told", || {
        let moved = world.activity("access").pop();
        moved.is_some_and(|moved| moved.kind == "branch_creation" && moved.actor == "ada")
    })
    .await;
    until("git has ended", || !is_served(world.dir.path())).await;
}
