//! Teams.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::model::Permission;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::{people, repos};
use crate::sandbox::world::{Team, World};

use super::organisation::here;

fn index(world: &World, call: &Call) -> Result<usize, Refusal> {
    here(world, call)?;
    world
        .team_named(call.param("team_slug"))
        .ok_or_else(Refusal::not_found)
}

/// As [`index`], to change who is in the team; 403 where team synchronisation does that.
fn changeable(world: &World, call: &Call) -> Result<usize, Refusal> {
    let index = index(world, call)?;
    if world.teams[index].managed {
        let words = "This team's membership is managed by the organization's identity provider.";
        return Err(Refusal::new(403, words));
    }
    Ok(index)
}

fn find<'w>(world: &'w World, call: &Call) -> Result<&'w Team, Refusal> {
    Ok(&world.teams[index(world, call)?])
}

/// `GET /orgs/{org}/teams`.
pub fn list(world: &mut World, call: &Call) -> Answered {
    here(world, call)?;
    Ok(call.page(
        world
            .teams
            .iter()
            .map(|team| people::team(world, team))
            .collect(),
    ))
}

/// `GET /orgs/{org}/teams/{team_slug}`.
pub fn get(world: &mut World, call: &Call) -> Answered {
    let team = find(world, call)?;
    Ok(Answer::ok(people::team_full(world, team)))
}

/// `GET /orgs/{org}/teams/{team_slug}/teams`.
pub fn children(world: &mut World, call: &Call) -> Answered {
    let parent = find(world, call)?.id;
    let children = world
        .teams
        .iter()
        .filter(|team| team.parent == Some(parent));
    Ok(call.page(children.map(|team| people::team(world, team)).collect()))
}

/// `GET /orgs/{org}/teams/{team_slug}/members`: active members, those of child teams among them.
pub fn members(world: &mut World, call: &Call) -> Answered {
    let team = find(world, call)?;
    let below = world.team_and_below(team.id);
    let mut found: BTreeMap<u64, bool> = BTreeMap::new();
    for team in world.teams.iter().filter(|team| below.contains(&team.id)) {
        for (user, belonging) in team
            .members
            .iter()
            .filter(|(_, belonging)| belonging.active)
        {
            *found.entry(*user).or_default() |= belonging.leads;
        }
    }
    let wanted = |leads: bool| match call.query("role") {
        Some("maintainer") => leads,
        Some("member") => !leads,
        _ => true,
    };
    let found = found
        .into_iter()
        .filter(|(user, leads)| wanted(*leads) && !world.accounts[user].deleted);
    Ok(call.page(found.map(|(user, _)| people::user(world, user)).collect()))
}

/// `GET /orgs/{org}/teams/{team_slug}/invitations`.
pub fn invitations(world: &mut World, call: &Call) -> Answered {
    let team = find(world, call)?;
    let pending = team
        .members
        .iter()
        .filter(|(_, belonging)| !belonging.active);
    Ok(call.page(
        pending
            .map(|(user, _)| people::invitation(world, *user))
            .collect(),
    ))
}

/// `GET /orgs/{org}/teams/{team_slug}/memberships/{username}`, through child teams too.
pub fn membership(world: &mut World, call: &Call) -> Answered {
    let team = find(world, call)?;
    let user = world.account_or_404(call.param("username"))?.id;
    let below = world.team_and_below(team.id);
    let mut teams = world
        .teams
        .iter()
        .filter(|candidate| below.contains(&candidate.id));
    let direct = team.members.get(&user).copied();
    let found = direct.or_else(|| {
        teams.find_map(|team| {
            team.members
                .get(&user)
                .copied()
                .filter(|belonging| belonging.active)
        })
    });
    let found = found.ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(people::team_membership(
        world, team, user, found,
    )))
}

/// `PUT /orgs/{org}/teams/{team_slug}/memberships/{username}`: adds a member of the organisation, invites anybody else.
pub fn add(world: &mut World, call: &Call) -> Answered {
    let index = changeable(world, call)?;
    let user = world.account_or_404(call.param("username"))?.id;
    let leads = call.text("role").as_deref() == Some("maintainer");
    world.join_team(index, user, leads, call.user()?);
    let team = &world.teams[index];
    Ok(Answer::ok(people::team_membership(
        world,
        team,
        user,
        team.members[&user],
    )))
}

/// `DELETE /orgs/{org}/teams/{team_slug}/memberships/{username}`: also withdraws an invitation.
pub fn remove(world: &mut World, call: &Call) -> Answered {
    let index = changeable(world, call)?;
    let user = world.account_or_404(call.param("username"))?.id;
    if !world.leave_team(index, user, call.user()?) {
        return Err(Refusal::not_found());
    }
    Ok(Answer::empty())
}

/// `GET /orgs/{org}/teams/{team_slug}/repos/{owner}/{repo}`: with the repository media type, the permissions.
pub fn repository(world: &mut World, call: &Call) -> Answered {
    let team = find(world, call)?;
    let repo = call.repository()?;
    let permission = world
        .team_permission(team, repo)
        .ok_or_else(Refusal::not_found)?;
    if !call.accept.contains("repository+json") {
        return Ok(Answer::empty());
    }
    let least = |least: Permission| permission >= least;
    let permissions: Value = json!({
        "pull": true,
        "triage": least(Permission::Triage),
        "push": least(Permission::Push),
        "maintain": least(Permission::Maintain),
        "admin": least(Permission::Admin),
    });
    let more = json!({ "permissions": permissions, "role_name": permission.role_name() });
    Ok(Answer::ok(people::merged(repos::repo(world, repo), more)))
}
