//! What the files of an access repository declare: grants, people, services, resources and their roles.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    ConnectionName, Instant, Login, Malformed, Owner, ResourceName, RoleName, ServiceName,
    TermLength, UserId,
};

/// Who receives access.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A person: `access/people/<login>.yaml`.
    Person(Login),
    /// A non-human identity: `access/services/<name>.yaml`.
    Service(ServiceName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(login) => write!(f, "{login}"),
            Self::Service(name) => write!(f, "service {name}"),
        }
    }
}

/// When access ends: exactly one of `duration` and `expires`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Term {
    /// This long, counted from the merge, or from `starts` where that is later.
    Duration(TermLength),
    /// At this instant.
    Expires(Instant),
}

/// What one grant file asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who receives it.
    pub subject: Subject,
    /// The role, one of those of the folder's resource.
    pub role: RoleName,
    /// When it ends.
    pub term: Term,
    /// When it begins, if not at the merge.
    pub starts: Option<Instant>,
    /// Why it is needed. Untrusted text.
    pub reason: String,
    /// The ticket it belongs to. Untrusted text.
    pub ticket: Option<String>,
    /// What could go wrong, in the requester's words. Untrusted text.
    pub risk: Option<String>,
    /// Break-glass.
    pub emergency: bool,
    /// Whether access that the account has already, and not from Hallpass, is taken over: from the merge on it is this grant's, and
    /// ends with it. Otherwise the grant waits until somebody took it away by hand.
    pub adopt: bool,
}

impl Grant {
    /// When access begins if the grant merges at `merged`.
    pub fn begin(&self, merged: Instant) -> Instant {
        self.starts.map_or(merged, |starts| starts.max(merged))
    }

    /// When access ends if the grant merges at `merged`.
    pub fn end(&self, merged: Instant) -> Instant {
        match self.term {
            Term::Duration(length) => self.begin(merged) + length.delta(),
            Term::Expires(at) => at,
        }
    }
}

/// A person, from `access/people/<login>.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The login, which is the file's name.
    pub login: Login,
    /// GitHub's number for the account.
    pub github_id: UserId,
    /// The name that people use.
    pub name: Option<String>,
    /// What the organisation says about them, such as `department: finance`: roles and policies may ask for it.
    pub attributes: BTreeMap<String, String>,
    /// Their account in each target system, by connection.
    pub identities: BTreeMap<ConnectionName, String>,
}

/// A non-human identity, from `access/services/<name>.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name, which is the file's name.
    pub name: ServiceName,
    /// What it is for.
    pub description: String,
    /// The person accountable for it, who can never approve its access.
    pub owner: Login,
    /// GitHub's number, where it is a machine user there.
    pub github_id: Option<UserId>,
    /// Its account in each target system, by connection.
    pub identities: BTreeMap<ConnectionName, String>,
}

/// How much harm access to a resource can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the four words say all there is")]
pub enum Risk {
    Low,
    Moderate,
    High,
    Critical,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// A field of a grant that a role may make mandatory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// `ticket`
    Ticket,
    /// `risk`
    Risk,
}

/// A role of a resource, as `<resource>/<role>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleRef {
    /// The resource.
    pub resource: ResourceName,
    /// Its role.
    pub role: RoleName,
}

impl fmt::Display for RoleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource, self.role)
    }
}
impl TryFrom<String> for RoleRef {
    type Error = Malformed;
    fn try_from(value: String) -> Result<Self, Malformed> {
        let (resource, role) = value.split_once('/').ok_or_else(|| Malformed {
            value: value.clone(),
            expected: "a role as <resource>/<role>",
        })?;
        Ok(Self {
            resource: ResourceName::new(resource)?,
            role: RoleName::new(role)?,
        })
    }
}
impl From<RoleRef> for String {
    fn from(value: RoleRef) -> String {
        value.to_string()
    }
}

/// Who may ask for a role: whoever one of the entries names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Eligibility {
    /// These people.
    pub people: BTreeSet<Login>,
    /// These service accounts.
    pub services: BTreeSet<ServiceName>,
    /// Active members of these teams.
    pub teams: BTreeSet<Owner>,
    /// People who have one of these values for each of these attributes. Empty: nobody by attributes.
    pub attributes: BTreeMap<String, BTreeSet<String>>,
}

/// On what terms a role is given in an emergency, before the owners have had time to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyOffer {
    /// How many owners must approve beforehand. With 0, only `people` may ask, for themselves.
    pub approvals: u32,
    /// The longest term.
    pub max_duration: TermLength,
    /// How soon after it was given an owner must have reviewed it.
    pub review_within: TermLength,
    /// Who may ask; with `approvals` above 0, empty means everybody who may ask for the role.
    pub people: BTreeSet<Login>,
}

/// What a role gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Gives {
    /// Something that a target system knows.
    Entitlement {
        /// The server's connection that gives and takes it.
        connection: ConnectionName,
        /// What it gives; its shape is the provider's own.
        value: serde_json::Value,
    },
    /// These roles of other resources, all at once: a bundle. Each is approved by its own owners and lives its own life.
    Roles(BTreeSet<RoleRef>),
}

/// What is done about access to a resource that Hallpass did not give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftMode {
    /// It is reported.
    #[default]
    Report,
    /// It is reported and taken away.
    Enforce,
}

/// One role of a resource: what it gives and its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// What it allows, for the person who approves.
    pub description: String,
    /// What whoever holds it has.
    pub gives: Gives,
    /// The shortest term, if there is one.
    pub min_duration: Option<TermLength>,
    /// The longest term.
    pub max_duration: TermLength,
    /// The longest time from the begin of the first grant to the end of its last renewal.
    pub max_total: TermLength,
    /// Who may ask for it; `None`: everybody who is declared.
    pub eligible: Option<Eligibility>,
    /// How old an approval may be when it counts.
    pub approval_max_age: TermLength,
    /// Break-glass, where it is offered.
    pub emergency: Option<EmergencyOffer>,
    /// How many distinct owners must approve. At least 1; a bundle has no owners of its own, so there it says nothing.
    pub approvals: u32,
    /// Fields that a request must fill in.
    pub requires: BTreeSet<Field>,
    /// What a ticket must look like, as an anchored regular expression.
    pub ticket_pattern: Option<String>,
    /// Whether an approving review must say why.
    pub rationale: bool,
    /// Roles that the same subject may not hold at the same time.
    pub conflicts_with: BTreeSet<RoleRef>,
}

impl Role {
    /// How long renewals may keep access, where a role does not say: 90 days.
    pub const MAX_TOTAL: TermLength = TermLength::days(90);
    /// How old an approval may be when it counts, where a role does not say: 7 days.
    pub const APPROVAL_MAX_AGE: TermLength = TermLength::days(7);

    /// The roles that it bundles; `None` for a role that gives something itself.
    pub fn bundled(&self) -> Option<&BTreeSet<RoleRef>> {
        match &self.gives {
            Gives::Roles(parts) => Some(parts),
            Gives::Entitlement { .. } => None,
        }
    }
}

/// A system that can be asked for, or a bundle of roles of such systems, from `access/resources/<name>.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The name, which is the file's name.
    pub name: ResourceName,
    /// What it is, for the person who approves.
    pub description: String,
    /// How much harm access to it can do.
    pub risk: Risk,
    /// What is done about access to it that Hallpass did not give.
    pub drift: DriftMode,
    /// What can be asked for, in the file's order.
    pub roles: IndexMap<RoleName, Role>,
}

impl Resource {
    /// The connection that gives its roles; `None` for bundles.
    pub fn connection(&self) -> Option<&ConnectionName> {
        self.roles.values().find_map(|role| match &role.gives {
            Gives::Entitlement { connection, .. } => Some(connection),
            Gives::Roles(_) => None,
        })
    }
}

/// A subject as a target system knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The name in the target system, from the identity map; never from a grant file.
    pub name: String,
    /// GitHub's number, where the subject has one: GitHub targets compare it before they act on the name.
    pub github_id: Option<UserId>,
    /// The target's own, immutable id of the account, as it was read when the access was given: who re-creates an account under the
    /// old name gets another. `None` before that, or where the target has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// One thing that a target system gives to one account: what is granted, revoked and compared.
///
/// Two grants with equal `Access` are held together: it is removed when the last one ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Access {
    /// The connection that gives it.
    pub connection: ConnectionName,
    /// Who receives it, there.
    pub account: Account,
    /// What is given; its shape is the provider's own.
    pub entitlement: serde_json::Value,
    /// The target's own, immutable id of the role, group or repository that is given, as it was read when the access was given: what
    /// has its name later may be another one. `None` before that, or where the target has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlement_id: Option<String>,
}

impl Access {
    /// A stable text that is equal for equal entitlements of equal accounts: the key of the overlap set.
    pub fn key(&self) -> String {
        format!(
            "{}\n{}\n{}",
            self.connection,
            self.account.name,
            self.entitlement_text()
        )
    }

    /// [`entitlement_text`] of what is given.
    pub fn entitlement_text(&self) -> String {
        entitlement_text(&self.entitlement)
    }
}

/// An entitlement as JSON, its keys sorted: the same text however the resource's file orders them.
pub fn entitlement_text(entitlement: &serde_json::Value) -> String {
    sorted(entitlement.clone()).to_string()
}

/// `value` with the keys of every object sorted, which `serde_json` otherwise keeps as they were read.
fn sorted(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().collect();
            Value::Object(fields.into_iter().map(|(k, v)| (k, sorted(v))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
