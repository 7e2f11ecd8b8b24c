//! Roles in the organisation.

use serde_json::{Value, json};

use super::organisation::here;
use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::{people, time};
use crate::sandbox::world::{OrganisationRole, World};

/// `GET /orgs/{org}/organization-roles`.
pub fn list(world: &mut World, call: &Call) -> Answered {
    here(world, call)?;
    let shape = |role: &OrganisationRole| {
        json!({
            "id": role.id,
            "name": role.name,
            "description": null,
            "permissions": [],
            "organization": people::user(world, world.organisation),
            "created_at": time(role.created_at),
            "updated_at": time(role.created_at),
            "source": "Organization",
            "base_role": null,
        })
    };
    let roles: Vec<Value> = world.roles.iter().map(shape).collect();
    Ok(Answer::ok(
        json!({ "total_count": roles.len(), "roles": roles }),
    ))
}

fn position(world: &World, call: &Call) -> Result<usize, Refusal> {
    here(world, call)?;
    let id = call.number("role_id")?;
    let at = world.roles.iter().position(|role| role.id == id);
    at.ok_or_else(Refusal::not_found)
}

/// `PUT /orgs/{org}/organization-roles/users/{username}/{role_id}`: members only.
pub fn assign(world: &mut World, call: &Call) -> Answered {
    let at = position(world, call)?;
    let user = world.account_or_404(call.param("username"))?.id;
    if !world
        .members
        .get(&user)
        .is_some_and(|belonging| belonging.active)
    {
        return Err(Refusal::not_found());
    }
    world.roles[at].users.insert(user);
    Ok(Answer::empty())
}

/// `DELETE /orgs/{org}/organization-roles/users/{username}/{role_id}`.
pub fn remove(world: &mut World, call: &Call) -> Answered {
    let at = position(world, call)?;
    let user = world.account_or_404(call.param("username"))?.id;
    world.roles[at].users.remove(&user);
    Ok(Answer::empty())
}

/// `GET /orgs/{org}/organization-roles/{role_id}/users`: whoever has it, by a team of theirs too.
pub fn users(world: &mut World, call: &Call) -> Answered {
    let role = &world.roles[position(world, call)?];
    let shape = |user: u64| {
        let with = |team: &&crate::sandbox::world::Team| {
            role.teams.contains(&team.id) && team.members.get(&user).is_some_and(|one| one.active)
        };
        let teams: Vec<_> = world.teams.iter().filter(with).collect();
        let assignment = match (role.users.contains(&user), teams.is_empty()) {
            (true, true) => "direct",
            (true, false) => "mixed",
            (false, false) => "indirect",
            (false, true) => return None,
        };
        let from: Vec<Value> = teams
            .into_iter()
            .map(|team| people::team_simple(world, team))
            .collect();
        let more = json!({ "assignment": assignment, "inherited_from": from });
        Some(people::merged(people::user(world, user), more))
    };
    let people = world.accounts.values().filter(|account| !account.deleted);
    Ok(call.page(people.filter_map(|account| shape(account.id)).collect()))
}
