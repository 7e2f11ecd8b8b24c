//! Webhooks: signed, in order, one at a time, by a task of their own.
//!
//! GitHub does not promise order and does not try again by itself; neither do we. What became of each delivery is kept for the
//! test to read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::{mpsc, watch};

use super::contract::Gate;
use super::locked;

/// Where webhooks go.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The secret that signs them.
    pub secret: String,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Not yet sent.
    Queued,
    /// Dropped: the sandbox is deaf, or nobody subscribed.
    Dropped,
    /// The receiver answered with this status.
    Answered(u16),
    /// The receiver could not be reached; why.
    Failed(String),
}

/// One delivery, as the log keeps it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// `X-GitHub-Delivery`.
    pub guid: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// The `action` of the payload.
    pub action: Option<String>,
    /// The payload.
    pub payload: Value,
    /// What became of it.
    pub outcome: Outcome,
}

/// How the post misbehaves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Disorder {
    pub deaf: bool,
    pub duplicate: bool,
    pub reorder: bool,
}

#[derive(Debug)]
struct State {
    target: Mutex<Option<Webhook>>,
    disorder: Mutex<Disorder>,
    log: Mutex<Vec<Delivery>>,
    /// What waits to be sent in the opposite order.
    held: Mutex<Vec<usize>>,
    pending: watch::Sender<usize>,
    gate: Gate,
    app: Mutex<u64>,
}

/// The sending end, and the log.
#[derive(Debug, Clone)]
pub struct Post {
    state: Arc<State>,
    queue: mpsc::UnboundedSender<usize>,
}

impl Post {
    /// A post office and the task that must be run for it.
    pub fn open(
        target: Option<Webhook>,
        gate: Gate,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, inbox) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            target: Mutex::new(target),
            disorder: Mutex::default(),
            log: Mutex::default(),
            held: Mutex::default(),
            pending: watch::Sender::new(0),
            gate,
            app: Mutex::new(0),
        });
        (
            Self {
                state: state.clone(),
                queue,
            },
            deliver_all(state, inbox),
        )
    }

    /// Where deliveries go.
    pub fn target(&self) -> Option<Webhook> {
        locked(&self.state.target).clone()
    }

    /// Sends webhooks there from now on.
    pub fn redirect(&self, target: Option<Webhook>) {
        *locked(&self.state.target) = target;
    }

    /// Names the App in whose name webhooks are sent.
    pub fn belongs_to(&self, app: u64) {
        *locked(&self.state.app) = app;
    }

    /// Changes how the post misbehaves.
    pub(super) fn disorder(&self, change: impl FnOnce(&mut Disorder)) {
        change(&mut locked(&self.state.disorder));
        if !locked(&self.state.disorder).reorder {
            self.release();
        }
    }

    /// Checks a payload against the contract, and queues it.
    pub fn send(&self, event: &str, payload: Value) {
        let action = payload["action"].as_str().map(str::to_owned);
        self.state.gate.webhook(event, action.as_deref(), &payload);
        let silent = locked(&self.state.disorder).deaf || locked(&self.state.target).is_none();
        let outcome = if silent {
            Outcome::Dropped
        } else {
            Outcome::Queued
        };
        let delivery = Delivery {
            guid: guid(),
            event: event.to_owned(),
            action,
            payload,
            outcome,
        };
        let index = {
            let mut log = locked(&self.state.log);
            log.push(delivery);
            log.len() - 1
        };
        if silent {
            return;
        }
        if locked(&self.state.disorder).reorder {
            locked(&self.state.held).push(index);
        } else {
            self.enqueue(index);
        }
    }

    /// False if the server was stopped, and nobody sends any more.
    fn enqueue(&self, index: usize) -> bool {
        self.state.pending.send_modify(|pending| *pending += 1);
        let sent = self.queue.send(index).is_ok();
        if !sent {
            self.state.pending.send_modify(|pending| *pending -= 1);
        }
        sent
    }

    /// Queues what was held back, the latest first.
    fn release(&self) {
        let held = std::mem::take(&mut *locked(&self.state.held));
        for index in held.into_iter().rev() {
            self.enqueue(index);
        }
    }

    /// Waits until nothing is queued, nor held back to be reordered.
    pub async fn settle(&self) {
        self.release();
        let mut pending = self.state.pending.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = pending.wait_for(|pending| *pending == 0).await;
    }

    /// Everything sent so far, oldest first.
    pub fn log(&self) -> Vec<Delivery> {
        locked(&self.state.log).clone()
    }

    /// Sends again what was sent before under this GUID, as the "redeliver" button does.
    pub fn redeliver(&self, guid: &str) -> bool {
        let found = locked(&self.state.log)
            .iter()
            .position(|delivery| delivery.guid == guid);
        let Some(index) = found else { return false };
        self.enqueue(index)
    }
}

async fn deliver_all(state: Arc<State>, mut inbox: mpsc::UnboundedReceiver<usize>) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build();
    let client = client.expect("a client without special settings can always be built");
    while let Some(index) = inbox.recv().await {
        let times = if locked(&state.disorder).duplicate {
            2
        } else {
            1
        };
        for _ in 0..times {
            deliver(&state, &client, index).await;
        }
        state.pending.send_modify(|pending| *pending -= 1);
    }
}

async fn deliver(state: &State, client: &reqwest::Client, index: usize) {
    let delivery = locked(&state.log)[index].clone();
    let target = locked(&state.target).clone();
    let app = *locked(&state.app);
    let outcome = match target {
        None => Outcome::Dropped,
        Some(target) => {
            let body = delivery.payload.to_string();
            let request = client
                .post(&target.url)
                .header("content-type", "application/json")
                .header("user-agent", "GitHub-Hookshot/sandbox")
                .header("x-github-event", &delivery.event)
                .header("x-github-delivery", &delivery.guid)
                .header("x-github-hook-id", "1")
                .header("x-github-hook-installation-target-id", app.to_string())
                .header("x-github-hook-installation-target-type", "integration")
                .header("x-hub-signature-256", sign(&target.secret, body.as_bytes()))
                .body(body);
            match request.send().await {
                Ok(answer) => Outcome::Answered(answer.status().as_u16()),
                Err(error) => Outcome::Failed(error.to_string()),
            }
        }
    };
    locked(&state.log)[index].outcome = outcome;
}

/// The value of `X-Hub-Signature-256` for a body.
///
/// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn guid() -> String {
    let hex = hex::encode(rand::random::<[u8; 16]>());
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
