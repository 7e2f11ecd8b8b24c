//! `hallpass.toml` and the environment, read once into valid settings.
//!
//! Invariant: a [`Config`] that exists is usable. Everything wrong is reported at once, each with what to write. Secrets come
//! from the environment or from files, never from the TOML; only this module reads the environment.

mod anchors;
mod channels;
mod databases;
mod endpoints;
mod page;
mod providers;
mod sections;
mod sketch;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::domain::model::{ConnectionName, Login, Owner, RepoName};
use crate::domain::notice::EndsSoon;
pub use channels::{Channels, Mail, Protection, Receiver, Slack, Telling};
use table::Context;

pub use sketch::{ProviderSketch, Sketch, SketchError};

/// A commented file with every key, its default, and where secrets go.
pub const EXAMPLE: &str = include_str!("config/hallpass.example.toml");

/// Reads the environment of the process: what [`Config::load`] is given, outside tests.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one module that reads the environment"
)]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Everything that an operator decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// The digest of the file that it was read from.
    pub digest: String,
    /// Where the service listens and keeps its files.
    pub server: Server,
    /// The access repository and the App.
    pub github: Github,
    /// The database.
    pub store: Store,
    /// The evidence.
    pub evidence: Evidence,
    /// How often and how long.
    pub timing: Timing,
    /// What people are told at GitHub.
    pub notices: Notices,
    /// What people are told elsewhere.
    pub channels: Channels,
    /// The page for people; `None`: there is none.
    pub page: Option<Page>,
    /// The systems that access is given in.
    pub providers: BTreeMap<ConnectionName, Provider>,
}

/// Where the service listens and keeps its files.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address of the HTTP server.
    pub listen: SocketAddr,
    /// The address at which it may be scraped; nowhere where it is left out.
    pub metrics: Option<SocketAddr>,
    /// The collector that traces are sent to; none where it is left out.
    pub traces: Option<Traces>,
    /// The folder for the database and the mirror.
    pub data_dir: PathBuf,
    /// The programs that connections of the kind `command` may run; none where it is left out.
    pub programs: Vec<PathBuf>,
}

/// A collector of traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// Where it takes them, by OTLP over HTTP.
    pub endpoint: Url,
    /// The name that the service has there.
    pub service: String,
}

/// The access repository and the App.
#[derive(Debug, Clone)]
pub struct Github {
    /// The REST API's address.
    pub api: Url,
    /// The web's address, under which git is served too.
    pub web: Url,
    /// The access repository.
    pub repository: RepoName,
    /// The number of the GitHub App.
    pub app_id: u64,
    /// The installation; to be asked for where it is not configured.
    pub installation_id: Option<u64>,
    /// The App's private key, as PEM.
    pub private_key: SecretString,
    /// What signs webhooks: the secret, and the one before while it is being changed. None is empty.
    pub webhook_secrets: Vec<SecretString>,
    /// The branch that counts.
    pub protected_branch: String,
    /// Whether Hallpass merges what is approved.
    pub merge: Merge,
    /// How it merges.
    pub merge_method: MergeMethod,
    /// Whether it merges the pull requests that tidy up.
    pub merge_reverts: bool,
    /// Whether people who are not members of the organisation may hold access.
    pub outsiders: bool,
}

/// Who merges what is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Hallpass.
    Auto,
    /// People.
    Off,
}

/// How a pull request is merged: GitHub's `merge_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "GitHub's own words")]
pub enum MergeMethod {
    Merge,
    Squash,
    Rebase,
}

impl MergeMethod {
    /// The word that GitHub takes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Squash => "squash",
            Self::Rebase => "rebase",
        }
    }
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    /// Its address; may hold a password.
    pub url: SecretString,
}

/// The evidence.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The branch it is written to.
    pub branch: String,
    /// The private key that signs it; `None`: one that is made in the data folder.
    pub key: Option<SecretString>,
    /// The private key that signed it before, so that it can say which one signs now.
    pub previous_key: Option<SecretString>,
    /// Public keys that signed it earlier, on one line each.
    pub earlier_keys: Vec<String>,
    /// The places outside at which its anchors are kept, by name.
    pub anchors: BTreeMap<String, AnchorPlace>,
}

/// A place outside at which anchors are kept.
#[derive(Debug, Clone)]
pub struct AnchorPlace {
    /// How often one is written.
    pub every: Duration,
    /// What it is.
    pub kind: PlaceKind,
}

/// What a place outside is.
#[derive(Debug, Clone)]
pub enum PlaceKind {
    /// A folder.
    File {
        /// Where.
        folder: PathBuf,
    },
    /// A receiver of files.
    Http {
        /// The receiver.
        endpoint: Endpoint,
        /// What it knows us by.
        token: SecretString,
    },
    /// A bucket of S3, or of a server that speaks as S3 does.
    S3(Box<Bucket>),
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What the keys of objects begin with.
    pub prefix: String,
    /// Who we are there, and where it is.
    pub aws: Aws,
}

/// How often and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often everything is looked at.
    pub resync: Duration,
    /// How long ended access is gathered before its files are removed.
    pub revert_window: Duration,
    /// How often target systems are compared with the ledger.
    pub drift: Duration,
    /// The longest pause between two attempts.
    pub retry_cap: Duration,
    /// How long a service account goes on without an accountable owner.
    pub orphan_grace: Duration,
}

/// What people are told at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notices {
    /// How long before the end holders are told; `None`: they are not.
    pub ends_soon: Option<EndsSoon>,
    /// Whether pull requests are labelled by how they stand.
    pub labels: bool,
}

/// The page for people.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where people reach it: scheme, host and port alone.
    pub url: Url,
    /// The App's client id.
    pub client_id: String,
    /// The App's client secret.
    pub client_secret: SecretString,
    /// Who sees it without access to the repository: `@organisation/team`, and logins.
    pub auditors: BTreeSet<Owner>,
}

/// A system that access is given in.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Membership of IAM groups.
    AwsIam(Box<Aws>),
    /// Permission sets in AWS accounts, and groups of the identity store.
    AwsIdentityCenter(Box<Aws>),
    /// Whatever a program on the server gives.
    Command(Box<Command>),
    /// Deploying to protected environments.
    GithubDeployment {
        /// The organisation that has the repositories.
        organisation: Login,
    },
    /// Roles in an organisation.
    GithubOrganizationRole {
        /// The organisation that has the roles.
        organisation: Login,
    },
    /// Roles in repositories.
    GithubRepository {
        /// The organisation that has the repositories.
        organisation: Login,
    },
    /// Membership of teams.
    GithubTeam {
        /// The organisation that has the teams.
        organisation: Login,
    },
    /// Membership of groups in a directory.
    Ldap(Box<Directory>),
    /// Membership of roles on MariaDB or MySQL.
    Mysql {
        /// The server, and as whom.
        url: SecretString,
        /// Whether sessions of the account are ended when its access ends.
        end_sessions: bool,
        /// Whether a role is made a default role; otherwise the subject says `SET ROLE`.
        set_default_role: bool,
    },
    /// Membership of groups, by Okta's own API.
    Okta {
        /// The organisation's address.
        endpoint: Endpoint,
        /// An API token.
        token: SecretString,
    },
    /// Membership of roles.
    Postgres {
        /// The server, the database, and as whom.
        url: SecretString,
        /// Whether sessions of the account are ended when its access ends.
        end_sessions: bool,
        /// Whether the password of an account ends with what it was given.
        valid_until: bool,
    },
    /// Membership of groups, by SCIM 2.0.
    Scim {
        /// The server.
        endpoint: Endpoint,
        /// What it knows us by.
        token: SecretString,
    },
    /// Whatever a receiver of signed calls gives.
    Webhook {
        /// The receiver.
        endpoint: Endpoint,
        /// What calls are signed with, `whsec_` and base64: the secret, and the one before while it is being changed.
        secrets: Vec<SecretString>,
        /// Which entitlements it has, as a JSON Schema.
        entitlements: Option<String>,
    },
}

/// Who we are at AWS, and where.
#[derive(Debug, Clone)]
pub struct Aws {
    /// The region.
    pub region: String,
    /// The key's number, which is no secret.
    pub access_key: String,
    /// Its secret.
    pub secret_key: SecretString,
    /// The token of temporary credentials.
    pub session_token: Option<SecretString>,
    /// Where every call goes instead of to AWS's own addresses.
    pub endpoint: Option<Url>,
    /// Further authorities that certificates may be from, as PEM.
    pub ca: Option<String>,
    /// Whether it may have a link-local address.
    pub allow_link_local: bool,
}

/// A program on the server that gives and takes.
#[derive(Debug, Clone)]
pub struct Command {
    /// Where it is; one of [`Server::programs`].
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The variables that it sees, with their values.
    pub environment: Vec<(String, SecretString)>,
    /// Those of them that are no secrets.
    pub public: Vec<String>,
    /// Which entitlements it has, as a JSON Schema.
    pub entitlements: Option<String>,
}

/// A server that is spoken to by HTTP.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The root of its API.
    pub url: Url,
    /// Further authorities that its certificate may be from, as PEM.
    pub ca: Option<String>,
    /// Whether it may have a link-local address.
    pub allow_link_local: bool,
}

/// An LDAP directory, as whom to speak to it, and where in it to look.
#[derive(Debug, Clone)]
pub struct Directory {
    /// `ldaps://host` or `ldap://host`.
    pub url: Url,
    /// Whether an `ldap:` connection is protected before anything is said.
    pub starttls: bool,
    /// The certificates of the only authorities to trust, as PEM; those of the system where left out.
    pub ca: Option<String>,
    /// Whom to bind as.
    pub bind_dn: String,
    /// Its password.
    pub password: SecretString,
    /// Where the accounts are.
    pub accounts: String,
    /// The attribute that holds what `identities` says.
    pub account_attribute: String,
    /// Where the groups are; no other is touched.
    pub groups: String,
    /// Stands in a group that must have a member when it has no other; nobody's name.
    pub placeholder: Option<String>,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1, where there is one.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to write.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            let line = problem
                .line
                .map(|line| format!(":{line}"))
                .unwrap_or_default();
            let end = if n + 1 < self.problems.len() {
                "\n"
            } else {
                ""
            };
            write!(
                f,
                "{}{line}: {}. {}{end}",
                self.path.display(),
                problem.what,
                problem.remedy
            )?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads the file at `path`, with `env` for the environment ([`environment`]).
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(path: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot be read: {error}");
            let remedy = "Begin with `hallpass serve --example > hallpass.toml`.".to_owned();
            ConfigError {
                path: path.to_owned(),
                problems: vec![Problem {
                    line: None,
                    what,
                    remedy,
                }],
            }
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder, &env).map_err(|problems| ConfigError {
            path: path.to_owned(),
            problems,
        })
    }

    fn parse(
        text: &str,
        folder: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<Problem>> {
        let context = Context {
            text,
            folder,
            env,
            problems: Vec::new().into(),
        };
        let table = match toml::de::DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let line = error.span().map(|span| context.line(span.start));
                context.report(
                    line,
                    format!("is not TOML: {}", error.message()),
                    "See https://toml.io.",
                );
                return Err(context.problems.into_inner());
            }
        };
        let config = sections::read(&context, table);
        let mut problems = context.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }
}
