//! What a pull request touches, and what must be asked about it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::super::catalogue::{Catalogue, ChangedFile, Declared, role_at};
use super::super::changes::Changes;
use super::super::model::{
    BlobId, CommitId, GrantPath, Instant, Owner, RecordPath, RepoPath, RoleRef, Subject, UserId,
};
use super::super::pull::{Pull, PullState, ReviewState};
use super::super::rules::is_control_path;
use super::super::tenure::ALWAYS;
use super::{Asks, Case};

/// By how much the forge's clock may differ from ours at the most, its whole seconds among that.
const CLOCKS: TimeDelta = TimeDelta::minutes(1);

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
    /// The instant by which terms and ages are judged: a merged request asked at its merge, however late we look.
    pub fn judged_at(&self) -> Instant {
        match self.pull.state {
            PullState::Merged { at, .. } => at,
            PullState::Open | PullState::Closed => self.now,
        }
    }

    /// For how many minutes an account has been seen as `owner`. A name in CODEOWNERS stands there by an owner's review, and needs no time.
    ///
    /// While a request is open, by a minute less than it was: the forge dates the merge in whole seconds and by a clock of its own, and
    /// what is green here must not be found wanting there.
    pub(in super::super) fn owner_minutes(&self, owner: &Owner, id: UserId) -> i64 {
        let at = match self.pull.state {
            PullState::Merged { at, .. } => at,
            PullState::Open | PullState::Closed => self.now - CLOCKS,
        };
        match owner {
            Owner::User(_) => ALWAYS,
            Owner::Team { .. } | Owner::Email(_) => {
                let tenure = self.around.tenures.get(owner);
                tenure.map_or(0, |tenure| tenure.minutes(id, at))
            }
        }
    }

    /// The files of the base whose grants have ended although they stand there.
    pub(super) fn over(&self) -> BTreeSet<GrantPath> {
        let stands = |(path, blob): &(&GrantPath, &BlobId)| {
            let declared = self.base.grants.get(*path);
            declared.is_some_and(|declared| declared.blob == **blob)
        };
        let over = self.ended.iter().filter(stands);
        over.map(|(path, _)| path.clone()).collect()
    }

    /// Whether a change has anything to do with access, or with who decides about it.
    pub fn is_governed(changes: &[ChangedFile]) -> bool {
        !Scope::of(changes).is_empty()
    }

    /// What a change asks for: for whom, and which roles, bundles and what they bundle.
    pub fn asks(base: &Catalogue, changes: &Changes) -> Asks {
        let ask = |(path, declared): (&GrantPath, &Declared)| {
            let subject = declared.grant.subject.clone();
            let roles = base.binding(path, &declared.grant).into_iter();
            roles.map(move |role| (subject.clone(), role))
        };
        changes.asked().flat_map(ask).collect()
    }

    /// The grant files of the base in whose way a request could be, and which could be in its: what gives its subjects the roles
    /// that it asks for, or roles that exclude them; and any role, where a policy asks what they have.
    pub fn files_beside(base: &Catalogue, asks: &Asks) -> BTreeSet<GrantPath> {
        let giving = |subject: &Subject, role: &RoleRef| {
            let giving = base.giving(subject, role);
            giving.map(|(path, _)| path.clone()).collect::<Vec<_>>()
        };
        let mut beside = BTreeSet::new();
        if base.policies.asks_live_roles() {
            let subjects: BTreeSet<&Subject> = asks.iter().map(|(subject, _)| subject).collect();
            for role in base.plain_roles() {
                beside.extend(subjects.iter().flat_map(|subject| giving(subject, &role)));
            }
        }
        for (subject, role) in asks {
            beside.extend(giving(subject, role));
            for excluded in base.excluded_by(role).into_iter().flatten() {
                beside.extend(giving(subject, excluded));
                let hands = base.same_hand(subject).into_iter();
                beside.extend(hands.flat_map(|other| giving(&other, excluded)));
            }
        }
        beside
    }

    /// The owners that a roster must answer for, so that the change can be judged: everybody whom a deciding line of the base
    /// names for a governed path, and for requests the teams whose members alone may ask for the role and those that policies mention.
    /// Nobody's word is needed for files whose access has already `ended`. Email addresses are left out, as they stand for nobody.
    pub fn owners_to_ask(
        base: &Catalogue,
        changes: &Changes,
        ended: &BTreeMap<GrantPath, BlobId>,
    ) -> BTreeSet<Owner> {
        let mut owners = BTreeSet::new();
        let open = || changes.iter().filter(|change| !tidies(change, ended));
        for path in open().filter_map(to_compare) {
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
        for path in open().filter_map(|c| GrantPath::new(&c.path).ok()) {
            owners.extend(owners_of_parts(base, changes, &path));
        }
        for may in Self::may_ask(base, base, changes).values() {
            owners.extend(may.teams().cloned());
        }
        owners.retain(|owner| !matches!(owner, Owner::Email(_)));
        owners
    }

    /// The paths whose content must be known in every commit of [`Case::commits_to_compare`], for [`super::super::pull::Reviewed`].
    pub fn paths_to_compare(changes: &[ChangedFile]) -> Vec<RepoPath> {
        changes.iter().filter_map(to_compare).collect()
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

/// Whether `change` removes a file whose access has already ended, and nothing else.
pub(super) fn tidies(change: &ChangedFile, ended: &BTreeMap<GrantPath, BlobId>) -> bool {
    let (Some((blob, _)), None) = (&change.before, &change.after) else {
        return false;
    };
    GrantPath::new(&change.path).is_ok_and(|path| ended.get(&path) == Some(blob))
}

fn to_compare(change: &ChangedFile) -> Option<RepoPath> {
    let governed = is_governed(&change.path);
    RepoPath::new(&change.path).ok().filter(|_| governed)
}

/// The owners of the parts of the bundle that a change asks for at `path`, or ends there.
fn owners_of_parts(base: &Catalogue, changes: &Changes, path: &GrantPath) -> BTreeSet<Owner> {
    let declared = changes.asked_at(path).or_else(|| base.grants.get(path));
    let parts = declared.and_then(|declared| base.parts(&role_at(path, &declared.grant)));
    let alone = |part: &RoleRef| path.within(&part.resource).as_repo_path();
    let parts = parts.into_iter().flatten();
    parts
        .flat_map(|part| base.codeowners.owners(&alone(part)).owners().to_vec())
        .collect()
}
