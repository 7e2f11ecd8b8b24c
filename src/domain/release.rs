//! What lets go of removals that the brake holds: two owners' approval of exactly that change.
//!
//! A [`Hold`] is kept while more is inferred than is believed. Hallpass proposes a file, the [`Release`], in a pull request of its
//! own; the approval of it by two owners of everything that is concerned, as weighed when it was merged, lets exactly those
//! removals go that it names. What is inferred beside them meets the brake anew.
//!
//! Invariant: a release names its removals one by one (by their digest); none of them can be another one later: a grant's id is
//! used once, and whoever comes back is taken off what was released.
//!
//! What is due by time is never held, so it needs no release.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::approval::Approval;
use super::codeowners::Codeowners;
use super::emergency::Asked;
use super::model::{
    CommitId, ConnectionName, GrantId, Instant, Owner, PullNumber, ReleasePath, RepoPath,
    ResourceName,
};

/// How many distinct owners must approve a release.
pub const OWNERS: u32 = 2;

/// Where the state of each brake is noted, under its [`Whose::key`].
pub const BRAKES: &str = "brake/";

/// From what removals were inferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inferred {
    /// The files of grants are gone from the protected branch, or say something else that nobody approved.
    Withdrawn,
    /// People who hold access are gone.
    Left,
    /// Access was found that Hallpass did not give, and its resources enforce what the repository says.
    Outside,
}

impl Inferred {
    /// The word in the record and in evidence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
            Self::Left => "left",
            Self::Outside => "outside",
        }
    }
}

/// What is held together: the same removals of one resource at one connection, or all people who left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Whose {
    /// From what they were inferred.
    pub inferred: Inferred,
    /// Where the access is; `None` for people who left.
    pub connection: Option<ConnectionName>,
    /// The resource, which is the folder of the record; `None` for people who left.
    pub resource: Option<ResourceName>,
}

impl Whose {
    /// The people who left: there is one hold of them.
    pub const LEAVERS: Self = Self {
        inferred: Inferred::Left,
        connection: None,
        resource: None,
    };

    /// Grants of `resource` at `connection` for which no file speaks any more.
    pub fn withdrawn(connection: &ConnectionName, resource: ResourceName) -> Self {
        Self {
            inferred: Inferred::Withdrawn,
            connection: Some(connection.clone()),
            resource: Some(resource),
        }
    }

    /// Access to `resource` at `connection` that was given outside.
    pub fn outside(connection: &ConnectionName, resource: ResourceName) -> Self {
        Self {
            inferred: Inferred::Outside,
            ..Self::withdrawn(connection, resource)
        }
    }

    /// Where its state is kept.
    pub fn key(&self) -> String {
        let connection = self.connection.as_ref().map_or("", |c| c.as_str());
        format!("{}/{connection}/{}", self.inferred.as_str(), self.scope())
    }

    fn scope(&self) -> &str {
        self.resource.as_ref().map_or("people", |r| r.as_str())
    }
}

/// Removals that wait for two owners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What is held together.
    pub whose: Whose,
    /// Each removal by its name: the id of a grant, a login, or an account.
    pub members: BTreeSet<String>,
    /// The tip of the protected branch at which just these were first held.
    pub base: CommitId,
    /// When that was.
    pub since: Instant,
    /// Which attempt to have them released this is, from 1.
    pub attempt: u32,
    /// The pull request that asks for the release; `None` before it was opened.
    pub asked: Option<Asked>,
    /// Pull requests that were merged without two owners' approval.
    pub unsigned: Vec<PullNumber>,
}

/// The state of one brake: what it holds, and what was released and is not gone yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Brake {
    /// What waits for two owners.
    pub hold: Option<Hold>,
    /// What two owners released.
    pub released: BTreeSet<String>,
}

/// What a pass found of one brake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// Which brake.
    pub whose: &'a Whose,
    /// What it holds now.
    pub held: BTreeSet<String>,
    /// Everything that is inferred and may still be there, held or not: what was released and is not among it is over.
    pub inferred: BTreeSet<String>,
    /// The tip of the protected branch.
    pub base: &'a CommitId,
    /// The time.
    pub now: Instant,
}

impl Brake {
    /// The brake after `found`. While nothing is held that the hold does not name, it stays as it is, so that approvals of its
    /// release are not lost when something of it ends by time meanwhile.
    #[must_use]
    pub fn after(&self, found: &Found<'_>) -> Self {
        let released = self.released.intersection(&found.inferred).cloned();
        // A pass that looked before the release came may still say that it holds what was released since.
        let held: BTreeSet<String> = found.held.difference(&self.released).cloned().collect();
        let hold = match &self.hold {
            _ if held.is_empty() => None,
            Some(hold) if held.is_subset(&hold.members) => Some(hold.clone()),
            _ => Some(Hold {
                whose: found.whose.clone(),
                members: held,
                base: found.base.clone(),
                since: found.now,
                attempt: 1,
                asked: None,
                unsigned: Vec::new(),
            }),
        };
        Self {
            hold,
            released: released.collect(),
        }
    }

    /// The brake once two owners released what it holds.
    #[must_use]
    pub fn let_go(self) -> Self {
        let members = self.hold.into_iter().flat_map(|hold| hold.members);
        Self {
            hold: None,
            released: self.released.into_iter().chain(members).collect(),
        }
    }
}

impl Hold {
    /// What the record must say.
    pub fn record(&self) -> Release {
        Release {
            held: self.whose.inferred,
            connection: self.whose.connection.clone(),
            count: self.members.len() as u64,
            digest: self.digest(),
            base: self.base.clone(),
            attempt: self.attempt,
        }
    }

    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for member in &self.members {
            hash.update(member);
            hash.update("\n");
        }
        hex::encode(hash.finalize())
    }

    /// Where its record stands: another set, another base or another brake has another path.
    pub fn record_path(&self) -> ReleasePath {
        let whole = format!("{}\n{}\n{}", self.whose.key(), self.base, self.digest());
        let digits = hex::encode(Sha256::digest(whole));
        let path = format!(
            "access/releases/{}/{}.yaml",
            self.whose.scope(),
            &digits[..12]
        );
        ReleasePath::new(&path).expect("a name, and digits")
    }

    /// The branch of the pull request that asks for the release: one for each brake, so that a set that grows is asked for where
    /// the smaller one was.
    pub fn branch(&self) -> String {
        format!("hallpass/release/{}", self.whose.key().replace("//", "/"))
    }

    /// Whether pull request `number` is the one that asks for the release.
    pub fn is_asked_in(&self, number: PullNumber) -> bool {
        self.asked.as_ref().is_some_and(|a| a.pull == number)
    }

    /// `12 grants on orders at orders-primary`.
    pub fn what(&self) -> String {
        let count = self.members.len();
        let whose = &self.whose;
        let at = whose.connection.as_ref();
        let at = at.map(|c| format!(" at {c}")).unwrap_or_default();
        let on = whose.resource.as_ref();
        let on = on.map(|r| format!(" on {r}")).unwrap_or_default();
        let things = match (whose.inferred, count) {
            (Inferred::Withdrawn, 1) => "grant",
            (Inferred::Withdrawn, _) => "grants",
            (Inferred::Left, 1) => "person who left",
            (Inferred::Left, _) => "people who left",
            (Inferred::Outside, 1) => "account from outside",
            (Inferred::Outside, _) => "accounts from outside",
        };
        format!("{count} {things}{on}{at}")
    }

    /// The paths whose owners decide: of each grant, of each person, of the resource that enforces. One for each set of owners.
    pub fn deciding(&self, codeowners: &Codeowners) -> Vec<RepoPath> {
        let mut known = BTreeSet::new();
        let paths = self
            .members
            .iter()
            .filter_map(|member| self.path_of(member));
        let paths: BTreeSet<RepoPath> = paths.collect();
        let new = |path: &RepoPath| known.insert(codeowners.owners(path).owners().to_vec());
        paths.into_iter().filter(new).collect()
    }

    fn path_of(&self, member: &str) -> Option<RepoPath> {
        match self.whose.inferred {
            Inferred::Withdrawn => Some(GrantId::new(member).ok()?.path()?.as_repo_path()),
            Inferred::Left => RepoPath::new(format!("access/people/{member}.yaml")).ok(),
            Inferred::Outside => {
                let resource = self.whose.resource.as_ref()?;
                RepoPath::new(format!("access/resources/{resource}.yaml")).ok()
            }
        }
    }

    /// Everybody who is named as an owner of something that is concerned.
    pub fn owners(&self, codeowners: &Codeowners) -> BTreeSet<Owner> {
        let paths = self.deciding(codeowners);
        let owners = paths
            .iter()
            .flat_map(|p| codeowners.owners(p).owners().to_vec());
        owners
            .filter(|owner| !matches!(owner, Owner::Email(_)))
            .collect()
    }
}

/// The approvals that let a hold go, each owner once.
pub fn distinct(approvals: impl IntoIterator<Item = Approval>) -> Vec<Approval> {
    let mut known = BTreeSet::new();
    let new = |a: &Approval| known.insert(a.reviewer.id);
    approvals.into_iter().filter(new).collect()
}

/// The content of `access/releases/<scope>/<12 digits>.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// From what the removals were inferred.
    pub held: Inferred,
    /// Where the access is; `None` for people who left.
    pub connection: Option<ConnectionName>,
    /// How many there are.
    pub count: u64,
    /// SHA-256 of their sorted names, each followed by a line feed.
    pub digest: String,
    /// The commit at which just these were first held.
    pub base: CommitId,
    /// Which attempt to have them released this is.
    #[serde(default = "first")]
    pub attempt: u32,
}

fn first() -> u32 {
    1
}

impl Release {
    /// The file as Hallpass writes it.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# yaml-language-server: $schema=../../../schemas/release.schema.json\n\
             # Written by Hallpass: with the approval of two owners, exactly these removals are let go.\n\
             held: {}\n",
            self.held.as_str()
        );
        // Writing to a String cannot fail.
        if let Some(connection) = &self.connection {
            let _ = writeln!(text, "connection: \"{connection}\"");
        }
        let _ = write!(
            text,
            "count: {}\ndigest: \"{}\"\nbase: \"{}\"\n",
            self.count, self.digest, self.base
        );
        if self.attempt > 1 {
            let _ = writeln!(text, "attempt: {}", self.attempt);
        }
        text
    }
}
