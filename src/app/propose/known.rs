//! What a clone holds beside the branch that counts: the evidence, and branches of earlier attempts.

use std::path::Path;

use git2::BranchType;

use super::{FileChange, OwnClone, ProposeError};
use crate::app::audit;
use crate::domain::audit::Lives;
use crate::domain::model::{CommitId, GrantPath};
use crate::repo::read;

/// What the evidence tells, as far as it is at hand.
#[derive(Debug, Default)]
pub struct Evidence {
    /// What it tells; `None` where there is none.
    pub lives: Option<Lives>,
    /// Why it is not there, or may be old.
    pub why: Option<String>,
    /// That something on its branch could not be read.
    pub left_out: Option<String>,
}

/// Whether a branch can take a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchState {
    /// There is none of this name.
    Free,
    /// It holds just this change: an earlier attempt.
    Same,
    /// It holds something else.
    Taken,
}

impl OwnClone {
    /// The commit of the branch that counts.
    pub fn tip(&self) -> &CommitId {
        &self.tip
    }

    /// Whether something stands at `path` on the branch that counts.
    pub fn holds(&self, path: &str) -> bool {
        let found = read::objects(&self.repo, &self.tip, &[path]);
        found.is_ok_and(|found| !found.is_empty())
    }

    /// What the evidence tells. It is fetched first where there is a token.
    pub fn evidence(&self) -> Evidence {
        let name = "hallpass/evidence";
        let tracking = format!("refs/remotes/{}/{name}", self.remote);
        let fetched = self
            .token
            .as_ref()
            .map(|token| super::fetch(&self.repo, &self.place, token, (&self.remote, name)));
        if read::resolve(&self.repo, &tracking).is_err() {
            let why = format!(
                "this clone has no evidence (`git fetch {0} {name}:{tracking}` brings it)",
                self.remote
            );
            return Evidence {
                why: Some(why),
                ..Evidence::default()
            };
        }
        let clone = audit::Clone::open(&audit::Place {
            folder: self.repo.path().to_owned(),
            evidence: Some(tracking),
            main: Some(self.tip.to_string()),
        });
        match clone.and_then(|clone| clone.lives()) {
            Ok(told) => Evidence {
                left_out: told.doubt(),
                lives: Some(told.lives),
                why: match fetched {
                    Some(None) => None,
                    Some(Some(why)) => Some(why),
                    None => self.stale.clone(),
                },
            },
            Err(error) => Evidence {
                why: Some(format!("the evidence cannot be read: {error:#}")),
                ..Evidence::default()
            },
        }
    }

    /// The content of `path` in some commit of this clone.
    ///
    /// # Errors
    /// When the commit is not here.
    pub fn file_at(
        &self,
        commit: &CommitId,
        path: &GrantPath,
    ) -> Result<Option<String>, ProposeError> {
        let file = read::grant_file(&self.repo, commit, path)?;
        Ok(file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()))
    }

    /// Whether `branch` can take `change`: here, as last fetched from the remote, and in pull requests that are open.
    pub fn branch_state(&self, branch: &str, change: &FileChange) -> BranchState {
        let names = [
            (branch.to_owned(), BranchType::Local),
            (format!("{}/{branch}", self.remote), BranchType::Remote),
        ];
        let mut state = BranchState::Free;
        for (name, kind) in names {
            let Ok(found) = self.repo.find_branch(&name, kind) else {
                continue;
            };
            if !self.brings(found.get(), change) {
                return BranchState::Taken;
            }
            state = BranchState::Same;
        }
        let is_open = |rest: &super::rest::Rest<'_>| rest.find_open(branch, &self.base);
        match (state, self.rest()) {
            (BranchState::Free, Some(Ok(rest))) if matches!(is_open(&rest), Ok(Some(_))) => {
                BranchState::Taken
            }
            (state, _) => state,
        }
    }

    /// Whether the tip of a branch is just `change`.
    fn brings(&self, branch: &git2::Reference<'_>, change: &FileChange) -> bool {
        let read = || {
            let commit = branch.peel_to_commit().ok()?;
            let parent = commit.parent(0).ok()?.tree().ok()?;
            let tree = commit.tree().ok()?;
            let diff = self
                .repo
                .diff_tree_to_tree(Some(&parent), Some(&tree), None)
                .ok()?;
            let entry = tree.get_path(Path::new(change.path.as_str())).ok();
            let blob = entry.and_then(|entry| self.repo.find_blob(entry.id()).ok());
            let same = blob.as_ref().map(git2::Blob::content) == change.content.as_deref();
            Some(diff.deltas().len() == 1 && same)
        };
        read().unwrap_or_default()
    }

    /// A branch for `change`: `stem`, with a number where that holds something else.
    pub fn branch_for(&self, stem: &str, change: &FileChange) -> String {
        let name = |n: u32| match n {
            1 => stem.to_owned(),
            n => format!("{stem}-{n}"),
        };
        let fits = |name: &String| self.branch_state(name, change) != BranchState::Taken;
        (1..100)
            .map(name)
            .find(fits)
            .unwrap_or_else(|| stem.to_owned())
    }

    /// Whether git knows who commits here, which every commit says.
    pub fn can_commit(&self) -> bool {
        self.repo.signature().is_ok()
    }
}
