//! Joining and leaving the organisation and its teams.

use super::render::events;
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
