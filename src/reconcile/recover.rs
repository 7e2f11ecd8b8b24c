//! The ledger, rebuilt from what the evidence, the protected branch, the forge and the target systems say.
//!
//! Nothing is given or taken here, and nothing is written before [`Reconciler::write_recovery`]. What may have been given without a
//! record of it (the database was lost in the second before the evidence was published) becomes *perhaps held*, if its proof holds and
//! its account has the access: the next look at it settles that, and its end is certain again.
//!
//! Accepted: of a grant whose file went, whose record was not published and whose proof nobody asks for any more, nothing is known.
//! The access that it left, if it left any, is drift, and told as such.

mod rounds;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tracing::{info, warn};

use super::act::{in_time, terms};
use super::grants::Merge;
use super::rounds::Note;
use super::safety::{SAFE, SEEN};
use super::{ReconcileError, Reconciler};
use crate::domain::audit::Problem;
use crate::domain::decision::{Admission, Approved};
use crate::domain::emergency::{Asked, Review};
use crate::domain::evidence::{self, Event};
use crate::domain::ledger::{Entry, State, Terms};
use crate::domain::model::{Access, CommitId, GrantId, Instant, RecordPath};
use crate::domain::parse;
use crate::domain::recovery::{self, Main, Rebuilt, Sources};
use crate::domain::safety::SafeMode;
use crate::repo::{Believed, Remote};
use crate::store::{Ledger, Scope};

/// What an operator says about a recovery.
#[derive(Debug, Clone, Default)]
pub struct Vouched {
    /// Public keys that signed evidence earlier, on one line each.
    pub keys: Vec<String>,
    /// A commit of a rewritten protected branch from which to go on.
    pub main: Option<CommitId>,
}

/// A ledger that could be written.
#[derive(Debug, Serialize)]
pub struct Recovery {
    /// Up to which commit of the evidence it goes; `None` where there is no evidence.
    pub evidence: Option<CommitId>,
    /// How many records are believed.
    pub records: usize,
    /// What is wrong with the evidence.
    pub problems: Vec<Problem>,
    /// The tip of the protected branch.
    pub main: CommitId,
    /// Up to where the protected branch was seen; `None`: nowhere.
    pub cursor: Option<CommitId>,
    /// The ledger.
    pub grants: Vec<Recovered>,
    /// What could not be put together, and what differs from the target systems: a sentence each.
    pub notes: Vec<String>,
    /// What must be known before anything is written, a sentence each.
    pub doubts: Vec<String>,
    /// Why nothing is granted as it is now; `None`: nothing is wrong with the database.
    pub safe_mode: Option<String>,
    #[serde(skip)]
    entries: Vec<Entry>,
    #[serde(skip)]
    noted: Vec<Note>,
    #[serde(skip)]
    events: Vec<Event>,
    #[serde(skip)]
    left: Option<&'static str>,
}

/// What becomes of one grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Which.
    pub grant: GrantId,
    /// Where it stands: a word of the ledger.
    pub state: &'static str,
    /// Who.
    pub subject: Option<String>,
    /// What.
    pub role: Option<String>,
    /// Until when.
    pub ends: Option<Instant>,
    /// Whether an owner is still to review it.
    pub unreviewed: bool,
}

impl Recovery {
    /// The same, where a database is put together at every start: the evidence is told of that only where it was told of safe mode, too.
    #[must_use]
    pub fn as_usual(mut self, told: Told) -> Self {
        if told == Told::Nothing {
            self.left = None;
        }
        self
    }
}

/// What the evidence was told of safe mode before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// That it was entered.
    Entered,
    /// Nothing, or that it was left.
    Nothing,
}

impl Recovered {
    fn of(entry: &Entry) -> Self {
        let known = entry.subject_and_role();
        Self {
            grant: entry.id.clone(),
            state: entry.state.as_str(),
            subject: known.map(|(subject, _)| subject.to_string()),
            role: known.map(|(_, role)| role.to_string()),
            ends: entry.terms.as_ref().map(|t| t.ends),
            unreviewed: entry.is_unreviewed(),
        }
    }
}

impl Reconciler {
    /// What the ledger would be, put together again. Writes nothing.
    ///
    /// # Errors
    /// When forge, git or database fail, or `vouched` names a commit that is not on the protected branch.
    pub async fn recovery(&self, vouched: &Vouched) -> Result<Recovery, ReconcileError> {
        let remote = self.remote().await?;
        let branch = &self.settings.protected_branch;
        let tip = self.fetch_main().await?.ok_or_else(|| {
            ReconcileError::Unsettled(format!("the protected branch `{branch}` does not exist"))
        })?;
        let silent = self.silent_places().await?;
        let safe_mode = self.find_safe_mode_quietly(&tip).await?;
        let told = match &safe_mode {
            // Nothing there is by a key that is in use or was before it: whose history it is, a person says.
            Some(SafeMode::EvidenceForeign { .. }) => {
                self.believe_keys(self.signers.believed(), vouched).await?
            }
            _ => self.believe(vouched).await?,
        };
        let mut found = self.put_together(&tip, told.as_ref(), vouched).await?;
        // The notes of an earlier run say where it ended, too.
        if self.left_by_a_run().await?.is_none() {
            found.doubts.extend(silent.iter().map(|place| {
                format!(
                    "the anchors at `{place}` cannot be read, so that nobody knows whether the evidence is whole: let the place answer, or take \
                     it out of the configuration"
                )
            }));
        }
        if let Some(mode @ SafeMode::EvidenceCut { .. }) = &safe_mode {
            found.doubts.push(format!("{mode}: {}", mode.way_out()));
        }
        self.know_reasons(&mut found).await?;
        self.complete_bundles(&mut found).await?;
        self.know_reviews(&mut found, &tip).await?;
        self.weigh_unknown(&remote, &mut found).await;
        self.compare_held(&mut found).await;
        if safe_mode.as_ref().is_some_and(SafeMode::doubts_the_ledger) {
            self.know_rounds(&mut found, told.as_ref(), &tip).await?;
            self.know_released(&mut found, told.as_ref()).await?;
        }
        Ok(found.recovery(tip, told, safe_mode))
    }

    /// What the evidence, the database and the protected branch say together.
    async fn put_together(
        &self,
        tip: &CommitId,
        told: Option<&Believed>,
        vouched: &Vouched,
    ) -> Result<Found, ReconcileError> {
        let before = self.store.entries(Scope::All).await?;
        let cursor = self.store.cursor().await?;
        let main = self.main_at(tip, vouched).await?;
        let mut found = Found::of(recovery::rebuild(&Sources {
            records: told.map_or(&[], |told| &told.records),
            before: &before,
            cursor: cursor.as_ref(),
            main: &main,
            accepted: vouched.main.as_ref(),
            now: self.now(),
        }));
        found.doubts.extend(told.and_then(unbelieved));
        found.events = self.tell_accepted(cursor.as_ref(), vouched).await?;
        Ok(found)
    }

    /// What the evidence was last told of safe mode, as far as this database knows.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn told_of_safe_mode(&self) -> Result<Told, ReconcileError> {
        Ok(match self.store.note(SAFE).await? {
            Some(_) => Told::Entered,
            None => Told::Nothing,
        })
    }

    /// Writes `recovery`, and that safe mode is over where it is.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn write_recovery(&self, recovery: &Recovery) -> Result<(), ReconcileError> {
        let mut events = recovery.events.clone();
        events.extend(recovery.left.map(|cause| {
            let how = format!(
                "the database was rebuilt from {} records: {} grants, {} of them not over",
                recovery.records,
                recovery.grants.len(),
                recovery
                    .entries
                    .iter()
                    .filter(|e| !e.state.is_final())
                    .count()
            );
            evidence::recovered(cause, &how, recovery.cursor.as_ref(), self.now())
        }));
        let seen = recovery.evidence.as_ref().map(CommitId::as_str);
        let noted = recovery.noted.iter();
        let mut notes: Vec<(&str, Option<&str>)> = noted
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        notes.extend([(SEEN, seen), (SAFE, None)]);
        let ledger = Ledger {
            entries: &recovery.entries,
            cursor: recovery.cursor.as_ref(),
            events: &events,
            notes: &notes,
        };
        Ok(self.store.rebuild(&ledger).await?)
    }

    /// Takes over from the evidence, in safe mode, what it knows to be held and what it knows to be over: what is due by time ends
    /// whether or not somebody recovers, and nothing that is over keeps what another grant gave.
    pub(super) async fn go_by_evidence(&self, mode: &SafeMode) -> Result<(), ReconcileError> {
        match mode {
            SafeMode::EvidenceAhead { .. } => {}
            // Of a database that was kept, what was cut knows nothing more; a new one knows what is left of it, or nothing.
            SafeMode::EvidenceCut { .. } if self.store.cursor().await?.is_none() => {}
            _ => return Ok(()),
        }
        let mut read = self.evidence_read.lock().await;
        let tip = self.mirror.tip(&self.settings.evidence_branch).await?;
        if *read == tip {
            return Ok(());
        }
        let Some(told) = self.believe(&Vouched::default()).await? else {
            return Ok(());
        };
        let before = self.store.entries(Scope::All).await?;
        let rebuilt = recovery::rebuild(&Sources {
            records: &told.records,
            before: &before,
            cursor: None,
            main: &Main::default(),
            accepted: None,
            now: self.now(),
        });
        for why in &rebuilt.lost {
            warn!("the evidence does not tell enough: {why}");
        }
        let taken_over = recovery::news(rebuilt.entries, &before);
        if !taken_over.is_empty() {
            let count = taken_over.len();
            self.store.commit(&taken_over, &[]).await?;
            info!(
                count,
                "{count} grants are as the evidence tells, and end on time"
            );
        }
        *read = tip;
        Ok(())
    }

    async fn believe(&self, vouched: &Vouched) -> Result<Option<Believed>, ReconcileError> {
        self.believe_keys(self.signers.ever(), vouched).await
    }

    async fn believe_keys(
        &self,
        mut keys: Vec<String>,
        vouched: &Vouched,
    ) -> Result<Option<Believed>, ReconcileError> {
        keys.extend(vouched.keys.iter().cloned());
        let branch = &self.settings.evidence_branch;
        Ok(self.mirror.believed(branch, keys).await?)
    }

    /// The protected branch at `tip`, or where somebody vouches for it.
    async fn main_at(&self, tip: &CommitId, vouched: &Vouched) -> Result<Main, ReconcileError> {
        let at = match &vouched.main {
            Some(commit) if !self.still_holds(commit, tip).await? => {
                return Err(ReconcileError::Unsettled(format!(
                    "{commit} is not on `{}`, which is at {tip} now",
                    self.settings.protected_branch
                )));
            }
            Some(commit) => commit,
            None => tip,
        };
        let landed = self.mirror.landed(None, at).await?.into_iter();
        Ok(Main {
            standing: landed.map(|l| (l.path, (l.blob, l.commit))).collect(),
            history: self.mirror.first_parents(at).await?,
        })
    }

    /// What the evidence is to tell of a history that somebody vouches for: its commits that change who has access or who decides.
    async fn tell_accepted(
        &self,
        seen: Option<&CommitId>,
        vouched: &Vouched,
    ) -> Result<Vec<Event>, ReconcileError> {
        let Some(accepted) = &vouched.main else {
            return Ok(Vec::new());
        };
        // The old history may be gone, or share nothing with the new one.
        let common = match seen {
            Some(seen) => self.mirror.merge_base(seen, accepted).await.ok().flatten(),
            None => None,
        };
        self.tell_landed(common.as_ref(), accepted, self.now())
            .await
    }

    /// Reads from their files why live grants were asked for: the evidence does not hold what people write freely.
    async fn know_reasons(&self, found: &mut Found) -> Result<(), ReconcileError> {
        let live = found.entries.values_mut().filter(|e| !e.state.is_final());
        for entry in live {
            let (path, commit) = (entry.path.clone(), entry.arrival.commit.clone());
            let Some(terms) = entry.terms.as_mut().filter(|t| t.reason.is_empty()) else {
                continue;
            };
            // The file may be gone with a history that was rewritten.
            let file = self.mirror.grant_file(&commit, &path).await.ok().flatten();
            let tree = parse::read_tree(file.as_slice());
            if let Some(declared) = tree.grants.get(&path) {
                terms.reason.clone_from(&declared.grant.reason);
                terms.ticket.clone_from(&declared.grant.ticket);
            }
        }
        Ok(())
    }

    /// Adds the parts of bundles of which the evidence tells only some.
    async fn complete_bundles(&self, found: &mut Found) -> Result<(), ReconcileError> {
        let parts = found.entries.values().filter(|e| e.part.is_some());
        let bundles: BTreeMap<_, Entry> = parts
            .map(|e| ((e.path.clone(), e.arrival.commit.clone()), e.clone()))
            .collect();
        for ((path, commit), one) in bundles {
            let tree = self.catalogue(&commit).await?;
            let Some(declared) = tree.grants.get(&path) else {
                continue;
            };
            for role in tree.gives(&path, &declared.grant) {
                let whole = Entry::arrived(path.clone(), one.blob.clone(), one.arrival.clone());
                let part = whole.of_part(&role);
                found.entries.entry(part.id.clone()).or_insert(part);
            }
        }
        Ok(())
    }

    /// Finds the pull requests by which records of emergencies came to the protected branch, where nobody is known to have signed: they
    /// are weighed by the next look.
    async fn know_reviews(&self, found: &mut Found, tip: &CommitId) -> Result<(), ReconcileError> {
        let tree = self.catalogue(tip).await?;
        let asks = |e: &&mut Entry| {
            let asked = e.review.as_ref().is_some_and(|r| r.asked.is_some());
            e.is_unreviewed() && !asked
        };
        for entry in found.entries.values_mut().filter(asks) {
            let path = RecordPath::of(&entry.path, &entry.arrival.commit);
            if !tree.emergencies.contains_key(&path) {
                continue;
            }
            let path = path.as_repo_path();
            let since = self
                .mirror
                .governed(Some(&entry.arrival.commit), tip)
                .await?;
            let brought = since
                .iter()
                .rev()
                .find(|a| a.paths.iter().any(|p| p == path.as_str()));
            let Some(commit) = brought.map(|arrived| &arrived.commit) else {
                continue;
            };
            let Some(merged) = self.merge_of(commit).await? else {
                continue;
            };
            if let Some(review) = &mut entry.review {
                review.asked = Some(Asked {
                    pull: merged.number,
                    head: merged.head,
                });
            }
        }
        Ok(())
    }

    /// Asks for the proof of what has only arrived, and for the access of those that have it.
    async fn weigh_unknown(&self, remote: &Remote, found: &mut Found) {
        let mut by_commit: BTreeMap<CommitId, Vec<Entry>> = BTreeMap::new();
        for entry in found.entries.values() {
            if entry.state == State::Arrived && !found.blocked.contains(&entry.id) {
                let commit = entry.arrival.commit.clone();
                by_commit.entry(commit).or_default().push(entry.clone());
            }
        }
        for (commit, entries) in by_commit {
            match self.proofs(remote, &commit, &entries).await {
                Ok(Some((merge, admissions))) => {
                    for entry in entries {
                        let admission = admissions.get(&entry.id);
                        self.note_perhaps_held(found, &entry, &merge, admission)
                            .await;
                    }
                }
                // Nothing is given for what no pull request brought.
                Ok(None) => {}
                Err(error) => found.doubts.push(format!(
                    "what {} brought cannot be weighed: {error}",
                    commit.short()
                )),
            }
        }
    }

    /// Puts what is proved of `entry`, has begun and is held by its account as perhaps given.
    async fn note_perhaps_held(
        &self,
        found: &mut Found,
        entry: &Entry,
        merge: &Merge,
        admission: Option<&Admission>,
    ) {
        let parts = found.proved(entry, admission);
        let begun = |part: &&Approved| part.grant().begin(merge.at) <= self.now();
        let mut held = Vec::new();
        for part in parts.iter().filter(begun) {
            if self.is_held(found, &entry.id, part.access()).await {
                held.push(part);
            }
        }
        if held.is_empty() {
            return;
        }
        let bundle = matches!(admission, Some(Admission::Bundle(_)));
        found.entries.remove(&entry.id);
        for part in parts {
            let one = match bundle {
                true => entry.of_part(part.role()),
                false => entry.clone(),
            };
            found.entries.insert(one.id.clone(), one.clone());
            if held.iter().any(|h| h.role() == part.role()) {
                found.put_perhaps_held(one, merge, part);
            }
        }
    }

    /// Whether the account has `access`. A target that does not say is a doubt.
    async fn is_held(&self, found: &mut Found, grant: &GrantId, access: &Access) -> bool {
        match self.has(found, access).await {
            Ok(held) => held == Some(true),
            Err(why) => {
                found
                    .doubts
                    .push(format!("whether {grant} was given is not known: {why}"));
                false
            }
        }
    }

    /// Whether the account has `access` in its target system; `None` where this server has no such connection, or one that keeps nothing.
    async fn has(&self, found: &mut Found, access: &Access) -> Result<Option<bool>, String> {
        let connection = &access.connection;
        let provider = self.providers.get(connection);
        let Some(provider) = provider.filter(|p| p.gate().is_none()) else {
            return Ok(None);
        };
        let names = provider.kind().names;
        let key = (connection.to_string(), access.entitlement_text());
        if !found.holders.contains_key(&key) {
            let call = in_time(connection, provider.holders(&access.entitlement)).await;
            let holders = call.map_err(|error| super::chain(&error))?;
            let holders = holders.iter().map(|h| names.key(&h.name)).collect();
            found.holders.insert(key.clone(), holders);
        }
        let account = names.key(&access.account.name);
        Ok(found.holders.get(&key).map(|h| h.contains(&account)))
    }

    /// Tells of what is held by the ledger and not in its target system.
    async fn compare_held(&self, found: &mut Found) {
        let active = found.entries.values().filter(|e| e.state == State::Active);
        let active: Vec<(GrantId, Access)> = active
            .filter_map(|e| Some((e.id.clone(), e.terms.as_ref()?.access.clone())))
            .collect();
        for (grant, access) in active {
            let place = format!("{} at {}", access.account.name, access.connection);
            match self.has(found, &access).await {
                Ok(Some(true)) => {}
                Ok(Some(false)) => found.notes.push(format!(
                    "{grant} was given, and {place} does not have it now; it is not given again"
                )),
                Ok(None) => found.notes.push(format!(
                    "{grant}: nobody can tell whether {place} has it; is the connection configured?"
                )),
                Err(why) => found.notes.push(format!(
                    "{grant}: whether {place} has it is not known: {why}"
                )),
            }
        }
    }
}

/// What was found so far.
struct Found {
    entries: BTreeMap<GrantId, Entry>,
    cursor: Option<CommitId>,
    blocked: BTreeSet<GrantId>,
    notes: Vec<String>,
    doubts: Vec<String>,
    events: Vec<Event>,
    /// What is noted of the access review that is open.
    noted: Vec<Note>,
    /// Who holds what, by connection and entitlement, asked once.
    holders: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Found {
    fn of(rebuilt: Rebuilt) -> Self {
        let entries = rebuilt.entries.into_iter();
        Self {
            entries: entries.map(|e| (e.id.clone(), e)).collect(),
            cursor: rebuilt.cursor,
            blocked: rebuilt.blocked,
            notes: rebuilt.lost,
            doubts: Vec::new(),
            events: Vec::new(),
            noted: Vec::new(),
            holders: BTreeMap::new(),
        }
    }

    /// What is proved of `entry`: itself, or its parts.
    fn proved<'a>(&mut self, entry: &Entry, admission: Option<&'a Admission>) -> &'a [Approved] {
        match admission {
            Some(Admission::Approved(approved)) => std::slice::from_ref(&**approved),
            Some(Admission::Bundle(parts)) => parts,
            Some(Admission::Unknown(why)) => {
                let why = why.join("; ");
                self.doubts
                    .push(format!("{} cannot be weighed: {why}", entry.id));
                &[]
            }
            Some(Admission::Unapproved(_)) | None => &[],
        }
    }

    /// The intent to give it, as it stood in the database that was lost.
    fn put_perhaps_held(&mut self, mut entry: Entry, merge: &Merge, approved: &Approved) {
        entry.arrival.pull = Some(merge.pull);
        entry.arrival.at = merge.at;
        let new = terms(&entry, approved);
        let goes_on = |other: &Terms| {
            let same = other.role == new.role || other.access.key() == new.access.key();
            other.subject == new.subject && same
        };
        let held = self.entries.values().filter(|e| e.state.may_be_held());
        let held = held.filter_map(|e| e.terms.as_ref()).filter(|t| goes_on(t));
        let since = held.map(Terms::since).min();
        entry.review = new.review_by.map(|_| Review::due());
        entry.wake_at = Some(new.starts);
        entry.terms = Some(Terms {
            since,
            taken_over: approved.grant().adopt,
            ..new
        });
        entry.state = State::Granting;
        self.entries.insert(entry.id.clone(), entry);
    }

    fn recovery(
        self,
        main: CommitId,
        told: Option<Believed>,
        safe_mode: Option<SafeMode>,
    ) -> Recovery {
        let entries: Vec<Entry> = self.entries.into_values().collect();
        let told = told.as_ref();
        Recovery {
            evidence: told.map(|told| told.tip.clone()),
            records: told.map_or(0, |told| told.records.len()),
            problems: told.map(|told| told.problems.clone()).unwrap_or_default(),
            main,
            cursor: self.cursor,
            grants: entries.iter().map(Recovered::of).collect(),
            notes: self.notes,
            doubts: self.doubts,
            left: safe_mode.as_ref().map(|mode| mode.as_str()),
            safe_mode: safe_mode.map(|mode| mode.to_string()),
            entries,
            events: self.events,
            noted: self.noted,
        }
    }
}

/// What is to be known of evidence whose beginning nobody vouches for: what it tells there could be that something is over.
fn unbelieved(told: &Believed) -> Option<String> {
    let first = told.records.first().map(|record| record.seq);
    let said = match first {
        Some(1) => return None,
        Some(first) => format!("the records of the evidence before number {first} are"),
        None => format!("all {} commits of the evidence are", told.commits),
    };
    Some(format!(
        "{said} signed by no key that is known here: name the public key that signed the first of them with --key"
    ))
}
