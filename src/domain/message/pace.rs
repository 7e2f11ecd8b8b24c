//! How a storm stays few messages: what happens to many at once is told together.

use chrono::TimeDelta;

use super::{Fact, Message, Topic};

/// How many messages of one topic one recipient gets in [`PACE`].
pub const FEW: u64 = 5;

/// See [`FEW`].
pub const PACE: TimeDelta = TimeDelta::minutes(1);

/// How many things a message that tells of many names one by one.
const NAMED: usize = 20;

/// How messages of one topic go to one recipient now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Each by itself.
    Each,
    /// All in one.
    Together,
    /// Not yet: enough was told for now, and what comes meanwhile goes with it.
    Later,
}

/// How `waiting` messages go where `told` went within the last [`PACE`].
pub fn pace(told: u64, waiting: u64) -> Pace {
    match told {
        told if told.saturating_add(waiting) <= FEW => Pace::Each,
        told if told < FEW => Pace::Together,
        _ => Pace::Later,
    }
}

/// One message that tells of all of `messages`: of one topic, and not empty. `key` names it.
pub fn together(key: String, messages: &[Message]) -> Option<Message> {
    let first = messages.first()?;
    let count: u64 = messages.iter().map(|m| m.count).sum();
    let mut lines: Vec<&str> = messages
        .iter()
        .take(NAMED)
        .map(|m| m.title.as_str())
        .collect();
    let left = messages.len().saturating_sub(lines.len());
    let rest = format!("... and {left} more");
    if left > 0 {
        lines.push(&rest);
    }
    let mut links = Vec::new();
    for link in messages.iter().flat_map(|m| &m.links) {
        // Each has its own pull request; what all of them have is where everything stands.
        let shared = messages.iter().all(|m| m.links.contains(link));
        if shared && !links.contains(link) {
            links.push(link.clone());
        }
    }
    Some(Message {
        key,
        topic: first.topic,
        at: messages.iter().map(|m| m.at).max().unwrap_or(first.at),
        title: format!("{count} {}", many(first.topic)),
        facts: vec![Fact {
            label: "Among them".to_owned(),
            text: lines.join("\n"),
        }],
        to_do: (messages.iter().all(|m| m.to_do == first.to_do))
            .then(|| first.to_do.clone())
            .flatten(),
        links,
        whose: first.whose.clone(),
        count,
    })
}

fn many(topic: Topic) -> &'static str {
    match topic {
        Topic::Waiting => "pull requests wait for owners",
        Topic::Granted => "grants were given",
        Topic::EndsSoon => "grants end soon",
        Topic::Ended => "grants are over",
        Topic::BreakGlass => "messages about break-glass access",
        Topic::Overdue => "removals are overdue or held back",
        Topic::Drift => "differences between target systems and the ledger",
        Topic::AccessReview => "access reviews wait for owners",
        Topic::Unproved => "files were merged without proof",
        Topic::SafeMode => "messages about safe mode",
    }
}
