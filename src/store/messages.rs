//! What people are told beside GitHub: what waits to be sent, and what was.
//!
//! Invariant: a row is sent by whoever moved its `due_at` last. Writers take turns, so that of several replicas one does; a sender that
//! dies leaves a row that is due again once its claim is over.

use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, Row, Transaction};

use super::fault::{instant, natural, text};
use super::{Store, StoreError, Writer};
use crate::domain::evidence::Event;
use crate::domain::message::{Message, Topic};
use crate::domain::model::Instant;

/// A message to one recipient of one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// The channel's name.
    pub channel: String,
    /// An address of the channel; `None`: the place where everybody reads.
    pub recipient: Option<String>,
    /// What is said.
    pub message: Message,
}

/// One that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// What, and to whom.
    pub addressed: Addressed,
    /// Since when it waits.
    pub queued_at: Instant,
    /// How often it was tried.
    pub attempts: u32,
}

/// What becomes of one that somebody tried to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The channel took it, at this instant.
    Told(Instant),
    /// It is tried again.
    Again(Instant),
    /// It goes to the place where everybody reads, because its recipient cannot be reached.
    ToEverybody(Instant),
    /// It is not tried any more.
    GivenUp,
}

/// Up to which event of the outbox people were told.
pub(super) const CURSOR: &str = "messages:cursor";

impl Store {
    /// Events that nobody was told of yet, in the order they were written, at most `most`. The first time there are none: what was
    /// before is no news.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn events_to_tell(&self, most: u32) -> Result<Vec<(u64, Event)>, StoreError> {
        self.events_past(CURSOR, most).await
    }

    /// Queues messages, and notes that people are told of events up to `sequence`, in one transaction. What is queued or was told under
    /// its key is left as it is.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn queue_messages(
        &self,
        messages: &[Addressed],
        sequence: Option<u64>,
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        queue(&mut tx, messages, now).await?;
        if let Some(sequence) = sequence {
            super::ledger::set_note(&mut tx, CURSOR, &sequence.to_string()).await?;
        }
        Ok(tx.commit().await?)
    }

    /// What waits for a channel at `now`, oldest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn due_messages(
        &self,
        channel: &str,
        now: Instant,
        most: u32,
    ) -> Result<Vec<Queued>, StoreError> {
        due(&self.inner.readers, channel, now, most).await
    }

    /// How many messages of the topic of `like` its recipient got since `since`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn told_since(&self, like: &Addressed, since: Instant) -> Result<u64, StoreError> {
        told(&self.inner.readers, like, since).await
    }

    /// Takes one to be sent: nobody else does before `until`. Whether it is ours.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn claim_message(&self, one: &Queued, until: Instant) -> Result<bool, StoreError> {
        claim(&self.inner.writer, one, until).await
    }

    /// Settles what becomes of one that was taken, unless somebody took it since.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn settle_message(&self, one: &Queued, sent: &Sent) -> Result<(), StoreError> {
        settle(&self.inner.writer, one, sent).await
    }

    /// Puts one message in the place of `of`, in one transaction. Whether that was done: not where somebody took one of them meanwhile.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn gather_messages(
        &self,
        of: &[Queued],
        one: &Addressed,
        now: Instant,
    ) -> Result<bool, StoreError> {
        gather(&self.inner.writer, of, one, now).await
    }

    /// How many messages wait, by channel.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn waiting_messages(&self) -> Result<Vec<(String, u64)>, StoreError> {
        waiting(&self.inner.readers).await
    }

    /// Forgets what was settled, and what has been over, before `before`.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn forget_messages(&self, before: Instant) -> Result<(), StoreError> {
        forget(&self.inner.writer, before).await
    }
}

pub(super) async fn queue(
    tx: &mut Transaction<'_, Any>,
    messages: &[Addressed],
    now: Instant,
) -> Result<(), StoreError> {
    for one in messages {
        sqlx::query(
            "INSERT INTO messages (key, channel, recipient, topic, queued_at, due_at, attempts, state, message) \
             VALUES ($1, $2, $3, $4, $5, $5, 0, 'waiting', $6) ON CONFLICT (key, channel) DO NOTHING",
        )
        .bind(one.message.key.as_str())
        .bind(one.channel.as_str())
        .bind(one.recipient.as_deref().unwrap_or_default())
        .bind(one.message.topic.as_str())
        .bind(text(now))
        .bind(written(&one.message)?)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

pub(super) fn written(message: &Message) -> Result<String, StoreError> {
    serde_json::to_string(message)
        .map_err(|e| StoreError::broken(format!("a message cannot be written: {e}")))
}

pub(super) fn message(what: &str, text: &str) -> Result<Message, StoreError> {
    serde_json::from_str(text)
        .map_err(|e| StoreError::broken(format!("{what} cannot be read: {e}")))
}

async fn due(
    readers: &AnyPool,
    channel: &str,
    now: Instant,
    most: u32,
) -> Result<Vec<Queued>, StoreError> {
    let rows = sqlx::query(
        "SELECT key, recipient, queued_at, attempts, message FROM messages \
         WHERE channel = $1 AND state = 'waiting' AND due_at <= $2 ORDER BY due_at, key LIMIT $3",
    )
    .bind(channel)
    .bind(text(now))
    .bind(i64::from(most))
    .fetch_all(readers)
    .await?;
    rows.iter().map(|row| queued(channel, row)).collect()
}

fn queued(channel: &str, row: &AnyRow) -> Result<Queued, StoreError> {
    let (key, recipient): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let what = format!("the message {key:?}");
    let (at, json): (String, String) = (row.try_get(2)?, row.try_get(4)?);
    Ok(Queued {
        addressed: Addressed {
            channel: channel.to_owned(),
            recipient: (!recipient.is_empty()).then_some(recipient),
            message: message(&what, &json)?,
        },
        queued_at: instant(&what, &at)?,
        attempts: u32::try_from(natural(&what, row.try_get(3)?)?).unwrap_or(u32::MAX),
    })
}

async fn told(readers: &AnyPool, like: &Addressed, since: Instant) -> Result<u64, StoreError> {
    let topic: Topic = like.message.topic;
    let row = sqlx::query(
        "SELECT COUNT(*) FROM messages WHERE channel = $1 AND recipient = $2 AND topic = $3 AND state = 'told' AND told_at > $4",
    )
    .bind(like.channel.as_str())
    .bind(like.recipient.as_deref().unwrap_or_default())
    .bind(topic.as_str())
    .bind(text(since))
    .fetch_one(readers)
    .await?;
    natural("the count of messages", row.try_get(0)?)
}

async fn claim(writer: &Writer, one: &Queued, until: Instant) -> Result<bool, StoreError> {
    let mut tx = writer.begin().await?;
    let done = sqlx::query(
        "UPDATE messages SET attempts = attempts + 1, due_at = $4 \
         WHERE key = $1 AND channel = $2 AND attempts = $3 AND state = 'waiting'",
    )
    .bind(one.addressed.message.key.as_str())
    .bind(one.addressed.channel.as_str())
    .bind(i64::from(one.attempts))
    .bind(text(until))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(done.rows_affected() == 1)
}

async fn settle(writer: &Writer, one: &Queued, sent: &Sent) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    let key = one.addressed.message.key.as_str();
    let channel = one.addressed.channel.as_str();
    // Ours is the attempt after those that it had when it was read.
    let attempt = i64::from(one.attempts) + 1;
    let query = match sent {
        Sent::Told(at) => sqlx::query(
            "UPDATE messages SET state = 'told', told_at = $4, message = '' \
             WHERE key = $1 AND channel = $2 AND attempts = $3 AND state = 'waiting'",
        )
        .bind(key)
        .bind(channel)
        .bind(attempt)
        .bind(text(*at)),
        Sent::Again(at) => sqlx::query(
            "UPDATE messages SET due_at = $4 WHERE key = $1 AND channel = $2 AND attempts = $3 AND state = 'waiting'",
        )
        .bind(key)
        .bind(channel)
        .bind(attempt)
        .bind(text(*at)),
        Sent::ToEverybody(at) => sqlx::query(
            "UPDATE messages SET due_at = $4, recipient = '' WHERE key = $1 AND channel = $2 AND attempts = $3 AND state = 'waiting'",
        )
        .bind(key)
        .bind(channel)
        .bind(attempt)
        .bind(text(*at)),
        Sent::GivenUp => sqlx::query(
            "UPDATE messages SET state = 'given-up', message = '' \
             WHERE key = $1 AND channel = $2 AND attempts = $3 AND state = 'waiting'",
        )
        .bind(key)
        .bind(channel)
        .bind(attempt),
    };
    query.execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

async fn gather(
    writer: &Writer,
    of: &[Queued],
    one: &Addressed,
    now: Instant,
) -> Result<bool, StoreError> {
    let mut tx = writer.begin().await?;
    for queued in of {
        let done = sqlx::query(
            "UPDATE messages SET state = 'gathered', message = '', told_at = $4 \
             WHERE key = $1 AND channel = $2 AND attempts = $3 AND state = 'waiting'",
        )
        .bind(queued.addressed.message.key.as_str())
        .bind(queued.addressed.channel.as_str())
        .bind(i64::from(queued.attempts))
        .bind(text(now))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() != 1 {
            tx.rollback().await?;
            return Ok(false);
        }
    }
    queue(&mut tx, std::slice::from_ref(one), now).await?;
    tx.commit().await?;
    Ok(true)
}

async fn waiting(readers: &AnyPool) -> Result<Vec<(String, u64)>, StoreError> {
    let rows = sqlx::query(
        "SELECT channel, COUNT(*) FROM messages WHERE state = 'waiting' GROUP BY channel ORDER BY channel",
    )
    .fetch_all(readers)
    .await?;
    rows.iter()
        .map(|row| {
            let channel: String = row.try_get(0)?;
            Ok((channel, natural("the count of messages", row.try_get(1)?)?))
        })
        .collect()
}

async fn forget(writer: &Writer, before: Instant) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    for statement in [
        "DELETE FROM messages WHERE state <> 'waiting' AND queued_at < $1",
        "DELETE FROM standing WHERE open = 0 AND seen_at < $1",
        "DELETE FROM answered WHERE at < $1",
    ] {
        sqlx::query(statement)
            .bind(text(before))
            .execute(&mut *tx)
            .await?;
    }
    Ok(tx.commit().await?)
}
