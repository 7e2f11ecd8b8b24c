//! The GitHub App: whether it is the one that is configured, may do what it must, and no more.

use std::collections::{BTreeMap, BTreeSet};

use super::{Area, Line};
use crate::domain::model::{Instant, Login};

/// Permissions by GitHub's names: `contents` is `read` or `write`, some are `admin`.
pub type Permissions = BTreeMap<String, String>;

/// What the App must be allowed, and told of, at an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needed {
    /// The permissions.
    pub permissions: Permissions,
    /// The events.
    pub events: BTreeSet<String>,
}

/// The App as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its number.
    pub id: u64,
    /// Its name in addresses.
    pub slug: String,
}

/// The App as it is installed at an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// What the account's owner agreed to.
    pub permissions: Permissions,
    /// The events that are delivered.
    pub events: BTreeSet<String>,
    /// Whether it is switched off.
    pub suspended: bool,
}

/// Where GitHub delivers the App's webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The address; `None` where there is none.
    pub url: Option<String>,
    /// Whether bodies come as JSON.
    pub json: bool,
    /// Whether GitHub checks the certificate of the address.
    pub verifies: bool,
    /// Whether deliveries are signed.
    pub signed: bool,
}

/// GitHub's clock and ours, at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// GitHub's, in whole seconds.
    pub theirs: Instant,
    /// Ours.
    pub ours: Instant,
}

/// The events at the account of the access repository without which news comes only with the next tick.
pub const EVENTS: [&str; 8] = [
    "push",
    "pull_request",
    "pull_request_review",
    "issue_comment",
    "membership",
    "team",
    "organization",
    "member",
];

/// What a clock may be off: GitHub tells whole seconds, and the answer takes its time.
const CLOSE_SECONDS: i64 = 3;
/// GitHub takes no token from further off.
const FAR_SECONDS: i64 = 45;

/// Whether the private key belongs to the App that is configured.
pub fn key(configured: u64, registered: &Registered) -> Line {
    let Registered { id, slug } = registered;
    if *id == configured {
        return Line::pass(Area::App, format!("the private key is App {id}'s ({slug})"));
    }
    Line::failure(
        Area::App,
        format!("the private key is App {id}'s ({slug}), and App {configured} is configured"),
        format!("Set `[github] app_id` to {id}, or use the private key of App {configured}."),
    )
}

/// Whether the App may do what it must at an account, and what else it may do.
pub fn installed(account: &Login, needed: &Needed, found: &Installed) -> Vec<Line> {
    if found.suspended {
        return vec![Line::failure(
            Area::App,
            format!("the installation on {account} is suspended"),
            "Lift the suspension in the account's settings, under GitHub Apps.",
        )];
    }
    let rank = |level: Option<&String>| match level.map(String::as_str) {
        Some("admin") => 3,
        Some("write") => 2,
        Some("read") => 1,
        _ => 0,
    };
    let words = |permissions: &Permissions, more_than: &Permissions| -> Vec<String> {
        permissions
            .iter()
            .filter(|(name, level)| rank(Some(level)) > rank(more_than.get(*name)))
            .map(|(name, level)| format!("{name}: {level}"))
            .collect()
    };
    let lacking = words(&needed.permissions, &found.permissions);
    let beyond = words(&found.permissions, &needed.permissions);
    let mut lines = Vec::new();
    lines.push(match lacking.as_slice() {
        [] => Line::pass(
            Area::App,
            format!("it has every permission that it needs on {account}"),
        ),
        lacking => Line::failure(
            Area::App,
            format!("it lacks `{}` on {account}", lacking.join(", ")),
            "Add them in the App's settings, and have the account's owner accept them.",
        ),
    });
    if !beyond.is_empty() {
        lines.push(Line::warning(
            Area::App,
            format!("it may do more on {account} than it needs: `{}`", beyond.join(", ")),
            "Take them away in the App's settings: what an App may not do, nobody can do with its key.",
        ));
    }
    let deaf: Vec<&str> = needed
        .events
        .difference(&found.events)
        .map(String::as_str)
        .collect();
    if !deaf.is_empty() {
        lines.push(Line::warning(
            Area::App,
            format!("it is not told of `{}` on {account}", deaf.join(", ")),
            "Subscribe to these events in the App's settings; without them, news comes only with the next tick.",
        ));
    }
    lines
}

/// Whether webhooks arrive, and only GitHub's.
pub fn hook(found: &Hook) -> Vec<Line> {
    let Some(url) = &found.url else {
        return vec![Line::warning(
            Area::App,
            "the App delivers no webhooks, so that news comes only with the next tick",
            "Enter the address of this server, `https://HOST/webhook`, in the App's settings.",
        )];
    };
    let mut lines = Vec::new();
    if !url.starts_with("https://") {
        lines.push(Line::warning(
            Area::App,
            format!("webhooks go to {url}, which is not encrypted"),
            "Deliver them to an `https://` address.",
        ));
    } else if !found.verifies {
        lines.push(Line::warning(
            Area::App,
            format!("GitHub does not check the certificate of {url}"),
            "Switch on the check of certificates in the App's settings.",
        ));
    }
    if !found.json {
        lines.push(Line::failure(
            Area::App,
            "webhooks come as forms, which this server does not take",
            "Choose the content type `application/json` in the App's settings.",
        ));
    }
    if !found.signed {
        lines.push(Line::failure(
            Area::App,
            "webhooks are not signed, so that this server refuses each of them",
            "Enter the text of HALLPASS_WEBHOOK_SECRET as the secret in the App's settings.",
        ));
    }
    if lines.is_empty() {
        lines.push(Line::pass(
            Area::App,
            format!("webhooks go to {url}, signed"),
        ));
    }
    lines
}

/// Whether ends come on time, by GitHub's clock.
pub fn clocks(clocks: Clocks) -> Line {
    let off = (clocks.ours - clocks.theirs).num_seconds();
    let says = match off {
        0 => "the clock agrees with GitHub's".to_owned(),
        off if off > 0 => format!("the clock is {off} s ahead of GitHub's"),
        off => format!("the clock is {} s behind GitHub's", -off),
    };
    let remedy = "Keep the time by NTP on this machine: every end is kept by its clock.";
    match off.abs() {
        0..=CLOSE_SECONDS => Line::pass(Area::App, says),
        off if off < FAR_SECONDS => Line::warning(Area::App, says, remedy),
        _ => Line::failure(Area::App, says, remedy),
    }
}
