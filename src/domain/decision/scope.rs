//! What a pull request touches, and what must be asked about it.

use std::collections::BTreeSet;

use super::super::catalogue::{Catalogue, ChangedFile};
use super::super::model::{CommitId, GrantPath, Owner, RecordPath, RepoPath};
use super::super::pull::{Pull, ReviewState};
use super::super::rules::is_control_path;
use super::Case;

/// The governed part of a change.
pub(super) struct Scope<'a> {
    /// Well-formed grant files.
    pub(super) grants: Vec<(GrantPath, &'a ChangedFile)>,
    /// Everything else that is governed.
    pub(super) control: Vec<&'a ChangedFile>,
    /// Whether anything else changes.
    pub(super) others: bool,
}

impl<'a> Scope<'a> {
    pub(super) fn of(changes: &'a [ChangedFile]) -> Self {
        let mut scope = Self {
            grants: Vec::new(),
            control: Vec::new(),
            others: false,
        };
        for change in changes {
            if let Ok(path) = GrantPath::new(&change.path) {
                scope.grants.push((path, change));
            } else if is_governed(&change.path) {
                scope.control.push(change);
            } else {
                scope.others = true;
            }
        }
        scope.grants.sort_by(|a, b| a.0.cmp(&b.0));
        scope.control.sort_by(|a, b| a.path.cmp(&b.path));
        scope
    }

    pub(super) fn is_empty(&self) -> bool {
        self.grants.is_empty() && self.control.is_empty()
    }

    pub(super) fn only_grants(&self) -> bool {
        !self.grants.is_empty() && self.control.is_empty() && !self.others
    }

    /// The first file under `access/`, if there is one.
    pub(super) fn in_access(&self) -> Option<&str> {
        let control = self.control.iter().map(|c| c.path.as_str());
        let grants = self.grants.iter().map(|(path, _)| path.as_str());
        grants.chain(control).find(|path| in_access(path))
    }
}

fn in_access(path: &str) -> bool {
    path == "access" || path.starts_with("access/")
}

fn is_governed(path: &str) -> bool {
    in_access(path) || is_control_path(path)
}

impl Case<'_> {
    /// The owners that a roster must answer for, so that the change can be judged: everybody whom a deciding line of the base
    /// names for a governed path, and for requests the teams that policies mention. Email addresses are left out, as they stand for nobody.
    pub fn owners_to_ask(base: &Catalogue, changes: &[ChangedFile]) -> BTreeSet<Owner> {
        let mut owners = BTreeSet::new();
        for path in Self::paths_to_compare(changes) {
            let named = base.codeowners.owners(&path);
            owners.extend(named.owners().iter().cloned());
            // What was given in an emergency is reviewed by those who own the grant.
            if let Ok(record) = RecordPath::new(path.as_str()) {
                let grant = record.grant().as_repo_path();
                owners.extend(base.codeowners.owners(&grant).owners().iter().cloned());
            }
        }
        let asks = |c: &ChangedFile| c.after.is_some() && GrantPath::new(&c.path).is_ok();
        if changes.iter().any(asks) {
            // Policies are asked about requests, and must know who is in the teams that they mention.
            owners.extend(base.policies.teams().iter().cloned());
        }
        owners.retain(|owner| !matches!(owner, Owner::Email(_)));
        owners
    }

    /// The paths whose content must be known in every commit of [`Case::commits_to_compare`], for [`super::super::pull::Reviewed`].
    pub fn paths_to_compare(changes: &[ChangedFile]) -> Vec<RepoPath> {
        let governed = changes.iter().filter(|c| is_governed(&c.path));
        governed
            .filter_map(|c| RepoPath::new(&c.path).ok())
            .collect()
    }

    /// The commits that approving reviews looked at.
    pub fn commits_to_compare(pull: &Pull) -> BTreeSet<CommitId> {
        let approving = pull
            .reviews
            .iter()
            .filter(|r| r.state == ReviewState::Approved);
        approving.filter_map(|r| r.commit.clone()).collect()
    }
}
