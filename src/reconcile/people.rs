//! Who is still there: the organisation's members as last read, and what the protected branch says about people.
//!
//! The list of members is read once in a while, not for every request; a webhook that says that somebody came or went makes the
//! next look read it again. A list that cannot be read ends nothing and admits nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use tracing::{error, info, warn};

use super::{ReconcileError, Reconciler, chain};
use crate::domain::catalogue::Catalogue;
use crate::domain::decision::Admission;
use crate::domain::evidence;
use crate::domain::ledger::Entry;
use crate::domain::model::{CommitId, GrantId, Instant, Login, Subject, UserId};
use crate::domain::parse;
use crate::domain::people::{Members, Outsiders, Presence, Presences, Receiver, Register};
use crate::domain::pull::Lookup;
use crate::domain::release::{Found, Whose};

/// How long the forge is left alone after it could not list the members.
const LIST_AGAIN: TimeDelta = TimeDelta::seconds(10);

/// The members as read at one moment.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    at: Instant,
    members: Lookup<Arc<Members>>,
    /// Whether somebody who was missing has been looked for a second time.
    twice: bool,
}

impl Reading {
    fn is_over(&self, now: Instant, kept_for: TimeDelta) -> bool {
        let kept_for = match self.members {
            Lookup::Failed(_) => LIST_AGAIN,
            Lookup::Found(_) | Lookup::Absent => kept_for,
        };
        self.at + kept_for <= now
    }
}

impl Reconciler {
    /// Makes the next look read the list of members again: somebody may have come or gone.
    pub async fn forget_members(&self) {
        *self.members.lock().await = None;
    }

    /// The organisation's members, at most as old as the settings say; `wanted` are those on whom something depends.
    ///
    /// A list has pages, and pages shift while they are read. So whoever is missing is looked for in a second list before
    /// anybody believes it.
    pub(super) async fn members(&self, wanted: &BTreeSet<UserId>) -> Lookup<Arc<Members>> {
        let mut kept = self.members.lock().await;
        let now = self.now();
        let fresh = kept
            .take()
            .filter(|r| !r.is_over(now, self.settings.members_for));
        let mut reading = match fresh {
            Some(reading) => reading,
            None => Reading {
                at: now,
                members: self.list_members().await,
                twice: false,
            },
        };
        if let Lookup::Found(first) = &reading.members
            && !reading.twice
            && wanted.iter().any(|id| !first.contains(*id))
        {
            reading.twice = true;
            reading.members = match self.list_members().await {
                Lookup::Found(second) => Lookup::Found(Arc::new(first.joined(&second))),
                doubt => doubt,
            };
        }
        let members = reading.members.clone();
        *kept = Some(reading);
        members
    }

    async fn list_members(&self) -> Lookup<Arc<Members>> {
        match self.forge.members().await {
            Ok(Some(members)) => {
                let members: Members = members.into_iter().collect();
                if members.is_empty() {
                    // There is always an owner: an empty list is a list that we were not shown.
                    return Lookup::Failed(
                        "the forge lists no members of the organisation".to_owned(),
                    );
                }
                Lookup::Found(Arc::new(members))
            }
            Ok(None) => Lookup::Absent,
            Err(failure) => {
                let why = chain(&failure);
                warn!(error = %why, "cannot list the members of the organisation; nobody is taken for gone: {why}");
                Lookup::Failed(format!("members of the organisation: {failure}"))
            }
        }
    }

    /// The members, where a request depends on them: `None` when nobody has to be one.
    pub(super) async fn members_asked(
        &self,
        base: &Catalogue,
        subjects: &BTreeSet<Subject>,
    ) -> Option<Lookup<Arc<Members>>> {
        if self.settings.outsiders == Outsiders::Allowed || subjects.is_empty() {
            return None;
        }
        let numbers = subjects.iter().filter_map(|subject| {
            let login = match subject {
                Subject::Person(login) => login,
                Subject::Service(name) => &base.services.get(name)?.owner,
            };
            Some(base.people.get(login)?.github_id)
        });
        Some(self.members(&numbers.collect()).await)
    }

    /// Who of those that hold something, or are about to, is not simply there.
    pub(super) async fn presences(
        &self,
        tip: &CommitId,
        mut receivers: BTreeSet<Receiver>,
        admissions: &BTreeMap<GrantId, Admission>,
    ) -> Result<Presences, ReconcileError> {
        receivers.extend(admissions.values().filter_map(|a| match a {
            Admission::Approved(approved) => Some(approved.receiver()),
            _ => None,
        }));
        if receivers.is_empty() {
            return Ok(Presences::new());
        }
        // Not the whole tree: a merge is not to wait until a hundred thousand grants are read again.
        let Some(files) = self.mirror.subjects(tip).await? else {
            error!(tip = %tip, "access/people or access/services cannot be relied on at {}: nobody is taken for gone, and nothing is granted", tip.short());
            let doubtful = |receiver| (receiver, Presence::Doubtful);
            return Ok(receivers.into_iter().map(doubtful).collect());
        };
        let tree = parse::read_tree(&files);
        let outsiders = self.settings.outsiders;
        let brake = self.brake(&Whose::LEAVERS).await?;
        let register = Register {
            tree: &tree,
            members: &Lookup::Absent,
            outsiders,
            released: &brake.released,
        };
        let members = self.members(&register.numbers(&receivers)).await;
        let register = Register {
            members: &members,
            ..register
        };
        let attendance = register.attendance(&receivers);
        let names = |people: &BTreeSet<Login>| people.iter().map(ToString::to_string).collect();
        self.follow(&Found {
            whose: &Whose::LEAVERS,
            held: names(&attendance.held_back),
            inferred: names(&attendance.leavers),
            base: tip,
            now: self.now(),
        })
        .await?;
        if !attendance.held_back.is_empty() {
            let count = attendance.held_back.len();
            error!(
                count,
                "{count} people with access are gone at once: held back until a person has looked; they get nothing new, and what is due by time still ends"
            );
        }
        Ok(attendance.presences)
    }

    /// Writes down that nobody answers for a service any more.
    pub(super) async fn orphan(&self, mut entry: Entry) -> Result<(), ReconcileError> {
        let now = self.now();
        let ends = now + self.settings.orphan_grace;
        entry.orphaned_since = Some(now);
        error!(grant.id = %entry.id, ends = %ends, "nobody is accountable for the service that holds `{}`: it ends at {} unless somebody is by then", entry.id, evidence::instant(ends));
        let event = evidence::orphaned(&entry, ends, now);
        self.write(entry, &[event]).await.map(drop)
    }

    /// Writes down that somebody answers for a service again.
    pub(super) async fn adopt(&self, mut entry: Entry) -> Result<(), ReconcileError> {
        let now = self.now();
        entry.orphaned_since = None;
        info!(grant.id = %entry.id, "somebody is accountable again for the service that holds `{}`", entry.id);
        let event = evidence::adopted(&entry, now);
        self.write(entry, &[event]).await.map(drop)
    }
}
