//! `github-organization-role`: a role in an organisation of GitHub's, such as `security_manager` or one of the organisation's own.
//!
//! Promises:
//! - Logins and names are labels: see `github.rs`. The role is found by its name when it is given and by its number when it is taken, in
//!   the list of all roles; one that is deleted and made anew has another number. Whoever has it is known by number too.
//! - A role that remains by a team is named, and never called removed.
//!
//! Members of the organisation only can have one; GitHub refuses others, and nobody is invited for it.

mod wire;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use wire::{Assigned, Entitlement, Role, Roles};

use super::github::Hub;
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, ConnectionName, Login};
use crate::domain::target::{Change, Kind, Names, Order};
use crate::github_app::{Installation, Permission, path, query};

/// Roles in an organisation.
pub const KIND: Kind = Kind {
    name: "github-organization-role",
    gives: "a role in an organisation",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Entitlement of a github-organization-role connection",
  "type": "object",
  "additionalProperties": false,
  "required": ["role"],
  "properties": {
    "role": {
      "description": "The role's name, exactly as the organisation's settings show it under Organization roles",
      "type": "string",
      "minLength": 1,
      "maxLength": 150
    }
  }
}"#,
    residual: "GitHub asks for the role at every request; what was changed with it stays changed.",
    native_expiry: None,
    names: Names::CaseInsensitive,
};

/// What a token needs for it.
pub const PERMISSIONS: &[Permission] = &[
    ("members", "write"),
    ("organization_custom_org_roles", "read"),
];

/// Roles of one organisation.
#[derive(Debug)]
pub struct GithubOrganizationRole {
    organisation: Login,
    hub: Hub,
}

impl GithubOrganizationRole {
    /// The roles of `organisation`, changed through `api`, which needs the permissions `members: write` and
    /// `organization_custom_org_roles: read` there.
    pub fn new(connection: ConnectionName, organisation: Login, api: Installation) -> Self {
        Self {
            organisation,
            hub: Hub::new(connection, api),
        }
    }

    fn entitlement(&self, value: &Value) -> Result<Entitlement, ProviderError> {
        let read = value.is_object().then(|| Entitlement::deserialize(value));
        match read {
            Some(Ok(found)) if !found.role.is_empty() => Ok(found),
            _ => Err(self.hub.refused(
                "the entitlement must look like { role: <name of an organisation role> }",
            )),
        }
    }

    fn route(&self, segments: &[&str]) -> String {
        let here = ["orgs", self.organisation.as_str(), "organization-roles"];
        path(&[&here, segments].concat())
    }

    fn shown(&self, role: &str) -> String {
        format!("{role:?} of {}", self.organisation)
    }

    async fn roles(&self) -> Result<Vec<Role>, ProviderError> {
        let what = format!("roles of {}", self.organisation);
        let roles: Option<Roles> = self.hub.find(&what, &self.route(&[])).await?;
        let roles = roles.ok_or_else(|| {
            self.hub.refused(format!(
                "GitHub does not show the App the {what}: compare its permissions with the documentation"
            ))
        })?;
        Ok(roles.roles)
    }

    /// What has the name; [`ProviderError::Refused`] where that is another one than `known`.
    async fn for_giving(
        &self,
        wanted: &Entitlement,
        known: Option<&str>,
    ) -> Result<Role, ProviderError> {
        let (shown, roles) = (self.shown(&wanted.role), self.roles().await?);
        let role = roles.into_iter().find(|role| role.name == wanted.role);
        let role = role.ok_or_else(|| {
            self.hub.refused(format!(
                "there is no organisation role {shown} that the App can see"
            ))
        })?;
        let what = format!("role {shown}");
        self.hub.is_given(&what, role.id, known)?;
        Ok(role)
    }

    /// What has the number, or the name where the number is not known; `None` where it is gone.
    async fn for_taking(
        &self,
        wanted: &Entitlement,
        known: Option<&str>,
    ) -> Result<Option<Role>, ProviderError> {
        let number = self.hub.given(known)?;
        let it = |role: &Role| match number {
            Some(number) => role.id == number,
            None => role.name == wanted.role,
        };
        Ok(self.roles().await?.into_iter().find(it))
    }

    async fn assigned(&self, role: &Role) -> Result<Vec<Assigned>, ProviderError> {
        let what = format!("who has the role {}", self.shown(&role.name));
        let route = self.route(&[&role.id.to_string(), "users"]);
        self.hub
            .all(&what, &query(&route, &[("per_page", "100")]))
            .await
    }

    /// How the account of this number has the role, if so.
    async fn assignment(
        &self,
        role: &Role,
        number: u64,
    ) -> Result<Option<Assigned>, ProviderError> {
        let all = self.assigned(role).await?;
        Ok(all.into_iter().find(|one| one.id == number))
    }

    fn assignment_route(&self, role: &Role, login: &str) -> String {
        self.route(&["users", login, &role.id.to_string()])
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let login = self.hub.login_for_giving(&access.account).await?;
        let number = self.hub.number(&access.account)?;
        let known = access.entitlement_id.as_deref();
        let role = self.for_giving(&wanted, known).await?;
        let (shown, route) = (self.shown(&role.name), self.assignment_route(&role, &login));
        let what = format!("role {shown} for @{login}");
        let missing = || {
            format!(
                "@{login} cannot have the role {shown}: is the account a member of the organisation?"
            )
        };
        self.hub.assign(&what, &route, missing).await?;
        let found = self.assignment(&role, number).await?;
        match found.filter(Assigned::is_direct) {
            Some(_) => Ok(Granted {
                read_back: format!("@{login} has the role {shown}"),
                pending: None,
                account_id: Some(number.to_string()),
                entitlement_id: Some(role.id.to_string()),
            }),
            None => Err(self.hub.without_effect(what, "no such role")),
        }
    }

    async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let (number, name) = (self.hub.number(&access.account)?, &access.account.name);
        let taken = |read_back: String| Revoked {
            read_back,
            ..Revoked::default()
        };
        let known = access.entitlement_id.as_deref();
        let Some(role) = self.for_taking(&wanted, known).await? else {
            let shown = self.shown(&wanted.role);
            return Ok(taken(format!("there is no role {shown} any more")));
        };
        let shown = self.shown(&role.name);
        let what = format!("role {shown} of @{name}");
        let before = self.assignment(&role, number).await?;
        if let Some(before) = before.filter(Assigned::is_direct) {
            // As GitHub calls the account in the very list that knows it by number.
            let route = self.assignment_route(&role, &before.login);
            self.hub.delete(&what, &route).await?;
        }
        let Some(left) = self.assignment(&role, number).await? else {
            return Ok(taken(format!("@{name} has no role {shown}")));
        };
        if left.is_direct() {
            return Err(self.hub.without_effect(what, "the role still"));
        }
        Ok(Revoked {
            read_back: format!("@{name} has the role {shown} by others only"),
            still_effective_through: left.through(self.organisation.as_str()),
            ..Revoked::default()
        })
    }

    async fn list(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        let wanted = self.entitlement(entitlement)?;
        let role = self.for_giving(&wanted, None).await?;
        let all = self.assigned(&role).await?;
        let holder = |one: Assigned| Holder {
            name: one.login,
            id: Some(one.id.to_string()),
            pending: false,
        };
        Ok(all
            .into_iter()
            .filter(Assigned::is_direct)
            .map(holder)
            .collect())
    }
}

#[async_trait]
impl Provider for GithubOrganizationRole {
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
        let role = access.entitlement["role"].as_str().unwrap_or_default();
        let verb = match change {
            Change::Grant => "PUT",
            Change::Revoke => "DELETE",
        };
        let route = self.route(&["users", &access.account.name]);
        vec![format!("{verb} {route}/<id of {role:?}>")]
    }

    async fn holders(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        self.list(entitlement).await
    }
}
