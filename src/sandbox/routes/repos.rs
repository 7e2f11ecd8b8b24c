//! Repositories as a whole.

use serde_json::{Value, json};

use crate::sandbox::auth::Caller;
use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::codeowners;
use crate::sandbox::merging::PROTECTED;
use crate::sandbox::model::Permission;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::{people, pulls, repos};
use crate::sandbox::world::{Activity, World};

/// `GET /repos/{owner}/{repo}`.
pub fn get(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let mut shape = repos::repo(world, repo);
    if let Caller::Token(token) = &call.caller
        && token.installation.is_none()
    {
        shape["permissions"] = permissions(world.permission(token.user, repo));
    }
    Ok(Answer::ok(shape))
}

/// The `permissions` of a repository, as they are told to a person.
fn permissions(have: Option<Permission>) -> Value {
    let may = |least: Permission| have >= Some(least);
    json!({
        "pull": may(Permission::Pull),
        "triage": may(Permission::Triage),
        "push": may(Permission::Push),
        "maintain": may(Permission::Maintain),
        "admin": may(Permission::Admin),
    })
}

/// `GET /repos/{owner}/{repo}/teams`.
pub fn teams(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let teams = world
        .teams
        .iter()
        .filter_map(|team| Some((team, world.team_permission(team, repo)?)));
    let shape = |(team, permission): (_, Permission)| {
        let name = match permission {
            Permission::Pull => "pull",
            Permission::Triage => "triage",
            Permission::Push => "push",
            Permission::Maintain => "maintain",
            Permission::Admin => "admin",
        };
        people::merged(people::team(world, team), json!({ "permission": name }))
    };
    Ok(call.page(teams.map(shape).collect()))
}

/// `GET /repos/{owner}/{repo}/collaborators/{username}/permission`.
pub fn permission(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let user = world.account_or_404(call.param("username"))?.id;
    Ok(Answer::ok(pulls::permission(
        world,
        user,
        world.permission(user, repo),
    )))
}

/// `GET /repos/{owner}/{repo}/activity`: newest first, by cursor.
pub fn activity(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let entries = world.repos[repo].activity.iter();
    let mut found: Vec<&Activity> = entries
        .filter(|entry| asked_for(world, call, entry))
        .collect();
    if call.query("direction") != Some("asc") {
        found.reverse();
    }
    let size = call.query("per_page").and_then(|size| size.parse().ok());
    let size = size.unwrap_or(30).clamp(1, 100);
    let cursor = |name: &str| call.query(name).and_then(|id| id.parse::<u64>().ok());
    let place = |id: u64| found.iter().position(|entry| entry.id == id);
    let start = match (cursor("after"), cursor("before")) {
        (Some(id), _) => place(id).map_or(found.len(), |at| at + 1),
        (None, Some(id)) => place(id).unwrap_or(0).saturating_sub(size),
        (None, None) => 0,
    };
    let shown: Vec<&Activity> = found.iter().skip(start).take(size).copied().collect();
    let shapes = shown.iter().map(|entry| repos::activity(world, entry));
    let mut answer = Answer::ok(shapes.collect());
    if let (Some(last), true) = (shown.last(), start + shown.len() < found.len()) {
        let others = call.query.iter();
        let others = others.filter(|(name, _)| name != "after" && name != "before");
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .extend_pairs(others)
            .append_pair("after", &last.id.to_string());
        let link = format!("<{}?{}>; rel=\"next\"", call.url, query.finish());
        answer.headers.push(("link", link));
    }
    Ok(answer)
}

/// Whether an entry passes the filters of the query.
fn asked_for(world: &World, call: &Call, entry: &Activity) -> bool {
    let actor = &world.accounts[&entry.actor].login;
    let branch = entry.reference.strip_prefix("refs/heads/");
    let names = |wanted: &str| entry.reference == wanted || branch == Some(wanted);
    call.query("ref").is_none_or(names)
        && call
            .query("activity_type")
            .is_none_or(|kind| entry.kind == kind)
        && call
            .query("actor")
            .is_none_or(|login| actor.eq_ignore_ascii_case(login))
}

/// `GET /repos/{owner}/{repo}/codeowners/errors`.
pub fn codeowners_errors(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let git = world.git(repo)?;
    let commit = git
        .revparse_single(call.query("ref").unwrap_or(PROTECTED))?
        .peel_to_commit()?;
    let (path, lines) = codeowners::read(&git, commit.id())?.ok_or_else(Refusal::not_found)?;
    let error = |line: &codeowners::Line, kind: &str, message: String| json!({ "line": line.number, "column": 1, "kind": kind, "source": line.source, "suggestion": null, "message": message, "path": path });
    let mut errors: Vec<Value> = Vec::new();
    for line in &lines {
        if line.pattern.is_none() {
            errors.push(error(
                line,
                "Invalid pattern",
                format!("Invalid pattern on line {}", line.number),
            ));
        }
        for owner in line
            .owners
            .iter()
            .filter(|owner| !may_own(world, repo, owner))
        {
            errors.push(error(
                line,
                "Unknown owner",
                format!(
                    "Unknown owner on line {}: make sure {owner} exists and has write access",
                    line.number
                ),
            ));
        }
    }
    Ok(Answer::ok(json!({ "errors": errors })))
}

/// Whether an owner exists and can write.
fn may_own(world: &World, repo: usize, owner: &str) -> bool {
    let Some(name) = owner.strip_prefix('@') else {
        return owner.contains('@');
    };
    let permission = match name.split_once('/') {
        Some((_, slug)) => world
            .team_named(slug)
            .and_then(|team| world.team_permission(&world.teams[team], repo)),
        None => world
            .account(name)
            .and_then(|account| world.permission(account.id, repo)),
    };
    permission >= Some(Permission::Push)
}

/// The ruleset of `main`, and that of the branches that are guarded beside it.
const RULESETS: [(u64, &str); 2] = [(1, "main"), (2, "guarded branches")];

/// `GET /repos/{owner}/{repo}/rules/branches/{branch}`.
pub fn rules(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let branch = call.param("branch");
    let Some(rules) = world.repos[repo]
        .ruleset
        .as_ref()
        .filter(|_| world.is_guarded(repo, branch))
    else {
        return Ok(call.page(Vec::new()));
    };
    let (id, _) = RULESETS[usize::from(branch != PROTECTED)];
    let source = json!({ "ruleset_source_type": "Repository", "ruleset_source": world.full_name(repo), "ruleset_id": id });
    let rule = |name: &str| people::merged(json!({ "type": name }), source.clone());
    // Nobody moves either by hand.
    let by_hand = [rule("non_fast_forward"), rule("deletion")];
    if branch != PROTECTED {
        return Ok(call.page([vec![rule("update")], by_hand.into()].concat()));
    }
    let mut found = Vec::new();
    if rules.pull_request || rules.approvals > 0 || rules.code_owner_review {
        let parameters = json!({
            "dismiss_stale_reviews_on_push": rules.dismiss_stale,
            "require_code_owner_review": rules.code_owner_review,
            "require_last_push_approval": false,
            "required_approving_review_count": rules.approvals,
            "required_review_thread_resolution": false,
        });
        found.push(people::merged(
            rule("pull_request"),
            json!({ "parameters": parameters }),
        ));
    }
    if let Some((name, app)) = &rules.required_check {
        let mut check = json!({ "context": name });
        if let Some(app) = app {
            check["integration_id"] = (*app).into();
        }
        let parameters = json!({ "required_status_checks": [check], "strict_required_status_checks_policy": false });
        found.push(people::merged(
            rule("required_status_checks"),
            json!({ "parameters": parameters }),
        ));
    }
    found.extend(by_hand);
    Ok(call.page(found))
}

/// `GET /repos/{owner}/{repo}/rulesets/{ruleset_id}`. Who may pass by it is told only to who may change it.
pub fn ruleset(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let id = call.number("ruleset_id")?;
    let known = RULESETS.iter().find(|(known, _)| *known == id);
    let (id, name) = known
        .filter(|_| world.repos[repo].ruleset.is_some())
        .ok_or_else(Refusal::not_found)?;
    let may = world.may_bypass(repo, call.user()?, call.app(world));
    Ok(Answer::ok(json!({
        "id": id,
        "name": name,
        "target": "branch",
        "source_type": "Repository",
        "source": world.full_name(repo),
        "enforcement": "active",
        "current_user_can_bypass": if may { "always" } else { "never" },
    })))
}
