//! Break-glass afterwards: opens the review of each emergency grant, notes who signed it, and raises what is overdue.
//!
//! Level-triggered: what is to be done follows from the ledger's [`crate::domain::emergency::Review`], the protected branch and the
//! pull request as they are now. A closed pull request is opened again; one that somebody pushed to is pushed over; one that was
//! merged is weighed like any other merge, and signs only if an owner's approval counts.
//!
//! Accepted race: access may end while its review is written down. One of the two writers loses, and tries again.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{error, info};

use super::grants::Weighed;
use super::signatures::{Pushes, Sought, Standing, or_another, reasons};
use super::{ReconcileError, Reconciler};
use crate::domain::approval::Approval;
use crate::domain::catalogue::ChangedFile;
use crate::domain::decision::{Admission, Verdict};
use crate::domain::emergency::Emergency;
use crate::domain::evidence;
use crate::domain::ledger::Entry;
use crate::domain::model::{GrantId, GrantPath, Instant, PullNumber, RecordPath, Subject};
use crate::domain::pull::{Pull, PullListed};
use crate::domain::report;
use crate::repo::Addition;
use crate::store::{Scope, Wake};

/// What became of a merged record.
enum Signature {
    Given(Approval),
    Missing(Vec<String>),
}

impl Reconciler {
    /// Whether a review has become overdue that was not raised yet. Asks only the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reviews_are_due(&self) -> Result<bool, ReconcileError> {
        let now = self.now();
        let unreviewed = self.store.entries(Scope::Unreviewed).await?;
        Ok(unreviewed.iter().any(|entry| is_to_be_raised(entry, now)))
    }

    /// Brings the reviews of emergency grants up to date. [`Reconciler::main`] has just run.
    ///
    /// # Errors
    /// When forge, git or database fail: the next pass finds the same work.
    pub async fn emergencies(&self) -> Result<(), ReconcileError> {
        let mut unreviewed = Vec::new();
        for entry in self.store.entries(Scope::Unreviewed).await? {
            unreviewed.push(self.raise_when_overdue(entry).await?);
        }
        if unreviewed.is_empty() {
            return Ok(());
        }
        let open = self.forge.open_pulls().await?;
        let mut results = Vec::new();
        for entry in unreviewed {
            // What fails for one must not keep the others from being reviewed.
            results.push(self.bring_up_to_date(entry, &open).await);
        }
        results.into_iter().collect()
    }

    async fn raise_when_overdue(&self, mut entry: Entry) -> Result<Entry, ReconcileError> {
        let now = self.now();
        if !is_to_be_raised(&entry, now) {
            return Ok(entry);
        }
        let event = evidence::review_overdue(&entry, now);
        error!(grant.id = %entry.id, "overdue: nobody has reviewed the break-glass access `{}`", entry.id);
        if let Some(review) = &mut entry.review {
            review.overdue = Some(now);
            // Its check is to turn red; asked for before it is noted, so that a crash cannot come between.
            if let Some(asked) = &review.asked {
                self.store.wake(&[Wake::Pull(asked.pull)], now).await?;
            }
        }
        self.write(entry, &[event]).await
    }

    async fn bring_up_to_date(
        &self,
        entry: Entry,
        open: &[PullListed],
    ) -> Result<(), ReconcileError> {
        let asked = entry.review.as_ref().and_then(|r| r.asked.as_ref());
        let overtaken = asked.is_some() && self.is_overtaken(&entry).await?;
        let sought = Sought {
            asked,
            pushes: Pushes::Undone,
            overtaken,
        };
        match self.standing(&sought, open).await? {
            Standing::Asked => Ok(()),
            Standing::NotAsked => self.ask_for_signature(entry).await,
            Standing::Merged(pull) => match self.signature(*pull.clone()).await? {
                Signature::Given(approval) => self.note_signed(entry, pull.number, approval).await,
                Signature::Missing(reasons) => {
                    let entry = self.note_unsigned(entry, &pull, &reasons).await?;
                    self.ask_for_signature(entry).await
                }
            },
        }
    }

    /// Whether the record stands on the protected branch, though nobody is known to have signed it: it came with the pull request
    /// that asks for the signature, or by somebody's hand.
    async fn is_overtaken(&self, entry: &Entry) -> Result<bool, ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(false);
        };
        let base = self.catalogue(&tip).await?;
        let path = RecordPath::of(&entry.path, &entry.arrival.commit);
        let attempt = entry.review.as_ref().map_or(0, |r| r.attempt);
        Ok(base
            .emergencies
            .get(&path)
            .is_some_and(|record| record.attempt >= attempt))
    }

    /// Whether an owner had signed what the pull request merged.
    async fn signature(&self, pull: Pull) -> Result<Signature, ReconcileError> {
        match self.verdict_of_merged(pull).await? {
            Ok(verdict) => Ok(weigh(verdict)),
            Err(why) => Ok(Signature::Missing(vec![why])),
        }
    }

    async fn note_signed(
        &self,
        mut entry: Entry,
        pull: PullNumber,
        approval: Approval,
    ) -> Result<(), ReconcileError> {
        let event = evidence::reviewed(&entry, pull, &approval, self.now());
        info!(grant.id = %entry.id, reviewer = %approval.reviewer.login, "`{}` is reviewed: {} signed in #{pull}", entry.id, approval.reviewer.login);
        if let Some(review) = &mut entry.review {
            review.signed = Some(approval);
        }
        self.write(entry, &[event]).await.map(drop)
    }

    async fn note_unsigned(
        &self,
        mut entry: Entry,
        pull: &Pull,
        reasons: &[String],
    ) -> Result<Entry, ReconcileError> {
        let by = pull.state.merged_by();
        let event = evidence::review_unsigned(&entry, pull.number, reasons, by, self.now());
        error!(grant.id = %entry.id, reasons = %reasons.join("; "), "#{} was merged without an owner's signature: the review of `{}` is still due", pull.number, entry.id);
        if let Some(review) = &mut entry.review {
            review.attempt += 1;
            review.asked = None;
            review.unsigned.push(pull.number);
        }
        self.write(entry, &[event]).await
    }

    /// Opens the pull request that asks for the signature, or brings the open one back to what it must hold.
    async fn ask_for_signature(&self, mut entry: Entry) -> Result<(), ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(());
        };
        let base = self.catalogue(&tip).await?;
        let path = RecordPath::of(&entry.path, &entry.arrival.commit);
        if let (Some(review), Some(stands)) = (&mut entry.review, base.emergencies.get(&path)) {
            // A record that somebody merged otherwise signs nothing; the next one must differ from it.
            review.attempt = review.attempt.max(stands.attempt.saturating_add(1));
        }
        // Whatever is unreviewed has a person and a deadline: both were written with the intent.
        let Some(emergency) = Emergency::of(&entry) else {
            return Ok(());
        };
        let owners = base.codeowners.owners(&emergency.path.as_repo_path());
        let (title, body) = report::review_proposal(&emergency, owners.owners());
        let addition = Addition {
            onto: tip,
            path: path.as_repo_path(),
            bytes: emergency.record().text().into_bytes(),
            message: title,
            at: emergency.granted,
        };
        let own = emergency.branch();
        let asked = self.ask_in_pull(own, addition, body).await?;
        let pull = asked.pull;
        if let Some(review) = &mut entry.review {
            review.asked = Some(asked);
        }
        info!(grant.id = %entry.id, pull = pull.0, "asked in #{pull} for the review of `{}`", entry.id);
        self.write(entry, &[]).await?;
        Ok(self.store.wake(&[Wake::Pull(pull)], self.now()).await?)
    }

    /// What a change must know of emergencies: those that wait for a signature, if it asks for anything; and those whose records
    /// it touches.
    pub(super) async fn emergencies_around(
        &self,
        changes: &[ChangedFile],
    ) -> Result<Vec<Emergency>, ReconcileError> {
        let asks = |c: &ChangedFile| c.after.is_some() && GrantPath::new(&c.path).is_ok();
        let records = changes.iter().filter_map(|c| RecordPath::new(&c.path).ok());
        let grants: BTreeSet<GrantPath> = records.map(|record| record.grant()).collect();
        if grants.is_empty() && !changes.iter().any(asks) {
            return Ok(Vec::new());
        }
        let mut entries = self.store.entries(Scope::Unreviewed).await?;
        entries.extend(self.store.entries_at(&grants).await?);
        let known: BTreeMap<GrantId, Emergency> = entries
            .iter()
            .filter_map(|e| Some((e.id.clone(), Emergency::of(e)?)))
            .collect();
        Ok(known.into_values().collect())
    }
}

fn is_to_be_raised(entry: &Entry, now: Instant) -> bool {
    let raised = entry.review.as_ref().is_some_and(|r| r.overdue.is_some());
    !raised && Emergency::of(entry).is_some_and(|e| e.is_overdue(now))
}

fn weigh(verdict: Verdict) -> Signature {
    let mut reasons = reasons(&verdict);
    match verdict.sign_off.map(|s| s.signed) {
        Some(Ok(approval)) if reasons.is_empty() => return Signature::Given(approval),
        Some(Err(missing)) => reasons.extend(missing.reasons),
        Some(Ok(_)) | None => {}
    }
    Signature::Missing(or_another(reasons))
}

/// Of several emergencies of one person that are about to be given at once, lets only the one go that was merged first. The others
/// are decided when the ledger holds it: it is then unreviewed, and they are refused.
pub(super) fn hold_rivals(weighed: &mut BTreeMap<GrantId, Weighed>) {
    let mut first: BTreeMap<Subject, (Option<(Instant, PullNumber)>, GrantId)> = BTreeMap::new();
    for (id, one) in &*weighed {
        let Some(person) = breaks_glass(one) else {
            continue;
        };
        let turn = (one.merge.as_ref().map(|m| (m.at, m.pull)), id.clone());
        let slot = first.entry(person.clone()).or_insert_with(|| turn.clone());
        if turn < *slot {
            *slot = turn;
        }
    }
    for (id, one) in weighed.iter_mut() {
        let Some((_, winner)) = breaks_glass(one).and_then(|person| first.get(person)) else {
            continue;
        };
        if winner != id {
            let why = format!("`{winner}` is another emergency of the same person and comes first");
            one.admission = Admission::Unknown(vec![why]);
        }
    }
}

fn breaks_glass(weighed: &Weighed) -> Option<&Subject> {
    match &weighed.admission {
        Admission::Approved(approved) if approved.review_within().is_some() => {
            Some(&approved.grant().subject)
        }
        _ => None,
    }
}
