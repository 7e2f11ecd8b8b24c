//! Joining and leaving the organisation and its teams.

use super::Sandbox;
use super::model::Membership;
use super::render::events;
use super::setup::team_index;
use super::world::{Belonging, World};

impl World {
    /// Puts somebody into a team: at once if they are in the organisation, by invitation otherwise.
    pub fn join_team(&mut self, team: usize, user: u64, leads: bool, by: u64) {
        let active = self
            .members
            .get(&user)
            .is_some_and(|belonging| belonging.active);
        self.members.entry(user).or_insert(Belonging {
            leads: false,
            active: false,
        });
        let before = self.teams[team]
            .members
            .insert(user, Belonging { leads, active });
        if active && !before.is_some_and(|before| before.active) {
            self.tell_team(team, user, "added", by);
        }
    }

    /// Takes somebody, or their invitation, out of a team. False if there was neither.
    pub fn leave_team(&mut self, team: usize, user: u64, by: u64) -> bool {
        let Some(before) = self.teams[team].members.remove(&user) else {
            return false;
        };
        if before.active {
            self.tell_team(team, user, "removed", by);
        }
        true
    }

    /// Makes somebody an active member of the organisation, and of every team that invited them.
    pub fn accept(&mut self, user: u64, leads: bool) {
        let belonging = Belonging {
            leads,
            active: true,
        };
        self.members.insert(user, belonging);
        self.post.send(
            "organization",
            events::member(self, user, belonging, "member_added", user),
        );
        for team in 0..self.teams.len() {
            if let Some(invited) = self.teams[team]
                .members
                .get_mut(&user)
                .filter(|invited| !invited.active)
            {
                invited.active = true;
                self.tell_team(team, user, "added", user);
            }
        }
    }

    /// Takes somebody out of the organisation and all its teams.
    pub fn expel(&mut self, user: u64, by: u64) {
        for team in 0..self.teams.len() {
            self.leave_team(team, user, by);
        }
        if let Some(before) = self.members.remove(&user) {
            self.post.send(
                "organization",
                events::member(self, user, before, "member_removed", by),
            );
        }
    }

    fn tell_team(&self, team: usize, user: u64, action: &str, by: u64) {
        self.post.send(
            "membership",
            events::team_member(self, &self.teams[team], user, action, by),
        );
    }
}

impl Sandbox {
    /// Puts somebody into a team: at once if they are in the organisation, by invitation otherwise.
    pub fn join_team(&self, login: &str, team: &str) -> Membership {
        let mut world = self.world();
        let (team, user, by) = (
            team_index(&world, team),
            self.id(&world, login),
            world.organisation,
        );
        world.join_team(team, user, false, by);
        if world.teams[team].members[&user].active {
            Membership::Active
        } else {
            Membership::Pending
        }
    }

    /// Accepts the invitation to a repository.
    pub fn accept_invitation(&self, login: &str, repo: &str) {
        let mut world = self.world();
        let (repo, user) = (self.index(&world, repo), self.id(&world, login));
        let repo = &mut world.repos[repo];
        if let Some(at) = repo.invited.iter().position(|one| one.user == user) {
            let one = repo.invited.remove(at);
            repo.collaborators.insert(user, one.permission);
        }
    }

    /// Takes somebody, or their invitation, out of a team.
    pub fn leave_team(&self, login: &str, team: &str) {
        let mut world = self.world();
        let (team, user, by) = (
            team_index(&world, team),
            self.id(&world, login),
            world.organisation,
        );
        world.leave_team(team, user, by);
    }

    /// Makes somebody an active member of the organisation and of every team that invited them.
    pub fn join(&self, login: &str) {
        let mut world = self.world();
        let user = self.id(&world, login);
        world.accept(user, false);
    }

    /// Takes somebody out of the organisation and all its teams.
    pub fn expel(&self, login: &str) {
        let mut world = self.world();
        let (user, by) = (self.id(&world, login), world.organisation);
        world.expel(user, by);
    }

    /// Renames an account. The old name is free at once, and can be registered by somebody else.
    pub fn rename_user(&self, login: &str, new: &str) {
        let mut world = self.world();
        let id = self.id(&world, login);
        if let Some(account) = world.accounts.get_mut(&id) {
            new.clone_into(&mut account.login);
        }
    }

    /// Renames a team. The old slug is free at once, and nothing leads from it to the new one.
    pub fn rename_team(&self, slug: &str, new: &str) {
        let mut world = self.world();
        let team = team_index(&world, slug);
        new.clone_into(&mut world.teams[team].slug);
    }

    /// Renames a role in the organisation.
    pub fn rename_organisation_role(&self, name: &str, new: &str) {
        let mut world = self.world();
        let mut roles = world.roles.iter_mut();
        let role = roles.find(|role| role.name == name);
        let role = role.unwrap_or_else(|| panic!("the sandbox has no role `{name}`"));
        new.clone_into(&mut role.name);
    }

    /// Renames a repository. The old name leads to it until another one is called so.
    ///
    /// # Errors
    /// When the bare repository cannot be moved.
    pub fn rename_repository(&self, name: &str, new: &str) -> std::io::Result<()> {
        let mut world = self.world();
        let index = self.index(&world, name);
        let repo = &mut world.repos[index];
        let path = repo.path.with_file_name(format!("{new}.git"));
        std::fs::rename(&repo.path, &path)?;
        repo.path = path;
        let old = std::mem::replace(&mut repo.name, new.to_owned());
        repo.was.push(old);
        Ok(())
    }

    /// Deletes an account: `null` wherever it stood.
    pub fn delete_user(&self, login: &str) {
        let mut world = self.world();
        let (id, by) = (self.id(&world, login), world.organisation);
        world.expel(id, by);
        if let Some(account) = world.accounts.get_mut(&id) {
            account.deleted = true;
        }
    }
}
