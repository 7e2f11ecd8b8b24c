//! A target system at an address of its own, asked as a `webhook` is: holds what it is told to hold, counts what that changed, and keeps a
//! call waiting where a test wants to do something meanwhile.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::receiver::server::SECRET;

/// When a call is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing happened yet. It does once the call goes on, whoever waits for the answer by then.
    Before,
    /// It happened, and is not answered yet.
    After,
}

/// Something that changed who has what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// `+role account` or `-role account`.
    pub what: String,
    /// The grant that it was asked for by.
    pub reference: String,
}

/// A call that waits until this is dropped.
#[derive(Debug)]
pub struct Caught {
    _goes_on: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Trap {
    at: &'static str,
    action: &'static str,
    when: When,
    caught: oneshot::Sender<Caught>,
}

#[derive(Debug, Default)]
struct Held {
    held: BTreeSet<(String, String)>,
    effects: Vec<Effect>,
    traps: Vec<Trap>,
}

impl Held {
    /// The waiting of a call that a trap was set for.
    fn falls(&mut self, at: &str, action: &str, when: When) -> Option<oneshot::Receiver<()>> {
        let fits = |trap: &Trap| {
            trap.when == when
                && [at, ""].contains(&trap.at)
                && [action, ""].contains(&trap.action)
                && !trap.caught.is_closed()
        };
        let trap = self.traps.iter().position(fits)?;
        let (goes_on, waits) = oneshot::channel();
        let caught = Caught { _goes_on: goes_on };
        let _ = self.traps.remove(trap).caught.send(caught);
        Some(waits)
    }
}

/// The target.
pub struct Badges {
    address: SocketAddr,
    held: Arc<Mutex<Held>>,
    secret: tempfile::NamedTempFile,
}

fn locked(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap()
}

impl Badges {
    pub async fn open() -> Self {
        let held = Arc::<Mutex<Held>>::default();
        let router = Router::new().route("/{at}", post(ask));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = axum::serve(listener, router.with_state(Arc::clone(&held)));
        tokio::spawn(server.into_future());
        let mut secret = tempfile::NamedTempFile::new().unwrap();
        secret.write_all(SECRET.as_bytes()).unwrap();
        Self {
            address,
            held,
            secret,
        }
    }

    /// The connection to it, as its configuration says it, in the place of the vault.
    pub fn connection(&self) -> String {
        format!(
            "[providers.vault]\nkind = 'webhook'\nurl = 'http://{}/one'\nsecret_file = '{}'\n",
            self.address,
            self.secret.path().display()
        )
    }

    /// What changed by grants whose names begin so, in order.
    pub fn effects(&self, of: &str) -> Vec<String> {
        let held = locked(&self.held);
        let of = held.effects.iter().filter(|e| e.reference.starts_with(of));
        of.map(|effect| effect.what.clone()).collect()
    }

    /// Who has something.
    pub fn holders(&self) -> Vec<String> {
        let held = locked(&self.held);
        held.held.iter().map(|(_, who)| who.clone()).collect()
    }

    /// Catches the next call that is to do `action` and comes by the address `at`; the empty text stands for any.
    pub fn catch(
        &self,
        at: &'static str,
        action: &'static str,
        when: When,
    ) -> oneshot::Receiver<Caught> {
        let (caught, catches) = oneshot::channel();
        locked(&self.held).traps.push(Trap {
            at,
            action,
            when,
            caught,
        });
        catches
    }
}

async fn ask(
    State(held): State<Arc<Mutex<Held>>>,
    Path(at): Path<String>,
    Json(question): Json<Value>,
) -> Json<Value> {
    // On a task of its own, as in a system that does not notice that its caller died.
    let answered = tokio::spawn(async move { answer(&held, &at, &question).await });
    Json(answered.await.unwrap())
}

async fn answer(held: &Mutex<Held>, at: &str, question: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let role = text(&question["entitlement"]["role"]);
    let has = (role, text(&question["account"]["name"]));
    let action = text(&question["action"]);
    if !["grant", "revoke"].contains(&action.as_str()) {
        let held = locked(held);
        let holders = held.held.iter().filter(|(role, _)| *role == has.0);
        let holders: Vec<Value> = holders.map(|(_, who)| json!({ "name": who })).collect();
        return match action.as_str() {
            "holders" => json!({ "holders": holders }),
            _ => json!({ "held": held.held.contains(&has) }),
        };
    }
    let waits = locked(held).falls(at, &action, When::Before);
    if let Some(waits) = waits {
        let _ = waits.await;
    }
    let is_held = action == "grant";
    let waits = {
        let mut held = locked(held);
        let changed = match is_held {
            true => held.held.insert(has.clone()),
            false => held.held.remove(&has),
        };
        if changed {
            let sign = if is_held { '+' } else { '-' };
            held.effects.push(Effect {
                what: format!("{sign}{} {}", has.0, has.1),
                reference: text(&question["reference"]),
            });
        }
        held.falls(at, &action, When::After)
    };
    if let Some(waits) = waits {
        let _ = waits.await;
    }
    json!({ "held": is_held })
}
