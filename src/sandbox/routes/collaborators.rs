//! Who has a role of their own in a repository, and who is invited to one.

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::model::Permission;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::{people, pulls, repos, time};
use crate::sandbox::world::{Invited, World};

/// `GET /repos/{owner}/{repo}/collaborators`.
pub fn list(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let direct = call.query("affiliation") == Some("direct");
    let least = call.query("permission").map(named).transpose()?;
    let has = |user: u64| match direct {
        true => world.repos[repo].collaborators.get(&user).copied(),
        false => world.permission(user, repo),
    };
    let people = world.accounts.values().filter(|account| !account.deleted);
    let found = people.filter_map(|account| Some((account.id, has(account.id)?)));
    let found = found.filter(|(_, permission)| least.is_none_or(|least| *permission >= least));
    let shape =
        |(user, permission)| pulls::permission(world, user, Some(permission))["user"].clone();
    Ok(call.page(found.map(shape).collect()))
}

/// The permission of this name, by its older name or by the one of today.
fn named(name: &str) -> Result<Permission, Refusal> {
    Ok(match name {
        "pull" | "read" => Permission::Pull,
        "triage" => Permission::Triage,
        "push" | "write" => Permission::Push,
        "maintain" => Permission::Maintain,
        "admin" => Permission::Admin,
        _ => return Err(Refusal::new(422, "Validation Failed")),
    })
}

/// `PUT /repos/{owner}/{repo}/collaborators/{username}`: at once for whoever is in the organisation or here already, by invitation
/// for anybody else.
pub fn add(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let user = world.account_or_404(call.param("username"))?.id;
    let permission = call.text("permission");
    let permission = named(permission.as_deref().unwrap_or("push"))?;
    let member = world
        .members
        .get(&user)
        .is_some_and(|belonging| belonging.active);
    if member || world.repos[repo].collaborators.contains_key(&user) {
        world.repos[repo].collaborators.insert(user, permission);
        return Ok(Answer::empty());
    }
    let invited = Invited {
        id: world.fresh_id(),
        user,
        permission,
        by: call.user()?,
        at: world.now(),
    };
    let answer = invitation(world, repo, &invited);
    world.repos[repo].invited.retain(|one| one.user != user);
    world.repos[repo].invited.push(invited);
    Ok(Answer::json(201, answer))
}

/// `DELETE /repos/{owner}/{repo}/collaborators/{username}`.
pub fn remove(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let user = world.account_or_404(call.param("username"))?.id;
    world.repos[repo].collaborators.remove(&user);
    Ok(Answer::empty())
}

/// `GET /repos/{owner}/{repo}/invitations`.
pub fn invitations(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let all = world.repos[repo].invited.iter();
    Ok(call.page(all.map(|one| invitation(world, repo, one)).collect()))
}

/// `DELETE /repos/{owner}/{repo}/invitations/{invitation_id}`.
pub fn withdraw(world: &mut World, call: &Call) -> Answered {
    let (repo, id) = (call.repository()?, call.number("invitation_id")?);
    let invited = &mut world.repos[repo].invited;
    let at = invited.iter().position(|one| one.id == id);
    invited.remove(at.ok_or_else(Refusal::not_found)?);
    Ok(Answer::empty())
}

fn invitation(world: &World, repo: usize, invited: &Invited) -> Value {
    let id = invited.id;
    json!({
        "id": id,
        "node_id": format!("RI_{id}"),
        "repository": repos::repo(world, repo),
        "invitee": people::user(world, invited.user),
        "inviter": people::user(world, invited.by),
        "permissions": invited.permission.role_name(),
        "created_at": time(invited.at),
        "expired": false,
        "url": format!("{}/user/repository_invitations/{id}", world.api()),
        "html_url": format!("{}/{}/invitations", world.base, world.full_name(repo)),
    })
}
