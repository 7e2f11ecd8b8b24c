//! What a policy is asked about: who receives which role, under what circumstances.
//!
//! Plain data. The words that policies use for it are in [`super::vocabulary`].

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::model::{
    ConnectionName, Gives, Grant, Instant, Login, Owner, Resource, ResourceName, Risk, Role,
    RoleName, RoleRef, ServiceName, UserId,
};

/// What somebody wants to do with a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Receive it.
    Request,
    /// Keep it on other terms.
    Renew,
    /// Receive it as break-glass.
    Emergency,
    /// Receive it without a person's approval.
    AutoApprove,
    /// Approve that somebody receives it.
    Approve,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] = [
        Self::Request,
        Self::Renew,
        Self::Emergency,
        Self::AutoApprove,
        Self::Approve,
    ];

    /// The word in policies: `Action::"request"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Renew => "renew",
            Self::Emergency => "emergency",
            Self::AutoApprove => "auto_approve",
            Self::Approve => "approve",
        }
    }

    /// What it means, for whoever writes policies.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Request => "The principal asks for the role, or is asked for by somebody else.",
            Self::Renew => {
                "The principal has the role by the same file, which gets other terms. Another role or subject in the file is a `request`."
            }
            Self::Emergency => "The principal asks for the role with `emergency: true`.",
            Self::AutoApprove => {
                "The request needs no person's approval. Only a `permit` whose scope is exactly `action == Action::\"auto_approve\"` gives it."
            }
            Self::Approve => {
                "The principal has approved, in a review, that somebody else receives the role."
            }
        }
    }
}

/// A person, as policies see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Somebody {
    /// The name in policies: the login, or for an account that only has the login of a declared person, `#` and its number.
    pub id: String,
    /// The login.
    pub login: Login,
    /// GitHub's number for the account.
    pub github_id: UserId,
    /// What `access/people/<login>.yaml` says about them: empty for somebody who has no file.
    pub attributes: BTreeMap<String, String>,
    /// Which of the teams that policies mention they are in.
    pub teams: BTreeSet<Owner>,
}

/// A service account, as policies see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: ServiceName,
    /// Who is accountable for it.
    pub owner: Somebody,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A person.
    Person(Somebody),
    /// A service account.
    Service(Machine),
}

/// The role that is asked for, with its resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The resource.
    pub resource: ResourceName,
    /// How much harm access to it can do.
    pub risk: Risk,
    /// The connection that gives its roles.
    pub provider: ConnectionName,
    /// The role's name.
    pub name: RoleName,
    /// The role.
    pub role: Role,
}

impl Wanted {
    /// `name` of `resource`; `None` if the resource has no such role, and for a bundle: policies are asked about its parts.
    pub fn of(resource: &Resource, name: &RoleName) -> Option<Self> {
        let role = resource.roles.get(name)?;
        let Gives::Entitlement { connection, .. } = &role.gives else {
            return None;
        };
        Some(Self {
            resource: resource.name.clone(),
            risk: resource.risk,
            provider: connection.clone(),
            name: name.clone(),
            role: role.clone(),
        })
    }

    /// The role as people and policies name it.
    pub fn role_ref(&self) -> RoleRef {
        RoleRef {
            resource: self.resource.clone(),
            role: self.name.clone(),
        }
    }
}

/// How the request is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstances {
    /// How long it lasts, in minutes, begun ones counted.
    pub minutes: i64,
    /// How long it lasts with everything that it renews, in minutes.
    pub total_minutes: i64,
    /// How far ahead it begins, in minutes.
    pub starts_in_minutes: i64,
    /// When it begins.
    pub begin: Instant,
    /// The ticket. Untrusted text.
    pub ticket: Option<String>,
    /// Whether the requester wrote down what could go wrong.
    pub has_risk: bool,
    /// Whether everybody who had a hand in the pull request is the subject, or accountable for the service that is.
    pub self_requested: bool,
    /// The roles that the subject has now, without this request.
    pub live_roles: BTreeSet<RoleRef>,
    /// How many pull requests that its author opened before it are still open and ask for access.
    pub open_requests: i64,
    /// Break-glass.
    pub emergency: bool,
    /// Whether it continues access that the same file gives.
    pub renewal: bool,
    /// Who opened the pull request, where the account still exists.
    pub author: Option<Somebody>,
    /// For a review: who receives the role. `None`: the principal does.
    pub subject: Option<Principal>,
    /// For a review: for how many minutes the reviewer has been seen among the owners.
    pub owner_minutes: i64,
}

impl Circumstances {
    /// How `grant` is asked for at `at`, as far as the file tells: nobody else is involved, nothing else is held.
    pub fn of(grant: &Grant, at: Instant) -> Self {
        let (begin, end) = (grant.begin(at), grant.end(at));
        let minutes = begun_minutes(begin, end);
        Self {
            minutes,
            total_minutes: minutes,
            starts_in_minutes: begun_minutes(at, begin),
            begin,
            ticket: grant.ticket.clone(),
            has_risk: grant.risk.is_some(),
            self_requested: false,
            live_roles: BTreeSet::new(),
            open_requests: 0,
            emergency: grant.emergency,
            renewal: false,
            author: None,
            subject: None,
            owner_minutes: 0,
        }
    }
}

/// The minutes between two instants, begun ones counted: 61 seconds are two minutes, so that no limit is passed by seconds.
pub fn begun_minutes(from: Instant, to: Instant) -> i64 {
    let seconds = (to - from).num_seconds().max(0);
    seconds / 60 + i64::from(seconds % 60 != 0)
}

/// One question to the policies.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is to be done.
    pub action: Action,
    /// By whom.
    pub principal: Principal,
    /// With which role.
    pub wanted: Wanted,
    /// How.
    pub circumstances: Circumstances,
}

impl Question {
    /// The same question about another action.
    #[must_use]
    pub fn about(&self, action: Action) -> Self {
        Self {
            action,
            ..self.clone()
        }
    }
}

/// Whether `held`, at the same path, is what `grant` continues: the same role for the same subject.
pub fn continues(held: &Grant, grant: &Grant) -> bool {
    held.subject == grant.subject && held.role == grant.role
}
