//! What a target says may hold the secret that it was given. Nothing that we write down does.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hallpass::domain::decision::Approved;
use hallpass::domain::ledger::{Granted, Holder, Revoked};
use hallpass::domain::model::{Access, Account, ConnectionName, UserId};
use hallpass::domain::target::{Change, Kind, Order};
use hallpass::providers::asked::Asked;
use hallpass::providers::command::Program;
use hallpass::providers::{Discreet, Provider, ProviderError, Registry};
use hallpass::secrets::Secrets;
use serde_json::{Value, json};

use super::contract::{program, receiver, script};
use super::server::SECRET;
use crate::contract::approved::approved;
use crate::contract::{connection, order};
use crate::world::{Ears, World, grant};

/// Not of letters alone, so that what encodes it changes it.
const TOKEN: &str = "canary+token/42=\"sesame\"";

/// The token as those who are careless with it write it.
fn forms() -> Vec<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(TOKEN.as_bytes()).collect();
    vec![
        TOKEN.to_owned(),
        STANDARD.encode(TOKEN),
        URL_SAFE_NO_PAD.encode(TOKEN),
        // Behind one letter, as the password of somebody in `Authorization: Basic`.
        STANDARD.encode(format!("a:{TOKEN}")),
        STANDARD.encode(format!(":{TOKEN}:")),
        encoded.to_lowercase(),
        encoded,
        hex::encode(TOKEN),
        TOKEN.replace('"', "\\\""),
    ]
}

/// A piece of each form that is in no other text.
fn leaks(text: &str) -> Vec<String> {
    let core = |form: &String| form[4..form.len() - 4].to_owned();
    let mut found: Vec<String> = forms().iter().map(core).collect();
    found.retain(|core| text.contains(core));
    found
}

fn assert_clean(what: &str, text: &str) {
    assert_eq!(leaks(text), [""; 0], "{what}: {text}");
}

fn access() -> Access {
    Access {
        connection: connection(),
        account: Account {
            name: "ada".to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        },
        entitlement: json!({ "door": "vault" }),
        entitlement_id: None,
    }
}

/// A program that answers each question with the file that is called like its action.
fn teller(
    name: &str,
    answers: &[(&str, Value)],
    more: &str,
) -> (Asked<Program>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (action, answer) in answers {
        std::fs::write(folder.path().join(action), answer.to_string()).unwrap();
    }
    let path = tell(name, more);
    let at = folder.path().display().to_string();
    (program(path, &[&at], &[("BADGE_TOKEN", TOKEN)]), folder)
}

fn tell(name: &str, more: &str) -> PathBuf {
    let text = format!(
        "#!/bin/sh\nask=$(cat)\naction=${{ask#*\\\"action\\\":\\\"}}\n{more}\ncat \"$1/${{action%%\\\"*}}\"\n"
    );
    script(name, &text)
}

/// What is logged while it is there, by this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn what_a_program_says_of_its_secret_is_not_logged() {
    let more = "printf '%s\\n' \"the token is $BADGE_TOKEN.\" >&2\n\
                printf %s \"$BADGE_TOKEN\" | base64 >&2\n\
                printf 'u:%s' \"$BADGE_TOKEN\" | base64 >&2\n\
                head -c 3900 /dev/zero | tr '\\0' ' ' >&2\n\
                for i in 1 2 3 4 5 6 7 8 9; do printf %s \"$BADGE_TOKEN\" >&2; done\n";
    let (program, _folder) = teller("shouts", &[("holders", json!({ "holders": [] }))], more);
    let log = Log::default();
    let guard = log.start();
    program.holders(&json!({ "door": "vault" })).await.unwrap();
    drop(guard);
    let text = log.text();
    assert!(
        text.contains("the token is [the value of BADGE_TOKEN]."),
        "{text}"
    );
    assert_clean("the log", &text);
    // The last one was cut where no more is kept.
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn no_word_of_an_answer_repeats_the_secret() {
    for form in forms() {
        let words = format!("{} so {form} it is", "x".repeat(280));
        let error = |kind: &str| json!({ "error": { "kind": kind, "message": words } });
        let odd = [
            error("refused"),
            error("unavailable"),
            error("unknown-account"),
            error("unknown-entitlement"),
            error(&form),
            json!({ "held": form }),
            json!({ "held": true, (form.as_str()): 1 }),
        ];
        for answer in odd {
            let (program, _folder) = teller("odd", &[("grant", answer.clone())], "");
            let failed = program.grant(&approved(&access()), &order()).await;
            assert_clean(&answer.to_string(), &chain(&failed.unwrap_err()));
        }
        let held = json!({ "held": true, "pending": words });
        let (program, _folder) = teller("pends", &[("grant", held.clone()), ("check", held)], "");
        let granted = program.grant(&approved(&access()), &order()).await.unwrap();
        assert!(granted.pending.is_some());
        assert_clean("pending", &format!("{granted:?}"));
        let gone =
            json!({ "held": false, "sessions": [words], "still_effective_through": [words] });
        let (program, _folder) = teller("goes", &[("revoke", gone.clone()), ("check", gone)], "");
        let revoked = program.revoke(&access(), &order()).await.unwrap();
        assert_eq!(revoked.sessions.len(), 1);
        assert_clean("sessions", &format!("{revoked:?}"));
    }
}

#[tokio::test]
async fn an_account_that_is_called_like_the_secret_is_no_answer() {
    for holder in [
        json!({ "name": TOKEN }),
        json!({ "name": "ada", "id": format!("7{TOKEN}") }),
    ] {
        let list = json!({ "holders": [holder] });
        let (program, _folder) = teller("lists", &[("holders", list)], "");
        let listed = program.holders(&json!({ "door": "vault" })).await;
        let error = listed.unwrap_err();
        assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
        assert_clean("the error", &chain(&error));
        assert!(error.to_string().contains("BADGE_TOKEN"), "{error}");
    }
    let held = json!({ "held": true, "account_id": TOKEN });
    let (program, _folder) = teller("ids", &[("grant", held.clone()), ("check", held)], "");
    let error = program
        .grant(&approved(&access()), &order())
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    assert_clean("the error", &chain(&error));
    // What is due to end ends, whatever the account is called.
    let gone = json!({ "held": false, "account_id": TOKEN });
    let (program, _folder) = teller("gone", &[("revoke", gone.clone()), ("check", gone)], "");
    let revoked = program.revoke(&access(), &order()).await.unwrap();
    assert_clean("the removal", &format!("{revoked:?}"));
}

/// A receiver that says back what stands in the header `webhook-signature`.
async fn echo(status: StatusCode, field: &'static str) -> std::net::SocketAddr {
    let answer = move |headers: HeaderMap| async move {
        let signature = headers["webhook-signature"].to_str().unwrap().to_owned();
        let answer = match field {
            "detail" => json!({ "detail": signature }),
            "message" => json!({ "error": { "kind": "refused", "message": signature } }),
            "held" => json!({ "held": signature }),
            field => json!({ "held": true, (field): signature }),
        };
        (status, answer.to_string())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn a_signature_that_a_receiver_says_back_is_not_repeated() {
    let signature = regex::Regex::new("v1,[A-Za-z0-9+/]{8}|[A-Za-z0-9+/]{43}=").unwrap();
    for (status, field) in [
        (StatusCode::BAD_REQUEST, "detail"),
        (StatusCode::UNAUTHORIZED, "detail"),
        (StatusCode::BAD_GATEWAY, "detail"),
        (StatusCode::OK, "message"),
        (StatusCode::OK, "held"),
        (StatusCode::OK, "pending"),
        (StatusCode::OK, "account_id"),
    ] {
        let provider = receiver(echo(status, field).await, &[SECRET], None);
        let said = match provider.grant(&approved(&access()), &order()).await {
            Ok(granted) => format!("{granted:?}"),
            Err(error) => chain(&error),
        };
        assert!(!signature.is_match(&said), "{status} {field}: {said}");
    }
    // The answer itself comes as it is: only who repeats it must not.
    let provider = receiver(echo(StatusCode::OK, "pending").await, &[SECRET], None);
    let granted = provider
        .grant(&approved(&access()), &order())
        .await
        .unwrap();
    assert_eq!(granted.pending.as_deref(), Some("[the signature]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_the_ledger_nor_the_evidence_holds_the_secret_of_a_program() {
    let words = format!("give {TOKEN} to whoever asks");
    let held = json!({ "held": true, "pending": words });
    let gone = json!({ "held": false, "sessions": [words] });
    let refused = json!({ "error": { "kind": "refused", "message": words } });
    let (program, folder) = teller(
        "world",
        &[("holders", json!({ "holders": [] })), ("grant", refused)],
        "echo \"$BADGE_TOKEN\" >&2",
    );
    let say = |action: &str, answer: &Value| {
        let draft = folder.path().join("draft");
        std::fs::write(&draft, answer.to_string()).unwrap();
        std::fs::rename(draft, folder.path().join(action)).unwrap();
    };
    let name = ConnectionName::new("nowhere").unwrap();
    let more = Registry::from([(name, Arc::new(program) as Arc<dyn Provider>)]);
    let world = World::connected(Ears::Hearing, "", more).await;
    let wish = grant("ada", "reader", "2h");
    let pull = world.request("ada", "nowhere/ada", &wish).await;
    world.approve(pull, "mei").await;
    let entries = world.entries().await;
    let error = entries[0].last_error.clone().expect("the grant failed");
    assert!(
        error.contains("give [the value of BADGE_TOKEN] to whoever"),
        "{error}"
    );
    say("grant", &held);
    say("check", &held);
    world.advance(chrono::TimeDelta::minutes(1)).await;
    assert_eq!(
        world.told("granted").len(),
        1,
        "{:?}",
        world.entries().await
    );
    say("revoke", &gone);
    say("check", &gone);
    world.advance(chrono::TimeDelta::hours(3)).await;
    assert_eq!(world.ledger().await, ["nowhere/ada ended"]);
    let written = format!(
        "{}\n{error}\n{}",
        serde_json::to_string(&world.entries().await).unwrap(),
        world.evidence().join("\n")
    );
    assert!(
        written.contains("give [the value of BADGE_TOKEN] to"),
        "{written}"
    );
    assert!(!written.contains("canary"), "{written}");
    assert_clean("what is written down", &written);
}

/// A target that says back all that it is told, wherever there is a place for it.
struct Parrot {
    names: bool,
}

impl Parrot {
    fn discreet(self) -> Discreet {
        let secrets = Secrets::default().with("the token", TOKEN);
        Discreet::new(connection(), Arc::new(self), secrets)
    }

    fn name(&self) -> String {
        if self.names {
            format!("id-{TOKEN}")
        } else {
            "ada".to_owned()
        }
    }
}

fn said() -> String {
    format!("who says {TOKEN}?")
}

#[async_trait]
impl Provider for Parrot {
    fn kind(&self) -> &'static Kind {
        &hallpass::providers::command::KIND
    }

    async fn grant(&self, _: &Approved, _: &Order) -> Result<Granted, ProviderError> {
        Ok(Granted {
            read_back: said(),
            pending: Some(said()),
            account_id: Some(self.name()),
            entitlement_id: None,
        })
    }

    async fn revoke(&self, _: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        Ok(Revoked {
            read_back: said(),
            still_effective_through: vec![said()],
            sessions: vec![said()],
            sessions_ended: 1,
        })
    }

    fn preview(&self, _: Change, _: &Access) -> Vec<String> {
        vec![said()]
    }

    async fn has_account(&self, account: &Account) -> Result<Option<bool>, ProviderError> {
        Err(match account.name.as_str() {
            "unavailable" => ProviderError::Unavailable {
                connection: "db".to_owned(),
                what: said(),
                retry_at: None,
                source: said().into(),
            },
            "refused" => ProviderError::Refused {
                connection: "db".to_owned(),
                reason: said(),
            },
            _ => ProviderError::UnknownSubject {
                connection: "db".to_owned(),
                account: said(),
                reason: said(),
            },
        })
    }

    async fn holders(&self, _: &Value) -> Result<Vec<Holder>, ProviderError> {
        Ok(vec![Holder {
            name: self.name(),
            id: None,
            pending: false,
        }])
    }
}

#[tokio::test]
async fn whatever_kind_it_is_no_connection_repeats_its_secrets() {
    let order = order();
    let parrot = Parrot { names: false }.discreet();
    let granted = parrot.grant(&approved(&access()), &order).await.unwrap();
    let revoked = parrot.revoke(&access(), &order).await.unwrap();
    let mut all = format!(
        "{granted:?}{revoked:?}{:?}",
        parrot.preview(Change::Grant, &access())
    );
    for name in ["unavailable", "refused", "unknown"] {
        let account = Account {
            name: name.to_owned(),
            ..access().account
        };
        all += &chain(&parrot.has_account(&account).await.unwrap_err());
    }
    assert_eq!(all.matches("who says [the token]?").count(), 11, "{all}");
    assert_clean("what is said back", &all);
    assert_eq!(parrot.holders(&json!({})).await.unwrap()[0].name, "ada");
    // An account is compared by its name, so that nothing can stand in the place of that.
    let parrot = Parrot { names: true }.discreet();
    let unclear = parrot.holders(&json!({})).await.unwrap_err();
    assert_clean("holders", &chain(&unclear));
    let unclear = parrot
        .grant(&approved(&access()), &order)
        .await
        .unwrap_err();
    assert_clean("a grant", &chain(&unclear));
}

#[test]
fn what_is_short_or_public_or_nothing_is_no_secret() {
    let secrets = Secrets::default()
        .with("short", "on")
        .with("none", "")
        .with("long", "hunter");
    assert_eq!(secrets.hide("on it: one hunter"), "on it: one [long]");
    // People call accounts like passwords.
    assert_eq!(secrets.named_in("hunter"), None);
    assert_eq!(format!("{secrets:?}"), "Secrets");
    let key = "-----BEGIN KEY-----\nbG9uZyBsaW5lIG9mIGEga2V5\n-----END KEY-----\n";
    let secrets = secrets.with("key", key);
    assert_eq!(
        secrets.hide("line 2: bG9uZyBsaW5lIG9mIGEga2V5"),
        "line 2: [key]"
    );
    // The longer one is meant where one holds the other.
    let secrets = secrets.with("pair", "user:hunter");
    assert_eq!(secrets.hide("user:hunter"), "[pair]");
    assert_eq!(secrets.hide_in_beginning("user:hunt"), "[pair]");
    assert_eq!(secrets.hide_in_beginning("my hunt"), "my [long]");
    assert_eq!(secrets.hide_in_beginning("a hun"), "a hun");
}

/// The contract of the test itself: each form would be found.
#[test]
fn what_is_looked_for_would_be_found() {
    for form in forms() {
        assert!(!leaks(&form).is_empty(), "{form}");
    }
}
