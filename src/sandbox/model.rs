//! The words of the stand-in's interface.

use chrono::TimeDelta;

/// What kind of account: GitHub's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "GitHub's own words")]
pub enum AccountKind {
    User,
    Bot,
    Organization,
    Mannequin,
}

impl AccountKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Bot => "Bot",
            Self::Organization => "Organization",
            Self::Mannequin => "Mannequin",
        }
    }
}

/// What somebody may do with a repository: GitHub's role names, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "GitHub's own words")]
pub enum Permission {
    Pull,
    Triage,
    Push,
    Maintain,
    Admin,
}

impl Permission {
    /// GitHub's `role_name`.
    pub(super) fn role_name(self) -> &'static str {
        match self {
            Self::Pull => "read",
            Self::Triage => "triage",
            Self::Push => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// GitHub's older `permission`, which knows no triage and no maintain.
    pub(super) fn legacy(self) -> &'static str {
        match self {
            Self::Pull | Self::Triage => "read",
            Self::Push | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }
}

/// Whether somebody belongs already, or only has an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// Belongs.
    Active,
    /// Has not accepted yet.
    Pending,
}

/// What a reviewer presses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `APPROVE`.
    Approve,
    /// `REQUEST_CHANGES`.
    RequestChanges,
    /// `COMMENT`.
    Comment,
}

impl Verdict {
    pub(super) fn said(self) -> ReviewSaid {
        match self {
            Self::Approve => ReviewSaid::Approved,
            Self::RequestChanges => ReviewSaid::ChangesRequested,
            Self::Comment => ReviewSaid::Commented,
        }
    }
}

/// The state of a review: GitHub's `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "GitHub's own words")]
pub enum ReviewSaid {
    Approved,
    ChangesRequested,
    Commented,
    Dismissed,
}

impl ReviewSaid {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::ChangesRequested => "CHANGES_REQUESTED",
            Self::Commented => "COMMENTED",
            Self::Dismissed => "DISMISSED",
        }
    }
}

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "GitHub's own words")]
pub enum MergeMethod {
    Merge,
    Squash,
    Rebase,
}

/// The rules of the protected branch `main`: as much of GitHub's rulesets as Hallpass leans on.
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    /// Changes reach `main` only through a pull request.
    pub pull_request: bool,
    /// How many approving reviews it takes.
    pub approvals: u32,
    /// Whether code owners of every changed path must have approved.
    pub code_owner_review: bool,
    /// Whether a push dismisses the reviews given before it.
    pub dismiss_stale: bool,
    /// A check that must have concluded `success`, and the App that must have said so.
    pub required_check: Option<(String, Option<u64>)>,
    /// The Apps on which the rules are not enforced.
    pub bypass_apps: Vec<u64>,
    /// The users on whom the rules are not enforced.
    pub bypass_users: Vec<String>,
}

/// One file of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes a file.
    Write {
        /// Path from the root.
        path: String,
        /// Its bytes.
        content: Vec<u8>,
    },
    /// Writes an entry with an unusual mode: `0o100755`, `0o120000` (a link; the content is its target).
    WriteMode {
        /// Path from the root.
        path: String,
        /// Its bytes.
        content: Vec<u8>,
        /// The mode as git writes it.
        mode: u32,
    },
    /// Deletes a file.
    Delete {
        /// Path from the root.
        path: String,
    },
}

impl Change {
    /// Writes `content` at `path`.
    pub fn write(path: impl Into<String>, content: impl AsRef<[u8]>) -> Self {
        Self::Write {
            path: path.into(),
            content: content.as_ref().to_vec(),
        }
    }

    /// Deletes `path`.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::Delete { path: path.into() }
    }
}

/// A private key that everybody knows: for the tests and the demo, never for an App that exists.
pub const KNOWN_KEY: &str = include_str!("known_key.pem");

/// An App as registered, to be given to [`super::Sandbox::app`].
#[derive(Debug, Clone)]
pub struct AppSpec {
    /// Its number.
    pub id: u64,
    /// Its name; the bot is `slug[bot]`.
    pub slug: String,
    /// Its RSA private key, in PEM.
    pub private_key_pem: String,
    /// Its permissions: `("checks", "write")`.
    pub permissions: Vec<(String, String)>,
}

impl AppSpec {
    /// An App with the permissions that Hallpass documents.
    pub fn hallpass(id: u64, private_key_pem: impl Into<String>) -> Self {
        let permissions = [
            ("metadata", "read"),
            ("contents", "write"),
            ("pull_requests", "write"),
            ("issues", "write"),
            ("checks", "write"),
            ("members", "write"),
        ];
        Self {
            id,
            slug: "hallpass".to_owned(),
            private_key_pem: private_key_pem.into(),
            permissions: permissions
                .map(|(name, level)| (name.to_owned(), level.to_owned()))
                .to_vec(),
        }
    }
}

/// How long an installation token lives.
pub const TOKEN_LIFE: TimeDelta = TimeDelta::hours(1);
