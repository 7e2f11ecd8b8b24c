//! Carries out a plan: begin, call, read back, settle.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::OptionFuture;
use futures_util::stream::{self, StreamExt};
use tokio::sync::Semaphore;
use tracing::{error, info, warn};

use super::grants::Weighed;
use super::{ReconcileError, Reconciler, chain};
use crate::domain::decision::{Admission, Approved};
use crate::domain::emergency::{Emergency, Review};
use crate::domain::evidence::{self, Giving, Removal};
use crate::domain::late::Late;
use crate::domain::ledger::{Cause, Entry, Granted, Holder, Revoked, State, Terms, Wanted};
use crate::domain::model::{Access, ConnectionName, GrantId, Instant, RoleRef};
use crate::domain::parse;
use crate::domain::plan::{Action, Plan, Renewed};
use crate::domain::target::Order;
use crate::providers::ProviderError;
use crate::store::Scope;

/// Grants of one connection that are worked on at the same time, for different entitlements. More than may be called for at once, so that
/// the calls go on while others of them wait for the ledger.
const PARALLEL: usize = 64;

/// Calls that may be under way at one connection at the same time.
pub(super) const CALLS: usize = 16;

/// How long one call may take. Each kind of target has shorter limits of its own; this is for one that forgot.
const CALL: Duration = Duration::from_secs(60);

impl Reconciler {
    /// Carries out `plan`. Actions on the same access keep their order; others run side by side.
    pub(super) async fn act(
        &self,
        plan: Plan,
        entries: Vec<Entry>,
        weighed: &BTreeMap<GrantId, Weighed>,
    ) -> Result<(), ReconcileError> {
        let mut by_id: BTreeMap<GrantId, Entry> =
            entries.into_iter().map(|e| (e.id.clone(), e)).collect();
        let mut lanes: BTreeMap<String, Vec<(Action, Entry)>> = BTreeMap::new();
        for action in plan.actions {
            let Some(entry) = by_id.remove(action.id()) else {
                continue;
            };
            lanes
                .entry(access_key(&action, &entry))
                .or_default()
                .push((action, entry));
        }
        let work = lanes
            .into_values()
            .map(|lane| self.act_in_order(lane, weighed));
        let results: Vec<Result<(), ReconcileError>> = stream::iter(work)
            .buffer_unordered(self.at_once(PARALLEL))
            .collect()
            .await;
        results.into_iter().collect()
    }

    async fn act_in_order(
        &self,
        lane: Vec<(Action, Entry)>,
        weighed: &BTreeMap<GrantId, Weighed>,
    ) -> Result<(), ReconcileError> {
        // Grants of this pass that did not come as far as a durable intent: nothing may lean on them.
        let mut not_begun = BTreeSet::new();
        for (action, entry) in lane {
            let id = entry.id.clone();
            match action {
                Action::Deny { reasons, .. } => self.deny(entry, &reasons, weighed).await?,
                Action::Schedule { approved, .. } => self.schedule(entry, &approved).await?,
                Action::Cancel { cause, .. } => self.cancel(entry, cause, weighed).await?,
                Action::Orphan { .. } => self.orphan(entry).await?,
                Action::Adopt { .. } => self.adopt(entry).await?,
                Action::Grant {
                    approved, replaces, ..
                } => {
                    if !self.grant(entry, &approved, replaces.as_ref()).await? {
                        not_begun.insert(id);
                    }
                }
                Action::Revoke {
                    cause, retained_by, ..
                } => {
                    if retained_by.iter().any(|keeper| not_begun.contains(keeper)) {
                        continue;
                    }
                    self.revoke(entry, cause, &retained_by).await?;
                }
            }
        }
        Ok(())
    }

    async fn deny(
        &self,
        mut entry: Entry,
        reasons: &[String],
        weighed: &BTreeMap<GrantId, Weighed>,
    ) -> Result<(), ReconcileError> {
        let now = self.now();
        let merged_by = weighed
            .get(&entry.id)
            .and_then(|w| w.merge.as_ref())
            .and_then(|m| m.by.as_ref());
        entry.asked = self.asked(&entry).await?;
        let event = evidence::merged_without_proof(&entry, reasons, merged_by, now);
        entry.settle(State::Denied, now);
        self.store.commit(&[entry.clone()], &[event]).await?;
        self.metrics.unproved();
        error!(grant.id = %entry.id, reasons = %reasons.join("; "), "`{}` was merged without proof and is not granted", entry.id);
        Ok(())
    }

    /// What the file of an entry without terms asked for; `None` where that cannot be read.
    async fn asked(&self, entry: &Entry) -> Result<Option<Wanted>, ReconcileError> {
        let found = self
            .mirror
            .grant_file(&entry.arrival.commit, &entry.path)
            .await?;
        let asked = parse::read_tree(found.as_slice());
        Ok(asked.grants.get(&entry.path).map(|declared| Wanted {
            subject: declared.grant.subject.clone(),
            role: entry.part.clone().unwrap_or_else(|| RoleRef {
                resource: entry.path.resource(),
                role: declared.grant.role.clone(),
            }),
        }))
    }

    async fn schedule(&self, mut entry: Entry, approved: &Approved) -> Result<(), ReconcileError> {
        let terms = terms(&entry, approved);
        info!(grant.id = %entry.id, starts = %terms.starts, "`{}` is approved and begins at {}", entry.id, evidence::instant(terms.starts));
        entry.wake_at = Some(terms.starts);
        entry.terms = Some(terms);
        entry.state = State::Scheduled;
        Ok(self.store.commit(&[entry], &[]).await?)
    }

    async fn cancel(
        &self,
        mut entry: Entry,
        cause: Cause,
        weighed: &BTreeMap<GrantId, Weighed>,
    ) -> Result<(), ReconcileError> {
        let now = self.now();
        let missing = match weighed.get(&entry.id).map(|w| &w.admission) {
            Some(Admission::Unapproved(missing)) if cause == Cause::ApprovalLost => {
                missing.as_slice()
            }
            _ => &[],
        };
        entry.cause = Some(cause.clone());
        entry.settle(State::Ended, now);
        info!(grant.id = %entry.id, cause = cause.as_str(), reasons = %missing.join("; "), "`{}` ended before anything was given: {}", entry.id, cause.as_str());
        let event = evidence::cancelled(&entry, missing, now);
        Ok(self.store.commit(&[entry], &[event]).await?)
    }

    /// Gives what was approved. `false`: no intent was written, so nothing was done.
    async fn grant(
        &self,
        mut entry: Entry,
        approved: &Approved,
        replaces: Option<&Renewed>,
    ) -> Result<bool, ReconcileError> {
        if entry.state != State::Granting {
            let held = self.held_by_others(&entry, approved.access()).await?;
            let mut terms = Terms {
                since: replaces.map(|old| old.since),
                ..terms(&entry, approved)
            };
            // What is held goes on for exactly who holds it, and so ends for them, however the call goes and whoever has the name by then.
            terms.access.account.id = held.iter().find_map(|h| h.account.id.clone());
            terms.access.entitlement_id = held.iter().find_map(|h| h.entitlement_id.clone());
            entry.terms = Some(terms);
            entry.state = State::Scheduled;
            let from_elsewhere = match held.is_empty() {
                true => self.held_there(approved.access()).await,
                false => Ok(false),
            };
            match from_elsewhere {
                Ok(false) => {}
                Ok(true) if approved.grant().adopt => {
                    if let Some(terms) = &mut entry.terms {
                        terms.taken_over = true;
                    }
                }
                Ok(true) => return self.block(entry, approved.access()).await.map(|()| false),
                Err(failure) => return self.failed(entry, "grant", &failure).await.map(|()| false),
            }
        }
        // Read before anything is called: what cannot be written down is not given.
        let on = self.decided_on(approved.proof().base()).await?;
        entry.state = State::Granting;
        entry.wake_at = Some(self.now());
        // From here on it is perhaps held, so that it is reviewed whatever becomes of it.
        if entry.terms.as_ref().is_some_and(|t| t.review_by.is_some()) && entry.review.is_none() {
            entry.review = Some(Review::due());
        }
        let mut entry = self.write(entry, &[]).await?;
        let (call, called_at) = (self.under_way(Late::Grant, &entry), self.now());
        let answer = self.call_grant(&entry, approved).await;
        let settled = async {
            let answer = match answer {
                Ok(answer) => answer,
                Err(failure) => return self.failed(entry, "grant", &failure).await,
            };
            if let Some(terms) = &mut entry.terms {
                let access = &mut terms.access;
                access.account.id = answer.account_id.clone().or(access.account.id.take());
                access.entitlement_id = answer
                    .entitlement_id
                    .clone()
                    .or(access.entitlement_id.take());
            }
            entry.state = State::Active;
            entry.attempts = 0;
            entry.last_error = None;
            entry.wake_at = entry.terms.as_ref().map(|t| t.ends);
            let giving = Giving {
                on: &on,
                answer: &answer,
                replaces: replaces.and_then(|old| old.id.as_ref()),
                residual: self.residual(&entry),
                called_at,
            };
            let event = evidence::granted(&entry, giving, self.now());
            let entry = self.write(entry, &[event]).await?;
            let begun = entry.terms.as_ref().map_or(entry.arrival.at, |t| t.starts);
            let access = approved.access();
            self.metrics.granted(&access.connection, self.now() - begun);
            info!(grant.id = %entry.id, read_back = %answer.read_back, "granted `{}`", entry.id);
            if let Some(emergency) = Emergency::of(&entry) {
                warn!(grant.id = %entry.id, review_by = %emergency.review_by, "break-glass: {} was given, to be reviewed until {}", emergency.who_what(), evidence::instant(emergency.review_by));
            }
            Ok(())
        };
        let settled = settled.await;
        match settled {
            Ok(()) => call.written_down(),
            Err(_) => self.set_right_after(call).await?,
        }
        settled.map(|()| true)
    }

    async fn call_grant(
        &self,
        entry: &Entry,
        approved: &Approved,
    ) -> Result<Granted, ProviderError> {
        let connection = &approved.access().connection;
        match self.providers.get(connection) {
            Some(provider) => {
                let order = order(entry);
                let held = entry.terms.as_ref().map(|terms| &terms.access);
                let approved = approved.bound(
                    held.and_then(|a| a.account.id.clone()),
                    held.and_then(|a| a.entitlement_id.clone()),
                );
                self.in_turn(connection, provider.grant(&approved, &order))
                    .await
            }
            None => Err(not_configured(connection.as_str())),
        }
    }

    /// What other live grants of the same access hold, or perhaps hold.
    async fn held_by_others(
        &self,
        entry: &Entry,
        access: &Access,
    ) -> Result<Vec<Access>, ReconcileError> {
        let live = self.store.entries(Scope::Same(access)).await?;
        let held = live
            .into_iter()
            .filter(|e| e.id != entry.id && e.state.may_be_held());
        Ok(held.filter_map(|e| Some(e.terms?.access)).collect())
    }

    /// Whether the account has this access, as the target says. Before the first intent, that is not from us: then it is not ours to take
    /// over, nor to end. Afterwards what is found there may be our own doing.
    pub(super) async fn held_there(&self, access: &Access) -> Result<bool, ProviderError> {
        let Some(provider) = self.providers.get(&access.connection) else {
            return Err(not_configured(access.connection.as_str()));
        };
        let names = provider.kind().names;
        let is_holder = |h: &Holder| names.same(&h.name, &access.account.name);
        let holders = provider.holders(&access.entitlement);
        let holders = self.in_turn(&access.connection, holders).await?;
        Ok(holders.iter().any(is_holder))
    }

    /// Waits with a grant whose access is held from elsewhere.
    async fn block(&self, mut entry: Entry, access: &Access) -> Result<(), ReconcileError> {
        let now = self.now();
        let why = format!(
            "{} already has this at {}, and not from Hallpass; remove it there first, so that its end is certain, or ask with `adopt: true` to have it taken over",
            access.account.name, access.connection
        );
        error!(grant.id = %entry.id, why = %why, "`{}` is not granted yet: {why}", entry.id);
        let event = evidence::blocked(&entry, &why, now);
        entry.try_again(now + self.backoff(entry.attempts));
        entry.last_error = Some(why);
        self.write(entry, &[event]).await.map(drop)
    }

    async fn revoke(
        &self,
        mut entry: Entry,
        cause: Cause,
        retained_by: &[GrantId],
    ) -> Result<(), ReconcileError> {
        let due = due_since(&entry, &cause, self.now());
        entry.cause = Some(cause);
        if !retained_by.is_empty() {
            let now = self.now();
            entry.settle(State::Ended, now);
            info!(grant.id = %entry.id, "`{}` ended; another live grant gives the same", entry.id);
            let event = evidence::revoked(&entry, due, Removal::Retained(retained_by), now);
            return self.write(entry, &[event]).await.map(drop);
        }
        let given = self.was_given(&entry).await;
        entry.state = State::Revoking;
        entry.wake_at = Some(self.now());
        let entry = self.write(entry, given.as_slice()).await?;
        let (call, called_at) = (self.under_way(Late::Revoke, &entry), self.now());
        let answer = self.call_revoke(&entry).await;
        let settled = self.settle_revoke(entry, answer, (due, called_at)).await;
        // Another server may have begun to give the same meanwhile, and read back what was there before this call.
        self.set_right_after(call).await?;
        settled
    }

    /// Writes down how a call to take something went.
    async fn settle_revoke(
        &self,
        mut entry: Entry,
        answer: Result<Revoked, ProviderError>,
        (due, called_at): (Instant, Instant),
    ) -> Result<(), ReconcileError> {
        match answer {
            Ok(answer) if answer.still_effective_through.is_empty() => {
                let now = self.now();
                entry.settle(State::Ended, now);
                let event = evidence::revoked(
                    &entry,
                    due,
                    Removal::ReadBack {
                        called_at,
                        answer: &answer,
                        residual: self.residual(&entry),
                    },
                    now,
                );
                let entry = self.write(entry, &[event]).await?;
                if let Some(connection) = entry.connection() {
                    self.metrics.revoked(connection, now - due);
                }
                info!(grant.id = %entry.id, read_back = %answer.read_back, "revoked `{}`", entry.id);
                Ok(())
            }
            Ok(answer) => {
                let through = answer.still_effective_through.join(", ");
                let reason = format!(
                    "removed, but still effective through {through}: a person must remove that too"
                );
                let connection = entry
                    .connection()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                self.failed(
                    entry,
                    "revoke",
                    &ProviderError::Refused { connection, reason },
                )
                .await
            }
            Err(failure) => self.failed(entry, "revoke", &failure).await,
        }
    }

    /// What the target's kind says may still work after a removal.
    pub(super) fn residual(&self, entry: &Entry) -> &'static str {
        let provider = entry.connection().and_then(|c| self.providers.get(c));
        provider.map_or("Nothing was ever given.", |p| p.kind().residual)
    }

    async fn call_revoke(&self, entry: &Entry) -> Result<Revoked, ProviderError> {
        // An entry that may be held has terms: they are written with the first intent.
        let Some(terms) = &entry.terms else {
            return Ok(Revoked::default());
        };
        match self.providers.get(&terms.access.connection) {
            Some(provider) => {
                let order = order(entry);
                let call = provider.revoke(&terms.access, &order);
                self.in_turn(&terms.access.connection, call).await
            }
            None => Err(not_configured(terms.access.connection.as_str())),
        }
    }

    /// Makes a call when the connection has a place for it.
    async fn in_turn<T>(
        &self,
        connection: &ConnectionName,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        // Never closed, so that waiting for a place ends with one.
        let place = self.calls.get(connection).map(Semaphore::acquire);
        let _place = OptionFuture::from(place).await;
        in_time(connection, call).await
    }

    /// Keeps a failed attempt: tried again, for ever, with a capped pause.
    async fn failed(
        &self,
        mut entry: Entry,
        verb: &str,
        failure: &ProviderError,
    ) -> Result<(), ReconcileError> {
        let now = self.now();
        let pause = now + self.backoff(entry.attempts);
        let retry_at = match failure {
            ProviderError::Unavailable {
                retry_at: Some(at), ..
            } => (*at).clamp(pause, now + self.settings.retry_cap),
            _ => pause,
        };
        entry.try_again(retry_at);
        entry.last_error = Some(chain(failure));
        error!(grant.id = %entry.id, attempts = entry.attempts, error = %chain(failure), "cannot {verb} `{}` yet, attempt {}", entry.id, entry.attempts);
        self.write(entry, &[]).await.map(drop)
    }

    /// Writes an entry, and returns it as it now stands.
    pub(super) async fn write(
        &self,
        mut entry: Entry,
        events: &[evidence::Event],
    ) -> Result<Entry, ReconcileError> {
        self.store
            .commit(std::slice::from_ref(&entry), events)
            .await?;
        entry.version += 1;
        if let Some(terms) = entry.terms.as_ref().filter(|_| entry.state.is_final()) {
            self.wake_askers(&terms.subject).await;
        }
        Ok(entry)
    }
}

/// Since when the end was due: the term's end, or now for an end that was just learnt of.
fn due_since(entry: &Entry, cause: &Cause, now: Instant) -> Instant {
    let called_off = entry.called_off.as_ref();
    match (cause, &entry.terms) {
        (Cause::Expired, Some(terms)) => terms.ends,
        _ => called_off.map_or(now, |off| off.at),
    }
}

fn access_key(action: &Action, entry: &Entry) -> String {
    match (action, &entry.terms) {
        (Action::Grant { approved, .. }, _) => approved.access().key(),
        (_, Some(terms)) => terms.access.key(),
        (_, None) => entry.id.to_string(),
    }
}

pub(super) fn terms(entry: &Entry, approved: &Approved) -> Terms {
    let (grant, merged) = (approved.grant(), entry.arrival.at);
    Terms {
        subject: grant.subject.clone(),
        role: approved.role().clone(),
        access: approved.access().clone(),
        starts: grant.begin(merged),
        ends: grant.end(merged),
        reason: grant.reason.clone(),
        ticket: grant.ticket.clone(),
        base: approved.proof().base().clone(),
        basis: approved.proof().basis().clone(),
        approvals: approved.proof().approvals().to_vec(),
        since: None,
        taken_over: false,
        review_by: approved
            .review_within()
            .map(|within| grant.begin(merged) + within.delta()),
    }
}

/// On whose behalf a target is called. An entry that may be held has terms: they are written with the first intent.
fn order(entry: &Entry) -> Order {
    Order {
        reference: entry.id.to_string(),
        ends: entry.terms.as_ref().map_or(entry.arrival.at, |t| t.ends),
    }
}

/// Gives up on a call that does not come back, or that runs into a bug. Whether it had an effect is unknown, as after any failure.
pub(super) async fn in_time<T>(
    connection: &ConnectionName,
    call: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let failed = |what: String| ProviderError::Unavailable {
        connection: connection.to_string(),
        what: "a call".to_owned(),
        retry_at: None,
        source: what.into(),
    };
    let call = AssertUnwindSafe(call).catch_unwind();
    match tokio::time::timeout(CALL, call).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(failed("a bug: see the panic in the log".to_owned())),
        Err(_) => Err(failed(format!("no answer within {} s", CALL.as_secs()))),
    }
}

fn not_configured(connection: &str) -> ProviderError {
    ProviderError::Refused {
        connection: connection.to_owned(),
        reason: format!(
            "no connection of this name is configured; add [providers.{connection}] to hallpass.toml"
        ),
    }
}
