//! `aws-iam`: membership of IAM groups, for accounts that have IAM users still.
//!
//! Promises:
//! - A user's name is a label. What was given is taken from the user of the `UserId` that was recorded, whatever it is called now; a user that
//!   was created anew under the old name keeps what is its own.
//! - So is a group's name: what was given is taken from the group of the `GroupId` that was recorded, whatever it is called now, and that
//!   there is none is only said of the AWS account in which it was given.
//! - The group is read back to its last page after every change.
//! - The user that our own keys belong to is never taken out of a group, nor put into one.
//! - What only taking away needs to ask is asked before something is given.

mod directory;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use directory::{Caller, Directory, Found, Group, User};

use super::aws::{Keys, Service};
use super::http::{Failure, Http, within};
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, Account, ConnectionName, Instant};
use crate::domain::target::{Change, Kind, Names, Order};

/// IAM of one AWS account.
pub const KIND: Kind = Kind {
    name: "aws-iam",
    gives: "membership of an IAM group",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Entitlement of an aws-iam connection",
  "type": "object",
  "additionalProperties": false,
  "required": ["group"],
  "properties": {
    "group": {
      "description": "The group's name, without its path",
      "type": "string",
      "minLength": 1,
      "maxLength": 128,
      "pattern": "^[A-Za-z0-9+=,.@_-]+$"
    }
  }
}"#,
    residual: "IAM tells all its regions within seconds; sessions that a role was assumed for meanwhile last until they end, at most 12 hours.",
    native_expiry: None,
    names: Names::CaseInsensitive,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entitlement {
    group: String,
}

/// IAM of one AWS account.
#[derive(Debug)]
pub struct AwsIam {
    connection: ConnectionName,
    directory: Directory,
}

impl AwsIam {
    /// IAM behind `iam`, with STS, which tells whose `keys` these are, behind `sts`.
    pub fn new(connection: ConnectionName, iam: Http, sts: Http, keys: Keys) -> Self {
        // IAM is one for all regions, and is signed for in that of the partition.
        let mut everywhere = keys.clone();
        everywhere.region = partition_region(&keys.region).to_owned();
        let iam = Service::new(iam, everywhere, "iam");
        let sts = Service::new(sts, keys, "sts");
        Self {
            connection,
            directory: Directory::new(iam, sts),
        }
    }

    fn entitlement(&self, value: &Value) -> Result<Entitlement, ProviderError> {
        let read = value.is_object().then(|| Entitlement::deserialize(value));
        let plain = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
        match read {
            Some(Ok(found)) if !found.group.is_empty() && found.group.chars().all(plain) => {
                Ok(found)
            }
            _ => {
                Err(self
                    .refused("the entitlement must look like { group: <name of an IAM group> }"))
            }
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

    /// Whose keys ours are.
    async fn caller(&self) -> Result<&Caller, ProviderError> {
        let caller = self.directory.caller().await;
        caller.map_err(|failure| self.told(failure))
    }

    /// The group of this name, with everybody in it; `None` where there is none.
    async fn named(&self, group: &str) -> Result<Option<Found>, ProviderError> {
        let found = self.directory.members(group).await;
        found.map_err(|failure| self.told(failure))
    }

    /// The group that was given, as [`given`] tells it; `None` where the AWS account in which it was given has none of that id.
    async fn held(&self, name: &str, given: &str) -> Result<Option<Found>, ProviderError> {
        let (account, id) = given.split_once('/').unwrap_or(("", given));
        let found = self.directory.find(name, id).await;
        if let Some(found) = found.map_err(|failure| self.told(failure))? {
            return Ok(Some(found));
        }
        let ours = &self.caller().await?.account;
        if account != ours {
            return Err(self.refused(format!(
                "the group {name} was given as {given}, in another AWS account than {ours}, to which the connection's keys belong; give it keys of that one"
            )));
        }
        Ok(None)
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let Entitlement { group } = self.entitlement(&access.entitlement)?;
        let name = &access.account.name;
        let user = self.receiver(&access.account).await?;
        let what = format!("adding {name} to the group {group}");
        self.spare_ourselves(&what, &user).await?;
        let able = self.directory.can_list().await;
        able.map_err(|failure| self.told(failure))?;
        let before = self.named(&group).await?;
        let Found { group: before, .. } = before.ok_or_else(|| self.no_group(&group))?;
        let id = given(self.caller().await?, &before);
        if super::differs(access.entitlement_id.as_ref(), &id) {
            return Err(self.refused(super::another("group", &group)));
        }
        let added = self
            .directory
            .change(&what, "AddUserToGroup", &group, &user.user_name);
        match added.await {
            Ok(()) => {}
            Err(Failure::NotFound { .. }) => return Err(self.no_group(&group)),
            Err(failure) => return Err(self.told(failure)),
        }
        let after = self.named(&group).await?;
        if !after.is_some_and(|after| after.group.group_id == before.group_id && after.has(&user)) {
            let why = "the read-back shows no such member";
            return Err(self.told(Failure::unavailable(&what, why)));
        }
        Ok(Granted {
            read_back: format!("{} is a member of {group}", user.user_name),
            pending: None,
            account_id: Some(user.user_id),
            entitlement_id: Some(id),
        })
    }

    /// The user that is to have it.
    async fn receiver(&self, account: &Account) -> Result<User, ProviderError> {
        let name = &account.name;
        let found = self.directory.user(name).await;
        match found.map_err(|failure| self.told(failure))? {
            Some(user) if super::differs(account.id.as_ref(), &user.user_id) => {
                Err(self.unknown(name, "the name belongs to another user now"))
            }
            Some(user) => Ok(user),
            None => {
                let reason =
                    "there is no IAM user of this name; create it, or correct the person's file";
                Err(self.unknown(name, reason))
            }
        }
    }

    /// The last sign-in with its password or call with one of its keys.
    async fn used(&self, account: &Account) -> Result<Option<Instant>, ProviderError> {
        let found = self.directory.user(&account.name).await;
        let found = found.map_err(|failure| self.told(failure))?;
        let same = |user: &User| !super::differs(account.id.as_ref(), &user.user_id);
        let Some(user) = found.filter(same) else {
            return Ok(None);
        };
        let keys = self.directory.keys_last_used(&user.user_name).await;
        let keys = keys.map_err(|failure| self.told(failure))?;
        Ok(user.password_last_used().max(keys))
    }

    fn no_group(&self, group: &str) -> ProviderError {
        self.refused(format!(
            "there is no IAM group {group:?}; create it, or correct the resource"
        ))
    }

    async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let Entitlement { group } = self.entitlement(&access.entitlement)?;
        let name = &access.account.name;
        let gone = |read_back: String| Revoked {
            read_back,
            ..Revoked::default()
        };
        let found = match &access.entitlement_id {
            Some(given) => self.held(&group, given).await?,
            None => self.named(&group).await?,
        };
        let Some(Found {
            group: from,
            members,
        }) = found
        else {
            return Ok(gone(format!("there is no group {group} any more")));
        };
        let group = &from.group_name;
        let is_meant = |user: &User| match &access.account.id {
            Some(id) => user.user_id == *id,
            None => user.user_name.eq_ignore_ascii_case(name),
        };
        let Some(user) = members.into_iter().find(is_meant) else {
            return Ok(gone(format!("{name} is no member of {group}")));
        };
        let what = format!("removing {} from the group {group}", user.user_name);
        self.spare_ourselves(&what, &user).await?;
        let taken = self
            .directory
            .change(&what, "RemoveUserFromGroup", group, &user.user_name);
        match taken.await {
            Ok(()) | Err(Failure::NotFound { .. }) => {}
            Err(failure) => return Err(self.told(failure)),
        }
        let left = self.directory.find(group, &from.group_id).await;
        let left = left.map_err(|failure| self.told(failure))?;
        if left.is_some_and(|left| left.has(&user)) {
            let why = "the read-back shows the member still";
            return Err(self.told(Failure::unavailable(&what, why)));
        }
        Ok(gone(format!("{} is no member of {group}", user.user_name)))
    }

    /// Nobody may take away by a pull request what Hallpass itself works with; nor is anything given to it that could not be taken.
    async fn spare_ourselves(&self, what: &str, user: &User) -> Result<(), ProviderError> {
        if self.caller().await?.user_id == user.user_id {
            return Err(self.refused(format!(
                "{what}: {} is the user that Hallpass' own keys belong to; do it by hand if that is meant",
                user.arn
            )));
        }
        Ok(())
    }

    async fn list(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        let Entitlement { group } = self.entitlement(entitlement)?;
        let found = self.named(&group).await?;
        let Found { members, .. } = found.ok_or_else(|| self.no_group(&group))?;
        let holder = |user: User| Holder {
            name: user.user_name,
            id: Some(user.user_id),
            pending: false,
        };
        Ok(members.into_iter().map(holder).collect())
    }
}

/// What is recorded of a group that was given: ids of groups say nothing of the AWS account that they are of.
fn given(caller: &Caller, group: &Group) -> String {
    format!("{}/{}", caller.account, group.group_id)
}

/// The host of the IAM of a region's partition.
pub fn host(region: &str) -> String {
    match partition_region(region) {
        "cn-north-1" => "iam.cn-north-1.amazonaws.com.cn".to_owned(),
        "us-gov-west-1" => "iam.us-gov.amazonaws.com".to_owned(),
        _ => "iam.amazonaws.com".to_owned(),
    }
}

/// Where a partition's IAM is signed for.
fn partition_region(region: &str) -> &str {
    match region.split('-').collect::<Vec<_>>().as_slice() {
        ["cn", ..] => "cn-north-1",
        ["us", "gov", ..] => "us-gov-west-1",
        _ => "us-east-1",
    }
}

#[async_trait]
impl Provider for AwsIam {
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
        let action = match change {
            Change::Grant => "AddUserToGroup",
            Change::Revoke => "RemoveUserFromGroup",
        };
        let group = access.entitlement["group"].as_str().unwrap_or_default();
        vec![format!(
            "{action} GroupName={group} UserName={}",
            access.account.name
        )]
    }

    async fn last_used(&self, account: &Account) -> Result<Option<Instant>, ProviderError> {
        within(&self.connection, self.used(account)).await
    }

    async fn holders(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        within(&self.connection, self.list(entitlement)).await
    }
}
