//! `scim`: membership of groups at a SCIM 2.0 server (RFC 7643, 7644): Slack, identity providers, and what they provision.
//!
//! Promises:
//! - A name is a label. An account is found by `userName` once, and from then on by its `id`, which a server never gives to another:
//!   a renamed account loses what it was given, and who is created under the old name keeps what is its own. So is a group.
//! - What is not there is so in SCIM's own words, at an address where accounts and groups are: a 404 of anything else takes nothing away.
//! - A member is added and removed one at a time, the removal by a filter of the path; nothing that names the whole list is ever sent.
//! - The removal is sent whatever the group shows: some servers show every group without members.
//! - The group is read back after every change, whatever the server answered: some answer 200 and change nothing.
//! - A list that is shorter or longer than it says is an error, never a shorter list.
//! - Groups within the group, and what the account's own `groups` says, are looked into before a membership is said to be gone.
//!
//! Accepted: a group whose id is not known yet, because giving it has not been settled, and which is renamed, is a group that is gone.
//! `group_id` is not so lost; a resource that names both gets both checked.

mod directory;
pub(super) mod wire;

use async_trait::async_trait;
use serde::Deserialize;

use directory::Directory;
use wire::{Group, MemberKind, Patch, User};

use super::http::{Failure, Http, within};
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, Account, ConnectionName};
use crate::domain::target::{Change, Kind, Names, Order};

/// SCIM 2.0 servers.
pub const KIND: Kind = Kind {
    name: "scim",
    gives: "membership of a group",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Entitlement of a scim connection",
  "type": "object",
  "additionalProperties": false,
  "minProperties": 1,
  "properties": {
    "group": {
      "description": "The group's displayName, exactly as the server spells it. With `group_id`, only checked before something is given",
      "type": "string",
      "minLength": 1,
      "maxLength": 256
    },
    "group_id": {
      "description": "The group's id at the server. It stays when the group is renamed",
      "type": "string",
      "minLength": 1,
      "maxLength": 256,
      "pattern": "^.*[^.].*$"
    }
  }
}"#,
    residual: "Whatever reads the group there decides when it asks again; sessions and tokens that carry the group stay until they end, and SCIM does not tell of them.",
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
}

/// One SCIM server.
#[derive(Debug)]
pub struct Scim {
    connection: ConnectionName,
    directory: Directory,
}

impl Scim {
    /// The server behind `http`, whose token may read users and groups and change groups.
    pub fn new(connection: ConnectionName, http: Http) -> Self {
        let directory = Directory(http);
        Self {
            connection,
            directory,
        }
    }

    fn entitlement(&self, value: &serde_json::Value) -> Result<Entitlement, ProviderError> {
        let read = value.is_object().then(|| Entitlement::deserialize(value));
        match read {
            Some(Ok(found)) if found.group.is_some() || found.group_id.is_some() => Ok(found),
            _ => Err(self.refused(
                "the entitlement must look like { group: <displayName> }, { group_id: <id> } or both",
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
        let (connection, account) = (self.connection.to_string(), account.to_owned());
        ProviderError::UnknownSubject {
            connection,
            account,
            reason: reason.into(),
        }
    }

    fn told(&self, failure: Failure) -> ProviderError {
        failure.told(&self.connection)
    }

    /// The call said yes, and the read-back says no.
    fn without_effect(&self, what: &str, found: impl Into<String>) -> ProviderError {
        self.told(Failure::unavailable(what, found.into()))
    }

    /// Every group that the entitlement may mean; of the one that was given, where its id is known, exactly that one.
    async fn groups(
        &self,
        wanted: &Entitlement,
        given: Option<&String>,
    ) -> Result<Vec<Group>, ProviderError> {
        let found = match (given.or(wanted.group_id.as_ref()), &wanted.group) {
            (Some(id), _) => self.directory.group(id).await.map(Vec::from_iter),
            (None, Some(name)) => self.directory.groups_named(name).await,
            (None, None) => Ok(Vec::new()),
        };
        found.map_err(|failure| self.told(failure))
    }

    /// The one group that it means.
    async fn group(&self, wanted: &Entitlement) -> Result<Group, ProviderError> {
        let mut found = self.groups(wanted, None).await?;
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
        let renamed = wanted
            .group
            .as_ref()
            .is_some_and(|name| *name != group.display_name);
        if renamed {
            return Err(self.refused(format!(
                "the group {shown:?} has another name now; find out what it is for, then correct the resource"
            )));
        }
        Ok(group)
    }

    /// The account of this name.
    async fn named(&self, name: &str) -> Result<Option<User>, ProviderError> {
        let found = self.directory.users_named(name).await;
        let mut found = found.map_err(|failure| self.told(failure))?;
        if let Some(exact) = found.iter().position(|user| user.user_name == name) {
            return Ok(Some(found.swap_remove(exact)));
        }
        if found.len() > 1 {
            let reason =
                "there are several accounts whose names differ in case only; write it exactly";
            return Err(self.unknown(name, reason));
        }
        Ok(found.pop())
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let name = &access.account.name;
        let Some(user) = self.named(name).await? else {
            return Err(self.unknown(
                name,
                "there is no account of this userName; create it, or correct the person's file",
            ));
        };
        if super::differs(access.account.id.as_ref(), &user.id) {
            return Err(self.unknown(name, "the name belongs to another account now"));
        }
        if !user.is_active() {
            return Err(self.unknown(name, "the account is not active; activate it first"));
        }
        let group = self.group(&wanted).await?;
        if super::differs(access.entitlement_id.as_ref(), &group.id) {
            return Err(self.refused(super::another("group", &wanted.shown())));
        }
        let what = format!("adding {name} to the group {}", wanted.shown());
        if !group.has(&user.id) {
            let added = self
                .directory
                .change(&what, &group.id, &Patch::add(&user.id))
                .await;
            added.map_err(|failure| self.told(failure))?;
        }
        self.given(&what, &wanted, &group.id, &user).await
    }

    /// Reads back that the group has the member.
    async fn given(
        &self,
        what: &str,
        wanted: &Entitlement,
        group: &str,
        user: &User,
    ) -> Result<Granted, ProviderError> {
        let told = |failure| self.told(failure);
        let found = self.directory.group(group).await.map_err(told)?;
        if found.as_ref().is_some_and(|found| found.has(&user.id)) {
            return Ok(Granted {
                read_back: format!("{} is a member of {}", user.user_name, wanted.shown()),
                pending: None,
                account_id: Some(user.id.clone()),
                entitlement_id: Some(group.to_owned()),
            });
        }
        if found.is_some_and(|found| found.tells_no_member()) {
            let again = self.directory.user(&user.id).await.map_err(told)?;
            if again.is_some_and(|user| direct(&user, group)) {
                return Err(self.refused(format!(
                    "{what}: the server does not tell who is in a group, so nothing can be read back; the account says that it is"
                )));
            }
        }
        Err(self.without_effect(what, "the read-back shows no such member"))
    }

    async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let name = &access.account.name;
        let (id, user) = match &access.account.id {
            Some(id) => {
                let user = self.directory.user(id).await;
                (id.clone(), user.map_err(|failure| self.told(failure))?)
            }
            None => match self.named(name).await? {
                Some(user) => (user.id.clone(), Some(user)),
                None => return Ok(removed(format!("there is no account {name} any more"))),
            },
        };
        let groups = self.groups(&wanted, access.entitlement_id.as_ref()).await?;
        let mut through = Vec::new();
        for group in &groups {
            through.extend(self.take_from(group, &id, name).await?);
        }
        let shown = wanted.shown();
        let read_back = match (groups.len(), user) {
            (0, _) => format!("there is no group {shown} any more"),
            (_, None) => format!("the account {name} that was in {shown} is gone"),
            (1, Some(user)) => format!("{} is no member of {shown}", user.user_name),
            (n, Some(user)) => format!(
                "{} is a member of none of the {n} groups {shown}",
                user.user_name
            ),
        };
        Ok(Revoked {
            read_back,
            still_effective_through: through,
            ..Revoked::default()
        })
    }

    /// Takes a member out of a group, and tells by what other ways it is still in.
    async fn take_from(
        &self,
        group: &Group,
        id: &str,
        name: &str,
    ) -> Result<Vec<String>, ProviderError> {
        let told = |failure| self.told(failure);
        let what = format!("removing {name} from the group {}", group.display_name);
        let listed = group.has(id);
        match self
            .directory
            .change(&what, &group.id, &Patch::remove(id))
            .await
        {
            Ok(()) | Err(Failure::NotFound { .. }) => {}
            // Who is not listed may be no member, and a server may say so.
            Err(Failure::Declined { .. }) if !listed => {}
            Err(failure) => return Err(told(failure)),
        }
        let Some(left) = self.directory.group(&group.id).await.map_err(told)? else {
            return Ok(Vec::new());
        };
        if left.has(id) {
            return Err(self.without_effect(&what, "the read-back shows the member still"));
        }
        let inner = self.directory.within(&left, id).await.map_err(told)?;
        let nested = |group: Group| {
            format!(
                "membership of the nested group {:?} ({})",
                group.display_name, group.id
            )
        };
        let mut through: Vec<String> = inner.into_iter().map(nested).collect();
        let user = self.directory.user(id).await.map_err(told)?;
        if let Some(user) = user.filter(|_| through.is_empty()) {
            if left.tells_no_member() && direct(&user, &left.id) {
                return Err(
                    self.without_effect(&what, "the account says that it is a member still")
                );
            }
            if groups_of(&user).any(|of| of.value == left.id) {
                through.push(
                    "another membership: the account's own `groups` has the group still".to_owned(),
                );
            }
        }
        Ok(through)
    }

    async fn list(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        let group = self.group(&self.entitlement(entitlement)?).await?;
        let accounts = group
            .members()
            .filter(|m| m.member_kind() != MemberKind::Group);
        let ids = accounts.map(|member| member.value.clone()).collect();
        let names = self.directory.names(ids).await;
        let names = names.map_err(|failure| self.told(failure))?;
        Ok(names
            .into_iter()
            .map(|(id, name)| Holder {
                name,
                id: Some(id),
                pending: false,
            })
            .collect())
    }
}

fn removed(read_back: String) -> Revoked {
    Revoked {
        read_back,
        ..Revoked::default()
    }
}

fn groups_of(user: &User) -> impl Iterator<Item = &wire::Reference> {
    user.groups.iter().flatten()
}

/// Whether the account itself says that it is a direct member.
fn direct(user: &User, group: &str) -> bool {
    groups_of(user).any(|of| of.value == group && !of.is_indirect())
}

#[async_trait]
impl Provider for Scim {
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
            .map(|e| e.shown())
            .unwrap_or_default();
        let verb = match change {
            Change::Grant => "add to",
            Change::Revoke => "remove from",
        };
        let account = &access.account.name;
        vec![format!(
            "PATCH /Groups/<id of {shown:?}>: {verb} members the id of {account:?}"
        )]
    }

    async fn has_account(&self, account: &Account) -> Result<Option<bool>, ProviderError> {
        Ok(Some(self.named(&account.name).await?.is_some()))
    }

    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        within(&self.connection, self.list(entitlement)).await
    }
}
