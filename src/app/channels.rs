//! The channels of the configuration, each as its adapter.

use std::sync::Arc;

use anyhow::Context as _;

use super::providers::settings;
use crate::clock::Clock;
use crate::config::{self, Channels, Config, Protection, Telling};
use crate::domain::message::{self, Message};
use crate::domain::model::Instant;
use crate::domain::report::Pages;
use crate::http_client::Http;
use crate::notify::mail::{self, Mail};
use crate::notify::receiver::Receiver;
use crate::notify::slack::Slack;
use crate::notify::{Channel, Subscription};

/// A subscription for each channel of the configuration. Nothing is called.
///
/// # Errors
/// When an address or a secret of one cannot be used.
pub(super) fn connect(
    channels: &Channels,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<Subscription>> {
    let mut subscriptions = Vec::new();
    if let Some(slack) = &channels.slack {
        let http = Http::with_token(settings(&slack.api, clock), "Bearer", &slack.token);
        let http = http.context("cannot set up [notices.slack]")?;
        let channel = Slack::new(http, slack.channel.clone());
        subscriptions.push(subscription(channel, &slack.telling));
    }
    if let Some(receiver) = &channels.http {
        let unusable = "cannot set up [notices.http]";
        let http = Http::new(settings(&receiver.endpoint, clock)).context(unusable)?;
        let channel = Receiver::new(http, &receiver.secrets).context(unusable)?;
        subscriptions.push(subscription(channel, &receiver.telling));
    }
    if let Some(mail) = &channels.mail {
        let channel = Mail::new(by_mail(mail)).context("cannot set up [notices.mail]")?;
        subscriptions.push(subscription(channel, &mail.telling));
    }
    Ok(subscriptions)
}

fn subscription(channel: impl Channel + 'static, telling: &Telling) -> Subscription {
    Subscription {
        channel: Arc::new(channel),
        topics: telling.topics.clone(),
        people: telling.people.clone(),
    }
}

fn by_mail(mail: &config::Mail) -> mail::Settings {
    mail::Settings {
        server: mail.server.clone(),
        port: mail.port,
        protection: match mail.protection {
            Protection::Tls => mail::Protection::Tls,
            Protection::StartTls => mail::Protection::StartTls,
            Protection::None => mail::Protection::None,
        },
        ca: mail.ca.clone(),
        login: mail
            .login
            .clone()
            .map(|(user, password)| mail::Login { user, password }),
        from: mail.from.clone(),
        to: mail.to.clone(),
    }
}

/// The message that shows whether messages arrive.
pub(super) fn test(config: &Config, pages: &Pages, now: Instant) -> Message {
    message::test(&config.github.repository.to_string(), pages, now)
}
