//! The words of Hallpass: who may be given what, where, and for how long.
//!
//! Everything here is plain data. A value of one of these types has already passed the parser: a [`GrantPath`] cannot
//! point outside `access/grants/`, a [`Login`] is ASCII and lower case, a [`TermLength`] is positive and bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// An instant, always UTC.
pub type Instant = DateTime<Utc>;

/// A value that does not have the form its type demands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct Malformed {
    /// What was given.
    pub value: String,
    /// What the type accepts, as a phrase: "a name of lower-case letters, digits and hyphens".
    pub expected: &'static str,
}

/// Whether `value` is `[a-z0-9][a-z0-9-]*`, at most 100 bytes: the form of every name that we define ourselves.
pub fn is_name(value: &str) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 100
        && bytes[0] != b'-'
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $expected:literal, |$value:ident| $normal:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads the text form.
            ///
            /// # Errors
            /// When the text does not have the form that the type documents.
            pub fn new(value: impl AsRef<str>) -> Result<Self, Malformed> {
                let $value = value.as_ref();
                let normal: Option<String> = $normal;
                normal.map(Self).ok_or_else(|| Malformed { value: $value.to_owned(), expected: $expected })
            }

            /// The text form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(value: String) -> Result<Self, Malformed> {
                Self::new(value)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}

fn object_id(value: &str) -> Option<String> {
    let hex = matches!(value.len(), 40 | 64)
        && value
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    hex.then(|| value.to_owned())
}

text! {
    /// A GitHub login, folded to ASCII lower case: GitHub compares logins without regard to case.
    ///
    /// A login is only a label. Who somebody *is* is a [`UserId`].
    Login, "a GitHub login: ASCII letters, digits and hyphens, at most 39 characters, not beginning with a hyphen", |value| {
        let ok = value.len() <= 39 && is_name(&value.to_ascii_lowercase());
        // Bots are written `name[bot]`; `_` occurs in logins of enterprise managed users.
        let managed = value.len() <= 100
            && !value.is_empty()
            && value.bytes().enumerate().all(|(i, b)| b.is_ascii_alphanumeric() || (i > 0 && matches!(b, b'-' | b'_' | b'[' | b']')));
        (ok || managed).then(|| value.to_ascii_lowercase())
    }
}
text! {
    /// The name of a resource: the stem of `access/resources/<name>.yaml` and a folder of `access/grants/`.
    ResourceName, "a name of lower-case letters, digits and hyphens", |value| is_name(value).then(|| value.to_owned())
}
text! {
    /// The name of a role within its resource.
    RoleName, "a name of lower-case letters, digits and hyphens", |value| is_name(value).then(|| value.to_owned())
}
text! {
    /// The name of a service account: the stem of `access/services/<name>.yaml`.
    ServiceName, "a name of lower-case letters, digits and hyphens", |value| is_name(value).then(|| value.to_owned())
}
text! {
    /// The name of a connection to a target system, configured on the server as `[providers.<name>]`.
    ConnectionName, "a name of lower-case letters, digits and hyphens", |value| is_name(value).then(|| value.to_owned())
}
text! {
    /// The identity of a blob: its hexadecimal git object id.
    BlobId, "a git object id in lower-case hexadecimal", |value| object_id(value)
}
text! {
    /// The identity of a commit: its hexadecimal git object id.
    CommitId, "a git object id in lower-case hexadecimal", |value| object_id(value)
}
text! {
    /// A path in the repository, relative to its root, `/` between segments, without `.`, `..` or empty segments.
    RepoPath, "a path relative to the root of the repository", |value| {
        let ok = !value.is_empty()
            && !value.contains(['\0', '\\'])
            && value.split('/').all(|s| !s.is_empty() && s != "." && s != "..");
        ok.then(|| value.to_owned())
    }
}
text! {
    /// The path of a grant file: `access/grants/<resource>/<name>.yaml`.
    GrantPath, "a path of the form access/grants/<resource>/<name>.yaml", |value| {
        let mut parts = value.strip_prefix("access/grants/").unwrap_or("").split('/');
        let form = match (parts.next(), parts.next().and_then(|f| f.strip_suffix(".yaml")), parts.next()) {
            (Some(resource), Some(name), None) => is_name(resource) && is_name(name),
            _ => false,
        };
        (form && value.len() <= 200).then(|| value.to_owned())
    }
}
text! {
    /// The identity of one grant: `<resource>/<name>@<commit>`, for what the merge `<commit>` put at that path.
    ///
    /// A path can be used again, a grant cannot: the next request at the same path arrives with another commit.
    GrantId, "a grant id such as orders/octocat-incident@1f0c3a5b7d9e", |value| {
        let (path, commit) = value.split_once('@').unwrap_or_default();
        (path.contains('/') && !commit.is_empty()).then(|| value.to_owned())
    }
}

impl GrantPath {
    /// The folder: the resource that this grant is for, whatever the file says.
    pub fn resource(&self) -> ResourceName {
        let folder = self.0["access/grants/".len()..]
            .split('/')
            .next()
            .unwrap_or_default();
        ResourceName(folder.to_owned())
    }

    /// `<resource>/<name>`, as people read it.
    pub fn short(&self) -> &str {
        self.0
            .trim_start_matches("access/grants/")
            .trim_end_matches(".yaml")
    }

    /// The id of the grant that `commit` brought here.
    pub fn id(&self, commit: &CommitId) -> GrantId {
        GrantId(format!("{}@{}", self.short(), commit.short()))
    }

    /// What pull request `pull` asks for here, as evidence names it before there is a grant: `<resource>/<name>#<pull>`.
    pub fn request(&self, pull: PullNumber) -> String {
        format!("{}#{pull}", self.short())
    }

    /// The same path, as any path of the repository.
    pub fn as_repo_path(&self) -> RepoPath {
        RepoPath(self.0.clone())
    }
}

impl CommitId {
    /// The first 12 digits, as people read it.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// GitHub's number for an account. It outlives renames, so it is what we bind people by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub u64);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a pull request within its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PullNumber(pub u64);

impl fmt::Display for PullNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How long access lasts: `90m`, `2h`, `1d12h`. A day is 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TermLength {
    seconds: u32,
}

impl TermLength {
    /// The longest term that can be written: 3650 days.
    pub const MAX: Self = Self {
        seconds: 3650 * 86_400,
    };

    /// A term of whole seconds, for tests and the demo; files can only say minutes, hours and days.
    ///
    /// # Errors
    /// When it is zero or longer than [`TermLength::MAX`].
    pub fn from_seconds(seconds: u32) -> Result<Self, Malformed> {
        if seconds == 0 || seconds > Self::MAX.seconds {
            return Err(Malformed {
                value: format!("{seconds}s"),
                expected: TERM_FORM,
            });
        }
        Ok(Self { seconds })
    }

    /// Reads `[<n>d][<n>h][<n>m]`, each unit at most once, in this order, at least one, no leading zeros, at most 5 digits.
    ///
    /// # Errors
    /// When the text has another form, is zero, or is longer than [`TermLength::MAX`].
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed {
            value: text.to_owned(),
            expected: TERM_FORM,
        };
        let (mut seconds, mut rest, mut units) = (0_u64, text, 0);
        for (unit, size) in [('d', 86_400_u64), ('h', 3_600), ('m', 60)] {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !rest[digits..].starts_with(unit) {
                continue;
            }
            if digits == 0 || digits > 5 || rest.starts_with('0') {
                return Err(malformed());
            }
            let count: u64 = rest[..digits].parse().map_err(|_| malformed())?;
            seconds += count * size;
            rest = &rest[digits + 1..];
            units += 1;
        }
        if units == 0 || !rest.is_empty() || seconds > u64::from(Self::MAX.seconds) {
            return Err(malformed());
        }
        Self::from_seconds(u32::try_from(seconds).map_err(|_| malformed())?)
    }

    /// The length as time.
    pub fn delta(self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.seconds))
    }
}

const TERM_FORM: &str = "a duration such as 90m, 2h or 1d12h (at most 3650d)";

impl fmt::Display for TermLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, h, m, s) = (
            self.seconds / 86_400,
            self.seconds / 3_600 % 24,
            self.seconds / 60 % 60,
            self.seconds % 60,
        );
        for (count, unit) in [(d, 'd'), (h, 'h'), (m, 'm'), (s, 's')] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}
impl TryFrom<String> for TermLength {
    type Error = Malformed;
    fn try_from(value: String) -> Result<Self, Malformed> {
        Self::parse(&value)
    }
}
impl From<TermLength> for String {
    fn from(value: TermLength) -> String {
        value.to_string()
    }
}

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

/// One role of a resource: what it gives and its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// What it allows, for the person who approves.
    pub description: String,
    /// What the provider gives; its shape is the provider's own.
    pub entitlement: serde_json::Value,
    /// The longest term.
    pub max_duration: TermLength,
    /// How many distinct owners must approve. At least 1.
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

/// A system that can be asked for, from `access/resources/<name>.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The name, which is the file's name.
    pub name: ResourceName,
    /// What it is, for the person who approves.
    pub description: String,
    /// How much harm access to it can do.
    pub risk: Risk,
    /// The server's connection that gives and takes its roles.
    pub provider: ConnectionName,
    /// What can be asked for, in the file's order.
    pub roles: IndexMap<RoleName, Role>,
}

/// A subject as a target system knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The name in the target system, from the identity map; never from a grant file.
    pub name: String,
    /// GitHub's number, where the subject has one: GitHub targets compare it before they act on the name.
    pub github_id: Option<UserId>,
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
}

impl Access {
    /// A stable text that is equal for equal entitlements of equal accounts: the key of the overlap set.
    ///
    /// `serde_json` keeps object keys sorted (its `preserve_order` feature is off, a test says so).
    pub fn key(&self) -> String {
        format!(
            "{}\n{}\n{}",
            self.connection, self.account.name, self.entitlement
        )
    }
}

/// An account on GitHub, as the API reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// GitHub's number.
    pub id: UserId,
    /// The login at the time of reading.
    pub login: Login,
    /// Whether it is a person's account.
    pub kind: ActorKind,
}

/// The kind of a GitHub account: its `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActorKind {
    /// `User`: the only kind whose approval counts.
    User,
    /// `Bot`: an App.
    Bot,
    /// Anything else: organisations, mannequins, what GitHub may add.
    Other,
}

/// An owner as CODEOWNERS names one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// `@login`
    User(Login),
    /// `@organisation/team`
    Team {
        /// The organisation.
        organisation: Login,
        /// The team's slug, lower case.
        slug: String,
    },
    /// `somebody@example.org`
    Email(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(login) => write!(f, "@{login}"),
            Self::Team { organisation, slug } => write!(f, "@{organisation}/{slug}"),
            Self::Email(address) => f.write_str(address),
        }
    }
}

/// A repository on the forge: `<owner>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoName {
    /// The user or organisation.
    pub owner: Login,
    /// The repository's name.
    pub name: String,
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}
impl TryFrom<String> for RepoName {
    type Error = Malformed;
    fn try_from(value: String) -> Result<Self, Malformed> {
        let malformed = || Malformed {
            value: value.clone(),
            expected: "a repository as owner/name",
        };
        let (owner, name) = value.split_once('/').ok_or_else(malformed)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
            return Err(malformed());
        }
        Ok(Self {
            owner: Login::new(owner)?,
            name: name.to_owned(),
        })
    }
}
impl From<RepoName> for String {
    fn from(value: RepoName) -> String {
        value.to_string()
    }
}
