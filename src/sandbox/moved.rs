//! What is addressed by its number, and what was renamed: GitHub's other ways to a repository and to a team.

use serde_json::json;

use super::call::{Answer, Call};
use super::routes::Operation;
use super::world::World;

/// A name that nothing can have, for numbers that nothing has.
const NOBODY: &str = "(nobody)";

impl World {
    /// `/repositories/{id}/..` and `/organizations/{org_id}/team/{team_id}/..` as the same ways by name. They are the same operations, and
    /// are described by name only.
    pub fn by_name(&self, segments: Vec<String>) -> Vec<String> {
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (mut way, rest) = match &parts[..] {
            ["repositories", id, rest @ ..] => {
                let found = self.repos.iter().find(|repo| repo.id.to_string() == *id);
                let name = found.map_or(NOBODY, |repo| repo.name.as_str());
                (vec!["repos", self.organisation_login(), name], rest)
            }
            ["organizations", organisation, "team", id, rest @ ..] => {
                let here = self.organisation.to_string() == *organisation;
                let mut teams = self.teams.iter().filter(|_| here);
                let found = teams.find(|team| team.id.to_string() == *id);
                let slug = found.map_or(NOBODY, |team| team.slug.as_str());
                (vec!["orgs", self.organisation_login(), "teams", slug], rest)
            }
            _ => return segments,
        };
        way.extend(rest);
        way.into_iter().map(str::to_owned).collect()
    }

    /// The repository that was called `owner/name` last, and is called otherwise by now.
    pub fn repo_once_named(&self, name: &str) -> Option<usize> {
        let (owner, name) = name.split_once('/')?;
        let here = owner.eq_ignore_ascii_case(self.organisation_login());
        let was = |old: &String| old.eq_ignore_ascii_case(name);
        let at = self.repos.iter().rposition(|repo| repo.was.iter().any(was));
        at.filter(|_| here)
    }

    /// The answer to a call by the old name: where it is by its number, for good to whoever reads and for this call to whoever changes.
    pub fn moved_to(&self, repo: usize, operation: &Operation, call: &Call) -> Answer {
        let mut address = format!("{}/repositories/{}", self.api(), self.repos[repo].id);
        // After `/repos/{owner}/{repo}`.
        for part in operation.template.split('/').skip(4) {
            let name = part.trim_start_matches('{').trim_end_matches('}');
            let value = if name == part { part } else { call.param(name) };
            address = format!("{address}/{value}");
        }
        let (status, words) = match operation.method {
            "GET" => (301, "Moved Permanently"),
            _ => (307, "Temporary Redirect"),
        };
        let mut answer = Answer::json(status, json!({ "message": words, "url": address }));
        answer.headers.push(("location", address));
        answer
    }
}
