//! GitHub's REST API as the user: what is open, and who the user is.

use serde::Deserialize;

use super::place::Place;
use super::rest::{Rest, RestError};
use crate::domain::model::{CommitId, Login, Owner, PullNumber, UserId};

/// How many pull requests are looked at, newest first.
const PAGES: usize = 3;
const PER_PAGE: usize = 100;

/// An open pull request, as listed.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its number.
    pub number: PullNumber,
    /// Its title. Untrusted.
    pub title: String,
    /// Its page.
    pub url: String,
    /// Who opened it.
    pub author: Option<Login>,
    /// The tip of its branch.
    pub head: CommitId,
}

#[derive(Deserialize)]
struct UserAnswer {
    login: String,
    id: u64,
}

#[derive(Deserialize)]
struct ListedAnswer {
    number: u64,
    title: String,
    html_url: String,
    user: Option<UserAnswer>,
    head: HeadAnswer,
}

#[derive(Deserialize)]
struct HeadAnswer {
    sha: String,
}

#[derive(Deserialize)]
struct ChecksAnswer {
    check_runs: Vec<CheckAnswer>,
}

#[derive(Deserialize)]
struct CheckAnswer {
    output: OutputAnswer,
}

#[derive(Deserialize)]
struct OutputAnswer {
    title: Option<String>,
}

#[derive(Deserialize)]
struct ReviewAnswer {
    user: Option<UserAnswer>,
    state: String,
    commit_id: Option<String>,
}

#[derive(Deserialize)]
struct MembershipAnswer {
    state: String,
}

impl Rest<'_> {
    /// Whose token it is.
    pub fn user(&self) -> Result<(Login, UserId), RestError> {
        let user: UserAnswer = self.ask(self.get("/user"))?;
        let login = Login::new(user.login).map_err(|_| self.odd("a login"))?;
        Ok((login, UserId(user.id)))
    }

    /// The open pull requests to `base`, newest first, and whether these are all.
    pub fn listed(&self, base: &str) -> Result<(Vec<Listed>, bool), RestError> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let query = [("state", "open"), ("base", base)];
            let pages = [("per_page", PER_PAGE), ("page", page)];
            let request = self.get(&self.of_pulls("")).query(&query).query(&pages);
            let found: Vec<ListedAnswer> = self.ask(request)?;
            let is_last = found.len() < PER_PAGE;
            all.extend(found.into_iter().filter_map(listed));
            if is_last {
                return Ok((all, true));
            }
        }
        Ok((all, false))
    }

    /// What the check `hallpass` says of a commit, in one line; `None` before it has looked.
    pub fn check(&self, commit: &CommitId) -> Result<Option<String>, RestError> {
        let path = format!(
            "/repos/{}/commits/{commit}/check-runs",
            self.place().repository
        );
        let request = self.get(&path).query(&[("check_name", "hallpass")]);
        let found: ChecksAnswer = self.ask(request)?;
        Ok(found
            .check_runs
            .into_iter()
            .find_map(|run| run.output.title))
    }

    /// Whether `login` has approved exactly `head` in a pull request.
    pub fn has_approved(
        &self,
        pull: PullNumber,
        login: &Login,
        head: &CommitId,
    ) -> Result<bool, RestError> {
        let path = self.of_pulls(&format!("/{pull}/reviews"));
        let found: Vec<ReviewAnswer> = self.ask(self.get(&path).query(&[("per_page", "100")]))?;
        let own = |review: &&ReviewAnswer| {
            let user = review.user.as_ref();
            user.is_some_and(|user| user.login.eq_ignore_ascii_case(login.as_str()))
                && review.state != "COMMENTED"
        };
        let last = found.iter().rfind(own);
        Ok(last.is_some_and(|review| {
            review.state == "APPROVED" && review.commit_id.as_deref() == Some(head.as_str())
        }))
    }

    /// Whether `login` stands behind `owner`; `None` where nobody could tell.
    pub fn stands_behind(&self, owner: &Owner, login: &Login) -> Option<bool> {
        match owner {
            Owner::User(user) => Some(user == login),
            Owner::Email(_) => Some(false),
            Owner::Team { organisation, slug } => {
                let path = format!("/orgs/{organisation}/teams/{slug}/memberships/{login}");
                match self.ask::<MembershipAnswer>(self.get(&path)) {
                    Ok(found) => Some(found.state == "active"),
                    Err(RestError::Refused { status: 404, .. }) => Some(false),
                    Err(_) => None,
                }
            }
        }
    }

    fn of_pulls(&self, rest: &str) -> String {
        let Place { repository, .. } = self.place();
        format!("/repos/{repository}/pulls{rest}")
    }
}

fn listed(answer: ListedAnswer) -> Option<Listed> {
    Some(Listed {
        number: PullNumber(answer.number),
        title: answer.title,
        url: answer.html_url,
        author: answer.user.and_then(|user| Login::new(user.login).ok()),
        head: CommitId::new(answer.head.sha).ok()?,
    })
}
