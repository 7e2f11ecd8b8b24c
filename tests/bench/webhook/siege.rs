//! What else reaches a webhook endpoint that the whole internet can reach.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// How each kind of request was answered, and how often.
type Answers = Arc<Mutex<BTreeMap<String, u64>>>;

/// What is sent beside signed deliveries, until it is raised.
pub struct Siege {
    stop: CancellationToken,
    thread: JoinHandle<()>,
    answers: Answers,
}

impl Siege {
    /// Begins: on a thread of its own, so that it does not slow the deliveries that are timed.
    pub fn lay(address: &str, slow: u64) -> Self {
        let (stop, answers) = (CancellationToken::new(), Answers::default());
        let host = address.trim_start_matches("http://").to_owned();
        let (until, told) = (stop.clone(), Arc::clone(&answers));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                for _ in 0..slow {
                    tokio::spawn(trickle(host.clone(), Arc::clone(&told)));
                }
                tokio::spawn(hostile(host, Arc::clone(&told)));
                until.cancelled().await;
            });
        });
        Self {
            stop,
            thread,
            answers,
        }
    }

    /// Ends, and says what was answered.
    pub fn raise(self) -> BTreeMap<String, u64> {
        self.stop.cancel();
        self.thread.join().expect("no panic");
        let answers = self.answers.lock().expect("no panic");
        answers.clone()
    }
}

fn count(answers: &Answers, what: &str, answer: Option<String>) {
    let answer = answer.unwrap_or_else(|| "closed without an answer".to_owned());
    let mut answers = answers.lock().expect("no panic");
    *answers.entry(format!("{what}: {answer}")).or_default() += 1;
}

/// A connection that sends a byte a second of a body that it announced, and begins anew when it is answered or closed.
async fn trickle(host: String, answers: Answers) {
    loop {
        let head = head(&host, 1_000);
        if let Ok(mut stream) = TcpStream::connect(&host).await
            && stream.write_all(head.as_bytes()).await.is_ok()
        {
            let mut answer = vec![0; 256];
            let told = loop {
                tokio::select! {
                    read = stream.read(&mut answer) => {
                        break read.ok().filter(|n| *n > 0).map(|n| status(&answer[..n]));
                    }
                    () = tokio::time::sleep(Duration::from_secs(1)) => {
                        if stream.write_all(b"x").await.is_err() {
                            break None;
                        }
                    }
                }
            };
            count(&answers, "a byte a second", told);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A hundred requests a second that are unsigned, no HTTP, or larger than any payload of GitHub.
async fn hostile(host: String, answers: Answers) {
    let unsigned = format!("{}{}", head(&host, 2), "{}");
    let large = head(&host, 30 * 1024 * 1024);
    let nonsense = "\u{1}\u{2}\u{3} /webhook SPAM/9.9\r\n\r\n".to_owned();
    let many = format!(
        "POST /webhook HTTP/1.1\r\nhost: {host}\r\n{}\r\n",
        "x-filler: y\r\n".repeat(2_000)
    );
    let kinds = [
        ("unsigned", unsigned),
        ("30 MiB announced", large),
        ("no HTTP", nonsense),
        ("2,000 headers", many),
    ];
    for (what, text) in kinds.into_iter().cycle() {
        let (host, answers) = (host.clone(), Arc::clone(&answers));
        tokio::spawn(async move {
            let told = tokio::time::timeout(Duration::from_secs(15), ask(&host, &text)).await;
            count(&answers, what, told.ok().flatten());
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn ask(host: &str, text: &str) -> Option<String> {
    let mut stream = TcpStream::connect(host).await.ok()?;
    stream.write_all(text.as_bytes()).await.ok()?;
    let mut answer = vec![0; 256];
    let read = stream.read(&mut answer).await.ok().filter(|n| *n > 0)?;
    Some(status(&answer[..read]))
}

fn head(host: &str, length: usize) -> String {
    format!(
        "POST /webhook HTTP/1.1\r\nhost: {host}\r\nx-github-event: pull_request\r\n\
         x-hub-signature-256: sha256={}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        "0".repeat(64)
    )
}

/// The status in the first line of an answer.
fn status(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split(' ').nth(1).unwrap_or("no HTTP").to_owned()
}
