//! Building a world: who is there, what they belong to, what they may do.
//!
//! Naming something that was not made before is a bug of the caller, and panics.

use octocrab::jsonwebtoken::EncodingKey;

use crate::domain::model::{CommitId, UserId};

use super::Sandbox;
use super::changes::Moved;
use super::git;
use super::merging::PROTECTED;
use super::model::{AccountKind, AppSpec, Change, Membership, Permission, Ruleset};
use super::refusal::Refusal;
use super::world::{App, Belonging, Installation, OrganisationRole, Repo, Team, Token, World};

impl Sandbox {
    /// A person without any rights. The id is fresh, unless there is somebody of that name: a login is of one account.
    pub fn user(&self, login: &str) -> UserId {
        let known = self.world().account(login).map(|known| UserId(known.id));
        known.unwrap_or_else(|| self.account(login, None, AccountKind::User))
    }

    /// An account of any kind, with an id of the caller's choice.
    pub fn account(&self, login: &str, id: Option<u64>, kind: AccountKind) -> UserId {
        UserId(self.world().add_account(login, id, kind))
    }

    /// A person who is an active member of the organisation.
    pub fn member(&self, login: &str) -> UserId {
        let id = self.user(login);
        self.belongs(login, Membership::Active);
        id
    }

    /// Makes an existing account a member of the organisation, without a webhook.
    pub fn belongs(&self, login: &str, membership: Membership) {
        let mut world = self.world();
        let id = self.id(&world, login);
        world.members.insert(
            id,
            Belonging {
                leads: false,
                active: membership == Membership::Active,
            },
        );
    }

    /// Makes an existing account an owner of the organisation.
    pub fn owner(&self, login: &str) {
        let mut world = self.world();
        let id = self.id(&world, login);
        world.members.insert(
            id,
            Belonging {
                leads: true,
                active: true,
            },
        );
    }

    /// A team of existing accounts, who become active members of the organisation too.
    pub fn team(&self, slug: &str, members: &[&str]) -> u64 {
        self.new_team(slug, None, members)
    }

    /// A team below another.
    pub fn child_team(&self, parent: &str, slug: &str, members: &[&str]) -> u64 {
        self.new_team(slug, Some(parent), members)
    }

    fn new_team(&self, slug: &str, parent: Option<&str>, members: &[&str]) -> u64 {
        let mut world = self.world();
        let (id, created_at) = (world.fresh_id(), world.now());
        let parent = parent.map(|slug| world.teams[team_index(&world, slug)].id);
        let active = Belonging {
            leads: false,
            active: true,
        };
        let mut team = Team {
            id,
            slug: slug.to_owned(),
            parent,
            members: Default::default(),
            repositories: Default::default(),
            managed: false,
            created_at,
        };
        for login in members {
            let user = self.id(&world, login);
            world.members.entry(user).or_insert(active).active = true;
            team.members.insert(user, active);
        }
        world.teams.push(team);
        id
    }

    /// Gives a team a permission in a repository.
    pub fn team_may(&self, team: &str, repo: &str, permission: Permission) {
        let mut world = self.world();
        let (team, repo) = (team_index(&world, team), self.index(&world, repo));
        world.teams[team].repositories.insert(repo, permission);
    }

    /// From now on an identity provider decides who is in a team: GitHub refuses to change that.
    pub fn manage(&self, team: &str) {
        let mut world = self.world();
        let team = team_index(&world, team);
        world.teams[team].managed = true;
    }

    /// Gives a person a permission in a repository; `None` takes it away.
    pub fn collaborator(&self, repo: &str, login: &str, permission: Option<Permission>) {
        let mut world = self.world();
        let (repo, user) = (self.index(&world, repo), self.id(&world, login));
        match permission {
            Some(permission) => world.repos[repo].collaborators.insert(user, permission),
            None => world.repos[repo].collaborators.remove(&user),
        };
    }

    /// A role in the organisation, which nobody has.
    pub fn organisation_role(&self, name: &str) {
        let mut world = self.world();
        let (id, created_at) = (world.fresh_id(), world.now());
        world.roles.push(OrganisationRole {
            id,
            name: name.to_owned(),
            users: Default::default(),
            teams: Default::default(),
            created_at,
        });
    }

    /// Gives a person a role in the organisation.
    pub fn give_role(&self, role: &str, login: &str) {
        let mut world = self.world();
        let user = self.id(&world, login);
        for known in world.roles.iter_mut().filter(|known| known.name == role) {
            known.users.insert(user);
        }
    }

    /// Gives a team a role in the organisation.
    pub fn give_role_to_team(&self, role: &str, team: &str) {
        let mut world = self.world();
        let team = world.teams[team_index(&world, team)].id;
        for known in world.roles.iter_mut().filter(|known| known.name == role) {
            known.teams.insert(team);
        }
    }

    /// What every active member may do with every repository; [`Permission::Pull`] at first.
    pub fn base_permission(&self, permission: Option<Permission>) {
        self.world().base_permission = permission;
    }

    /// A repository whose `main` holds these files, in one commit. No webhook is sent.
    ///
    /// # Errors
    /// When the bare repository cannot be written.
    pub fn repository(&self, name: &str, files: &[(&str, &str)]) -> Result<CommitId, Refusal> {
        let mut world = self.world();
        let path = world
            .dir
            .join(world.organisation_login())
            .join(format!("{name}.git"));
        let git = git::init(&path, PROTECTED)?;
        let (id, now) = (world.fresh_id(), world.now());
        let repo = Repo {
            id,
            name: name.to_owned(),
            was: Vec::new(),
            path,
            created_at: now,
            pushed_at: now,
            collaborators: Default::default(),
            invited: Vec::new(),
            pulls: Default::default(),
            next_number: 1,
            checks: Default::default(),
            comments: Default::default(),
            issues: Default::default(),
            activity: Vec::new(),
            ruleset: None,
            guarded: Default::default(),
            environments: Vec::new(),
            runs: Default::default(),
            example: None,
        };
        world.repos.push(repo);
        let changes: Vec<Change> = files
            .iter()
            .map(|(path, content)| Change::write(*path, content))
            .collect();
        let tree = git::changed_tree(&git, None, &changes)?;
        let by = world.signature(world.organisation)?;
        let commit = git.commit(None, &by, &by, "Initial commit", &tree, &[])?;
        git.reference(&format!("refs/heads/{PROTECTED}"), commit, true, "sandbox")?;
        CommitId::new(commit.to_string()).map_err(|error| Refusal::new(500, error.to_string()))
    }

    /// Sets or lifts the rules of `main`.
    pub fn ruleset(&self, repo: &str, rules: Option<Ruleset>) {
        let mut world = self.world();
        let repo = self.index(&world, repo);
        world.repos[repo].ruleset = rules;
    }

    /// Offers this file to whoever would like to try asking; `{you}` in path and text becomes who asks.
    pub fn example(&self, repo: &str, path: &str, text: &str) {
        let mut world = self.world();
        let repo = self.index(&world, repo);
        world.repos[repo].example = Some((path.to_owned(), text.to_owned()));
    }

    /// From now on only who may pass by the rules of `main` moves this branch.
    pub fn guard(&self, repo: &str, branch: &str) {
        let mut world = self.world();
        let repo = self.index(&world, repo);
        world.repos[repo].guarded.insert(branch.to_owned());
    }

    /// Registers an App and its bot.
    ///
    /// # Errors
    /// When the key is not an RSA private key in PEM.
    pub fn app(&self, spec: AppSpec) -> Result<UserId, octocrab::jsonwebtoken::errors::Error> {
        let key = EncodingKey::from_rsa_pem(spec.private_key_pem.as_bytes())?;
        let mut world = self.world();
        let bot = world.add_account(&format!("{}[bot]", spec.slug), None, AccountKind::Bot);
        let created_at = world.now();
        let permissions = spec.permissions.into_iter().collect();
        world.apps.push(App {
            id: spec.id,
            slug: spec.slug,
            bot,
            key,
            permissions,
            created_at,
        });
        if world.apps.len() == 1 {
            self.post.belongs_to(spec.id);
        }
        Ok(UserId(bot))
    }

    /// Installs an App in the organisation, for all its repositories.
    pub fn installation(&self, app: u64, id: u64) {
        let mut world = self.world();
        assert!(
            world.apps.iter().any(|known| known.id == app),
            "the sandbox has no App {app}"
        );
        let created_at = world.now();
        world.installations.push(Installation {
            id,
            app,
            only: None,
            suspended: false,
            created_at,
        });
    }

    /// Gives an installation these repositories, and hides all others from it; `None` for all that there are.
    pub fn installation_sees(&self, id: u64, only: Option<&[&str]>) {
        let mut world = self.world();
        let number = |name: &&str| world.repos[self.index(&world, name)].id;
        let only = only.map(|names| names.iter().map(number).collect());
        for found in world.installations.iter_mut().filter(|one| one.id == id) {
            found.only.clone_from(&only);
        }
    }

    /// Changes one permission of an App; `None` takes it away. Tokens that exist keep what they have.
    pub fn app_permission(&self, app: u64, name: &str, level: Option<&str>) {
        let mut world = self.world();
        let app = world
            .apps
            .iter_mut()
            .find(|known| known.id == app)
            .unwrap_or_else(|| panic!("the sandbox has no App {app}"));
        match level {
            Some(level) => app.permissions.insert(name.to_owned(), level.to_owned()),
            None => app.permissions.remove(name),
        };
    }

    /// A personal token that never expires, for git and for REST as that person.
    pub fn personal_token(&self, login: &str) -> String {
        let mut world = self.world();
        let user = self.id(&world, login);
        let secret = format!("ghp_{}", hex::encode(rand::random::<[u8; 18]>()));
        world.tokens.insert(
            secret.clone(),
            Token {
                user,
                installation: None,
                app: None,
                repositories: None,
                expires_at: None,
            },
        );
        secret
    }

    /// Sends webhooks to `url` from now on, signed with `secret`.
    pub fn deliver_to(&self, url: impl Into<String>, secret: impl Into<String>) {
        self.post.redirect(Some(super::Webhook {
            url: url.into(),
            secret: secret.into(),
        }));
    }

    /// Moves a ref as `git update-ref` on the server would: with activity and webhooks, without rules.
    pub(super) fn force_ref(
        &self,
        world: &mut World,
        repo: usize,
        moved: Moved,
    ) -> Result<(), Refusal> {
        world.move_ref(repo, moved)
    }
}

/// The index of a team that the caller made.
pub(super) fn team_index(world: &World, slug: &str) -> usize {
    world
        .team_named(slug)
        .unwrap_or_else(|| panic!("the sandbox has no team `{slug}`"))
}
