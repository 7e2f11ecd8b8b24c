//! Accounts, the organisation, teams, Apps.

use serde_json::{Map, Value, json};

use crate::sandbox::world::{Belonging, Installation, Team, World};

use super::{node_id, time};

/// What Hallpass documents that it wants to hear of.
const EVENTS: [&str; 9] = [
    "push",
    "pull_request",
    "pull_request_review",
    "issue_comment",
    "check_run",
    "membership",
    "team",
    "organization",
    "member",
];

/// `simple-user`; null for a deleted account.
pub fn user(world: &World, id: u64) -> Value {
    let account = &world.accounts[&id];
    if account.deleted {
        return Value::Null;
    }
    // As GitHub writes the brackets of `name[bot]` in addresses.
    let login = account.login.replace('[', "%5B").replace(']', "%5D");
    let url = format!("{}/users/{login}", world.api());
    json!({
        "login": account.login,
        "id": id,
        "node_id": node_id("U", id),
        "avatar_url": format!("{}/avatars/u/{id}", world.base),
        "gravatar_id": "",
        "url": url,
        "html_url": format!("{}/{login}", world.base),
        "followers_url": format!("{url}/followers"),
        "following_url": format!("{url}/following{{/other_user}}"),
        "gists_url": format!("{url}/gists{{/gist_id}}"),
        "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"),
        "organizations_url": format!("{url}/orgs"),
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events{{/privacy}}"),
        "received_events_url": format!("{url}/received_events"),
        "type": account.kind.as_str(),
        "site_admin": false,
    })
}

/// `public-user`.
pub fn public_user(world: &World, id: u64) -> Value {
    let at = time(world.accounts[&id].created_at);
    let more = json!({
        "bio": null, "blog": null, "company": null, "email": null, "followers": 0, "following": 0, "hireable": null,
        "location": null, "name": null, "public_gists": 0, "public_repos": 0, "created_at": at, "updated_at": at,
    });
    merged(user(world, id), more)
}

/// `organization-simple`.
pub fn organisation(world: &World) -> Value {
    let login = world.organisation_login();
    let url = format!("{}/orgs/{login}", world.api());
    json!({
        "login": login,
        "id": world.organisation,
        "node_id": node_id("O", world.organisation),
        "url": url,
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events"),
        "hooks_url": format!("{url}/hooks"),
        "issues_url": format!("{url}/issues"),
        "members_url": format!("{url}/members{{/member}}"),
        "public_members_url": format!("{url}/public_members{{/member}}"),
        "avatar_url": format!("{}/avatars/u/{}", world.base, world.organisation),
        "description": "",
    })
}

/// `team`, without its parent.
pub fn team_simple(world: &World, team: &Team) -> Value {
    let url = format!(
        "{}/organizations/{}/team/{}",
        world.api(),
        world.organisation,
        team.id
    );
    json!({
        "id": team.id,
        "node_id": node_id("T", team.id),
        "name": team.slug,
        "slug": team.slug,
        "description": null,
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "type": "organization",
        "organization_id": world.organisation,
        "url": url,
        "html_url": format!("{}/orgs/{}/teams/{}", world.base, world.organisation_login(), team.slug),
        "members_url": format!("{url}/members{{/member}}"),
        "repositories_url": format!("{url}/repos"),
    })
}

/// `team`.
pub fn team(world: &World, team: &Team) -> Value {
    let parent = world
        .teams
        .iter()
        .find(|other| Some(other.id) == team.parent);
    merged(
        team_simple(world, team),
        json!({ "parent": parent.map(|parent| team_simple(world, parent)) }),
    )
}

/// `team-full`.
pub fn team_full(world: &World, this: &Team) -> Value {
    let at = time(this.created_at);
    let organisation = merged(
        organisation(world),
        json!({
            "followers": 0, "following": 0, "has_organization_projects": true, "has_repository_projects": true,
            "html_url": format!("{}/{}", world.base, world.organisation_login()), "public_gists": 0, "public_repos": 0,
            "type": "Organization", "created_at": at, "updated_at": at, "archived_at": null,
        }),
    );
    let more = json!({
        "created_at": at,
        "updated_at": at,
        "members_count": this.members.values().filter(|belonging| belonging.active).count(),
        "repos_count": this.repositories.len(),
        "organization": organisation,
    });
    merged(team(world, this), more)
}

/// `team-membership`.
pub fn team_membership(world: &World, team: &Team, user: u64, belonging: Belonging) -> Value {
    let login = &world.accounts[&user].login;
    json!({
        "url": format!("{}/organizations/{}/team/{}/memberships/{login}", world.api(), world.organisation, team.id),
        "role": if belonging.leads { "maintainer" } else { "member" },
        "state": if belonging.active { "active" } else { "pending" },
    })
}

/// `org-membership`.
pub fn membership(world: &World, id: u64, belonging: Belonging) -> Value {
    let url = format!("{}/orgs/{}", world.api(), world.organisation_login());
    json!({
        "url": format!("{url}/memberships/{}", world.accounts[&id].login),
        "state": if belonging.active { "active" } else { "pending" },
        "role": if belonging.leads { "admin" } else { "member" },
        "organization_url": url,
        "direct_membership": true,
        "organization": organisation(world),
        "user": user(world, id),
    })
}

/// `organization-invitation`.
pub fn invitation(world: &World, id: u64) -> Value {
    let account = &world.accounts[&id];
    json!({
        "id": id,
        "login": account.login,
        "node_id": node_id("OI", id),
        "email": null,
        "role": "direct_member",
        "created_at": time(account.created_at),
        "failed_at": null,
        "failed_reason": null,
        "inviter": user(world, world.organisation),
        "team_count": world.teams.iter().filter(|team| team.members.contains_key(&id)).count(),
        "invitation_teams_url": format!("{}/organizations/{}/invitations/{id}/teams", world.api(), world.organisation),
    })
}

/// `integration`: an App.
pub fn app(world: &World, id: u64) -> Value {
    let Some(app) = world.apps.iter().find(|app| app.id == id) else {
        return Value::Null;
    };
    let at = time(app.created_at);
    json!({
        "id": app.id,
        "slug": app.slug,
        "node_id": node_id("A", app.id),
        "owner": user(world, world.organisation),
        "name": app.slug,
        "description": null,
        "external_url": format!("{}/about", world.base),
        "html_url": format!("{}/apps/{}", world.base, app.slug),
        "created_at": at,
        "updated_at": at,
        "permissions": app.permissions,
        "events": EVENTS,
    })
}

/// `installation`.
pub fn installation(world: &World, installation: &Installation) -> Value {
    let api = world.api();
    let at = time(installation.created_at);
    let app = world.apps.iter().find(|app| app.id == installation.app);
    json!({
        "id": installation.id,
        "account": user(world, world.organisation),
        "repository_selection": if installation.only.is_some() { "selected" } else { "all" },
        "access_tokens_url": format!("{api}/app/installations/{}/access_tokens", installation.id),
        "repositories_url": format!("{api}/installation/repositories"),
        "html_url": format!("{}/organizations/{}/settings/installations/{}", world.base, world.organisation_login(), installation.id),
        "app_id": installation.app,
        "app_slug": app.map(|app| app.slug.as_str()).unwrap_or_default(),
        "target_id": world.organisation,
        "target_type": "Organization",
        "permissions": app.map(|app| &app.permissions),
        "events": EVENTS,
        "created_at": at,
        "updated_at": at,
        "single_file_name": null,
        "suspended_at": if installation.suspended { Value::from(at.clone()) } else { Value::Null },
        "suspended_by": null,
    })
}

/// An object with more fields.
pub fn merged(object: Value, more: Value) -> Value {
    let mut fields = match object {
        Value::Object(fields) => fields,
        Value::Null => return Value::Null,
        _ => Map::new(),
    };
    if let Value::Object(more) = more {
        fields.extend(more);
    }
    Value::Object(fields)
}
