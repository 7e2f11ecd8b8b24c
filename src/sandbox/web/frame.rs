//! What every page has around it: where one is, and who one is.

use askama::Template;

use super::super::refusal::Refusal;
use super::super::world::Team;
use super::{Replied, Reply, STYLE, Visit};

/// The surroundings of a page.
pub struct Frame {
    pub title: String,
    /// Whether the repository offers something to try.
    pub example: bool,
    /// The repository's address below the root, where the page is of one: `acme/access`.
    pub repository: Option<String>,
    pub you: Option<String>,
    pub people: Vec<String>,
    /// Where to come back to after a change of who one is.
    pub here: String,
    pub style: &'static str,
}

impl Frame {
    /// The surroundings for a visit.
    pub fn of(visit: &Visit<'_>, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            example: visit
                .repo
                .is_some_and(|repo| visit.world.repos[repo].example.is_some()),
            repository: visit.repo.map(|repo| visit.world.full_name(repo)),
            you: visit
                .you
                .map(|you| visit.world.accounts[&you].login.clone()),
            people: visit
                .world
                .people()
                .into_iter()
                .map(|(_, login)| login)
                .collect(),
            here: visit.here.clone(),
            style: STYLE,
        }
    }

    /// Whether one is this person.
    pub fn is_you(&self, login: &str) -> bool {
        self.you.as_deref() == Some(login)
    }
}

#[derive(Template)]
#[template(path = "refused.html", config = "src/sandbox/web/askama.toml")]
struct Refused<'r> {
    frame: Frame,
    refusal: &'r Refusal,
}

/// The page that says no.
pub fn refused(visit: &Visit<'_>, refusal: &Refusal) -> String {
    let frame = Frame::of(visit, "Not possible");
    let page = Refused { frame, refusal }.render();
    page.unwrap_or_else(|_| "The page could not be written.".to_owned())
}

#[derive(Template)]
#[template(path = "home.html", config = "src/sandbox/web/askama.toml")]
struct Home {
    frame: Frame,
    organisation: String,
    repositories: Vec<String>,
    /// Each with who is in it.
    teams: Vec<(String, String)>,
}

/// The first page: what there is.
pub fn home(visit: &Visit<'_>) -> Replied {
    let world = &*visit.world;
    let sees = |repo: &usize| {
        let permission = visit.you.and_then(|you| world.permission(you, *repo));
        permission.is_some()
    };
    let members = |team: &Team| {
        let names = team
            .members
            .keys()
            .map(|id| world.accounts[id].login.clone());
        (team.slug.clone(), names.collect::<Vec<_>>().join(", "))
    };
    let repositories = (0..world.repos.len()).filter(sees);
    let home = Home {
        frame: Frame::of(visit, world.organisation_login()),
        organisation: world.organisation_login().to_owned(),
        repositories: repositories.map(|repo| world.full_name(repo)).collect(),
        teams: world.teams.iter().map(members).collect(),
    };
    Ok(Reply::Page(home.render()?))
}
