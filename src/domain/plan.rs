//! What must be done so that the target systems match what was proved.
//!
//! Pure: same inputs, same plan. Invariants:
//!
//! - Performing a plan and planning again yields nothing.
//! - An end that is due by time is planned from the ledger and the clock alone.
//! - An entitlement is removed only when no live grant gives it any more.
//! - A removal that is only *inferred* from a file that is missing, or says something else that nobody approved, passes a brake; one
//!   that is due by time never does.
//! - What is held goes on while it is open whether a newer content of its file is approved, until its own end at the latest.
//! - What [`sieve`] leaves out changes no plan.

pub mod sieve;

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::decision::{Admission, Approved};
use super::ledger::{Cause, Entry, State};
use super::model::{BlobId, CommitId, GrantId, GrantPath, Instant, ResourceName};
use super::people::{Presence, Presences};

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What stands on the protected branch; `None` when it could not be read: nothing is inferred then, nothing is granted.
    pub main: Option<&'a BTreeMap<GrantPath, BlobId>>,
    /// What the forge says now about grants that are to be given. Absent: could not be established.
    pub admissions: &'a BTreeMap<GrantId, Admission>,
    /// Paths at which something newer arrived of which it is not known yet whether it is approved: see [`unsettled`].
    pub unsettled: &'a BTreeSet<GrantPath>,
    /// Who is not simply there any more. Believed only together with `main`.
    pub presences: &'a Presences,
    /// Inferred removals that two owners released, by the text of their ids: the brake does not hold these.
    pub released: &'a BTreeSet<String>,
    /// Whether so much is inferred, over all connections, that nothing of it is believed: see [`Missing`].
    pub emptied: bool,
    /// How long a service goes on without an accountable owner.
    pub orphan_grace: TimeDelta,
    /// The time.
    pub now: Instant,
}

/// The paths at which the content that stands on the protected branch has arrived, and it is open whether it is given: neither
/// approved nor denied yet, or approved for somebody of whom it is doubtful whether they are there.
///
/// Of all connections: which one an arrival belongs to is known only when it is approved.
pub fn unsettled(
    main: &BTreeMap<GrantPath, BlobId>,
    entries: &[Entry],
    admissions: &BTreeMap<GrantId, Admission>,
    presences: &Presences,
) -> BTreeSet<GrantPath> {
    let current = current_by_path(entries);
    let open = |entry: &&Entry| {
        let undecided = match admissions.get(&entry.id) {
            None | Some(Admission::Unknown(_)) => true,
            Some(Admission::Unapproved(_)) => false,
            // Its parts are about to become entries.
            Some(Admission::Bundle(_)) => true,
            Some(Admission::Approved(approved)) => {
                presences.get(&approved.receiver()) == Some(&Presence::Doubtful)
            }
        };
        undecided
            && entry.state == State::Arrived
            && !entry.superseded
            && current.get(&entry.path) == Some(&&entry.arrival.commit)
            && main.get(&entry.path) == Some(&entry.blob)
    };
    let open = entries.iter().filter(open);
    open.map(|entry| entry.path.clone()).collect()
}

/// What is held already, and goes on by a new grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The live grant at the same path that it takes over from; `None` where only other files give the same.
    pub id: Option<GrantId>,
    /// When the unbroken access began that goes on.
    pub since: Instant,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Record that there is no proof.
    Deny {
        /// Which.
        id: GrantId,
        /// What is missing.
        reasons: Vec<String>,
    },
    /// Record what is to begin later.
    Schedule {
        /// Which.
        id: GrantId,
        /// With this proof.
        approved: Box<Approved>,
    },
    /// Give it.
    Grant {
        /// Which.
        id: GrantId,
        /// With this proof.
        approved: Box<Approved>,
        /// What of the same was held already.
        replaces: Option<Renewed>,
    },
    /// Take it away.
    Revoke {
        /// Which.
        id: GrantId,
        /// Why.
        cause: Cause,
        /// Live grants that give the same: then only the ledger changes.
        retained_by: Vec<GrantId>,
    },
    /// End what was never given.
    Cancel {
        /// Which.
        id: GrantId,
        /// Why.
        cause: Cause,
    },
    /// Record that nobody answers for the service that holds it any more.
    Orphan {
        /// Which.
        id: GrantId,
    },
    /// Record that somebody answers for the service again.
    Adopt {
        /// Which.
        id: GrantId,
    },
}

impl Action {
    /// Which grant it is about.
    pub fn id(&self) -> &GrantId {
        match self {
            Self::Deny { id, .. }
            | Self::Schedule { id, .. }
            | Self::Grant { id, .. }
            | Self::Revoke { id, .. }
            | Self::Cancel { id, .. }
            | Self::Orphan { id }
            | Self::Adopt { id } => id,
        }
    }
}

/// What is to be done, in this order; and what is held back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Grants come before removals, so that a renewal leaves no gap.
    pub actions: Vec<Action>,
    /// Inferred removals that are too many to believe; empty when the brake is not pulled.
    pub held_back: Vec<GrantId>,
}

/// Plans one connection. `entries` are those of the ledger that are not final, and arrivals that belong to it: all of them, or those that
/// a [`sieve::Sieve`] picked. `held` counts all.
pub fn plan(view: &View<'_>, entries: &[Entry], held: &Held) -> Plan {
    let current = current_by_path(entries);
    let is_current = |entry: &Entry| current.get(&entry.path) == Some(&&entry.arrival.commit);
    let mut steps: Vec<(&Entry, Step<'_>)> = entries
        .iter()
        .filter_map(|entry| Some((entry, step(view, entry, is_current(entry))?)))
        .collect();
    let held_back = brake(view, held, &renewed(view, entries), &mut steps);
    let keeps = keepers(entries, &steps);
    let mut plan = Plan {
        actions: Vec::new(),
        held_back,
    };
    let (mut removals, mut rest) = (Vec::new(), Vec::new());
    for (entry, step) in steps {
        match step {
            Step::Deny(reasons) => rest.push(Action::Deny {
                id: entry.id.clone(),
                reasons: reasons.to_vec(),
            }),
            Step::Cancel(cause) => rest.push(Action::Cancel {
                id: entry.id.clone(),
                cause,
            }),
            Step::Orphan => rest.push(Action::Orphan {
                id: entry.id.clone(),
            }),
            Step::Adopt => rest.push(Action::Adopt {
                id: entry.id.clone(),
            }),
            Step::Schedule(approved) => rest.push(Action::Schedule {
                id: entry.id.clone(),
                approved: Box::new(approved.clone()),
            }),
            Step::Grant(approved) => plan.actions.push(Action::Grant {
                id: entry.id.clone(),
                approved: Box::new(approved.clone()),
                replaces: replaced_by(entries, entry, approved),
            }),
            Step::Revoke(cause) => {
                let key = entry.terms.as_ref().map(|t| t.access.key());
                let retained_by = key.and_then(|k| keeps.get(&k)).cloned().unwrap_or_default();
                removals.push(Action::Revoke {
                    id: entry.id.clone(),
                    cause,
                    retained_by,
                });
            }
        }
    }
    plan.actions.append(&mut removals);
    plan.actions.append(&mut rest);
    plan
}

enum Step<'a> {
    Deny(&'a [String]),
    Schedule(&'a Approved),
    Grant(&'a Approved),
    Revoke(Cause),
    Cancel(Cause),
    Orphan,
    Adopt,
}

/// The one match over the whole situation of one grant. `is_current`: no newer arrival at its path is there.
fn step<'a>(view: &View<'a>, entry: &Entry, is_current: bool) -> Option<Step<'a>> {
    let admission = view.main.and_then(|_| view.admissions.get(&entry.id));
    let presence = presence(view, entry, admission);
    let due = entry.wake_at.is_none_or(|at| at <= view.now);
    let stale = gone(view, entry, is_current);
    // A renewal must leave no gap, however long the forge takes to say that it is one. The same content again is none: that file
    // went, which ended the access, and came back.
    let renewed = || view.main.and_then(|main| main.get(&entry.path)) != Some(&entry.blob);
    let goes_on = matches!(entry.state, State::Granting | State::Active)
        && stale == Some(Cause::Replaced)
        && renewed()
        && view.unsettled.contains(&entry.path);
    let end = || {
        over(view, entry)
            .or_else(|| left(view, entry, presence, due))
            .or_else(|| stale.clone().filter(|_| !goes_on))
    };
    match (entry.state, admission) {
        (State::Denied | State::Ended, _) => None,
        (State::Revoking, _) => {
            due.then(|| Step::Revoke(entry.cause.clone().unwrap_or(Cause::Withdrawn)))
        }
        (State::Active, _) => end()
            .map(Step::Revoke)
            .or_else(|| answerable(view, entry, presence)),
        // Perhaps held: an end takes it away, a lost approval too; otherwise the call is repeated when its time has come.
        (State::Granting, Some(Admission::Unapproved(_))) => {
            // What is known of the approval does not wait for what is only inferred of the file.
            let inferred = |cause: &Cause| matches!(cause, Cause::Withdrawn | Cause::Replaced);
            let known = end().filter(|cause| !inferred(cause));
            Some(Step::Revoke(known.unwrap_or(Cause::ApprovalLost)))
        }
        (State::Granting, Some(Admission::Approved(approved))) => match end() {
            Some(cause) => Some(Step::Revoke(cause)),
            None => (due && presence.is_none() && stale.is_none()).then_some(Step::Grant(approved)),
        },
        (State::Granting, _) => end().map(Step::Revoke),
        (State::Arrived, Some(Admission::Unapproved(reasons))) => Some(match end() {
            Some(cause) => Step::Cancel(cause),
            None => Step::Deny(reasons),
        }),
        // It was proved once, so it is no merge without proof.
        (State::Scheduled, Some(Admission::Unapproved(_))) => {
            Some(Step::Cancel(end().unwrap_or(Cause::ApprovalLost)))
        }
        (State::Arrived | State::Scheduled, Some(Admission::Approved(approved))) => match end() {
            Some(cause) => Some(Step::Cancel(cause)),
            None if presence.is_some() => None,
            None => begin(view, entry, approved, due),
        },
        (State::Arrived | State::Scheduled, _) => end().map(Step::Cancel),
    }
}

fn begin<'a>(
    view: &View<'_>,
    entry: &Entry,
    approved: &'a Approved,
    due: bool,
) -> Option<Step<'a>> {
    let merged = entry.arrival.at;
    if approved.grant().end(merged) <= view.now {
        return Some(Step::Cancel(Cause::Expired));
    }
    if approved.grant().begin(merged) > view.now {
        return (entry.state == State::Arrived).then_some(Step::Schedule(approved));
    }
    due.then_some(Step::Grant(approved))
}

fn over(view: &View<'_>, entry: &Entry) -> Option<Cause> {
    let ends = entry.terms.as_ref()?.ends;
    let called_off = || entry.called_off.as_ref().map(|off| off.cause.clone());
    let expired = (ends <= view.now).then_some(Cause::Expired);
    expired.or_else(called_off)
}

/// What is known of who receives it; `None` when they are simply there, or when nothing can be believed.
fn presence(view: &View<'_>, entry: &Entry, admission: Option<&Admission>) -> Option<Presence> {
    view.main?;
    let receiver = entry.receiver().or_else(|| match admission {
        Some(Admission::Approved(approved)) => Some(approved.receiver()),
        _ => None,
    })?;
    view.presences.get(&receiver).copied()
}

/// Why nobody may hold it any more. What an orphaned service holds already has a grace time; it gets nothing more.
fn left(view: &View<'_>, entry: &Entry, presence: Option<Presence>, due: bool) -> Option<Cause> {
    match presence? {
        Presence::Gone => Some(Cause::SubjectGone),
        Presence::Doubtful => None,
        Presence::Orphaned => {
            let ends = match entry.state {
                State::Active => entry
                    .orphaned_since
                    .is_some_and(|since| since + view.orphan_grace <= view.now),
                State::Scheduled => due,
                _ => true,
            };
            ends.then_some(Cause::OwnerGone)
        }
    }
}

/// Keeps the time since when nobody answers for what a service holds.
fn answerable<'a>(view: &View<'_>, entry: &Entry, presence: Option<Presence>) -> Option<Step<'a>> {
    view.main?;
    match (presence, entry.orphaned_since) {
        (Some(Presence::Orphaned), None) => Some(Step::Orphan),
        (None, Some(_)) => Some(Step::Adopt),
        _ => None,
    }
}

/// Why an entry's file no longer speaks for it; `None` when it does, or when that cannot be known.
fn gone(view: &View<'_>, entry: &Entry, is_current: bool) -> Option<Cause> {
    match view.main?.get(&entry.path) {
        None => Some(Cause::Withdrawn),
        Some(blob) if *blob != entry.blob => Some(Cause::Replaced),
        // The same content went and came back: the newer arrival needs its own proof.
        Some(_) => (entry.superseded || !is_current).then_some(Cause::Replaced),
    }
}

/// The newest arrival at each path, which may be of several entries: the parts of a bundle.
fn current_by_path(entries: &[Entry]) -> BTreeMap<&GrantPath, &CommitId> {
    let mut newest: BTreeMap<&GrantPath, &Entry> = BTreeMap::new();
    for entry in entries {
        let slot = newest.entry(&entry.path).or_insert(entry);
        if (entry.arrival.order, entry.arrival.at) >= (slot.arrival.order, slot.arrival.at) {
            *slot = entry;
        }
    }
    newest
        .into_iter()
        .map(|(path, entry)| (path, &entry.arrival.commit))
        .collect()
}

/// Holds back removals that follow from what stands on the branch alone when they are too many to believe: see [`super::brake`]. They
/// are counted for each resource, for all of the connection, and for all connections (see [`Missing`]), as a tree that was emptied loses a
/// little everywhere. A file counts once, however many roles it bundles.
fn brake(
    view: &View<'_>,
    held: &Held,
    renewed: &BTreeSet<GrantPath>,
    steps: &mut Vec<(&Entry, Step<'_>)>,
) -> Vec<GrantId> {
    let inferred = |(entry, step): &(&Entry, Step<'_>)| is_inferred(view, renewed, entry, step);
    let going = Held::of(steps.iter().filter(|s| inferred(s)).map(|(e, _)| *e));
    let everywhere = view.emptied || super::brake::holds(going.all(), held.all());
    let holds = |step: &(&Entry, Step<'_>)| {
        let resource = step.0.path.resource();
        let here = || super::brake::holds(going.on(&resource), held.on(&resource));
        inferred(step) && (everywhere || here())
    };
    let (back, on): (Vec<_>, Vec<_>) = std::mem::take(steps).into_iter().partition(holds);
    *steps = on;
    back.iter().map(|(entry, _)| entry.id.clone()).collect()
}

/// Whether a step takes away what is held, or perhaps held, only because its file is missing or says something else that nobody
/// approved, and nobody released that.
fn is_inferred(
    view: &View<'_>,
    renewed: &BTreeSet<GrantPath>,
    entry: &Entry,
    step: &Step<'_>,
) -> bool {
    let only_inferred = match step {
        Step::Revoke(Cause::Withdrawn) => true,
        Step::Revoke(Cause::Replaced) => !renewed.contains(&entry.path),
        _ => false,
    };
    only_inferred
        && entry.state.may_be_held()
        && entry.state != State::Revoking
        && !view.released.contains(entry.id.as_str())
}

/// The paths at which what stands now was approved: what it takes over from goes by that approval.
fn renewed(view: &View<'_>, entries: &[Entry]) -> BTreeSet<GrantPath> {
    // What is perhaps given is weighed, too, though its file says something else by now.
    let earlier = entries.iter().filter(|e| !stands(view, e));
    let earlier: BTreeSet<&GrantId> = earlier.map(|e| &e.id).collect();
    let approved = view.admissions.iter();
    let approved = approved
        .filter(|(id, said)| matches!(said, Admission::Approved(_)) && !earlier.contains(id));
    let begun = entries.iter().filter(|e| is_begun(e) && stands(view, e));
    approved
        .filter_map(|(id, _)| id.path())
        .chain(begun.map(|e| e.path.clone()))
        .collect()
}

/// Whether the file of `entry` says now what it said when it came.
fn stands(view: &View<'_>, entry: &Entry) -> bool {
    view.main.and_then(|main| main.get(&entry.path)) == Some(&entry.blob)
}

/// Whether it was approved when it was begun, and is the newest at its path.
fn is_begun(entry: &Entry) -> bool {
    entry.state != State::Arrived && !entry.state.is_final() && !entry.superseded
}

/// What is inferred of all connections: a plan sees one of them, and each may have lost too little to be noticed.
#[derive(Debug)]
pub struct Missing<'a> {
    view: View<'a>,
    renewed: BTreeSet<GrantPath>,
    /// The paths at which what stands now was begun, so that what stood there before goes by its approval.
    begun: BTreeSet<GrantPath>,
    held: Held,
    going: Held,
    /// What said something else before, by the commits that brought it.
    replaced: BTreeMap<GrantPath, BTreeSet<CommitId>>,
}

impl<'a> Missing<'a> {
    /// By what a plan is made by, too.
    pub fn by(view: View<'a>) -> Self {
        Self {
            renewed: renewed(&view, &[]),
            view,
            begun: BTreeSet::new(),
            held: Held::default(),
            going: Held::default(),
            replaced: BTreeMap::new(),
        }
    }

    /// Counts one entry, of whatever connection, that is not final.
    pub fn count(&mut self, entry: &Entry) {
        self.held.count(entry);
        if stands(&self.view, entry) && is_begun(entry) {
            self.begun.insert(entry.path.clone());
        }
        match step(&self.view, entry, true) {
            Some(step) if !is_inferred(&self.view, &self.renewed, entry, &step) => {}
            Some(Step::Revoke(Cause::Replaced)) => {
                let commits = self.replaced.entry(entry.path.clone()).or_default();
                commits.insert(entry.arrival.commit.clone());
            }
            Some(_) => self.going.count(entry),
            None => {}
        }
    }

    /// Whether so much is inferred that nothing of it is believed.
    pub fn is_too_much(&self) -> bool {
        let replaced = self.replaced.iter();
        let replaced = replaced.filter(|(path, _)| !self.begun.contains(*path));
        let replaced: usize = replaced.map(|(_, commits)| commits.len()).sum();
        super::brake::holds(self.going.all() + replaced, self.held.all())
    }
}

/// How many files brought what is held, or perhaps held, on each resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    files: BTreeMap<ResourceName, usize>,
    /// Files of which several entries tell.
    bundles: BTreeSet<(GrantPath, CommitId)>,
}

impl Held {
    /// Of these entries.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut held = Self::default();
        for entry in entries {
            held.count(entry);
        }
        held
    }

    fn count(&mut self, entry: &Entry) {
        let mut is_new = || {
            let file = (entry.path.clone(), entry.arrival.commit.clone());
            entry.part.is_none() || self.bundles.insert(file)
        };
        if entry.state.may_be_held() && is_new() {
            *self.files.entry(entry.path.resource()).or_default() += 1;
        }
    }

    fn all(&self) -> usize {
        self.files.values().sum()
    }

    fn on(&self, resource: &ResourceName) -> usize {
        self.files.get(resource).copied().unwrap_or(0)
    }
}

/// For each access: the grants that hold it after this plan.
fn keepers(entries: &[Entry], steps: &[(&Entry, Step<'_>)]) -> BTreeMap<String, Vec<GrantId>> {
    let mut keeps: BTreeMap<String, Vec<GrantId>> = BTreeMap::new();
    let leaving: BTreeSet<&GrantId> = steps
        .iter()
        .filter(|(_, s)| matches!(s, Step::Revoke(_)))
        .map(|(entry, _)| &entry.id)
        .collect();
    let staying = entries
        .iter()
        .filter(|e| matches!(e.state, State::Granting | State::Active) && !leaving.contains(&e.id));
    for (entry, terms) in staying.filter_map(|e| e.terms.as_ref().map(|t| (e, t))) {
        keeps
            .entry(terms.access.key())
            .or_default()
            .push(entry.id.clone());
    }
    for (entry, step) in steps {
        if let (Step::Grant(approved), State::Arrived | State::Scheduled) = (step, entry.state) {
            keeps
                .entry(approved.access().key())
                .or_default()
                .push(entry.id.clone());
        }
    }
    keeps
}

/// What the subject holds of the same role or the same access, by whatever file: this one goes on with it.
fn replaced_by(entries: &[Entry], entry: &Entry, approved: &Approved) -> Option<Renewed> {
    let (subject, role, key) = (
        &approved.grant().subject,
        approved.role(),
        approved.access().key(),
    );
    let same = |other: &&Entry| {
        let terms = other.terms.as_ref().filter(|t| t.subject == *subject);
        other.id != entry.id
            && other.state.may_be_held()
            && terms.is_some_and(|t| t.role == *role || t.access.key() == key)
    };
    let held = || entries.iter().filter(same);
    let here = held().filter(|other| other.path == entry.path);
    let newest = here.max_by_key(|other| other.arrival.order);
    let since = held().filter_map(|other| Some(other.terms.as_ref()?.since()));
    Some(Renewed {
        id: newest.map(|other| other.id.clone()),
        since: since.min()?,
    })
}
