//! What follows from a ref that moved: activity, webhooks, pull requests that move along.

use git2::{Oid, Repository};

use super::git;
use super::model::Permission;
use super::refusal::Refusal;
use super::render;
use super::world::{Activity, Merged, World};

/// A ref that was moved by somebody. Names are full; `None` is "does not exist".
#[derive(Debug, Clone)]
pub struct Moved {
    pub reference: String,
    pub before: Option<Oid>,
    pub after: Option<Oid>,
    pub by: u64,
    /// Whether the move is the merge of a pull request.
    pub merge: bool,
}

impl Moved {
    fn branch(&self) -> Option<&str> {
        self.reference.strip_prefix("refs/heads/")
    }
}

pub fn hex_or_zero(id: Option<Oid>) -> String {
    id.unwrap_or(Oid::ZERO_SHA1).to_string()
}

impl World {
    /// Opens the bare repository.
    pub fn git(&self, repo: usize) -> Result<Repository, Refusal> {
        Ok(Repository::open_bare(&self.repos[repo].path)?)
    }

    /// Moves a ref and lets everything follow.
    pub fn move_ref(&mut self, repo: usize, moved: Moved) -> Result<(), Refusal> {
        let git = self.git(repo)?;
        match moved.after {
            Some(after) => drop(git.reference(&moved.reference, after, true, "sandbox")?),
            None => git.find_reference(&moved.reference)?.delete()?,
        }
        self.ref_moved(repo, &moved)
    }

    /// Lets everything follow from a ref that was moved already.
    pub fn ref_moved(&mut self, repo: usize, moved: &Moved) -> Result<(), Refusal> {
        if moved.before == moved.after {
            return Ok(());
        }
        let git = self.git(repo)?;
        let forced = matches!((moved.before, moved.after), (Some(before), Some(after)) if !git::contains(&git, after, before));
        self.record_activity(repo, moved, forced);
        let payload = render::events::push(self, repo, &git, moved, forced)?;
        self.post.send("push", payload);
        let Some(branch) = moved.branch().map(str::to_owned) else {
            return Ok(());
        };
        self.head_moved(repo, &git, &branch, moved)?;
        if let Some(after) = moved.after {
            self.base_moved(repo, &git, &branch, after, moved)?;
        }
        Ok(())
    }

    fn record_activity(&mut self, repo: usize, moved: &Moved, forced: bool) {
        let kind = match (moved.before, moved.after) {
            _ if moved.merge => "pr_merge",
            (None, _) => "branch_creation",
            (_, None) => "branch_deletion",
            _ if forced => "force_push",
            _ => "push",
        };
        let entry = Activity {
            id: self.fresh_id(),
            kind,
            reference: moved.reference.clone(),
            before: hex_or_zero(moved.before),
            after: hex_or_zero(moved.after),
            actor: moved.by,
            at: self.now(),
        };
        self.repos[repo].pushed_at = entry.at;
        self.repos[repo].activity.push(entry);
    }

    fn open_pulls(&self, repo: usize, wanted: impl Fn(&super::world::Pull) -> bool) -> Vec<u64> {
        self.repos[repo]
            .pulls
            .values()
            .filter(|pull| pull.open && wanted(pull))
            .map(|pull| pull.number)
            .collect()
    }

    /// The open pull requests from `branch` follow it, or close when it is gone.
    fn head_moved(
        &mut self,
        repo: usize,
        git: &Repository,
        branch: &str,
        moved: &Moved,
    ) -> Result<(), Refusal> {
        for number in self.open_pulls(repo, |pull| pull.head == branch) {
            let Some(after) = moved.after else {
                self.close(repo, number, moved.by)?;
                continue;
            };
            let now = self.now();
            let base = git::tip(
                git,
                &format!("refs/heads/{}", self.pull(repo, number)?.base),
            )?;
            let pull = self.pull_mut(repo, number)?;
            pull.head_sha = after.to_string();
            pull.updated_at = now;
            if let Some(base) = base {
                pull.base_sha = base.to_string();
            }
            git.reference(&format!("refs/pull/{number}/head"), after, true, "sandbox")?;
            let payload = render::events::synchronize(self, repo, number, moved)?;
            self.post.send("pull_request", payload);
            self.dismiss_stale(repo, number, moved.by)?;
        }
        Ok(())
    }

    /// The open pull requests into `branch` whose commits it has now are merged, whoever put them there.
    fn base_moved(
        &mut self,
        repo: usize,
        git: &Repository,
        branch: &str,
        after: Oid,
        moved: &Moved,
    ) -> Result<(), Refusal> {
        for number in self.open_pulls(repo, |pull| pull.base == branch) {
            let head = Oid::from_str(&self.pull(repo, number)?.head_sha)?;
            if git::contains(git, after, head) {
                self.mark_merged(repo, number, moved.before.unwrap_or(after), after, moved.by)?;
            }
        }
        Ok(())
    }

    /// Marks a pull request merged onto `base` as `commit`, and tells.
    pub fn mark_merged(
        &mut self,
        repo: usize,
        number: u64,
        base: Oid,
        commit: Oid,
        by: u64,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let pull = self.pull_mut(repo, number)?;
        pull.open = false;
        pull.base_sha = base.to_string();
        pull.merged = Some(Merged {
            commit: commit.to_string(),
            at: now,
            by,
        });
        pull.closed_at = Some(now);
        pull.updated_at = now;
        self.tell_pull(repo, number, "closed", by)
    }

    /// Sends a `pull_request` webhook without particulars.
    pub fn tell_pull(
        &self,
        repo: usize,
        number: u64,
        action: &str,
        by: u64,
    ) -> Result<(), Refusal> {
        let payload = render::events::pull(self, repo, number, action, by)?;
        self.post.send("pull_request", payload);
        Ok(())
    }

    /// 403 unless `user` may do at least this.
    pub fn demand(&self, user: u64, repo: usize, least: Permission) -> Result<(), Refusal> {
        match self.permission(user, repo) {
            Some(have) if have >= least => Ok(()),
            Some(_) => Err(Refusal::new(
                403,
                format!("Must have {} rights to Repository.", least.role_name()),
            )),
            None => Err(Refusal::not_found()),
        }
    }
}
