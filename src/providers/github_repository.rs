//! `github-repository`: a person's own role in one repository.
//!
//! Promises:
//! - Logins and names are labels: see `github.rs`. The repository is found once, by its name when something is given and by its number
//!   when it is taken, and spoken of by its number after that. Whoever is in a list there is known by number too.
//! - GitHub keeps one own role for a person in a repository. A role that somebody has there already is never changed into another: a
//!   request for another role waits until the present one ends.
//! - Whoever is invited does not have it yet: that is `pending`, and the end takes the invitation back.
//! - Only the role that was given is taken. Any other own role or invitation, however little it allows, stands in the place of ours by
//!   somebody's hand: it is named, not touched, and never called removed. So is what remains by a team, by the organisation's base
//!   permission or by owning it, where that allows as much.
//! - The last administrator of a repository is not removed, nor are the last two at once: see `turns.rs`.
//! - A repository that GitHub does not show is gone only where the App is shown every repository of the organisation.
//!
//! Accepted race: GitHub gives and takes roles by login, so an account that is renamed between our two calls is not seen until the
//! read-back fails.

mod here;
mod left;
mod wire;

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::IgnoredAny;

use here::{Own, Seat};
use wire::{Collaborator, Entitlement, RoleRequest};

use super::github::Hub;
use super::turns::Turns;
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, ConnectionName, Login};
use crate::domain::target::{Change, Kind, Names, Order};
use crate::github_app::{Installation, Permission, path};

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
    turns: Turns,
}

impl GithubRepository {
    /// The repositories of `organisation`, changed through `api`, which needs the permissions `administration: write` in them and
    /// `members: read`.
    pub fn new(connection: ConnectionName, organisation: Login, api: Installation) -> Self {
        Self {
            organisation,
            hub: Hub::new(connection, api),
            turns: Turns::default(),
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

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let login = self.hub.login_for_giving(&access.account).await?;
        let number = self.hub.number(&access.account)?;
        let known = access.entitlement_id.as_deref();
        let here = self.for_giving(&wanted, known).await?;
        let seat = Seat {
            wanted,
            here,
            number,
        };
        let _turn = self.turns.of(&seat.here.id()).await;
        let before = self.own(&seat).await?;
        let other = |role: &&str| !seat.wanted.is(role);
        if let Some(role) = before.roles().find(other) {
            return Err(self.hub.refused(format!(
                "@{login} has the role {role:?} in {} already, and GitHub keeps one only; it is given once that one has ended",
                seat.here.shown
            )));
        }
        if before.roles().next().is_none() {
            self.put(&seat, &login).await?;
        }
        let found = self.own(&seat).await?;
        self.given(&seat, &login, &found)
    }

    async fn put(&self, seat: &Seat, login: &str) -> Result<(), ProviderError> {
        let here = &seat.here.shown;
        let what = format!("role of @{login} in {here}");
        let request = RoleRequest {
            permission: seat.wanted.permission(),
        };
        let missing = || format!("there is no repository {here} that the App can see");
        let route = seat.here.route(&["collaborators", login]);
        let put = self.hub.put::<IgnoredAny>(&what, &route, &request, missing);
        put.await.map(drop)
    }

    /// Reads back that it is given, or offered.
    fn given(&self, seat: &Seat, login: &str, found: &Own) -> Result<Granted, ProviderError> {
        let (here, role) = (&seat.here.shown, &seat.wanted.role);
        let granted = |read_back: String, pending: Option<String>| Granted {
            read_back,
            pending,
            account_id: Some(seat.number.to_string()),
            entitlement_id: Some(seat.here.id()),
        };
        let has = found.role.as_ref();
        if has.is_some_and(|one| seat.wanted.is(&one.role_name)) {
            let read_back = format!("@{login} has the role {role} in {here}");
            return Ok(granted(read_back, None));
        }
        if found.offered().any(|role| seat.wanted.is(role)) {
            let read_back = format!("@{login} is invited to {here} as {role}");
            let accept = format!(
                "@{login} must accept the invitation: https://github.com/{here}/invitations"
            );
            return Ok(granted(read_back, Some(accept)));
        }
        let what = format!("role of @{login} in {here}");
        let found = has.map_or("no role", |one| &one.role_name);
        Err(self.hub.without_effect(what, found))
    }

    async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let number = self.hub.number(&access.account)?;
        let known = access.entitlement_id.as_deref();
        let Some(here) = self.for_taking(&wanted, known).await? else {
            return Ok(taken(format!(
                "there is no repository {} in the organisation any more",
                self.shown(&wanted)
            )));
        };
        let seat = Seat {
            wanted,
            here,
            number,
        };
        let _turn = self.turns.of(&seat.here.id()).await;
        self.remove(&seat).await?;
        let left = self.own(&seat).await?;
        let (here, name) = (&seat.here.shown, &access.account.name);
        if left.roles().any(|role| seat.wanted.is(role)) {
            let what = format!("role of @{name} in {here}");
            return Err(self.hub.without_effect(what, "the role still"));
        }
        Ok(Revoked {
            read_back: format!(
                "@{name} has no role {} of their own in {here}",
                seat.wanted.role
            ),
            still_effective_through: self.through(&seat, &access.account, &left).await?,
            ..Revoked::default()
        })
    }

    /// Removes the role that was given, and the invitations to it.
    async fn remove(&self, seat: &Seat) -> Result<(), ProviderError> {
        let before = self.own(seat).await?;
        let here = &seat.here.shown;
        if let Some(one) = before.role.filter(|one| seat.wanted.is(&one.role_name)) {
            self.spare_the_last(seat, &one.login).await?;
            // As GitHub calls the account in the very list that knows it by number.
            let route = seat.here.route(&["collaborators", &one.login]);
            let what = format!("role of @{} in {here}", one.login);
            self.hub.delete(&what, &route).await?;
        }
        let offers = before.invitations.iter();
        for one in offers.filter(|one| seat.wanted.is(&one.permissions)) {
            let route = seat.here.route(&["invitations", &one.id.to_string()]);
            let what = format!("invitation {} to {here}", one.id);
            self.hub.delete(&what, &route).await?;
        }
        Ok(())
    }

    /// Nobody may lock everybody out of a repository by a pull request.
    async fn spare_the_last(&self, seat: &Seat, login: &str) -> Result<(), ProviderError> {
        if !seat.wanted.is("admin") {
            return Ok(());
        }
        let all = self
            .collaborators(&seat.here, &[("permission", "admin")])
            .await?;
        let other = |one: &Collaborator| one.id != seat.number;
        if !all.iter().any(other) {
            return Err(self.hub.refused(format!(
                "@{login} is the last administrator of {}; make somebody else one first",
                seat.here.shown
            )));
        }
        Ok(())
    }

    async fn list(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        let wanted = self.entitlement(entitlement)?;
        let here = self.for_giving(&wanted, None).await?;
        let direct = self
            .collaborators(&here, &[("affiliation", "direct")])
            .await?;
        let direct = direct.into_iter().filter(|one| wanted.is(&one.role_name));
        let direct = direct.map(|one| Holder {
            name: one.login,
            id: Some(one.id.to_string()),
            pending: false,
        });
        let invited = self.invitations(&here).await?.into_iter();
        let invited = invited.filter(|one| wanted.is(&one.permissions));
        let invited = invited.map(|one| {
            let id = one.invitee.as_ref().map(|user| user.id.to_string());
            let unnamed = format!("invitation {}", one.id);
            Holder {
                name: one.invitee.map_or(unnamed, |user| user.login),
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
        let known = access.entitlement_id.clone();
        let number = known.unwrap_or_else(|| format!("<id of {}>", self.shown(&wanted)));
        let login = path(&[&access.account.name]);
        let route = format!("/repositories/{number}/collaborators{login}");
        match change {
            Change::Grant => vec![format!("PUT {route} as {}", wanted.permission())],
            Change::Revoke => vec![format!("DELETE {route}, and every invitation")],
        }
    }

    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        self.list(entitlement).await
    }
}
