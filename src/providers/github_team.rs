//! `github-team`: membership of a GitHub team.
//!
//! Promises:
//! - Logins and slugs are labels: see `github.rs`. The team is found once, by its slug when something is given and by its number when it
//!   is taken, and spoken of by its number after that.
//! - Somebody outside the organisation is invited. That is `pending`, not membership; the end of the grant takes the invitation to
//!   the team back.
//! - GitHub keeps one place for a person in a team. One that somebody has there already is never changed into one of another role, nor
//!   taken away as if it had been: a request for the other role waits until the present place ends. Whose a place of the same role is,
//!   this file does not ask: who has one by hand is found by `holders`, and is not taken over (the loop says `blocked`).
//! - Owners of the organisation are maintainers wherever they have a place, whatever was asked for, so that nobody could tell theirs from
//!   one of another role: they are given `maintainer` only, and are listed as that.
//! - A team that GitHub does not show is gone only where the whole list of the organisation's teams does not name it either.
//!
//! Accepted race: GitHub adds and removes members by login only. An account that is renamed between our two calls is seen after them,
//! and what is to be taken is tried again; whoever took the login within that moment has gained or lost a place in the team.

mod here;
mod wire;

use async_trait::async_trait;
use serde::Deserialize;

use here::Here;
use wire::{Entitlement, Invitation, Member, Membership, MembershipRequest, TeamRole};

use super::github::Hub;
use super::turns::Turns;
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
    turns: Turns,
}

impl GithubTeam {
    /// The teams of `organisation`, changed through `api`, which needs the permission `members: write` there.
    pub fn new(connection: ConnectionName, organisation: Login, api: Installation) -> Self {
        Self {
            organisation,
            hub: Hub::new(connection, api),
            turns: Turns::default(),
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

    async fn put(&self, here: &Here, login: &str, role: TeamRole) -> Result<(), ProviderError> {
        let team = &here.shown;
        let what = format!("membership of @{login} in {team}");
        let route = here.route(&["memberships", login]);
        let request = MembershipRequest { role };
        let missing = || format!("there is no team {team} that the App can see");
        let put = self.hub.put::<Membership>(&what, &route, &request, missing);
        put.await.map(drop)
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let Entitlement { team: slug, role } = self.entitlement(&access.entitlement)?;
        let login = self.hub.login_for_giving(&access.account).await?;
        let known = access.entitlement_id.as_deref();
        let here = self.for_giving(&slug, known).await?;
        let number = self.hub.number(&access.account)?;
        let _turn = self.turns.of(&here.place(number)).await;
        self.has_no_other_place(&here, (number, &login), role)
            .await?;
        self.put(&here, &login, role).await?;

        let team = &here.shown;
        let what = format!("membership of @{login} in {team}");
        let Some(found) = self.membership(&here, &login).await? else {
            return Err(self.hub.without_effect(what, "none"));
        };
        self.hub.still_has(&access.account, &login).await?;
        // A maintainer has all that a member has.
        if role == TeamRole::Maintainer && found.role != role.name() {
            let found = format!("the role `{}`", found.role);
            return Err(self.hub.without_effect(what, &found));
        }
        let (read_back, pending) = match found.state.as_str() {
            "active" => (format!("@{login} is a {} of {team}", found.role), None),
            "pending" => (
                format!("@{login} is invited to {team}"),
                Some(format!(
                    "@{login} must accept the invitation to the organisation {}: see the mail from GitHub, or the page of the \
                     organisation",
                    self.organisation
                )),
            ),
            other => {
                let found = format!("the state `{other}`");
                return Err(self.hub.without_effect(what, &found));
            }
        };
        Ok(Granted {
            read_back,
            pending,
            account_id: Some(number.to_string()),
            entitlement_id: Some(here.id()),
        })
    }

    /// Giving `role` would change a place of another role that the account has here, and the end would take that away too.
    async fn has_no_other_place(
        &self,
        here: &Here,
        (number, login): (u64, &str),
        role: TeamRole,
    ) -> Result<(), ProviderError> {
        if role == TeamRole::Member && self.is_owner(login).await? {
            return Err(self.hub.refused(format!(
                "@{login} owns the organisation {}, and GitHub makes its owners maintainers of every team: ask for the role `maintainer`",
                self.organisation
            )));
        }
        match self.other_role(here, (number, login), role).await? {
            None => Ok(()),
            Some(other) => Err(self.hub.refused(format!(
                "@{login} is a {other} of {} already, and GitHub keeps one place for each person; it is given once that one has ended",
                here.shown
            ))),
        }
    }

    async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let Entitlement { team: slug, role } = self.entitlement(&access.entitlement)?;
        let (account, known) = (&access.account, access.entitlement_id.as_deref());
        let number = self.hub.number(account)?;
        let Some(here) = self.for_taking(&slug, known).await? else {
            let team = self.team(&slug);
            return Ok(taken(format!("there is no team {team} any more")));
        };
        let _turn = self.turns.of(&here.place(number)).await;
        let Some(login) = self.login(&here, account, number).await? else {
            return self.take_from_nobody(&here, account).await;
        };
        // Of what was perhaps never given, a place of another role is not ours.
        if known.is_none()
            && let Some(other) = self.other_role(&here, (number, &login), role).await?
        {
            return Ok(not_ours(&here, &login, role, &other));
        }
        let team = &here.shown;
        let what = format!("membership of @{login} in {team}");
        let route = here.route(&["memberships", &login]);
        self.hub.delete(&what, &route).await?;
        let Some(left) = self.membership(&here, &login).await? else {
            self.hub.still_has(account, &login).await?;
            return Ok(taken(format!("@{login} is no member of {team}")));
        };
        let still_effective_through = self.inherited_through(&here, &login).await?;
        if still_effective_through.is_empty() {
            let found = format!("the state `{}`", left.state);
            return Err(self.hub.without_effect(what, &found));
        }
        Ok(Revoked {
            read_back: format!("@{login} is a member of {team} through child teams only"),
            still_effective_through,
            ..Revoked::default()
        })
    }

    /// The account is gone, or hidden and no member. What could be left is an invitation, and those are known by login only.
    async fn take_from_nobody(
        &self,
        here: &Here,
        account: &Account,
    ) -> Result<Revoked, ProviderError> {
        let (team, name) = (&here.shown, &account.name);
        let invited = self
            .invitations(team, &here.route(&["invitations"]))
            .await?;
        let theirs = |one: &&Invitation| {
            let login = one.login.as_ref();
            login.is_some_and(|login| login.eq_ignore_ascii_case(name))
        };
        let left = invited.iter().filter(theirs);
        let left = left.map(|_| format!("the invitation of @{name} to {team}"));
        Ok(Revoked {
            read_back: format!(
                "the account of @{name} no longer exists, or is hidden, and is no member of {team}"
            ),
            still_effective_through: left.collect(),
            ..Revoked::default()
        })
    }

    async fn invitations(&self, team: &str, route: &str) -> Result<Vec<Invitation>, ProviderError> {
        let what = format!("invitations to {team}");
        let route = query(route, &[("per_page", "100")]);
        self.hub.all(&what, &route).await
    }

    /// Those that are to `role`, or of which that cannot be told: an invitation itself does not say.
    async fn invited_as(
        &self,
        role: TeamRole,
        slug: &str,
        invited: Vec<Invitation>,
    ) -> Result<Vec<Invitation>, ProviderError> {
        let mut found = Vec::new();
        for invitation in invited {
            let place: Option<Membership> = match &invitation.login {
                Some(login) => {
                    let what = format!("membership of @{login} in {}", self.team(slug));
                    let route = self.team_route(slug, &["memberships", login]);
                    self.hub.find(&what, &route).await?
                }
                None => None,
            };
            if place.is_none_or(|place| place.role == role.name()) {
                found.push(invitation);
            }
        }
        Ok(found)
    }
}

fn taken(read_back: String) -> Revoked {
    Revoked {
        read_back,
        ..Revoked::default()
    }
}

/// A place of another role stays as it is; that of a maintainer allows all that `member` does.
fn not_ours(here: &Here, login: &str, role: TeamRole, other: &str) -> Revoked {
    let team = &here.shown;
    let allows_as_much = role == TeamRole::Member;
    let way = format!("the place as {other} in {team}, which is not by this grant");
    Revoked {
        read_back: format!("@{login} is a {other} of {team}, and not by this grant"),
        still_effective_through: allows_as_much.then_some(way).into_iter().collect(),
        ..Revoked::default()
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
        let known = access.entitlement_id.clone();
        let number = known.unwrap_or_else(|| format!("<id of {}>", self.team(slug)));
        let (org, login) = (&self.organisation, path(&[&access.account.name]));
        vec![format!(
            "{verb} /organizations/<id of {org}>/team/{number}/memberships{login}"
        )]
    }

    async fn grant(&self, approved: &Approved, _: &Order) -> Result<Granted, ProviderError> {
        self.give(approved.access()).await
    }

    async fn revoke(&self, access: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        self.take(access).await
    }

    async fn has_account(&self, account: &Account) -> Result<Option<bool>, ProviderError> {
        Ok(Some(self.hub.login_for_taking(account).await?.is_some()))
    }

    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        let Entitlement { team: slug, role } = self.entitlement(entitlement)?;
        let team = self.team(&slug);
        let members = query(
            &self.team_route(&slug, &["members"]),
            &[("role", role.name()), ("per_page", "100")],
        );
        let members: Vec<Member> = self.hub.all(&format!("team {team}"), &members).await?;
        let invited = self.team_route(&slug, &["invitations"]);
        let invited = self.invitations(&team, &invited).await?;
        let invited = self.invited_as(role, &slug, invited).await?;

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
