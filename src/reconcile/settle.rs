//! Plans and acts, each connection in its own lane: what a look at the protected branch found against the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use tracing::warn;

use super::grants::{Weighed, waits_for_proof};
use super::{ReconcileError, Reconciler, chain};
use crate::domain::decision::Admission;
use crate::domain::ledger::{Entry, State};
use crate::domain::model::{
    BlobId, CommitId, ConnectionName, GrantId, GrantPath, Instant, ResourceName,
};
use crate::domain::people::Presences;
use crate::domain::plan::sieve::Sieve;
use crate::domain::plan::{self, Action, Held, Missing, Plan, View};
use crate::domain::release::{Brake, Found, Inferred, Whose};
use crate::store::Scope;

/// How long one connection's pass may keep the look at the protected branch waiting: longer than a single call may take.
const PASS: Duration = Duration::from_secs(90);

/// What one look at the protected branch found: the same for every connection's pass.
#[derive(Debug, Default)]
pub struct Look {
    pub(super) tip: Option<CommitId>,
    pub(super) main: BTreeMap<GrantPath, BlobId>,
    pub(super) weighed: BTreeMap<GrantId, Weighed>,
    pub(super) admissions: BTreeMap<GrantId, Admission>,
    pub(super) unsettled: BTreeSet<GrantPath>,
    /// What landed and is not decided yet.
    pub(super) arrived: Vec<Entry>,
    pub(super) presences: Presences,
    /// The brakes that hold something, or held it and are not done with it.
    pub(super) brakes: Vec<Brake>,
    /// What two owners released.
    pub(super) released: BTreeSet<String>,
    /// Whether so much is inferred that nothing of it is believed.
    pub(super) emptied: bool,
}

/// What is known where nobody looked.
static NOTHING: LazyLock<Look> = LazyLock::new(Look::default);

/// Whose entries a plan is made for.
pub(super) struct Lane<'a> {
    /// The connection; `None` for arrivals that no connection will be asked for.
    pub connection: Option<&'a ConnectionName>,
    /// The entries, or those of them about which something is to be done, perhaps.
    pub entries: Vec<Entry>,
    /// What is held of all.
    pub held: Held,
    /// What the protected branch says; `None`: only what is due by time is done.
    pub look: Option<&'a Look>,
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
        let brakes = self.brakes().await?;
        let released = brakes.iter().flat_map(|b| b.released.iter().cloned());
        let mut look = Look {
            tip: Some(tip.clone()),
            released: released.collect(),
            brakes,
            main,
            weighed,
            admissions,
            ..Look::default()
        };
        let mut waiting = self.store.entries(Scope::Waiting).await?;
        // What is open is not missing. Of whom it is doubtful whether they are there is found below.
        look.unsettled = plan::unsettled(&look.main, &waiting, &look.admissions, &look.presences);
        let mut receivers = BTreeSet::new();
        let mut missing = Missing::by(self.view(Some(&look), self.now()));
        let note = |entry: Entry| {
            missing.count(&entry);
            receivers.extend(entry.receiver());
        };
        self.store.each_entry(Scope::Unfinished, note).await?;
        look.emptied = missing.is_too_much();
        look.presences = self.presences(tip, receivers, &look.admissions).await?;
        // What another server has recorded meanwhile is not gone because this look has not seen it.
        self.is_not_behind(tip).await?;
        look.unsettled = plan::unsettled(&look.main, &waiting, &look.admissions, &look.presences);
        waiting.retain(|e| e.state == State::Arrived);
        look.arrived = waiting;
        Ok(look)
    }

    /// The connections that have something to do, perhaps.
    pub(super) async fn concerned(
        &self,
        look: &Look,
    ) -> Result<BTreeSet<ConnectionName>, ReconcileError> {
        let mut connections = self.store.live_connections().await?;
        connections.extend(look.admissions.values().filter_map(|a| match a {
            Admission::Approved(approved) => Some(approved.access().connection.clone()),
            _ => None,
        }));
        Ok(connections)
    }

    /// One connection's pass: plan, then act. Within its lane, so that order is kept for each entitlement. What takes too long is
    /// left where it is: as after a crash, the next pass goes on from the ledger.
    ///
    /// # Errors
    /// When the database fails, somebody else wrote an entry first, or the target is slow: look at the branch again.
    pub async fn settle(
        &self,
        connection: &ConnectionName,
        look: &Look,
    ) -> Result<(), ReconcileError> {
        match tokio::time::timeout(PASS, self.settle_in_turn(connection, look)).await {
            Ok(result) => result,
            Err(_) => Err(ReconcileError::Unsettled(format!(
                "{connection} is slow: what was not done within {} s waits for the next pass",
                PASS.as_secs()
            ))),
        }
    }

    async fn settle_in_turn(
        &self,
        connection: &ConnectionName,
        look: &Look,
    ) -> Result<(), ReconcileError> {
        let _turn = self.lane(connection).lock().await;
        let now = self.now();
        let mut sieve = Sieve::new(self.view(Some(look), now));
        let live = Scope::Live(connection);
        self.store.each_entry(live, |e| sieve.take(e)).await?;
        for entry in self.arrived_for(connection, look).await? {
            sieve.take(entry);
        }
        // Once more where what rested is called off meanwhile.
        let mut is_open = true;
        while std::mem::take(&mut is_open) {
            let related = sieve.related();
            let meet = |entry: Entry| is_open |= sieve.meet(entry);
            self.store.each_related(connection, &related, meet).await?;
        }
        // What came after this look would seem to be gone by it.
        if let Some(tip) = &look.tip {
            self.is_not_behind(tip).await?;
        }
        let (entries, held) = sieve.seen();
        let lane = Lane {
            connection: Some(connection),
            entries,
            held,
            look: Some(look),
        };
        self.plan_and_act(lane, now).await
    }

    /// What a plan is made by.
    fn view<'a>(&self, look: Option<&'a Look>, now: Instant) -> View<'a> {
        let known = look.unwrap_or(&NOTHING);
        View {
            main: look.map(|look| &look.main),
            admissions: &known.admissions,
            unsettled: &known.unsettled,
            presences: &known.presences,
            released: &known.released,
            emptied: known.emptied,
            orphan_grace: self.settings.orphan_grace,
            now,
        }
    }

    /// What landed for this connection and is still not decided: an earlier pass may have been at it since the look.
    async fn arrived_for(
        &self,
        connection: &ConnectionName,
        look: &Look,
    ) -> Result<Vec<Entry>, ReconcileError> {
        let goes_here = |e: &&Entry| goes_to(look.admissions.get(&e.id), connection);
        let ours = || look.arrived.iter().filter(goes_here);
        let ids: BTreeSet<&GrantId> = ours().map(|e| &e.id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let paths = ours().map(|e| e.path.clone()).collect();
        let mut now = self.store.entries_at(&paths).await?;
        now.retain(|e| e.state == State::Arrived && ids.contains(&e.id));
        Ok(now)
    }

    /// Arrivals that no connection will be asked for: denials, and files that went before they were weighed.
    pub(super) async fn settle_unconnected(&self, look: &Look) -> Result<(), ReconcileError> {
        let approved =
            |e: &&Entry| matches!(look.admissions.get(&e.id), Some(Admission::Approved(_)));
        let arrived = look.arrived.iter().filter(|e| !approved(e));
        let lane = Lane {
            connection: None,
            entries: arrived.cloned().collect(),
            held: Held::default(),
            look: Some(look),
        };
        self.plan_and_act(lane, self.now()).await
    }

    /// Plans for a lane's entries and carries it out.
    pub(super) async fn plan_and_act(
        &self,
        lane: Lane<'_>,
        now: Instant,
    ) -> Result<(), ReconcileError> {
        let Lane {
            connection,
            mut entries,
            held,
            look,
        } = lane;
        match (look, self.set_right().await) {
            // What is due ends whatever stands in the way of setting other things right.
            (None, Err(error)) => {
                warn!(error = %error, "cannot set right yet what came late: {}", chain(&error));
            }
            (_, done) => done?,
        }
        let weighed = &look.unwrap_or(&NOTHING).weighed;
        for entry in &mut entries {
            // The forge's word on when and by which pull request it merged, where it gave one.
            if let (State::Arrived, Some(merge)) = (
                entry.state,
                weighed.get(&entry.id).and_then(|w| w.merge.as_ref()),
            ) {
                entry.arrival.pull = Some(merge.pull);
                entry.arrival.at = merge.at;
            }
        }
        let plan = plan::plan(&self.view(look, now), &entries, &held);
        if let (Some(connection), Some(look)) = (connection, look) {
            self.follow_withdrawn(connection, look, &plan).await?;
        }
        // Only a pass that could ask for proofs may put off what waits for one.
        let waiting = match look {
            Some(_) => waiting(&plan, &entries, now),
            None => Vec::new(),
        };
        self.act(plan, entries, weighed).await?;
        self.put_off(waiting, now).await
    }

    /// Brings the brakes of one connection in line with its plan.
    async fn follow_withdrawn(
        &self,
        connection: &ConnectionName,
        look: &Look,
        plan: &Plan,
    ) -> Result<(), ReconcileError> {
        let Some(base) = &look.tip else {
            return Ok(());
        };
        let known = look.brakes.iter().filter_map(|b| b.hold.as_ref());
        let known = known.map(|hold| &hold.whose);
        let here = known.filter(|w| {
            w.inferred == Inferred::Withdrawn && w.connection.as_ref() == Some(connection)
        });
        let here = here.filter_map(|whose| whose.resource.clone());
        let now_held = plan.held_back.iter().filter_map(GrantId::path);
        // What was released has no hold any more; its grants tell of which resources they are.
        let released = look.released.iter();
        let released = released.filter_map(|id| GrantId::new(id).ok()?.path());
        let resources: BTreeSet<ResourceName> = now_held
            .chain(released)
            .map(|path| path.resource())
            .chain(here)
            .collect();
        if resources.is_empty() {
            return Ok(());
        }
        let mut concerned = self.held_on(connection, &resources).await?;
        for resource in resources {
            let here = |id: &&GrantId| id.path().is_some_and(|p| p.resource() == resource);
            let held = plan.held_back.iter().filter(here);
            let held: BTreeSet<String> = held.map(ToString::to_string).collect();
            let mut inferred = concerned.remove(&resource).unwrap_or_default();
            inferred.extend(held.iter().cloned());
            let found = Found {
                whose: &Whose::withdrawn(connection, resource),
                held,
                inferred,
                base,
                now: self.now(),
            };
            self.follow(&found).await?;
        }
        Ok(())
    }

    /// The grants that are held, or perhaps held, on each of `resources`: all that the going of their files could concern.
    async fn held_on(
        &self,
        connection: &ConnectionName,
        resources: &BTreeSet<ResourceName>,
    ) -> Result<BTreeMap<ResourceName, BTreeSet<String>>, ReconcileError> {
        let mut held: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let note = |entry: Entry| {
            let resource = entry.path.resource();
            if entry.state.may_be_held() && resources.contains(&resource) {
                let ids = held.entry(resource).or_default();
                ids.insert(entry.id.to_string());
            }
        };
        let live = Scope::Live(connection);
        self.store.each_entry(live, note).await?;
        Ok(held)
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
