//! `[notices.slack]`: `chat.postMessage`, as blocks of plain text.
//!
//! Slack reads markup in `text` and in blocks of the type `mrkdwn`: `<!channel>` there calls everybody. So what others wrote stands in
//! `plain_text` alone, and in `text`, which notifications and screen readers show, with `&`, `<` and `>` escaped. The only `mrkdwn` is
//! our own links. Slack keeps no ids: a message whose answer is lost is posted a second time.

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Channel, NotifyError, Recipient};
use crate::domain::message::{Link, Message};
use crate::http_client::{Answer, Call, Failure, Http};

const NAME: &str = "slack";

/// How much of an answer is read.
const ANSWER: usize = 256 << 10;

/// What Slack takes, in characters: <https://docs.slack.dev/reference/block-kit/blocks>.
const HEADER: usize = 150;
const FIELD: usize = 2_000;
const FIELDS: usize = 10;
const SECTION: usize = 3_000;
const TEXT: usize = 4_000;

/// What Slack says where nobody is reached under the address.
const NOBODY: [&str; 9] = [
    "cannot_dm_bot",
    "channel_not_found",
    "is_archived",
    "messages_tab_disabled",
    "not_in_channel",
    "restricted_action",
    "user_disabled",
    "user_not_found",
    "users_not_found",
];

/// What Slack says where trying again helps.
const LATER: [&str; 6] = [
    "fatal_error",
    "internal_error",
    "ratelimited",
    "rate_limited",
    "request_timeout",
    "service_unavailable",
];

#[derive(Deserialize)]
struct Said {
    ok: bool,
    error: Option<String>,
    team: Option<String>,
    user: Option<String>,
}

/// A workspace, and the channel that is told what is everybody's.
#[derive(Debug)]
pub struct Slack {
    http: Http,
    place: String,
}

impl Slack {
    /// The workspace behind `http`, the root of the Web API with a bot's token; `place` is the id of the channel.
    pub fn new(http: Http, place: String) -> Self {
        Self { http, place }
    }

    async fn ask(&self, what: &str, method: &str, body: &Value) -> Result<Said, NotifyError> {
        let failed = |failure| NotifyError::of_call(NAME, failure);
        let url = self.http.route(&[method], &[]).map_err(failed)?;
        let call = Call::new(Method::POST, url)
            .at_most(ANSWER)
            .json("application/json; charset=utf-8", body);
        let answer: Answer = self.http.send(what, call).await.map_err(failed)?;
        let said: Said = answer.json(what).map_err(failed)?;
        if said.ok {
            return Ok(said);
        }
        // A word of Slack's, in which nothing of ours can stand but what it repeats.
        let error = said.error.unwrap_or_default();
        let word = answer.secrets.hide(&error);
        let word: String = word.chars().filter(|c| !c.is_control()).take(100).collect();
        Err(match word.as_str() {
            word if NOBODY.contains(&word) => NotifyError::NoRecipient {
                channel: NAME,
                reason: format!("{what}: {word}"),
            },
            word if LATER.contains(&word) => failed(Failure::unavailable(what, word.to_owned())),
            word => NotifyError::Refused {
                channel: NAME,
                reason: format!("{what}: {word}"),
            },
        })
    }
}

#[async_trait]
impl Channel for Slack {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn send(&self, message: &Message, to: Recipient<'_>) -> Result<(), NotifyError> {
        let place = match to {
            Recipient::Everybody => &self.place,
            Recipient::Person(user) => user,
        };
        let body = json!({
            "channel": place,
            "text": escaped(&cut(&message.text(), TEXT)),
            "blocks": blocks(message),
            "parse": "none",
            "link_names": false,
            "unfurl_links": false,
            "unfurl_media": false,
        });
        let posted = self.ask("posting a message", "chat.postMessage", &body);
        posted.await.map(drop)
    }

    async fn check(&self) -> Result<String, NotifyError> {
        let nothing = json!({});
        let said = self.ask("asking whose token it is", "auth.test", &nothing);
        let said = said.await?;
        Ok(format!(
            "the token is {}'s in {}; nothing was sent",
            said.user.as_deref().unwrap_or("somebody"),
            said.team.as_deref().unwrap_or("a workspace"),
        ))
    }
}

fn blocks(message: &Message) -> Vec<Value> {
    let mut blocks = vec![
        json!({ "type": "header", "text": plain(&message.title.replace(['\r', '\n'], " "), HEADER) }),
    ];
    let fields: Vec<Value> = message
        .facts
        .iter()
        .take(FIELDS)
        .map(|fact| plain(&format!("{}: {}", fact.label, fact.text), FIELD))
        .collect();
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    if let Some(to_do) = &message.to_do {
        blocks.push(json!({ "type": "section", "text": plain(to_do, SECTION) }));
    }
    let links: Vec<String> = message.links.iter().map(link).collect();
    if !links.is_empty() {
        let text = cut(&links.join("  |  "), SECTION);
        blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "verbatim": true, "text": text }] }));
    }
    blocks
}

/// Text that Slack shows as it is. An empty one is refused.
fn plain(text: &str, most: usize) -> Value {
    let text = match text.trim() {
        "" => "-",
        text => text,
    };
    json!({ "type": "plain_text", "emoji": false, "text": cut(text, most) })
}

/// Our own link. An address of the forge holds neither of the signs that end it here, as it is encoded; escaped all the same.
fn link(link: &Link) -> String {
    let url = escaped(&link.url).replace('|', "%7C");
    let label = escaped(&link.label).replace('|', "/");
    format!("<{url}|{label}>")
}

/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(most.saturating_sub(4)).collect();
            format!("{kept} ...")
        }
    }
}
