//! Asking IAM Identity Center and its identity store: each question with its answer read to the end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

use crate::providers::aws::Service;
use crate::providers::http::{Failure, Listing};

/// Between two looks at a change that is under way.
const PAUSE: Duration = Duration::from_millis(500);

/// Up to so many accounts are asked for one by one; for more, the list of all accounts is read.
const ONE_BY_ONE: usize = 20;

/// An account of the identity store.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct User {
    pub user_id: String,
    pub user_name: String,
}

/// Who has an account assignment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Principal {
    pub principal_type: String,
    pub principal_id: String,
}

/// A place in a group.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Membership {
    pub membership_id: String,
    pub group_id: String,
    pub member_id: Member,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Member {
    pub user_id: Option<String>,
}

/// What is assigned: a permission set in an AWS account.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub account: String,
    /// Its ARN, which tells the instance too.
    pub permission_set: String,
}

/// Which way an assignment changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Create,
    Delete,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Instance {
    instance_arn: String,
    identity_store_id: String,
}

/// A page of a list, under the name that it has in each of them.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(
        alias = "Users",
        alias = "GroupMemberships",
        alias = "PermissionSets",
        alias = "AccountAssignments",
        alias = "AccountAssignmentsCreationStatus"
    )]
    items: Vec<T>,
    #[serde(rename = "NextToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instances {
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FoundGroup {
    group_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FoundSet {
    permission_set: PermissionSet,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PermissionSet {
    name: String,
}

/// How far a change of an assignment is, under either name that it has.
#[derive(Deserialize)]
struct Change {
    #[serde(
        alias = "AccountAssignmentCreationStatus",
        alias = "AccountAssignmentDeletionStatus"
    )]
    under: Under,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Under {
    status: String,
    request_id: Option<String>,
    failure_reason: Option<String>,
    target_id: Option<String>,
    permission_set_arn: Option<String>,
    principal_id: Option<String>,
}

impl Under {
    /// Whether it is under way still, and about this.
    fn is_of(&self, what: &Assignment, user: &str) -> bool {
        self.status == "IN_PROGRESS"
            && self.target_id.as_ref() == Some(&what.account)
            && self.permission_set_arn.as_ref() == Some(&what.permission_set)
            && self.principal_id.as_deref() == Some(user)
    }
}

#[derive(Debug)]
pub(super) struct Directory {
    center: Service,
    store: Service,
    instance: OnceCell<Instance>,
    /// Permission sets that were found by their names, to be looked at first.
    sets: Mutex<BTreeMap<String, String>>,
}

impl Directory {
    pub(super) fn new(center: Service, store: Service) -> Self {
        Self {
            center,
            store,
            instance: OnceCell::new(),
            sets: Mutex::default(),
        }
    }

    async fn center<T: DeserializeOwned>(
        &self,
        what: &str,
        name: &str,
        body: Value,
    ) -> Result<T, Failure> {
        self.center
            .json(what, &format!("SWBExternalService.{name}"), &body)
            .await
    }

    async fn store<T: DeserializeOwned>(
        &self,
        what: &str,
        name: &str,
        body: Value,
    ) -> Result<T, Failure> {
        self.store
            .json(what, &format!("AWSIdentityStore.{name}"), &body)
            .await
    }

    /// The one instance that these keys see.
    async fn instance(&self) -> Result<&Instance, Failure> {
        let what = "looking for the instance of IAM Identity Center";
        let find = || async {
            let found: Instances = self.center(what, "ListInstances", json!({})).await?;
            let mut found = found.instances;
            match (found.pop(), found.is_empty()) {
                (Some(instance), true) => Ok(instance),
                (None, _) => Err(Failure::refused(what, "there is none in this region")),
                _ => Err(Failure::refused(
                    what,
                    "there are several; use keys of the one account",
                )),
            }
        };
        self.instance.get_or_try_init(find).await
    }

    /// The instance of IAM Identity Center, as ids of permission sets name it.
    pub(super) async fn instance_id(&self) -> Result<&str, Failure> {
        let arn = &self.instance().await?.instance_arn;
        Ok(arn.split('/').nth(1).unwrap_or(arn))
    }

    /// The identity store, which ids of groups do not name.
    pub(super) async fn store_id(&self) -> Result<&str, Failure> {
        Ok(&self.instance().await?.identity_store_id)
    }

    /// A list, to its last page.
    async fn all<T: DeserializeOwned>(
        &self,
        what: &str,
        (service, name): (&Service, &str),
        mut body: Value,
    ) -> Result<Vec<T>, Failure> {
        let (mut all, mut listing) = (Vec::new(), Listing::default());
        loop {
            let page: Page<T> = service.page(what, (name, &body), &mut listing).await?;
            all.extend(page.items);
            match page.next.filter(|token| !token.is_empty()) {
                None => return Ok(all),
                Some(token) => body["NextToken"] = token.into(),
            }
        }
    }

    async fn stored<T: DeserializeOwned>(
        &self,
        what: &str,
        name: &str,
        more: Value,
    ) -> Result<Vec<T>, Failure> {
        let mut body = more;
        body["IdentityStoreId"] = self.store_id().await?.into();
        let name = format!("AWSIdentityStore.{name}");
        self.all(what, (&self.store, &name), body).await
    }

    async fn centered<T: DeserializeOwned>(
        &self,
        what: &str,
        name: &str,
        more: Value,
    ) -> Result<Vec<T>, Failure> {
        let mut body = more;
        body["InstanceArn"] = self.instance().await?.instance_arn.as_str().into();
        let name = format!("SWBExternalService.{name}");
        self.all(what, (&self.center, &name), body).await
    }

    /// The accounts of this name; Identity Center tells names apart without regard to case.
    pub(super) async fn users_named(&self, name: &str) -> Result<Vec<User>, Failure> {
        let filter =
            json!({ "Filters": [{ "AttributePath": "UserName", "AttributeValue": name }] });
        let what = "looking up the account";
        let found: Vec<User> = self.stored(what, "ListUsers", filter).await?;
        let same = |user: &User| user.user_name.to_lowercase() == name.to_lowercase();
        Ok(found.into_iter().filter(same).collect())
    }

    /// The account of this id.
    pub(super) async fn user(&self, id: &str) -> Result<Option<User>, Failure> {
        let store = &self.instance().await?.identity_store_id;
        let body = json!({ "IdentityStoreId": store, "UserId": id });
        match self
            .store("looking up the account", "DescribeUser", body)
            .await
        {
            Ok(user) => Ok(Some(user)),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The names of those of `ids` that are accounts.
    pub(super) async fn named(&self, mut ids: Vec<String>) -> Result<Vec<User>, Failure> {
        ids.sort();
        ids.dedup();
        if ids.len() > ONE_BY_ONE {
            let all: Vec<User> = self
                .stored("listing the accounts", "ListUsers", json!({}))
                .await?;
            return Ok(all
                .into_iter()
                .filter(|user| ids.binary_search(&user.user_id).is_ok())
                .collect());
        }
        let mut users = Vec::new();
        for id in ids {
            users.extend(self.user(&id).await?);
        }
        Ok(users)
    }

    /// The id of the group of this name.
    pub(super) async fn group(&self, name: &str) -> Result<Option<String>, Failure> {
        let store = &self.instance().await?.identity_store_id;
        let attribute = json!({ "AttributePath": "displayName", "AttributeValue": name });
        let body = json!({ "IdentityStoreId": store, "AlternateIdentifier": { "UniqueAttribute": attribute } });
        let what = "looking up the group";
        match self.store::<FoundGroup>(what, "GetGroupId", body).await {
            Ok(found) => Ok(Some(found.group_id)),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Every place in a group that an account has.
    pub(super) async fn memberships_of(&self, user: &str) -> Result<Vec<Membership>, Failure> {
        let body = json!({ "MemberId": { "UserId": user } });
        let what = "reading the account's groups";
        let found = self.stored(what, "ListGroupMembershipsForMember", body);
        match found.await {
            // Whoever is gone is in no group.
            Err(Failure::NotFound { .. }) => Ok(Vec::new()),
            found => found,
        }
    }

    /// Every place in a group.
    pub(super) async fn members(&self, group: &str) -> Result<Vec<Membership>, Failure> {
        let body = json!({ "GroupId": group });
        let what = "listing the group's members";
        self.stored(what, "ListGroupMemberships", body).await
    }

    pub(super) async fn join(&self, what: &str, group: &str, user: &str) -> Result<(), Failure> {
        let store = &self.instance().await?.identity_store_id;
        let body =
            json!({ "IdentityStoreId": store, "GroupId": group, "MemberId": { "UserId": user } });
        self.store::<IgnoredAny>(what, "CreateGroupMembership", body)
            .await
            .map(drop)
    }

    pub(super) async fn leave(&self, what: &str, membership: &str) -> Result<(), Failure> {
        let store = &self.instance().await?.identity_store_id;
        let body = json!({ "IdentityStoreId": store, "MembershipId": membership });
        match self
            .store::<IgnoredAny>(what, "DeleteGroupMembership", body)
            .await
        {
            Ok(_) | Err(Failure::NotFound { .. }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// What a permission set is called; `None` where there is none.
    pub(super) async fn name_of(&self, set: &str) -> Result<Option<String>, Failure> {
        let instance = &self.instance().await?.instance_arn;
        let body = json!({ "InstanceArn": instance, "PermissionSetArn": set });
        let what = "looking up the permission set";
        match self
            .center::<FoundSet>(what, "DescribePermissionSet", body)
            .await
        {
            Ok(found) => Ok(Some(found.permission_set.name)),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The permission set of this name. AWS finds none by name, so each is looked at; what was found is looked at first the next time.
    pub(super) async fn permission_set(&self, name: &str) -> Result<Option<String>, Failure> {
        let mut sets = self.sets.lock().await;
        if let Some(arn) = sets.get(name)
            && self.name_of(arn).await?.as_deref() == Some(name)
        {
            return Ok(Some(arn.clone()));
        }
        sets.remove(name);
        let what = "listing the permission sets";
        let arns: Vec<String> = self.centered(what, "ListPermissionSets", json!({})).await?;
        for arn in arns {
            // What has its name keeps it: where one call cannot look at all of them, the next one goes on.
            if sets.values().any(|known| *known == arn) {
                continue;
            }
            if let Some(found) = self.name_of(&arn).await? {
                sets.insert(found.clone(), arn.clone());
                if found == name {
                    return Ok(Some(arn));
                }
            }
        }
        Ok(None)
    }

    /// Everybody who is assigned; `None` where there is no such permission set or account.
    pub(super) async fn assigned(
        &self,
        what: &Assignment,
    ) -> Result<Option<Vec<Principal>>, Failure> {
        let body = json!({ "AccountId": what.account, "PermissionSetArn": what.permission_set });
        let doing = "reading who is assigned";
        let found = self.centered(doing, "ListAccountAssignments", body).await;
        match found {
            Ok(found) => Ok(Some(found)),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether AWS is still creating the assignment, which it does not list before it has.
    pub(super) async fn is_coming(&self, what: &Assignment, user: &str) -> Result<bool, Failure> {
        let doing = "looking for what is being assigned";
        let body = json!({ "Filter": { "Status": "IN_PROGRESS" } });
        let name = "ListAccountAssignmentCreationStatus";
        let all: Vec<Under> = self.centered(doing, name, body).await?;
        for request in all.into_iter().filter_map(|one| one.request_id) {
            match self.progress(doing, Turn::Create, &request).await {
                Ok(found) if found.under.is_of(what, user) => return Ok(true),
                // It is another's, or over, or so long over that AWS does not tell of it.
                Ok(_) | Err(Failure::NotFound { .. }) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(false)
    }

    /// How far AWS is with what was requested.
    async fn progress(&self, doing: &str, turn: Turn, request: &str) -> Result<Change, Failure> {
        let instance = &self.instance().await?.instance_arn;
        let (name, key) = match turn {
            Turn::Create => (
                "DescribeAccountAssignmentCreationStatus",
                "AccountAssignmentCreationRequestId",
            ),
            Turn::Delete => (
                "DescribeAccountAssignmentDeletionStatus",
                "AccountAssignmentDeletionRequestId",
            ),
        };
        let body = json!({ "InstanceArn": instance, key: request });
        self.center(doing, name, body).await
    }

    /// Assigns an account, or takes the assignment away, and waits until AWS has done so.
    pub(super) async fn assign(
        &self,
        doing: &str,
        turn: Turn,
        what: &Assignment,
        user: &str,
    ) -> Result<(), Failure> {
        let instance = &self.instance().await?.instance_arn;
        let name = match turn {
            Turn::Create => "CreateAccountAssignment",
            Turn::Delete => "DeleteAccountAssignment",
        };
        let body = json!({
            "InstanceArn": instance,
            "TargetId": what.account,
            "TargetType": "AWS_ACCOUNT",
            "PermissionSetArn": what.permission_set,
            "PrincipalType": "USER",
            "PrincipalId": user,
        });
        let mut answer: Change = self.center(doing, name, body).await?;
        loop {
            let under = answer.under;
            match (under.status.as_str(), under.request_id) {
                ("SUCCEEDED", _) => return Ok(()),
                ("IN_PROGRESS", Some(request)) => {
                    tokio::time::sleep(PAUSE).await;
                    answer = self.progress(doing, turn, &request).await?;
                }
                ("FAILED", _) => {
                    let reason = under
                        .failure_reason
                        .unwrap_or_else(|| "no reason given".to_owned());
                    return Err(Failure::refused(
                        doing,
                        crate::providers::asked::plain(&reason),
                    ));
                }
                _ => return Err(Failure::unreadable(doing, "its status makes no sense")),
            }
        }
    }
}
