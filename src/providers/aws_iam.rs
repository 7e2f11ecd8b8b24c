//! `aws-iam`: membership of IAM groups, for accounts that have IAM users still.
//!
//! Promises:
//! - A user's name is a label. What was given is taken from the user of the `UserId` that was recorded, whatever it is called now; a user that
//!   was created anew under the old name keeps what is its own.
//! - The group is read back to its last page after every change.
//! - The user that our own keys belong to is never taken out of a group.

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::aws::{Keys, Service};
use super::http::{Failure, Http, within};
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, ConnectionName};
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

/// The most pages that one list may have.
const PAGES: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entitlement {
    group: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct User {
    user_name: String,
    user_id: String,
    arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetUser {
    get_user_result: GetUserResult,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetUserResult {
    user: User,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetGroup {
    get_group_result: GetGroupResult,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetGroupResult {
    #[serde(default)]
    users: Users,
    #[serde(default)]
    is_truncated: bool,
    marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Users {
    #[serde(default)]
    member: Vec<User>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetCallerIdentity {
    get_caller_identity_result: Caller,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Caller {
    user_id: String,
}

/// IAM of one AWS account.
#[derive(Debug)]
pub struct AwsIam {
    connection: ConnectionName,
    iam: Service,
    sts: Service,
    /// Whose keys ours are: asked once.
    own: OnceCell<String>,
}

impl AwsIam {
    /// IAM behind `iam`, with STS, which tells whose `keys` these are, behind `sts`.
    pub fn new(connection: ConnectionName, iam: Http, sts: Http, keys: Keys) -> Self {
        // IAM is one for all regions, and is signed for in that of the partition.
        let mut everywhere = keys.clone();
        everywhere.region = partition_region(&keys.region).to_owned();
        Self {
            connection,
            iam: Service::new(iam, everywhere, "iam"),
            sts: Service::new(sts, keys, "sts"),
            own: OnceCell::new(),
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

    async fn user(&self, name: &str) -> Result<Option<User>, ProviderError> {
        let what = format!("looking up the user {name}");
        let fields = [("Action", "GetUser"), VERSION, ("UserName", name)];
        match self.iam.form::<GetUser>(&what, &fields).await {
            Ok(found) => Ok(Some(found.get_user_result.user)),
            // A name that no user can have is refused by its form.
            Err(Failure::NotFound { .. } | Failure::Declined { .. }) => Ok(None),
            Err(failure) => Err(self.told(failure)),
        }
    }

    /// Everybody in a group; `None` where there is no such group.
    async fn members(&self, group: &str) -> Result<Option<Vec<User>>, ProviderError> {
        let what = format!("listing the members of the group {group}");
        let (mut all, mut marker) = (Vec::new(), None::<String>);
        for page in 0..PAGES {
            let mut fields = vec![("Action", "GetGroup"), VERSION, ("GroupName", group)];
            fields.extend(marker.as_deref().map(|marker| ("Marker", marker)));
            let found = match self.iam.form::<GetGroup>(&what, &fields).await {
                Ok(found) => found.get_group_result,
                Err(Failure::NotFound { .. }) if page == 0 => return Ok(None),
                Err(failure) => return Err(self.told(failure)),
            };
            all.extend(found.users.member);
            marker = match (found.is_truncated, found.marker) {
                (false, _) => return Ok(Some(all)),
                (true, Some(marker)) => Some(marker),
                (true, None) => break,
            };
        }
        Err(self.told(Failure::unreadable(&what, "the list does not end")))
    }

    async fn change(
        &self,
        what: &str,
        action: &str,
        group: &str,
        user: &str,
    ) -> Result<(), Failure> {
        let fields = [
            ("Action", action),
            VERSION,
            ("GroupName", group),
            ("UserName", user),
        ];
        self.iam.form::<IgnoredAny>(what, &fields).await.map(drop)
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let Entitlement { group } = self.entitlement(&access.entitlement)?;
        let name = &access.account.name;
        let Some(user) = self.user(name).await? else {
            let reason =
                "there is no IAM user of this name; create it, or correct the person's file";
            return Err(self.unknown(name, reason));
        };
        let what = format!("adding {name} to the group {group}");
        match self
            .change(&what, "AddUserToGroup", &group, &user.user_name)
            .await
        {
            Ok(()) => {}
            Err(Failure::NotFound { .. }) => return Err(self.no_group(&group)),
            Err(failure) => return Err(self.told(failure)),
        }
        let members = self.members(&group).await?;
        if !members
            .iter()
            .flatten()
            .any(|member| member.user_id == user.user_id)
        {
            let why = "the read-back shows no such member";
            return Err(self.told(Failure::unavailable(&what, why)));
        }
        Ok(Granted {
            read_back: format!("{} is a member of {group}", user.user_name),
            pending: None,
            account_id: Some(user.user_id),
            entitlement_id: None,
        })
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
        let Some(members) = self.members(&group).await? else {
            return Ok(gone(format!("there is no group {group} any more")));
        };
        let is_meant = |user: &User| match &access.account.id {
            Some(id) => user.user_id == *id,
            None => user.user_name.eq_ignore_ascii_case(name),
        };
        let Some(user) = members.into_iter().find(is_meant) else {
            return Ok(gone(format!("{name} is no member of {group}")));
        };
        let what = format!("removing {} from the group {group}", user.user_name);
        self.spare_ourselves(&what, &user).await?;
        match self
            .change(&what, "RemoveUserFromGroup", &group, &user.user_name)
            .await
        {
            Ok(()) | Err(Failure::NotFound { .. }) => {}
            Err(failure) => return Err(self.told(failure)),
        }
        let left = self.members(&group).await?;
        if left
            .iter()
            .flatten()
            .any(|member| member.user_id == user.user_id)
        {
            let why = "the read-back shows the member still";
            return Err(self.told(Failure::unavailable(&what, why)));
        }
        Ok(gone(format!("{} is no member of {group}", user.user_name)))
    }

    /// Nobody may take away by a pull request what Hallpass itself works with.
    async fn spare_ourselves(&self, what: &str, user: &User) -> Result<(), ProviderError> {
        let ask = || async {
            let fields = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
            let what = "asking whose keys these are";
            let caller = self.sts.form::<GetCallerIdentity>(what, &fields).await?;
            Ok(caller.get_caller_identity_result.user_id)
        };
        let own = self.own.get_or_try_init(ask).await;
        if *own.map_err(|failure| self.told(failure))? == user.user_id {
            return Err(self.refused(format!(
                "{what}: {} is the user that Hallpass' own keys belong to; take it out by hand if that is meant",
                user.arn
            )));
        }
        Ok(())
    }

    async fn list(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        let Entitlement { group } = self.entitlement(entitlement)?;
        let members = self.members(&group).await?;
        let members = members.ok_or_else(|| self.no_group(&group))?;
        let holder = |user: User| Holder {
            name: user.user_name,
            id: Some(user.user_id),
            pending: false,
        };
        Ok(members.into_iter().map(holder).collect())
    }
}

/// Of the interface.
const VERSION: (&str, &str) = ("Version", "2010-05-08");

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

    async fn holders(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        within(&self.connection, self.list(entitlement)).await
    }
}
