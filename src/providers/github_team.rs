//! `github-team`: membership of a GitHub team.
//!
//! Promises:
//! - A login is only a label. Before anything is given, the login must still be the account that `access/people` recorded; before
//!   anything is taken, the account's login of now is asked for. A login that somebody else took over gets nothing.
//! - Somebody outside the organisation is invited. That is `pending`, not membership; the end of the grant takes the invitation to
//!   the team back.
//! - A team has one membership a person, and this file does not ask whose it is: who is a member by hand is found by `holders`, and
//!   is not taken over (the loop says `blocked`).
//!
//! Accepted race: GitHub adds members by login only, so an account that is renamed between our two calls is not seen until the
//! read-back fails.

mod wire;

use async_trait::async_trait;
use serde::Deserialize;

use wire::{ChildTeam, Entitlement, Invitation, Member, Membership, MembershipRequest, TeamRole};

use super::github::Hub;
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, Account, ConnectionName, Login};
use crate::domain::target::{Change, Kind, Names, Order};
use crate::github_app::{Installation, Permission, path, query};

/// Teams of an organisation.
pub const KIND: Kind = Kind {
    name: "github-team",
    gives: "membership of a team",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Entitlement of a github-team connection",
  "type": "object",
  "additionalProperties": false,
  "required": ["team"],
  "properties": {
    "team": {
      "description": "The team's slug, as in its address: github.com/orgs/<organisation>/teams/<slug>",
      "type": "string",
      "minLength": 1,
      "maxLength": 100,
      "pattern": "^[a-z0-9_][a-z0-9_-]*$"
    },
    "role": {
      "description": "What the person is in the team",
      "enum": ["member", "maintainer"],
      "default": "member"
    }
  }
}"#,
    residual: "GitHub asks for membership at every request; a clone that was made before stays where it is.",
    native_expiry: None,
    names: Names::CaseInsensitive,
};

/// What a token needs for it.
pub const PERMISSIONS: &[Permission] = &[("members", "write")];

/// Teams of one organisation.
#[derive(Debug)]
pub struct GithubTeam {
    organisation: Login,
    hub: Hub,
}

impl GithubTeam {
    /// The teams of `organisation`, changed through `api`, which needs the permission `members: write` there.
    pub fn new(connection: ConnectionName, organisation: Login, api: Installation) -> Self {
        Self {
            organisation,
            hub: Hub::new(connection, api),
        }
    }

    fn entitlement(&self, value: &serde_json::Value) -> Result<Entitlement, ProviderError> {
        let entitlement = Entitlement::deserialize(value).map_err(|e| {
            self.hub.refused(format!(
                "the entitlement must look like {{ team: <slug>, role: member }}: {e}"
            ))
        })?;
        let slug = &entitlement.team;
        let plain =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if slug.is_empty() || slug.len() > 100 || slug.starts_with('-') || !slug.bytes().all(plain)
        {
            return Err(self.hub.refused(format!(
                "{slug:?} is no team slug: write it as in the team's address, in lower case"
            )));
        }
        Ok(entitlement)
    }

    fn team_route(&self, slug: &str, segments: &[&str]) -> String {
        path(
            &[
                &["orgs", self.organisation.as_str(), "teams", slug],
                segments,
            ]
            .concat(),
        )
    }

    fn team(&self, slug: &str) -> String {
        format!("{}/{slug}", self.organisation)
    }

    async fn membership(
        &self,
        slug: &str,
        login: &str,
    ) -> Result<Option<Membership>, ProviderError> {
        let what = format!("membership of @{login} in {}", self.team(slug));
        let route = self.team_route(slug, &["memberships", login]);
        self.hub.find(&what, &route).await
    }

    async fn put(&self, entitlement: &Entitlement, login: &str) -> Result<(), ProviderError> {
        let team = self.team(&entitlement.team);
        let what = format!("membership of @{login} in {team}");
        let route = self.team_route(&entitlement.team, &["memberships", login]);
        let request = MembershipRequest {
            role: entitlement.role,
        };
        let missing = || format!("there is no team {team} that the App can see");
        let put = self.hub.put::<Membership>(&what, &route, &request, missing);
        put.await.map(drop)
    }

    /// The child teams through which `login` still counts as a member.
    async fn inherited_through(
        &self,
        slug: &str,
        login: &str,
    ) -> Result<Vec<String>, ProviderError> {
        let what = format!("child teams of {}", self.team(slug));
        let route = query(&self.team_route(slug, &["teams"]), &[("per_page", "100")]);
        let children: Vec<ChildTeam> = self.hub.all(&what, &route).await?;
        let mut through = Vec::new();
        for child in children {
            if self
                .membership(&child.slug, login)
                .await?
                .is_some_and(|m| m.state == "active")
            {
                through.push(format!(
                    "membership of the child team {}",
                    self.team(&child.slug)
                ));
            }
        }
        Ok(through)
    }
}

#[async_trait]
impl Provider for GithubTeam {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        let slug = access.entitlement["team"].as_str().unwrap_or_default();
        let verb = match change {
            Change::Grant => "PUT",
            Change::Revoke => "DELETE",
        };
        let route = self.team_route(slug, &["memberships", &access.account.name]);
        vec![format!("{verb} {route}")]
    }

    async fn grant(&self, approved: &Approved, _: &Order) -> Result<Granted, ProviderError> {
        let access = approved.access();
        let entitlement = self.entitlement(&access.entitlement)?;
        let login = self.hub.login_for_giving(&access.account).await?;
        self.put(&entitlement, &login).await?;

        let team = self.team(&entitlement.team);
        let what = format!("membership of @{login} in {team}");
        let Some(found) = self.membership(&entitlement.team, &login).await? else {
            return Err(self.hub.without_effect(what, "none"));
        };
        // An owner of the organisation is a maintainer of every team, whatever was asked for.
        if entitlement.role == TeamRole::Maintainer && found.role != "maintainer" {
            return Err(self
                .hub
                .without_effect(what, &format!("the role `{}`", found.role)));
        }
        match found.state.as_str() {
            "active" => Ok(Granted {
                read_back: format!("@{login} is a {} of {team}", found.role),
                pending: None,
                account_id: None,
                entitlement_id: None,
            }),
            "pending" => Ok(Granted {
                read_back: format!("@{login} is invited to {team}"),
                pending: Some(format!(
                    "@{login} must accept the invitation to the organisation {}: see the mail from GitHub, or the page of the \
                     organisation",
                    self.organisation
                )),
                account_id: None,
                entitlement_id: None,
            }),
            other => Err(self
                .hub
                .without_effect(what, &format!("the state `{other}`"))),
        }
    }

    async fn revoke(&self, access: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        let entitlement = self.entitlement(&access.entitlement)?;
        let (slug, team) = (&entitlement.team, self.team(&entitlement.team));
        let Some(login) = self.hub.login_for_taking(&access.account).await? else {
            return Ok(Revoked {
                read_back: format!("the account of @{} no longer exists", access.account.name),
                ..Revoked::default()
            });
        };
        let what = format!("membership of @{login} in {team}");
        // Gone already, or the whole team is: as good.
        self.hub
            .delete(&what, &self.team_route(slug, &["memberships", &login]))
            .await?;
        let Some(left) = self.membership(slug, &login).await? else {
            return Ok(Revoked {
                read_back: format!("@{login} is no member of {team}"),
                ..Revoked::default()
            });
        };
        let still_effective_through = self.inherited_through(slug, &login).await?;
        if still_effective_through.is_empty() {
            return Err(self
                .hub
                .without_effect(what, &format!("the state `{}`", left.state)));
        }
        let read_back = format!("@{login} is a member of {team} through child teams only");
        Ok(Revoked {
            read_back,
            still_effective_through,
            ..Revoked::default()
        })
    }

    async fn has_account(&self, account: &Account) -> Result<Option<bool>, ProviderError> {
        Ok(Some(self.hub.login_for_taking(account).await?.is_some()))
    }

    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        let Entitlement { team: slug, role } = self.entitlement(entitlement)?;
        let team = self.team(&slug);
        let role = if role == TeamRole::Maintainer {
            "maintainer"
        } else {
            "all"
        };
        let members = query(
            &self.team_route(&slug, &["members"]),
            &[("role", role), ("per_page", "100")],
        );
        let members: Vec<Member> = self.hub.all(&format!("team {team}"), &members).await?;
        let invited = query(
            &self.team_route(&slug, &["invitations"]),
            &[("per_page", "100")],
        );
        let what = format!("invitations to {team}");
        let invited: Vec<Invitation> = self.hub.all(&what, &invited).await?;

        let direct = members.into_iter().filter(|member| !member.inherited);
        let active = direct.map(|member| Holder {
            name: member.login,
            id: Some(member.id.to_string()),
            pending: false,
        });
        let pending = invited.into_iter().map(|invitation| Holder {
            name: invitation
                .login
                .or(invitation.email)
                .unwrap_or_else(|| format!("invitation {}", invitation.id)),
            id: None,
            pending: true,
        });
        Ok(active.chain(pending).collect())
    }
}
