//! What people are told beside GitHub: what happened, or what waits, as a message that every channel can carry.
//!
//! Pure. Invariant: a message holds texts and never markup. Whatever requesters, forges and target systems wrote stands in facts, and
//! is for each channel to show as plain text.

mod compose;
mod pace;

use std::fmt;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::model::{Instant, Malformed, Subject};

pub use compose::{Waiting, ending_soon, of_event, overdue, reminder, test, unsigned, waiting};
pub use pace::{FEW, PACE, Pace, pace, together};

/// What a message is about: what channels choose by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A pull request waits for owners.
    Waiting,
    /// Access was given, or goes on.
    Granted,
    /// Access ends soon.
    EndsSoon,
    /// Access is over, or was never given.
    Ended,
    /// Somebody broke the glass, or nobody has reviewed it yet.
    BreakGlass,
    /// Access should be gone and is not, or its removal is held back.
    Overdue,
    /// A target system differs from the ledger.
    Drift,
    /// An access review waits for owners.
    AccessReview,
    /// Something was merged that nobody who may had approved.
    Unproved,
    /// Nothing is granted any more; or it is again.
    SafeMode,
}

impl Topic {
    /// Every topic, with the word in the configuration.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Waiting, "waiting"),
        (Self::Granted, "granted"),
        (Self::EndsSoon, "ends-soon"),
        (Self::Ended, "ended"),
        (Self::BreakGlass, "break-glass"),
        (Self::Overdue, "overdue"),
        (Self::Drift, "drift"),
        (Self::AccessReview, "access-review"),
        (Self::Unproved, "merged-without-proof"),
        (Self::SafeMode, "safe-mode"),
    ];

    /// The topic that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, known)| *known == word)
            .map(|(topic, _)| topic)
    }

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(topic, _)| *topic == self)
            .map_or("waiting", |(_, word)| word)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Topic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&word).ok_or_else(|| serde::de::Error::custom("unknown topic"))
    }
}

/// One fact of a message. Untrusted text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is: our own word.
    pub label: String,
    /// What it says.
    pub text: String,
}

/// Where to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Our own words.
    pub label: String,
    /// An address at the forge.
    pub url: String,
}

/// One thing that people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Names the thing: whatever is told twice under one key is told once.
    pub key: String,
    /// What it is about.
    pub topic: Topic,
    /// When it happened, or was found.
    pub at: Instant,
    /// The same in a line. Names only, nothing that a requester wrote in words of their own; still nothing but plain text.
    pub title: String,
    /// Who, what, why, until when.
    pub facts: Vec<Fact>,
    /// What there is to do; `None` where that is nothing.
    pub to_do: Option<String>,
    /// Where.
    pub links: Vec<Link>,
    /// Whose matter it is alone; `None` where it is everybody's. For a service, that of the person who answers for it.
    pub whose: Option<Subject>,
    /// How many things it tells of.
    pub count: u64,
}

impl Message {
    /// The message as plain text: what mail carries, and whatever cannot show more.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", self.title);
        for fact in &self.facts {
            out.push_str(&format!("\n{}: {}", fact.label, indented(&fact.text)));
        }
        if let Some(to_do) = &self.to_do {
            out.push_str(&format!("\n\n{to_do}"));
        }
        if !self.links.is_empty() {
            out.push('\n');
        }
        for link in &self.links {
            out.push_str(&format!("\n{}: {}", link.label, link.url));
        }
        out.push('\n');
        out
    }
}

/// Further lines of a text stand apart from the labels, so that none of them can pass for a fact.
fn indented(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("\n    ")
}

/// When people are told again of what still waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminders(Vec<TimeDelta>);

impl Reminders {
    /// The fewest minutes between two reminders.
    const LEAST: TimeDelta = TimeDelta::minutes(1);

    /// Reminders after these pauses; the last of them repeats. None: nobody is told a second time.
    ///
    /// # Errors
    /// When one pause is under a minute.
    pub fn after_each(pauses: Vec<TimeDelta>) -> Result<Self, Malformed> {
        match pauses.iter().find(|pause| **pause < Self::LEAST) {
            None => Ok(Self(pauses)),
            Some(short) => Err(Malformed {
                value: format!("{} s", short.num_seconds()),
                expected: "pauses of at least a minute",
            }),
        }
    }

    /// How long after it was told `told` times it is told again; `None`: never.
    pub fn after(&self, told: u32) -> Option<TimeDelta> {
        let index = usize::try_from(told)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        self.0.get(index).or(self.0.last()).copied()
    }
}

impl Default for Reminders {
    fn default() -> Self {
        Self(vec![
            TimeDelta::hours(1),
            TimeDelta::hours(4),
            TimeDelta::days(1),
        ])
    }
}
