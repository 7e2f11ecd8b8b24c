//! Who stands behind the owners of CODEOWNERS now.
//!
//! Members are those that GitHub lists: active ones, not invited ones. GitHub counts members of child teams as members of the
//! parent, and asks them for review as owners; so do we.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};

use super::GitHub;
use super::wire::{Account, CollaboratorPermission, TeamRepository};
use crate::domain::model::{Actor, ActorKind, Login, Owner};
use crate::domain::pull::{Collaborator, Lookup, Roster, Team};
use crate::github_app::{Failure, path, query};

/// How many owners are looked up at the same time.
const AT_ONCE: usize = 4;
/// The media type in which a repository tells what a team may do with it.
const WITH_PERMISSIONS: &str = "application/vnd.github.v3.repository+json";

enum Found {
    Team(Owner, Lookup<Team>),
    User(Login, Lookup<Collaborator>),
    Nobody,
}

impl GitHub {
    /// Addresses are not looked up: the forge does not tell whose they are.
    pub(super) async fn read_roster(&self, owners: &BTreeSet<Owner>) -> Roster {
        let questions: Vec<_> = owners
            .iter()
            .cloned()
            .map(|owner| self.look_up(owner))
            .collect();
        let answers: Vec<_> = stream::iter(questions)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut roster = Roster::default();
        for found in answers {
            match found {
                Found::Team(owner, team) => drop(roster.teams.insert(owner, team)),
                Found::User(login, user) => drop(roster.users.insert(login, user)),
                Found::Nobody => {}
            }
        }
        roster
    }

    async fn look_up(&self, owner: Owner) -> Found {
        match &owner {
            Owner::User(login) => {
                Found::User(login.clone(), lookup(self.read_collaborator(login).await))
            }
            Owner::Team { organisation, slug } => {
                // A team of another organisation can never own a path here.
                let ours = *organisation == self.repository.owner;
                let team = if ours {
                    lookup(self.read_team(slug).await)
                } else {
                    Lookup::Absent
                };
                Found::Team(owner, team)
            }
            Owner::Email(_) => Found::Nobody,
        }
    }

    /// Two questions a team. That there is none shows in the second.
    async fn read_team(&self, slug: &str) -> Result<Team, Failure> {
        let team = format!("team @{}/{slug}", self.repository.owner);
        let (can_write, members) = tokio::try_join!(
            self.can_team_write(&team, slug),
            self.read_members(&team, slug)
        )?;
        Ok(Team { can_write, members })
    }

    async fn can_team_write(&self, team: &str, slug: &str) -> Result<bool, Failure> {
        let what = format!("permission of {team} on {}", self.repository);
        let route = self.team_route(
            slug,
            &[
                "repos",
                self.repository.owner.as_str(),
                &self.repository.name,
            ],
        );
        match self
            .api
            .get_as::<TeamRepository>(&what, &route, WITH_PERMISSIONS)
            .await
        {
            Ok(TeamRepository { permissions: p }) => Ok(p.push || p.maintain || p.admin),
            // The team, if it exists, has no access to the repository.
            Err(Failure::NotFound { .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn read_members(&self, team: &str, slug: &str) -> Result<Vec<Actor>, Failure> {
        let what = format!("members of {team}");
        let route = query(&self.team_route(slug, &["members"]), &[("per_page", "100")]);
        let found: Vec<Account> = self.api.list(&what, &route).await?;
        found
            .into_iter()
            .map(Account::actor)
            .collect::<Result<_, _>>()
            .map_err(|e| Failure::unreadable(&what, e))
    }

    /// Everybody who is an active member of the organisation, whether they show it in public or not: what `members: read` lets an
    /// installation see.
    pub(super) async fn read_organisation(&self) -> Result<Option<Vec<Actor>>, Failure> {
        let owner = self.repository.owner.as_str();
        let what = format!("members of {owner}");
        let route = query(&path(&["orgs", owner, "members"]), &[("per_page", "100")]);
        let found: Vec<Account> = match self.api.list(&what, &route).await {
            Ok(found) => found,
            Err(Failure::NotFound { .. }) => return self.owned_by_a_person().await,
            Err(failure) => return Err(failure),
        };
        found
            .into_iter()
            .map(Account::actor)
            .collect::<Result<_, _>>()
            .map(Some)
            .map_err(|e| Failure::unreadable(&what, e))
    }

    /// That an account has no members is believed only where GitHub says that it is a person's.
    async fn owned_by_a_person(&self) -> Result<Option<Vec<Actor>>, Failure> {
        let owner = self.repository.owner.as_str();
        let what = format!("account {owner}");
        let account: Account = self.api.get(&what, &path(&["users", owner])).await?;
        let account = account.actor().map_err(|e| Failure::unreadable(&what, e))?;
        match account.kind {
            ActorKind::User => Ok(None),
            ActorKind::Bot | ActorKind::Other => Err(Failure::NotFound {
                what: format!("members of {owner}"),
            }),
        }
    }

    async fn read_collaborator(&self, login: &Login) -> Result<Collaborator, Failure> {
        let what = format!("permission of @{login} on {}", self.repository);
        let route = self.route(&["collaborators", login.as_str(), "permission"]);
        let found: CollaboratorPermission = self.api.get(&what, &route).await?;
        let Some(user) = found.user else {
            return Err(Failure::NotFound { what });
        };
        let actor = user.actor().map_err(|e| Failure::unreadable(&what, e))?;
        if actor.login != *login {
            let reason = format!("GitHub answers for @{}", actor.login);
            return Err(Failure::Refused { what, reason });
        }
        // `maintain` comes as `write`, a custom role as what it is based on.
        let can_write = matches!(found.permission.as_str(), "admin" | "maintain" | "write");
        Ok(Collaborator { actor, can_write })
    }

    fn team_route(&self, slug: &str, segments: &[&str]) -> String {
        path(
            &[
                &["orgs", self.repository.owner.as_str(), "teams", slug],
                segments,
            ]
            .concat(),
        )
    }
}

/// Three-valued: a question that failed is neither yes nor no.
fn lookup<T>(answer: Result<T, Failure>) -> Lookup<T> {
    match answer {
        Ok(found) => Lookup::Found(found),
        Err(Failure::NotFound { .. }) => Lookup::Absent,
        Err(failure) => Lookup::Failed(failure.sentence()),
    }
}
