//! People are told beside GitHub: by Slack, by an endpoint of their own, by mail. Once for each thing, as plain text, and never at the cost of
//! what the service is there for.

pub mod endpoint;
mod life;
mod mail;
mod slack;
mod storm;

use std::sync::Arc;

use hallpass::clock::{Clock, ManualClock};
use hallpass::domain::message::{Fact, Link, Message, Topic};
use hallpass::http_client::{Http, LinkLocal, Settings};

/// A canary in each place of a secret, by the variable that holds it.
pub const SECRETS: [(&str, &str); 3] = [
    ("SLACK_TOKEN", slack::TOKEN),
    ("EVENTS_SECRET", endpoint::SECRET),
    ("MAIL_PASSWORD", mail::PASSWORD),
];

/// The variable's value.
pub fn secret(name: &str) -> Option<&'static str> {
    let mut all = SECRETS.into_iter();
    all.find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

fn http(url: &str) -> Http {
    Http::new(settings(url)).unwrap()
}

fn settings(url: &str) -> Settings {
    let clock = Arc::new(ManualClock::at("2026-11-23T09:00:00Z".parse().unwrap()));
    Settings {
        url: url.parse().unwrap(),
        ca: None,
        link_local: LinkLocal::Refused,
        now: Arc::new(move || clock.now()),
    }
}

/// Text that tries to be more than text, wherever it stands.
const HOSTILE: &str = "<!channel> @here <https://evil.example|click> *bold* `x`\r\nBcc: everybody@example.org\r\n\r\n<script>alert(1)</script> & \u{202e}txt";

fn message(key: &str, text: &str) -> Message {
    Message {
        key: key.to_owned(),
        topic: Topic::Granted,
        at: "2026-11-23T09:00:00Z".parse().unwrap(),
        title: format!("Granted: {text}"),
        facts: vec![Fact {
            label: "Why".to_owned(),
            text: text.to_owned(),
        }],
        to_do: Some("Nothing.".to_owned()),
        links: vec![Link {
            label: "Pull request #7".to_owned(),
            url: "https://github.com/acme/access/pull/7".to_owned(),
        }],
        whose: None,
        count: 1,
    }
}
