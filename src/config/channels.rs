//! `[notices.slack]`, `[notices.http]` and `[notices.mail]`: what people are told beside GitHub.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use secrecy::SecretString;
use url::Url;

use super::Endpoint;
use super::endpoints::{Keys, TOKEN, endpoint, secret, signing_secrets};
use super::sections::{address, is_local};
use super::table::{At, Table, suggestion};
use crate::domain::message::{Reminders, Topic};
use crate::domain::model::{ConnectionName, Malformed, TermLength};

/// What people are told beside GitHub, and where; nothing and nowhere where it is left out.
#[derive(Debug, Clone, Default)]
pub struct Channels {
    /// When people are told again of what still waits.
    pub reminders: Reminders,
    /// A channel of a Slack workspace.
    pub slack: Option<Slack>,
    /// An endpoint of one's own.
    pub http: Option<Receiver>,
    /// Mail.
    pub mail: Option<Mail>,
}

/// What a channel is told, and whom it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// What.
    pub topics: BTreeSet<Topic>,
    /// Under which name of `identities` people have their address there, where they are told themselves.
    pub people: Option<ConnectionName>,
}

/// A channel of a Slack workspace.
#[derive(Debug, Clone)]
pub struct Slack {
    /// The root of the Web API.
    pub api: Endpoint,
    /// A bot's token.
    pub token: SecretString,
    /// The channel's id.
    pub channel: String,
    /// What, and whom.
    pub telling: Telling,
}

/// An endpoint that is called with signed JSON.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Where.
    pub endpoint: Endpoint,
    /// What calls are signed with, `whsec_` and base64: the secret, and the one before while it is being changed.
    pub secrets: Vec<SecretString>,
    /// What.
    pub telling: Telling,
}

/// A server that takes mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its name.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub protection: Protection,
    /// Further authorities that its certificate may be from, as PEM.
    pub ca: Option<String>,
    /// The user's name and the password, where it asks for them.
    pub login: Option<(String, SecretString)>,
    /// From whom.
    pub from: String,
    /// To whom, where it is everybody's matter.
    pub to: String,
    /// What, and whom.
    pub telling: Telling,
}

/// How a connection for mail is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the configuration")]
pub enum Protection {
    Tls,
    StartTls,
    None,
}

/// Reads the channels, and when people are reminded, out of `[notices]`.
pub(super) fn read(notices: &mut Table<'_>) -> Channels {
    Channels {
        reminders: reminders(notices),
        slack: notices.child("slack").and_then(slack),
        http: notices.child("http").and_then(http),
        mail: notices.child("mail").and_then(mail),
    }
}

fn reminders(table: &mut Table<'_>) -> Reminders {
    const FORM: &str = "Write the pauses, such as [\"1h\", \"4h\", \"1d\"], each of at least a minute; the last one repeats. [] reminds nobody.";
    if !table.has("reminders") {
        return Reminders::default();
    }
    let line = table.line_of("reminders");
    let pauses = table.texts("reminders");
    let read = pauses
        .iter()
        .map(|At { value, .. }| TermLength::parse(value).map(|length| length.delta()))
        .collect::<Result<Vec<TimeDelta>, _>>();
    let reminders = read.and_then(Reminders::after_each);
    reminders.unwrap_or_else(|error| {
        table.report(line, "reminders", &format!("cannot be used: {error}"), FORM);
        Reminders::default()
    })
}

/// What the channel is told, and whether people are told themselves. `identity` is what their address is usually called.
fn telling(table: &mut Table<'_>, identity: &'static str) -> Option<Telling> {
    let topics = topics(table);
    let people = table.switch("people");
    let named: Option<ConnectionName> = table.parsed("identity", identity_name);
    let usual = ConnectionName::new(identity).ok();
    Some(Telling {
        topics,
        people: named.or(usual).filter(|_| people),
    })
}

fn identity_name(text: &str) -> Result<ConnectionName, Malformed> {
    ConnectionName::new(text)
}

/// Nothing is told that is not asked for.
fn topics(table: &mut Table<'_>) -> BTreeSet<Topic> {
    let words = Topic::ALL.map(|(_, word)| word);
    if !table.has("events") {
        let remedy = format!("Write events = [...] with some of: {}.", words.join(", "));
        table.missing("events", &remedy);
        return BTreeSet::new();
    }
    let mut topics = BTreeSet::new();
    for At { line, value } in table.texts("events") {
        match Topic::parse(&value) {
            Some(topic) => drop(topics.insert(topic)),
            None => {
                let what = format!("holds the unknown {value:?}");
                table.report(line, "events", &what, suggestion(&value, &words));
            }
        }
    }
    topics
}

fn slack(mut table: Table<'_>) -> Option<Slack> {
    let telling = telling(&mut table, "slack");
    let api = table.parsed("api", address);
    let api = api.or_else(|| Url::parse("https://slack.com/api").ok());
    let ca = table.file("ca_file");
    let token = secret(&mut table, &TOKEN);
    const CHANNEL: &str = "Write the channel's id, such as channel = \"C0123456789\"; Slack shows it under the channel's details.";
    let channel = table.required("channel", CHANNEL, |text| {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
        plain
            .then(|| text.to_owned())
            .ok_or(CHANNEL.trim_end_matches('.'))
    });
    table.finish();
    Some(Slack {
        api: Endpoint {
            url: api?,
            ca,
            allow_link_local: false,
        },
        token: token?,
        channel: channel?,
        telling: telling?,
    })
}

fn http(mut table: Table<'_>) -> Option<Receiver> {
    let topics = topics(&mut table);
    let endpoint = endpoint(&mut table, "https://events.example.org/hallpass");
    let secrets = signing_secrets(&mut table);
    table.finish();
    Some(Receiver {
        endpoint: endpoint?,
        secrets,
        telling: Telling {
            topics,
            people: None,
        },
    })
}

const PASSWORD: Keys = Keys {
    env: "password_env",
    file: "password_file",
    wrong: "password",
    remedy: "Name the environment variable that holds it with password_env, or the file with password_file.",
};

fn mail(mut table: Table<'_>) -> Option<Mail> {
    let telling = telling(&mut table, "mail");
    let server = table.required(
        "server",
        "Write server = \"smtp.example.org\".",
        server_name,
    );
    let protection = protection(&mut table, server.as_deref());
    let usual = match protection {
        Protection::Tls => 465,
        Protection::StartTls | Protection::None => 587,
    };
    let port = port(&mut table).unwrap_or(usual);
    let ca = table.file("ca_file");
    let login = login(&mut table);
    let from = table.required(
        "from",
        "Write from = \"Hallpass <hallpass@example.org>\".",
        mailbox,
    );
    let to = table.required("to", "Write to = \"access@example.org\".", mailbox);
    table.finish();
    Some(Mail {
        server: server?,
        port,
        protection,
        ca,
        login,
        from: from?,
        to: to?,
        telling: telling?,
    })
}

fn server_name(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    match !text.is_empty() && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("Write the name of the server alone; `port` is a key of its own"),
    }
}

fn is_this_machine(server: &str) -> bool {
    Url::parse(&format!("smtp://{server}")).is_ok_and(|url| is_local(&url))
}

/// How the connection is protected: always, unless it stays on this machine.
fn protection(table: &mut Table<'_>, server: Option<&str>) -> Protection {
    let line = table.line_of("tls");
    let read = |text: &str| match text {
        "starttls" => Ok(Protection::StartTls),
        "tls" => Ok(Protection::Tls),
        "none" => Ok(Protection::None),
        _ => Err("Write \"starttls\", \"tls\", or for a server on this machine \"none\""),
    };
    let found = table.parsed("tls", read).unwrap_or(Protection::StartTls);
    if found == Protection::None && server.is_some_and(|server| !is_this_machine(server)) {
        let what = "is \"none\", and the server is another machine";
        let remedy =
            "Write \"starttls\" or \"tls\": what people are told is nobody else's business.";
        table.report(line, "tls", what, remedy);
    }
    found
}

fn port(table: &mut Table<'_>) -> Option<u16> {
    let line = table.line_of("port");
    let port = u16::try_from(table.number("port")?);
    if port.is_err() {
        table.report(line, "port", "is no port", "Write a number up to 65535.");
    }
    port.ok()
}

/// The user's name and the password; `None` where the server asks nobody.
fn login(table: &mut Table<'_>) -> Option<(String, SecretString)> {
    match table.text("username") {
        None => {
            table.no_secret(PASSWORD.wrong, PASSWORD.remedy);
            None
        }
        Some(user) => secret(table, &PASSWORD).map(|password| (user.value, password)),
    }
}

/// Whether it can be an address at all; what exactly is one, the mail library says at the start.
fn mailbox(text: &str) -> Result<String, &'static str> {
    let plain = text.contains('@') && !text.chars().any(char::is_control);
    plain
        .then(|| text.to_owned())
        .ok_or("Write an address such as \"access@example.org\"")
}
