//! Access that somebody ends at once, by the page: noted with who did it, and due from that moment on.
//!
//! Nothing is taken away here. What is called off ends like everything that is due: without forge and git, by the next pass.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use tracing::warn;

use super::{ReconcileError, Reconciler};
use crate::domain::evidence;
use crate::domain::ledger::{Entry, State};
use crate::domain::model::{Actor, GrantId, Owner};
use crate::domain::visitor::{self, Called, Came, Standing, Visitor};
use crate::store::{StoreError, Wake};

/// How often it is tried again when somebody else writes the entry in the same moment.
const RACES: u32 = 5;

/// Whether it ends already, or is over.
fn is_ending(entry: &Entry) -> bool {
    let over = matches!(entry.state, State::Revoking | State::Ended);
    entry.called_off.is_some() || over
}

impl Reconciler {
    /// Who came back from signing in at the forge.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn introduce(&self, came: Came<'_>) -> Result<Visitor, ReconcileError> {
        Ok(self.forge.introduce(came).await?)
    }

    /// Whether somebody may see the page, asked of the forge now: because they may read the repository, or are among `auditors`.
    ///
    /// # Errors
    /// When the forge does not say whether they may read, and they are not known to be an auditor.
    pub async fn admits(
        &self,
        visitor: &Visitor,
        auditors: &BTreeSet<Owner>,
    ) -> Result<bool, ReconcileError> {
        if !auditors.is_empty() {
            let roster = self.forge.roster(auditors).await;
            if visitor::is_among(auditors, &roster, &visitor.actor) {
                return Ok(true);
            }
        }
        Ok(visitor.reads && self.forge.may_read(&visitor.actor).await?)
    }

    /// Calls a grant off, if `who` has it or owns its path by CODEOWNERS of the protected branch; with the event of that, in one
    /// transaction. `reason` is kept in the ledger, and its digest in the evidence. Twice is as good as once.
    ///
    /// # Errors
    /// When git or database fail: nothing is noted then.
    pub async fn call_off(
        &self,
        grant: &GrantId,
        who: &Actor,
        reason: &str,
    ) -> Result<Called, ReconcileError> {
        let mut standing = None;
        for _ in 0..RACES {
            let Some(entry) = self.store.entry(grant).await? else {
                return Ok(Called::NotHeld);
            };
            if is_ending(&entry) {
                return Ok(Called::Before);
            }
            let known = match standing.take() {
                Some(known) => Ok(known),
                None => self.standing_of(&entry, who).await?,
            };
            let as_whom = match known {
                Ok(known) => known,
                Err(refused) => return Ok(refused),
            };
            match self.note_off(entry, (who, &as_whom), reason.trim()).await {
                Err(ReconcileError::Store(StoreError::Conflict(_))) => standing = Some(as_whom),
                noted => return noted,
            }
        }
        Err(ReconcileError::Unsettled(format!(
            "{grant} is being written by others again and again"
        )))
    }

    /// What would keep `who` from calling a grant off now; `None`: they may.
    ///
    /// # Errors
    /// When git or database fail.
    pub async fn kept_from_calling_off(
        &self,
        grant: &GrantId,
        who: &Actor,
    ) -> Result<Option<Called>, ReconcileError> {
        match self.store.entry(grant).await? {
            None => Ok(Some(Called::NotHeld)),
            Some(entry) if is_ending(&entry) => Ok(Some(Called::Before)),
            Some(entry) => Ok(self.standing_of(&entry, who).await?.err()),
        }
    }

    /// Notes that `who` ended it, with the event of that.
    async fn note_off(
        &self,
        entry: Entry,
        (who, as_whom): (&Actor, &Standing),
        reason: &str,
    ) -> Result<Called, ReconcileError> {
        let now = self.now();
        let Some(mut off) = entry.call_off(as_whom.cause(), now) else {
            return Ok(Called::NotHeld);
        };
        if let Some(noted) = &mut off.called_off {
            noted.by = Some(who.clone());
            noted.reason = Some(reason.to_owned());
        }
        let digest = hex::encode(Sha256::digest(reason));
        let event = evidence::called_off(&off, (who, as_whom), &digest, now);
        let id = off.id.clone();
        self.store.commit(&[off], &[event]).await?;
        warn!(grant.key = %id, who.login = %who.login, "`{id}` is called off by {} as {as_whom}", who.login);
        // Its file is to go from the protected branch as well.
        self.store.wake(&[Wake::Main], now).await?;
        Ok(Called::Off)
    }

    /// As whom `who` may call it off; `Err` is the answer that they get where they may not.
    async fn standing_of(
        &self,
        entry: &Entry,
        who: &Actor,
    ) -> Result<Result<Standing, Called>, ReconcileError> {
        if visitor::holds(entry, &[], who) {
            return Ok(Ok(Standing::Holder));
        }
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            let what = "the protected branch was not read yet".to_owned();
            return Ok(Err(Called::NotKnown(what)));
        };
        let base = self.catalogue(&tip).await?;
        let subject = entry.subject_and_role().map(|(subject, _)| subject);
        let accountable = subject.map(|s| base.beneficiaries(s)).unwrap_or_default();
        if visitor::holds(entry, &accountable, who) {
            return Ok(Ok(Standing::Holder));
        }
        let owners = visitor::owners_of(&base.codeowners, entry);
        let roster = self.forge.roster(&owners.iter().cloned().collect()).await;
        Ok(match visitor::owns(owners, &roster, who) {
            Ok(Some(owner)) => Ok(Standing::Owner(owner)),
            Ok(None) => Err(Called::NotTheirs(owners.to_vec())),
            Err(why) => Err(Called::NotKnown(why)),
        })
    }
}
