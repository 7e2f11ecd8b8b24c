//! Asking IAM and STS: each question with its answer read to the end.

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::OnceCell;

use crate::domain::model::Instant;
use crate::providers::aws::{Service, is_malformed};
use crate::providers::http::{Failure, Listing};

/// Of the interface.
const VERSION: (&str, &str) = ("Version", "2010-05-08");

/// A user.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct User {
    pub user_name: String,
    pub user_id: String,
    pub arn: String,
    /// When somebody last signed in with its password; also absent where that was never, or more than AWS remembers ago.
    password_last_used: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAccessKeys {
    list_access_keys_result: ListAccessKeysResult,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAccessKeysResult {
    #[serde(default)]
    access_key_metadata: AccessKeys,
}

#[derive(Debug, Default, Deserialize)]
struct AccessKeys {
    #[serde(default)]
    member: Vec<AccessKey>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccessKey {
    access_key_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetAccessKeyLastUsed {
    get_access_key_last_used_result: GetAccessKeyLastUsedResult,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetAccessKeyLastUsedResult {
    #[serde(default)]
    access_key_last_used: AccessKeyLastUsed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccessKeyLastUsed {
    last_used_date: Option<String>,
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
    group: Group,
    #[serde(default)]
    users: Users,
    #[serde(default)]
    is_truncated: bool,
    marker: Option<String>,
}

/// A group.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Group {
    pub group_name: String,
    pub group_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListGroups {
    list_groups_result: ListGroupsResult,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListGroupsResult {
    #[serde(default)]
    groups: Groups,
    #[serde(default)]
    is_truncated: bool,
    marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Groups {
    #[serde(default)]
    member: Vec<Group>,
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

/// Whose keys ours are.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Caller {
    pub user_id: String,
    /// The AWS account.
    pub account: String,
}

/// A group with everybody in it.
#[derive(Debug)]
pub(super) struct Found {
    pub group: Group,
    pub members: Vec<User>,
}

/// A time as AWS writes it; where it says that there was none, it says so in words.
fn time(text: Option<&str>) -> Option<Instant> {
    text?.parse().ok()
}

impl User {
    /// When somebody last signed in with its password.
    pub(super) fn password_last_used(&self) -> Option<Instant> {
        time(self.password_last_used.as_deref())
    }
}

impl Found {
    pub(super) fn has(&self, user: &User) -> bool {
        self.members
            .iter()
            .any(|member| member.user_id == user.user_id)
    }
}

/// IAM of one AWS account.
#[derive(Debug)]
pub(super) struct Directory {
    iam: Service,
    sts: Service,
    /// Whose keys ours are: asked once.
    own: OnceCell<Caller>,
    /// Whether the groups can be listed: asked once.
    lists: OnceCell<()>,
}

impl Directory {
    pub(super) fn new(iam: Service, sts: Service) -> Self {
        Self {
            iam,
            sts,
            own: OnceCell::new(),
            lists: OnceCell::new(),
        }
    }

    /// The user of this name.
    pub(super) async fn user(&self, name: &str) -> Result<Option<User>, Failure> {
        let what = format!("looking up the user {name}");
        let fields = [("Action", "GetUser"), VERSION, ("UserName", name)];
        match self.iam.form::<GetUser>(&what, &fields).await {
            Ok(found) => Ok(Some(found.get_user_result.user)),
            Err(Failure::NotFound { .. }) => Ok(None),
            // A name that no user can have is refused by its form.
            Err(failure) if is_malformed(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The group of this name, with everybody in it; `None` where there is none.
    pub(super) async fn members(&self, group: &str) -> Result<Option<Found>, Failure> {
        let what = format!("listing the members of the group {group}");
        let mut listing = Listing::default();
        let mut all: Option<Found> = None;
        let mut next = None::<String>;
        loop {
            let mut fields = vec![("Action", "GetGroup"), VERSION, ("GroupName", group)];
            fields.extend(next.as_deref().map(|marker| ("Marker", marker)));
            let page = self.iam.form_page::<GetGroup>(&what, &fields, &mut listing);
            let page = match page.await {
                Ok(page) => page.get_group_result,
                Err(Failure::NotFound { .. }) if all.is_none() => return Ok(None),
                Err(failure) => return Err(failure),
            };
            let so_far = all.get_or_insert_with(|| Found {
                group: page.group.clone(),
                members: Vec::new(),
            });
            if so_far.group.group_id != page.group.group_id {
                return Err(Failure::unavailable(&what, "it is another group meanwhile"));
            }
            so_far.members.extend(page.users.member);
            next = marker(&what, page.is_truncated, page.marker)?;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// The group of this id, whatever it is called.
    async fn group_of(&self, id: &str) -> Result<Option<Group>, Failure> {
        let what = "listing the groups";
        let (mut listing, mut next) = (Listing::default(), None::<String>);
        loop {
            let mut fields = vec![("Action", "ListGroups"), VERSION, ("MaxItems", "1000")];
            fields.extend(next.as_deref().map(|marker| ("Marker", marker)));
            let page = self
                .iam
                .form_page::<ListGroups>(what, &fields, &mut listing);
            let page = page.await?;
            let page = page.list_groups_result;
            let mut groups = page.groups.member.into_iter();
            if let Some(group) = groups.find(|group| group.group_id == id) {
                return Ok(Some(group));
            }
            next = marker(what, page.is_truncated, page.marker)?;
            if next.is_none() {
                return Ok(None);
            }
        }
    }

    /// The group of this id, which was called `name`, with everybody in it.
    pub(super) async fn find(&self, name: &str, id: &str) -> Result<Option<Found>, Failure> {
        let is_it = |found: &Found| found.group.group_id == id;
        if let Some(found) = self.members(name).await?.filter(is_it) {
            return Ok(Some(found));
        }
        let Some(now) = self.group_of(id).await? else {
            return Ok(None);
        };
        match self.members(&now.group_name).await?.filter(is_it) {
            Some(found) => Ok(Some(found)),
            None => Err(Failure::unavailable(
                "reading the group",
                "it was renamed meanwhile",
            )),
        }
    }

    /// Adds a user to a group, or removes it.
    pub(super) async fn change(
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

    /// Whose keys ours are.
    pub(super) async fn caller(&self) -> Result<&Caller, Failure> {
        let ask = || async {
            let fields = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
            let what = "asking whose keys these are";
            let caller = self.sts.form::<GetCallerIdentity>(what, &fields).await?;
            Ok(caller.get_caller_identity_result)
        };
        self.own.get_or_try_init(ask).await
    }

    /// Asks for what is needed only when a group was renamed, which is too late to learn that the right for it is missing.
    pub(super) async fn can_list(&self) -> Result<(), Failure> {
        let ask = || async {
            let fields = [("Action", "ListGroups"), VERSION, ("MaxItems", "1")];
            let listed = self.iam.form::<IgnoredAny>("listing the groups", &fields);
            listed.await.map(drop)
        };
        self.lists.get_or_try_init(ask).await.copied()
    }

    /// When the access keys of a user were last used. A user has at most two.
    pub(super) async fn keys_last_used(&self, user: &str) -> Result<Option<Instant>, Failure> {
        let what = "reading when access keys were last used";
        let fields = [("Action", "ListAccessKeys"), VERSION, ("UserName", user)];
        let listed: ListAccessKeys = self.iam.form(what, &fields).await?;
        let mut last = None;
        for key in listed.list_access_keys_result.access_key_metadata.member {
            let id = key.access_key_id.as_str();
            let fields = [
                ("Action", "GetAccessKeyLastUsed"),
                VERSION,
                ("AccessKeyId", id),
            ];
            let used: GetAccessKeyLastUsed = self.iam.form(what, &fields).await?;
            let used = used.get_access_key_last_used_result.access_key_last_used;
            last = last.max(time(used.last_used_date.as_deref()));
        }
        Ok(last)
    }
}

/// Where the next page begins.
fn marker(
    what: &str,
    is_truncated: bool,
    marker: Option<String>,
) -> Result<Option<String>, Failure> {
    match (is_truncated, marker) {
        (false, _) => Ok(None),
        (true, Some(marker)) => Ok(Some(marker)),
        (true, None) => Err(Failure::unreadable(what, "the list does not end")),
    }
}
