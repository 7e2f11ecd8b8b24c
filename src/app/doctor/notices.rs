//! Whether people could be told what they are to be told.

use std::path::Path;
use std::sync::Arc;

use super::super::{channels, service};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::domain::doctor::{Area, Line};
use crate::notify::{NotifyError, Recipient, Subscription};
use crate::reconcile::chain;

/// Sends a test message by each channel of the configuration at `path`, to the place where everybody reads, and says whether it was
/// taken.
///
/// # Errors
/// When the configuration cannot be used at all.
pub fn tell(path: &Path) -> anyhow::Result<Vec<Line>> {
    let config = Config::load(path, config::environment)?;
    super::super::serve::runtime()?.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        tell_with(&config, clock).await
    })
}

/// [`tell`], by this clock.
///
/// # Errors
/// When a channel cannot be set up.
pub async fn tell_with(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Vec<Line>> {
    let subscriptions = channels::connect(&config.channels, &clock)?;
    let pages = service::settings(config).pages;
    let message = channels::test(config, &pages, clock.now());
    let mut lines = Vec::new();
    for Subscription { channel, .. } in &subscriptions {
        let sent = channel.send(&message, Recipient::Everybody).await;
        lines.push(told(
            channel.name(),
            sent.map(|()| "it took a test message".to_owned()),
        ));
    }
    if lines.is_empty() {
        lines.push(Line::warning(
            Area::Notices,
            "nobody is told anything beside GitHub, so that nothing was sent",
            "Add [notices.slack], [notices.http] or [notices.mail] to the configuration: docs/notices.md.",
        ));
    }
    Ok(lines)
}

/// Whether messages could be sent. None is.
pub(super) async fn look(subscriptions: &[Subscription]) -> Vec<Line> {
    let mut lines = Vec::new();
    for Subscription { channel, .. } in subscriptions {
        lines.push(told(channel.name(), channel.check().await));
    }
    lines
}

fn told(channel: &str, found: Result<String, NotifyError>) -> Line {
    match found {
        Ok(what) => Line::pass(Area::Notices, format!("{channel}: {what}")),
        Err(error @ NotifyError::Unavailable { .. }) => Line::failure(
            Area::Notices,
            chain(&error),
            format!(
                "See that this server reaches what [notices.{channel}] names. Messages wait for a day."
            ),
        ),
        Err(error) => Line::failure(
            Area::Notices,
            error.to_string(),
            format!("See [notices.{channel}] and docs/notices.md, which says what it needs there."),
        ),
    }
}
