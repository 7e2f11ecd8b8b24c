//! `aws-identity-center`: permission sets in AWS accounts, and groups of the identity store.
//!
//! Promises:
//! - A user's name is a label. An account is found by its `UserName` once, and from then on by its `UserId`. So is a group by its name, and
//!   then by its `GroupId`, and a permission set, which is never called otherwise, but may be created anew, by its ARN.
//! - What is not there any more is so in the instance of Identity Center in which it was given, and is not asked for in another one.
//! - An assignment is not said to be there, or gone, before AWS has finished it; what takes longer than a call may is tried again. What
//!   AWS is still creating is not gone, though it is listed nowhere yet.
//! - Everything is read back. AWS may keep an assignment twice, so that it is removed until none is left.
//! - A group of the account's that has the same permission set in the same AWS account is named.

mod directory;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use directory::{Assignment, Directory, Turn, User};

use super::aws::{Keys, Service, is_malformed};
use super::http::{Failure, Http, within};
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, ConnectionName};
use crate::domain::target::{Change, Kind, Names, Order};

/// IAM Identity Center of one organisation.
pub const KIND: Kind = Kind {
    name: "aws-identity-center",
    gives: "a permission set in an AWS account, or membership of a group",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Entitlement of an aws-identity-center connection",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "account": {
      "description": "The AWS account: twelve digits, in quotes",
      "type": "string",
      "pattern": "^[0-9]{12}$"
    },
    "permission_set": {
      "description": "The permission set's name",
      "type": "string",
      "pattern": "^[A-Za-z0-9+=,.@_-]{1,32}$"
    },
    "group": {
      "description": "Instead of both: the name of a group of the identity store",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024
    }
  },
  "oneOf": [
    { "required": ["account", "permission_set"], "not": { "required": ["group"] } },
    { "required": ["group"], "not": { "anyOf": [{ "required": ["account"] }, { "required": ["permission_set"] }] } }
  ]
}"#,
    residual: "Whoever is signed in keeps the credentials of the session: for as long as the permission set says, one hour to twelve.",
    native_expiry: None,
    names: Names::CaseInsensitive,
};

/// So often an assignment or a membership that AWS keeps twice is removed in one call.
const TWICE: usize = 8;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    account: Option<String>,
    permission_set: Option<String>,
    group: Option<String>,
}

/// What is given.
#[derive(Debug)]
enum Entitlement {
    Assignment { account: String, set: String },
    Group(String),
}

impl Entitlement {
    /// How people find it.
    fn shown(&self) -> String {
        match self {
            Self::Assignment { account, set } => format!("{set} in {account}"),
            Self::Group(name) => format!("the group {name}"),
        }
    }
}

/// The same as AWS knows it, whatever it is called.
#[derive(Debug)]
enum Meant {
    Assignment(Assignment),
    Group { store: String, id: String },
}

impl Meant {
    /// What is recorded of it.
    fn id(&self) -> String {
        match self {
            Self::Assignment(assignment) => assignment.permission_set.clone(),
            Self::Group { store, id } => format!("{store}/{id}"),
        }
    }
}

/// IAM Identity Center of one organisation.
#[derive(Debug)]
pub struct AwsIdentityCenter {
    connection: ConnectionName,
    directory: Directory,
}

impl AwsIdentityCenter {
    /// Identity Center behind `center`, and its identity store behind `store`.
    pub fn new(connection: ConnectionName, center: Http, store: Http, keys: Keys) -> Self {
        let center = Service::new(center, keys.clone(), "sso");
        let store = Service::new(store, keys, "identitystore");
        Self {
            connection,
            directory: Directory::new(center, store),
        }
    }

    fn entitlement(&self, value: &Value) -> Result<Entitlement, ProviderError> {
        let read = KIND.gives_this(value).then(|| Written::deserialize(value));
        match read {
            Some(Ok(Written { account: Some(account), permission_set: Some(set), group: None })) => {
                Ok(Entitlement::Assignment { account, set })
            }
            Some(Ok(Written { account: None, permission_set: None, group: Some(group) })) => {
                Ok(Entitlement::Group(group))
            }
            _ => Err(self.refused(
                "the entitlement must look like { account: \"123456789012\", permission_set: <name> } or { group: <name> }",
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

    fn nothing(&self, wanted: &Entitlement) -> ProviderError {
        let shown = wanted.shown();
        self.refused(format!(
            "there is no {shown} that these keys can see; create it, or correct the resource"
        ))
    }

    /// The account of this name.
    async fn named(&self, name: &str) -> Result<Option<User>, ProviderError> {
        let mut found = match self.directory.users_named(name).await {
            Ok(found) => found,
            // Of an account that had it once this would be strange, so that nobody is said to be gone.
            Err(failure) if is_malformed(&failure) => {
                let reason = "no account can have this name; correct the person's file";
                return Err(self.unknown(name, reason));
            }
            Err(failure) => return Err(self.told(failure)),
        };
        if let Some(exact) = found.iter().position(|user| user.user_name == name) {
            return Ok(Some(found.swap_remove(exact)));
        }
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(self.unknown(
                name,
                "there are several accounts whose names differ in case only; write it exactly",
            )),
        }
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let name = &access.account.name;
        let Some(user) = self.named(name).await? else {
            let reason = "there is no account of this name in the identity store; create it, or correct the person's file";
            return Err(self.unknown(name, reason));
        };
        if super::differs(access.account.id.as_ref(), &user.user_id) {
            return Err(self.unknown(name, "the name belongs to another account now"));
        }
        let meant = self.find(&wanted).await;
        let meant = meant.map_err(|failure| self.told(failure))?;
        let meant = meant.ok_or_else(|| self.nothing(&wanted))?;
        if super::differs(access.entitlement_id.as_ref(), &meant.id()) {
            return Err(self.refused(super::another("one", &wanted.shown())));
        }
        let what = format!("giving {} to {name}", wanted.shown());
        let done = match &meant {
            Meant::Assignment(assignment) => self.assign(&what, assignment, &user).await,
            Meant::Group { id, .. } => self.join(&what, id, &user).await.map(Some),
        };
        match done.map_err(|failure| self.told(failure))? {
            None => Err(self.nothing(&wanted)),
            Some(false) => {
                let why = "the read-back does not show it";
                Err(self.told(Failure::unavailable(&what, why)))
            }
            Some(true) => Ok(Granted {
                read_back: format!("{} has {}", user.user_name, wanted.shown()),
                pending: None,
                account_id: Some(user.user_id),
                entitlement_id: Some(meant.id()),
            }),
        }
    }

    /// What has the names that are written; `None` where nothing has.
    async fn find(&self, wanted: &Entitlement) -> Result<Option<Meant>, Failure> {
        Ok(match wanted {
            Entitlement::Assignment { account, set } => {
                let set = self.directory.permission_set(set).await?;
                set.map(|permission_set| {
                    Meant::Assignment(Assignment {
                        account: account.clone(),
                        permission_set,
                    })
                })
            }
            Entitlement::Group(name) => {
                let store = self.directory.store_id().await?.to_owned();
                let group = self.directory.group(name).await?;
                group.map(|id| Meant::Group { store, id })
            }
        })
    }

    /// What was given, whatever has the names by now.
    async fn held(&self, wanted: &Entitlement, given: &str) -> Result<Meant, Failure> {
        let mut parts = given.split('/');
        let (first, second) = (parts.next(), parts.next());
        let (of, ours, meant) = match wanted {
            Entitlement::Assignment { account, .. } => {
                let (account, permission_set) = (account.clone(), given.to_owned());
                let meant = Meant::Assignment(Assignment {
                    account,
                    permission_set,
                });
                (second, self.directory.instance_id().await?, meant)
            }
            Entitlement::Group(_) => {
                let store = self.directory.store_id().await?;
                let id = second.unwrap_or_default().to_owned();
                let meant = Meant::Group {
                    store: store.to_owned(),
                    id,
                };
                (first, store, meant)
            }
        };
        if of == Some(ours) {
            return Ok(meant);
        }
        Err(Failure::refused(
            "looking for what was given",
            format!(
                "{given} is not of {ours}, which the keys of the connection see; give it keys that see the other"
            ),
        ))
    }

    /// Whether the account is assigned then; `None` where there is nothing to assign.
    async fn assign(
        &self,
        what: &str,
        assignment: &Assignment,
        user: &User,
    ) -> Result<Option<bool>, Failure> {
        let has = |found: Option<Vec<directory::Principal>>| {
            found.map(|all| all.iter().any(|one| one.principal_id == user.user_id))
        };
        if has(self.directory.assigned(assignment).await?) != Some(true) {
            self.directory
                .assign(what, Turn::Create, assignment, &user.user_id)
                .await?;
        }
        Ok(has(self.directory.assigned(assignment).await?))
    }

    /// Whether the account is a member then.
    async fn join(&self, what: &str, group: &str, user: &User) -> Result<bool, Failure> {
        let is_in = async || -> Result<bool, Failure> {
            let places = self.directory.memberships_of(&user.user_id).await?;
            Ok(places.iter().any(|place| place.group_id == group))
        };
        if !is_in().await? {
            self.directory.join(what, group, &user.user_id).await?;
        }
        is_in().await
    }

    async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?;
        let name = &access.account.name;
        // An assignment of an account that is gone is removed by its id all the same.
        let id = match &access.account.id {
            Some(id) => id.clone(),
            None => match self.named(name).await? {
                Some(user) => user.user_id,
                None => {
                    return Ok(Revoked {
                        read_back: format!("there is no account {name} any more"),
                        ..Revoked::default()
                    });
                }
            },
        };
        let what = format!("taking {} from {name}", wanted.shown());
        let meant = match &access.entitlement_id {
            Some(given) => self.held(&wanted, given).await.map(Some),
            None => self.find(&wanted).await,
        };
        let through = match meant.map_err(|failure| self.told(failure))? {
            Some(Meant::Assignment(assignment)) => self.unassign(&what, &assignment, &id).await,
            Some(Meant::Group { id: group, .. }) => self.leave(&what, &group, &id).await,
            None => Ok(Vec::new()),
        };
        let still_effective_through = through.map_err(|failure| self.told(failure))?;
        Ok(Revoked {
            read_back: format!("{name} does not have {} of their own", wanted.shown()),
            still_effective_through,
            ..Revoked::default()
        })
    }

    /// By which groups the account has the same.
    async fn unassign(
        &self,
        what: &str,
        assignment: &Assignment,
        id: &str,
    ) -> Result<Vec<String>, Failure> {
        let mut none_is_coming = false;
        for _ in 0..TWICE {
            let Some(all) = self.directory.assigned(assignment).await? else {
                return self.is_over(what, assignment).await.map(|()| Vec::new());
            };
            let is_listed = all.iter().any(|one| one.principal_id == id);
            if !is_listed && none_is_coming {
                let groups = all.into_iter().filter(|one| one.principal_type == "GROUP");
                let groups: Vec<String> = groups.map(|one| one.principal_id).collect();
                return self.through(groups, id).await;
            }
            if !is_listed {
                if self.directory.is_coming(assignment, id).await? {
                    return Err(Failure::unavailable(what, "AWS is still creating it"));
                }
                // It may have been finished since the list was read, which is read once more.
                none_is_coming = true;
                continue;
            }
            let taken = self.directory.assign(what, Turn::Delete, assignment, id);
            match taken.await {
                // Somebody, or another attempt of ours, was quicker.
                Ok(()) | Err(Failure::NotFound { .. }) => none_is_coming = true,
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::unavailable(
            what,
            "the read-back shows the assignment still",
        ))
    }

    /// AWS deletes no permission set that anybody is assigned; of an AWS account that it does not find it says nothing.
    async fn is_over(&self, what: &str, assignment: &Assignment) -> Result<(), Failure> {
        let set = &assignment.permission_set;
        match self.directory.name_of(set).await? {
            None => Ok(()),
            Some(name) => Err(Failure::refused(
                what,
                format!(
                    "AWS has the permission set {name}, but finds no AWS account {}; see whether it has left the organisation, and take it away by hand",
                    assignment.account
                ),
            )),
        }
    }

    async fn through(&self, groups: Vec<String>, id: &str) -> Result<Vec<String>, Failure> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let places = self.directory.memberships_of(id).await?;
        let through = places
            .into_iter()
            .filter(|place| groups.contains(&place.group_id));
        let mut through: Vec<String> = through
            .map(|place| {
                format!(
                    "membership of the group {}, which has the same permission set there",
                    place.group_id
                )
            })
            .collect();
        through.sort();
        through.dedup();
        Ok(through)
    }

    async fn leave(&self, what: &str, group: &str, id: &str) -> Result<Vec<String>, Failure> {
        for _ in 0..TWICE {
            let places = self.directory.memberships_of(id).await?;
            let mut here = places
                .into_iter()
                .filter(|place| place.group_id == group)
                .peekable();
            if here.peek().is_none() {
                return Ok(Vec::new());
            }
            for place in here {
                self.directory.leave(what, &place.membership_id).await?;
            }
        }
        Err(Failure::unavailable(
            what,
            "the read-back shows the membership still",
        ))
    }

    async fn list(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        let wanted = self.entitlement(entitlement)?;
        let ids = self
            .holding(&wanted)
            .await
            .map_err(|failure| self.told(failure))?;
        let ids = ids.ok_or_else(|| self.nothing(&wanted))?;
        let users = self
            .directory
            .named(ids)
            .await
            .map_err(|failure| self.told(failure))?;
        let holder = |user: User| Holder {
            name: user.user_name,
            id: Some(user.user_id),
            pending: false,
        };
        Ok(users.into_iter().map(holder).collect())
    }

    /// The ids of all who have it of their own; `None` where there is no such thing.
    async fn holding(&self, wanted: &Entitlement) -> Result<Option<Vec<String>>, Failure> {
        match self.find(wanted).await? {
            None => Ok(None),
            Some(Meant::Assignment(assignment)) => {
                let all = self.directory.assigned(&assignment).await?;
                let users = |all: Vec<directory::Principal>| {
                    let users = all.into_iter().filter(|one| one.principal_type == "USER");
                    users.map(|one| one.principal_id).collect()
                };
                Ok(all.map(users))
            }
            Some(Meant::Group { id, .. }) => {
                let places = self.directory.members(&id).await?;
                Ok(Some(
                    places
                        .into_iter()
                        .filter_map(|place| place.member_id.user_id)
                        .collect(),
                ))
            }
        }
    }
}

#[async_trait]
impl Provider for AwsIdentityCenter {
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
        let Ok(wanted) = self.entitlement(&access.entitlement) else {
            return Vec::new();
        };
        let action = match (change, &wanted) {
            (Change::Grant, Entitlement::Assignment { .. }) => "CreateAccountAssignment",
            (Change::Revoke, Entitlement::Assignment { .. }) => "DeleteAccountAssignment",
            (Change::Grant, Entitlement::Group(_)) => "CreateGroupMembership",
            (Change::Revoke, Entitlement::Group(_)) => "DeleteGroupMembership",
        };
        vec![format!(
            "{action} of {} for {}",
            wanted.shown(),
            access.account.name
        )]
    }

    async fn holders(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        within(&self.connection, self.list(entitlement)).await
    }
}
