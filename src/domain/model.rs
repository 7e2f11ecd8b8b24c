//! The words of Hallpass: who may be given what, where, and for how long.
//!
//! Everything here is plain data. A value of one of these types has already passed the parser: a [`GrantPath`] cannot
//! point outside `access/grants/`, a [`Login`] is ASCII and lower case, a [`TermLength`] is positive and bounded.

mod declared;
mod term;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use declared::{
    Access, Account, DriftMode, Eligibility, EmergencyOffer, Field, Gives, Grant, Person, Resource,
    Risk, Role, RoleRef, Service, Subject, Term, entitlement_text,
};
pub use term::TermLength;

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

/// Whether `value` is twelve hexadecimal digits.
fn is_digits(value: &str) -> bool {
    let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    value.len() == 12 && value.bytes().all(hex)
}

/// Whether `value` is a day as `2027-01-04`.
fn is_day(value: &str) -> bool {
    // chrono also reads blanks and signs where digits belong.
    let day = value.parse::<chrono::NaiveDate>();
    value.len() == 10 && day.is_ok_and(|day| day.to_string() == value)
}

/// Whether `name` is one of owners and twelve digits.
fn is_sheet(name: &str) -> bool {
    let parts = name.rsplit_once('-');
    parts.is_some_and(|(owners, digits)| is_name(owners) && is_digits(digits))
}

/// The path of the grant that the record `<resource>/<name>-<12 digits>.yaml` is about, with those digits.
fn grant_of_record(tail: &str) -> Option<(GrantPath, &str)> {
    let (grant, digits) = tail.strip_suffix(".yaml")?.rsplit_once('-')?;
    let grant = GrantPath::new(format!("access/grants/{grant}.yaml")).ok()?;
    is_digits(digits).then_some((grant, digits))
}

/// A text of a certain form. Copies share it: the same paths and names stand in catalogues, ledgers and reports by the hundred thousand.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $expected:literal, |$value:ident| $normal:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads the text form.
            ///
            /// # Errors
            /// When the text does not have the form that the type documents.
            pub fn new(value: impl AsRef<str>) -> Result<Self, Malformed> {
                let $value = value.as_ref();
                let normal: Option<String> = $normal;
                normal.map(|text| Self(text.into())).ok_or_else(|| Malformed { value: $value.to_owned(), expected: $expected })
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
                value.0.as_ref().to_owned()
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
    /// The path of the record of an emergency: `access/emergencies/<resource>/<name>-<12 digits of the merge>.yaml`.
    RecordPath, "a path of the form access/emergencies/<resource>/<name>-<12 digits of the merge>.yaml", |value| {
        let grant = value.strip_prefix("access/emergencies/").and_then(grant_of_record);
        (grant.is_some() && value.len() <= 200).then(|| value.to_owned())
    }
}
text! {
    /// The path of the record that releases removals which are held: `access/releases/<scope>/<12 digits>.yaml`.
    ReleasePath, "a path of the form access/releases/<scope>/<12 digits>.yaml", |value| {
        let mut parts = value.strip_prefix("access/releases/").unwrap_or("").split('/');
        let form = match (parts.next(), parts.next().and_then(|f| f.strip_suffix(".yaml")), parts.next()) {
            (Some(scope), Some(name), None) => is_name(scope) && is_digits(name),
            _ => false,
        };
        form.then(|| value.to_owned())
    }
}
text! {
    /// The path of what one set of owners is asked in one access review: `access/reviews/<day>/<owners>-<12 digits>.yaml`.
    SheetPath, "a path of the form access/reviews/<year>-<month>-<day>/<owners>-<12 digits>.yaml", |value| {
        let mut parts = value.strip_prefix("access/reviews/").unwrap_or("").split('/');
        let form = match (parts.next(), parts.next().and_then(|f| f.strip_suffix(".yaml")), parts.next()) {
            (Some(day), Some(name), None) => is_day(day) && is_sheet(name),
            _ => false,
        };
        form.then(|| value.to_owned())
    }
}
text! {
    /// The identity of one grant: `<resource>/<name>@<commit>`, for what the merge `<commit>` put at that path.
    ///
    /// A path can be used again, a grant cannot: the next request at the same path arrives with another commit. A part of a
    /// bundle adds which: `<resource>/<name>@<commit>+<resource>.<role>`.
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
        ResourceName(folder.into())
    }

    /// `<resource>/<name>`, as people read it.
    pub fn short(&self) -> &str {
        self.0
            .trim_start_matches("access/grants/")
            .trim_end_matches(".yaml")
    }

    /// The id of the grant that `commit` brought here.
    pub fn id(&self, commit: &CommitId) -> GrantId {
        GrantId(format!("{}@{}", self.short(), commit.short()).into())
    }

    /// The id of the grant of `part` that the bundle which `commit` brought here gives.
    pub fn part_id(&self, commit: &CommitId, part: &RoleRef) -> GrantId {
        let (resource, role) = (&part.resource, &part.role);
        let (grant, commit) = (self.short(), commit.short());
        GrantId(format!("{grant}@{commit}+{resource}.{role}").into())
    }

    /// The path that a grant of the same name would have in the folder of `resource`.
    pub fn within(&self, resource: &ResourceName) -> GrantPath {
        let name = self.short().split_once('/').unwrap_or_default().1;
        Self(format!("access/grants/{resource}/{name}.yaml").into())
    }

    /// What pull request `pull` asks for here, as evidence names it before there is a grant: `<resource>/<name>#<pull>`.
    pub fn request(&self, pull: PullNumber) -> String {
        format!("{}#{pull}", self.short())
    }

    /// The same path, as any path of the repository.
    pub fn as_repo_path(&self) -> RepoPath {
        RepoPath(Arc::clone(&self.0))
    }
}

impl RecordPath {
    /// The record of the grant that `commit` brought to `grant`.
    pub fn of(grant: &GrantPath, commit: &CommitId) -> Self {
        let (grant, commit) = (grant.short(), commit.short());
        Self(format!("access/emergencies/{grant}-{commit}.yaml").into())
    }

    /// The path of the grant that it is about.
    pub fn grant(&self) -> GrantPath {
        let tail = self.0.trim_start_matches("access/emergencies/");
        let (grant, _) = grant_of_record(tail).expect("its form was checked when it was made");
        grant
    }

    /// `<resource>/<name>-<12 digits>`, as people read it.
    pub fn short(&self) -> &str {
        self.0
            .trim_start_matches("access/emergencies/")
            .trim_end_matches(".yaml")
    }

    /// The same path, as any path of the repository.
    pub fn as_repo_path(&self) -> RepoPath {
        RepoPath(Arc::clone(&self.0))
    }
}

impl ReleasePath {
    /// The same path, as any path of the repository.
    pub fn as_repo_path(&self) -> RepoPath {
        RepoPath(Arc::clone(&self.0))
    }
}

impl SheetPath {
    /// `<day>/<owners>-<12 digits>`, as people read it.
    pub fn short(&self) -> &str {
        self.0
            .trim_start_matches("access/reviews/")
            .trim_end_matches(".yaml")
    }

    /// The same path, as any path of the repository.
    pub fn as_repo_path(&self) -> RepoPath {
        RepoPath(Arc::clone(&self.0))
    }
}

impl GrantId {
    /// The path of the file that it came with.
    pub fn path(&self) -> Option<GrantPath> {
        let (short, _) = self.0.split_once('@')?;
        GrantPath::new(format!("access/grants/{short}.yaml")).ok()
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
