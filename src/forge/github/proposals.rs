//! Merging what is due, and proposing the reverts of what ended.

use serde::Serialize;

use super::wire::{Merged, Numbered, PullRequestSimple};
use super::{GitHub, MergeMethod, cut, malformed};
use crate::domain::model::{CommitId, PullNumber};
use crate::domain::pull::PullState;
use crate::forge::{MergeOutcome, Proposal};
use crate::github_app::{Failure, query};

/// GitHub's limit for the text of a pull request, in characters; bytes are never fewer.
const BODY: usize = 65_536;
const BODY_CUT: &str = "\n\n*The rest is too long to be shown here.*";

#[derive(Serialize)]
struct MergeRequest<'a> {
    commit_title: &'a str,
    commit_message: &'a str,
    sha: &'a str,
    merge_method: MergeMethod,
}

#[derive(Serialize)]
struct NewPull<'a> {
    title: &'a str,
    head: &'a str,
    base: &'a str,
    body: &'a str,
}

#[derive(Serialize)]
struct PullText<'a> {
    title: &'a str,
    body: &'a str,
}

impl GitHub {
    pub(super) async fn try_merge(
        &self,
        number: PullNumber,
        head: &CommitId,
        title: &str,
        message: &str,
    ) -> Result<MergeOutcome, Failure> {
        let what = format!("merge of pull request {number}");
        let route = self.route(&["pulls", &number.to_string(), "merge"]);
        let body = MergeRequest {
            commit_title: title,
            commit_message: message,
            sha: head.as_str(),
            merge_method: self.merge_method,
        };
        match self.api.put::<Merged>(&what, &route, &body).await {
            Ok(merged) => Ok(MergeOutcome::Merged(merged.sha)),
            // 405: not mergeable, or merged already; 409: the head moved; 422: a rule.
            Err(Failure::Declined { words, .. }) => self.merged_already(number, words).await,
            Err(failure) => Err(failure),
        }
    }

    /// A merge whose answer was lost is declined the second time, and is a merge all the same.
    async fn merged_already(
        &self,
        number: PullNumber,
        words: String,
    ) -> Result<MergeOutcome, Failure> {
        let mut pull = self.read_pull_alone(number).await?;
        match pull
            .state()
            .map_err(|e| malformed(&format!("pull request {number}"), e))?
        {
            PullState::Merged { commit, .. } => Ok(MergeOutcome::Merged(commit)),
            PullState::Open | PullState::Closed => Ok(MergeOutcome::NotNow(words)),
        }
    }

    pub(super) async fn write_proposal(&self, proposal: &Proposal) -> Result<PullNumber, Failure> {
        let body = cut(&proposal.body, BODY, BODY_CUT);
        let what = format!("pull request for {}", proposal.branch);
        let new = NewPull {
            title: &proposal.title,
            head: &proposal.branch,
            base: &proposal.base,
            body: &body,
        };
        match self
            .api
            .post::<Numbered>(&what, &self.route(&["pulls"]), &new)
            .await
        {
            Ok(created) => Ok(PullNumber(created.number)),
            // There is an open one already: GitHub allows one for each pair of branches.
            Err(declined @ Failure::Declined { .. }) => match self.find_proposal(proposal).await? {
                Some(open) => self.update_proposal(proposal, &body, open).await,
                None => Err(declined),
            },
            Err(failure) => Err(failure),
        }
    }

    async fn find_proposal(
        &self,
        proposal: &Proposal,
    ) -> Result<Option<PullRequestSimple>, Failure> {
        let head = format!("{}:{}", self.repository.owner, proposal.branch);
        let route = query(
            &self.route(&["pulls"]),
            &[
                ("state", "open"),
                ("head", &head),
                ("base", &proposal.base),
                ("per_page", "100"),
            ],
        );
        let found: Vec<PullRequestSimple> = self
            .api
            .list(&format!("pull requests for {}", proposal.branch), &route)
            .await?;
        // GitHub leaves out a filter that it does not understand.
        let ours = |pull: &PullRequestSimple| {
            let here =
                pull.head.repo.as_ref().map(|r| r.id) == pull.base.repo.as_ref().map(|r| r.id);
            here && pull.head.name == proposal.branch && pull.base.name == proposal.base
        };
        Ok(found.into_iter().find(ours))
    }

    async fn update_proposal(
        &self,
        proposal: &Proposal,
        body: &str,
        open: PullRequestSimple,
    ) -> Result<PullNumber, Failure> {
        let number = PullNumber(open.number);
        if open.title != proposal.title || open.body.as_deref().unwrap_or_default() != body {
            let text = PullText {
                title: &proposal.title,
                body,
            };
            let route = self.route(&["pulls", &number.to_string()]);
            self.api
                .patch::<Numbered>(&format!("pull request {number}"), &route, &text)
                .await?;
        }
        Ok(number)
    }
}
