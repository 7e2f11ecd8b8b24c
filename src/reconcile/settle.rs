//! Plans and acts, each connection in its own lane: what a look at the protected branch found against the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tracing::error;

use super::grants::{Weighed, waits_for_proof};
use super::{ReconcileError, Reconciler};
use crate::domain::decision::Admission;
use crate::domain::ledger::{Entry, State};
use crate::domain::model::{BlobId, CommitId, ConnectionName, GrantId, GrantPath, Instant};
use crate::domain::people::Presences;
use crate::domain::plan::{self, Action, Plan, View};
use crate::store::Scope;

/// How long one connection's pass may keep the look at the protected branch waiting: longer than a single call may take.
const PASS: Duration = Duration::from_secs(90);

/// What one look at the protected branch found: the same for every connection's pass.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub main: BTreeMap<GrantPath, BlobId>,
    pub weighed: BTreeMap<GrantId, Weighed>,
    pub admissions: BTreeMap<GrantId, Admission>,
    pub unsettled: BTreeSet<GrantPath>,
    /// What landed and is not decided yet. Nobody but the pass that it goes to touches it until the next look.
    pub arrived: Vec<Entry>,
    pub presences: Presences,
}

impl Reconciler {
    /// Adds to what stands on the branch and what was weighed who is still there, and what is still open.
    pub(super) async fn look(
        &self,
        tip: &CommitId,
        main: BTreeMap<GrantPath, BlobId>,
        weighed: BTreeMap<GrantId, Weighed>,
    ) -> Result<Look, ReconcileError> {
        let admissions: BTreeMap<GrantId, Admission> = weighed
            .iter()
            .map(|(id, w)| (id.clone(), w.admission.clone()))
            .collect();
        let presences = self.presences(tip, &admissions).await?;
        let mut waiting = self.store.entries(Scope::Waiting).await?;
        let unsettled = plan::unsettled(&main, &waiting, &admissions, &presences);
        waiting.retain(|e| e.state == State::Arrived);
        Ok(Look {
            arrived: waiting,
            main,
            weighed,
            admissions,
            unsettled,
            presences,
        })
    }

    /// Plans and acts on every connection that has something to do, each in its own lane.
    pub(super) async fn settle_all(&self, look: &Look) -> Result<(), ReconcileError> {
        let mut connections = self.store.live_connections().await?;
        connections.extend(look.admissions.values().filter_map(|a| match a {
            Admission::Approved(approved) => Some(approved.access().connection.clone()),
            _ => None,
        }));
        let passes = connections
            .iter()
            .map(|connection| self.settle_in_time(connection, look));
        let mut results = join_all(passes).await;
        results.push(self.settle_unconnected(look).await);
        results.into_iter().collect()
    }

    /// [`Reconciler::settle`], left where it is when a slow target would hold up the others: as after a crash, the next pass goes
    /// on from the ledger.
    async fn settle_in_time(
        &self,
        connection: &ConnectionName,
        look: &Look,
    ) -> Result<(), ReconcileError> {
        match tokio::time::timeout(PASS, self.settle(connection, look)).await {
            Ok(result) => result,
            Err(_) => Err(ReconcileError::Unsettled(format!(
                "{connection} is slow: what was not done within {} s waits for the next pass",
                PASS.as_secs()
            ))),
        }
    }

    /// One connection's pass: plan, then act. Within its lane, so that order is kept for each entitlement.
    async fn settle(&self, connection: &ConnectionName, look: &Look) -> Result<(), ReconcileError> {
        let _turn = self.lane(connection).lock().await;
        let now = self.now();
        let mut entries = self.store.entries(Scope::Live(connection)).await?;
        let arrived = look.arrived.iter();
        let ours = arrived.filter(|e| goes_to(look.admissions.get(&e.id), connection));
        entries.extend(ours.cloned());
        self.plan_and_act(entries, Some(look), now).await
    }

    /// Arrivals that no connection will be asked for: denials, and files that went before they were weighed.
    async fn settle_unconnected(&self, look: &Look) -> Result<(), ReconcileError> {
        let approved =
            |e: &&Entry| matches!(look.admissions.get(&e.id), Some(Admission::Approved(_)));
        let arrived = look.arrived.iter().filter(|e| !approved(e));
        let entries = arrived.cloned().collect();
        self.plan_and_act(entries, Some(look), self.now()).await
    }

    /// Plans for `entries` and carries it out. Without a look only what is due by time is done.
    pub(super) async fn plan_and_act(
        &self,
        mut entries: Vec<Entry>,
        look: Option<&Look>,
        now: Instant,
    ) -> Result<(), ReconcileError> {
        let nothing = Look::default();
        let known = look.unwrap_or(&nothing);
        for entry in &mut entries {
            // The forge's word on when and by which pull request it merged, where it gave one.
            if let (State::Arrived, Some(merge)) = (
                entry.state,
                known.weighed.get(&entry.id).and_then(|w| w.merge.as_ref()),
            ) {
                entry.arrival.pull = Some(merge.pull);
                entry.arrival.at = merge.at;
            }
        }
        let plan = plan::plan(&View {
            main: look.map(|look| &look.main),
            admissions: &known.admissions,
            unsettled: &known.unsettled,
            presences: &known.presences,
            entries: &entries,
            orphan_grace: self.settings.orphan_grace,
            now,
        });
        if !plan.held_back.is_empty() {
            error!(
                count = plan.held_back.len(),
                "{} live grants lost their files at once: held back until a person has looked; what is due by time still ends",
                plan.held_back.len()
            );
        }
        // Only a pass that could ask for proofs may put off what waits for one.
        let waiting = match look {
            Some(_) => waiting(&plan, &entries, now),
            None => Vec::new(),
        };
        self.act(plan, entries, &known.weighed).await?;
        self.put_off(waiting, now).await
    }
}

/// Entries whose time has come but whose proof could not be had.
fn waiting(plan: &Plan, entries: &[Entry], now: Instant) -> Vec<Entry> {
    let planned: BTreeSet<&GrantId> = plan.actions.iter().map(Action::id).collect();
    entries
        .iter()
        .filter(|e| waits_for_proof(e, now) && !planned.contains(&e.id))
        .cloned()
        .collect()
}

fn goes_to(admission: Option<&Admission>, connection: &ConnectionName) -> bool {
    matches!(admission, Some(Admission::Approved(approved)) if approved.access().connection == *connection)
}
