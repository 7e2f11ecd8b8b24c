//! A wire between two programs that a test can break one way: what goes that way is held, as a network loses it and the sender's machine
//! keeps it, until the wire is whole again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A way on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From whoever connects.
    There,
    /// To whoever connects.
    Back,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Now {
    lost: Option<Way>,
    /// How many connections there were that this was to befall; `None`: all, whenever they begin.
    of: Option<usize>,
    /// Whether something is held.
    held: bool,
}

struct Ends {
    now: watch::Sender<Now>,
    /// Lost, that way, as soon as this goes there.
    word: Mutex<Option<(&'static str, Lost)>>,
    /// How many connections there were.
    connections: AtomicUsize,
}

/// What is to be lost.
#[derive(Debug, Clone, Copy)]
struct Lost {
    way: Way,
    /// Whether connections that begin later go through.
    open_only: bool,
}

/// A wire.
pub struct Wire {
    address: SocketAddr,
    ends: Arc<Ends>,
}

impl Wire {
    /// One that leads to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ends = Arc::new(Ends {
            now: watch::Sender::default(),
            word: Mutex::default(),
            connections: AtomicUsize::default(),
        });
        let shared = Arc::clone(&ends);
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let Ok(there) = TcpStream::connect(target).await else {
                    continue;
                };
                let ((read, write), (answers, asks)) = (here.into_split(), there.into_split());
                let number = shared.connections.fetch_add(1, Ordering::Relaxed);
                for (way, from, to) in [(Way::There, read, asks), (Way::Back, answers, write)] {
                    tokio::spawn(carry(Arc::clone(&shared), (way, number), from, to));
                }
            }
        });
        Self { address, ends }
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loses `way`.
    pub fn lose(&self, way: Way) {
        self.ends.now.send_modify(|now| now.lost = Some(way));
    }

    /// Loses `way` as soon as something that holds `word` goes there.
    pub fn lose_at(&self, word: &'static str, way: Way) {
        let open_only = false;
        *self.ends.word.lock().unwrap() = Some((word, Lost { way, open_only }));
    }

    /// The same, of the connections that are open then and for good, as when a host is lost without a word: others go through.
    pub fn lose_open_at(&self, word: &'static str, way: Way) {
        let open_only = true;
        *self.ends.word.lock().unwrap() = Some((word, Lost { way, open_only }));
    }

    /// Waits until it holds something.
    pub async fn holds(&self) {
        let mut now = self.ends.now.subscribe();
        now.wait_for(|now| now.held).await.unwrap();
    }

    /// Makes it whole again: what it held arrives.
    pub fn heal(&self) {
        self.ends.now.send_replace(Now::default());
    }
}

async fn carry(
    ends: Arc<Ends>,
    (way, number): (Way, usize),
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) {
    let (mut now, mut bytes) = (ends.now.subscribe(), vec![0; 16 * 1024]);
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        if way == Way::There {
            ends.listen(&bytes[..read]);
        }
        let lost = |now: &Now| now.lost == Some(way) && now.of.is_none_or(|of| number < of);
        ends.now
            .send_if_modified(|now| lost(now) && !std::mem::replace(&mut now.held, true));
        // That somebody hung up gets lost like anything else.
        if now.wait_for(|now| !lost(now)).await.is_err() || read == 0 {
            return;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

impl Ends {
    fn listen(&self, bytes: &[u8]) {
        let mut waiting = self.word.lock().unwrap();
        let said = |word: &str| {
            bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes())
        };
        if let Some((_, lost)) = waiting.take_if(|waiting| said(waiting.0)) {
            let count = || self.connections.load(Ordering::Relaxed);
            self.now.send_modify(|now| {
                now.lost = Some(lost.way);
                now.of = lost.open_only.then(count);
            });
        }
    }
}
