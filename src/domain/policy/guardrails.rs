//! All policies of one tree, together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicySet, PrincipalConstraint, ResourceConstraint,
};

use super::facts::Action;
use super::read::{PolicyFile, Rule, team};
use super::vocabulary::{OPEN_REQUESTS, OWNER_MINUTES};
use crate::domain::catalogue::Catalogue;
use crate::domain::finding::{Finding, Place};
use crate::domain::model::{BlobId, Owner, RepoPath, Resource, ResourceName, Role, RoleRef};
use crate::domain::schema::nearest;

/// The organisation's policies: every `access/policies/*.cedar` of one tree.
///
/// `Guardrails::default()` is a tree without policies: everything is permitted that the other rules let through, and nothing is
/// approved automatically. With files, only what they say counts.
#[derive(Debug, Clone, Default)]
pub struct Guardrails {
    files: BTreeMap<RepoPath, Arc<PolicyFile>>,
    /// Files that could not be read, and why.
    broken: BTreeMap<String, String>,
    compiled: OnceLock<Arc<Compiled>>,
}

/// One policy, as findings and evidence name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyRef {
    /// Its `@id`.
    pub id: String,
    /// The file that holds it.
    pub file: RepoPath,
    /// The exact content of that file.
    pub blob: BlobId,
    /// The line on which it begins, from 1.
    pub line: u32,
    /// Its `@message`: plain text of one line.
    pub message: Option<String>,
}

/// The policies as Cedar asks them.
#[derive(Debug)]
pub(super) struct Compiled {
    /// All of them, or the built-in default.
    pub all: PolicySet,
    /// What can approve by itself: permits of exactly `auto_approve`, and every forbid. `None` without such a permit.
    pub automatic: Option<PolicySet>,
    pub by_id: BTreeMap<String, PolicyRef>,
    /// The entities that policies name.
    pub literals: BTreeSet<EntityUid>,
    /// The first file that cannot be relied on, and why.
    pub broken: Option<(String, String)>,
    pub teams: BTreeSet<Owner>,
    /// Whether reviews are anything that a policy asks about.
    pub asks_reviewers: bool,
    /// The ids of policies that look at `context.renewal`.
    pub of_renewals: BTreeSet<String>,
    /// Whether any looks at `context.open_requests`.
    pub counts_requests: bool,
    /// Whether any looks at `context.owner_minutes`.
    pub seasons_owners: bool,
}

/// How long the policies of one tree may be together, in bytes: every question is asked of each of them.
pub const MAX_BYTES: usize = 128 * 1024;

/// How many teams the policies of one tree may name: each is looked up for every request.
pub const MAX_TEAMS: usize = 20;

const DEFAULT: &str = "permit (principal, action, resource);";

impl Guardrails {
    /// Takes in a file, in place of what stood at its path.
    pub(crate) fn insert(&mut self, file: PolicyFile) {
        self.remove(file.path.as_str());
        self.files.insert(file.path.clone(), Arc::new(file));
    }

    /// Notes that the policy file at `path` cannot be read: nothing can be permitted as long as it stands there.
    pub(crate) fn insert_broken(&mut self, path: &str, why: String) {
        self.remove(path);
        self.broken.insert(path.to_owned(), why);
    }

    /// Forgets what stands at `path`.
    pub(crate) fn remove(&mut self, path: &str) {
        self.files.retain(|file, _| file.as_str() != path);
        self.broken.remove(path);
        self.compiled = OnceLock::new();
    }

    /// Whether there is no policy file, so that the built-in default holds.
    pub fn is_default(&self) -> bool {
        self.files.is_empty() && self.broken.is_empty()
    }

    /// The first file that makes the policies unusable, and why; `None` when all can be relied on.
    pub fn broken(&self) -> Option<&(String, String)> {
        self.compiled().broken.as_ref()
    }

    fn unusable(&self) -> Option<(String, String)> {
        if let Some((path, why)) = self.broken.first_key_value() {
            return Some((path.clone(), why.clone()));
        }
        if let (Some(why), Some(file)) = (self.too_much(), self.files.keys().next_back()) {
            return Some((file.to_string(), why));
        }
        let ids = self.by_id();
        let twice = ids.into_iter().find(|(_, holders)| holders.len() > 1)?;
        let (file, _) = twice.1[0];
        Some((
            file.path.to_string(),
            format!("the `@id` {:?} stands twice", twice.0),
        ))
    }

    /// How long all policies are together, in bytes.
    pub fn bytes(&self) -> usize {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// Why the policies together would take too long to ask.
    fn too_much(&self) -> Option<String> {
        if self.bytes() > MAX_BYTES {
            return Some(format!(
                "all policies together have more than {MAX_BYTES} bytes"
            ));
        }
        let literals = self.rules().flat_map(|(_, rule)| rule.literals());
        let teams: BTreeSet<EntityUid> = literals.filter(|l| kind(l) == "Team").collect();
        (teams.len() > MAX_TEAMS)
            .then(|| format!("all policies together name more than {MAX_TEAMS} teams"))
    }

    /// The teams that policies mention: who is in them must be known before anything can be permitted.
    pub fn teams(&self) -> &BTreeSet<Owner> {
        &self.compiled().teams
    }

    /// Every policy, by its id.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyRef> {
        self.compiled().by_id.values()
    }

    /// Whether any policy speaks of who may approve, so that reviewers must be asked about.
    pub fn asks_reviewers(&self) -> bool {
        self.compiled().asks_reviewers
    }

    /// Whether the policy asks if a request is a renewal: only then can it approve one by itself.
    pub fn speaks_of_renewal(&self, id: &str) -> bool {
        self.compiled().of_renewals.contains(id)
    }

    /// Whether a policy asks what the subject of a request has already.
    pub fn asks_live_roles(&self) -> bool {
        self.mentions("live_roles") || self.mentions("live_count")
    }

    /// Whether a policy asks how many older requests the author has open: only then are they counted.
    pub fn counts_requests(&self) -> bool {
        self.compiled().counts_requests
    }

    /// Whether a policy asks for how long an approver has been an owner: only then is that kept.
    pub fn seasons_owners(&self) -> bool {
        self.compiled().seasons_owners
    }

    fn rules(&self) -> impl Iterator<Item = (&PolicyFile, &Rule)> {
        let files = self.files.values();
        files.flat_map(|file| file.rules.iter().map(move |rule| (&**file, rule)))
    }

    fn by_id(&self) -> BTreeMap<&str, Vec<(&PolicyFile, &Rule)>> {
        let mut ids: BTreeMap<&str, Vec<(&PolicyFile, &Rule)>> = BTreeMap::new();
        for (file, rule) in self.rules() {
            ids.entry(&rule.id).or_default().push((file, rule));
        }
        ids
    }

    pub(super) fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| Arc::new(self.compile()))
    }

    fn compile(&self) -> Compiled {
        let rules: Vec<&Policy> = self.rules().map(|(_, rule)| &rule.policy).collect();
        let policies = || rules.iter().copied();
        let alone = |p: &&Policy| is_automatic(p) || p.effect() == Effect::Forbid;
        let all = if self.is_default() {
            let default = Policy::parse(None, DEFAULT).expect("a test asks the default");
            set([&default].into_iter())
        } else {
            set(policies())
        };
        let literals: BTreeSet<EntityUid> = self.rules().flat_map(|(_, r)| r.literals()).collect();
        let teams = literals.iter().filter(|l| kind(l) == "Team");
        Compiled {
            all,
            automatic: policies()
                .any(is_automatic)
                .then(|| set(policies().filter(alone))),
            by_id: self
                .rules()
                .map(|(f, r)| (r.id.clone(), named(f, r)))
                .collect(),
            teams: teams.filter_map(|l| team(l.id().unescaped())).collect(),
            asks_reviewers: !self.is_default() && asks_reviewers(policies()),
            of_renewals: self.of_renewals(),
            counts_requests: self.mentions(OPEN_REQUESTS),
            seasons_owners: self.mentions(OWNER_MINUTES),
            broken: self.unusable(),
            literals,
        }
    }

    /// Whether any policy reads an attribute of this name.
    fn mentions(&self, name: &str) -> bool {
        self.rules().any(|(_, rule)| rule.reads.contains(name))
    }

    fn of_renewals(&self) -> BTreeSet<String> {
        let automatic = self.rules().filter(|(_, r)| is_automatic(&r.policy));
        let speaking = automatic.filter(|(_, r)| r.reads.contains("renewal"));
        speaking.map(|(_, r)| r.id.clone()).collect()
    }

    /// What is wrong between the policies, and between them and the tree that they are part of.
    pub(crate) fn check(&self, tree: &Catalogue, found: &mut Vec<Finding>) {
        if let Some(why) = self.too_much() {
            let help = "Remove what is not needed any more, or say it in fewer policies.";
            let told = |file| error("policy-too-complex", file, Place::START, why.clone(), help);
            found.extend(self.files.values().map(|file| told(file)));
        }
        for (id, holders) in self.by_id() {
            if holders.len() < 2 {
                continue;
            }
            for (i, (file, rule)) in holders.iter().enumerate() {
                let (other, at) = holders[usize::from(i == 0)];
                let message = format!(
                    "another policy has the `@id` {id:?}: line {} of {}",
                    at.place.line, other.path
                );
                let help = "Give each policy a name of its own.";
                found.push(error("policy-id", file, rule.place, message, help));
            }
        }
        if !self.files.is_empty() && !self.rules().any(|(_, rule)| rule.permits()) {
            for file in self.files.values() {
                found.push(error(
                    "policy-permits-nothing",
                    file,
                    Place::START,
                    "no policy permits anything, so every request would be denied".to_owned(),
                    "Add the baseline, `@id(\"baseline\") permit (principal, action, resource);`, and let the others forbid.",
                ));
            }
        }
        for (file, rule) in self.rules() {
            for literal in rule.literals() {
                found.extend(unknown(tree, file, rule, &literal));
            }
        }
    }
}

/// A policy set of policies with different ids; of equal ones only the first, which [`Guardrails::broken`] tells.
fn set<'p>(policies: impl Iterator<Item = &'p Policy>) -> PolicySet {
    let mut set = PolicySet::new();
    for policy in policies {
        let _ = set.add(policy.clone());
    }
    set
}

fn named(file: &PolicyFile, rule: &Rule) -> PolicyRef {
    PolicyRef {
        id: rule.id.clone(),
        file: file.path.clone(),
        blob: file.blob.clone(),
        line: rule.place.line,
        message: rule.message.clone(),
    }
}

/// Whether a policy can approve by itself: it permits exactly that, and says so.
fn is_automatic(policy: &Policy) -> bool {
    let exactly = |uid: &EntityUid| uid.id().unescaped() == Action::AutoApprove.as_str();
    policy.effect() == Effect::Permit
        && matches!(policy.action_constraint(), ActionConstraint::Eq(uid) if exactly(&uid))
}

/// Whether asking about a reviewer can tell anything: not if everybody may approve everything.
fn asks_reviewers<'p>(policies: impl Iterator<Item = &'p Policy> + Clone) -> bool {
    let mut of_reviews = policies.filter(|p| speaks_of_reviews(p));
    let open = |p: &Policy| {
        !p.has_non_scope_constraint()
            && p.principal_constraint() == PrincipalConstraint::Any
            && p.resource_constraint() == ResourceConstraint::Any
    };
    let forbids = of_reviews.clone().any(|p| p.effect() == Effect::Forbid);
    forbids || !of_reviews.any(open)
}

fn speaks_of_reviews(policy: &Policy) -> bool {
    let approve = |uid: &EntityUid| uid.id().unescaped() == Action::Approve.as_str();
    match policy.action_constraint() {
        ActionConstraint::Eq(uid) => approve(&uid),
        ActionConstraint::In(uids) => uids.iter().any(approve),
        ActionConstraint::Any => true,
    }
}

/// The type of an entity, without a namespace: there is none.
pub(super) fn kind(uid: &EntityUid) -> String {
    uid.type_name().to_string()
}

fn error(rule: &'static str, file: &PolicyFile, at: Place, message: String, help: &str) -> Finding {
    Finding::error(rule, file.path.as_str(), at, message, help)
}

/// The finding of an entity that is not declared: a misspelt name would make a policy that never holds.
fn unknown(
    tree: &Catalogue,
    file: &PolicyFile,
    rule: &Rule,
    literal: &EntityUid,
) -> Option<Finding> {
    let id = literal.id().unescaped();
    let kind = kind(literal);
    let (known, folder, leaves): (Vec<String>, _, _) = match kind.as_str() {
        "Team" if team(id).is_none() => {
            let message = format!("{literal} is no team");
            let help = "Name a team as organisation/slug in lower case: Team::\"acme/backend\".";
            return Some(error(
                "policy-unknown-name",
                file,
                rule.place,
                message,
                help,
            ));
        }
        "Person" => (names(tree.people.keys()), "access/people/", true),
        "Service" => (names(tree.services.keys()), "access/services/", true),
        "Resource" => (names(tree.resources.keys()), "access/resources/", false),
        "Role" => (role_names(tree), "access/resources/", false),
        _ => return None,
    };
    if known.iter().any(|name| name == id) {
        return bundled(tree, &kind, id).map(|help| {
            let message = format!(
                "the policy {:?} names {literal}, which is a bundle: policies are asked about each role that it bundles, and never about itself",
                rule.id
            );
            error("policy-unknown-name", file, rule.place, message, &help)
        });
    }
    let near = nearest(id, known.iter().map(String::as_str));
    let hint = near
        .map(|near| format!("Did you mean `{near}`? "))
        .unwrap_or_default();
    let message = format!(
        "the policy {:?} names {literal}, which is not declared",
        rule.id
    );
    let help = format!("{hint}Name what has a file in {folder}.");
    let finding = error("policy-unknown-name", file, rule.place, message, &help);
    // People leave; that must not make a tree wrong that was right.
    Some(if leaves {
        finding.as_warning()
    } else {
        finding
    })
}

/// The way out of naming a bundle, or a resource of bundles; `None` for what gives something itself.
fn bundled(tree: &Catalogue, kind: &str, id: &str) -> Option<String> {
    let parts: BTreeSet<&RoleRef> = match kind {
        "Resource" => {
            let name = ResourceName::new(id).ok()?;
            let roles = tree.resources.get(&name)?.roles.values();
            roles.filter_map(Role::bundled).flatten().collect()
        }
        "Role" => {
            let role = RoleRef::try_from(id.to_owned()).ok()?;
            tree.parts(&role)?.iter().collect()
        }
        _ => return None,
    };
    let parts: Vec<String> = parts
        .iter()
        .map(|part| format!("Role::\"{part}\""))
        .collect();
    (!parts.is_empty()).then(|| format!("Name {} instead.", parts.join(", ")))
}

fn names<T: ToString>(all: impl Iterator<Item = T>) -> Vec<String> {
    all.map(|name| name.to_string()).collect()
}

fn role_names(tree: &Catalogue) -> Vec<String> {
    let resources = tree.resources.values();
    let roles = |r: &Resource| -> Vec<String> {
        r.roles
            .keys()
            .map(|role| format!("{}/{role}", r.name))
            .collect()
    };
    resources.flat_map(roles).collect()
}
