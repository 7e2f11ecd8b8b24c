//! Pull requests from forks.
//!
//! A fork itself cannot be reached here: of its branches, only what GitHub copies to `refs/pull/N/head` exists.

use git2::Oid;

use crate::domain::model::{CommitId, PullNumber};

use super::Sandbox;
use super::changes::Moved;
use super::git;
use super::merging::PROTECTED;
use super::model::Change;
use super::people::commit_id;
use super::pulling::NewPull;
use super::refusal::Refusal;
use super::world::World;

impl Sandbox {
    /// Opens a pull request to `main` from a fork, which may be anybody's.
    ///
    /// # Errors
    /// When git cannot write the commit.
    pub fn open_pull_from_fork(
        &self,
        user: &str,
        repo: &str,
        branch: &str,
        changes: &[Change],
        title: &str,
    ) -> Result<PullNumber, Refusal> {
        let mut world = self.world();
        let (repo, by) = (self.index(&world, repo), self.id(&world, user));
        let base = world
            .git(repo)?
            .refname_to_id(&format!("refs/heads/{PROTECTED}"))?;
        let commit = commit_on(&world, repo, by, base, changes, title)?;
        let new = NewPull {
            head: branch.to_owned(),
            base: PROTECTED.to_owned(),
            title: title.to_owned(),
            body: None,
            draft: false,
        };
        world
            .add_pull(repo, by, new, commit, base, Some(by))
            .map(PullNumber)
    }

    /// Pushes to a pull request's branch in its fork. The repository's activity does not show it.
    ///
    /// # Errors
    /// When git cannot write the commit, or the pull request is not from a fork.
    pub fn push_to_fork(
        &self,
        user: &str,
        repo: &str,
        pull: PullNumber,
        changes: &[Change],
        message: &str,
    ) -> Result<CommitId, Refusal> {
        let mut world = self.world();
        let (repo, by) = (self.index(&world, repo), self.id(&world, user));
        let found = world.pull(repo, pull.0)?;
        if found.fork.is_none() {
            return Err(Refusal::invalid("The pull request is not from a fork"));
        }
        let before = Oid::from_str(&found.head_sha)?;
        let reference = format!("refs/heads/{}", found.head);
        let commit = commit_on(&world, repo, by, before, changes, message)?;
        let moved = Moved {
            reference,
            before: Some(before),
            after: Some(commit),
            by,
            merge: false,
        };
        let git = world.git(repo)?;
        world.follow(repo, &git, pull.0, commit, &moved)?;
        commit_id(commit)
    }
}

/// Writes a commit on top of another, without moving a ref.
pub(super) fn commit_on(
    world: &World,
    repo: usize,
    by: u64,
    parent: Oid,
    changes: &[Change],
    message: &str,
) -> Result<Oid, Refusal> {
    let git = world.git(repo)?;
    let parent = git.find_commit(parent)?;
    let tree = git::changed_tree(&git, Some(&parent.tree()?), changes)?;
    let signature = world.signature(by)?;
    let parents = [&parent];
    Ok(git.commit(None, &signature, &signature, message, &tree, &parents)?)
}
