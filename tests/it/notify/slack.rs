//! `[notices.slack]`, against an emulator that we did not write.

use std::net::SocketAddr;
use std::sync::OnceLock;

use hallpass::http_client::Http;
use hallpass::notify::slack::Slack;
use hallpass::notify::{Channel as _, NotifyError, Recipient};
use serde_json::{Value, json};

use super::endpoint::{Endpoint, Next};
use super::{HOSTILE, message, settings};
use crate::program::{Program, tools};

pub const TOKEN: &str = "xoxb-canary-slack-token";

const SCRIPT: &str = "\
const { createEmulator } = await import(process.argv[1]); \
const scopes = ['chat:write', 'channels:read', 'channels:history']; \
const slack = { team: { name: 'Acme', domain: 'acme' }, users: [{ name: 'hallpass', email: 'h@example.org' }], \
channels: [{ name: 'access' }, { name: 'quiet' }], strict_scopes: true, tokens: [{ token: process.argv[3], user: 'hallpass', scopes }] }; \
await createEmulator({ service: 'slack', port: Number(process.argv[2]), seed: { slack } });";

/// A running emulator.
#[derive(Debug)]
pub struct Server(Program);

impl Server {
    /// The one that all tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| {
            let library = tools().join("node/node_modules/emulate/dist/api.js");
            let library = library.display().to_string();
            let node = ["node", "--input-type=module", "-e", SCRIPT];
            let words = [&node[..], &[library.as_str(), "{port}", TOKEN]].concat();
            Self(Program::start(&words))
        })
    }

    fn address(&self) -> SocketAddr {
        self.0.address()
    }

    pub fn api(&self) -> String {
        format!("http://{}/api", self.address())
    }

    async fn ask(&self, method: &str, body: Value) -> Value {
        let url = format!("{}/{method}", self.api());
        let request = reqwest::Client::new()
            .post(url)
            .bearer_auth(TOKEN)
            .header("content-type", "application/json")
            .body(body.to_string());
        let text = request.send().await.unwrap().text().await.unwrap();
        let said: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(said["ok"], true, "{method}: {said}");
        said
    }

    /// The id of a channel.
    pub async fn channel(&self, name: &str) -> String {
        let all = self.ask("conversations.list", json!({})).await;
        let mut all = all["channels"].as_array().unwrap().iter();
        let this = all.find(|channel| channel["name"] == name).unwrap();
        this["id"].as_str().unwrap().to_owned()
    }

    /// What was posted there, oldest first.
    pub async fn posts(&self, channel: &str) -> Vec<Value> {
        let history = self.ask(
            "conversations.history",
            json!({ "channel": channel, "limit": 200 }),
        );
        let history = history.await;
        crate::leaks::in_text("Slack", history.to_string());
        let mut posts = history["messages"].as_array().unwrap().clone();
        posts.reverse();
        posts
    }
}

fn workspace(api: &str, token: &str, channel: &str) -> Slack {
    let http = Http::with_token(settings(api), "Bearer", &token.into()).unwrap();
    Slack::new(http, channel.to_owned())
}

/// Everything that Slack reads markup in.
fn marked_up(post: &Value) -> Vec<String> {
    let mut found = vec![post["text"].as_str().unwrap().to_owned()];
    let blocks = post["blocks"].as_array().unwrap();
    let mut todo: Vec<&Value> = blocks.iter().collect();
    while let Some(value) = todo.pop() {
        if value["type"] == "mrkdwn" {
            found.push(value["text"].as_str().unwrap().to_owned());
        }
        match value {
            Value::Array(all) => todo.extend(all),
            Value::Object(all) => todo.extend(all.values()),
            _ => {}
        }
    }
    found
}

#[tokio::test]
async fn slack_shows_hostile_text_as_text() {
    let server = Server::shared();
    let place = server.channel("access").await;
    let slack = workspace(&server.api(), TOKEN, &place);
    let told = message("hostile", HOSTILE);
    slack.send(&told, Recipient::Everybody).await.unwrap();
    let posts = server.posts(&place).await;
    let post = posts
        .iter()
        .find(|post| post.to_string().contains("evil.example"))
        .unwrap();
    for text in marked_up(post) {
        let ours = "<https://github.com/acme/access/pull/7|Pull request #7>";
        let rest = text.replace(ours, "");
        assert!(!rest.contains('<') && !rest.contains('>'), "{text}");
    }
    // What people read is what was written.
    assert_eq!(post["blocks"][0]["type"], "header");
    let field = &post["blocks"][1]["fields"][0];
    assert_eq!(field["type"], "plain_text");
    assert!(field["text"].as_str().unwrap().contains("<!channel> @here"));
}

#[tokio::test]
async fn slack_takes_texts_of_any_length() {
    let server = Server::shared();
    let place = server.channel("quiet").await;
    let slack = workspace(&server.api(), TOKEN, &place);
    for text in ["", " ", &"ä<".repeat(10_000)] {
        let told = message("long", text);
        slack.send(&told, Recipient::Everybody).await.unwrap();
    }
    for post in server.posts(&place).await {
        let title = post["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!((1..=150).contains(&title.chars().count()), "{title}");
        let field = post["blocks"][1]["fields"][0]["text"].as_str().unwrap();
        assert!((1..=2000).contains(&field.chars().count()), "{field}");
    }
}

#[tokio::test]
async fn a_token_that_slack_refuses_is_for_a_person_and_is_not_repeated() {
    let server = Server::shared();
    let place = server.channel("access").await;
    let other = workspace(&server.api(), "xoxb-canary-guessed", &place);
    let told = message("refused", "x");
    let error = other.send(&told, Recipient::Everybody).await.unwrap_err();
    assert!(matches!(error, NotifyError::Refused { .. }), "{error}");
    assert!(
        !format!("{error} {error:?} {other:?}").contains("canary"),
        "{error}"
    );
    let found = workspace(&server.api(), TOKEN, &place)
        .check()
        .await
        .unwrap();
    assert_eq!(found, "the token is hallpass's in Acme; nothing was sent");
}

#[tokio::test]
async fn nobody_under_the_address_is_told_apart_from_a_refusal() {
    let server = Server::shared();
    let place = server.channel("access").await;
    let slack = workspace(&server.api(), TOKEN, &place);
    let told = message("nobody", "x");
    let error = slack
        .send(&told, Recipient::Person("U0GONE"))
        .await
        .unwrap_err();
    assert!(matches!(error, NotifyError::NoRecipient { .. }), "{error}");
}

#[tokio::test]
async fn slack_that_is_busy_or_down_is_asked_again_when_it_says() {
    // The emulator has no limits: its place is taken by a server that says what Slack says.
    let endpoint = Endpoint::start().await;
    endpoint.then(&[Next::Say(429, Some(30))]);
    let slack = workspace(&endpoint.url, TOKEN, "C1");
    let told = message("busy", "x");
    let error = slack.send(&told, Recipient::Everybody).await.unwrap_err();
    assert_eq!(
        error.retry_at(),
        Some("2026-11-23T09:00:30Z".parse().unwrap())
    );
    let down = workspace("http://127.0.0.1:9/api", TOKEN, "C1");
    let error = down.send(&told, Recipient::Everybody).await.unwrap_err();
    assert!(matches!(error, NotifyError::Unavailable { .. }), "{error}");
}
