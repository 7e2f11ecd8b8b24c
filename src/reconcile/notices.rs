//! Tells holders before their access ends how to renew it or let it go.
//!
//! When each grant is told of is worked out once it is active, and kept in an indexed column: a pass asks for what is due and
//! for nothing else. What one pull request brought shares one comment there. A forge that does not take the comment delays it, and
//! nothing else; a crash between the comment and its note is healed by the next pass, which finds the comment saying so already.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{info, warn};

use super::{ReconcileError, Reconciler, chain};
use crate::domain::ledger::{Entry, State, Terms};
use crate::domain::model::{CommitId, GrantId, Instant, Login, PullNumber, Subject};
use crate::domain::notice::EndsSoon;
use crate::domain::report::{EndingGrant, ends_soon};
use crate::store::Notice;

/// What the comment is found again by.
const MARKER: &str = "hallpass:ends-soon";

/// How many grants are looked at in one pass: a storm of ends must not keep a merge waiting.
const BATCH: u32 = 25;

/// How many grants are planned at once.
const PLANNED: u32 = 1_000;

impl Reconciler {
    /// Whether somebody waits to be told of an end. Asks only the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn notices_are_due(&self) -> Result<bool, ReconcileError> {
        match self.settings.ends_soon {
            Some(_) => Ok(self.store.notices_are_due(self.now()).await?),
            None => Ok(false),
        }
    }

    /// Tells holders what ends soon. [`Reconciler::main`] has just run.
    ///
    /// # Errors
    /// When git or the database fail: the next pass finds the same work. A forge that fails is asked again later.
    pub async fn notices(&self) -> Result<(), ReconcileError> {
        let Some(policy) = self.settings.ends_soon else {
            return Ok(());
        };
        self.plan_notices(policy).await?;
        let mut due: BTreeMap<Option<PullNumber>, Vec<GrantId>> = BTreeMap::new();
        let entries = self.store.due_notices(self.now(), BATCH).await?;
        for entry in &entries {
            let of_pull = due.entry(entry.arrival.pull).or_default();
            of_pull.push(entry.id.clone());
        }
        for (pull, ids) in due {
            let notices = match pull {
                Some(pull) => self.tell(pull, ids, policy).await?,
                // Nothing is granted without a pull request, so nobody is left out by this.
                None => ids.into_iter().map(|id| (id, Notice::Done)).collect(),
            };
            let done = |entry: &&Entry| notices.contains(&(entry.id.clone(), Notice::Done));
            let told: Vec<Entry> = entries.iter().filter(done).cloned().collect();
            let messages = self.ending_messages(&told).await;
            self.store
                .set_notices_and_tell(&notices, &messages, self.now())
                .await?;
        }
        Ok(())
    }

    /// Works out for every new grant when its holder is told.
    async fn plan_notices(&self, policy: EndsSoon) -> Result<(), ReconcileError> {
        loop {
            let new = self.store.unplanned_notices(PLANNED).await?;
            let planned: Vec<_> = new
                .iter()
                .map(|entry| {
                    let at = entry.terms.as_ref().and_then(|t| told_at(policy, t));
                    (entry.id.clone(), at.map_or(Notice::Done, Notice::At))
                })
                .collect();
            if planned.is_empty() {
                return Ok(());
            }
            self.store.set_notices(&planned).await?;
        }
    }

    /// Brings the comment on `pull` up to date, and says what becomes of the notices of `due`.
    async fn tell(
        &self,
        pull: PullNumber,
        due: Vec<GrantId>,
        policy: EndsSoon,
    ) -> Result<Vec<(GrantId, Notice)>, ReconcileError> {
        let now = self.now();
        let (mut told, grants) = self.ending(pull, policy, now).await?;
        if !told.is_empty() {
            let text = ends_soon(&self.settings.pages, &grants);
            match self.forge.comment(pull, MARKER, &text).await {
                Ok(()) => info!(pull = pull.0, "told on #{pull} what ends soon"),
                Err(error) => {
                    warn!(pull = pull.0, error = %error, "cannot tell on #{pull} what ends soon: {}", chain(&error));
                    told.clear();
                }
            }
        }
        // What is left was not taken by the forge, or its file was just changed: what becomes of it is seen by then.
        let later = Notice::At(now + self.settings.retry_cap);
        let becomes = |id: GrantId| match told.contains(&id) {
            true => (id, Notice::Done),
            false => (id, later),
        };
        Ok(due.into_iter().map(becomes).collect())
    }

    /// What `pull` brought and ends soon, if it still stands on the protected branch as it was granted: by file, and which grants
    /// of the ledger that is.
    async fn ending(
        &self,
        pull: PullNumber,
        policy: EndsSoon,
        now: Instant,
    ) -> Result<(BTreeSet<GrantId>, Vec<EndingGrant>), ReconcileError> {
        let (mut ids, mut ending) = (BTreeSet::new(), BTreeMap::new());
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok((ids, Vec::new()));
        };
        for entry in self.store.live_of_pull(pull).await? {
            let terms = entry
                .terms
                .as_ref()
                .filter(|_| is_told(&entry, policy, now));
            if let Some(terms) = terms {
                let Some(grant) = self.ending_grant(&tip, &entry, terms).await? else {
                    continue;
                };
                // One file may give several roles.
                let of_file = ending.entry(entry.path.clone()).or_insert(grant);
                if !of_file.roles.contains(&terms.role) {
                    of_file.roles.push(terms.role.clone());
                }
                ids.insert(entry.id);
            }
        }
        Ok((ids, ending.into_values().collect()))
    }

    async fn ending_grant(
        &self,
        tip: &CommitId,
        entry: &Entry,
        terms: &Terms,
    ) -> Result<Option<EndingGrant>, ReconcileError> {
        let stands = self.catalogue(tip).await?;
        let declared = stands.grants.get(&entry.path);
        let Some(declared) = declared.filter(|d| d.blob == entry.blob) else {
            return Ok(None);
        };
        Ok(Some(EndingGrant {
            path: entry.path.clone(),
            subject: terms.subject.clone(),
            tell: self.person_behind(tip, &terms.subject).await?,
            roles: vec![terms.role.clone()],
            ends: terms.ends,
            term: declared.grant.term,
        }))
    }

    /// The person who is told what becomes of a subject's access.
    async fn person_behind(
        &self,
        tip: &CommitId,
        subject: &Subject,
    ) -> Result<Option<Login>, ReconcileError> {
        match subject {
            Subject::Person(login) => Ok(Some(login.clone())),
            Subject::Service(name) => {
                let declared = self.catalogue(tip).await?;
                Ok(declared.services.get(name).map(|s| s.owner.clone()))
            }
        }
    }
}

fn told_at(policy: EndsSoon, terms: &Terms) -> Option<Instant> {
    policy.at(terms.starts, terms.ends)
}

/// Whether the time to tell of it has come, and its end has not.
fn is_told(entry: &Entry, policy: EndsSoon, now: Instant) -> bool {
    let Some(terms) = &entry.terms else {
        return false;
    };
    let told = told_at(policy, terms).is_some_and(|at| at <= now);
    entry.state == State::Active && told && terms.ends > now
}
