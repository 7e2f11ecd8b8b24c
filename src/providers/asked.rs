//! What the kinds `webhook` and `command` share: a target without an API of its own is asked in our words, and answers in them.
//!
//! Promises:
//! - A question is one JSON object, and so is its answer. An answer with a field that nobody knows is no answer: a misspelt
//!   `still_effective_through` must not read as "nothing is left".
//! - What was done is asked for again, by a question of its own that changes nothing. Only that decides.
//! - A repetition of the same change carries the same `id`. A question that only reads never carries the same twice, so that no
//!   memory of answers stands in for a look.
//! - Of what an answer says in words, one line without control characters is kept, and in it no secret that the answering side was given.
//!   An account that is called like such a secret is no answer.

use std::fmt;

use async_trait::async_trait;
use chrono::TimeDelta;
use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::http::{Failure, within};
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, ConnectionName, Instant};
use crate::domain::target::{Change, Kind, Order};
use crate::secrets::Secrets;

/// The shape of an entitlement where the target says what it means: at least one name with a text.
pub(super) const ENTITLEMENT: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Entitlement of a webhook or command connection",
  "description": "What is given, in the words of whoever answers: names with texts, such as { group: readers }",
  "type": "object",
  "minProperties": 1,
  "maxProperties": 16,
  "additionalProperties": false,
  "patternProperties": {
    "^[a-z][a-z0-9_]{0,62}$": { "type": "string", "minLength": 1, "maxLength": 256 }
  }
}"#;

/// How much of an answer's words is kept.
const WORDS: usize = 300;

/// The longest pause that an answer may ask for, in seconds.
const LONGEST: u32 = 86_400;

/// What came back.
#[derive(Debug)]
pub struct Carried {
    /// The answer.
    pub answer: Vec<u8>,
    /// What was given with the question and must not be repeated.
    pub secrets: Secrets,
}

/// How a question reaches whoever answers it.
#[async_trait]
pub trait Carrier: Send + Sync + fmt::Debug {
    /// Its kind.
    fn kind(&self) -> &'static Kind;

    /// Carries a question there and its answer back, once. `id` is the question's own.
    ///
    /// # Errors
    /// [`Failure`], where there is no answer. It repeats no secret.
    async fn carry(&self, what: &str, id: &str, question: Vec<u8>) -> Result<Carried, Failure>;

    /// How a person would name the call.
    fn shown(&self) -> String;

    /// The time.
    fn now(&self) -> Instant;
}

/// A target that is asked through a [`Carrier`].
#[derive(Debug)]
pub struct Asked<C> {
    connection: ConnectionName,
    carrier: C,
    shape: Vec<Validator>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Grant,
    Revoke,
    Check,
    Holders,
}

impl Action {
    fn changes(self) -> bool {
        matches!(self, Self::Grant | Self::Revoke)
    }
}

/// What is asked.
#[derive(Debug, Serialize)]
struct Question<'a> {
    version: u8,
    id: String,
    action: Action,
    connection: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Who<'a>>,
    entitlement: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<String>,
}

#[derive(Debug, Serialize)]
struct Who<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    github_id: Option<u64>,
}

/// What is answered.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    held: Option<bool>,
    account_id: Option<String>,
    pending: Option<String>,
    #[serde(default)]
    still_effective_through: Vec<String>,
    #[serde(default)]
    sessions: Vec<String>,
    #[serde(default)]
    sessions_ended: u32,
    holders: Option<Vec<Held>>,
    error: Option<Wrong>,
    #[serde(skip)]
    secrets: Secrets,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    name: String,
    id: Option<String>,
    #[serde(default)]
    pending: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrong {
    kind: WrongKind,
    message: String,
    retry_after: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrongKind {
    Unavailable,
    Refused,
    UnknownAccount,
    UnknownEntitlement,
}

impl<C: Carrier> Asked<C> {
    /// The target behind `carrier`. `schema` says more exactly than the kind which entitlements it has: a JSON Schema.
    ///
    /// # Errors
    /// [`Failure::Refused`] when `schema` is none.
    pub fn new(
        connection: ConnectionName,
        carrier: C,
        schema: Option<&str>,
    ) -> Result<Self, Failure> {
        let compile = |text: &str| {
            let schema: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
            jsonschema::validator_for(&schema).map_err(|e| e.to_string())
        };
        let texts = [Some(ENTITLEMENT), schema].into_iter().flatten();
        let shape: Result<Vec<_>, String> = texts.map(compile).collect();
        let unusable = |error: String| {
            let reason = format!("the schema of entitlements cannot be used: {error}");
            Failure::refused("setting up the connection", reason)
        };
        Ok(Self {
            connection,
            carrier,
            shape: shape.map_err(unusable)?,
        })
    }

    fn told(&self, failure: Failure) -> ProviderError {
        failure.told(&self.connection)
    }

    fn refused(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::Refused {
            connection: self.connection.to_string(),
            reason: reason.into(),
        }
    }

    fn unknown(&self, account: &str, reason: impl Into<String>) -> ProviderError {
        ProviderError::UnknownSubject {
            connection: self.connection.to_string(),
            account: account.to_owned(),
            reason: reason.into(),
        }
    }

    fn fits(&self, entitlement: &Value) -> Result<(), ProviderError> {
        let wrong =
            |shape: &Validator| shape.iter_errors(entitlement).next().map(|e| e.to_string());
        match self.shape.iter().find_map(wrong) {
            Some(error) => Err(self.refused(format!(
                "the entitlement has another shape than this connection gives: {}",
                plain(&error)
            ))),
            None => Ok(()),
        }
    }

    /// Asks, and takes only an answer that can be read.
    async fn ask(&self, what: &str, question: &Question<'_>) -> Result<Answer, Failure> {
        let body = serde_json::to_vec(question).map_err(|e| Failure::unreadable(what, e))?;
        let Carried { answer, secrets } = self.carrier.carry(what, &question.id, body).await?;
        match serde_json::from_slice::<Answer>(&answer) {
            Ok(answer) => Ok(answer.without(secrets)),
            // It repeats names of fields and texts that have no place there.
            Err(error) => Err(Failure::unreadable(what, secrets.hide(&error.to_string()))),
        }
    }

    /// The name or the id of an account, as an answer with these secrets says it.
    fn account(&self, secrets: &Secrets, text: String) -> Result<String, ProviderError> {
        match secrets.named_in(&text) {
            None => Ok(text),
            Some(name) => Err(self.refused(format!(
                "the answer holds {name} where an account belongs: correct whoever answers, or say that it is no secret"
            ))),
        }
    }

    fn question<'a>(
        &'a self,
        action: Action,
        access: &'a Access,
        order: &'a Order,
    ) -> Question<'a> {
        let account = &access.account;
        let changes = action.changes();
        Question {
            version: 1,
            id: match changes {
                true => repeatable(action, access, order),
                false => unique(),
            },
            action,
            connection: self.connection.as_str(),
            account: Some(Who {
                name: &account.name,
                id: account.id.as_deref(),
                github_id: account.github_id.map(|id| id.0),
            }),
            entitlement: &access.entitlement,
            reference: changes.then_some(order.reference.as_str()),
            ends: changes.then(|| {
                order
                    .ends
                    .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
            }),
        }
    }

    /// Makes one change and asks what is there then: both answers.
    async fn change(
        &self,
        action: Action,
        access: &Access,
        order: &Order,
    ) -> Result<[Answer; 2], ProviderError> {
        self.fits(&access.entitlement)?;
        let name = &access.account.name;
        let what = match action {
            Action::Grant => format!("giving {} to {name}", access.entitlement),
            _ => format!("taking {} from {name}", access.entitlement),
        };
        let done = self.answered(&what, action, access, order).await?;
        let what = format!("{what} (reading back)");
        let found = self.answered(&what, Action::Check, access, order).await?;
        Ok([done, found])
    }

    /// An answer that says whether it is held.
    async fn answered(
        &self,
        what: &str,
        action: Action,
        access: &Access,
        order: &Order,
    ) -> Result<Answer, ProviderError> {
        let question = self.question(action, access, order);
        let answer = self.ask(what, &question).await.map_err(|f| self.told(f))?;
        if let Some(wrong) = answer.error {
            return match (action, wrong.kind) {
                // Nobody holds what is not there.
                (
                    Action::Revoke | Action::Check,
                    WrongKind::UnknownAccount | WrongKind::UnknownEntitlement,
                ) => Ok(Answer {
                    held: Some(false),
                    ..Answer::default()
                }),
                _ => Err(self.wrong(what, &access.account.name, wrong)),
            };
        }
        match answer.held {
            Some(_) => Ok(answer),
            None => Err(self.told(Failure::unreadable(what, "it does not say `held`"))),
        }
    }

    fn wrong(&self, what: &str, account: &str, wrong: Wrong) -> ProviderError {
        let message = wrong.message;
        match wrong.kind {
            WrongKind::Unavailable => {
                let pause = wrong
                    .retry_after
                    .map(|s| TimeDelta::seconds(s.min(LONGEST).into()));
                self.told(Failure::Unavailable {
                    what: what.to_owned(),
                    retry_at: pause.map(|pause| self.carrier.now() + pause),
                    source: message.into(),
                })
            }
            WrongKind::Refused | WrongKind::UnknownEntitlement => {
                self.refused(format!("{what}: {message}"))
            }
            WrongKind::UnknownAccount => self.unknown(account, message),
        }
    }

    async fn give(&self, access: &Access, order: &Order) -> Result<Granted, ProviderError> {
        let [done, found] = self.change(Action::Grant, access, order).await?;
        let name = &access.account.name;
        if done.held != Some(true) || found.held != Some(true) {
            let why = "the read-back says that it is not held";
            return Err(self.told(Failure::unavailable("giving it", why)));
        }
        let id = |answer: &mut Answer| {
            let id = answer.account_id.take();
            id.map(|id| self.account(&answer.secrets, id)).transpose()
        };
        let (mut done, mut found) = (done, found);
        let (before, now) = (id(&mut done)?, id(&mut found)?);
        let known = access.account.id.as_ref();
        let is_another =
            |id: &Option<String>| id.as_ref().is_some_and(|id| super::differs(known, id));
        if is_another(&before) || is_another(&now) {
            return Err(self.unknown(name, "the name belongs to another account now"));
        }
        Ok(Granted {
            read_back: format!("{name} holds {}", access.entitlement),
            pending: found.pending.or(done.pending),
            account_id: now.or(before),
            entitlement_id: None,
        })
    }

    async fn take(&self, access: &Access, order: &Order) -> Result<Revoked, ProviderError> {
        let [done, found] = self.change(Action::Revoke, access, order).await?;
        let name = &access.account.name;
        let (known, id) = (access.account.id.as_ref(), found.account_id.as_ref());
        let is_another = id.is_some_and(|id| super::differs(known, id));
        if found.held == Some(true) && !is_another {
            let why = "the read-back says that it is held still";
            return Err(self.told(Failure::unavailable("taking it", why)));
        }
        let both = |first: Vec<String>, second: Vec<String>| {
            let mut all = [first, second].concat();
            all.sort();
            all.dedup();
            all
        };
        Ok(Revoked {
            read_back: format!("{name} does not hold {}", access.entitlement),
            // What was left then may be gone now; what is left now counts.
            still_effective_through: both(Vec::new(), found.still_effective_through),
            sessions: both(done.sessions, found.sessions),
            sessions_ended: done.sessions_ended,
        })
    }

    async fn list(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        self.fits(entitlement)?;
        let what = format!("listing who holds {entitlement}");
        let question = Question {
            version: 1,
            id: unique(),
            action: Action::Holders,
            connection: self.connection.as_str(),
            account: None,
            entitlement,
            reference: None,
            ends: None,
        };
        let answer = self.ask(&what, &question).await.map_err(|f| self.told(f))?;
        if let Some(wrong) = answer.error {
            return Err(self.wrong(&what, "", wrong));
        }
        let listed = answer.holders;
        let listed = listed.ok_or_else(|| Failure::unreadable(&what, "it does not say `holders`"));
        let account = |text| self.account(&answer.secrets, text);
        let holder = |held: Held| {
            Ok(Holder {
                name: account(held.name)?,
                id: held.id.map(account).transpose()?,
                pending: held.pending,
            })
        };
        let listed = listed.map_err(|f| self.told(f))?;
        listed.into_iter().map(holder).collect()
    }
}

impl Answer {
    /// What it says in words, without `secrets`: one plain line each.
    fn without(mut self, secrets: Secrets) -> Self {
        // Hidden first: `plain` cuts what is long, and no half of a secret would be found.
        let tell = |text: &mut String| *text = plain(&secrets.hide(text));
        let wrong = self.error.as_mut().map(|wrong| &mut wrong.message);
        let words = self.pending.iter_mut().chain(wrong);
        let words = words.chain(&mut self.still_effective_through);
        words.chain(&mut self.sessions).for_each(tell);
        self.secrets = secrets;
        self
    }
}

#[async_trait]
impl<C: Carrier> Provider for Asked<C> {
    fn kind(&self) -> &'static Kind {
        self.carrier.kind()
    }

    async fn grant(&self, approved: &Approved, order: &Order) -> Result<Granted, ProviderError> {
        within(&self.connection, self.give(approved.access(), order)).await
    }

    async fn revoke(&self, access: &Access, order: &Order) -> Result<Revoked, ProviderError> {
        within(&self.connection, self.take(access, order)).await
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        let action = match change {
            Change::Grant => "grant",
            Change::Revoke => "revoke",
        };
        let (account, entitlement) = (&access.account.name, &access.entitlement);
        vec![format!(
            "{}: {action} {entitlement} for {account:?}",
            self.carrier.shown()
        )]
    }

    async fn holders(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        within(&self.connection, self.list(entitlement)).await
    }
}

/// The same for every repetition of one change, and for no other.
fn repeatable(action: Action, access: &Access, order: &Order) -> String {
    let mut hash = Sha256::new();
    for part in [
        format!("{action:?}"),
        order.reference.clone(),
        order.ends.to_rfc3339(),
        access.key(),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hex::encode(hash.finalize());
    format!("hp_{}", digest.get(..40).unwrap_or(&digest))
}

fn unique() -> String {
    format!("hp_{:032x}", rand::random::<u128>())
}

/// One line of plain words.
pub(super) fn plain(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(WORDS).collect()
}
