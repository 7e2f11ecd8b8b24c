//! Stands between a provider and its server, and fails as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Everything goes through.
    Fair,
    /// Nobody listens.
    Refused,
    /// So many answers of the server come through, over all connections; the next one is lost with its connection, after the server
    /// has done what it was asked.
    CutAfter(usize),
    /// Nothing comes back any more, and nothing ends.
    Hanging,
    /// Every HTTP request is answered so, whatever it is.
    Limited,
    /// Every HTTP request that is no GET is answered so and not passed on.
    Promising(u16, &'static str),
}

#[derive(Debug)]
struct Sky {
    weather: Mutex<Weather>,
    answers: AtomicUsize,
    stuck: Notify,
}

/// A server in front of the server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    sky: Arc<Sky>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// In front of `server`.
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sky = Arc::new(Sky {
            weather: Mutex::new(Weather::Fair),
            answers: AtomicUsize::new(0),
            stuck: Notify::new(),
        });
        let listening = tokio::spawn({
            let sky = Arc::clone(&sky);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    if sky.weather() != Weather::Refused {
                        tokio::spawn(serve(client, server, Arc::clone(&sky)));
                    }
                }
            }
        });
        Self {
            address,
            sky,
            listening,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather. Connections that are open live through it too.
    pub fn set(&self, weather: Weather) {
        *self.sky.weather.lock().unwrap() = weather;
        self.sky.answers.store(0, Ordering::SeqCst);
    }

    /// Waits until an answer was held back.
    pub async fn stuck(&self) {
        self.sky.stuck.notified().await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Sky {
    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap()
    }
}

async fn serve(client: TcpStream, server: SocketAddr, sky: Arc<Sky>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_client, to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
    let answers = {
        let (sky, to_client) = (Arc::clone(&sky), Arc::clone(&to_client));
        async move {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
                let weather = sky.weather();
                let before = sky.answers.fetch_add(1, Ordering::SeqCst);
                match weather {
                    Weather::CutAfter(most) if before >= most => return,
                    Weather::Refused => return,
                    Weather::Hanging => {
                        sky.stuck.notify_one();
                        std::future::pending::<()>().await;
                    }
                    _ => {}
                }
                if to_client
                    .lock()
                    .await
                    .write_all(&buffer[..n])
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    };
    let questions = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
            if let Some(answer) = instead(sky.weather(), &buffer[..n]) {
                if to_client
                    .lock()
                    .await
                    .write_all(answer.as_bytes())
                    .await
                    .is_err()
                {
                    return;
                }
            } else if to_server.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        () = questions => {}
    }
}

/// The answer to an HTTP request that is not passed on. Each request of the tests fits into one segment of the loopback.
fn instead(weather: Weather, request: &[u8]) -> Option<String> {
    let answer = |status: u16, headers: &str, body: &str| {
        let kind = "Content-Type: application/json\r\nConnection: close";
        let length = body.len();
        format!(
            "HTTP/1.1 {status} Told\r\n{kind}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )
    };
    match weather {
        Weather::Limited => Some(answer(429, "Retry-After: 7\r\n", "{}")),
        Weather::Promising(status, body) if !request.starts_with(b"GET ") => {
            Some(answer(status, "", if status == 204 { "" } else { body }))
        }
        _ => None,
    }
}
