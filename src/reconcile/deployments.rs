//! Deployments that wait for the ledger's word.
//!
//! What waits is read afresh from the target, who holds a grant from the ledger; a webhook only says where to look. Desired: a deployment
//! is let through once, by a grant that is active at that moment; until then it waits, and whoever started it is told once how to ask.
//! Nothing is rejected, so that asking after starting is as good as before. A look-up that fails is neither yes nor no.
//!
//! An answer stands between two notes, like a change at any target. After a crash between them it was perhaps given: it is given again
//! where the deployment still waits and a grant still holds, and taken for given where the deployment waits no longer.
//!
//! Accepted: a later job of the same attempt that waits for the same environment cannot be told from one that waits for somebody else.
//! Where nobody looked in between, it is let through a few minutes later, and stands in the evidence under the same event.
//!
//! Accepted race: a grant that is withdrawn before its end, in the moment between the ledger's answer and the call, lets one more
//! deployment through. A grant that is over by time does not, up to the duration of one call. After a crash the words how to ask may be
//! said a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use chrono::TimeDelta;
use tracing::{error, info, warn};

use super::act::in_time;
use super::{ReconcileError, Reconciler};
use crate::domain::deployment::{self, Deployment, Known, Pass, Stage, WaitingRun};
use crate::domain::evidence;
use crate::domain::ledger::Entry;
use crate::domain::model::{ConnectionName, Gives, GrantId, Instant, RepoName, RoleRef};
use crate::domain::report::{self, Offer};
use crate::domain::safety::SafeMode;
use crate::providers::{Gate, ProviderError, Said};

/// How long after a change of a run a look at it may have been too early.
const LISTING_DELAY: TimeDelta = TimeDelta::minutes(2);

/// What a waiting run looked like when it was last looked into: what nobody may let through and nothing changed of is left alone, so
/// that a run may wait for a month without a call a minute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    changed_at: Instant,
    at: Instant,
}

/// By run and attempt.
pub(super) type LookedInto = BTreeMap<(u64, u64), Seen>;

fn is_of(known: &Known, run: &WaitingRun) -> bool {
    (known.deployment.run, known.deployment.attempt) == (run.id, run.attempt)
}

/// The gate that a repository's deployments wait at.
#[derive(Clone, Copy)]
struct At<'a> {
    connection: &'a ConnectionName,
    gate: &'a dyn Gate,
}

impl Reconciler {
    fn gates(&self) -> impl Iterator<Item = At<'_>> {
        self.providers.iter().filter_map(|(connection, provider)| {
            let gate = provider.gate()?;
            Some(At { connection, gate })
        })
    }

    /// The repositories whose deployments may wait for us: those that resources and grants name, and those that are known to wait.
    ///
    /// # Errors
    /// When git or the database fail.
    pub async fn guarded(&self) -> Result<BTreeSet<RepoName>, ReconcileError> {
        if self.gates().next().is_none() {
            return Ok(BTreeSet::new());
        }
        let passes = self.passes().await?;
        let mut found: BTreeSet<RepoName> = passes
            .into_iter()
            .map(|pass| pass.place.repository)
            .collect();
        found.extend(self.store.deploying().await?);
        if let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? {
            let tree = self.catalogue(&tip).await?;
            let roles = tree.resources.values().flat_map(|r| r.roles.values());
            let places = roles.filter_map(|role| match &role.gives {
                Gives::Entitlement { connection, value } => {
                    self.providers.get(connection)?.gate()?.place(value)
                }
                Gives::Roles(_) => None,
            });
            found.extend(places.map(|place| place.repository));
        }
        Ok(found)
    }

    /// The repositories with a deployment that waits and that a grant lets through by now. Asks only the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn opened(&self) -> Result<BTreeSet<RepoName>, ReconcileError> {
        if self.gates().next().is_none() {
            return Ok(BTreeSet::new());
        }
        let open = self.store.open_deployments().await?;
        if open.is_empty() {
            return Ok(BTreeSet::new());
        }
        let (passes, now) = (self.passes().await?, self.now());
        let opened = open
            .into_iter()
            .map(|known| known.deployment)
            .filter(|waiting| deployment::opener(waiting, &passes, now).is_some());
        Ok(opened.map(|waiting| waiting.place.repository).collect())
    }

    /// Answers what waits in `repository`.
    ///
    /// # Errors
    /// When the target, git or the database fail: what could not be answered waits for the next look.
    pub async fn deployments(&self, repository: &RepoName) -> Result<(), ReconcileError> {
        let Some(at) = self.gates().find(|at| at.gate.answers_for(repository)) else {
            return Ok(());
        };
        if let Some(mode) = self.safe_mode().await?.filter(SafeMode::doubts_the_ledger) {
            return Err(ReconcileError::Safe(mode));
        }
        let runs = in_time(at.connection, at.gate.waiting(repository)).await?;
        let known = self.store.deployments(repository).await?;
        let (passes, before) = (self.passes().await?, self.looked_into(repository));
        let (mut looked, mut results) = (LookedInto::new(), Vec::new());
        for run in &runs {
            let now = self.now();
            let seen = before.get(&(run.id, run.attempt)).copied();
            let old = seen.filter(|seen| !self.is_news(run, *seen, now));
            if let Some(seen) = old.filter(|_| !deployment::may_go_on(run, &passes, now)) {
                looked.insert((run.id, run.attempt), seen);
                continue;
            }
            let seen = Seen {
                changed_at: run.changed_at,
                at: now,
            };
            match self.answer_run(at, run, &known, &passes).await {
                Ok(()) => drop(looked.insert((run.id, run.attempt), seen)),
                failed => results.push(failed),
            }
        }
        let waits = |one: &Known| runs.iter().any(|run| is_of(one, run));
        for one in known.iter().filter(|one| !waits(one)) {
            results.push(self.gone(at, one).await);
        }
        self.note_looked_into(repository, looked);
        results.into_iter().collect()
    }

    /// Whether the run may wait for something else than when it was looked into.
    fn is_news(&self, run: &WaitingRun, seen: Seen, now: Instant) -> bool {
        run.changed_at != seen.changed_at
            // The forge counts whole seconds, and lists with some delay.
            || run.changed_at + LISTING_DELAY >= seen.at
            || seen.at + self.settings.members_for <= now
    }

    fn looked_into(&self, repository: &RepoName) -> LookedInto {
        let all = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(repository).cloned().unwrap_or_default()
    }

    fn note_looked_into(&self, repository: &RepoName, looked: LookedInto) {
        let mut all = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        match looked.is_empty() {
            true => drop(all.remove(repository)),
            false => drop(all.insert(repository.clone(), looked)),
        }
    }

    /// Answers for every job of one run.
    async fn answer_run(
        &self,
        at: At<'_>,
        run: &WaitingRun,
        known: &[Known],
        passes: &[Pass],
    ) -> Result<(), ReconcileError> {
        let jobs = in_time(at.connection, at.gate.jobs(run)).await?;
        // Several jobs of one attempt may wait for one environment: one answer is for all of them.
        let jobs: BTreeMap<String, Deployment> =
            jobs.into_iter().map(|one| (one.key(), one)).collect();
        let mut results = Vec::new();
        for one in known.iter().filter(|one| is_of(one, run)) {
            if !jobs.contains_key(&one.deployment.key()) {
                results.push(self.gone(at, one).await);
            }
        }
        for (key, one) in jobs {
            let known = known.iter().find(|known| known.deployment.key() == key);
            results.push(self.answer(at, one, known, passes).await);
        }
        results.into_iter().collect()
    }

    /// What the ledger says, and the target is told.
    async fn answer(
        &self,
        at: At<'_>,
        waiting: Deployment,
        known: Option<&Known>,
        passes: &[Pass],
    ) -> Result<(), ReconcileError> {
        let stage = known.map_or(Stage::Seen, |known| known.stage.clone());
        if matches!(stage, Stage::Approved { again, .. } if again > self.now()) {
            return Ok(());
        }
        if known.is_none() && !in_time(at.connection, at.gate.guards(&waiting.place)).await? {
            return Ok(());
        }
        if deployment::opener(&waiting, passes, self.now()).is_none() {
            return match stage.is_told() {
                true => Ok(()),
                false => self.tell_how_to_ask(at, waiting, stage, passes).await,
            };
        }
        if !in_time(at.connection, at.gate.still_waits(&waiting)).await? {
            return Ok(());
        }
        // What held before GitHub was asked may be over by now.
        let now_passes = self.passes().await?;
        match (deployment::opener(&waiting, &now_passes, self.now()), stage) {
            (None, _) => Ok(()),
            (Some(entry), Stage::Approved { times, .. }) => {
                self.approve_again(at, waiting, times, entry).await
            }
            (Some(entry), stage) => self.approve(at, waiting, stage, entry).await,
        }
    }

    /// It was let through before, which is written down, and is still listed: for a later job, or for somebody else.
    async fn approve_again(
        &self,
        at: At<'_>,
        deployment: Deployment,
        times: u32,
        entry: &Entry,
    ) -> Result<(), ReconcileError> {
        let words = report::deployment_approved(entry);
        let said = in_time(at.connection, at.gate.approve(&deployment, &words)).await?;
        if let Said::Taken(read_back) = said {
            info!(deployment.run, grant.id = %entry.id, read_back, "a later job of run {} was let through by `{}`: {read_back}", deployment.run, entry.id);
        }
        let stage = Stage::approved(self.now(), times.saturating_add(1));
        Ok(self
            .store
            .keep_deployment(&Known { deployment, stage }, &[])
            .await?)
    }

    /// Every grant of an environment that is not over.
    async fn passes(&self) -> Result<Vec<Pass>, ReconcileError> {
        let mut passes = Vec::new();
        for at in self.gates() {
            let live = crate::store::Scope::Live(at.connection);
            for entry in self.store.entries(live).await? {
                let terms = entry.terms.as_ref();
                let place = terms.and_then(|t| at.gate.place(&t.access.entitlement));
                passes.extend(place.map(|place| Pass { place, entry }));
            }
        }
        Ok(passes)
    }

    async fn approve(
        &self,
        at: At<'_>,
        deployment: Deployment,
        stage: Stage,
        entry: &Entry,
    ) -> Result<(), ReconcileError> {
        let begun = Known {
            deployment: deployment.clone(),
            stage: Stage::Approving {
                grant: entry.id.clone(),
                told: stage.is_told(),
            },
        };
        self.store.keep_deployment(&begun, &[]).await?;
        let called_at = self.now();
        let words = report::deployment_approved(entry);
        let said = in_time(at.connection, at.gate.approve(&deployment, &words)).await;
        match (said, &stage) {
            (Ok(Said::Taken(read_back)), _) => {
                self.approved(deployment, entry, &read_back, called_at)
                    .await
            }
            // Nothing waits for an answer of ours: the one before came through.
            (Ok(Said::Declined(words)), Stage::Approving { grant, .. }) => {
                let earlier = self.entry(grant).await?;
                let entry = earlier.as_ref().unwrap_or(entry);
                let read_back = format!("the answer was lost; asked again, GitHub says: {words}");
                self.approved(deployment, entry, &read_back, called_at)
                    .await
            }
            (Ok(Said::Declined(words)), _) => {
                warn!(
                    deployment.run,
                    words, "run {} waits, and not for us: {words}", deployment.run
                );
                // Unless another replica's answer was taken meanwhile.
                let before = Known { deployment, stage };
                Ok(self.store.replace_deployment(&begun, &before).await?)
            }
            (Err(refused @ ProviderError::Refused { .. }), _) => {
                let before = Known { deployment, stage };
                self.store.replace_deployment(&begun, &before).await?;
                Err(refused.into())
            }
            (Err(failure), _) => Err(failure.into()),
        }
    }

    async fn approved(
        &self,
        deployment: Deployment,
        entry: &Entry,
        read_back: &str,
        called_at: Instant,
    ) -> Result<(), ReconcileError> {
        let event =
            evidence::deployment_approved(&deployment, entry, read_back, called_at, self.now());
        info!(deployment.run, grant.id = %entry.id, read_back, "run {} was let through by `{}`: {read_back}", deployment.run, entry.id);
        let known = Known {
            deployment,
            stage: Stage::approved(self.now(), 1),
        };
        Ok(self.store.keep_deployment(&known, &[event]).await?)
    }

    /// What is not listed any more.
    async fn gone(&self, at: At<'_>, known: &Known) -> Result<(), ReconcileError> {
        // A listing may be behind.
        if in_time(at.connection, at.gate.still_waits(&known.deployment)).await? {
            return Ok(());
        }
        let mut events = Vec::new();
        if let Stage::Approving { grant, .. } = &known.stage {
            let now = self.now();
            match self.entry(grant).await? {
                Some(entry) => events.push(evidence::deployment_approved(
                    &known.deployment,
                    &entry,
                    "the answer was lost, and the run waits no longer",
                    now,
                    now,
                )),
                None => {
                    error!(grant.id = %grant, "the ledger does not know `{grant}`, which let a deployment through, perhaps")
                }
            }
        }
        Ok(self.store.forget_deployment(known, &events).await?)
    }

    async fn entry(&self, id: &GrantId) -> Result<Option<Entry>, ReconcileError> {
        let paths = id.path().into_iter().collect();
        let mut found = self.store.entries_at(&paths).await?.into_iter();
        Ok(found.find(|entry| entry.id == *id))
    }

    async fn tell_how_to_ask(
        &self,
        at: At<'_>,
        deployment: Deployment,
        stage: Stage,
        passes: &[Pass],
    ) -> Result<(), ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(());
        };
        let tree = self.catalogue(&tip).await?;
        let offers = self.offers(&tree, &deployment);
        let later = deployment::later(&deployment, passes, self.now());
        let pages = &self.settings.pages;
        let words = report::deployment_waiting(pages, &tree, &deployment, &offers, later);
        let said = in_time(at.connection, at.gate.tell(&deployment, &words)).await?;
        let told = Known {
            stage: stage.told(),
            deployment,
        };
        let (run, by) = (told.deployment.run, told.deployment.by());
        let event = match said {
            Said::Taken(_) => {
                info!(
                    deployment.run = run,
                    "run {run} waits: {by} has no grant for it"
                );
                Some(evidence::deployment_waiting(&told.deployment, self.now()))
            }
            Said::Declined(words) => {
                warn!(
                    deployment.run = run,
                    words, "cannot tell {by} how to ask: {words}"
                );
                None
            }
        };
        Ok(self.store.keep_deployment(&told, event.as_slice()).await?)
    }

    /// The roles that give the environment.
    fn offers(
        &self,
        tree: &crate::domain::catalogue::Catalogue,
        deployment: &Deployment,
    ) -> Vec<Offer> {
        let resources = tree.resources.iter();
        let roles = resources.flat_map(|(name, of)| of.roles.iter().map(move |r| (name, r)));
        let offer = |(resource, (name, role)): (&_, (&_, &crate::domain::model::Role))| {
            let Gives::Entitlement { connection, value } = &role.gives else {
                return None;
            };
            let place = self.providers.get(connection)?.gate()?.place(value)?;
            let role = RoleRef {
                resource: Clone::clone(resource),
                role: Clone::clone(name),
            };
            place.is(&deployment.place).then(|| Offer {
                role,
                connection: connection.clone(),
            })
        };
        roles.filter_map(offer).collect()
    }
}
