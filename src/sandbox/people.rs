//! What people do at the web page and in their clones.
//!
//! Each answers at once; what follows (activity, pull requests that move along, webhooks) has happened by then, and the webhooks
//! are queued. Naming an account or a repository that does not exist is a bug of the caller, and panics; what GitHub would refuse
//! is a [`Refusal`].

use git2::Oid;

use crate::domain::model::{CommitId, PullNumber};

use super::Sandbox;
use super::changes::Moved;
use super::forks::commit_on;
use super::git;
use super::merging::{MergeWish, PROTECTED};
use super::model::{Change, MergeMethod, Verdict};
use super::pulling::{Edit, NewPull};
use super::refusal::Refusal;
use super::world::World;

/// A commit id of the domain, from one of git's.
pub(super) fn commit_id(id: Oid) -> Result<CommitId, Refusal> {
    CommitId::new(id.to_string()).map_err(|error| Refusal::new(500, error.to_string()))
}

impl World {
    /// Commits on top of `onto`, of the branch itself, or of `main` where that is new, and moves the branch there.
    pub fn push(
        &mut self,
        repo: usize,
        by: u64,
        (branch, onto): (&str, Option<&str>),
        changes: &[Change],
        message: &str,
    ) -> Result<Oid, Refusal> {
        let git = self.git(repo)?;
        let reference = format!("refs/heads/{branch}");
        let before = git::tip(&git, &reference)?;
        let parent = match (onto, before) {
            (Some(onto), _) => git.revparse_single(onto)?.peel_to_commit()?.id(),
            (None, Some(before)) => before,
            (None, None) => git.refname_to_id(&format!("refs/heads/{PROTECTED}"))?,
        };
        let commit = commit_on(self, repo, by, parent, changes, message)?;
        let moved = Moved {
            reference,
            before,
            after: Some(commit),
            by,
            merge: false,
        };
        self.move_ref(repo, moved)?;
        Ok(commit)
    }
}

impl Sandbox {
    /// Commits `changes` on top of `branch` (made from `main` if it is new) and pushes.
    ///
    /// # Errors
    /// When git cannot write the commit.
    pub fn push(
        &self,
        user: &str,
        repo: &str,
        branch: &str,
        changes: &[Change],
        message: &str,
    ) -> Result<CommitId, Refusal> {
        self.push_onto(user, repo, branch, None, changes, message)
    }

    /// Rewrites `branch`: one commit with `changes` on top of `onto` (a branch or a commit), pushed by force.
    ///
    /// # Errors
    /// When `onto` does not exist or git cannot write the commit.
    pub fn force_push(
        &self,
        user: &str,
        repo: &str,
        branch: &str,
        onto: &str,
        changes: &[Change],
        message: &str,
    ) -> Result<CommitId, Refusal> {
        self.push_onto(user, repo, branch, Some(onto), changes, message)
    }

    fn push_onto(
        &self,
        user: &str,
        repo: &str,
        branch: &str,
        onto: Option<&str>,
        changes: &[Change],
        message: &str,
    ) -> Result<CommitId, Refusal> {
        let mut world = self.world();
        let (repo, by) = (self.index(&world, repo), self.id(&world, user));
        commit_id(world.push(repo, by, (branch, onto), changes, message)?)
    }

    /// Pushes straight to `main`, as somebody on whom no rule is enforced.
    ///
    /// # Errors
    /// When git cannot write the commit.
    pub fn push_to_main(
        &self,
        user: &str,
        repo: &str,
        changes: &[Change],
        message: &str,
    ) -> Result<CommitId, Refusal> {
        self.push(user, repo, PROTECTED, changes, message)
    }

    /// Merges `from` into `branch` and pushes: what "Update branch" and `git merge main` do.
    ///
    /// # Errors
    /// When either does not exist, or they conflict.
    pub fn merge_into(
        &self,
        user: &str,
        repo: &str,
        branch: &str,
        from: &str,
    ) -> Result<CommitId, Refusal> {
        let mut world = self.world();
        let (repo, by) = (self.index(&world, repo), self.id(&world, user));
        let git = world.git(repo)?;
        let reference = format!("refs/heads/{branch}");
        let before = git.refname_to_id(&reference)?;
        let other = git.revparse_single(from)?.peel_to_commit()?.id();
        let signature = world.signature(by)?;
        let message = format!("Merge branch '{from}' into {branch}");
        let merge = git::MergeBy {
            author: &signature,
            committer: &signature,
            message: &message,
        };
        let commit = git::merge(&git, before, other, MergeMethod::Merge, &merge)?;
        self.force_ref(
            &mut world,
            repo,
            Moved {
                reference,
                before: Some(before),
                after: Some(commit),
                by,
                merge: false,
            },
        )?;
        commit_id(commit)
    }

    /// Deletes a branch, which closes the pull requests from it.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete_branch(&self, user: &str, repo: &str, branch: &str) -> Result<(), Refusal> {
        let mut world = self.world();
        let (repo, by) = (self.index(&world, repo), self.id(&world, user));
        let reference = format!("refs/heads/{branch}");
        let before = world.git(repo)?.refname_to_id(&reference)?;
        self.force_ref(
            &mut world,
            repo,
            Moved {
                reference,
                before: Some(before),
                after: None,
                by,
                merge: false,
            },
        )
    }

    /// Opens a pull request.
    ///
    /// # Errors
    /// As GitHub: unknown branches, nothing to merge, one that exists already.
    pub fn open_pull(
        &self,
        user: &str,
        repo: &str,
        head: &str,
        base: &str,
        title: &str,
        body: &str,
    ) -> Result<PullNumber, Refusal> {
        self.open(
            user,
            repo,
            NewPull {
                head: head.to_owned(),
                base: base.to_owned(),
                title: title.to_owned(),
                body: Some(body.to_owned()),
                draft: false,
            },
        )
    }

    /// Opens a draft.
    ///
    /// # Errors
    /// As [`Sandbox::open_pull`].
    pub fn open_draft(
        &self,
        user: &str,
        repo: &str,
        head: &str,
        base: &str,
        title: &str,
    ) -> Result<PullNumber, Refusal> {
        self.open(
            user,
            repo,
            NewPull {
                head: head.to_owned(),
                base: base.to_owned(),
                title: title.to_owned(),
                body: None,
                draft: true,
            },
        )
    }

    fn open(&self, user: &str, repo: &str, new: NewPull) -> Result<PullNumber, Refusal> {
        let mut world = self.world();
        let (repo, by) = (self.index(&world, repo), self.id(&world, user));
        world.open_pull(repo, by, new).map(PullNumber)
    }

    /// Does something with a pull request as somebody.
    fn with_pull<T>(
        &self,
        user: &str,
        repo: &str,
        act: impl FnOnce(&mut World, usize, u64) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut world = self.world();
        let (repo, by) = (self.index(&world, repo), self.id(&world, user));
        act(&mut world, repo, by)
    }

    /// Reviews the tip of a pull request. Answers the review's id.
    ///
    /// # Errors
    /// As GitHub: authors cannot approve or refuse their own, and a refusal needs words.
    pub fn review(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        verdict: Verdict,
        body: &str,
    ) -> Result<u64, Refusal> {
        self.with_pull(user, repo, |world, repo, by| {
            world.review(repo, pull.0, by, verdict, body, None)
        })
    }

    /// Reviews, naming the commit that was looked at, as the API lets any caller do.
    ///
    /// # Errors
    /// As [`Sandbox::review`], and when there is no such commit.
    pub fn review_at(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        verdict: Verdict,
        body: &str,
        commit: &CommitId,
    ) -> Result<u64, Refusal> {
        self.with_pull(user, repo, |world, repo, by| {
            world.review(repo, pull.0, by, verdict, body, Some(commit.as_str()))
        })
    }

    /// Records a review that GitHub would not have let pass: an author's approval of their own.
    ///
    /// # Errors
    /// When there is no such pull request.
    pub fn review_unchecked(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        verdict: Verdict,
        body: &str,
    ) -> Result<u64, Refusal> {
        self.with_pull(user, repo, |world, repo, by| {
            world.add_review(repo, pull.0, by, verdict, body, None)
        })
    }

    /// Dismisses a review.
    ///
    /// # Errors
    /// When there is none, or it was only a comment.
    pub fn dismiss_review(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        review: u64,
    ) -> Result<(), Refusal> {
        self.with_pull(user, repo, |world, repo, by| {
            world.dismiss(repo, pull.0, review, by)
        })
    }

    /// Somebody comments on a pull request. Returns the comment's id.
    ///
    /// # Errors
    /// When there is no such pull request.
    pub fn comment(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        body: &str,
    ) -> Result<u64, Refusal> {
        self.with_pull(user, repo, |world, repo, by| {
            world.add_comment(repo, pull.0, (by, None), body.to_owned())
        })
    }

    /// Puts a label on a pull request.
    ///
    /// # Errors
    /// When there is no such pull request.
    pub fn label(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        name: &str,
    ) -> Result<(), Refusal> {
        self.with_pull(user, repo, |world, repo, _| {
            world.pull_mut(repo, pull.0)?.labels.push(name.to_owned());
            Ok(())
        })
    }

    /// Closes without merging.
    ///
    /// # Errors
    /// When there is no such pull request.
    pub fn close_pull(&self, user: &str, repo: &str, pull: PullNumber) -> Result<(), Refusal> {
        self.with_pull(user, repo, |world, repo, by| world.close(repo, pull.0, by))
    }

    /// Reopens.
    ///
    /// # Errors
    /// As GitHub: not when merged, nor when the branch is gone or was rewritten.
    pub fn reopen(&self, user: &str, repo: &str, pull: PullNumber) -> Result<(), Refusal> {
        self.with_pull(user, repo, |world, repo, by| world.reopen(repo, pull.0, by))
    }

    /// Converts to a draft.
    ///
    /// # Errors
    /// When there is no such pull request.
    pub fn convert_to_draft(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
    ) -> Result<(), Refusal> {
        self.with_pull(user, repo, |world, repo, by| {
            world.set_draft(repo, pull.0, true, by)
        })
    }

    /// Marks ready for review.
    ///
    /// # Errors
    /// When there is no such pull request.
    pub fn ready_for_review(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
    ) -> Result<(), Refusal> {
        self.with_pull(user, repo, |world, repo, by| {
            world.set_draft(repo, pull.0, false, by)
        })
    }

    /// Changes the branch that a pull request wants to change.
    ///
    /// # Errors
    /// When there is no such branch.
    pub fn retarget(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        base: &str,
    ) -> Result<(), Refusal> {
        let edit = Edit {
            base: Some(base.to_owned()),
            ..Edit::default()
        };
        self.with_pull(user, repo, |world, repo, by| {
            world.edit(repo, pull.0, edit, by)
        })
    }

    /// Merges at the web page, under the rules.
    ///
    /// # Errors
    /// 405 for conflicts, drafts and unmet rules.
    pub fn merge(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        method: MergeMethod,
    ) -> Result<CommitId, Refusal> {
        self.merge_with(user, repo, pull, method, false)
    }

    /// Merges as an administrator who bypasses every rule.
    ///
    /// # Errors
    /// 405 for conflicts and drafts.
    pub fn merge_as_admin(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        method: MergeMethod,
    ) -> Result<CommitId, Refusal> {
        self.merge_with(user, repo, pull, method, true)
    }

    fn merge_with(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        method: MergeMethod,
        bypass: bool,
    ) -> Result<CommitId, Refusal> {
        let wish = MergeWish {
            method,
            title: None,
            message: None,
            sha: None,
            bypass,
        };
        let merged = self.with_pull(user, repo, |world, repo, by| {
            world.merge(repo, pull.0, by, None, wish)
        })?;
        commit_id(merged)
    }
}
