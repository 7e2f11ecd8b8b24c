//! `github-repository`: a person's own role in one repository.
//!
//! Promises:
//! - Logins are labels: see `github.rs`.
//! - GitHub keeps one own role for a person in a repository. A role that somebody has there already is never changed into another: a
//!   request for another role waits until the present one ends.
//! - Whoever is invited does not have it yet: that is `pending`, and the end takes the invitation back.
//! - What remains by a team, by the organisation's base permission or by owning it is named, and never called removed. So is a role that
//!   somebody gave by hand in the place of ours.
//! - The last administrator of a repository is not removed.
//!
//! Accepted race: as with teams, an account that is renamed between our two calls is not seen until the read-back fails.

mod wire;

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::IgnoredAny;

use wire::{Collaborator, Effective, Entitlement, Invitation, RoleRequest, TeamHere};

use super::github::Hub;
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, ConnectionName, Login};
use crate::domain::target::{Change, Kind, Names, Order};
use crate::github_app::{Installation, Permission, path, query};

/// Repositories of an organisation.
pub const KIND: Kind = Kind {
    name: "github-repository",
    gives: "a role in a repository",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Entitlement of a github-repository connection",
  "type": "object",
  "additionalProperties": false,
  "required": ["repository", "role"],
  "properties": {
    "repository": {
      "description": "The repository's name, without the organisation",
      "type": "string",
      "minLength": 1,
      "maxLength": 100,
      "pattern": "^[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*$"
    },
    "role": {
      "description": "read, triage, write, maintain, admin, or the name of one of the organisation's own roles",
      "type": "string",
      "minLength": 1,
      "maxLength": 100
    }
  }
}"#,
    residual: "GitHub asks for the role at every request; a clone that was made before, and a deploy key that was added, stay where they are.",
    native_expiry: None,
    names: Names::CaseInsensitive,
};

/// What a token needs for it.
pub const PERMISSIONS: &[Permission] = &[
    ("administration", "write"),
    ("metadata", "read"),
    ("members", "read"),
];

/// Repositories of one organisation.
#[derive(Debug)]
pub struct GithubRepository {
    organisation: Login,
    hub: Hub,
}

/// What one person has in one repository of their own.
struct Own {
    role: Option<String>,
    invitations: Vec<Invitation>,
}

impl GithubRepository {
    /// The repositories of `organisation`, changed through `api`, which needs the permissions `administration: write` in them and
    /// `members: read`.
    pub fn new(connection: ConnectionName, organisation: Login, api: Installation) -> Self {
        Self {
            organisation,
            hub: Hub::new(connection, api),
        }
    }

    fn entitlement(&self, value: &serde_json::Value) -> Result<Entitlement, ProviderError> {
        let read = value.is_object().then(|| Entitlement::deserialize(value));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        match read {
            Some(Ok(found))
                if found.repository.chars().all(plain)
                    && found.repository.chars().any(|c| c != '.')
                    && !found.role.trim().is_empty() =>
            {
                Ok(found)
            }
            _ => Err(self.hub.refused(
                "the entitlement must look like { repository: <name>, role: read | triage | write | maintain | admin }",
            )),
        }
    }

    fn route(&self, wanted: &Entitlement, segments: &[&str]) -> String {
        let here = ["repos", self.organisation.as_str(), &wanted.repository];
        path(&[&here, segments].concat())
    }

    fn shown(&self, wanted: &Entitlement) -> String {
        format!("{}/{}", self.organisation, wanted.repository)
    }

    /// Whoever has a role of their own here; `None` where there is no such repository.
    async fn collaborators(
        &self,
        wanted: &Entitlement,
        filter: &[(&str, &str)],
    ) -> Result<Option<Vec<Collaborator>>, ProviderError> {
        let what = format!("collaborators of {}", self.shown(wanted));
        let route = self.route(wanted, &["collaborators"]);
        let route = query(&route, &[filter, &[("per_page", "100")]].concat());
        self.hub.all_of(&what, &route).await
    }

    async fn invitations(
        &self,
        wanted: &Entitlement,
    ) -> Result<Option<Vec<Invitation>>, ProviderError> {
        let what = format!("invitations to {}", self.shown(wanted));
        let route = self.route(wanted, &["invitations"]);
        let route = query(&route, &[("per_page", "100")]);
        self.hub.all_of(&what, &route).await
    }

    /// What `login` has of their own; `None` where there is no such repository.
    async fn own(&self, wanted: &Entitlement, login: &str) -> Result<Option<Own>, ProviderError> {
        let direct = self
            .collaborators(wanted, &[("affiliation", "direct")])
            .await?;
        let (Some(direct), Some(invited)) = (direct, self.invitations(wanted).await?) else {
            return Ok(None);
        };
        let mine = direct
            .into_iter()
            .find(|one| one.login.eq_ignore_ascii_case(login));
        let to_me = |one: &Invitation| {
            let invitee = one.invitee.as_ref();
            invitee.is_some_and(|user| user.login.eq_ignore_ascii_case(login))
        };
        Ok(Some(Own {
            role: mine.map(|one| one.role_name),
            invitations: invited.into_iter().filter(to_me).collect(),
        }))
    }

    fn nowhere(&self, wanted: &Entitlement) -> ProviderError {
        let shown = self.shown(wanted);
        self.hub.refused(format!(
            "there is no repository {shown} that the App can see"
        ))
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let login = self.hub.login_for_giving(&access.account).await?;
        let before = self.own(&wanted, &login).await?;
        let before = before.ok_or_else(|| self.nowhere(&wanted))?;
        let shown_here = self.shown(&wanted);
        let other = |role: &&str| !wanted.is(role);
        let roles = || {
            let invited = before
                .invitations
                .iter()
                .map(|one| one.permissions.as_str());
            before.role.as_deref().into_iter().chain(invited)
        };
        if let Some(role) = roles().find(other) {
            return Err(self.hub.refused(format!(
                "@{login} has the role {role:?} in {shown_here} already, and GitHub keeps one only; it is given once that one has ended"
            )));
        }
        if roles().next().is_none() {
            let what = format!("role of @{login} in {shown_here}");
            let request = RoleRequest {
                permission: wanted.permission(),
            };
            let missing = || format!("there is no repository {shown_here} that the App can see");
            let route = self.route(&wanted, &["collaborators", &login]);
            let put = self.hub.put::<IgnoredAny>(&what, &route, &request, missing);
            put.await?;
        }
        let found = self.own(&wanted, &login).await?;
        self.given(&wanted, &login, found)
    }

    /// Reads back that it is given, or offered.
    fn given(
        &self,
        wanted: &Entitlement,
        login: &str,
        found: Option<Own>,
    ) -> Result<Granted, ProviderError> {
        let (here, role) = (self.shown(wanted), &wanted.role);
        let what = format!("role of @{login} in {here}");
        let Some(found) = found else {
            return Err(self.nowhere(wanted));
        };
        if found.role.as_deref().is_some_and(|role| wanted.is(role)) {
            return Ok(Granted {
                read_back: format!("@{login} has the role {role} in {here}"),
                pending: None,
                account_id: None,
                entitlement_id: None,
            });
        }
        if found
            .invitations
            .iter()
            .any(|one| wanted.is(&one.permissions) && !one.expired)
        {
            return Ok(Granted {
                read_back: format!("@{login} is invited to {here} as {role}"),
                pending: Some(format!(
                    "@{login} must accept the invitation: https://github.com/{here}/invitations"
                )),
                account_id: None,
                entitlement_id: None,
            });
        }
        Err(self
            .hub
            .without_effect(what, found.role.as_deref().unwrap_or("no role")))
    }

    async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let (here, name) = (self.shown(&wanted), &access.account.name);
        let Some(login) = self.hub.login_for_taking(&access.account).await? else {
            return Ok(taken(format!("the account of @{name} no longer exists")));
        };
        let gone = || taken(format!("there is no repository {here} any more"));
        let Some(before) = self.own(&wanted, &login).await? else {
            return Ok(gone());
        };
        let what = format!("role of @{login} in {here}");
        if before.role.as_deref().is_some_and(|role| wanted.is(role)) {
            self.spare_the_last(&wanted, &login).await?;
            let route = self.route(&wanted, &["collaborators", &login]);
            self.hub.delete(&what, &route).await?;
        }
        for one in before
            .invitations
            .iter()
            .filter(|one| wanted.is(&one.permissions))
        {
            let route = self.route(&wanted, &["invitations", &one.id.to_string()]);
            self.hub.delete(&what, &route).await?;
        }
        let Some(left) = self.own(&wanted, &login).await? else {
            return Ok(gone());
        };
        let ours = |role: &str| wanted.is(role);
        if left.role.as_deref().is_some_and(ours)
            || left.invitations.iter().any(|one| ours(&one.permissions))
        {
            return Err(self.hub.without_effect(what, "the role still"));
        }
        Ok(Revoked {
            read_back: format!(
                "@{login} has no role {} of their own in {here}",
                wanted.role
            ),
            still_effective_through: self.through(&wanted, &login, &left).await?,
            ..Revoked::default()
        })
    }

    /// By what else `login` may do as much as the role allows.
    async fn through(
        &self,
        wanted: &Entitlement,
        login: &str,
        left: &Own,
    ) -> Result<Vec<String>, ProviderError> {
        let mut through: Vec<String> = left
            .role
            .iter()
            .filter(|role| wanted.is_within(role))
            .map(|role| format!("the role {role:?} that somebody gave them in the place of ours"))
            .collect();
        let what = format!("what @{login} may do in {}", self.shown(wanted));
        let route = self.route(wanted, &["collaborators", login, "permission"]);
        let effective: Option<Effective> = self.hub.find(&what, &route).await?;
        let Some(role) = effective
            .map(|e| e.role_name)
            .filter(|role| wanted.is_within(role))
        else {
            return Ok(through);
        };
        through.extend(self.teams(wanted, login).await?);
        if through.is_empty() {
            through.push(format!(
                "the role {role:?} by the organisation's base permission, by owning it, or because everybody has it"
            ));
        }
        Ok(through)
    }

    /// The teams by which `login` may do as much.
    async fn teams(&self, wanted: &Entitlement, login: &str) -> Result<Vec<String>, ProviderError> {
        let what = format!("teams of {}", self.shown(wanted));
        let route = query(&self.route(wanted, &["teams"]), &[("per_page", "100")]);
        let teams: Vec<TeamHere> = self.hub.all(&what, &route).await?;
        let mut through = Vec::new();
        for team in teams
            .into_iter()
            .filter(|team| wanted.is_within(&team.permission))
        {
            let org = self.organisation.as_str();
            let route = path(&["orgs", org, "teams", &team.slug, "memberships", login]);
            let what = format!("membership of @{login} in {org}/{}", team.slug);
            let found: Option<wire::Membership> = self.hub.find(&what, &route).await?;
            if found.is_some_and(|found| found.state == "active") {
                through.push(format!("membership of the team {org}/{}", team.slug));
            }
        }
        Ok(through)
    }

    /// Nobody may lock everybody out of a repository by a pull request.
    async fn spare_the_last(&self, wanted: &Entitlement, login: &str) -> Result<(), ProviderError> {
        if !wanted.is("admin") {
            return Ok(());
        }
        let all = self
            .collaborators(wanted, &[("permission", "admin")])
            .await?;
        let others = |one: &Collaborator| !one.login.eq_ignore_ascii_case(login);
        if all.is_some_and(|all| !all.iter().any(others)) {
            return Err(self.hub.refused(format!(
                "@{login} is the last administrator of {}; make somebody else one first",
                self.shown(wanted)
            )));
        }
        Ok(())
    }

    async fn list(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        let wanted = self.entitlement(entitlement)?;
        let direct = self
            .collaborators(&wanted, &[("affiliation", "direct")])
            .await?;
        let invited = self.invitations(&wanted).await?;
        let (Some(direct), Some(invited)) = (direct, invited) else {
            return Err(self.nowhere(&wanted));
        };
        let direct = direct.into_iter().filter(|one| wanted.is(&one.role_name));
        let direct = direct.map(|one| Holder {
            name: one.login,
            id: Some(one.id.to_string()),
            pending: false,
        });
        let invited = invited
            .into_iter()
            .filter(|one| wanted.is(&one.permissions));
        let invited = invited.map(|one| {
            let id = one.invitee.as_ref().map(|user| user.id.to_string());
            Holder {
                name: one
                    .invitee
                    .map_or_else(|| format!("invitation {}", one.id), |user| user.login),
                id,
                pending: true,
            }
        });
        Ok(direct.chain(invited).collect())
    }
}

fn taken(read_back: String) -> Revoked {
    Revoked {
        read_back,
        ..Revoked::default()
    }
}

#[async_trait]
impl Provider for GithubRepository {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    async fn grant(&self, approved: &Approved, _: &Order) -> Result<Granted, ProviderError> {
        self.give(approved.access()).await
    }

    async fn revoke(&self, access: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        self.take(access).await
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        let Ok(wanted) = self.entitlement(&access.entitlement) else {
            return Vec::new();
        };
        let route = self.route(&wanted, &["collaborators", &access.account.name]);
        match change {
            Change::Grant => vec![format!("PUT {route} as {}", wanted.permission())],
            Change::Revoke => vec![format!("DELETE {route}, and every invitation")],
        }
    }

    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        self.list(entitlement).await
    }
}
