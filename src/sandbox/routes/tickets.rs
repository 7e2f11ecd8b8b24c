//! Issues. Pull requests are issues too, and stand in their list, as at GitHub.

use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::issues::issue;
use crate::sandbox::world::{Issue, Pull, World};

/// A pull request as its issue.
pub fn of_pull(pull: &Pull) -> Issue {
    Issue {
        id: pull.id,
        number: pull.number,
        user: pull.author,
        app: None,
        title: pull.title.clone(),
        body: pull.body.clone(),
        open: pull.open,
        is_pull: true,
        created_at: pull.created_at,
        updated_at: pull.updated_at,
        closed_at: pull.closed_at,
    }
}

/// `GET /repos/{owner}/{repo}/issues`: newest first.
pub fn list(world: &mut World, call: &Call) -> Answered {
    let repo = &world.repos[call.repository()?];
    let state = call.query("state").unwrap_or("open");
    let wanted = |issue: &Issue| match state {
        "all" => true,
        "closed" => !issue.open,
        _ => issue.open,
    };
    let pulls = repo.pulls.values().map(of_pull);
    let mut found: Vec<Issue> = repo.issues.values().cloned().chain(pulls).collect();
    found.retain(wanted);
    found.sort_by_key(|issue| std::cmp::Reverse(issue.number));
    let index = call.repository()?;
    Ok(call.page(found.iter().map(|one| issue(world, index, one)).collect()))
}

/// `POST /repos/{owner}/{repo}/issues`.
pub fn create(world: &mut World, call: &Call) -> Answered {
    let index = call.repository()?;
    let (user, app) = (call.user()?, call.app(world));
    let (id, now) = (world.fresh_id(), world.now());
    let repo = &mut world.repos[index];
    let number = repo.next_number;
    repo.next_number += 1;
    let new = Issue {
        id,
        number,
        user,
        app,
        title: call.needed("title")?,
        body: call.body["body"].as_str().map(str::to_owned),
        open: true,
        is_pull: false,
        created_at: now,
        updated_at: now,
        closed_at: None,
    };
    repo.issues.insert(number, new.clone());
    Ok(Answer::json(201, issue(world, index, &new)))
}

/// `GET /repos/{owner}/{repo}/issues/{issue_number}`.
pub fn get(world: &mut World, call: &Call) -> Answered {
    let index = call.repository()?;
    let number = call.number("issue_number")?;
    let repo = &world.repos[index];
    let found = repo.issues.get(&number).cloned();
    let found = found.or_else(|| repo.pulls.get(&number).map(of_pull));
    let found = found.ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(issue(world, index, &found)))
}

/// `PATCH /repos/{owner}/{repo}/issues/{issue_number}`, of issues only: the stand-in changes pull requests as pull requests.
pub fn edit(world: &mut World, call: &Call) -> Answered {
    let index = call.repository()?;
    let (number, now) = (call.number("issue_number")?, world.now());
    let found = world.repos[index].issues.get_mut(&number);
    let found = found.ok_or_else(Refusal::not_found)?;
    if let Some(title) = call.body["title"].as_str() {
        title.clone_into(&mut found.title);
    }
    if let Some(body) = call.body["body"].as_str() {
        found.body = Some(body.to_owned());
    }
    if let Some(state) = call.body["state"].as_str() {
        found.open = state == "open";
        found.closed_at = (!found.open).then_some(now);
    }
    found.updated_at = now;
    let found = found.clone();
    Ok(Answer::ok(issue(world, index, &found)))
}
