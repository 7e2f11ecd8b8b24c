//! `okta`: membership of groups by Okta's own API, where SCIM is not offered.
//!
//! Promises:
//! - A login is a label. An account is found by its login once, and from then on by its id: a renamed account loses what it was given, and
//!   who is created under the old login keeps what is its own. So is a group by its name.
//! - What is not there is so in Okta's own words, at an address where accounts and groups are: a 404 of anything else takes nothing away.
//! - What an account has is read from its own list of groups after every change, whatever Okta answered.
//! - Only groups of Okta's own are changed. A membership that comes from an application or from everybody's group is named.
//! - Our own account is never taken out of a group.
//!
//! Accepted: a group whose id is not known yet, because giving it has not been settled, and which is renamed, is a group that is gone.
//! `group_id` is not so lost; a resource that names both gets both checked.

mod directory;

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use directory::{Directory, Group, User};

use super::http::{Failure, Http, within};
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, Account, ConnectionName, Instant};
use crate::domain::target::{Change, Kind, Names, Order};

/// Okta organisations.
pub const KIND: Kind = Kind {
    name: "okta",
    gives: "membership of a group",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Entitlement of an okta connection",
  "type": "object",
  "additionalProperties": false,
  "minProperties": 1,
  "properties": {
    "group": {
      "description": "The group's name, exactly. With `group_id`, only checked before something is given",
      "type": "string",
      "minLength": 1,
      "maxLength": 255
    },
    "group_id": {
      "description": "The group's id: 00g and 17 letters and digits. It stays when the group is renamed",
      "type": "string",
      "minLength": 1,
      "maxLength": 64,
      "pattern": "^[A-Za-z0-9_-]+$"
    }
  }
}"#,
    residual: "Okta decides by the group at the next sign-in to an application; sessions that an application has opened, and tokens, stay until they end.",
    native_expiry: None,
    names: Names::CaseInsensitive,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entitlement {
    group: Option<String>,
    group_id: Option<String>,
}

impl Entitlement {
    /// How people find it.
    fn shown(&self) -> String {
        match (&self.group, &self.group_id) {
            (Some(name), Some(id)) => format!("{name} ({id})"),
            (Some(name), None) => name.clone(),
            (None, id) => id.clone().unwrap_or_default(),
        }
    }

    /// Whether this is the group that is meant.
    fn is(&self, group: &Group) -> bool {
        match (&self.group_id, &self.group) {
            (Some(id), _) => group.id == *id,
            (None, Some(name)) => group.profile.name == *name,
            (None, None) => false,
        }
    }
}

/// One Okta organisation.
#[derive(Debug)]
pub struct Okta {
    connection: ConnectionName,
    directory: Directory,
}

impl Okta {
    /// The organisation behind `http`, whose token may read users and groups and change the members of groups.
    pub fn new(connection: ConnectionName, http: Http) -> Self {
        let directory = Directory(http);
        Self {
            connection,
            directory,
        }
    }

    fn entitlement(&self, value: &Value) -> Result<Entitlement, ProviderError> {
        let shape = |text: &Option<String>| text.as_ref().is_none_or(|text| !text.is_empty());
        let read = value.is_object().then(|| Entitlement::deserialize(value));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        match read {
            Some(Ok(found))
                if (found.group.is_some() || found.group_id.is_some())
                    && shape(&found.group)
                    && shape(&found.group_id)
                    && found.group_id.iter().all(|id| id.chars().all(plain)) =>
            {
                Ok(found)
            }
            _ => Err(self.refused(
                "the entitlement must look like { group: <name> }, { group_id: <id> } or both",
            )),
        }
    }

    fn refused(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::Refused {
            connection: self.connection.to_string(),
            reason: reason.into(),
        }
    }

    fn unknown(&self, account: &str, reason: impl Into<String>) -> ProviderError {
        ProviderError::UnknownSubject {
            connection: self.connection.to_string(),
            account: account.to_owned(),
            reason: reason.into(),
        }
    }

    fn told(&self, failure: Failure) -> ProviderError {
        failure.told(&self.connection)
    }

    /// The account of this login.
    async fn named(&self, login: &str) -> Result<Option<User>, ProviderError> {
        let found = self.directory.users_named(login).await;
        let mut found = found.map_err(|failure| self.told(failure))?;
        if let Some(exact) = found.iter().position(|user| user.profile.login == login) {
            return Ok(Some(found.swap_remove(exact)));
        }
        if found.len() > 1 {
            let reason =
                "there are several accounts whose logins differ in case only; write it exactly";
            return Err(self.unknown(login, reason));
        }
        Ok(found.pop())
    }

    /// The one group that is meant.
    async fn group(&self, wanted: &Entitlement) -> Result<Group, ProviderError> {
        let found = match (&wanted.group_id, &wanted.group) {
            (Some(id), _) => self.directory.group(id).await.map(Vec::from_iter),
            (None, Some(name)) => self.directory.groups_named(name).await,
            (None, None) => Ok(Vec::new()),
        };
        let mut found = found.map_err(|failure| self.told(failure))?;
        let shown = wanted.shown();
        let Some(group) = found.pop() else {
            return Err(self.refused(format!(
                "there is no group {shown:?}; create it, or correct the resource"
            )));
        };
        if !found.is_empty() {
            return Err(self.refused(format!(
                "there is more than one group {shown:?}; write the group_id of the one that is meant"
            )));
        }
        if wanted
            .group
            .as_ref()
            .is_some_and(|name| *name != group.profile.name)
        {
            return Err(self.refused(format!(
                "the group {shown:?} has another name now; find out what it is for, then correct the resource"
            )));
        }
        Ok(group)
    }

    /// The account that is to have it.
    async fn receiver(&self, account: &Account) -> Result<User, ProviderError> {
        let name = &account.name;
        let Some(user) = self.named(name).await? else {
            return Err(self.unknown(
                name,
                "there is no account of this login; create it, or correct the person's file",
            ));
        };
        if super::differs(account.id.as_ref(), &user.id) {
            return Err(self.unknown(name, "the login belongs to another account now"));
        }
        if !user.is_active() {
            let reason = format!("the account is {}; activate it first", user.status);
            return Err(self.unknown(name, reason));
        }
        Ok(user)
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let name = &access.account.name;
        let user = self.receiver(&access.account).await?;
        let group = self.group(&wanted).await?;
        if super::differs(access.entitlement_id.as_ref(), &group.id) {
            return Err(self.refused(super::another("group", &wanted.shown())));
        }
        if !group.is_okta_s() {
            return Err(self.refused(format!(
                "the members of {:?} come from elsewhere ({}); name a group of Okta's own",
                wanted.shown(),
                group.kind
            )));
        }
        let what = format!("adding {name} to the group {}", wanted.shown());
        let added = self
            .directory
            .change(&what, Method::PUT, &group.id, &user.id)
            .await;
        added.map_err(|failure| self.told(failure))?;
        let has = self.directory.groups_of(&user.id).await;
        let has = has.map_err(|failure| self.told(failure))?;
        if !has.iter().flatten().any(|found| found.id == group.id) {
            let why = "the read-back shows no such membership";
            return Err(self.told(Failure::unavailable(&what, why)));
        }
        Ok(Granted {
            read_back: format!("{} is a member of {}", user.profile.login, wanted.shown()),
            pending: None,
            account_id: Some(user.id),
            entitlement_id: Some(group.id),
        })
    }

    async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let (name, shown) = (&access.account.name, wanted.shown());
        let told = |failure| self.told(failure);
        let user = match &access.account.id {
            Some(id) => self.directory.user(id).await.map_err(told)?,
            None => self.named(name).await?,
        };
        let gone = format!("there is no account {name} any more");
        let Some(user) = user else {
            return Ok(removed(gone));
        };
        let Some(groups) = self.directory.groups_of(&user.id).await.map_err(told)? else {
            return Ok(removed(gone));
        };
        let is_meant = |group: &Group| match &access.entitlement_id {
            Some(id) => group.id == *id,
            None => wanted.is(group),
        };
        let meant: Vec<Group> = groups.into_iter().filter(is_meant).collect();
        let what = format!("removing {name} from the group {shown}");
        if !meant.is_empty() {
            self.spare_ourselves(&what, &user).await?;
        }
        for group in meant.iter().filter(|group| group.is_okta_s()) {
            let taken = self
                .directory
                .change(&what, Method::DELETE, &group.id, &user.id);
            match taken.await {
                Ok(()) | Err(Failure::NotFound { .. }) => {}
                Err(failure) => return Err(told(failure)),
            }
        }
        let left = self.directory.groups_of(&user.id).await.map_err(told)?;
        let left: Vec<Group> = left.into_iter().flatten().filter(is_meant).collect();
        if left.iter().any(Group::is_okta_s) {
            let why = "the read-back shows the membership still";
            return Err(self.told(Failure::unavailable(&what, why)));
        }
        let from = |group: Group| {
            format!(
                "the group {:?}, whose members come from elsewhere ({})",
                group.profile.name, group.kind
            )
        };
        Ok(Revoked {
            read_back: format!("{} is no member of {shown}", user.profile.login),
            still_effective_through: left.into_iter().map(from).collect(),
            ..Revoked::default()
        })
    }

    /// Nobody may take away by a pull request what Hallpass itself works with.
    async fn spare_ourselves(&self, what: &str, user: &User) -> Result<(), ProviderError> {
        let own = match self.directory.own().await {
            Ok(own) => own,
            Err(failure @ Failure::Unavailable { .. }) => return Err(self.told(failure)),
            // A token that belongs to nobody is not told whose it is; what is due is taken all the same.
            Err(_) => None,
        };
        if own.is_some_and(|own| own.id == user.id) {
            return Err(self.refused(format!(
                "{what}: it is the account that Hallpass' own token belongs to; take it out by hand if that is meant"
            )));
        }
        Ok(())
    }

    /// The last sign-in to Okta.
    async fn used(&self, account: &Account) -> Result<Option<Instant>, ProviderError> {
        let found = match &account.id {
            Some(id) => {
                let found = self.directory.user(id).await;
                found.map_err(|failure| self.told(failure))?
            }
            None => self.named(&account.name).await?,
        };
        Ok(found.and_then(|user| user.last_login))
    }

    async fn list(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        let group = self.group(&self.entitlement(entitlement)?).await?;
        let members = self.directory.members(&group.id).await;
        let members = members.map_err(|failure| self.told(failure))?;
        // A group that went after it was found has no members that anybody could name.
        let members = members.ok_or_else(|| {
            let why = "the group is gone meanwhile";
            self.told(Failure::unavailable("listing the group's members", why))
        })?;
        let holder = |user: User| Holder {
            name: user.profile.login,
            id: Some(user.id),
            pending: false,
        };
        Ok(members.into_iter().map(holder).collect())
    }
}

fn removed(read_back: String) -> Revoked {
    Revoked {
        read_back,
        ..Revoked::default()
    }
}

#[async_trait]
impl Provider for Okta {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    async fn grant(&self, approved: &Approved, _: &Order) -> Result<Granted, ProviderError> {
        within(&self.connection, self.give(approved.access())).await
    }

    async fn revoke(&self, access: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        within(&self.connection, self.take(access)).await
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        let shown = self
            .entitlement(&access.entitlement)
            .map(|wanted| wanted.shown())
            .unwrap_or_default();
        let method = match change {
            Change::Grant => "PUT",
            Change::Revoke => "DELETE",
        };
        let account = &access.account.name;
        vec![format!(
            "{method} /api/v1/groups/<id of {shown:?}>/users/<id of {account:?}>"
        )]
    }

    async fn last_used(&self, account: &Account) -> Result<Option<Instant>, ProviderError> {
        within(&self.connection, self.used(account)).await
    }

    async fn holders(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        within(&self.connection, self.list(entitlement)).await
    }
}
