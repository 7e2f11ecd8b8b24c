//! What people are told beside GitHub: taken out of the queue and sent, one channel beside the other.
//!
//! Whoever sends a message takes it first, for a while: of several replicas one sends it, and what a crash left behind is sent again
//! when that while is over. A channel that does not take a message is left alone for a growing pause. What nobody took for a day is
//! given up, and counted.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};
use tracing::{error, info, warn};

use super::{ReconcileError, Reconciler, chain};
use crate::domain::message::{self, PACE, Pace, Topic};
use crate::domain::model::Instant;
use crate::notify::{NotifyError, Recipient, Subscription};
use crate::store::{Addressed, Queued, Sent};

/// How many messages of a channel are looked at in one pass.
const MOST: u32 = 2_000;

/// How long one that is taken belongs to its sender: longer than any call of a channel.
const TAKEN: TimeDelta = TimeDelta::minutes(2);

/// How long it is tried to send one.
const TRIED: TimeDelta = TimeDelta::days(1);

/// The pause after a first failure, and the longest.
const PAUSE: TimeDelta = TimeDelta::seconds(10);
const LONGEST: TimeDelta = TimeDelta::minutes(15);

/// A channel that is left alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    until: Instant,
    failures: u32,
}

impl Reconciler {
    /// The channels, each to be worked off by itself.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// Sends what waits for one channel. What the channel does not take waits on.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn deliver(&self, subscription: &Subscription) -> Result<(), ReconcileError> {
        let (name, now) = (subscription.channel.name(), self.now());
        if self.rests(name, now) {
            return Ok(());
        }
        let mut groups: BTreeMap<(Option<String>, Topic), Vec<Queued>> = BTreeMap::new();
        for queued in self.store.due_messages(name, now, MOST).await? {
            let of = &queued.addressed;
            let group = (of.recipient.clone(), of.message.topic);
            groups.entry(group).or_default().push(queued);
        }
        let mut ready = Vec::new();
        for group in groups.into_values() {
            ready.extend(self.paced(group, now).await?);
        }
        // One that is not taken again and again keeps no other from being sent.
        ready.sort_by_key(|queued| queued.attempts);
        for queued in ready {
            if !self.send(subscription, queued).await? {
                break;
            }
        }
        Ok(())
    }

    /// What of a group goes out now: each by itself, all as one, or nothing yet.
    async fn paced(&self, group: Vec<Queued>, now: Instant) -> Result<Vec<Queued>, ReconcileError> {
        // What was gathered before stays as it is, under its id.
        let (mut ready, fresh): (Vec<Queued>, Vec<Queued>) = group
            .into_iter()
            .partition(|queued| queued.addressed.message.count > 1 || queued.attempts > 0);
        let Some(first) = fresh.first() else {
            return Ok(ready);
        };
        let told = self.store.told_since(&first.addressed, now - PACE).await?;
        let (ready_count, waiting) = (ready.len() as u64, fresh.len() as u64);
        match message::pace(told + ready_count, waiting) {
            Pace::Each => ready.extend(fresh),
            Pace::Together => ready.extend(self.gather(&fresh, now).await?),
            Pace::Later => {}
        }
        Ok(ready)
    }

    /// One message in the place of many; `None` where another replica takes care of some of them.
    async fn gather(
        &self,
        many: &[Queued],
        now: Instant,
    ) -> Result<Option<Queued>, ReconcileError> {
        let messages: Vec<_> = many.iter().map(|q| q.addressed.message.clone()).collect();
        let keys: Vec<&str> = messages.iter().map(|m| m.key.as_str()).collect();
        let key = format!("together:{}", hex::encode(Sha256::digest(keys.join("\n"))));
        let (Some(first), Some(message)) = (many.first(), message::together(key, &messages)) else {
            return Ok(None);
        };
        let addressed = Addressed {
            message,
            ..first.addressed.clone()
        };
        let gathered = self.store.gather_messages(many, &addressed, now).await?;
        Ok(gathered.then_some(Queued {
            addressed,
            queued_at: now,
            attempts: 0,
        }))
    }

    /// Sends one. Whether the channel may be asked to take another.
    async fn send(
        &self,
        subscription: &Subscription,
        queued: Queued,
    ) -> Result<bool, ReconcileError> {
        let taken = self
            .store
            .claim_message(&queued, self.now() + TAKEN)
            .await?;
        if !taken {
            return Ok(true);
        }
        let (channel, message) = (&subscription.channel, &queued.addressed.message);
        let recipient = queued.addressed.recipient.as_deref();
        let to = recipient.map_or(Recipient::Everybody, Recipient::Person);
        let (sent, goes_on) = match channel.send(message, to).await {
            Ok(()) => {
                self.rested(channel.name());
                info!(message.key = %message.key, channel = channel.name(), "told by {}: {}", channel.name(), message.title);
                (Sent::Told(self.now()), true)
            }
            Err(error) => self.not_sent(subscription, &queued, &error),
        };
        let outcome = match sent {
            Sent::Told(_) => "told",
            Sent::Again(_) => "put-off",
            Sent::ToEverybody(_) => "sent-on",
            Sent::GivenUp => "given-up",
        };
        self.metrics.told(channel.name(), outcome);
        self.store.settle_message(&queued, &sent).await?;
        Ok(goes_on)
    }

    /// What becomes of one that was not taken, and whether the channel may be asked to take another.
    fn not_sent(
        &self,
        subscription: &Subscription,
        queued: &Queued,
        error: &NotifyError,
    ) -> (Sent, bool) {
        let (now, name) = (self.now(), subscription.channel.name());
        let (key, why) = (&queued.addressed.message.key, chain(error));
        let nobody = matches!(error, NotifyError::NoRecipient { .. });
        if nobody && queued.addressed.recipient.is_some() {
            warn!(message.key = %key, channel = name, "cannot reach a person by {name}, so that everybody is told: {why}");
            return (Sent::ToEverybody(now), true);
        }
        let again = now + pause(queued.attempts);
        let again = error.retry_at().map_or(again, |at| at.max(again));
        self.rest(name, now, error.retry_at());
        if queued.queued_at + TRIED <= again {
            error!(message.key = %key, channel = name, error = %error, "given up: nobody was told by {name} that «{}»: {why}", queued.addressed.message.title);
            return (Sent::GivenUp, false);
        }
        warn!(message.key = %key, channel = name, error = %error, retry_at = %again, "cannot tell by {name}, tried again at {again}: {why}");
        (Sent::Again(again), false)
    }

    fn rests(&self, channel: &'static str, now: Instant) -> bool {
        let resting = self.resting();
        resting.get(channel).is_some_and(|rest| rest.until > now)
    }

    fn rested(&self, channel: &'static str) {
        self.resting().remove(channel);
    }

    fn rest(&self, channel: &'static str, now: Instant, said: Option<Instant>) {
        let mut resting = self.resting();
        let failures = resting.get(channel).map_or(0, |rest| rest.failures);
        let until = now + pause(failures);
        let until = said.map_or(until, |at| at.max(until));
        let failures = failures.saturating_add(1);
        resting.insert(channel, Rest { until, failures });
    }

    fn resting(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Rest>> {
        self.resting
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The pause after `failures` failures and one more.
fn pause(failures: u32) -> TimeDelta {
    (PAUSE * (1_i32 << failures.min(10))).min(LONGEST)
}
