//! The team that is meant, and who is in it.

use super::GithubTeam;
use super::wire::{FullTeam, ListedTeam, Member, Membership, TeamRole};
use crate::domain::model::Account;
use crate::github_app::{path, query};
use crate::providers::ProviderError;
use crate::providers::github::User;

/// A team, whatever it is called by now.
pub struct Here {
    organisation: u64,
    number: u64,
    /// `organisation/slug` of now.
    pub shown: String,
}

impl Here {
    /// Its number, as it is written down.
    pub fn id(&self) -> String {
        self.number.to_string()
    }

    /// What the account of this number has here, which one call at a time may change.
    pub fn place(&self, number: u64) -> String {
        format!("{}/{number}", self.number)
    }

    /// The way to what is below it.
    pub fn route(&self, segments: &[&str]) -> String {
        route(self.organisation, self.number, segments)
    }
}

fn route(organisation: u64, team: u64, segments: &[&str]) -> String {
    let (organisation, team) = (organisation.to_string(), team.to_string());
    let here = ["organizations", &organisation, "team", &team];
    path(&[&here, segments].concat())
}

impl GithubTeam {
    pub(super) fn team_route(&self, slug: &str, segments: &[&str]) -> String {
        let here = ["orgs", self.organisation.as_str(), "teams", slug];
        path(&[&here, segments].concat())
    }

    pub(super) fn team(&self, slug: &str) -> String {
        format!("{}/{slug}", self.organisation)
    }

    async fn look(&self, what: &str, route: &str) -> Result<Option<Here>, ProviderError> {
        let found: Option<FullTeam> = self.hub.find(what, route).await?;
        Ok(found.map(|found| Here {
            organisation: found.organization.id,
            number: found.id,
            shown: self.team(&found.slug),
        }))
    }

    async fn named(&self, slug: &str) -> Result<Option<Here>, ProviderError> {
        let what = format!("team {}", self.team(slug));
        self.look(&what, &self.team_route(slug, &[])).await
    }

    /// What has the slug; [`ProviderError::Refused`] where that is another one than `known`.
    pub(super) async fn for_giving(
        &self,
        slug: &str,
        known: Option<&str>,
    ) -> Result<Here, ProviderError> {
        let team = self.team(slug);
        let here = self.named(slug).await?.ok_or_else(|| {
            self.hub
                .refused(format!("there is no team {team} that the App can see"))
        })?;
        self.hub.is_given(&team, here.number, known)?;
        Ok(here)
    }

    /// What has the number, or the slug where the number is not known; `None` where it is gone for sure.
    pub(super) async fn for_taking(
        &self,
        slug: &str,
        known: Option<&str>,
    ) -> Result<Option<Here>, ProviderError> {
        let number = self.hub.given(known)?;
        let found = match number {
            None => self.named(slug).await?,
            Some(number) => {
                let what = format!("team {number}");
                let here = route(self.organisation_number().await?, number, &[]);
                self.look(&what, &here).await?
            }
        };
        if found.is_some() {
            return Ok(found);
        }
        let org = self.organisation.as_str();
        let all = query(&path(&["orgs", org, "teams"]), &[("per_page", "100")]);
        let all: Vec<ListedTeam> = self.hub.all(&format!("teams of {org}"), &all).await?;
        let it = |one: &&ListedTeam| match number {
            Some(number) => one.id == number,
            None => one.slug == slug,
        };
        match all.iter().find(it) {
            None => Ok(None),
            Some(one) => Err(self.hub.refused(format!(
                "GitHub lists the team {}, number {}, and shows it to the App no further; look at what the App may see",
                self.team(&one.slug),
                one.id
            ))),
        }
    }

    async fn organisation_number(&self) -> Result<u64, ProviderError> {
        let org = self.organisation.as_str();
        let what = format!("organisation {org}");
        let found: Option<User> = self.hub.find(&what, &path(&["users", org])).await?;
        let found = found.ok_or_else(|| {
            self.hub.refused(format!(
                "there is no {what} by now; was it renamed? Correct the connection"
            ))
        })?;
        Ok(found.id)
    }

    /// How `login` belongs to the team, by a child team too.
    pub(super) async fn membership(
        &self,
        here: &Here,
        login: &str,
    ) -> Result<Option<Membership>, ProviderError> {
        let what = format!("membership of @{login} in {}", here.shown);
        let route = here.route(&["memberships", login]);
        self.hub.find(&what, &route).await
    }

    /// The role of the place that the account has here of its own, where that is another than `role`.
    pub(super) async fn other_role(
        &self,
        here: &Here,
        (number, login): (u64, &str),
        role: TeamRole,
    ) -> Result<Option<String>, ProviderError> {
        let found = self.membership(here, login).await?;
        let Some(found) = found.filter(|found| found.role != role.name()) else {
            return Ok(None);
        };
        let member = self.member(here, number).await?;
        let is_inherited = member.is_some_and(|one| one.inherited);
        Ok((!is_inherited).then_some(found.role))
    }

    /// Whether `login` owns the organisation.
    pub(super) async fn is_owner(&self, login: &str) -> Result<bool, ProviderError> {
        let org = self.organisation.as_str();
        let what = format!("membership of @{login} in {org}");
        let route = path(&["orgs", org, "memberships", login]);
        let found: Option<Membership> = self.hub.find(&what, &route).await?;
        Ok(found.is_some_and(|found| found.role == "admin"))
    }

    /// What the account is called by now; `None` where GitHub tells of none.
    pub(super) async fn login(
        &self,
        here: &Here,
        account: &Account,
        number: u64,
    ) -> Result<Option<String>, ProviderError> {
        if let Some(login) = self.hub.login_for_taking(account).await? {
            return Ok(Some(login));
        }
        // An account that GitHub does not show may still be listed.
        Ok(self.member(here, number).await?.map(|one| one.login))
    }

    /// The active member of this number, by a child team too.
    async fn member(&self, here: &Here, number: u64) -> Result<Option<Member>, ProviderError> {
        let what = format!("team {}", here.shown);
        let members = query(&here.route(&["members"]), &[("per_page", "100")]);
        let members: Vec<Member> = self.hub.all(&what, &members).await?;
        Ok(members.into_iter().find(|one| one.id == number))
    }

    /// The child teams through which `login` still counts as a member.
    pub(super) async fn inherited_through(
        &self,
        here: &Here,
        login: &str,
    ) -> Result<Vec<String>, ProviderError> {
        let what = format!("child teams of {}", here.shown);
        let children = query(&here.route(&["teams"]), &[("per_page", "100")]);
        let children: Vec<ListedTeam> = self.hub.all(&what, &children).await?;
        let mut through = Vec::new();
        for child in children {
            let child = Here {
                organisation: here.organisation,
                number: child.id,
                shown: self.team(&child.slug),
            };
            let found = self.membership(&child, login).await?;
            if found.is_some_and(|found| found.state == "active") {
                through.push(format!("membership of the child team {}", child.shown));
            }
        }
        Ok(through)
    }
}
