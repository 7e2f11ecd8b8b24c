//! Safe mode: found at every look from what the evidence, the protected branch and the database say of each other.
//!
//! Nothing is given, nothing is inferred and nothing is merged in it; [`Reconciler::due`] does not ask for it. No flag holds it: the
//! note in the database only tells which events of entering and leaving it are written.

use tracing::{error, info, warn};

use super::{ReconcileError, Reconciler, chain};
use crate::domain::evidence;
use crate::domain::model::CommitId;
use crate::domain::safety::{NOTE, SafeMode};
use crate::repo::RepoError;

/// The note that says up to which commit of the evidence branch every event is known here.
pub(super) const SEEN: &str = "evidence-seen";

/// The note that says where the evidence ended when a run without a database left its notes, and on which branch.
pub(super) const NOTES_ANCHOR: &str = "evidence-carried";

/// The note that says for which reason safe mode was entered, as the evidence was told.
pub(super) const SAFE: &str = NOTE;

/// What the last look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Footing {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// Nothing contradicts anything.
    Firm,
    /// Something does.
    Safe(SafeMode),
}

/// The evidence beside the database.
enum Compared {
    /// It told nothing since it was last compared.
    Same,
    /// All that it told up to here is known.
    Known(CommitId),
    /// It knows more, or it lost something.
    Doubtful(SafeMode),
}

impl Reconciler {
    /// Why nothing may be given, as the last look found; looks where there was none yet.
    ///
    /// # Errors
    /// When forge, git or database fail.
    pub async fn safe_mode(&self) -> Result<Option<SafeMode>, ReconcileError> {
        match &*self.footing.lock().await {
            Footing::Firm => return Ok(None),
            Footing::Safe(mode) => return Ok(Some(mode.clone())),
            Footing::Unknown => {}
        }
        let tip = self.fetch_main().await?;
        self.find_safe_mode(tip.as_ref()).await
    }

    /// Whether the first look has been.
    pub(super) async fn has_looked(&self) -> bool {
        *self.footing.lock().await != Footing::Unknown
    }

    /// [`Reconciler::safe_mode`], where something is judged by `base`: a commit of the protected branch that may be newer than what the
    /// last look saw, or older.
    pub(super) async fn safe_mode_on(
        &self,
        base: &CommitId,
    ) -> Result<Option<SafeMode>, ReconcileError> {
        if let Some(mode) = self.safe_mode().await? {
            return Ok(Some(mode));
        }
        let seen = self.store.cursor().await?;
        if let Some(seen) = seen
            && self.still_holds(base, &seen).await?
        {
            return Ok(None);
        }
        self.rewritten(base).await
    }

    /// Fetches the protected branch and the evidence, and returns the tip of the former.
    pub(super) async fn fetch_main(&self) -> Result<Option<CommitId>, ReconcileError> {
        let (branch, evidence) = (
            &self.settings.protected_branch,
            &self.settings.evidence_branch,
        );
        let remote = self.remote().await?;
        self.mirror.fetch(&remote, &[branch, evidence], &[]).await?;
        Ok(self.mirror.tip(branch).await?)
    }

    /// Looks afresh, at what was just fetched: `tip` is the protected branch.
    pub(super) async fn find_safe_mode(
        &self,
        tip: Option<&CommitId>,
    ) -> Result<Option<SafeMode>, ReconcileError> {
        let found = match (self.evidence_in_doubt().await?, tip) {
            (Some(mode), _) => Some(mode),
            (None, Some(tip)) => self.rewritten(tip).await?,
            (None, None) => None,
        };
        self.note_footing(found.clone()).await?;
        Ok(found)
    }

    /// Why nothing would be given as everything stands now; writes nothing down.
    ///
    /// # Errors
    /// When forge, git or database fail.
    pub async fn doubt(&self) -> Result<Option<SafeMode>, ReconcileError> {
        match self.fetch_main().await? {
            Some(tip) => self.find_safe_mode_quietly(&tip).await,
            None => Ok(None),
        }
    }

    /// [`Reconciler::find_safe_mode`], and nothing is written down.
    pub(super) async fn find_safe_mode_quietly(
        &self,
        tip: &CommitId,
    ) -> Result<Option<SafeMode>, ReconcileError> {
        match self.doubt_of_evidence().await? {
            Some(mode) => Ok(Some(mode)),
            None => self.rewritten(tip).await,
        }
    }

    /// Whether the evidence, as it was just fetched, lost what was anchored or tells of events that the database does not know. Where
    /// neither is so, notes that everything up to here is known.
    pub(super) async fn evidence_in_doubt(&self) -> Result<Option<SafeMode>, ReconcileError> {
        self.ask_places().await?;
        match self.compare_evidence().await? {
            Compared::Doubtful(mode) => return Ok(Some(mode)),
            Compared::Known(tip) => self.store.set_note(SEEN, tip.as_str()).await?,
            Compared::Same => {}
        }
        Ok(None)
    }

    /// What puts the evidence, as it was just fetched, in doubt; writes nothing down.
    pub(super) async fn doubt_of_evidence(&self) -> Result<Option<SafeMode>, ReconcileError> {
        match self.compare_evidence().await? {
            Compared::Doubtful(mode) => Ok(Some(mode)),
            Compared::Same | Compared::Known(_) => Ok(None),
        }
    }

    async fn compare_evidence(&self) -> Result<Compared, ReconcileError> {
        if let Some(mode) = self.evidence_cut().await? {
            return Ok(Compared::Doubtful(mode));
        }
        let seen = self.store.note(SEEN).await?;
        let seen = seen.and_then(|seen| CommitId::new(&seen).ok());
        let branch = &self.settings.evidence_branch;
        if let Some(seen) = &seen
            && self.mirror.resolve(seen.as_str()).await.is_err()
        {
            // Another server pushed it since we fetched. Without it all that was ever written would be read again.
            let fetched = async {
                let remote = self.remote().await?;
                Ok::<_, ReconcileError>(self.mirror.fetch(&remote, &[branch], &[]).await?)
            };
            if let Err(error) = fetched.await {
                warn!(error = %error, "cannot fetch the evidence that another server wrote: {}", chain(&error));
            }
        }
        let told = self
            .mirror
            .told_since(&self.signers, branch, seen.as_ref())
            .await?;
        let Some(told) = told.filter(|told| !told.events.is_empty()) else {
            return Ok(Compared::Same);
        };
        let own = told
            .events
            .iter()
            .filter_map(|(commit, key)| Some((commit, key.as_ref()?)));
        // What says that the key changes is written by the chain itself and does not come from the database.
        let own: Vec<_> = own
            .filter(|(_, key)| !evidence::is_of_the_chain(key))
            .collect();
        let keys: Vec<String> = own.iter().map(|(_, key)| (*key).clone()).collect();
        let known = self.store.known_events(&keys).await?;
        let mut unknown = own.iter().filter(|(_, key)| !known.contains(*key));
        if let Some((commit, _)) = unknown.next() {
            let (commit, count) = ((*commit).clone(), 1 + unknown.count());
            return Ok(Compared::Doubtful(SafeMode::EvidenceAhead {
                commit,
                count,
            }));
        }
        let foreign = told.events.iter().any(|(_, key)| key.is_none());
        if foreign && seen.is_none() && self.store.cursor().await?.is_none() {
            return Ok(Compared::Doubtful(SafeMode::EvidenceForeign {
                tip: told.tip,
            }));
        }
        Ok(Compared::Known(told.tip))
    }

    /// Whether the protected branch lost what was seen on it.
    async fn rewritten(&self, tip: &CommitId) -> Result<Option<SafeMode>, ReconcileError> {
        let Some(seen) = self.store.cursor().await? else {
            return Ok(None);
        };
        if seen == *tip || self.still_holds(&seen, tip).await? {
            return Ok(None);
        }
        // Another server may have seen it grow since this one fetched.
        if let Some(newest) = self.fetch_main().await?
            && self.still_holds(&seen, &newest).await?
            && self.still_holds(tip, &newest).await?
        {
            return Ok(None);
        }
        Ok(Some(SafeMode::MainRewritten {
            branch: self.settings.protected_branch.clone(),
            seen,
            tip: tip.clone(),
        }))
    }

    /// Makes sure that the ledger has not recorded more of the protected branch than `tip` holds, as another server does. Asked after what is to
    /// be judged by `tip` was read from the ledger. Returns how far it has recorded it.
    pub(super) async fn is_not_behind(
        &self,
        tip: &CommitId,
    ) -> Result<Option<CommitId>, ReconcileError> {
        let cursor = self.store.cursor().await?;
        match &cursor {
            Some(seen) if seen != tip && !self.still_holds(seen, tip).await? => {
                Err(ReconcileError::Overtaken)
            }
            _ => Ok(cursor),
        }
    }

    /// Whether `tip` stands on what was seen before. A commit that is not there any more was rewritten away.
    pub(super) async fn still_holds(
        &self,
        seen: &CommitId,
        tip: &CommitId,
    ) -> Result<bool, ReconcileError> {
        match self.mirror.is_ancestor(seen, tip).await {
            Err(RepoError::NoCommit(_)) => Ok(false),
            answer => Ok(answer?),
        }
    }

    /// Goes by what was found from here on, and writes down when it differs from what the evidence was told.
    pub(super) async fn note_footing(&self, found: Option<SafeMode>) -> Result<(), ReconcileError> {
        let mut footing = self.footing.lock().await;
        let told = self.store.note(SAFE).await?;
        let now = self.now();
        match (&found, told) {
            (Some(mode), told) if told.as_deref() != Some(mode.as_str()) => {
                let event = evidence::safe_mode_entered(mode, now);
                let word = Some(mode.as_str());
                self.store.note_with(SAFE, word, &[event]).await?;
            }
            (None, Some(cause)) => {
                let how = "what contradicted each other agrees again";
                let event = evidence::safe_mode_left(&cause, how, now);
                self.store.note_with(SAFE, None, &[event]).await?;
                info!("safe mode is over ({cause}): {how}");
            }
            _ => {}
        }
        let found = found.map_or(Footing::Firm, Footing::Safe);
        if let (Footing::Safe(mode), true) = (&found, *footing != found) {
            error!(
                safe_mode = mode.as_str(),
                "SAFE MODE: {mode}. Nothing is granted; what is due by time is still revoked. The way out: {}",
                mode.way_out()
            );
        }
        *footing = found;
        Ok(())
    }
}
