//! The port to what people read beside GitHub: a channel carries a message, and says whether it did.
//!
//! Promises of every channel:
//! - A message goes out as plain text. Nothing in it mentions, links, formats or addresses anything but what the channel itself puts there.
//! - A call ends, within [`crate::http_client::CALL`]. No error repeats a secret.
//! - Whether a message that was lost on the way arrived is not known: it is sent again, under the same id. Where the other side keeps
//!   ids, it is told once; otherwise at least once.

pub mod mail;
pub mod receiver;
pub mod slack;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::domain::message::{Message, Topic};
use crate::domain::model::{ConnectionName, Instant, Subject};
use crate::http_client::Failure;

/// Why a message did not go out, named by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Try again, not before `retry_at` where the other side says so. Whether the message arrived is unknown.
    #[error("{channel} is unavailable: {what}")]
    Unavailable {
        /// Which channel.
        channel: &'static str,
        /// What was attempted.
        what: String,
        /// When trying again makes sense.
        retry_at: Option<Instant>,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A person must act: a token that is refused, a right that is missing.
    #[error("{channel} refuses: {reason}")]
    Refused {
        /// Which channel.
        channel: &'static str,
        /// What the other side said.
        reason: String,
    },
    /// Nobody is reached under the address.
    #[error("{channel} does not reach the recipient: {reason}")]
    NoRecipient {
        /// Which channel.
        channel: &'static str,
        /// What the other side said.
        reason: String,
    },
}

impl NotifyError {
    /// When trying again makes sense, if the other side said so.
    pub fn retry_at(&self) -> Option<Instant> {
        match self {
            Self::Unavailable { retry_at, .. } => *retry_at,
            Self::Refused { .. } | Self::NoRecipient { .. } => None,
        }
    }

    /// What went wrong with a call, as `channel`'s.
    fn of_call(channel: &'static str, failure: Failure) -> Self {
        match failure {
            Failure::Unavailable {
                what,
                retry_at,
                source,
            } => Self::Unavailable {
                channel,
                what,
                retry_at,
                source,
            },
            other => Self::Refused {
                channel,
                reason: other.to_string(),
            },
        }
    }
}

/// To whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient<'a> {
    /// Where everybody reads.
    Everybody,
    /// One person, by their address in this channel.
    Person(&'a str),
}

/// What a message is called on its way: the same whenever it is sent.
pub fn id(message: &Message) -> String {
    let digest = hex::encode(Sha256::digest(&message.key));
    format!("msg_{}", &digest[..32])
}

/// One way to people.
#[async_trait]
pub trait Channel: Send + Sync + fmt::Debug {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// Sends a message, once.
    ///
    /// # Errors
    /// Any [`NotifyError`].
    async fn send(&self, message: &Message, to: Recipient<'_>) -> Result<(), NotifyError>;

    /// Looks whether messages could be sent, and sends none. What was found, in a phrase.
    ///
    /// # Errors
    /// Any [`NotifyError`].
    async fn check(&self) -> Result<String, NotifyError>;
}

/// A channel, and what it is told.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Which channel.
    pub channel: Arc<dyn Channel>,
    /// What it is told.
    pub topics: BTreeSet<Topic>,
    /// Under which name people have their address in it, where they are told themselves what is their matter alone.
    pub people: Option<ConnectionName>,
}

impl Subscription {
    /// Whether it is told of this.
    pub fn wants(&self, message: &Message) -> bool {
        self.topics.contains(&message.topic)
    }

    /// Whose matter it is alone, and the name of their address, where people are told themselves.
    pub fn person<'a>(&'a self, message: &'a Message) -> Option<(&'a Subject, &'a ConnectionName)> {
        message.whose.as_ref().zip(self.people.as_ref())
    }
}
