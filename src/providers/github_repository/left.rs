//! What is left after the role that was given is gone.

use super::GithubRepository;
use super::here::{Own, Seat};
use super::wire::{Effective, Membership, TeamHere};
use crate::domain::model::Account;
use crate::github_app::{path, query};
use crate::providers::ProviderError;

impl GithubRepository {
    /// What is in the place of ours, however little it allows; and by what else the account may do as much as the role allows.
    pub(super) async fn through(
        &self,
        seat: &Seat,
        account: &Account,
        left: &Own,
    ) -> Result<Vec<String>, ProviderError> {
        let own = left.role.iter().map(|one| {
            let role = &one.role_name;
            format!("the role {role:?} that somebody gave them in the place of ours")
        });
        let offered = left.offered().map(|role| {
            format!("an invitation to the role {role:?} that somebody sent in the place of ours")
        });
        let mut through: Vec<String> = own.chain(offered).collect();
        let login = self.hub.login_for_taking(account).await?;
        let effective = self.effective(seat, login.as_deref()).await?;
        let Some(role) = effective.filter(|role| seat.wanted.is_within(role)) else {
            return Ok(through);
        };
        if let Some(login) = login {
            through.extend(self.teams(seat, &login).await?);
        }
        if through.is_empty() {
            through.push(format!(
                "the role {role:?} by a team, by the organisation's base permission, by owning it, or because everybody has it"
            ));
        }
        Ok(through)
    }

    /// The role that the account has by whatever way.
    async fn effective(
        &self,
        seat: &Seat,
        login: Option<&str>,
    ) -> Result<Option<String>, ProviderError> {
        if let Some(login) = login {
            let what = format!("what @{login} may do in {}", seat.here.shown);
            let route = seat.here.route(&["collaborators", login, "permission"]);
            let found: Option<Effective> = self.hub.find(&what, &route).await?;
            let theirs = |found: &Effective| {
                let user = found.user.as_ref();
                user.is_some_and(|user| user.id == seat.number)
            };
            if let Some(found) = found.filter(theirs) {
                return Ok(Some(found.role_name));
            }
        }
        // Whoever GitHub does not show by login it still lists, if they may do anything.
        let all = self.collaborators(&seat.here, &[]).await?;
        let mine = all.into_iter().find(|one| one.id == seat.number);
        Ok(mine.map(|one| one.role_name))
    }

    /// The teams by which `login` may do as much.
    async fn teams(&self, seat: &Seat, login: &str) -> Result<Vec<String>, ProviderError> {
        let what = format!("teams of {}", seat.here.shown);
        let route = query(&seat.here.route(&["teams"]), &[("per_page", "100")]);
        let teams: Vec<TeamHere> = self.hub.all(&what, &route).await?;
        let mut through = Vec::new();
        let enough = |team: &TeamHere| seat.wanted.is_within(&team.permission);
        for team in teams.into_iter().filter(enough) {
            let org = self.organisation.as_str();
            let route = path(&["orgs", org, "teams", &team.slug, "memberships", login]);
            let what = format!("membership of @{login} in {org}/{}", team.slug);
            let found: Option<Membership> = self.hub.find(&what, &route).await?;
            if found.is_some_and(|found| found.state == "active") {
                through.push(format!("membership of the team {org}/{}", team.slug));
            }
        }
        Ok(through)
    }
}
