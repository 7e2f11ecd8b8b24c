//! The operations of the REST interface: template (the contract's own), permission, handler. One table.
//!
//! Permissions are those of <https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps>.

mod apps;
mod checks;
mod collaborators;
mod commits;
mod deployments;
mod issues;
mod merges;
mod organisation;
mod pulls;
mod refs;
mod repos;
mod reviews;
mod roles;
mod rulesets;
mod teams;
mod tickets;

use super::auth::Needs::{self, App, Nothing, Read, Write};
use super::call::{Answered, Call};
use super::registering::convert;
use super::world::World;

pub use tickets::of_pull;

/// One operation.
pub struct Operation {
    pub method: &'static str,
    pub template: &'static str,
    pub needs: Needs,
    pub handler: fn(&mut World, &Call) -> Answered,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}

const ACTIONS: &[&str] = &["actions"];
const ADMINISTRATION: &[&str] = &["administration"];
const CHECKS: &[&str] = &["checks"];
const CONTENTS: &[&str] = &["contents"];
const DEPLOYMENTS: &[&str] = &["deployments"];
const ISSUES: &[&str] = &["issues", "pull_requests"];
const TICKETS: &[&str] = &["issues"];
const MEMBERS: &[&str] = &["members"];
const METADATA: &[&str] = &["metadata"];
const ROLES: &[&str] = &["organization_custom_org_roles"];
const PULLS: &[&str] = &["pull_requests"];

const fn op(
    method: &'static str,
    template: &'static str,
    needs: Needs,
    handler: fn(&mut World, &Call) -> Answered,
) -> Operation {
    Operation {
        method,
        template,
        needs,
        handler,
    }
}

/// All operations.
#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    op("GET", "/app", App, apps::app),
    op("POST", "/app-manifests/{code}/conversions", Nothing, convert),
    op("GET", "/app/hook/config", App, apps::hook),
    op("GET", "/app/installations", App, apps::installations),
    op("GET", "/app/installations/{installation_id}", App, apps::installation),
    op("POST", "/app/installations/{installation_id}/access_tokens", App, apps::access_token),
    op("GET", "/installation/repositories", Read(METADATA), apps::repositories),
    op("GET", "/orgs/{org}/installation", App, apps::installation_of_organisation),
    op("GET", "/repos/{owner}/{repo}/installation", App, apps::installation_of_repository),
    op("GET", "/rate_limit", Nothing, apps::rate_limit),

    op("GET", "/user", Nothing, organisation::authenticated),
    op("GET", "/users/{username}", Nothing, organisation::user),
    op("GET", "/user/{account_id}", Nothing, organisation::user_by_id),
    op("GET", "/orgs/{org}/members", Read(MEMBERS), organisation::members),
    op("GET", "/orgs/{org}/members/{username}", Read(MEMBERS), organisation::member),
    op("GET", "/orgs/{org}/memberships/{username}", Read(MEMBERS), organisation::membership),
    op("GET", "/orgs/{org}/organization-roles", Read(ROLES), roles::list),
    op("GET", "/orgs/{org}/organization-roles/{role_id}/users", Read(ROLES), roles::users),
    op("PUT", "/orgs/{org}/organization-roles/users/{username}/{role_id}", Write(MEMBERS), roles::assign),
    op("DELETE", "/orgs/{org}/organization-roles/users/{username}/{role_id}", Write(MEMBERS), roles::remove),
    op("GET", "/orgs/{org}/teams", Read(MEMBERS), teams::list),
    op("GET", "/orgs/{org}/teams/{team_slug}", Read(MEMBERS), teams::get),
    op("GET", "/orgs/{org}/teams/{team_slug}/teams", Read(MEMBERS), teams::children),
    op("GET", "/orgs/{org}/teams/{team_slug}/members", Read(MEMBERS), teams::members),
    op("GET", "/orgs/{org}/teams/{team_slug}/invitations", Read(MEMBERS), teams::invitations),
    op("GET", "/orgs/{org}/teams/{team_slug}/memberships/{username}", Read(MEMBERS), teams::membership),
    op("PUT", "/orgs/{org}/teams/{team_slug}/memberships/{username}", Write(MEMBERS), teams::add),
    op("DELETE", "/orgs/{org}/teams/{team_slug}/memberships/{username}", Write(MEMBERS), teams::remove),
    op("GET", "/orgs/{org}/teams/{team_slug}/repos/{owner}/{repo}", Read(MEMBERS), teams::repository),

    op("GET", "/repos/{owner}/{repo}", Read(METADATA), repos::get),
    op("GET", "/repos/{owner}/{repo}/activity", Read(CONTENTS), repos::activity),
    op("GET", "/repos/{owner}/{repo}/codeowners/errors", Read(CONTENTS), repos::codeowners_errors),
    op("GET", "/repos/{owner}/{repo}/collaborators", Read(METADATA), collaborators::list),
    op("PUT", "/repos/{owner}/{repo}/collaborators/{username}", Write(ADMINISTRATION), collaborators::add),
    op("DELETE", "/repos/{owner}/{repo}/collaborators/{username}", Write(ADMINISTRATION), collaborators::remove),
    op("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", Read(METADATA), repos::permission),
    op("GET", "/repos/{owner}/{repo}/invitations", Read(ADMINISTRATION), collaborators::invitations),
    op("DELETE", "/repos/{owner}/{repo}/invitations/{invitation_id}", Write(ADMINISTRATION), collaborators::withdraw),
    op("GET", "/repos/{owner}/{repo}/rules/branches/{branch}", Read(METADATA), repos::rules),
    op("POST", "/repos/{owner}/{repo}/rulesets", Write(ADMINISTRATION), rulesets::create),
    op("GET", "/repos/{owner}/{repo}/rulesets/{ruleset_id}", Read(METADATA), repos::ruleset),
    op("GET", "/repos/{owner}/{repo}/teams", Read(METADATA), repos::teams),

    op("GET", "/repos/{owner}/{repo}/branches", Read(CONTENTS), refs::branches),
    op("GET", "/repos/{owner}/{repo}/branches/{branch}", Read(CONTENTS), refs::branch),
    op("GET", "/repos/{owner}/{repo}/git/ref/{ref}", Read(CONTENTS), refs::get),
    op("GET", "/repos/{owner}/{repo}/git/matching-refs/{ref}", Read(CONTENTS), refs::matching),
    op("POST", "/repos/{owner}/{repo}/git/refs", Write(CONTENTS), refs::create),
    op("PATCH", "/repos/{owner}/{repo}/git/refs/{ref}", Write(CONTENTS), refs::update),
    op("DELETE", "/repos/{owner}/{repo}/git/refs/{ref}", Write(CONTENTS), refs::delete),

    op("GET", "/repos/{owner}/{repo}/commits", Read(CONTENTS), commits::list),
    op("GET", "/repos/{owner}/{repo}/commits/{ref}", Read(CONTENTS), commits::get),
    op("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", Read(PULLS), commits::pulls),
    op("GET", "/repos/{owner}/{repo}/compare/{basehead}", Read(CONTENTS), commits::compare),
    op("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", Read(CHECKS), checks::of_commit),

    op("POST", "/repos/{owner}/{repo}/check-runs", Write(CHECKS), checks::create),
    op("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}", Read(CHECKS), checks::get),
    op("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", Write(CHECKS), checks::update),
    op("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations", Read(CHECKS), checks::annotations),

    op("GET", "/repos/{owner}/{repo}/environments/{environment_name}", Read(ACTIONS), deployments::environment),
    op("GET", "/repos/{owner}/{repo}/environments/{environment_name}/deployment_protection_rules", Read(ACTIONS), deployments::rules),
    op("GET", "/repos/{owner}/{repo}/actions/runs", Read(ACTIONS), deployments::runs),
    op("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}", Read(ACTIONS), deployments::run),
    op("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}/pending_deployments", Read(ACTIONS), deployments::pending),
    op("POST", "/repos/{owner}/{repo}/actions/runs/{run_id}/deployment_protection_rule", Write(DEPLOYMENTS), deployments::review),

    op("GET", "/repos/{owner}/{repo}/pulls", Read(PULLS), pulls::list),
    op("POST", "/repos/{owner}/{repo}/pulls", Write(PULLS), pulls::create),
    op("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", Read(PULLS), pulls::get),
    op("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}", Write(PULLS), pulls::update),
    op("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits", Read(PULLS), pulls::commits),
    op("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files", Read(PULLS), pulls::files),
    op("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/merge", Read(PULLS), merges::merged),
    op("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/merge", Write(CONTENTS), merges::merge),
    op("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", Read(PULLS), reviews::list),
    op("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", Write(PULLS), reviews::create),
    op("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}", Read(PULLS), reviews::get),
    op("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/dismissals", Write(PULLS), reviews::dismiss),

    op("GET", "/repos/{owner}/{repo}/issues", Read(ISSUES), tickets::list),
    op("POST", "/repos/{owner}/{repo}/issues", Write(TICKETS), tickets::create),
    op("GET", "/repos/{owner}/{repo}/issues/{issue_number}", Read(ISSUES), tickets::get),
    op("PATCH", "/repos/{owner}/{repo}/issues/{issue_number}", Write(TICKETS), tickets::edit),
    op("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", Read(ISSUES), issues::comments),
    op("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", Write(ISSUES), issues::comment),
    op("GET", "/repos/{owner}/{repo}/issues/comments", Read(ISSUES), issues::all_comments),
    op("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Read(ISSUES), issues::get_comment),
    op("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Write(ISSUES), issues::edit_comment),
    op("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Write(ISSUES), issues::delete_comment),
    op("GET", "/repos/{owner}/{repo}/issues/{issue_number}/events", Read(ISSUES), issues::events),
    op("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels", Read(ISSUES), issues::labels),
    op("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels", Write(ISSUES), issues::add_labels),
    op("PUT", "/repos/{owner}/{repo}/issues/{issue_number}/labels", Write(ISSUES), issues::set_labels),
    op("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}", Write(ISSUES), issues::remove_label),
];

/// The operation that a path (split, decoded) means, and its parameters.
pub fn find(
    method: &str,
    segments: &[String],
) -> Option<(&'static Operation, Vec<(&'static str, String)>)> {
    let candidates = OPERATIONS
        .iter()
        .filter(|operation| operation.method == method);
    let matches = candidates.filter_map(|operation| {
        let template: Vec<&'static str> = operation
            .template
            .trim_start_matches('/')
            .split('/')
            .collect();
        fit(&template, segments).map(|params| {
            (
                operation,
                params,
                template
                    .iter()
                    .filter(|part| !part.starts_with('{'))
                    .count(),
            )
        })
    });
    matches
        .max_by_key(|(_, _, literals)| *literals)
        .map(|(operation, params, _)| (operation, params))
}

/// Parameters whose values may hold slashes.
fn is_greedy(name: &str) -> bool {
    matches!(name, "ref" | "branch" | "path" | "basehead")
}

fn fit(template: &[&'static str], segments: &[String]) -> Option<Vec<(&'static str, String)>> {
    let Some((part, rest)) = template.split_first() else {
        return segments.is_empty().then(Vec::new);
    };
    let Some(name) = part
        .strip_prefix('{')
        .and_then(|part| part.strip_suffix('}'))
    else {
        let (first, segments) = segments.split_first()?;
        return if first == part {
            fit(rest, segments)
        } else {
            None
        };
    };
    let longest = if is_greedy(name) {
        segments.len()
    } else {
        segments.len().min(1)
    };
    (1..=longest).find_map(|taken| {
        let mut params = vec![(name, segments[..taken].join("/"))];
        params.extend(fit(rest, &segments[taken..])?);
        Some(params)
    })
}
