//! Receivers and programs keep the contract.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use hallpass::clock::{Clock, SystemClock};
use hallpass::domain::model::{Account, UserId};
use hallpass::providers::Provider;
use hallpass::providers::asked::Asked;
use hallpass::providers::command::{self, Program};
use hallpass::providers::http::{Http, LinkLocal, Now, Settings};
use hallpass::providers::webhook::Webhook;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::server::{SECRET, Server};
use crate::contract::{self, Target, connection};

const GUESSED: &str = "whsec_Z3Vlc3NlZC1ndWVzc2VkLWd1ZXNzZWQtZ3Vlc3NlZA==";

/// The time as it is: the receiver takes no old calls.
pub fn now() -> Now {
    Arc::new(|| SystemClock.now())
}

/// A connection to a receiver, whose calls are signed with `secrets`.
pub fn receiver(at: SocketAddr, secrets: &[&str], entitlements: Option<&str>) -> Asked<Webhook> {
    let settings = Settings {
        url: Url::parse(&format!("http://{at}/")).unwrap(),
        ca: None,
        link_local: LinkLocal::Refused,
        now: now(),
    };
    let secrets: Vec<_> = secrets.iter().map(|s| SecretString::from(*s)).collect();
    let webhook = Webhook::new(Http::new(settings).unwrap(), &secrets).unwrap();
    Asked::new(connection(), webhook, entitlements).unwrap()
}

/// `text` as a program that only its owner can change, in a folder of the same kind.
pub fn script(name: &str, text: &str) -> PathBuf {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
    let path = folder.path().canonicalize().unwrap().join(name);
    put(&path, text, "755");
    path
}

/// Writes a program. Another process does it: a file that this one has open for writing while it starts a child cannot be run.
#[expect(clippy::disallowed_methods, reason = "tests start real programs")]
pub fn put(path: &Path, text: &str, mode: &str) {
    let words = r#"cat > "$0.draft" && chmod "$1" "$0.draft" && mv "$0.draft" "$0""#;
    let mut shell = Command::new("sh")
        .args(["-c", words])
        .arg(path)
        .arg(mode)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(shell.wait().unwrap().success());
}

/// A connection to a program.
pub fn program(
    program: PathBuf,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Asked<Program> {
    let variable = |(name, value): &(&str, &str)| ((*name).to_owned(), SecretString::from(*value));
    let program = Program::new(command::Settings {
        program,
        arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
        environment: environment.iter().map(variable).collect(),
        public: vec!["BADGE_SITE".to_owned()],
        now: now(),
    });
    Asked::new(connection(), program, None).unwrap()
}

fn forward(at: SocketAddr, secret: &str) -> Asked<Program> {
    let script = script("forward", include_str!("forward.py"));
    program(script, &[&at.to_string()], &[("RECEIVER_SECRET", secret)])
}

/// How the receiver is asked.
enum Way {
    Http,
    Program,
}

struct Own(&'static Server, Way);

impl Own {
    fn connect(&self, at: SocketAddr, secret: &str) -> Arc<dyn Provider> {
        match self.1 {
            Way::Http => Arc::new(receiver(at, &[secret], None)),
            Way::Program => Arc::new(forward(at, secret)),
        }
    }

    /// Both ways share one receiver.
    fn named(&self, name: &str) -> String {
        match self.1 {
            Way::Http => name.to_owned(),
            Way::Program => format!("{name} by program"),
        }
    }
}

fn group(entitlement: &Value) -> &str {
    entitlement["group"].as_str().unwrap()
}

#[async_trait]
impl Target for Own {
    fn address(&self) -> SocketAddr {
        self.0.address()
    }

    fn provider(&self, at: SocketAddr) -> Arc<dyn Provider> {
        self.connect(at, SECRET)
    }

    fn stranger(&self, at: SocketAddr) -> Result<Arc<dyn Provider>, &'static str> {
        Ok(self.connect(at, GUESSED))
    }

    fn account(&self, name: &str) -> Account {
        Account {
            name: self.named(name),
            github_id: Some(UserId(1)),
            id: None,
        }
    }

    async fn add_account(&self, name: &str) -> bool {
        self.0.add_account(&self.named(name)).await;
        true
    }

    async fn remove_account(&self, name: &str) {
        self.0.remove_account(&self.named(name)).await;
    }

    async fn add_entitlement(&self, name: &str) -> Value {
        let name = self.named(name);
        self.0.add_group(&name).await;
        json!({ "group": name })
    }

    fn unknown_entitlement(&self) -> Value {
        json!({ "group": "' OR '1' = '1" })
    }

    async fn holds(&self, account: &str, entitlement: &Value) -> bool {
        self.0.holds(&self.named(account), group(entitlement)).await
    }

    async fn give(&self, account: &str, entitlement: &Value) {
        self.0.give(&self.named(account), group(entitlement)).await;
    }

    fn empty_promise(&self) -> Result<(u16, &'static str), &'static str> {
        Ok((200, "{}"))
    }
}

#[tokio::test]
async fn a_receiver_keeps_the_contract_of_every_provider() {
    contract::hold(&Own(Server::shared(), Way::Http)).await;
}

#[tokio::test]
async fn a_program_keeps_the_contract_of_every_provider() {
    contract::hold(&Own(Server::shared(), Way::Program)).await;
}
