//! Asking a SCIM server: each question with its answer read to the end.

use std::collections::{BTreeMap, BTreeSet};

use http::header::ACCEPT;
use http::{HeaderValue, Method};
use serde::de::{DeserializeOwned, IgnoredAny};
use url::Url;

use super::wire::{Group, MEDIA, MemberKind, Page, Patch, Resource, User, equals, is_said};
use crate::providers::http::{Answer, Call, Failure, Http, Listing};

/// How many entries are asked for at a time.
const PAGE: usize = 100;

/// Up to so many accounts are asked for one by one; for more, the list of all accounts is read.
const ONE_BY_ONE: usize = 20;

/// The most groups that are looked into for one membership.
const NESTED: usize = 100;

/// The attributes of an account that are asked for.
const USER: (&str, &str) = ("attributes", "userName,active,groups");

/// One server's accounts and groups.
#[derive(Debug)]
pub(super) struct Directory(pub Http);

impl Directory {
    async fn ask(&self, what: &str, call: Call) -> Result<Answer, Failure> {
        let accept = HeaderValue::from_static("application/scim+json, application/json");
        self.0.ask(what, call.header(ACCEPT, accept), is_said).await
    }

    /// One page of a list. An address where there is no list is a wrong one.
    async fn page<T: DeserializeOwned>(
        &self,
        what: &str,
        url: Url,
        listing: &mut Listing,
    ) -> Result<Page<T>, Failure> {
        match self.ask(what, Call::get(url)).await {
            Ok(answer) => {
                listing.add(what, &answer)?;
                answer.json(what)
            }
            Err(Failure::NotFound { .. }) => Err(Failure::unavailable(
                what,
                "neither accounts nor groups are at this address; check the address of the connection",
            )),
            Err(failure) => Err(failure),
        }
    }

    /// One thing, or `None` where there is none. Where nothing is that it could be one of, it is not gone.
    async fn one<T: DeserializeOwned + Resource>(
        &self,
        what: &str,
        [collection, id]: [&str; 2],
        query: &[(&str, &str)],
    ) -> Result<Option<T>, Failure> {
        let url = self.0.route(&[collection, id], query)?;
        match self.ask(what, Call::get(url)).await {
            Ok(answer) => {
                let found: T = answer.json(what)?;
                if found.id() == id {
                    return Ok(Some(found));
                }
                Err(Failure::unreadable(what, "it is about another one"))
            }
            Err(Failure::NotFound { .. }) => {
                let first = [("startIndex", "1"), ("count", "1")];
                let url = self.0.route(&[collection], &first)?;
                let found: Page<IgnoredAny> = self.page(what, url, &mut Listing::default()).await?;
                drop(found);
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// A list, to its last page: as many entries as the server says there are, none of them twice.
    async fn all<T: DeserializeOwned + Resource>(
        &self,
        what: &str,
        collection: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, Failure> {
        let odd = |why: &'static str| Err(Failure::unreadable(what, why));
        let mut all: Vec<T> = Vec::new();
        let (mut seen, mut listing) = (BTreeSet::new(), Listing::default());
        loop {
            let (start, count) = ((all.len() + 1).to_string(), PAGE.to_string());
            let page = [("startIndex", start.as_str()), ("count", &count)];
            let url = self.0.route(&[collection], &[query, &page].concat())?;
            let page: Page<T> = self.page(what, url, &mut listing).await?;
            let more = page.resources.unwrap_or_default();
            if more.is_empty() && all.len() < page.total_results {
                return odd("the list is shorter than it says");
            }
            if !more.iter().all(|one| seen.insert(one.id().to_owned())) {
                return odd("the list has an entry twice");
            }
            all.extend(more);
            if all.len() > page.total_results {
                return odd("the list is longer than it says");
            }
            if all.len() == page.total_results {
                return Ok(all);
            }
        }
    }

    /// The accounts of this name. Names differ in more than case (RFC 7643, 4.1.1), so there should be one at most.
    pub(super) async fn users_named(&self, name: &str) -> Result<Vec<User>, Failure> {
        let filter = equals("userName", name);
        let query = [("filter", filter.as_str()), USER];
        let found: Vec<User> = self.all("looking up the account", "Users", &query).await?;
        // Some servers do not know the filter, and answer with everybody.
        let same = |user: &User| user.user_name.eq_ignore_ascii_case(name);
        Ok(found.into_iter().filter(same).collect())
    }

    /// The account of this id.
    pub(super) async fn user(&self, id: &str) -> Result<Option<User>, Failure> {
        self.one("looking up the account", ["Users", id], &[USER])
            .await
    }

    /// The groups of exactly this name; nothing keeps a server from having several.
    pub(super) async fn groups_named(&self, name: &str) -> Result<Vec<Group>, Failure> {
        let filter = equals("displayName", name);
        let query = [
            ("filter", filter.as_str()),
            ("attributes", "displayName,members"),
        ];
        let found: Vec<Group> = self.all("looking up the group", "Groups", &query).await?;
        let same = |group: &Group| group.display_name == name;
        Ok(found.into_iter().filter(same).collect())
    }

    /// The group of this id, with its members.
    pub(super) async fn group(&self, id: &str) -> Result<Option<Group>, Failure> {
        self.one("reading the group", ["Groups", id], &[]).await
    }

    /// Changes a group's members.
    pub(super) async fn change(&self, what: &str, id: &str, patch: &Patch) -> Result<(), Failure> {
        let url = self.0.route(&["Groups", id], &[])?;
        let call = Call::new(Method::PATCH, url).json(MEDIA, patch);
        self.ask(what, call).await.map(drop)
    }

    /// The members of `group` that are groups themselves.
    async fn nested(&self, group: &Group) -> Result<Vec<String>, Failure> {
        let of_kind = |kind| {
            let some = group.members().filter(move |m| m.member_kind() == kind);
            some.map(|member| member.value.clone())
        };
        let mut nested: Vec<String> = of_kind(MemberKind::Group).collect();
        let untold: BTreeSet<String> = of_kind(MemberKind::Untold).collect();
        if !untold.is_empty() {
            let query = [("attributes", "displayName")];
            let groups: Vec<Group> = self.all("listing the groups", "Groups", &query).await?;
            let ids = groups.into_iter().map(|group| group.id);
            nested.extend(ids.filter(|id| untold.contains(id)));
        }
        Ok(nested)
    }

    /// The groups within `group`, at any depth, that have the member.
    pub(super) async fn within(&self, group: &Group, member: &str) -> Result<Vec<Group>, Failure> {
        let mut left = self.nested(group).await?;
        let mut seen = BTreeSet::from([group.id.clone()]);
        let mut found = Vec::new();
        while let Some(id) = left.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            if seen.len() > NESTED {
                return Err(Failure::refused(
                    "looking into nested groups",
                    format!("there are more than {NESTED}; nobody can tell who is a member"),
                ));
            }
            let Some(inner) = self.group(&id).await? else {
                continue;
            };
            left.extend(self.nested(&inner).await?);
            if inner.has(member) {
                found.push(inner);
            }
        }
        Ok(found)
    }

    /// The names of those of `ids` that are accounts: the id of an account that was deleted is of no use to anybody.
    pub(super) async fn names(&self, ids: Vec<String>) -> Result<Vec<(String, String)>, Failure> {
        if ids.len() > ONE_BY_ONE {
            let query = [("attributes", "userName")];
            let all: Vec<User> = self.all("listing the accounts", "Users", &query).await?;
            let mut names: BTreeMap<String, String> =
                all.into_iter().map(|u| (u.id, u.user_name)).collect();
            let known = ids.into_iter().filter_map(|id| names.remove_entry(&id));
            return Ok(known.collect());
        }
        let mut known = Vec::new();
        for id in ids {
            if let Some(user) = self.user(&id).await? {
                known.push((user.id, user.user_name));
            }
        }
        Ok(known)
    }
}
