//! What differs between the files that decide before and after a change, so that only the grants concerned are looked at.

use std::collections::BTreeSet;

use crate::domain::catalogue::{Catalogue, ChangedFile};
use crate::domain::codeowners::LOCATIONS;
use crate::domain::model::{
    Grant, GrantPath, Login, ResourceName, Role, RoleName, RoleRef, ServiceName, Subject,
};
use crate::domain::parse::{Governed, classify};

/// Names of what a change changes.
#[derive(Debug, Default)]
pub(super) struct Difference {
    people: BTreeSet<Login>,
    /// Those whose file changes, and those whose owner comes or goes.
    services: BTreeSet<ServiceName>,
    resources: BTreeSet<ResourceName>,
    /// Roles of resources that stay as they are, whose conflicts change nevertheless.
    conflicts: BTreeSet<RoleRef>,
    /// Whether CODEOWNERS changes.
    pub(super) owners: bool,
    /// Whether policies change.
    pub(super) policies: bool,
}

impl Difference {
    pub(super) fn between(base: &Catalogue, head: &Catalogue, changes: &[ChangedFile]) -> Self {
        let mut found = Self::default();
        for change in changes {
            match classify(&change.path) {
                Some(Ok(Governed::Person(login)))
                    if base.people.get(&login) != head.people.get(&login) =>
                {
                    found.people.insert(login);
                }
                Some(Ok(Governed::Service(name)))
                    if base.services.get(&name) != head.services.get(&name) =>
                {
                    found.services.insert(name);
                }
                Some(Ok(Governed::Resource(name)))
                    if base.resources.get(&name) != head.resources.get(&name) =>
                {
                    found.resources.insert(name);
                }
                Some(Ok(Governed::Policy(_))) => found.policies = true,
                _ => {}
            }
            found.owners |= LOCATIONS.contains(&change.path.as_str());
        }
        found.owned_by_changed_people(base);
        if !found.resources.is_empty() {
            found.conflicts_beyond(base, head);
        }
        found
    }

    fn owned_by_changed_people(&mut self, base: &Catalogue) {
        let owned = base.services.iter();
        let owned = owned.filter(|(_, service)| self.people.contains(&service.owner));
        let owned: Vec<ServiceName> = owned.map(|(name, _)| name.clone()).collect();
        self.services.extend(owned);
    }

    /// A conflict counts for both roles, and only one of them says so.
    fn conflicts_beyond(&mut self, base: &Catalogue, head: &Catalogue) {
        for (name, resource) in &base.resources {
            if self.resources.contains(name) {
                continue;
            }
            for role in resource.roles.keys() {
                let role = RoleRef {
                    resource: name.clone(),
                    role: role.clone(),
                };
                if base.excluded_by(&role) != head.excluded_by(&role) {
                    self.conflicts.insert(role);
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let names = self.people.len() + self.services.len() + self.resources.len();
        names == 0 && self.conflicts.is_empty() && !self.owners && !self.policies
    }

    /// Whether anything changes that decides about this grant.
    pub(super) fn concerns(&self, base: &Catalogue, path: &GrantPath, grant: &Grant) -> bool {
        let roles = !self.resources.is_empty() || !self.conflicts.is_empty();
        let subject = match &grant.subject {
            Subject::Person(login) => self.people.contains(login),
            Subject::Service(name) => self.services.contains(name),
        };
        self.owners
            || self.policies
            || subject
            || (roles
                && base
                    .binding(path, grant)
                    .iter()
                    .any(|role| self.touches(role)))
    }

    fn touches(&self, role: &RoleRef) -> bool {
        self.resources.contains(&role.resource) || self.conflicts.contains(role)
    }

    /// The roles that allow less time in all than before, or need more approvals.
    pub(super) fn lowered(&self, base: &Catalogue, head: &Catalogue) -> BTreeSet<RoleRef> {
        let mut found = BTreeSet::new();
        for name in &self.resources {
            let roles = |tree: &Catalogue| tree.resources.get(name).map(|r| r.roles.clone());
            let (Some(before), Some(after)) = (roles(base), roles(head)) else {
                continue;
            };
            let lower = |(role, old): &(&RoleName, &Role)| {
                after.get(*role).is_some_and(|new| lowers(old, new))
            };
            let lowered = before.iter().filter(lower);
            found.extend(lowered.map(|(role, _)| RoleRef {
                resource: name.clone(),
                role: role.clone(),
            }));
        }
        found
    }
}

fn lowers(old: &Role, new: &Role) -> bool {
    new.max_duration.delta() < old.max_duration.delta()
        || new.max_total.delta() < old.max_total.delta()
        || new.min_duration.map(|t| t.delta()) > old.min_duration.map(|t| t.delta())
        || new.approvals > old.approvals
}
