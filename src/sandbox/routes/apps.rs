//! Apps, installations, tokens, budgets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::sandbox::auth::Caller;
use crate::sandbox::call::{Answer, Answered, Call, HOURLY};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::{people, repos, time};
use crate::sandbox::world::{Installation, World};

/// `GET /app`.
pub fn app(world: &mut World, call: &Call) -> Answered {
    let app = call.app(world).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(people::app(world, app)))
}

/// `GET /app/hook/config`.
pub fn hook(world: &mut World, _: &Call) -> Answered {
    let mut hook = json!({ "content_type": "json", "insecure_ssl": "0" });
    if let Some(target) = world.post.target() {
        hook["url"] = target.url.into();
        hook["secret"] = "********".into();
    }
    Ok(Answer::ok(hook))
}

fn own<'w>(world: &'w World, call: &Call) -> impl Iterator<Item = &'w Installation> {
    let app = call.app(world);
    world
        .installations
        .iter()
        .filter(move |installation| Some(installation.app) == app)
}

/// `GET /app/installations`.
pub fn installations(world: &mut World, call: &Call) -> Answered {
    let found = own(world, call)
        .map(|installation| people::installation(world, installation))
        .collect();
    Ok(call.page(found))
}

/// `GET /app/installations/{installation_id}`.
pub fn installation(world: &mut World, call: &Call) -> Answered {
    let id = call.number("installation_id")?;
    let found = own(world, call)
        .find(|installation| installation.id == id)
        .ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(people::installation(world, found)))
}

/// `GET /orgs/{org}/installation`.
pub fn installation_of_organisation(world: &mut World, call: &Call) -> Answered {
    let here = call
        .param("org")
        .eq_ignore_ascii_case(world.organisation_login());
    let found = own(world, call)
        .next()
        .filter(|_| here)
        .ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(people::installation(world, found)))
}

/// `GET /repos/{owner}/{repo}/installation`.
pub fn installation_of_repository(world: &mut World, call: &Call) -> Answered {
    call.repository()?;
    let found = own(world, call).next().ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(people::installation(world, found)))
}

/// `POST /app/installations/{installation_id}/access_tokens`.
pub fn access_token(world: &mut World, call: &Call) -> Answered {
    let id = call.number("installation_id")?;
    own(world, call)
        .find(|installation| installation.id == id)
        .ok_or_else(Refusal::not_found)?;
    let permissions = permissions(world, call)?;
    let repositories = repositories_wanted(world, call)?;
    let (secret, token) = world.issue_token(id, permissions.clone(), repositories.clone())?;
    let mut answer = json!({
        "token": secret,
        "expires_at": token.expires_at.map(time),
        "permissions": permissions,
        "repository_selection": selection(repositories.is_some() || world.selected(&token).is_some()),
    });
    if let Some(only) = repositories {
        answer["repositories"] = only.iter().map(|repo| repos::repo(world, *repo)).collect();
    }
    Ok(Answer::json(201, answer))
}

/// The permissions of a new token: the App's, or fewer.
fn permissions(world: &World, call: &Call) -> Result<BTreeMap<String, String>, Refusal> {
    let app = call.app(world);
    let granted = world
        .apps
        .iter()
        .find(|candidate| Some(candidate.id) == app)
        .map(|app| app.permissions.clone())
        .unwrap_or_default();
    let Some(wanted) = call.value::<BTreeMap<String, String>>("permissions") else {
        return Ok(granted);
    };
    let mut narrowed = wanted;
    for (name, level) in &narrowed {
        let enough = granted
            .get(name)
            .is_some_and(|have| have == "write" || have == level);
        if !enough {
            return Err(Refusal::new(
                422,
                "The permissions requested are not granted to this installation.",
            ));
        }
    }
    // Every token can read metadata.
    narrowed
        .entry("metadata".to_owned())
        .or_insert_with(|| "read".to_owned());
    Ok(narrowed)
}

fn repositories_wanted(world: &World, call: &Call) -> Result<Option<BTreeSet<usize>>, Refusal> {
    let absent = || {
        Refusal::new(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    };
    if let Some(names) = call.value::<Vec<String>>("repositories") {
        return names
            .iter()
            .map(|name| world.repo_named(name).ok_or_else(absent))
            .collect::<Result<_, _>>()
            .map(Some);
    }
    if let Some(ids) = call.value::<Vec<u64>>("repository_ids") {
        let find = |id: &u64| {
            world
                .repos
                .iter()
                .position(|repo| repo.id == *id)
                .ok_or_else(absent)
        };
        return ids.iter().map(find).collect::<Result<_, _>>().map(Some);
    }
    Ok(None)
}

/// `GET /installation/repositories`.
pub fn repositories(world: &mut World, call: &Call) -> Answered {
    let Caller::Token(token) = &call.caller else {
        return Err(Refusal::new(401, "Requires authentication"));
    };
    let all: Vec<Value> = (0..world.repos.len())
        .filter(|repo| world.shows(token, *repo))
        .map(|repo| repos::repo(world, repo))
        .collect();
    let total = all.len();
    let chosen = selection(token.repositories.is_some() || world.selected(token).is_some());
    Ok(call.page_of(
        all,
        |page| json!({ "total_count": total, "repository_selection": chosen, "repositories": page }),
    ))
}

/// GitHub's word for whether repositories were chosen, or all are seen.
fn selection(chosen: bool) -> &'static str {
    if chosen { "selected" } else { "all" }
}

/// `GET /rate_limit`.
pub fn rate_limit(world: &mut World, call: &Call) -> Answered {
    let now = world.now().timestamp();
    let (reset, used) = world.used.get(&call.budget()).copied().unwrap_or((now, 0));
    let core = json!({ "limit": HOURLY, "used": used, "remaining": HOURLY.saturating_sub(used), "reset": reset });
    let search = json!({ "limit": 30, "used": 0, "remaining": 30, "reset": reset });
    Ok(Answer::ok(
        json!({ "resources": { "core": core, "search": search }, "rate": core }),
    ))
}
