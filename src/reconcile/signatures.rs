//! Records that Hallpass writes and owners approve: how the pull request of one stands, and what its merge says.
//!
//! Shared by the reviews of emergencies, the releases of what is held back and access reviews. Level-triggered: a closed pull request
//! is opened again, and one that somebody pushed to is pushed over, but where pushing is how people answer.

use super::{ReconcileError, Reconciler, aside};
use crate::domain::decision::{self, Outcome, Verdict};
use crate::domain::emergency::Asked;
use crate::domain::model::CommitId;
use crate::domain::pull::{Pull, PullListed, PullState};
use crate::forge::{ForgeError, Proposal};
use crate::repo::Addition;

/// The pull request of a record, as it is known.
pub(super) struct Sought<'a> {
    /// Where the approval was asked for, if it was.
    pub asked: Option<&'a Asked>,
    /// What becomes of what others push there.
    pub pushes: Pushes,
    /// Whether the record stands on the protected branch already.
    pub overtaken: bool,
}

/// What becomes of what others push to the branch of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushes {
    /// It is pushed over.
    Undone,
    /// It is how they answer.
    Welcome,
}

/// How the pull request of a record stands.
pub(super) enum Standing {
    /// Open, with what we pushed.
    Asked,
    /// Merged into the protected branch.
    Merged(Box<Pull>),
    /// Not there, closed, or not what we pushed.
    NotAsked,
}

impl Reconciler {
    /// How the pull request stands that asks for the approval. The listing may be late; what it does not confirm is read afresh,
    /// and so is one whose record stands on the protected branch already.
    pub(super) async fn standing(
        &self,
        sought: &Sought<'_>,
        open: &[PullListed],
    ) -> Result<Standing, ReconcileError> {
        let overtaken = sought.overtaken;
        let Some(asked) = sought.asked else {
            return Ok(Standing::NotAsked);
        };
        let branch = &self.settings.protected_branch;
        let ours = |head: &CommitId| sought.pushes == Pushes::Welcome || *head == asked.head;
        let confirms =
            |p: &PullListed| p.number == asked.pull && ours(&p.head) && p.base_branch == *branch;
        if !overtaken && open.iter().any(confirms) {
            return Ok(Standing::Asked);
        }
        let pull = match self.forge.pull(asked.pull).await {
            Ok(pull) => pull,
            Err(ForgeError::NotFound { .. }) => return Ok(Standing::NotAsked),
            Err(error) => return Err(error.into()),
        };
        let here = pull.base_branch == *branch;
        Ok(match pull.state {
            PullState::Open if here && ours(&pull.head) && !overtaken => Standing::Asked,
            PullState::Merged { .. } if here => Standing::Merged(Box::new(pull)),
            PullState::Open | PullState::Closed | PullState::Merged { .. } => Standing::NotAsked,
        })
    }

    /// What a merged pull request is judged to be; or why it cannot be any record's.
    pub(super) async fn verdict_of_merged(
        &self,
        pull: Pull,
    ) -> Result<Result<Verdict, String>, ReconcileError> {
        let PullState::Merged { commit, .. } = pull.state.clone() else {
            return Err(ReconcileError::Unsettled(format!(
                "#{} is not merged",
                pull.number
            )));
        };
        let remote = self.remote().await?;
        let Some(facts) = self.facts_of_merged(&remote, pull, &commit).await? else {
            return Ok(Err(
                "What was merged is not what the pull request holds.".to_owned()
            ));
        };
        let branch = self.settings.protected_branch.clone();
        let verdict = aside(move || decision::decide(&facts.case(&branch))).await?;
        match verdict.outcome {
            Outcome::Uncertain(what) => Err(ReconcileError::Unsettled(what.join("; "))),
            _ => Ok(Ok(verdict)),
        }
    }

    /// Opens the pull request that brings a record for approval, or brings the open one up to date. Its title is the record's message.
    pub(super) async fn ask_in_pull(
        &self,
        own: String,
        record: Addition,
        body: String,
    ) -> Result<Asked, ReconcileError> {
        let title = record.message.clone();
        let head = self.put(&own, record).await?;
        let proposal = Proposal {
            branch: own,
            base: self.settings.protected_branch.clone(),
            title,
            body,
        };
        let pull = self.forge.propose(&proposal).await?;
        Ok(Asked { pull, head })
    }

    /// Puts a file on a branch of our own, in place of whatever is there.
    async fn put(&self, branch: &str, addition: Addition) -> Result<CommitId, ReconcileError> {
        let path = addition.path.clone();
        let head = self.mirror.commit_file(branch, addition).await?;
        let head =
            head.ok_or_else(|| ReconcileError::Unsettled(format!("{path} stands there already")))?;
        self.mirror
            .push(&self.remote().await?, branch, true)
            .await?;
        Ok(head)
    }
}

/// What denies it: without the messages, which may quote what somebody wrote.
pub(super) fn reasons(verdict: &Verdict) -> Vec<String> {
    let errors = verdict.errors();
    errors
        .map(|f| format!("{} at {}:{}:{}", f.rule, f.path, f.line, f.column))
        .collect()
}

/// Why a record counts for nothing, where nothing else says so.
pub(super) fn or_another(mut reasons: Vec<String>) -> Vec<String> {
    if reasons.is_empty() {
        reasons.push("It holds something else than the record.".to_owned());
    }
    reasons
}
