//! Answers what people ask by comments on pull requests.
//!
//! Level-triggered: a webhook only says that there may be something; what there is, is read afresh from the forge, each time from a
//! little before the newest comment that was seen. Each question is answered once: the answer is found again by a marker that names the
//! question, so that a crash between answer and note makes no second one.
//!
//! Invariant: nothing here decides. What a comment says chooses between texts, and is not repeated in any of them.

use std::sync::Arc;

use chrono::TimeDelta;
use tracing::{info, warn};

use super::{ReconcileError, Reconciler, aside};
use crate::domain::decision::{self, Case};
use crate::domain::landing;
use crate::domain::model::{Actor, Instant, Owner, PullNumber};
use crate::domain::pull::Lookup;
use crate::domain::remark::{Ask, Remark};
use crate::domain::report::{self, Answer};
use crate::forge::ForgeError;
use crate::store::Handled;

/// The newest comment that was seen, and since when comments are answered at all.
const SEEN: &str = "remarks:seen";
const SINCE: &str = "remarks:since";

/// How much earlier than that the next look begins: a forge lists with some delay.
const AGAIN: TimeDelta = TimeDelta::minutes(2);

/// How much of what was written before the first look is answered.
const BEFORE: TimeDelta = TimeDelta::minutes(5);

/// How many questions are answered in an hour: on one pull request, and on all of them.
const PERIOD: TimeDelta = TimeDelta::hours(1);
const ON_ONE: u64 = 10;
const ON_ALL: u64 = 60;

impl Reconciler {
    /// Answers what was asked since the last look.
    ///
    /// # Errors
    /// When forge, git or database fail: the next look finds the same questions.
    pub async fn remarks(&self) -> Result<(), ReconcileError> {
        let since = self.answered_from(SINCE).await?;
        let seen = self.answered_from(SEEN).await?;
        let found = self.forge.remarks_since(seen - AGAIN).await?;
        let newest = found.iter().map(|remark| remark.changed_at).max();
        for remark in found {
            let Some(ask) = remark.ask().filter(|_| remark.written_at >= since) else {
                continue;
            };
            if !self.store.is_handled(&remark).await? {
                self.deal_with(&remark, ask).await?;
            }
        }
        if let Some(newest) = newest.filter(|newest| *newest > seen) {
            self.note_instant(SEEN, newest).await?;
        }
        Ok(())
    }

    /// An instant that was noted; the first time it is noted as a little before now.
    async fn answered_from(&self, name: &str) -> Result<Instant, ReconcileError> {
        let noted = self.store.note(name).await?;
        if let Some(at) = noted.and_then(|text| text.parse().ok()) {
            return Ok(at);
        }
        let at = self.now() - BEFORE;
        self.note_instant(name, at).await?;
        Ok(at)
    }

    async fn note_instant(&self, name: &str, at: Instant) -> Result<(), ReconcileError> {
        let text = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        Ok(self.store.set_note(name, &text).await?)
    }

    async fn deal_with(&self, remark: &Remark, ask: Ask) -> Result<(), ReconcileError> {
        let now = self.now();
        let pull = remark.pull;
        let (here, all) = (
            self.store.answered_since(Some(pull), now - PERIOD).await?,
            self.store.answered_since(None, now - PERIOD).await?,
        );
        let handled = if here >= ON_ONE || all >= ON_ALL {
            warn!(
                pull = pull.0,
                "too many questions by comments: one on #{pull} is not answered"
            );
            Handled::PassedOver
        } else if !self.may_ask(&remark.author).await? {
            info!(
                pull = pull.0,
                "a question on #{pull} is not answered: whoever asked is no member and may not push"
            );
            Handled::PassedOver
        } else {
            self.answer_remark(remark, ask).await?
        };
        Ok(self.store.note_handled(remark, handled, now).await?)
    }

    /// Whether somebody is a member of the organisation, or may push to the repository. What cannot be found out is found out later.
    async fn may_ask(&self, author: &Actor) -> Result<bool, ReconcileError> {
        let unknown = |why: String| Err(ReconcileError::Unsettled(why));
        match self.members(&[author.id].into()).await {
            Lookup::Found(members) if members.contains(author.id) => return Ok(true),
            Lookup::Found(_) | Lookup::Absent => {}
            Lookup::Failed(why) => return unknown(why),
        }
        let owner = Owner::User(author.login.clone());
        let roster = self.forge.roster(&[owner].into()).await;
        match roster.users.get(&author.login) {
            Some(Lookup::Found(found)) => Ok(found.actor.id == author.id && found.can_write),
            Some(Lookup::Failed(why)) => unknown(why.clone()),
            Some(Lookup::Absent) | None => Ok(false),
        }
    }

    async fn answer_remark(&self, remark: &Remark, ask: Ask) -> Result<Handled, ReconcileError> {
        let text = self.answer_text(remark.pull, ask).await?;
        let marker = format!("hallpass:answer:{}", remark.id);
        match self.forge.comment(remark.pull, &marker, &text).await {
            Ok(()) => {
                info!(
                    pull = remark.pull.0,
                    "answered a question on #{}", remark.pull
                );
                Ok(Handled::Answered)
            }
            Err(ForgeError::NotFound { .. }) => Ok(Handled::PassedOver),
            Err(error) => Err(error.into()),
        }
    }

    async fn answer_text(&self, pull: PullNumber, ask: Ask) -> Result<String, ReconcileError> {
        let pages = self.settings.pages.clone();
        let facts = match ask {
            Ask::Unknown => None,
            Ask::Explain | Ask::Return => self.observe_pull(pull).await?,
        };
        let Some(facts) = facts else {
            let live = self.store.live_of_pull(pull).await?;
            return Ok(report::answer(ask, Answer::Past { live: &live }, &pages));
        };
        let configured = self.connections();
        let unknown = self.ask_targets(&facts, &configured).await;
        let (facts, branch) = (Arc::new(facts), self.settings.protected_branch.clone());
        aside(move || {
            let case: Case<'_> = facts.case(&branch);
            let verdict = decision::decide(&case);
            let verdict =
                landing::demand_connections(verdict, &facts.changes, &configured, &unknown);
            let title = report::check(&case, &verdict).title;
            let on = Answer::Open {
                case: &case,
                verdict: &verdict,
                title: &title,
            };
            report::answer(ask, on, &pages)
        })
        .await
    }
}
