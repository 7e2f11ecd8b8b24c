//! Access reviews: begins each round when its schedule says so, asks the owners, does what they signed, and lapses what nobody
//! answered.
//!
//! Level-triggered, like the reviews of emergencies: what is to be done follows from the schedule on the protected branch, the sheets
//! that are open, and their pull requests as they are now. A closed pull request is opened again. What owners push is left alone,
//! right or wrong: its check tells them.
//!
//! Invariant: nothing lapses before a look at the forge showed that nobody has signed. While the forge cannot be asked, nothing does.
//!
//! Invariant: what is pushed after an owner signed takes nothing back. When the time is over, what was signed last is done, though
//! something else stands there by then.
//!
//! Accepted race: a signature that comes in the moment between that look and the ledger's word comes too late.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use tracing::{error, info, warn};

use super::signatures::{Pushes, Sought, Standing, or_another, reasons};
use super::{ReconcileError, Reconciler, aside};
use crate::domain::approval::Signatures;
use crate::domain::catalogue::ChangedFile;
use crate::domain::decision::{self, Outcome, Verdict};
use crate::domain::evidence;
use crate::domain::ledger::{Cause, Entry, State};
use crate::domain::model::{CommitId, GrantId, Instant, PullNumber, SheetPath};
use crate::domain::pull::{Pull, PullListed, PullState, ReviewState};
use crate::domain::report;
use crate::domain::round::{self, Answer, Schedule, Sheet};
use crate::forge::ForgeError;
use crate::repo::{Addition, Remote, RepoError};
use crate::store::{Scope, Wake};

/// Under what the sheets are noted that are open.
pub(super) const SHEETS: &str = "access-review/";

/// Under what the round is noted that began last.
pub(super) const ROUND: &str = "access-review-round";

/// Where the schedule stands.
const SCHEDULE: &str = "access/reviews.yaml";

/// For how long a round waits for what landed and is not decided yet, so that it asks about that too.
const UNDECIDED: TimeDelta = TimeDelta::hours(1);

/// What becomes of the note of a sheet.
pub(super) type Note = (String, Option<String>);

fn name(sheet: &Sheet) -> String {
    format!("{SHEETS}{}", sheet.record_path().short())
}

/// What is noted of a sheet that is open.
pub(super) fn note(sheet: &Sheet) -> Result<Note, ReconcileError> {
    let text = serde_json::to_string(sheet).map_err(|error| {
        ReconcileError::Unsettled(format!("a sheet cannot be written: {error}"))
    })?;
    Ok((name(sheet), Some(text)))
}

fn no_note(sheet: &Sheet) -> Note {
    (name(sheet), None)
}

impl Reconciler {
    /// Begins the access review that is due, and brings those that are open up to date. [`Reconciler::main`] has just run.
    ///
    /// # Errors
    /// When forge, git or database fail: the next pass finds the same work.
    pub async fn access_reviews(&self) -> Result<(), ReconcileError> {
        let open = self.sheets().await?;
        let begun = self.begin_round(&open).await?;
        let sheets = begun.unwrap_or(open);
        if sheets.is_empty() {
            return Ok(());
        }
        let open = self.forge.open_pulls().await?;
        let mut results = Vec::new();
        for sheet in sheets {
            // What fails for one must not keep the others from being asked.
            results.push(self.ask_or_do(sheet, &open).await);
        }
        results.into_iter().collect()
    }

    /// The sheets that are open, by path.
    async fn sheets(&self) -> Result<Vec<Sheet>, ReconcileError> {
        let notes = self.store.notes(SHEETS).await?;
        let read = |(name, text): &(String, String)| {
            serde_json::from_str(text).map_err(|error| {
                ReconcileError::Unsettled(format!("the note {name} cannot be read: {error}"))
            })
        };
        notes.iter().map(read).collect()
    }

    /// Begins the round that is due, while no sheet of an earlier one still waits for its answers. Its sheets; `None` where none is.
    async fn begin_round(&self, open: &[Sheet]) -> Result<Option<Vec<Sheet>>, ReconcileError> {
        let now = self.now();
        if open.iter().any(|sheet| sheet.lapsed.is_none()) {
            return Ok(None);
        }
        let Some((schedule, round)) = self.due_round(now).await? else {
            return Ok(None);
        };
        let entries = self.store.entries(Scope::Unfinished).await?;
        let undecided = |e: &Entry| e.state == State::Arrived && now < e.arrival.at + UNDECIDED;
        if entries.iter().any(undecided) {
            return Ok(None);
        }
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(None);
        };
        let base = self.catalogue(&tip).await?;
        let mut sheets = round::sheets(&schedule, round, &entries, &base.codeowners);
        self.know_last_use(&mut sheets).await;
        let event = evidence::review_opened(&schedule, round, &sheets, now);
        // What nobody answered of an earlier round is asked about by this one.
        let mut notes: Vec<Note> = open.iter().map(no_note).collect();
        for sheet in &sheets {
            notes.push(note(sheet)?);
        }
        notes.push((ROUND.to_owned(), Some(evidence::instant(round))));
        self.store.commit_noting(&[], &[event], &notes).await?;
        let grants: usize = sheets.iter().map(|s| s.lines.len()).sum();
        info!(sheets = sheets.len(), grants, round = %round, "the access review of {} begins: {grants} grants", round.format("%Y-%m-%d"));
        Ok(Some(sheets))
    }

    /// The round that has not begun although its time has come, with the schedule that says so.
    async fn due_round(&self, now: Instant) -> Result<Option<(Schedule, Instant)>, ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(None);
        };
        // The whole tree is read only where there is a schedule.
        if self.mirror.objects(&tip, &[SCHEDULE]).await?.is_empty() {
            return Ok(None);
        }
        let base = self.catalogue(&tip).await?;
        let Some(schedule) = base.schedule.filter(|s| s.problem().is_none()) else {
            warn!(
                "{SCHEDULE} on the protected branch cannot be relied on: no access review begins"
            );
            return Ok(None);
        };
        let Some(round) = schedule.round_at(now) else {
            return Ok(None);
        };
        let begun = self.store.note(ROUND).await?;
        if begun.is_some_and(|begun| begun >= evidence::instant(round)) {
            return Ok(None);
        }
        if !base.codeowners.problems.is_empty() {
            warn!(
                "CODEOWNERS cannot be relied on, so nobody could answer: no access review begins"
            );
            return Ok(None);
        }
        Ok(Some((schedule, round)))
    }

    async fn ask_or_do(&self, sheet: Sheet, open: &[PullListed]) -> Result<(), ReconcileError> {
        let sought = Sought {
            asked: sheet.asked.as_ref(),
            pushes: Pushes::Welcome,
            overtaken: sheet.asked.is_some() && self.is_answered_on_branch(&sheet).await?,
        };
        let lapses = sheet.lapsed.is_none() && sheet.is_overdue(self.now());
        match self.standing(&sought, open).await? {
            Standing::Merged(pull) => self.answered_in(sheet, &pull).await,
            Standing::Asked | Standing::NotAsked if lapses => self.lapse_unless_signed(sheet).await,
            Standing::Asked => Ok(()),
            Standing::NotAsked => self.ask_owners(sheet).await,
        }
    }

    /// Whether answers stand on the protected branch, though nobody is known to have signed them.
    async fn is_answered_on_branch(&self, sheet: &Sheet) -> Result<bool, ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(false);
        };
        let stands = self.catalogue(&tip).await?;
        let stands = stands.sheets.get(&sheet.record_path());
        Ok(stands.is_some_and(|answers| answers.attempt >= sheet.attempt))
    }

    /// Does what was answered in a merged pull request, if owners had signed it.
    async fn answered_in(&self, sheet: Sheet, pull: &Pull) -> Result<(), ReconcileError> {
        let verdict = self.verdict_of_merged(pull.clone()).await?;
        match verdict.map_err(|why| vec![why]).and_then(weigh) {
            Ok((answers, signed)) => self.complete(sheet, pull.number, (answers, signed)).await,
            Err(reasons) => {
                let sheet = self.note_unanswered(sheet, pull, &reasons).await?;
                self.ask_owners(sheet).await
            }
        }
    }

    /// Writes down what owners signed, and calls off what they ended: in one transaction, so that no crash comes between. What nobody
    /// could sign for is asked again.
    async fn complete(
        &self,
        sheet: Sheet,
        pull: PullNumber,
        (answers, signed): (BTreeMap<GrantId, Answer>, Signatures),
    ) -> Result<(), ReconcileError> {
        let now = self.now();
        let event = evidence::review_completed(&sheet, &answers, (pull, &signed), now);
        let ends =
            |id: &GrantId| answers.get(id) == Some(&Answer::End) && !signed.nobodys.contains(id);
        let off = self.called_off(&sheet, ends, &Cause::ReviewEnded).await?;
        let count = off.len();
        let note = match sheet.left(&signed.nobodys) {
            Some(left) => note(&left)?,
            None => no_note(&sheet),
        };
        self.store.commit_noting(&off, &[event], &[note]).await?;
        info!(
            pull = pull.0,
            ended = count,
            "answered in #{pull}: {}, of which {count} end",
            sheet.what()
        );
        Ok(self.store.wake(&[Wake::Main], now).await?)
    }

    /// The entries of a sheet's grants that end, as far as they are still held.
    async fn called_off(
        &self,
        sheet: &Sheet,
        ends: impl Fn(&GrantId) -> bool,
        cause: &Cause,
    ) -> Result<Vec<Entry>, ReconcileError> {
        let now = self.now();
        let asked: BTreeSet<&GrantId> = sheet.lines.iter().map(|line| &line.grant).collect();
        let entries = self.store.entries_at(&sheet.paths()).await?.into_iter();
        let ending = entries.filter(|e| asked.contains(&e.id) && ends(&e.id));
        Ok(ending
            .filter_map(|e| e.call_off(cause.clone(), now))
            .collect())
    }

    async fn note_unanswered(
        &self,
        mut sheet: Sheet,
        pull: &Pull,
        reasons: &[String],
    ) -> Result<Sheet, ReconcileError> {
        let by = pull.state.merged_by();
        let now = self.now();
        let event = evidence::review_answers_unsigned(&sheet, pull.number, reasons, by, now);
        error!(reasons = %reasons.join("; "), "#{} was merged without an owner's signature: still unanswered: {}", pull.number, sheet.what());
        sheet.attempt += 1;
        sheet.asked = None;
        sheet.unsigned.push(pull.number);
        let note = note(&sheet)?;
        self.store.commit_noting(&[], &[event], &[note]).await?;
        Ok(sheet)
    }

    /// Lapses what nobody answered in time.
    async fn lapse_unless_signed(&self, sheet: Sheet) -> Result<(), ReconcileError> {
        let signed = match &sheet.asked {
            Some(asked) => self.signed(asked.pull).await?,
            None => Signed::Never,
        };
        // Merged since the forge was asked, or the forge does not show it yet: there is nothing left to approve, which is no silence. The
        // next pass sees by what it was merged.
        if self.is_answered_on_branch(&sheet).await? {
            return Ok(());
        }
        match signed {
            Signed::Now => Ok(()),
            Signed::Before(pull, answers, signatures) => {
                self.complete(sheet, pull, (answers, signatures)).await?;
                Ok(self.store.wake(&[Wake::Pull(pull)], self.now()).await?)
            }
            Signed::Never => self.lapse(sheet).await,
        }
    }

    /// What owners signed in the open pull request: what it holds now, or what it held when an approval was given. Anybody who can push
    /// can change what it holds, and nobody's push takes back what an owner said.
    async fn signed(&self, number: PullNumber) -> Result<Signed, ReconcileError> {
        let pull = match self.forge.pull(number).await {
            Ok(pull) => pull,
            Err(ForgeError::NotFound { .. }) => return Ok(Signed::Never),
            Err(error) => return Err(error.into()),
        };
        match pull.state {
            PullState::Open => {}
            PullState::Merged { .. } => return Ok(Signed::Now),
            PullState::Closed => return Ok(Signed::Never),
        }
        let (remote, base) = self.fetch_pull(number).await?;
        for head in signed_perhaps(&pull) {
            let Some(verdict) = self.verdict_at(&remote, &pull, head, &base).await? else {
                continue;
            };
            match &verdict.outcome {
                Outcome::Approved if verdict.head == pull.head => return Ok(Signed::Now),
                // What is no answer to the sheet, anybody can make doubtful.
                Outcome::Uncertain(what) if verdict.answered.is_some() => {
                    return Err(ReconcileError::Unsettled(what.join("; ")));
                }
                _ => {}
            }
            if let Ok((answers, signatures)) = weigh(verdict) {
                return Ok(Signed::Before(number, answers, signatures));
            }
        }
        Ok(Signed::Never)
    }

    /// What the pull request would be judged to be if `head` were its head; `None` where that can be no change of the protected branch.
    async fn verdict_at(
        &self,
        remote: &Remote,
        pull: &Pull,
        head: CommitId,
        base: &CommitId,
    ) -> Result<Option<Verdict>, ReconcileError> {
        let mut proposed = self.mirror.proposed(base, &head).await;
        if matches!(proposed, Err(RepoError::NoCommit(_))) {
            let missing = [head.clone()];
            self.mirror.fetch_commits(remote, &missing).await?;
            proposed = self.mirror.proposed(base, &head).await;
        }
        match proposed {
            Ok(Some(_)) => {}
            Ok(None) | Err(RepoError::NoCommit(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let then = Pull {
            head,
            ..pull.clone()
        };
        let facts = self.facts(remote, then, base.clone()).await?;
        let branch = self.settings.protected_branch.clone();
        let verdict = aside(move || decision::decide(&facts.case(&branch))).await?;
        Ok(Some(verdict))
    }

    /// What nobody answered ends only if the schedule said so when owners were asked, and says so still: whoever sees what is about to
    /// end can keep it.
    async fn lapse(&self, sheet: Sheet) -> Result<(), ReconcileError> {
        let now = self.now();
        let ends = sheet.unanswered == Answer::End && self.unanswered_ends().await?;
        let told = Sheet {
            unanswered: if ends { Answer::End } else { Answer::Keep },
            ..sheet.clone()
        };
        let event = evidence::review_lapsed(&told, now);
        let (off, note) = if ends {
            let off = self.called_off(&sheet, |_| true, &Cause::ReviewLapsed);
            (off.await?, no_note(&sheet))
        } else {
            let lapsed = Sheet {
                lapsed: Some(now),
                ..sheet.clone()
            };
            (Vec::new(), note(&lapsed)?)
        };
        self.store.commit_noting(&off, &[event], &[note]).await?;
        error!(
            ended = off.len(),
            "nobody answered the access review in time: {}, of which {} end",
            sheet.what(),
            off.len()
        );
        let mut wakes = vec![Wake::Main];
        wakes.extend(sheet.asked.iter().map(|asked| Wake::Pull(asked.pull)));
        Ok(self.store.wake(&wakes, now).await?)
    }

    /// Whether the schedule on the protected branch ends what nobody answers.
    async fn unanswered_ends(&self) -> Result<bool, ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(false);
        };
        let schedule = self.catalogue(&tip).await?.schedule;
        Ok(schedule.is_some_and(|s| s.unanswered == Answer::End))
    }

    /// Opens the pull request in which owners are asked, or brings the open one up to date.
    async fn ask_owners(&self, mut sheet: Sheet) -> Result<(), ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(());
        };
        let base = self.catalogue(&tip).await?;
        if let Some(stands) = base.sheets.get(&sheet.record_path()) {
            // Answers that somebody merged otherwise are none; the next ones must differ from them.
            sheet.attempt = sheet.attempt.max(stands.attempt.saturating_add(1));
        }
        let mut sheet = sheet.asked_at(self.now());
        let owners = sheet.owners_by(&base.codeowners);
        let (title, body) = report::review_sheet_proposal(&sheet, &owners);
        let addition = Addition {
            onto: tip,
            path: sheet.record_path().as_repo_path(),
            bytes: sheet.answers().text().into_bytes(),
            message: title,
            at: sheet.round,
        };
        let asked = self.ask_in_pull(sheet.branch(), addition, body).await?;
        let pull = asked.pull;
        let event = evidence::review_asked(&sheet, &asked, self.now());
        sheet.asked = Some(asked);
        let note = note(&sheet)?;
        self.store.commit_noting(&[], &[event], &[note]).await?;
        info!(pull = pull.0, "asked in #{pull} about {}", sheet.what());
        Ok(self.store.wake(&[Wake::Pull(pull)], self.now()).await?)
    }

    /// What a change must know of access reviews: what is asked, if it touches answers.
    pub(super) async fn sheets_around(
        &self,
        changes: &[ChangedFile],
    ) -> Result<Vec<Sheet>, ReconcileError> {
        if !changes.iter().any(|c| SheetPath::new(&c.path).is_ok()) {
            return Ok(Vec::new());
        }
        self.sheets().await
    }
}

/// What owners signed, when their time to answer is over.
enum Signed {
    /// What only waits for its merge, or was merged since it was looked at: then the next pass sees by what.
    Now,
    /// What stood in the pull request when an approval was given.
    Before(PullNumber, BTreeMap<GrantId, Answer>, Signatures),
    /// Nothing.
    Never,
}

/// The commits of which the answers may be signed: the head, then what approvals looked at, the newest first.
fn signed_perhaps(pull: &Pull) -> Vec<CommitId> {
    let mut heads = vec![pull.head.clone()];
    let approvals = pull.reviews.iter().rev();
    let approvals = approvals.filter(|review| review.state == ReviewState::Approved);
    for seen in approvals.filter_map(|review| review.commit.as_ref()) {
        if !heads.contains(seen) {
            heads.push(seen.clone());
        }
    }
    heads
}

/// What was answered, and what signs it; or why that is nothing.
fn weigh(verdict: Verdict) -> Result<(BTreeMap<GrantId, Answer>, Signatures), Vec<String>> {
    let mut reasons = reasons(&verdict);
    match verdict.answered.map(|of| (of.answers, of.signed)) {
        Some((answers, Ok(signed))) if reasons.is_empty() => return Ok((answers, signed)),
        Some((_, Err(missing))) => reasons.extend(missing.into_iter().flat_map(|m| m.reasons)),
        Some((_, Ok(_))) | None => {}
    }
    Err(or_another(reasons))
}
