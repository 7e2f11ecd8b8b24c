//! `[notices.mail]`, against a real mail server.

use std::fs;
use std::path::Path;

use hallpass::notify::mail::{Login, Mail, Protection, Settings};
use hallpass::notify::{Channel as _, NotifyError, Recipient};
use tempfile::TempDir;

use super::{HOSTILE, message};
use crate::program::{Program, tools};

pub const PASSWORD: &str = "canary-mail-password";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/notify/mail.py");

/// A running mail server, and where it keeps what it was given.
#[derive(Debug)]
pub struct Server {
    program: Program,
    folder: TempDir,
}

impl Server {
    /// A server of its own for each test: what it keeps is looked at whole.
    pub fn start() -> Self {
        Self::with(&[])
    }

    fn with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let python = tools().join("bin/python3").display().to_string();
        let kept = folder.path().display().to_string();
        let start = [python.as_str(), SCRIPT, "{port}", kept.as_str()];
        let words = [&start[..], more].concat();
        let program = Program::start(&words);
        Self { program, folder }
    }

    pub fn port(&self) -> u16 {
        self.program.address().port()
    }

    /// The mails, oldest first.
    pub fn mails(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path()).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|e| e == "eml"));
        files.sort();
        let read = |file: &std::path::PathBuf| {
            let mail = fs::read_to_string(file).unwrap();
            crate::leaks::in_text("a mail", &mail);
            mail
        };
        files.iter().map(read).collect()
    }

    /// The section of the configuration.
    pub fn section(&self, events: &str) -> String {
        format!(
            "[notices.mail]\nserver = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nusername = \"hallpass\"\npassword_env = \"MAIL_PASSWORD\"\n\
             from = \"Hallpass <hallpass@example.org>\"\nto = \"owners@example.org\"\npeople = true\nevents = [{events}]\n",
            self.port()
        )
    }
}

fn settings(port: u16) -> Settings {
    Settings {
        server: "localhost".to_owned(),
        port,
        protection: Protection::None,
        ca: None,
        login: Some(Login {
            user: "hallpass".to_owned(),
            password: PASSWORD.into(),
        }),
        from: "Hallpass <hallpass@example.org>".to_owned(),
        to: "owners@example.org".to_owned(),
    }
}

fn mail(settings: Settings) -> Mail {
    Mail::new(settings).unwrap()
}

/// The headers of a mail, unfolded, without what the server put before them.
fn headers(mail: &str) -> Vec<String> {
    let mail = mail.replace("\r\n", "\n");
    let (head, _) = mail.split_once("\n\n").unwrap();
    let head = head.replace("\n ", " ").replace("\n\t", " ");
    head.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn mail_is_plain_text_with_headers_that_nothing_gets_into() {
    let server = Server::start();
    let channel = mail(settings(server.port()));
    for _ in 0..2 {
        let told = message("granted:a", HOSTILE);
        channel.send(&told, Recipient::Everybody).await.unwrap();
    }
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    let told = headers(&mails[0]);
    let names: Vec<&str> = told
        .iter()
        .filter_map(|l| Some(l.split_once(':')?.0))
        .collect();
    assert!(!names.contains(&"Bcc"), "{told:#?}");
    for wanted in [
        "Envelope-To: owners@example.org",
        "To: owners@example.org",
        "From: Hallpass <hallpass@example.org>",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(
            told.iter().any(|line| line == wanted),
            "{wanted}: {told:#?}"
        );
    }
    let kind = |line: &&String| line.starts_with("Content-Type: ");
    let kinds: Vec<&String> = told.iter().filter(kind).collect();
    assert_eq!(kinds, ["Content-Type: text/plain; charset=utf-8"]);
    // A reader that keeps ids shows it once.
    let id = |mail: &str| {
        headers(mail)
            .into_iter()
            .find(|l| l.starts_with("Message-ID: "))
    };
    assert_eq!(id(&mails[0]), id(&mails[1]));
    assert!(id(&mails[0]).unwrap().ends_with("@example.org>"));
}

#[tokio::test]
async fn what_a_mail_server_says_says_what_to_do_and_repeats_no_password() {
    let server = Server::start();
    let channel = mail(settings(server.port()));
    let told = message("a", "x");
    let error = channel
        .send(&told, Recipient::Person("nobody@example.org"))
        .await
        .unwrap_err();
    assert!(matches!(error, NotifyError::NoRecipient { .. }), "{error}");
    let error = channel
        .send(&told, Recipient::Person("not an address\r\nBcc: x"))
        .await
        .unwrap_err();
    assert!(matches!(error, NotifyError::NoRecipient { .. }), "{error}");
    let error = channel
        .send(&told, Recipient::Person("later@example.org"))
        .await
        .unwrap_err();
    assert!(matches!(error, NotifyError::Unavailable { .. }), "{error}");
    let mut wrong = settings(server.port());
    wrong.login = Some(Login {
        user: "hallpass".to_owned(),
        password: "canary-guessed-password".into(),
    });
    let wrong = mail(wrong);
    let error = wrong.send(&told, Recipient::Everybody).await.unwrap_err();
    assert!(matches!(error, NotifyError::Refused { .. }), "{error}");
    assert!(
        !format!("{error} {error:?} {wrong:?}").contains("canary"),
        "{error}"
    );
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn looking_at_a_mail_server_sends_nothing() {
    let server = Server::start();
    let found = mail(settings(server.port())).check().await.unwrap();
    assert!(found.contains("nothing was sent"), "{found}");
    assert!(server.mails().is_empty());
    let down = mail(settings(9)).check().await.unwrap_err();
    assert!(matches!(down, NotifyError::Unavailable { .. }), "{down}");
}

/// A certificate for `localhost`, and its key.
#[expect(clippy::disallowed_methods, reason = "makes a certificate")]
fn certificate(folder: &Path) -> (String, String) {
    let (key, pem) = (folder.join("key.pem"), folder.join("cert.pem"));
    let done = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&pem)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    (pem.display().to_string(), key.display().to_string())
}

#[tokio::test]
async fn starttls_comes_before_anything_is_said_and_only_from_an_authority_that_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, key) = certificate(folder.path());
    let server = Server::with(&[&pem, &key]);
    let trusted = Settings {
        protection: Protection::StartTls,
        ca: Some(fs::read_to_string(&pem).unwrap()),
        ..settings(server.port())
    };
    let told = message("a", "x");
    let sent = mail(trusted.clone());
    sent.send(&told, Recipient::Everybody).await.unwrap();
    assert_eq!(server.mails().len(), 1);
    let stranger = mail(Settings {
        ca: None,
        ..trusted.clone()
    });
    let error = stranger
        .send(&told, Recipient::Everybody)
        .await
        .unwrap_err();
    assert!(matches!(error, NotifyError::Unavailable { .. }), "{error}");
    // A server that offers no TLS, or somebody between us who hides that it does.
    let plain = Server::start();
    let stripped = mail(Settings {
        port: plain.port(),
        ..trusted
    });
    stripped
        .send(&told, Recipient::Everybody)
        .await
        .unwrap_err();
    assert!(plain.mails().is_empty());
    assert_eq!(server.mails().len(), 1);
}
