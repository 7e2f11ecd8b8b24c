//! The state of the stand-in: one organisation, its people, teams, repositories and Apps.
//!
//! Invariant: what git can tell (trees, diffs, ancestry) is never kept here; it is read from the bare repositories.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::model::Instant;

use super::model::{AccountKind, Permission, ReviewSaid, Ruleset};
use super::oauth::SignIns;
use super::post::Post;
use super::refusal::Refusal;
use super::registering::Agreed;

/// An account: a person, an App's bot, or the organisation itself.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: u64,
    pub login: String,
    pub kind: AccountKind,
    pub created_at: Instant,
    /// A deleted account is `null` wherever GitHub would show it.
    pub deleted: bool,
}

/// Belonging to the organisation or to a team.
#[derive(Debug, Clone, Copy)]
pub struct Belonging {
    /// Organisation: owner. Team: maintainer.
    pub leads: bool,
    /// False while the invitation is pending.
    pub active: bool,
}

/// A team.
#[derive(Debug, Clone)]
pub struct Team {
    pub id: u64,
    pub slug: String,
    pub parent: Option<u64>,
    pub members: BTreeMap<u64, Belonging>,
    /// Permissions by index of the repository.
    pub repositories: BTreeMap<usize, Permission>,
    /// Whether an identity provider decides who is in it, so that nobody changes that here.
    pub managed: bool,
    pub created_at: Instant,
}

/// A repository.
#[derive(Debug)]
pub struct Repo {
    pub id: u64,
    pub name: String,
    /// What it was called before.
    pub was: Vec<String>,
    pub path: PathBuf,
    pub created_at: Instant,
    pub pushed_at: Instant,
    pub collaborators: BTreeMap<u64, Permission>,
    pub invited: Vec<Invited>,
    pub pulls: BTreeMap<u64, Pull>,
    pub next_number: u64,
    pub checks: BTreeMap<u64, CheckRun>,
    pub comments: BTreeMap<u64, Comment>,
    pub issues: BTreeMap<u64, Issue>,
    pub activity: Vec<Activity>,
    pub ruleset: Option<Ruleset>,
    /// Branches beside `main` that only who may pass by the rules moves.
    pub guarded: BTreeSet<String>,
    pub environments: Vec<Environment>,
    pub runs: BTreeMap<u64, Run>,
    /// A path and a text that the page offers to who would like to try: `{you}` is whoever asks.
    pub example: Option<(String, String)>,
}

/// An environment that jobs deploy to.
#[derive(Debug, Clone)]
pub struct Environment {
    pub id: u64,
    pub name: String,
    pub created_at: Instant,
    pub rules: Vec<ProtectionRule>,
    /// Whether a person has to let each job through as well.
    pub reviewed: bool,
}

/// An App that is asked before a job may deploy to an environment.
#[derive(Debug, Clone, Copy)]
pub struct ProtectionRule {
    pub id: u64,
    pub app: u64,
}

/// A run of a workflow, as far as it deploys.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: u64,
    pub number: u64,
    pub attempt: u64,
    pub event: String,
    pub actor: u64,
    pub triggering_actor: u64,
    pub head_sha: String,
    pub jobs: Vec<Job>,
    pub cancelled: bool,
    pub created_at: Instant,
    pub started_at: Instant,
    pub updated_at: Instant,
}

/// A job that deploys to an environment.
#[derive(Debug, Clone)]
pub struct Job {
    pub environment: String,
    /// The Apps that have not answered yet.
    pub apps: BTreeSet<u64>,
    /// Whether a person has not let it through yet.
    pub person: bool,
    pub rejected: bool,
    /// What Apps said of it: whether they let it through, where they said that, and their words.
    pub said: Vec<(Option<bool>, String)>,
}

/// Somebody who is offered a role in a repository.
#[derive(Debug, Clone)]
pub struct Invited {
    pub id: u64,
    pub user: u64,
    pub permission: Permission,
    pub by: u64,
    pub at: Instant,
}

/// A role in the organisation, and who has it.
#[derive(Debug, Clone)]
pub struct OrganisationRole {
    pub id: u64,
    pub name: String,
    pub users: BTreeSet<u64>,
    pub teams: BTreeSet<u64>,
    pub created_at: Instant,
}

/// An issue, or a pull request in the place of one.
#[derive(Debug, Clone)]
pub struct Issue {
    pub id: u64,
    pub number: u64,
    pub user: u64,
    pub app: Option<u64>,
    pub title: String,
    pub body: Option<String>,
    pub open: bool,
    pub is_pull: bool,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub closed_at: Option<Instant>,
}

/// How a pull request was merged.
#[derive(Debug, Clone)]
pub struct Merged {
    pub commit: String,
    pub at: Instant,
    pub by: u64,
}

/// A pull request.
#[derive(Debug, Clone)]
pub struct Pull {
    pub id: u64,
    pub number: u64,
    pub author: u64,
    pub title: String,
    pub body: Option<String>,
    pub base: String,
    pub base_sha: String,
    pub head: String,
    pub head_sha: String,
    /// Whose fork the branch lives in; `None` for this repository. A fork has no branches here, only `refs/pull/N/head`.
    pub fork: Option<u64>,
    pub draft: bool,
    pub open: bool,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub closed_at: Option<Instant>,
    pub merged: Option<Merged>,
    pub reviews: Vec<Review>,
    pub labels: Vec<String>,
}

/// A review.
#[derive(Debug, Clone)]
pub struct Review {
    pub id: u64,
    pub user: u64,
    pub body: String,
    pub said: ReviewSaid,
    pub commit: String,
    pub submitted_at: Instant,
    pub dismissed: Option<Dismissed>,
}

/// How a review was dismissed: an event of the pull request.
#[derive(Debug, Clone)]
pub struct Dismissed {
    pub event: u64,
    /// What the review said before.
    pub was: ReviewSaid,
    pub by: u64,
    pub at: Instant,
}

/// A check run.
#[derive(Debug, Clone)]
pub struct CheckRun {
    pub id: u64,
    pub suite: u64,
    pub app: u64,
    pub name: String,
    pub head_sha: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub started_at: Instant,
    pub completed_at: Option<Instant>,
    pub details_url: Option<String>,
    pub external_id: String,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    pub annotations: Vec<serde_json::Value>,
}

/// A comment on a pull request.
#[derive(Debug, Clone)]
pub struct Comment {
    pub id: u64,
    pub number: u64,
    pub user: u64,
    /// The App that wrote it, where one did.
    pub app: Option<u64>,
    pub body: String,
    pub created_at: Instant,
    pub updated_at: Instant,
}

/// One entry of a repository's activity.
#[derive(Debug, Clone)]
pub struct Activity {
    pub id: u64,
    pub kind: &'static str,
    pub reference: String,
    pub before: String,
    pub after: String,
    pub actor: u64,
    pub at: Instant,
}

/// A GitHub App.
#[derive(Clone)]
pub struct App {
    pub id: u64,
    pub slug: String,
    pub bot: u64,
    pub key: octocrab::jsonwebtoken::EncodingKey,
    pub permissions: BTreeMap<String, String>,
    pub created_at: Instant,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("id", &self.id)
            .field("slug", &self.slug)
            .finish_non_exhaustive()
    }
}

/// An App installed in the organisation.
#[derive(Debug, Clone)]
pub struct Installation {
    pub id: u64,
    pub app: u64,
    /// The numbers of the repositories that it was given; `None` for all that there are.
    pub only: Option<BTreeSet<u64>>,
    pub suspended: bool,
    pub created_at: Instant,
}

/// Whom a token speaks for.
#[derive(Debug, Clone)]
pub struct Token {
    pub user: u64,
    /// The installation and the permissions that the token was narrowed to; `None` for a person's token.
    pub installation: Option<(u64, BTreeMap<String, String>)>,
    /// The App that the person signed in to, where the token came of that: it shows what both may see.
    pub app: Option<u64>,
    /// The repositories it is narrowed to.
    pub repositories: Option<BTreeSet<usize>>,
    pub expires_at: Option<Instant>,
}

/// Everything.
#[derive(Debug)]
pub struct World {
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    pub dir: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub post: Post,
    pub organisation: u64,
    pub accounts: BTreeMap<u64, Account>,
    pub members: BTreeMap<u64, Belonging>,
    pub teams: Vec<Team>,
    pub repos: Vec<Repo>,
    pub roles: Vec<OrganisationRole>,
    pub apps: Vec<App>,
    pub installations: Vec<Installation>,
    pub tokens: BTreeMap<String, Token>,
    pub sign_ins: SignIns,
    /// What every active member may do with every repository.
    pub base_permission: Option<Permission>,
    /// Manifests of Apps that somebody agreed to, by the code that is exchanged for them.
    pub agreed: BTreeMap<String, Agreed>,
    /// Calls of each caller in the current hour of the clock.
    pub used: BTreeMap<String, (i64, u64)>,
    /// Whether what was merged is still shown as open.
    pub lags: bool,
    pub last_id: u64,
}

impl Pull {
    /// Whether its branch is `branch` of this repository.
    pub fn comes_from(&self, branch: &str) -> bool {
        self.fork.is_none() && self.head == branch
    }
}

impl World {
    /// A world with an empty organisation.
    pub fn new(
        base: String,
        dir: PathBuf,
        clock: Arc<dyn Clock>,
        post: Post,
        organisation: &str,
    ) -> Self {
        let mut world = Self {
            base,
            dir,
            clock,
            post,
            organisation: 0,
            accounts: BTreeMap::new(),
            members: BTreeMap::new(),
            teams: Vec::new(),
            repos: Vec::new(),
            roles: Vec::new(),
            apps: Vec::new(),
            installations: Vec::new(),
            tokens: BTreeMap::new(),
            sign_ins: SignIns::default(),
            base_permission: Some(Permission::Pull),
            agreed: BTreeMap::new(),
            used: BTreeMap::new(),
            lags: false,
            last_id: 1000,
        };
        world.organisation = world.add_account(organisation, None, AccountKind::Organization);
        world
    }

    /// The instant, now.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A number never used before.
    pub fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The organisation's login.
    pub fn organisation_login(&self) -> &str {
        &self.accounts[&self.organisation].login
    }

    /// Creates an account and answers its id.
    pub fn add_account(&mut self, login: &str, id: Option<u64>, kind: AccountKind) -> u64 {
        let id = id.unwrap_or_else(|| self.fresh_id());
        let account = Account {
            id,
            login: login.to_owned(),
            kind,
            created_at: self.now(),
            deleted: false,
        };
        self.accounts.insert(id, account);
        id
    }

    /// The account called `login`, in whatever case.
    pub fn account(&self, login: &str) -> Option<&Account> {
        self.accounts
            .values()
            .find(|account| !account.deleted && account.login.eq_ignore_ascii_case(login))
    }

    /// As [`World::account`], or 404.
    pub fn account_or_404(&self, login: &str) -> Result<&Account, Refusal> {
        self.account(login).ok_or_else(Refusal::not_found)
    }

    /// The repository `name`, in whatever case, with or without the organisation in front.
    pub fn repo_named(&self, name: &str) -> Option<usize> {
        let name = match name.split_once('/') {
            Some((owner, name)) if owner.eq_ignore_ascii_case(self.organisation_login()) => name,
            Some(_) => return None,
            None => name,
        };
        self.repos
            .iter()
            .position(|repo| repo.name.eq_ignore_ascii_case(name))
    }

    /// The pull request, or 404.
    pub fn pull(&self, repo: usize, number: u64) -> Result<&Pull, Refusal> {
        self.repos[repo]
            .pulls
            .get(&number)
            .ok_or_else(Refusal::not_found)
    }

    /// The pull request, to be changed, or 404.
    pub fn pull_mut(&mut self, repo: usize, number: u64) -> Result<&mut Pull, Refusal> {
        self.repos[repo]
            .pulls
            .get_mut(&number)
            .ok_or_else(Refusal::not_found)
    }

    /// `owner/name` of a repository.
    pub fn full_name(&self, repo: usize) -> String {
        format!("{}/{}", self.organisation_login(), self.repos[repo].name)
    }

    /// The team, by slug in whatever case.
    pub fn team_named(&self, slug: &str) -> Option<usize> {
        self.teams
            .iter()
            .position(|team| team.slug.eq_ignore_ascii_case(slug))
    }

    /// The ids of a team and of all teams below it.
    pub fn team_and_below(&self, id: u64) -> BTreeSet<u64> {
        let mut found = BTreeSet::from([id]);
        loop {
            let more: Vec<u64> = self
                .teams
                .iter()
                .filter(|team| {
                    !found.contains(&team.id)
                        && team.parent.is_some_and(|parent| found.contains(&parent))
                })
                .map(|team| team.id)
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// What a team may do with a repository: what it was given itself, or inherits from the teams above it.
    pub fn team_permission(&self, team: &Team, repo: usize) -> Option<Permission> {
        let own = team.repositories.get(&repo).copied();
        let above = self
            .teams
            .iter()
            .find(|other| Some(other.id) == team.parent);
        own.max(above.and_then(|above| self.team_permission(above, repo)))
    }

    /// What a user may do with a repository.
    pub fn permission(&self, user: u64, repo: usize) -> Option<Permission> {
        let member = self.members.get(&user).filter(|belonging| belonging.active);
        if member.is_some_and(|belonging| belonging.leads) {
            return Some(Permission::Admin);
        }
        let direct = self.repos[repo].collaborators.get(&user).copied();
        let teams = self.teams.iter().filter(|team| {
            team.members
                .get(&user)
                .is_some_and(|belonging| belonging.active)
        });
        let teams = teams
            .filter_map(|team| self.team_permission(team, repo))
            .max();
        let base = member.and(self.base_permission);
        direct.max(teams).max(base)
    }
}
