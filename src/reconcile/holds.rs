//! What the brake holds: kept, told, and let go once two owners released it.
//!
//! Level-triggered, like the reviews of emergencies: what is to be done follows from the brakes' state, the protected branch and the
//! pull request as they are now.

use std::collections::BTreeSet;

use tracing::{error, info};

use super::signatures::{Pushes, Sought, Standing, or_another, reasons};
use super::{ReconcileError, Reconciler};
use crate::domain::approval::Approval;
use crate::domain::catalogue::ChangedFile;
use crate::domain::decision::Verdict;
use crate::domain::evidence::{self, Event};
use crate::domain::model::ReleasePath;
use crate::domain::pull::{Pull, PullListed};
use crate::domain::release::{BRAKES, Brake, Found, Hold, Whose};
use crate::domain::report;
use crate::repo::Addition;
use crate::store::{StoreError, Wake};

fn name(whose: &Whose) -> String {
    format!("{BRAKES}{}", whose.key())
}

fn read(name: &str, text: &str) -> Result<Brake, ReconcileError> {
    serde_json::from_str(text).map_err(|error| {
        ReconcileError::Unsettled(format!("the note {name} cannot be read: {error}"))
    })
}

/// What is noted of a brake; nothing where it neither holds nor let go anything.
pub(super) fn noted(
    whose: &Whose,
    brake: &Brake,
) -> Result<(String, Option<String>), ReconcileError> {
    let text = serde_json::to_string(brake)
        .map_err(|e| ReconcileError::Unsettled(format!("a brake cannot be written: {e}")))?;
    let text = (*brake != Brake::default()).then_some(text);
    Ok((name(whose), text))
}

impl Reconciler {
    /// Every brake that holds something, or held it and is not done with it.
    pub(super) async fn brakes(&self) -> Result<Vec<Brake>, ReconcileError> {
        let notes = self.store.notes(BRAKES).await?;
        notes.iter().map(|(name, text)| read(name, text)).collect()
    }

    /// One brake.
    pub(super) async fn brake(&self, whose: &Whose) -> Result<Brake, ReconcileError> {
        let name = name(whose);
        let text = self.store.note(&name).await?;
        text.map_or_else(|| Ok(Brake::default()), |text| read(&name, &text))
    }

    async fn keep(
        &self,
        whose: &Whose,
        brake: &Brake,
        events: &[Event],
    ) -> Result<(), ReconcileError> {
        let (name, text) = noted(whose, brake)?;
        let written = self.store.note_with(&name, text.as_deref(), events);
        Ok(written.await?)
    }

    /// Brings a brake in line with what a pass found, and tells of what is newly held, and of what is held no more.
    pub(super) async fn follow(&self, found: &Found<'_>) -> Result<(), ReconcileError> {
        let _turn = self.brakes.lock().await;
        let before = self.brake(found.whose).await?;
        let after = before.after(found);
        if after == before {
            return Ok(());
        }
        let mut events = Vec::new();
        let known = before.hold.as_ref().map(Hold::record_path);
        if let Some(hold) = &after.hold
            && known != Some(hold.record_path())
        {
            error!(
                count = hold.members.len(),
                "held back until two owners release it: {}; what is due by time still ends",
                hold.what()
            );
            events.push(evidence::held(hold, found.now));
        }
        // A set that another one takes the place of is told of by that.
        if let (Some(hold), None) = (&before.hold, &after.hold) {
            info!("not held back any more: {}", hold.what());
            events.push(evidence::hold_over(hold, found.now));
        }
        self.keep(found.whose, &after, &events).await?;
        let mut wakes: Vec<Wake> = vec![Wake::Main];
        // Its check is to say that it releases nothing any more.
        let asked = before.hold.iter().filter_map(|h| h.asked.as_ref());
        wakes.extend(asked.map(|a| Wake::Pull(a.pull)));
        Ok(self.store.wake(&wakes, found.now).await?)
    }

    /// Asks for the release of everything that is held, and lets go what was released. [`Reconciler::main`] has just run.
    ///
    /// # Errors
    /// When forge, git or database fail: the next pass finds the same work.
    pub async fn releases(&self) -> Result<(), ReconcileError> {
        let holds = self.brakes().await?.into_iter().filter_map(|b| b.hold);
        let holds: Vec<Hold> = holds.collect();
        if holds.is_empty() {
            return Ok(());
        }
        let open = self.forge.open_pulls().await?;
        let mut results = Vec::new();
        for hold in holds {
            // What fails for one must not keep the others from being asked for.
            results.push(self.ask_or_let_go(hold, &open).await);
        }
        results.into_iter().collect()
    }

    async fn ask_or_let_go(&self, hold: Hold, open: &[PullListed]) -> Result<(), ReconcileError> {
        let overtaken = hold.asked.is_some() && self.is_released_on_branch(&hold).await?;
        let sought = Sought {
            asked: hold.asked.as_ref(),
            pushes: Pushes::Undone,
            overtaken,
        };
        let standing = self.standing(&sought, open).await?;
        match standing {
            Standing::Asked => Ok(()),
            Standing::NotAsked => self.ask_for_release(hold).await,
            Standing::Merged(pull) => {
                let verdict = self.verdict_of_merged(*pull.clone()).await?;
                match verdict.map_err(|why| vec![why]).and_then(weigh) {
                    Ok(approvals) => self.let_go(hold, &pull, &approvals).await,
                    Err(reasons) => {
                        let hold = self.note_unreleased(hold, &pull, &reasons).await?;
                        self.ask_for_release(hold).await
                    }
                }
            }
        }
    }

    /// Whether the record stands on the protected branch, though it is not known to be released.
    async fn is_released_on_branch(&self, hold: &Hold) -> Result<bool, ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(false);
        };
        let stands = self.catalogue(&tip).await?;
        let stands = stands.releases.get(&hold.record_path());
        Ok(stands.is_some_and(|record| record.attempt >= hold.attempt))
    }

    /// Writes a hold back, unless another one took its place meanwhile: then the next pass goes on with that.
    async fn rewrite(&self, hold: &Hold, events: &[Event]) -> Result<(), ReconcileError> {
        let _turn = self.brakes.lock().await;
        let brake = self.brake(&hold.whose).await?;
        if brake.hold.as_ref().map(Hold::record_path) != Some(hold.record_path()) {
            return Err(StoreError::Conflict(hold.what()).into());
        }
        let brake = Brake {
            hold: Some(hold.clone()),
            ..brake
        };
        self.keep(&hold.whose, &brake, events).await
    }

    async fn let_go(
        &self,
        hold: Hold,
        pull: &Pull,
        approvals: &[Approval],
    ) -> Result<(), ReconcileError> {
        let now = self.now();
        let event = evidence::released(&hold, pull.number, approvals, now);
        {
            let _turn = self.brakes.lock().await;
            let brake = self.brake(&hold.whose).await?;
            // Exactly this set was released: another one that took its place meanwhile stays held.
            let after = if brake.hold.as_ref() == Some(&hold) {
                brake.let_go()
            } else {
                let released: BTreeSet<String> =
                    brake.released.union(&hold.members).cloned().collect();
                Brake { released, ..brake }
            };
            self.keep(&hold.whose, &after, &[event]).await?;
        }
        info!(
            pull = pull.number.0,
            "two owners released in #{}: {}",
            pull.number,
            hold.what()
        );
        Ok(self.store.wake(&[Wake::Main], now).await?)
    }

    async fn note_unreleased(
        &self,
        mut hold: Hold,
        pull: &Pull,
        reasons: &[String],
    ) -> Result<Hold, ReconcileError> {
        let by = pull.state.merged_by();
        let event = evidence::release_unsigned(&hold, pull.number, reasons, by, self.now());
        error!(reasons = %reasons.join("; "), "#{} was merged without the approval of two owners: still held back: {}", pull.number, hold.what());
        hold.attempt += 1;
        hold.asked = None;
        hold.unsigned.push(pull.number);
        self.rewrite(&hold, &[event]).await?;
        Ok(hold)
    }

    /// Opens the pull request that asks for the release, or brings the open one up to date.
    async fn ask_for_release(&self, mut hold: Hold) -> Result<(), ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(());
        };
        let base = self.catalogue(&tip).await?;
        if let Some(stands) = base.releases.get(&hold.record_path()) {
            // A record that somebody merged otherwise releases nothing; the next one must differ from it.
            hold.attempt = hold.attempt.max(stands.attempt.saturating_add(1));
        }
        let owners = hold.owners(&base.codeowners);
        let (title, body) = report::release_proposal(&hold, &owners);
        let addition = Addition {
            onto: tip,
            path: hold.record_path().as_repo_path(),
            bytes: hold.record().text().into_bytes(),
            message: title,
            at: hold.since,
        };
        let asked = self.ask_in_pull(hold.branch(), addition, body).await?;
        let pull = asked.pull;
        hold.asked = Some(asked);
        self.rewrite(&hold, &[]).await?;
        info!(
            pull = pull.0,
            "asked two owners in #{pull} to release {}",
            hold.what()
        );
        Ok(self.store.wake(&[Wake::Pull(pull)], self.now()).await?)
    }

    /// What a change must know of what is held: something only if it touches records of that.
    pub(super) async fn holds_around(
        &self,
        changes: &[ChangedFile],
    ) -> Result<Vec<Hold>, ReconcileError> {
        if !changes.iter().any(|c| ReleasePath::new(&c.path).is_ok()) {
            return Ok(Vec::new());
        }
        let brakes = self.brakes().await?.into_iter();
        Ok(brakes.filter_map(|brake| brake.hold).collect())
    }
}

/// Who released it; or why nobody did.
fn weigh(verdict: Verdict) -> Result<Vec<Approval>, Vec<String>> {
    let mut reasons = reasons(&verdict);
    match verdict.release.map(|of| of.released) {
        Some(Ok(approvals)) if reasons.is_empty() => return Ok(approvals),
        Some(Err(missing)) => reasons.extend(missing.reasons),
        Some(Ok(_)) | None => {}
    }
    Err(or_another(reasons))
}
