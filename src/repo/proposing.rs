//! Proposing a change from somebody's own clone: a commit on a branch, pushed, without touching work tree, index or HEAD.

use std::cell::{Cell, RefCell};

use git2::build::TreeUpdateBuilder;
use git2::{
    BranchType, ErrorClass, ErrorCode, FileMode, Oid, PushOptions, PushUpdate, RemoteCallbacks,
    RemoteRedirect, Repository,
};

use super::history::{absent_is_none, commit, commit_id, is_ancestor};
use super::remote::{Heard, heard_by, one_line, options};
use super::{Remote, RepoError, broken, transport};
use crate::domain::model::{CommitId, RepoPath};

/// What becomes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Its path.
    pub path: RepoPath,
    /// What it will hold; `None`: it goes.
    pub content: Option<Vec<u8>>,
}

/// A commit to be made.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The branch that gets it, without `refs/heads/`.
    pub branch: &'a str,
    /// What it stands on.
    pub onto: &'a CommitId,
    /// What it changes.
    pub files: &'a [FileChange],
    /// Its message. The first line tells our own branches from others of that name.
    pub message: &'a str,
}

impl Change<'_> {
    /// Whether the tip of a branch is an earlier attempt at the same, with no other work below it.
    pub fn is_attempt(&self, repo: &Repository, tip: &CommitId) -> bool {
        let title = self.message.lines().next();
        commit(repo, tip).is_ok_and(|tip| {
            let parents: Vec<CommitId> = tip.parent_ids().map(commit_id).collect();
            let [parent] = parents.as_slice() else {
                return false;
            };
            tip.summary().ok().flatten() == title
                && is_ancestor(repo, parent, self.onto).unwrap_or_default()
        })
    }
}

/// The address of a remote by its name, as git would use it; `None` when there is no such remote.
///
/// # Errors
/// [`RepoError::Broken`].
pub fn remote_url(repo: &Repository, name: &str) -> Result<Option<String>, RepoError> {
    let what = format!("read the remote {name}");
    let found = absent_is_none(repo.find_remote(name)).map_err(broken(&what))?;
    Ok(found.and_then(|remote| remote.url().ok().map(str::to_owned)))
}

/// The names of all remotes.
///
/// # Errors
/// [`RepoError::Broken`].
pub fn remotes(repo: &Repository) -> Result<Vec<String>, RepoError> {
    let names = repo.remotes().map_err(broken("list the remotes"))?;
    let names = names.iter().filter_map(|name| name.ok().flatten());
    Ok(names.map(str::to_owned).collect())
}

/// The branch that a remote called its own when it was cloned.
pub fn default_branch(repo: &Repository, remote: &str) -> Option<String> {
    let prefix = format!("refs/remotes/{remote}/");
    let head = repo.find_reference(&format!("{prefix}HEAD")).ok()?;
    let target = head.symbolic_target().ok().flatten()?;
    target.strip_prefix(&prefix).map(str::to_owned)
}

/// Brings the remote-tracking ref of one branch up to date, as `git fetch` does, and tells where the branch stands there; `None`
/// when there is none, and then the ref stays as it was.
///
/// # Errors
/// [`RepoError::Unavailable`], [`RepoError::Refused`].
pub fn fetch_branch(
    repo: &Repository,
    from: &Remote,
    (remote, branch): (&str, &str),
) -> Result<Option<CommitId>, RepoError> {
    let spec = format!("+refs/heads/{branch}:refs/remotes/{remote}/{branch}");
    let there = Cell::new(None);
    transport::session(from, &format!("fetch {branch} from {}", from.url), || {
        let mut callbacks = RemoteCallbacks::new();
        callbacks.update_tips(|_, _, tip| {
            there.set(Some(tip));
            true
        });
        let mut options = options();
        options.remote_callbacks(callbacks).report_unchanged(true);
        repo.remote_anonymous(&from.url)?
            .fetch(&[&spec], Some(&mut options), None)
    })?;
    Ok(there.get().map(commit_id))
}

/// Where a remote's branch stood when it was last looked at.
///
/// # Errors
/// [`RepoError::Broken`].
pub fn known_tip(
    repo: &Repository,
    remote: &str,
    branch: &str,
) -> Result<Option<CommitId>, RepoError> {
    super::history::tip(repo, &format!("refs/remotes/{remote}/{branch}"))
}

/// Commits a change on a branch of its own, in the name that git is configured with. A branch of that name is replaced when it is
/// an earlier attempt at the same, and left alone otherwise.
///
/// # Errors
/// [`RepoError::Refused`] when somebody's other work has that branch, or git does not know who commits.
pub fn commit_change(repo: &Repository, change: &Change<'_>) -> Result<CommitId, RepoError> {
    let onto = commit(repo, change.onto)?;
    may_replace(repo, change)?;
    let who = repo.signature().map_err(|_| RepoError::Refused {
        reason: "git does not know who you are: set user.name and user.email with `git config`"
            .to_owned(),
    })?;
    let write = || -> Result<Oid, git2::Error> {
        let mut update = TreeUpdateBuilder::new();
        for file in change.files {
            match &file.content {
                Some(bytes) => {
                    let blob = repo.blob(bytes)?;
                    update.upsert(file.path.as_str(), blob, FileMode::Blob);
                }
                None => drop(update.remove(file.path.as_str())),
            }
        }
        let tree = repo.find_tree(update.create_updated(repo, &onto.tree()?)?)?;
        let made = repo.commit(None, &who, &who, change.message, &tree, &[&onto])?;
        repo.branch(change.branch, &repo.find_commit(made)?, true)?;
        Ok(made)
    };
    let made = write().map_err(broken(&format!("commit on {}", change.branch)))?;
    Ok(commit_id(made))
}

/// Whether the branch may be moved: only when nobody works on it, and it is an earlier attempt at the same.
fn may_replace(repo: &Repository, change: &Change<'_>) -> Result<(), RepoError> {
    let name = change.branch;
    let found = absent_is_none(repo.find_branch(name, BranchType::Local))
        .map_err(broken(&format!("read {name}")))?;
    let Some(branch) = found else {
        return Ok(());
    };
    let tip = branch.get().peel_to_commit();
    let same = tip.is_ok_and(|tip| change.is_attempt(repo, &commit_id(tip.id())));
    if same && !branch.is_head() {
        return Ok(());
    }
    Err(RepoError::Refused {
        reason: format!("a branch `{name}` of yours holds something else; name another one"),
    })
}

/// Pushes a branch over what the remote was `seen` to have there, which is to be nothing, or an earlier attempt at the same
/// ([`Change::is_attempt`]).
///
/// # Errors
/// [`RepoError::Refused`] when something else stands there by now, or the remote says no; [`RepoError::Unavailable`].
pub fn push_branch(
    repo: &Repository,
    to: &Remote,
    branch: &str,
    seen: Option<&CommitId>,
) -> Result<(), RepoError> {
    let spec = format!("+refs/heads/{branch}:refs/heads/{branch}");
    let heard = RefCell::new(Heard::default());
    transport::session(to, &format!("push {branch} to {}", to.url), || {
        let mut callbacks = heard_by(&heard);
        // What the remote tells here is what it demands to find when it writes.
        callbacks.push_negotiation(|updates| {
            let there = |update: &PushUpdate<'_>| {
                let tip = Some(update.src()).filter(|tip| !tip.is_zero());
                tip.map(commit_id)
            };
            match updates.iter().all(|update| there(update).as_ref() == seen) {
                true => Ok(()),
                false => Err(changed(branch)),
            }
        });
        let mut options = PushOptions::new();
        options
            .remote_callbacks(callbacks)
            .packbuilder_parallelism(1)
            .follow_redirects(RemoteRedirect::None);
        repo.remote_anonymous(&to.url)?
            .push(&[&spec], Some(&mut options))
    })?;
    match heard.into_inner().status {
        Some(Err(reason)) => Err(RepoError::Refused {
            reason: format!("{branch}: {}", one_line(&reason)),
        }),
        Some(Ok(())) | None => Ok(()),
    }
}

fn changed(branch: &str) -> git2::Error {
    let what = format!("{branch}: somebody changed it there meanwhile");
    git2::Error::new(ErrorCode::NotFastForward, ErrorClass::Reference, what)
}
