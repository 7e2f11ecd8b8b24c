//! An end that comes before it is known what became of the call that gives.
//!
//! A process that dies in the middle of that call leaves `granting` behind: perhaps held. Where the access goes on, the call is repeated, and
//! what the target answers is told. Where it is over by then, it must not be given again; so the target is asked who has it. What it has was
//! given, and is told to have been before it is taken, so that nobody ever had access of which the evidence knows nothing.
//!
//! Accepted: the end does not wait for that. What cannot be asked for soon is taken, and told as taken alone.

use std::time::Duration;

use tracing::info;

use super::Reconciler;
use crate::domain::evidence::{self, Event, Giving};
use crate::domain::ledger::{Entry, Granted, State};

/// How long an end waits, in real time, for what is only to be told.
const PATIENCE: Duration = Duration::from_secs(5);

impl Reconciler {
    /// That an entry, which is over, was given, if that was not known yet and the target has it. To be written together with the intent
    /// to take it: were it written before, a crash between the two would leave access that goes on.
    pub(super) async fn was_given(&self, entry: &Entry) -> Option<Event> {
        let (State::Granting, Some(terms)) = (entry.state, &entry.terms) else {
            return None;
        };
        let held = self.held_there(&terms.access);
        let Ok(Ok(true)) = tokio::time::timeout(PATIENCE, held).await else {
            return None;
        };
        let on = self.decided_on(&terms.base).await.ok()?;
        let answer = Granted {
            read_back: format!(
                "{} has it, which was found when it was over",
                terms.access.account.name
            ),
            pending: None,
            account_id: terms.access.account.id.clone(),
            entitlement_id: terms.access.entitlement_id.clone(),
        };
        let now = self.now();
        // Written with the intent before the call, and put off with each that failed.
        let called_at = entry.wake_at.map_or(now, |at| at.min(now));
        let giving = Giving {
            on: &on,
            answer: &answer,
            replaces: None,
            residual: self.residual(entry),
            called_at,
        };
        info!(grant.id = %entry.id, "`{}` was given, as is found now that it is over", entry.id);
        Some(evidence::granted(entry, giving, now))
    }
}
