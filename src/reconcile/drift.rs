//! Drift: what target systems really hold, compared with the ledger on a schedule.
//!
//! Every connection is asked by itself, so that a slow one delays nobody. What looks like drift is asked for a second time before
//! it is believed: a grant may have begun or ended while its system was listing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use tracing::{error, info, warn};

use super::act::in_time;
use super::{ReconcileError, Reconciler, chain};
use crate::domain::catalogue::Catalogue;
use crate::domain::drift::{
    self, Changes, Difference, Drift, Holding, Holdings, Known, Survey, Unanswered, Watched,
    Watchlist,
};
use crate::domain::evidence;
use crate::domain::ledger::Holder;
use crate::domain::model::{Access, Account, ConnectionName, Instant, ResourceName};
use crate::domain::report;
use crate::domain::target::Order;
use crate::forge::Issue;
use crate::providers::Provider;
use crate::store::Scope;

/// How long, in all, a connection may leave unanswered what it is asked; then it is asked no more this time. What others have is believed,
/// and enforced, only when all were asked.
const SILENCE: Duration = Duration::from_secs(120);

/// Why what it would have been asked then was not.
const SILENT: &str = "not asked, as it left too much before unanswered";

/// When target systems were last compared.
const LAST: &str = "drift_at";

impl Reconciler {
    /// When target systems are to be compared again: `every` after they were last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn drift_due(&self, every: chrono::TimeDelta) -> Result<Instant, ReconcileError> {
        let last = self.store.note(LAST).await?;
        let last = last.and_then(|at| at.parse::<Instant>().ok());
        // A clock that was ahead must not put it off.
        Ok(last.map_or_else(|| self.now(), |at| at.min(self.now()) + every))
    }

    /// Compares every target system with the ledger, writes down what changed, takes away what a resource says is to be taken away,
    /// and tells of what is left.
    ///
    /// # Errors
    /// When git or the database fail. A system that does not answer is only left out.
    pub async fn drift(&self) -> Result<(), ReconcileError> {
        if !self.has_looked().await {
            // Before the first look nobody knows whether ledger and branch can be believed, and enforcing must not find out.
            return Ok(());
        }
        self.store
            .set_note(LAST, &evidence::instant(self.now()))
            .await?;
        if let Some(mode) = self.safe_mode().await? {
            // Compared with a ledger or a branch that is in doubt, what is right would look wrong, and might be taken away.
            warn!("the target systems are not compared in safe mode: {mode}");
            return Ok(());
        }
        let watched = self.watched().await?;
        let survey = self.survey_of(&watched).await?;
        for failed in &survey.failed {
            warn!(provider.connection = %failed.connection, error = %failed.why, "cannot compare {}: {}", failed.what, failed.why);
        }
        self.note_drift(&survey).await?;
        self.enforce(&watched, &survey).await?;
        self.tell_drift().await
    }

    /// What is different now. Changes nothing, and writes nothing down.
    ///
    /// # Errors
    /// When git or the database fail.
    pub async fn survey(&self) -> Result<Survey, ReconcileError> {
        let watched = self.watched().await?;
        self.survey_of(&watched).await
    }

    /// What the protected branch declares now.
    ///
    /// # Errors
    /// When the forge or git fail, or the branch does not exist.
    pub async fn declared(&self) -> Result<Arc<Catalogue>, ReconcileError> {
        let (remote, branch) = (self.remote().await?, &self.settings.protected_branch);
        self.mirror.fetch(&remote, &[branch], &[]).await?;
        let tip = self.mirror.tip(branch).await?;
        let tip =
            tip.ok_or_else(|| ReconcileError::Unsettled(format!("there is no branch {branch}")))?;
        self.catalogue(&tip).await
    }

    async fn watched(&self) -> Result<Vec<Watched>, ReconcileError> {
        let tip = self.mirror.tip(&self.settings.protected_branch).await?;
        let declared = match tip {
            Some(tip) => self.catalogue(&tip).await?,
            None => Arc::default(),
        };
        let mut watched = Watchlist::declared(&declared);
        let unfinished = Scope::Unfinished;
        self.store
            .each_entry(unfinished, |e| watched.note(&e))
            .await?;
        Ok(watched.all())
    }

    async fn survey_of(&self, watched: &[Watched]) -> Result<Survey, ReconcileError> {
        let mut by_connection: BTreeMap<&ConnectionName, Vec<&Watched>> = BTreeMap::new();
        for one in watched {
            by_connection.entry(&one.connection).or_default().push(one);
        }
        let surveys = by_connection
            .into_iter()
            .map(|(connection, watched)| self.survey_connection(connection, watched));
        let mut all = Survey::default();
        for survey in join_all(surveys).await {
            let survey = survey?;
            all.found.extend(survey.found);
            all.asked.extend(survey.asked);
            all.failed.extend(survey.failed);
        }
        Ok(all)
    }

    /// One connection: what differs at two looks in a row.
    async fn survey_connection(
        &self,
        connection: &ConnectionName,
        watched: Vec<&Watched>,
    ) -> Result<Survey, ReconcileError> {
        // A connection that this server does not have is told of by the pull request that names it.
        let Some(provider) = self.providers.get(connection) else {
            return Ok(Survey::default());
        };
        let mut first = self
            .look_once(connection, provider.as_ref(), &watched)
            .await?;
        if first.found.is_empty() {
            return Ok(first);
        }
        let doubtful: BTreeSet<&String> = first.found.iter().map(|d| &d.entitlement).collect();
        let again = watched
            .into_iter()
            .filter(|w| doubtful.contains(&w.text()))
            .collect::<Vec<_>>();
        let second = self
            .look_once(connection, provider.as_ref(), &again)
            .await?;
        let confirmed: BTreeSet<String> = second.found.iter().map(Drift::key).collect();
        first.found.retain(|d| confirmed.contains(&d.key()));
        for drift in &mut first.found {
            self.look_for_account(provider.as_ref(), &again, drift)
                .await;
        }
        for failed in &second.failed {
            // Not compared after all.
            let named = again.iter().find(|w| w.to_string() == failed.what);
            let entitlement = named.map(|w| w.text());
            first
                .asked
                .retain(|key, _| Some(&key.1) != entitlement.as_ref());
        }
        first.failed.extend(second.failed);
        Ok(first)
    }

    /// Of what a grant gives and nobody has: whether the account itself is gone. Where the target cannot tell or does not answer, it
    /// was taken away, as far as is known.
    async fn look_for_account(
        &self,
        provider: &dyn Provider,
        watched: &[&Watched],
        drift: &mut Drift,
    ) {
        let one = watched.iter().find(|w| w.text() == drift.entitlement);
        let Some(one) = one.filter(|_| drift.difference == Difference::RemovedOutside) else {
            return;
        };
        let account = access_of(one, drift).account;
        let known = in_time(&drift.connection, provider.has_account(&account)).await;
        if matches!(known, Ok(Some(false))) {
            drift.difference = Difference::SubjectVanished;
        }
    }

    async fn look_once(
        &self,
        connection: &ConnectionName,
        provider: &dyn Provider,
        watched: &[&Watched],
    ) -> Result<Survey, ReconcileError> {
        let before = self.holdings(connection).await?;
        let mut survey = Survey::default();
        let mut answers = Vec::new();
        let mut silence = Duration::ZERO;
        // From another one on each minute, so that those which hang do not always keep the same from being asked.
        let minute = usize::try_from(self.now().timestamp() / 60).unwrap_or_default();
        let first = minute.checked_rem(watched.len()).unwrap_or_default();
        for one in watched[first..].iter().chain(&watched[..first]) {
            let asked = tokio::time::Instant::now();
            let holders = if silence < SILENCE {
                let holders = in_time(connection, provider.holders(&one.entitlement)).await;
                holders.map_err(|error| chain(&error))
            } else {
                Err(SILENT.to_owned())
            };
            match holders {
                Ok(holders) => answers.push((*one, holders)),
                Err(why) => {
                    silence += asked.elapsed();
                    survey.failed.push(Unanswered {
                        connection: connection.clone(),
                        what: one.to_string(),
                        why,
                    });
                }
            }
        }
        let after = self.holdings(connection).await?;
        for (one, mut holders) in answers {
            let what = one.text();
            // What the target asks the ledger about at each use, the ledger's entries hold.
            if provider.gate().is_some() {
                let given = before.of(&what).iter().chain(after.of(&what));
                holders.extend(given.filter_map(held_by_ledger));
            }
            let names = provider.kind().names;
            survey
                .found
                .extend(drift::compare(one, &holders, &before, &after, names));
            let key = (connection.clone(), what);
            survey.asked.insert(key, holders.len());
        }
        Ok(survey)
    }

    /// What is held at `connection`, or perhaps held.
    async fn holdings(&self, connection: &ConnectionName) -> Result<Holdings, ReconcileError> {
        let mut holdings = Holdings::default();
        let live = Scope::Live(connection);
        self.store.each_entry(live, |e| holdings.note(&e)).await?;
        Ok(holdings)
    }

    /// Writes down what is new and what is over.
    async fn note_drift(&self, survey: &Survey) -> Result<(), ReconcileError> {
        let asked = survey.asked.keys().cloned().collect();
        let changes = drift::changes(&self.store.drift(None).await?, &survey.found, &asked);
        let now = self.now();
        let new = changes.new.iter().map(|d| evidence::drifted(d, now));
        let over = changes.over.iter().map(|k| evidence::drift_over(k, now));
        let events: Vec<_> = new.chain(over).collect();
        if events.is_empty() {
            return Ok(());
        }
        for drift in &changes.new {
            error!(provider.connection = %drift.connection, account = %drift.account, difference = drift.difference.as_str(), "drift: {} at {} {}", drift.account, drift.connection, drift.difference.clause());
        }
        Ok(self.store.change_drift(&changes, now, &events).await?)
    }

    pub(super) async fn take_away(
        &self,
        watched: &Watched,
        known: &Known,
    ) -> Result<(), ReconcileError> {
        let (connection, drift) = (&watched.connection, &known.drift);
        let Some(provider) = self.providers.get(connection) else {
            return Ok(());
        };
        let access = access_of(watched, drift);
        // In its lane: a grant of the same access may just have begun, and then it is ours.
        let _turn = self.lane(connection).lock().await;
        let given = self.holdings(connection).await?;
        let mut given = given.of(&access.entitlement_text()).iter();
        if given.any(|h| h.account.eq_ignore_ascii_case(&access.account.name)) {
            return Ok(());
        }
        let called_at = self.now();
        let order = Order {
            reference: format!("drift/{}", hex::encode(Sha256::digest(drift.key()))),
            ends: known.first_seen,
        };
        match in_time(connection, provider.revoke(&access, &order)).await {
            Ok(answer) if answer.still_effective_through.is_empty() => {
                let now = self.now();
                let event = evidence::drift_removed(known, &answer, called_at, now);
                let over = Changes {
                    new: Vec::new(),
                    over: vec![known.clone()],
                };
                info!(provider.connection = %connection, account = %drift.account, read_back = %answer.read_back, "took away what {} had at {connection} and not from Hallpass", drift.account);
                Ok(self.store.change_drift(&over, now, &[event]).await?)
            }
            Ok(answer) => {
                let through = answer.still_effective_through.join(", ");
                error!(provider.connection = %connection, account = %drift.account, "{} still has it at {connection} through {through}", drift.account);
                Ok(())
            }
            Err(error) => {
                error!(provider.connection = %connection, account = %drift.account, error = %error, "cannot take away what {} has at {connection}: {}", drift.account, chain(&error));
                Ok(())
            }
        }
    }

    /// Keeps one issue for each resource that drifted, and closes those that are over. The forge is asked only where something
    /// changed.
    async fn tell_drift(&self) -> Result<(), ReconcileError> {
        let tip = self.mirror.tip(&self.settings.protected_branch).await?;
        let Some(tip) = tip else { return Ok(()) };
        let tree = self.catalogue(&tip).await?;
        let mut by_resource: BTreeMap<ResourceName, Vec<Known>> = BTreeMap::new();
        for known in self.store.drift(None).await? {
            for resource in known.drift.resources() {
                by_resource.entry(resource).or_default().push(known.clone());
            }
        }
        let mut results = Vec::new();
        for resource in tree.resources.keys() {
            let drifted = by_resource.remove(resource).unwrap_or_default();
            let issue = Issue {
                marker: format!("hallpass:drift:{resource}"),
                title: report::drift_title(resource),
                open: !drifted.is_empty(),
                body: report::drift(&self.settings.pages, &tree, resource, &drifted),
            };
            results.push(self.tell_issue(resource, &issue).await);
        }
        results.into_iter().collect()
    }

    async fn tell_issue(
        &self,
        resource: &ResourceName,
        issue: &Issue,
    ) -> Result<(), ReconcileError> {
        let name = format!("drift_issue:{resource}");
        let told = self.store.note(&name).await?;
        let (number, digest) = match told.as_deref().and_then(|t| t.split_once(' ')) {
            Some((number, digest)) => (number.parse().ok(), Some(digest)),
            None => (None, None),
        };
        let said = match issue.open {
            true => hex::encode(Sha256::digest(&issue.body)),
            false => "closed".to_owned(),
        };
        if digest == Some(said.as_str()) || (told.is_none() && !issue.open) {
            return Ok(());
        }
        let number = self.forge.tell_issue(issue, number).await?;
        let number = number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        Ok(self
            .store
            .set_note(&name, &format!("{number} {said}"))
            .await?)
    }
}

/// Who has `watched` by a live grant alone.
fn held_by_ledger(holding: &Holding) -> Option<Holder> {
    holding.is_active().then(|| Holder {
        name: holding.account.clone(),
        id: None,
        pending: false,
    })
}

/// What the account has at the target, which knows it by an id of its own.
fn access_of(watched: &Watched, drift: &Drift) -> Access {
    Access {
        connection: watched.connection.clone(),
        account: Account {
            name: drift.account.clone(),
            github_id: None,
            id: drift.account_id.clone(),
        },
        entitlement: watched.entitlement.clone(),
        entitlement_id: None,
    }
}
