//! Anchors: says outside, once in a while, where the evidence ends; and compares the evidence with what was said.
//!
//! Intent before effect, as everywhere: an anchor is signed and noted before the first attempt to write it, so that every attempt, also
//! one after a crash, writes the same bytes under the same name; that it was written, and what the place answered, is one transaction
//! with its event. Of several servers the one writes whose turn it is.
//!
//! Nothing here delays what is given and taken away: it runs beside that, and places that do not answer are asked again for ever.
//!
//! Invariant: no anchor vouches for evidence that contradicts an earlier one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use tracing::{error, info, warn};

use super::{ReconcileError, Reconciler, chain};
use crate::domain::anchor::{self, LATE, Memory, SignedAnchor, Step, Whose};
use crate::domain::audit::Anchor;
use crate::domain::evidence;
use crate::domain::model::{CommitId, Instant};
use crate::domain::safety::SafeMode;
use crate::places::{Place, PlaceError, Stands};
use crate::repo::anchored_by;
use crate::store::{Remembered, Wake};

/// How many files at a place are read to find the newest anchor of ours: what others put there must not hide it for ever, and must not
/// keep us reading.
const READ: usize = 20;

/// A place, and how often an anchor is written there.
#[derive(Clone)]
pub struct Anchoring {
    /// The place.
    pub place: Arc<dyn Place>,
    /// How often.
    pub every: TimeDelta,
}

/// The places at which anchors are kept, by their names in the configuration.
#[derive(Clone)]
pub struct Anchorings {
    /// Whose evidence it is.
    pub whose: Whose,
    /// The places.
    pub places: BTreeMap<String, Anchoring>,
}

/// What is kept of earlier comparisons, so that the same commits are not walked for each event.
#[derive(Debug, Default)]
pub(super) struct Held {
    anchors: BTreeSet<CommitId>,
    tip: Option<CommitId>,
}

/// One place, while something is done there.
struct At<'a> {
    name: &'a str,
    anchoring: &'a Anchoring,
    whose: &'a Whose,
}

impl Reconciler {
    /// The same loop, which keeps anchors at these places.
    #[must_use]
    pub fn anchoring(mut self, anchorings: Anchorings) -> Self {
        self.anchorings = Some(anchorings);
        self
    }

    /// Writes the anchors that are due, and compares the places with what was written there. Returns when something is to be done again;
    /// `None` where no place is configured.
    ///
    /// # Errors
    /// When git, forge or database fail. A place that fails is tried again at the time that is returned.
    pub async fn anchors(&self) -> Result<Option<Instant>, ReconcileError> {
        let Some(Anchorings { whose, places }) = &self.anchorings else {
            return Ok(None);
        };
        let mut jobs = Vec::new();
        for (name, anchoring) in places {
            jobs.push(self.keep_anchored(At {
                name,
                anchoring,
                whose,
            }));
        }
        // Side by side: a place that hangs delays no other.
        let done = join_all(jobs).await;
        let mut next = None;
        for done in done {
            let at = done?;
            next = Some(next.map_or(at, |next: Instant| next.min(at)));
        }
        Ok(next)
    }

    async fn keep_anchored(&self, at: At<'_>) -> Result<Instant, ReconcileError> {
        let mut known = self.remembered(at.name).await?;
        let first = self.is_first_look(at.name);
        if first || known.memory.is_to_be_compared(self.now()) {
            known = self.compare_place(&at, known).await?;
        }
        let every = at.anchoring.every;
        loop {
            match known.memory.step(every, self.now()) {
                Step::Wait(until) => return Ok(until.min(self.next_comparison(&known.memory))),
                Step::Make => match self.make_anchor(&at, &known).await? {
                    Some(made) => known = made,
                    None => return Ok(self.now() + self.settings.retry_cap),
                },
                Step::Write(anchor) => known = self.write_anchor(&at, known, &anchor).await?,
            }
        }
    }

    async fn remembered(&self, place: &str) -> Result<Remembered, ReconcileError> {
        Ok(self.store.places().await?.remove(place).unwrap_or_default())
    }

    /// Notes `memory`; where somebody else wrote meanwhile, returns what they did.
    async fn remember(
        &self,
        at: &At<'_>,
        read: &Remembered,
        memory: Memory,
    ) -> Result<Remembered, ReconcileError> {
        let noted = self
            .store
            .remember_place(at.name, read, memory, &[])
            .await?;
        match noted {
            Some(noted) => Ok(noted),
            None => self.remembered(at.name).await,
        }
    }

    /// Signs where the evidence ends now. `None` where nothing is to be vouched for: there is no evidence yet, or it is in doubt.
    async fn make_anchor(
        &self,
        at: &At<'_>,
        known: &Remembered,
    ) -> Result<Option<Remembered>, ReconcileError> {
        let remote = self.remote().await?;
        let branch = &self.settings.evidence_branch;
        self.mirror.fetch(&remote, &[branch], &[]).await?;
        if let Some(mode) = self.doubt_of_evidence().await? {
            warn!(
                safe_mode = mode.as_str(),
                "no anchor is written at `{}`: {mode}", at.name
            );
            return Ok(None);
        }
        let Some(head) = self.mirror.evidence_head(&self.signers, branch).await? else {
            return Ok(None);
        };
        let key = self.signers.fingerprint();
        let mut anchor = SignedAnchor::unsigned(at.whose, head, key, self.now());
        anchor.signature = self.signers.sign_anchor(&anchor.signed_part())?;
        let memory = known.memory.clone().to_write(anchor, self.now());
        self.remember(at, known, memory).await.map(Some)
    }

    async fn write_anchor(
        &self,
        at: &At<'_>,
        known: Remembered,
        anchor: &SignedAnchor,
    ) -> Result<Remembered, ReconcileError> {
        let memory = known.memory.clone().trying(self.now());
        let taken = self.store.remember_place(at.name, &known, memory, &[]);
        let Some(ours) = taken.await? else {
            // Another server took the turn.
            return self.remembered(at.name).await;
        };
        let place = at.anchoring.place.as_ref();
        let (name, file) = (anchor.name(), anchor.file());
        match in_turn(place.put(&name, &file), place).await {
            Ok(receipt) => self.note_written(at, ours, (anchor, &receipt)).await,
            Err(failed) => self.note_failed(at, ours, &failed).await,
        }
    }

    async fn note_written(
        &self,
        at: &At<'_>,
        ours: Remembered,
        (anchor, receipt): (&SignedAnchor, &str),
    ) -> Result<Remembered, ReconcileError> {
        let events = [evidence::anchored(at.name, anchor, receipt, self.now())];
        let memory = ours.memory.clone().written();
        let noted = self.store.remember_place(at.name, &ours, memory, &events);
        let Some(noted) = noted.await? else {
            return self.remembered(at.name).await;
        };
        info!(
            place = at.name,
            sequence = anchor.seq,
            "anchored up to record {} at {}: {receipt}",
            anchor.seq,
            at.anchoring.place.shown()
        );
        Ok(noted)
    }

    async fn note_failed(
        &self,
        at: &At<'_>,
        ours: Remembered,
        failed: &PlaceError,
    ) -> Result<Remembered, ReconcileError> {
        let now = self.now();
        let attempts = ours.memory.pending.as_ref().map_or(0, |p| p.attempts);
        let again = now + self.backoff(attempts);
        let why = chain(failed);
        let memory = ours.memory.clone().failed(why.clone(), again);
        let overdue = memory.overdue(at.anchoring.every, now);
        let noted = self.remember(at, &ours, memory).await?;
        let place = at.name;
        match overdue > LATE {
            true => error!(
                place,
                "the anchor at `{place}` is late by {} minutes, tried again at {again}: {why}",
                overdue.num_minutes()
            ),
            false => warn!(
                place,
                "cannot write the anchor at `{place}`, tried again at {again}: {why}"
            ),
        }
        Ok(noted)
    }

    /// Whether this process has not looked at the place yet.
    fn is_first_look(&self, place: &str) -> bool {
        let seen = self.places_seen.lock();
        let mut seen = seen.unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.insert(place.to_owned())
    }

    fn next_comparison(&self, memory: &Memory) -> Instant {
        let now = self.now();
        match memory.is_to_be_compared(now) {
            // It could not be read.
            true => now + self.settings.retry_cap,
            false => now + anchor::COMPARED,
        }
    }

    /// Reads what a place holds: the newest anchor of ours, which the evidence must hold, and whether what was written last is there.
    async fn compare_place(
        &self,
        at: &At<'_>,
        known: Remembered,
    ) -> Result<Remembered, ReconcileError> {
        let place = at.anchoring.place.as_ref();
        let before = known.memory.clone();
        let found = in_turn(self.read_place(at, &before), place).await;
        let memory = match found {
            Ok(read) => Memory {
                seen: read.newest.or(before.seen.clone()),
                lost: read.lost,
                trouble: read.trouble,
                compared: Some(self.now()),
                ..before.clone()
            },
            Err(failed) => {
                warn!(
                    place = at.name,
                    "the anchors at `{}` cannot be read now: {}",
                    at.name,
                    chain(&failed)
                );
                return Ok(known);
            }
        };
        if let Some(trouble) = &memory.trouble
            && before.trouble != memory.trouble
        {
            error!(place = at.name, "{trouble}");
        }
        if memory.seen != before.seen && memory.seen != before.newest {
            // What is news is compared with the evidence by the next look.
            self.store.wake(&[Wake::Main], self.now()).await?;
        }
        self.remember(at, &known, memory).await
    }

    async fn read_place(&self, at: &At<'_>, before: &Memory) -> Result<ReadThere, PlaceError> {
        let place = at.anchoring.place.as_ref();
        let mut read = ReadThere::default();
        let names = place.names().await?;
        let readable = names.is_some() || before.seen.is_some();
        for written in before.lost.iter().chain(&before.newest) {
            let name = written.name();
            let what = match place.get(&name).await? {
                Stands::This(bytes) if bytes == written.file() => {
                    read.newest = Some(written.clone());
                    continue;
                }
                Stands::This(_) => "was changed there",
                Stands::Nothing if readable => "is not there any more",
                Stands::Nothing | Stands::Unreadable => continue,
            };
            read.trouble = Some(format!(
                "the anchor {name} that was written at {} {what}: somebody who can write there did that; keep what is left, and find out who",
                place.shown()
            ));
            read.lost = Some(written.clone());
            break;
        }
        for name in anchor::newest_first(names.unwrap_or_default())
            .iter()
            .take(READ)
        {
            let Stands::This(bytes) = place.get(name).await? else {
                continue;
            };
            let ours = SignedAnchor::read(&bytes).ok();
            let ours = ours.filter(|a| a.is_of(at.whose) && self.signed_by_us(a));
            if let Some(ours) = ours {
                let newer = read.newest.as_ref().is_none_or(|n| n.seq < ours.seq);
                read.newest = if newer { Some(ours) } else { read.newest };
                break;
            }
        }
        Ok(read)
    }

    fn signed_by_us(&self, anchor: &SignedAnchor) -> bool {
        let signer = anchored_by(anchor.signed_part().as_bytes(), &anchor.signature);
        signer.is_some_and(|key| self.signers.believed().contains(&key))
    }

    /// Whether the evidence, as it was just fetched, lost what an anchor says that it held.
    pub(super) async fn evidence_cut(&self) -> Result<Option<SafeMode>, ReconcileError> {
        let anchors = self.anchored().await?;
        if self.lost(&anchors).await?.is_none() {
            return Ok(None);
        }
        // Another server may have anchored what was pushed since this one fetched.
        let (remote, branch) = (self.remote().await?, &self.settings.evidence_branch);
        self.mirror.fetch(&remote, &[branch], &[]).await?;
        self.lost(&anchors).await
    }

    /// What the evidence must hold, and who says so: the places, as far as they are known, and an earlier run without a database.
    async fn anchored(&self) -> Result<Vec<(String, Anchor)>, ReconcileError> {
        let mut anchors = Vec::new();
        if let Some(Anchorings { places, .. }) = &self.anchorings {
            for (name, known) in self.store.places().await? {
                if places.contains_key(&name) {
                    let heads = known.memory.anchors().map(SignedAnchor::head);
                    anchors.extend(heads.map(|head| (name.clone(), head)));
                }
            }
        }
        anchors.extend(self.left_by_a_run().await?);
        Ok(anchors)
    }

    /// Compares the places that nothing is known of, where the database is new: they are asked before anything is given by what the branch
    /// says. Those that do not answer delay nothing, and are asked again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ask_places(&self) -> Result<(), ReconcileError> {
        self.silent_places().await.map(drop)
    }

    /// [`Reconciler::ask_places`]. Those that did not answer.
    pub(super) async fn silent_places(&self) -> Result<Vec<String>, ReconcileError> {
        let Some(Anchorings { whose, places }) = &self.anchorings else {
            return Ok(Vec::new());
        };
        if self.store.cursor().await?.is_some() {
            return Ok(Vec::new());
        }
        let asked = places.iter().map(|(name, anchoring)| async move {
            let at = At {
                name,
                anchoring,
                whose,
            };
            let mut known = self.remembered(name).await?;
            if known.memory.compared.is_none() {
                known = self.compare_place(&at, known).await?;
            }
            let silent = known.memory.compared.is_none();
            Ok(silent.then(|| name.clone()))
        });
        let asked = join_all(asked).await;
        asked.into_iter().filter_map(Result::transpose).collect()
    }

    async fn lost(&self, anchors: &[(String, Anchor)]) -> Result<Option<SafeMode>, ReconcileError> {
        let tip = self.mirror.tip(&self.settings.evidence_branch).await?;
        let wanted: BTreeSet<CommitId> = anchors.iter().map(|(_, a)| a.commit.clone()).collect();
        let mut held = self.anchors_held.lock().await;
        if let (Some(tip), Some(before)) = (&tip, &held.tip)
            && held.anchors == wanted
            && self.still_holds(before, tip).await?
        {
            held.tip = Some(tip.clone());
            return Ok(None);
        }
        for (place, anchor) in anchors {
            let holds = match &tip {
                Some(tip) => self.still_holds(&anchor.commit, tip).await?,
                None => false,
            };
            if !holds {
                return Ok(Some(SafeMode::EvidenceCut {
                    branch: self.settings.evidence_branch.clone(),
                    place: place.clone(),
                    seq: anchor.seq,
                    commit: anchor.commit.clone(),
                    tip,
                }));
            }
        }
        *held = Held {
            anchors: wanted,
            tip,
        };
        Ok(None)
    }
}

/// What a place holds.
#[derive(Default)]
struct ReadThere {
    newest: Option<SignedAnchor>,
    lost: Option<SignedAnchor>,
    trouble: Option<String>,
}

/// A call at a place, which ends before somebody else may take the turn.
async fn in_turn<T>(
    call: impl Future<Output = Result<T, PlaceError>>,
    place: &dyn Place,
) -> Result<T, PlaceError> {
    let longest = (anchor::TURN / 2).to_std().unwrap_or_default();
    let answer = tokio::time::timeout(longest, call).await;
    answer.unwrap_or_else(|elapsed| {
        Err(PlaceError::Unavailable {
            place: place.shown(),
            source: elapsed.into(),
        })
    })
}
