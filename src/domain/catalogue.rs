//! What one tree of the repository declares: people, services, resources, owners and grants.

mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use regex::Regex;

use super::codeowners::Codeowners;
use super::emergency::Record;
use super::finding::{Finding, Place};
use super::model::{
    Access, Account, BlobId, ConnectionName, Gives, Grant, GrantPath, Login, Person, RecordPath,
    ReleasePath, RepoPath, Resource, ResourceName, Role, RoleName, RoleRef, Service, ServiceName,
    SheetPath, Subject, UserId,
};
use super::parse::{self, GrantPlaces, ReadResource};
use super::policy::Guardrails;
use super::policy::cases::PolicyTests;
use super::release::Release;
use super::round::{Answers, Schedule};

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

impl Declared {
    /// Whether a file with this mode and content, at the same path, says just this and need not be read.
    pub(crate) fn is(&self, mode: u32, blob: &BlobId) -> bool {
        mode == REGULAR_FILE && self.blob == *blob
    }
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
    /// The organisation's policies.
    pub policies: Guardrails,
    /// The cases beside them.
    pub policy_tests: BTreeMap<RepoPath, PolicyTests>,
    /// What was given by break-glass and came with its review to the protected branch.
    pub emergencies: BTreeMap<RecordPath, Record>,
    /// What owners released of what was held back.
    pub releases: BTreeMap<ReleasePath, Release>,
    /// When owners are asked what is kept; `None`: never.
    pub schedule: Option<Schedule>,
    /// What owners answered.
    pub sheets: BTreeMap<SheetPath, Answers>,
    /// The CODEOWNERS file in force.
    pub codeowners: Codeowners,
    /// What is wrong with single files.
    pub findings: Vec<Finding>,
    /// What the rules look up, beside what the files say. `Index::default()` for a catalogue made by hand.
    pub index: Index,
}

/// What the rules look up: places of fields, compiled patterns, who is given what.
///
/// The parts that follow from the maps are built when they are first asked for, and kept: change no map after that.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Where the fields of each grant stand, in the order of [`Catalogue::grants`].
    pub(crate) places: Vec<Arc<GrantPlaces>>,
    /// Where each person's number stands.
    pub(crate) people: BTreeMap<Login, Place>,
    /// Where each service's owner stands.
    pub(crate) services: BTreeMap<ServiceName, Place>,
    /// Where the schedule of access reviews says until when owners answer.
    pub(crate) schedule: Place,
    /// Where the fields of each role stand, and the entries of its lists: by labels such as `max_duration` and
    /// `eligible/people/octocat`.
    pub(crate) role_places: BTreeMap<(RoleRef, String), Place>,
    /// What stands at each location of CODEOWNERS.
    pub(crate) owners_files: BTreeMap<&'static str, File>,
    tickets: BTreeMap<RoleRef, Regex>,
    conflicts: OnceLock<BTreeMap<RoleRef, BTreeSet<RoleRef>>>,
    given: OnceLock<Vec<(u64, GrantPath)>>,
    directory: OnceLock<people::Directory>,
}

impl Index {
    /// Takes over compiled patterns. One that a changed file replaces is overwritten, one of a role that is gone is never asked for.
    pub(crate) fn keep_tickets(&mut self, other: &Self) {
        self.tickets.clone_from(&other.tickets);
    }

    /// Notes what the file of a resource says beside the resource.
    pub(crate) fn add(&mut self, read: &ReadResource) {
        let role = |name: &RoleName| RoleRef {
            resource: read.resource.name.clone(),
            role: name.clone(),
        };
        self.tickets.extend(
            read.tickets
                .iter()
                .map(|(name, regex)| (role(name), regex.clone())),
        );
        let places = read.places.iter();
        self.role_places
            .extend(places.map(|((own, label), place)| ((role(own), label.clone()), *place)));
    }

    /// Where the part of a role with this label stands, if its file says anything there.
    pub(crate) fn role_place(&self, role: &RoleRef, label: &str) -> Option<Place> {
        let key = (role.clone(), label.to_ascii_lowercase());
        self.role_places.get(&key).copied()
    }
}

/// The role that the grant at `path` asks for.
pub(crate) fn role_at(path: &GrantPath, grant: &Grant) -> RoleRef {
    RoleRef {
        resource: path.resource(),
        role: grant.role.clone(),
    }
}

fn fingerprint(subject: &Subject, role: &RoleRef) -> u64 {
    let mut hasher = DefaultHasher::new();
    (subject, role).hash(&mut hasher);
    hasher.finish()
}

/// What stands at `access/people/<login>.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonFile<'a> {
    /// No file.
    Absent,
    /// A file that cannot be relied on: whoever it is about is not gone.
    Faulty,
    /// The person.
    Sound(&'a Person),
}

impl Catalogue {
    /// What stands at `access/people/<login>.yaml`.
    pub fn person_file(&self, login: &Login) -> PersonFile<'_> {
        match self.people.get(login) {
            Some(person) => PersonFile::Sound(person),
            None if self.is_faulty(&format!("access/people/{login}.yaml")) => PersonFile::Faulty,
            None => PersonFile::Absent,
        }
    }

    /// Whether a file stands at `path` that has faults of its own.
    pub(crate) fn is_faulty(&self, path: &str) -> bool {
        self.first_fault(path).is_some()
    }

    /// The role that a grant at `path` asks for, with its resource.
    pub fn role(&self, resource: &ResourceName, role: &RoleName) -> Option<(&Resource, &Role)> {
        let resource = self.resources.get(resource)?;
        Some((resource, resource.roles.get(role)?))
    }

    /// The roles that the grant at `path` gives: those that its role bundles, or its role itself.
    pub fn gives(&self, path: &GrantPath, grant: &Grant) -> Vec<RoleRef> {
        let own = role_at(path, grant);
        match self.parts(&own) {
            Some(parts) => parts.iter().cloned().collect(),
            None => vec![own],
        }
    }

    /// The roles whose limits bind the grant at `path`: its own, and those that it bundles.
    pub fn binding(&self, path: &GrantPath, grant: &Grant) -> Vec<RoleRef> {
        let own = role_at(path, grant);
        let parts = self.parts(&own).into_iter().flatten().cloned().collect();
        [vec![own], parts].concat()
    }

    /// The roles that `role` bundles; `None` for one that gives something itself, and for one that is not declared.
    pub fn parts(&self, role: &RoleRef) -> Option<&BTreeSet<RoleRef>> {
        self.role(&role.resource, &role.role)?.1.bundled()
    }

    /// What tickets of a role must look like: `None` if the role does not say, `Some(None)` if what it says is no expression.
    pub(crate) fn ticket_pattern(&self, name: &RoleRef, role: &Role) -> Option<Option<Regex>> {
        let pattern = role.ticket_pattern.as_ref()?;
        Some(
            self.index
                .tickets
                .get(name)
                .cloned()
                .or_else(|| parse::ticket_pattern(pattern)),
        )
    }

    /// The roles that exclude `role`, whichever of the two says so.
    pub(crate) fn excluded_by(&self, role: &RoleRef) -> Option<&BTreeSet<RoleRef>> {
        let table = self.index.conflicts.get_or_init(|| {
            let mut table: BTreeMap<RoleRef, BTreeSet<RoleRef>> = BTreeMap::new();
            for (name, role, other) in self.conflicts() {
                let own = RoleRef {
                    resource: name.clone(),
                    role: role.clone(),
                };
                table.entry(own.clone()).or_default().insert(other.clone());
                table.entry(other.clone()).or_default().insert(own);
            }
            table
        });
        table.get(role)
    }

    /// Every entry of every `conflicts_with`: resource, role, what it names.
    pub(crate) fn conflicts(&self) -> impl Iterator<Item = (&ResourceName, &RoleName, &RoleRef)> {
        self.resources.iter().flat_map(|(name, resource)| {
            let roles = resource.roles.iter();
            roles.flat_map(move |(role, says)| {
                says.conflicts_with.iter().map(move |o| (name, role, o))
            })
        })
    }

    /// The declared roles that are no bundles.
    pub(crate) fn plain_roles(&self) -> impl Iterator<Item = RoleRef> {
        self.resources.values().flat_map(|resource| {
            let roles = resource.roles.iter();
            let plain = roles.filter(|(_, says)| says.bundled().is_none());
            plain.map(|(role, _)| RoleRef {
                resource: resource.name.clone(),
                role: role.clone(),
            })
        })
    }

    /// The grant files that give `role` to `subject`, by itself or in a bundle, or as the bundle that it is. Costs a search, not a walk.
    pub(crate) fn giving(
        &self,
        subject: &Subject,
        role: &RoleRef,
    ) -> impl Iterator<Item = (&GrantPath, &Grant)> {
        let given = self.index.given.get_or_init(|| {
            let mut given: Vec<(u64, GrantPath)> = self
                .grants
                .par_iter()
                .flat_map_iter(|(path, d)| {
                    let roles = self.binding(path, &d.grant).into_iter();
                    roles.map(|role| (fingerprint(&d.grant.subject, &role), path.clone()))
                })
                .collect();
            given.par_sort_unstable();
            given
        });
        let key = fingerprint(subject, role);
        let from = given.partition_point(|(other, _)| *other < key);
        let same = given[from..]
            .iter()
            .take_while(move |(other, _)| *other == key);
        same.filter_map(|(_, path)| Some((path, &*self.grants.get(path)?.grant)))
            // Two roles may share a fingerprint.
            .filter(move |(path, grant)| {
                grant.subject == *subject && self.binding(path, grant).contains(role)
            })
    }

    /// The roles, owners and policies of this tree beside the people and services of another. Without grants.
    pub(crate) fn with_people_of(&self, other: &Self) -> Self {
        let mut tree = Self {
            people: other.people.clone(),
            services: other.services.clone(),
            resources: self.resources.clone(),
            codeowners: self.codeowners.clone(),
            policies: self.policies.clone(),
            ..Self::default()
        };
        tree.index.keep_tickets(&self.index);
        tree
    }

    /// The first fault of the file at `path`, if it has any of its own.
    pub(crate) fn first_fault(&self, path: &str) -> Option<&Finding> {
        // Findings are sorted by path.
        let first = self.findings.partition_point(|f| f.path.as_str() < path);
        self.findings.get(first).filter(|f| f.path == path)
    }

    /// GitHub's number of the subject, where it has one.
    pub fn github_id(&self, subject: &Subject) -> Option<UserId> {
        match subject {
            Subject::Person(login) => self.people.get(login).map(|p| p.github_id),
            Subject::Service(name) => self.services.get(name).and_then(|s| s.github_id),
        }
    }

    /// What the target system would be asked to give for `grant`; `None` where resource, role, subject or the subject's
    /// identity in that system is not declared (each of which is a finding), and for a bundle, which asks for several things.
    pub fn access(&self, path: &GrantPath, grant: &Grant) -> Option<Access> {
        self.access_to(&role_at(path, grant), &grant.subject)
    }

    /// [`Catalogue::access`] of a role that is asked for by itself or as part of a bundle.
    pub fn access_to(&self, role: &RoleRef, subject: &Subject) -> Option<Access> {
        let (_, role) = self.role(&role.resource, &role.role)?;
        let Gives::Entitlement { connection, value } = &role.gives else {
            return None;
        };
        let identities = match subject {
            Subject::Person(login) => &self.people.get(login)?.identities,
            Subject::Service(name) => &self.services.get(name)?.identities,
        };
        Some(Access {
            connection: connection.clone(),
            account: Account {
                name: identities.get(connection)?.clone(),
                github_id: self.github_id(subject),
                id: None,
            },
            entitlement: value.clone(),
            entitlement_id: None,
        })
    }

    /// Who is declared to have this account there; the first by name, were there several.
    pub fn holder_of(&self, connection: &ConnectionName, account: &str) -> Option<Subject> {
        let has = |identities: &BTreeMap<ConnectionName, String>| {
            let known = identities.get(connection);
            known.is_some_and(|name| name.eq_ignore_ascii_case(account))
        };
        let mut people = self.people.values().filter(|p| has(&p.identities));
        let mut services = self.services.values().filter(|s| has(&s.identities));
        let person = people.next().map(|p| Subject::Person(p.login.clone()));
        person.or_else(|| services.next().map(|s| Subject::Service(s.name.clone())))
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
