//! What one tree of the repository declares: people, services, resources, owners and grants.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::codeowners::Codeowners;
use super::finding::Finding;
use super::model::{
    Access, Account, BlobId, Grant, GrantPath, Login, Person, Resource, ResourceName, Role,
    RoleName, Service, ServiceName, Subject, UserId,
};

/// The mode of a regular file in git: the only one that is accepted under `access/`.
pub const REGULAR_FILE: u32 = 0o100_644;

/// One file of a git tree (or of a work tree, with the mode git would give it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path, `/` between segments. May be hostile: it is checked by the rules, not by a type.
    pub path: String,
    /// Its git mode: [`REGULAR_FILE`], or `0o120000` (symbolic link), `0o160000` (submodule), `0o100755`.
    pub mode: u32,
    /// The id of its content.
    pub blob: BlobId,
    /// Its content.
    pub bytes: Arc<[u8]>,
}

/// How one path differs between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path.
    pub path: String,
    /// Blob and mode before; `None` for an added file.
    pub before: Option<(BlobId, u32)>,
    /// The file after; `None` for a deleted one. `bytes` is empty for paths that Hallpass does not read.
    pub after: Option<File>,
}

/// A grant file as it stands in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The id of its content.
    pub blob: BlobId,
    /// What it says.
    pub grant: Arc<Grant>,
}

/// Everything that one tree declares, with everything that is wrong in single files.
///
/// Built by [`crate::domain::parse::read_tree`]. A file with an error is absent from the maps and present in `findings`.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// By login.
    pub people: BTreeMap<Login, Person>,
    /// By name.
    pub services: BTreeMap<ServiceName, Service>,
    /// By name.
    pub resources: BTreeMap<ResourceName, Resource>,
    /// By path.
    pub grants: BTreeMap<GrantPath, Declared>,
    /// The CODEOWNERS file in force.
    pub codeowners: Codeowners,
    /// What is wrong with single files.
    pub findings: Vec<Finding>,
}

impl Catalogue {
    /// The role that a grant at `path` asks for, with its resource.
    pub fn role(&self, resource: &ResourceName, role: &RoleName) -> Option<(&Resource, &Role)> {
        let resource = self.resources.get(resource)?;
        Some((resource, resource.roles.get(role)?))
    }

    /// GitHub's number of the subject, where it has one.
    pub fn github_id(&self, subject: &Subject) -> Option<UserId> {
        match subject {
            Subject::Person(login) => self.people.get(login).map(|p| p.github_id),
            Subject::Service(name) => self.services.get(name).and_then(|s| s.github_id),
        }
    }

    /// What the target system would be asked to give for `grant`; `None` where resource, role, subject or the subject's
    /// identity in that system is not declared (each of which is a finding).
    pub fn access(&self, path: &GrantPath, grant: &Grant) -> Option<Access> {
        let (resource, role) = self.role(&path.resource(), &grant.role)?;
        let identities = match &grant.subject {
            Subject::Person(login) => &self.people.get(login)?.identities,
            Subject::Service(name) => &self.services.get(name)?.identities,
        };
        let name = identities.get(&resource.provider)?.clone();
        Some(Access {
            connection: resource.provider.clone(),
            account: Account {
                name,
                github_id: self.github_id(&grant.subject),
            },
            entitlement: role.entitlement.clone(),
        })
    }

    /// Everybody who must not approve access for `subject`: the person, or the service's accountable owner (and its own
    /// machine user).
    pub fn beneficiaries(&self, subject: &Subject) -> Vec<UserId> {
        let mut ids: Vec<UserId> = self.github_id(subject).into_iter().collect();
        if let Subject::Service(name) = subject {
            let owner = self
                .services
                .get(name)
                .and_then(|s| self.people.get(&s.owner));
            ids.extend(owner.map(|p| p.github_id));
        }
        ids
    }
}
