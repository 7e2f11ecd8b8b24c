//! Accounts, and who belongs to the organisation.

use crate::sandbox::auth::{Caller, inaccessible};
use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::model::AccountKind;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::people;
use crate::sandbox::world::World;

/// `GET /users/{username}`.
pub fn user(world: &mut World, call: &Call) -> Answered {
    let account = world.account_or_404(call.param("username"))?;
    Ok(Answer::ok(people::public_user(world, account.id)))
}

/// `GET /user/{account_id}`.
pub fn user_by_id(world: &mut World, call: &Call) -> Answered {
    let id = call.number("account_id")?;
    let account = world
        .accounts
        .get(&id)
        .filter(|account| !account.deleted && account.kind != AccountKind::Organization);
    account.ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(people::public_user(world, id)))
}

/// `GET /user`: who the token speaks for, if that is a person.
pub fn authenticated(world: &mut World, call: &Call) -> Answered {
    match &call.caller {
        Caller::Anonymous => Err(Refusal::new(401, "Requires authentication")),
        Caller::Token(token) if token.installation.is_none() => {
            Ok(Answer::ok(people::public_user(world, token.user)))
        }
        _ => Err(inaccessible()),
    }
}

/// 404 unless the path names our organisation.
pub fn here(world: &World, call: &Call) -> Result<(), Refusal> {
    let here = call
        .param("org")
        .eq_ignore_ascii_case(world.organisation_login());
    here.then_some(()).ok_or_else(Refusal::not_found)
}

/// `GET /orgs/{org}/members`: active members, whether they show it in public or not.
pub fn members(world: &mut World, call: &Call) -> Answered {
    here(world, call)?;
    let wanted = |leads: bool| match call.query("role") {
        Some("admin") => leads,
        Some("member") => !leads,
        _ => true,
    };
    let found = world.members.iter().filter(|(user, belonging)| {
        belonging.active && wanted(belonging.leads) && !world.accounts[user].deleted
    });
    Ok(call.page(found.map(|(user, _)| people::user(world, *user)).collect()))
}

/// `GET /orgs/{org}/members/{username}`: 204 for an active member.
pub fn member(world: &mut World, call: &Call) -> Answered {
    here(world, call)?;
    let account = world.account_or_404(call.param("username"))?;
    let active = world
        .members
        .get(&account.id)
        .is_some_and(|belonging| belonging.active);
    active.then(Answer::empty).ok_or_else(Refusal::not_found)
}

/// `GET /orgs/{org}/memberships/{username}`.
pub fn membership(world: &mut World, call: &Call) -> Answered {
    here(world, call)?;
    let id = world.account_or_404(call.param("username"))?.id;
    let belonging = *world.members.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(people::membership(world, id, belonging)))
}
