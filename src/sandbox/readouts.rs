//! What a test reads back, without a call of the interface.

use std::collections::BTreeMap;
use std::path::PathBuf;

use git2::Oid;

use crate::domain::model::{CommitId, Instant, PullNumber};

use super::model::{Membership, Permission, ReviewSaid};
use super::people::commit_id;
use super::post::Delivery;
use super::setup::team_index;
use super::world::Pull;
use super::{Sandbox, git, locked};

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullView {
    /// Its number.
    pub number: PullNumber,
    /// Who opened it.
    pub author: String,
    /// The title.
    pub title: String,
    /// The text.
    pub body: String,
    /// Its branch.
    pub head: String,
    /// The tip of its branch.
    pub head_sha: String,
    /// The branch it wants to change.
    pub base: String,
    /// Whether it is open.
    pub open: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// As which commit it was merged, if it was.
    pub merged: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// The texts of its comments, oldest first.
    pub comments: Vec<String>,
    /// Its reviews, oldest first.
    pub reviews: Vec<ReviewView>,
}

/// A review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewView {
    /// Its id.
    pub id: u64,
    /// Who reviewed.
    pub user: String,
    /// What it says.
    pub said: ReviewSaid,
    /// The commit that was looked at.
    pub commit: String,
}

/// A check run.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckView {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `queued`, `in_progress`, `completed`.
    pub status: String,
    /// `success`, `failure`, ...
    pub conclusion: Option<String>,
    /// The title of its output.
    pub title: String,
    /// The summary of its output, Markdown.
    pub summary: String,
    /// The text of its output, Markdown.
    pub text: String,
    /// Its annotations, as they were given.
    pub annotations: Vec<serde_json::Value>,
}

/// An entry of a repository's activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityView {
    /// `push`, `force_push`, `branch_creation`, `branch_deletion`, `pr_merge`.
    pub kind: String,
    /// The ref, by its full name.
    pub reference: String,
    /// Who.
    pub actor: String,
    /// The tip after it.
    pub after: String,
    /// When.
    pub at: Instant,
}

impl Sandbox {
    /// What somebody has in a repository of their own, if anything.
    pub fn collaborates(&self, repo: &str, login: &str) -> Option<Permission> {
        let world = self.world();
        let (repo, user) = (self.index(&world, repo), self.id(&world, login));
        world.repos[repo].collaborators.get(&user).copied()
    }

    /// Who is invited to a repository.
    pub fn invited(&self, repo: &str) -> Vec<String> {
        let world = self.world();
        let invited = world.repos[self.index(&world, repo)].invited.iter();
        let login = |user: u64| world.accounts[&user].login.clone();
        invited.map(|one| login(one.user)).collect()
    }

    /// Whether somebody has a role in the organisation, given to themselves.
    pub fn has_role(&self, role: &str, login: &str) -> bool {
        let world = self.world();
        let user = self.id(&world, login);
        let mut roles = world.roles.iter();
        roles.any(|known| known.name == role && known.users.contains(&user))
    }

    /// All pull requests of a repository, by number.
    pub fn pulls(&self, repo: &str) -> Vec<PullView> {
        let world = self.world();
        let index = self.index(&world, repo);
        let login = |id: u64| world.accounts[&id].login.clone();
        let comments = |pull: &Pull| {
            let all = world.repos[index].comments.values();
            all.filter(|comment| comment.number == pull.number)
                .map(|comment| comment.body.clone())
                .collect()
        };
        let reviews = |pull: &Pull| {
            let view = |review: &super::world::Review| ReviewView {
                id: review.id,
                user: login(review.user),
                said: review.said,
                commit: review.commit.clone(),
            };
            pull.reviews.iter().map(view).collect()
        };
        let view = |pull: &Pull| PullView {
            number: PullNumber(pull.number),
            author: login(pull.author),
            title: pull.title.clone(),
            body: pull.body.clone().unwrap_or_default(),
            head: pull.head.clone(),
            head_sha: pull.head_sha.clone(),
            base: pull.base.clone(),
            open: pull.open,
            draft: pull.draft,
            merged: pull.merged.as_ref().map(|merged| merged.commit.clone()),
            labels: pull.labels.clone(),
            comments: comments(pull),
            reviews: reviews(pull),
        };
        world.repos[index].pulls.values().map(view).collect()
    }

    /// The issues of a repository, oldest first: title, text, and whether it is open.
    pub fn issues(&self, repo: &str) -> Vec<(String, String, bool)> {
        let world = self.world();
        let issues = world.repos[self.index(&world, repo)].issues.values();
        let view =
            |i: &super::world::Issue| (i.title.clone(), i.body.clone().unwrap_or_default(), i.open);
        issues.map(view).collect()
    }

    /// One pull request.
    pub fn pull(&self, repo: &str, number: PullNumber) -> PullView {
        let found = self
            .pulls(repo)
            .into_iter()
            .find(|pull| pull.number == number);
        found.unwrap_or_else(|| panic!("the sandbox has no pull request {number} in `{repo}`"))
    }

    /// The check runs of a commit, oldest first.
    pub fn checks(&self, repo: &str, commit: &str) -> Vec<CheckView> {
        let world = self.world();
        let runs = world.repos[self.index(&world, repo)]
            .checks
            .values()
            .filter(|run| run.head_sha == commit);
        runs.map(|run| CheckView {
            id: run.id,
            name: run.name.clone(),
            status: run.status.clone(),
            conclusion: run.conclusion.clone(),
            title: run.title.clone().unwrap_or_default(),
            summary: run.summary.clone().unwrap_or_default(),
            text: run.text.clone().unwrap_or_default(),
            annotations: run.annotations.clone(),
        })
        .collect()
    }

    /// The members of a team itself, with those who are only invited.
    pub fn team_members(&self, team: &str) -> Vec<(String, Membership)> {
        let world = self.world();
        let members = world.teams[team_index(&world, team)].members.iter();
        let state = |active: bool| {
            if active {
                Membership::Active
            } else {
                Membership::Pending
            }
        };
        members
            .map(|(id, belonging)| (world.accounts[id].login.clone(), state(belonging.active)))
            .collect()
    }

    /// The activity of a repository, oldest first.
    pub fn activity(&self, repo: &str) -> Vec<ActivityView> {
        let world = self.world();
        let entries = world.repos[self.index(&world, repo)].activity.iter();
        let view = |entry: &super::world::Activity| ActivityView {
            kind: entry.kind.to_owned(),
            reference: entry.reference.clone(),
            actor: world.accounts[&entry.actor].login.clone(),
            after: entry.after.clone(),
            at: entry.at,
        };
        entries.map(view).collect()
    }

    /// The tip of a branch.
    pub fn branch_tip(&self, repo: &str, branch: &str) -> Option<CommitId> {
        let world = self.world();
        let git = world.git(self.index(&world, repo)).ok()?;
        let tip: Option<Oid> = git::tip(&git, &format!("refs/heads/{branch}")).ok()?;
        commit_id(tip?).ok()
    }

    /// The content of a file at the tip of a branch, if it is there.
    pub fn file(&self, repo: &str, branch: &str, path: &str) -> Option<Vec<u8>> {
        let world = self.world();
        let git = world.git(self.index(&world, repo)).ok()?;
        let tip = git.refname_to_id(&format!("refs/heads/{branch}")).ok()?;
        let entry = git
            .find_commit(tip)
            .ok()?
            .tree()
            .ok()?
            .get_path(std::path::Path::new(path))
            .ok()?;
        let blob = git.find_blob(entry.id()).ok()?;
        Some(blob.content().to_vec())
    }

    /// Everything that is written in all repositories beside git: pull requests, comments, reviews, checks, issues, answers to deployments. To
    /// look for what must not stand there.
    pub fn written(&self) -> String {
        let world = self.world();
        let of = |repo: &super::world::Repo| {
            format!(
                "{:?} {:?} {:?} {:?} {:?}\n",
                repo.pulls, repo.comments, repo.checks, repo.issues, repo.runs
            )
        };
        world.repos.iter().map(of).collect()
    }

    /// Where the bare repository lies.
    pub fn repository_path(&self, repo: &str) -> PathBuf {
        let world = self.world();
        world.repos[self.index(&world, repo)].path.clone()
    }

    /// How often each operation was called (`GET /repos/{owner}/{repo}`, `GIT upload-pack`), failed calls included.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        locked(&self.shared.calls).clone()
    }

    /// Forgets the calls so far.
    pub fn reset_calls(&self) {
        locked(&self.shared.calls).clear();
    }

    /// Everything that was sent, or would have been, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.post.log()
    }

    /// Waits until every webhook that is due was delivered.
    pub async fn settle(&self) {
        self.post.settle().await;
    }

    /// What broke GitHub's contract so far: requests, answers, webhooks.
    pub fn violations(&self) -> Vec<String> {
        self.shared.gate.violations()
    }
}
