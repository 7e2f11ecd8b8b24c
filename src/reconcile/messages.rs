//! What people are told beside GitHub: found, and put into the queue.
//!
//! Desired properties: what happened is told once, though replicas look for it side by side and crash; what goes on is told when it
//! begins and again with growing pauses until it is over; nothing here waits for a channel, and nothing waits for this.
//!
//! Design: what happened is in the outbox of the evidence, written in the transaction that it happened in. A cursor says up to where
//! people were told; it moves in the transaction that queues the messages. What goes on follows from the ledger and from pull requests
//! as they were last judged, and is kept with the count of how often it was told. A message is queued under a key, and a key only once.
//!
//! Accepted race: between two looks something may begin and be over. Nobody is told of what nobody has to do anything about.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use tracing::warn;

use super::{ReconcileError, Reconciler, chain};
use crate::domain::catalogue::Catalogue;
use crate::domain::emergency::Emergency;
use crate::domain::evidence::Event;
use crate::domain::ledger::{Entry, State};
use crate::domain::message::{self, Message, Waiting};
use crate::domain::model::{GrantPath, Instant, PullNumber, Subject};
use crate::domain::parse;
use crate::notify::Subscription;
use crate::store::{Addressed, Scope, Standing};

/// How many events are looked at in one transaction.
const BATCH: u32 = 500;

/// What is older is no news: channels that are configured again are not flooded with what happened meanwhile.
const NEWS: TimeDelta = TimeDelta::days(1);

/// How long an end may be overdue before it is told of: a pass takes its time.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// How many overdue removals are kept track of: a target that is down makes many, and they are told together.
const MOST: u32 = 1_000;

/// How often the removal of what was called off fails before it is told of.
const FAILED: u32 = 3;

/// How long what was told is remembered, and how often what is older is forgotten.
const REMEMBERED: TimeDelta = TimeDelta::days(90);
const TIDIED: TimeDelta = TimeDelta::hours(6);

const OVERDUE: &str = "overdue:";
const UNSIGNED: &str = "unsigned:";

impl Reconciler {
    /// Whether anybody is told anything.
    pub fn tells(&self) -> bool {
        !self.subscriptions.is_empty()
    }

    /// Queues what people are to be told. Calls nobody.
    ///
    /// # Errors
    /// When the database cannot be used: the next look finds the same.
    pub async fn find_messages(&self) -> Result<(), ReconcileError> {
        if !self.tells() {
            return Ok(());
        }
        self.find_news().await?;
        self.find_standing().await?;
        self.remind().await?;
        self.tidy_messages().await
    }

    /// Queues what happened since people were told.
    async fn find_news(&self) -> Result<(), ReconcileError> {
        loop {
            let events = self.store.events_to_tell(BATCH).await?;
            let Some((last, _)) = events.last() else {
                return Ok(());
            };
            let now = self.now();
            let news: Vec<&Event> = events
                .iter()
                .map(|(_, event)| event)
                .filter(|event| event.at + NEWS > now)
                .collect();
            let messages = self.messages_of(&news).await?;
            let addressed = self.addressed(messages).await;
            self.store
                .queue_messages(&addressed, Some(*last), now)
                .await?;
        }
    }

    async fn messages_of(&self, events: &[&Event]) -> Result<Vec<Message>, ReconcileError> {
        let text = |event: &Event, name: &str| {
            let value = event.record.get(name)?.as_str()?;
            Some(value.to_owned())
        };
        let paths = events.iter().filter_map(|event| text(event, "path"));
        let paths: BTreeSet<GrantPath> = paths.filter_map(|p| GrantPath::new(&p).ok()).collect();
        let entries = self.store.entries_at(&paths).await?;
        let entries: BTreeMap<&str, &Entry> = entries.iter().map(|e| (e.id.as_str(), e)).collect();
        let message = |event: &&Event| {
            let grant = text(event, "grant");
            let entry = grant.and_then(|grant| entries.get(grant.as_str()).copied());
            message::of_event(event, entry, &self.settings.pages)
        };
        Ok(events.iter().filter_map(message).collect())
    }

    /// Brings what goes on by the ledger up to date.
    async fn find_standing(&self) -> Result<(), ReconcileError> {
        let (now, pages) = (self.now(), &self.settings.pages);
        let late = self.store.overdue(now - LATE, MOST).await?;
        let failing = late.iter().filter(|entry| is_overdue(entry, now));
        let overdue = failing.filter_map(|entry| message::overdue(entry, pages, now));
        self.stand(OVERDUE, overdue.collect(), TimeDelta::zero())
            .await?;
        let unreviewed = self.store.entries(Scope::Unreviewed).await?;
        let unsigned = unreviewed.iter().filter_map(Emergency::of);
        let unsigned = unsigned.map(|emergency| message::unsigned(&emergency, pages, now));
        // That it was given is news of its own; what follows is the first reminder.
        let first = self.settings.reminders.after(1);
        match first {
            Some(pause) => self.stand(UNSIGNED, unsigned.collect(), pause).await,
            None => Ok(()),
        }
    }

    /// Notes that exactly `current` goes on under `prefix`. What is new is told after `pause`.
    async fn stand(
        &self,
        prefix: &str,
        current: Vec<Message>,
        pause: TimeDelta,
    ) -> Result<(), ReconcileError> {
        let now = self.now();
        let mut known = self.store.standing(prefix).await?;
        let mut changed = Vec::new();
        for message in current {
            match known.remove(&message.key) {
                Some(before) if before.open && same(&before.message, &message) => {}
                Some(before) => changed.push(Standing {
                    open: true,
                    message,
                    ..before
                }),
                None => changed.push(begun(message, now + pause)),
            }
        }
        let over = known.into_values().filter(|before| before.open);
        changed.extend(over.map(|before| Standing {
            open: false,
            ..before
        }));
        Ok(self.store.keep_standing(&changed, &[], now).await?)
    }

    /// Notes whether a pull request waits for owners, as it was just judged.
    pub(super) async fn stand_or_fall(
        &self,
        number: PullNumber,
        waiting: Option<Waiting<'_>>,
    ) -> Result<(), ReconcileError> {
        if !self.tells() {
            return Ok(());
        }
        let pages = &self.settings.pages;
        let message = waiting.and_then(|waiting| message::waiting(waiting, pages));
        let key = format!("waiting:#{number}");
        let known = self.store.standing(&key).await?.remove(&key);
        let now = self.now();
        let standing = match (message, known) {
            (None, None) => return Ok(()),
            (None, Some(before)) if !before.open => return Ok(()),
            (None, Some(before)) => Standing {
                open: false,
                ..before
            },
            (Some(message), None) => begun(message, now),
            (Some(message), Some(before)) if before.open && same(&before.message, &message) => {
                return Ok(());
            }
            (Some(message), Some(before)) => Standing {
                open: true,
                message,
                ..before
            },
        };
        Ok(self.store.keep_standing(&[standing], &[], now).await?)
    }

    /// Forgets that pull requests wait which are not `open` any more.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn keep_waiting(&self, open: &BTreeSet<PullNumber>) -> Result<(), ReconcileError> {
        if !self.tells() {
            return Ok(());
        }
        let keys: BTreeSet<String> = open.iter().map(|n| format!("waiting:#{n}")).collect();
        let known = self.store.standing("waiting:#").await?;
        let over: Vec<Standing> = known
            .into_values()
            .filter(|one| one.open && !keys.contains(&one.key))
            .map(|one| Standing { open: false, ..one })
            .collect();
        Ok(self.store.keep_standing(&over, &[], self.now()).await?)
    }

    /// Queues what goes on and whose time has come to be told, or told again.
    async fn remind(&self) -> Result<(), ReconcileError> {
        let now = self.now();
        let due = self.store.standing_to_tell(now).await?;
        if due.is_empty() {
            return Ok(());
        }
        let (mut told, mut messages) = (Vec::new(), Vec::new());
        for standing in due.into_values() {
            // An emergency was told of when it was given.
            let before = standing.told + u32::from(standing.key.starts_with(UNSIGNED));
            messages.push(message::reminder(standing.message.clone(), before, now));
            let next = self.settings.reminders.after(before + 1);
            told.push(Standing {
                told: standing.told + 1,
                next_at: next.map(|pause| now + pause),
                ..standing
            });
        }
        let addressed = self.addressed(messages).await;
        Ok(self.store.keep_standing(&told, &addressed, now).await?)
    }

    /// Messages that access ends soon, for whom they are for.
    pub(super) async fn ending_messages(&self, entries: &[Entry]) -> Vec<Addressed> {
        if !self.tells() {
            return Vec::new();
        }
        let (now, pages) = (self.now(), &self.settings.pages);
        let messages = entries
            .iter()
            .filter_map(|entry| message::ending_soon(entry, pages, now));
        self.addressed(messages.collect()).await
    }

    /// Each message for each channel that is told of it: to its person, where they have an address there, and otherwise to everybody.
    async fn addressed(&self, messages: Vec<Message>) -> Vec<Addressed> {
        let personal = |message: &Message| {
            let mut all = self.subscriptions.iter();
            all.any(|s| s.wants(message) && s.person(message).is_some())
        };
        let people = match messages.iter().any(personal) {
            true => self.people().await,
            false => None,
        };
        let mut addressed = Vec::new();
        for message in messages {
            for subscription in self.subscriptions.iter().filter(|s| s.wants(&message)) {
                addressed.push(Addressed {
                    channel: subscription.channel.name().to_owned(),
                    recipient: recipient(subscription, &message, people.as_ref()),
                    message: message.clone(),
                });
            }
        }
        addressed
    }

    /// What the protected branch says about people. What cannot be read keeps nobody from being told: everybody is.
    async fn people(&self) -> Option<Catalogue> {
        let read = async {
            let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
                return Ok(None);
            };
            let files = self.mirror.subjects(&tip).await?;
            Ok(files.map(|files| parse::read_tree(&files)))
        };
        read.await.unwrap_or_else(|error: ReconcileError| {
            warn!(error = %error, "cannot read who people are in the channels; everybody is told instead: {}", chain(&error));
            None
        })
    }

    async fn tidy_messages(&self) -> Result<(), ReconcileError> {
        let now = self.now();
        {
            let mut last = self
                .tidied
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if last.is_some_and(|at| at + TIDIED > now) {
                return Ok(());
            }
            *last = Some(now);
        }
        Ok(self.store.forget_messages(now - REMEMBERED).await?)
    }
}

fn begun(message: Message, at: Instant) -> Standing {
    Standing {
        key: message.key.clone(),
        open: true,
        told: 0,
        next_at: Some(at),
        message,
    }
}

/// Whether two say the same, whenever they were found.
fn same(a: &Message, b: &Message) -> bool {
    a.title == b.title && a.facts == b.facts && a.topic == b.topic
}

/// Whether it should be gone: its term is over, or its removal fails again and again.
fn is_overdue(entry: &Entry, now: Instant) -> bool {
    let over = entry.terms.as_ref().is_some_and(|t| t.ends + LATE <= now);
    over || (entry.state == State::Revoking && entry.attempts >= FAILED)
}

fn recipient(
    subscription: &Subscription,
    message: &Message,
    people: Option<&Catalogue>,
) -> Option<String> {
    let (whose, name) = subscription.person(message)?;
    let people = people?;
    let login = match whose {
        Subject::Person(login) => login,
        Subject::Service(service) => &people.services.get(service)?.owner,
    };
    people.people.get(login)?.identities.get(name).cloned()
}
