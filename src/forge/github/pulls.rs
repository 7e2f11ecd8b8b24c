//! Pull requests, their reviews, and who pushed to their branches.

use std::collections::BTreeSet;

use super::wire::{
    Account, Activity, IssueEvent, Numbered, PullRequest, PullRequestReview, PullRequestSimple,
};
use super::{GitHub, malformed};
use crate::domain::model::{CommitId, PullNumber, UserId};
use crate::domain::pull::PullListed;
use crate::domain::pull::{Pull, Pushers, Review, ReviewState};
use crate::github_app::{Failure, query};

impl GitHub {
    /// Newest change first: what changes while we turn pages comes twice, and is not skipped.
    pub(super) async fn read_open_pulls(&self) -> Result<Vec<PullListed>, Failure> {
        let route = query(
            &self.route(&["pulls"]),
            &[
                ("state", "open"),
                ("sort", "updated"),
                ("direction", "desc"),
                ("per_page", "100"),
            ],
        );
        let what = format!("open pull requests of {}", self.repository);
        let listed: Vec<PullRequestSimple> = self.api.list(&what, &route).await?;
        let mut seen = BTreeSet::new();
        Ok(listed
            .into_iter()
            .map(PullRequestSimple::listed)
            .filter(|pull| seen.insert(pull.number))
            .collect())
    }

    pub(super) async fn read_pulls_of(
        &self,
        commit: &CommitId,
    ) -> Result<Vec<PullNumber>, Failure> {
        let route = query(
            &self.route(&["commits", commit.as_str(), "pulls"]),
            &[("per_page", "100")],
        );
        let what = format!("pull requests of commit {}", commit.short());
        match self.api.list::<Numbered>(&what, &route).await {
            Ok(listed) => Ok(listed
                .into_iter()
                .map(|pull| PullNumber(pull.number))
                .collect()),
            // GitHub says 422 for a commit that it does not have.
            Err(Failure::Declined { what, .. }) => Err(Failure::NotFound { what }),
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn read_pull(&self, number: PullNumber) -> Result<Pull, Failure> {
        let mut found = self.read_pull_alone(number).await?;
        let from_fork = match (&found.head.repo, &found.base.repo) {
            (Some(head), Some(base)) => head.id != base.id,
            // The fork is gone.
            _ => true,
        };
        let (reviews, pushers) = tokio::try_join!(
            self.read_reviews(number),
            self.read_pushers(&found, from_fork)
        )?;
        let bad = |e| malformed(&format!("pull request {number}"), e);
        Ok(Pull {
            number,
            state: found.state().map_err(bad)?,
            author: found
                .user
                .map(Account::actor)
                .transpose()
                .map_err(|e| bad(e.into()))?,
            title: found.title,
            draft: found.draft,
            base_branch: found.base.name,
            head: found.head.sha,
            head_branch: found.head.name,
            from_fork,
            commits: found.commits,
            pushers,
            reviews,
        })
    }

    pub(super) async fn read_pull_alone(&self, number: PullNumber) -> Result<PullRequest, Failure> {
        self.api
            .get(
                &format!("pull request {number}"),
                &self.route(&["pulls", &number.to_string()]),
            )
            .await
    }

    async fn read_reviews(&self, number: PullNumber) -> Result<Vec<Review>, Failure> {
        let what = format!("reviews of pull request {number}");
        let route = query(
            &self.route(&["pulls", &number.to_string(), "reviews"]),
            &[("per_page", "100")],
        );
        let found: Vec<PullRequestReview> = self.api.list(&what, &route).await?;
        let reviews: Result<Vec<Review>, _> =
            found.into_iter().map(PullRequestReview::review).collect();
        let mut reviews = reviews.map_err(|e| malformed(&what, e))?;
        if reviews.iter().any(|r| r.state == ReviewState::Dismissed) {
            self.tell_dismissed(number, &mut reviews).await?;
        }
        // A review has its number from when it was begun; what counts is when it was submitted. Drafts come last.
        reviews.sort_by_key(|r| (r.submitted_at.is_none(), r.submitted_at, r.id));
        Ok(reviews)
    }

    /// A dismissed review only says that it is one. What it said before stands in the history of the pull request, which is
    /// asked only where there is such a review. What the history does not tell is not known.
    async fn tell_dismissed(
        &self,
        number: PullNumber,
        reviews: &mut [Review],
    ) -> Result<(), Failure> {
        let what = format!("history of pull request {number}");
        let route = query(
            &self.route(&["issues", &number.to_string(), "events"]),
            &[("per_page", "100")],
        );
        let events: Vec<IssueEvent> = self.api.list(&what, &route).await?;
        for review in reviews
            .iter_mut()
            .filter(|r| r.state == ReviewState::Dismissed)
        {
            let dismissed = events.iter().rev().find(|event| {
                let said = event.dismissed_review.as_ref();
                event.event == "review_dismissed" && said.is_some_and(|s| s.review_id == review.id)
            });
            review.state = dismissed.map_or(ReviewState::Unknown, |event| was(event, review));
        }
        Ok(())
    }

    /// Everybody who pushed to the branch, from GitHub's own record of pushes. Commit authors are free text.
    ///
    /// A web edit, a suggestion that somebody applies and an update of the branch are recorded under that person's name, not
    /// `web-flow`'s. A branch name that was used before keeps its earlier pushers: that can only make approval harder. Whoever pushes
    /// to it after the merge had no hand in what was merged.
    async fn read_pushers(&self, found: &PullRequest, from_fork: bool) -> Result<Pushers, Failure> {
        let (branch, head) = (&found.head.name, &found.head.sha);
        if from_fork {
            return Ok(Pushers::Unknown(
                "its branch lives in another repository, whose pushers GitHub does not tell; push the branch to this \
                 repository and open the pull request from there"
                    .to_owned(),
            ));
        }
        let route = query(
            &self.route(&["activity"]),
            &[
                ("ref", &format!("refs/heads/{branch}")),
                ("per_page", "100"),
            ],
        );
        let mut pushes: Vec<Activity> = self
            .api
            .list("pushes to the branch of the pull request", &route)
            .await?;
        if let Some(merged) = found.merged_at {
            pushes.retain(|push| push.timestamp.is_none_or(|at| at <= merged));
        }
        Ok(pushers(pushes, head))
    }
}

/// What a dismissed review is, by the event that dismissed it.
fn was(event: &IssueEvent, review: &Review) -> ReviewState {
    let by = event.actor.as_ref().map(|actor| UserId(actor.id));
    let own = by.is_some() && by == review.reviewer.as_ref().map(|r| r.id);
    let said = event.dismissed_review.as_ref().map(|s| s.state.as_str());
    match said {
        Some("approved") => ReviewState::Dismissed,
        Some("changes_requested") if own => ReviewState::Dismissed,
        Some("changes_requested") => ReviewState::ObjectionDismissed,
        _ => ReviewState::Unknown,
    }
}

fn pushers(pushes: Vec<Activity>, head: &CommitId) -> Pushers {
    // The list may lag behind the branch; then the newest pusher is missing from it.
    if !pushes.iter().any(|push| push.after == head.as_str()) {
        return Pushers::Unknown(format!(
            "GitHub's list of pushes does not show who pushed {}; if this stays so, push a new commit",
            head.short()
        ));
    }
    let mut ids = BTreeSet::new();
    // Every kind but a deletion brings content, also a merge into the branch and what GitHub may add.
    for push in pushes
        .into_iter()
        .filter(|push| push.activity_type != "branch_deletion")
    {
        let Some(actor) = push.actor else {
            return Pushers::Unknown(
                "an account that no longer exists pushed to its branch; use a new branch and a new pull request".to_owned(),
            );
        };
        ids.insert(UserId(actor.id));
    }
    Pushers::Known(ids)
}
