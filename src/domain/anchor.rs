//! Anchors: where the evidence ends, said once in a while at places outside, so that it cannot be cut or written anew behind anybody's
//! back: not even by whoever holds its key.
//!
//! Pure: what an anchor says, how it is called, and what is to be done next at a place. Invariant: an anchor that is to be written is
//! whole before the first attempt, and every attempt writes the same bytes under the same name.

use chrono::{SubsecRound as _, TimeDelta};
use serde::{Deserialize, Serialize};

use super::audit::Anchor;
use super::evidence::canonical;
use super::model::{CommitId, Instant};

/// The version of `schemas/anchor.schema.json` that anchors are written by.
pub const SCHEMA: u64 = 1;

/// What an anchor is signed for: a signature of anything else never passes for one of an anchor.
pub const NAMESPACE: &str = "hallpass-anchor";

/// The longest file that can be an anchor, in bytes.
pub const LONGEST: usize = 16 << 10;

/// How often the newest anchor of a place is compared with the evidence.
pub const COMPARED: TimeDelta = TimeDelta::days(1);

/// How long an attempt may take before somebody else may take its place: longer than any call.
pub const TURN: TimeDelta = TimeDelta::minutes(2);

/// From when on an anchor that cannot be written is told of as late.
pub const LATE: TimeDelta = TimeDelta::hours(1);

const BEGIN: &str = "anchor-";
const END: &str = ".json";

/// An anchor, as the service writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAnchor {
    /// The version of the schema.
    pub schema: u64,
    /// The access repository: `owner/name`.
    pub repository: String,
    /// Its evidence branch.
    pub branch: String,
    /// The number of the last record.
    pub seq: u64,
    /// The digest of its bytes.
    pub record: String,
    /// Its commit.
    pub commit: CommitId,
    /// When it happened.
    pub at: Instant,
    /// When the anchor was made.
    pub written: Instant,
    /// The fingerprint of the key that signs, as `ssh-keygen -l` shows it.
    pub key: String,
    /// The signature of all the rest: that of `ssh-keygen -Y sign`, over the form of RFC 8785, in [`NAMESPACE`].
    pub signature: String,
}

/// Whose evidence it is that an anchor tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The access repository.
    pub repository: String,
    /// Its evidence branch.
    pub branch: String,
}

impl SignedAnchor {
    /// What is to be signed: that the evidence of `whose` ends with `head`.
    pub fn unsigned(whose: &Whose, head: Anchor, key: String, now: Instant) -> Self {
        Self {
            schema: SCHEMA,
            repository: whose.repository.clone(),
            branch: whose.branch.clone(),
            seq: head.seq,
            record: head.record,
            commit: head.commit,
            at: head.at,
            written: now.trunc_subsecs(0),
            key,
            signature: String::new(),
        }
    }

    /// The bytes that are signed.
    pub fn signed_part(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("signature");
        }
        canonical(&value)
    }

    /// The file.
    pub fn file(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).unwrap_or_default();
        (canonical(&value) + "\n").into_bytes()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LONGEST {
            return Err(format!("it is longer than {} KiB", LONGEST >> 10));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match read.schema {
            SCHEMA => Ok(read),
            other => Err(format!("it is written by version {other} of the schema")),
        }
    }

    /// How the file is called: by time and number, so that names are in order and no two anchors share one.
    pub fn name(&self) -> String {
        let time = self.written.format("%Y%m%dT%H%M%SZ");
        format!("{BEGIN}{time}-{:012}{END}", self.seq)
    }

    /// Whether it tells of this evidence.
    pub fn is_of(&self, whose: &Whose) -> bool {
        self.repository == whose.repository && self.branch == whose.branch
    }

    /// What it says of the evidence.
    pub fn head(&self) -> Anchor {
        Anchor {
            seq: self.seq,
            record: self.record.clone(),
            commit: self.commit.clone(),
            at: self.at,
        }
    }
}

/// The number in the name of an anchor; `None` where it is no such name.
pub fn number_in(name: &str) -> Option<u64> {
    let middle = name.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let (time, number) = middle.rsplit_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let in_form = time.len() == 16 && digits(&time[..8]) && &time[8..9] == "T";
    (in_form && digits(number)).then(|| number.parse().ok())?
}

/// The names that can be those of anchors, the highest numbers first: not the latest times, which a clock may have made up.
pub fn newest_first(names: Vec<String>) -> Vec<String> {
    let mut found: Vec<(u64, String)> = names
        .into_iter()
        .filter_map(|name| Some((number_in(&name)?, name)))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, name)| name).collect()
}

/// What is known of one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// The anchor that was written there last.
    pub newest: Option<SignedAnchor>,
    /// The one that is to be written.
    pub pending: Option<Pending>,
    /// The newest of ours that was read there.
    pub seen: Option<SignedAnchor>,
    /// When the place was last compared with what was written there.
    pub compared: Option<Instant>,
    /// What the place lost or changed of what was written there: it is told of until it stands there again.
    pub lost: Option<SignedAnchor>,
    /// The same in a sentence.
    pub trouble: Option<String>,
}

/// An anchor that is to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// What is written.
    pub anchor: SignedAnchor,
    /// How often that was tried.
    pub attempts: u32,
    /// When it is tried again; while it is tried, by when it must have ended.
    pub not_before: Instant,
    /// Why it could not be written.
    pub error: Option<String>,
}

/// What is to be done at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this instant.
    Wait(Instant),
    /// An anchor is to be made.
    Make,
    /// The one that was made is to be written.
    Write(SignedAnchor),
}

impl Memory {
    /// What is to be done at `now`, where an anchor is written every `every`.
    pub fn step(&self, every: TimeDelta, now: Instant) -> Step {
        if let Some(pending) = &self.pending {
            // A clock that was ahead must not put it off.
            let at = pending.not_before.min(now + TURN.max(every));
            return match at <= now {
                true => Step::Write(pending.anchor.clone()),
                false => Step::Wait(at),
            };
        }
        match self.due(every, now) {
            at if at <= now => Step::Make,
            at => Step::Wait(at),
        }
    }

    fn due(&self, every: TimeDelta, now: Instant) -> Instant {
        match self.newest.as_ref().map(|newest| newest.written) {
            // What a clock that was ahead has written puts the next one off by nothing; servers may differ a little.
            Some(at) if at <= now + LATE => at + every,
            Some(_) | None => now,
        }
    }

    /// How long an anchor is overdue at `now`; zero where none is.
    pub fn overdue(&self, every: TimeDelta, now: Instant) -> TimeDelta {
        let made = self.pending.as_ref().map(|pending| pending.anchor.written);
        let due = match &self.newest {
            Some(_) => self.due(every, now),
            None => made.unwrap_or(now),
        };
        (now - due).max(TimeDelta::zero())
    }

    /// Whether the place is to be compared at `now`.
    pub fn is_to_be_compared(&self, now: Instant) -> bool {
        self.compared
            .is_none_or(|at| at > now || at + COMPARED <= now)
    }

    /// What the evidence must hold, by what is known of this place.
    pub fn anchors(&self) -> impl Iterator<Item = &SignedAnchor> {
        self.newest.iter().chain(&self.seen)
    }

    /// With an anchor to be written at once.
    #[must_use]
    pub fn to_write(self, anchor: SignedAnchor, now: Instant) -> Self {
        let pending = Pending {
            anchor,
            attempts: 0,
            not_before: now,
            error: None,
        };
        Self {
            pending: Some(pending),
            ..self
        }
    }

    /// While its anchor is tried: nobody else's turn before the end of ours.
    #[must_use]
    pub fn trying(mut self, now: Instant) -> Self {
        if let Some(pending) = &mut self.pending {
            pending.attempts = pending.attempts.saturating_add(1);
            pending.not_before = now + TURN;
        }
        self
    }

    /// With its anchor written.
    #[must_use]
    pub fn written(mut self) -> Self {
        if let Some(pending) = self.pending.take() {
            self.newest = Some(pending.anchor);
        }
        self
    }

    /// With its anchor to be tried again at `again`.
    #[must_use]
    pub fn failed(mut self, error: String, again: Instant) -> Self {
        if let Some(pending) = &mut self.pending {
            pending.error = Some(error);
            pending.not_before = again;
        }
        self
    }

    /// What is told of the place: how it stands, and whether somebody must look.
    pub fn standing(&self, every: TimeDelta, now: Instant) -> Standing {
        if let Some(trouble) = &self.trouble {
            return Standing::Trouble(trouble.clone());
        }
        let error = self.pending.as_ref().and_then(|p| p.error.clone());
        let overdue = self.overdue(every, now);
        match (&self.newest, error) {
            (_, Some(why)) if overdue > TimeDelta::zero() => Standing::Late { overdue, why },
            (Some(_), None) if overdue > LATE => Standing::Late {
                overdue,
                why: "nobody has tried; does the service run?".to_owned(),
            },
            (Some(newest), _) => Standing::Written {
                seq: newest.seq,
                at: newest.written,
            },
            (None, _) => Standing::None,
        }
    }
}

/// How a place stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was written there yet.
    None,
    /// The newest anchor is not older than it may be.
    Written {
        /// Up to which record it goes.
        seq: u64,
        /// When it was made.
        at: Instant,
    },
    /// An anchor is overdue.
    Late {
        /// For how long.
        overdue: TimeDelta,
        /// Why.
        why: String,
    },
    /// The place lost or changed what was written there.
    Trouble(String),
}
