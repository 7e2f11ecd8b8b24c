//! What nobody may see: the secrets of every world of the tests, and what people wrote there.
//!
//! Each secret that a test configures holds the word `canary`, and nothing else that is written down does: so one look finds every one of
//! them, in each of the ways in which somebody careless writes a secret. What stands for itself is looked for too: the lines of the App's
//! key, tokens, and the beginning of any private key.
//!
//! A world that ends is searched whole (`world/ended.rs`): the log of this process, the forge, every object of git, the metrics, the files of
//! the service. Whoever reads a page, a message or what a program prints searches that. What people wrote freely stands where they wrote it and
//! in the check of their request; it must not come into the log, the metrics or the evidence.

use std::io::Write;
use std::sync::{LazyLock, Mutex, Once};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hallpass::sandbox::KNOWN_KEY;
use regex::bytes::Regex;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// The word that every secret of the tests holds.
const CANARY: &str = "canary";

/// Why people of the tests want access, unless they say otherwise.
pub const REASON: &str = "The orders of some customers look wrong today.";

/// What a reviewer of the tests says.
pub const REMARK: &str = "Fine with me, the incident is real.";

/// The ways to write the canary: as it is, in hexadecimal, and in base64 behind any number of other bytes.
fn written() -> Vec<String> {
    let mut forms = vec![hex::encode(CANARY), hex::encode_upper(CANARY)];
    for behind in 0..3 {
        let encoded = STANDARD_NO_PAD.encode("-".repeat(behind) + CANARY);
        // Without the characters that what stands before and behind it decides too.
        let (first, last) = ((behind * 8).div_ceil(6), (behind + CANARY.len()) * 8 / 6);
        forms.push(encoded[first..last].to_owned());
    }
    forms
}

static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    let lines = KNOWN_KEY.lines().filter(|line| line.len() > 40);
    let literal = written().into_iter().chain(lines.map(str::to_owned));
    let literal: Vec<String> = literal.map(|text| regex::escape(&text)).collect();
    // Tokens of the stand-in, tokens that an App signs for itself, and the begin of every private key, in either form.
    let pattern = format!(
        r"(?-u)(?i:{CANARY})|gh[psu]_[0-9a-f]{{36}}|eyJ[A-Za-z0-9_-]+\.eyJ|PRIVATE KEY-----|b3BlbnNzaC1rZXktdjE|{}",
        literal.join("|")
    );
    Regex::new(&pattern).unwrap()
});

static PRIVATE: LazyLock<Regex> = LazyLock::new(|| {
    // Their beginnings, as a text may be cut.
    let said = [REASON, REMARK].map(|text| regex::escape(&text[..20]));
    Regex::new(&said.join("|")).unwrap()
});

/// What is found, with what stands around it.
fn found(pattern: &Regex, text: &[u8]) -> Option<String> {
    let at = pattern.find(text)?;
    let around = at.start().saturating_sub(80)..(at.end() + 40).min(text.len());
    Some(String::from_utf8_lossy(&text[around]).into_owned())
}

/// Fails if `text` holds a secret.
#[track_caller]
pub fn in_text(place: &str, text: impl AsRef<[u8]>) {
    if let Some(around) = found(&SECRET, text.as_ref()) {
        panic!("a secret stands in {place}: {around}");
    }
}

/// Fails if `text`, which is kept or handed on, holds a secret or what somebody wrote freely.
#[track_caller]
pub fn in_record(place: &str, text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    in_text(place, text);
    if let Some(around) = found(&PRIVATE, text) {
        panic!("what somebody wrote stands in {place}: {around}");
    }
}

/// The lines of the log that must not be.
static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Fails if anything that this process has logged so far holds what it must not.
#[track_caller]
pub fn in_log() {
    let heard = HEARD.lock().unwrap().join("\n");
    assert!(heard.is_empty(), "this was logged:\n{heard}");
}

/// Reads what is logged, and keeps what must not be.
struct Ear(&'static Mutex<Vec<String>>);

impl Write for Ear {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        // One event is one line: nobody's text begins another or moves a cursor.
        let torn = text.iter().any(u8::is_ascii_control);
        if torn || found(&SECRET, text).is_some() || found(&PRIVATE, text).is_some() {
            let text = format!("{:?}", String::from_utf8_lossy(text));
            self.0.lock().unwrap().push(text);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Listens to the log of this process from here on. What is logged by default goes to standard error, as `hallpass serve` does it; a run that
/// may take long (`tests/run --long`) listens more closely than that, to what an operator sees who looks for a mistake.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = "warn,hallpass=info,octocrab=off";
        let heard = match crate::is_long() {
            true => "warn,hallpass=trace",
            false => usual,
        };
        // The two share how spans are written, so neither has colours.
        let told = fmt::layer()
            .with_ansi(false)
            .with_writer(std::io::stderr)
            .with_filter(EnvFilter::new(usual));
        let all = fmt::layer()
            .with_ansi(false)
            .with_writer(|| Ear(&HEARD))
            .with_filter(EnvFilter::new(heard));
        tracing_subscriber::registry()
            .with(told)
            .with(all)
            .try_init()
            .expect("nobody else listens");
    });
}

#[test]
fn what_is_looked_for_is_found_however_it_is_written() {
    let secret = "the canary of somebody";
    let line = KNOWN_KEY.lines().nth(3).unwrap();
    for text in [
        secret.to_owned(),
        secret.to_uppercase(),
        hex::encode(secret),
        hex::encode_upper(secret),
        STANDARD_NO_PAD.encode(secret),
        STANDARD_NO_PAD.encode(format!("a{secret}")),
        STANDARD_NO_PAD.encode(format!("a:{secret}")),
        format!("[{KNOWN_KEY:?}]"),
        format!("... {line}"),
        format!("Bearer ghs_{}", "0a".repeat(18)),
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiI0MjQyIn0.x".to_owned(),
        "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
    ] {
        assert!(found(&SECRET, text.as_bytes()).is_some(), "{text}");
    }
    assert_eq!(found(&SECRET, b"a secret, said by nobody"), None);
    for text in [REASON, REMARK] {
        assert!(found(&PRIVATE, text.as_bytes()).is_some(), "{text}");
    }
}

#[test]
fn what_must_not_be_logged_is_heard() {
    static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let kept = |text: &str| {
        let layer = fmt::layer().with_ansi(false).with_writer(|| Ear(&KEPT));
        let log = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(log, || tracing::info!(said = text, "somebody said"));
        std::mem::take(&mut *KEPT.lock().unwrap()).len()
    };
    assert_eq!(kept("nothing of interest"), 0);
    assert_eq!(kept("my canary"), 1);
    assert_eq!(kept(REASON), 1);
}
