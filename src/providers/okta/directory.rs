//! Asking Okta: each question with its answer read to the end.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::providers::http::{Call, Failure, Http};
use crate::providers::scim::wire::equals;

/// How many entries are asked for at a time; Okta gives no more.
const PAGE: &str = "200";

/// The most pages that one list may have.
const PAGES: usize = 1000;

/// An account.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    pub id: String,
    pub status: String,
    pub profile: UserProfile,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct UserProfile {
    pub login: String,
}

/// A group.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Group {
    pub id: String,
    /// `OKTA_GROUP`, `APP_GROUP` or `BUILT_IN`: only the first has members that can be changed.
    #[serde(rename = "type")]
    pub kind: String,
    pub profile: GroupProfile,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct GroupProfile {
    pub name: String,
}

/// What has an id.
pub(super) trait Entry {
    fn id(&self) -> &str;
}

impl Entry for User {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Entry for Group {
    fn id(&self) -> &str {
        &self.id
    }
}

impl User {
    /// Whether a membership would be of use to it: whoever is suspended or gone gets nothing.
    pub(super) fn is_active(&self) -> bool {
        !matches!(self.status.as_str(), "DEPROVISIONED" | "SUSPENDED")
    }
}

impl Group {
    /// Whether its members can be changed here, and not only where they come from.
    pub(super) fn is_okta_s(&self) -> bool {
        self.kind == "OKTA_GROUP"
    }
}

/// One organisation's accounts and groups.
#[derive(Debug)]
pub(super) struct Directory(pub Http);

impl Directory {
    fn route(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url, Failure> {
        self.0.route(&[&["api", "v1"], segments].concat(), query)
    }

    /// One thing, or `None` where there is none.
    async fn one<T: DeserializeOwned + Entry>(
        &self,
        what: &str,
        segments: &[&str],
    ) -> Result<Option<T>, Failure> {
        match self
            .0
            .send(what, Call::get(self.route(segments, &[])?))
            .await
        {
            Ok(answer) => answer.json(what).map(Some),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// A list, to its last page, with nothing in it twice; `None` where there is nothing that could have a list.
    async fn all<T: DeserializeOwned + Entry>(
        &self,
        what: &str,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Option<Vec<T>>, Failure> {
        let query = [query, &[("limit", PAGE)]].concat();
        let mut next = Some(self.route(segments, &query)?);
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        for page in 0..PAGES {
            let Some(url) = next else {
                return Ok(Some(all));
            };
            let answer = match self.0.send(what, Call::get(url)).await {
                // Gone between two pages is no end of a list.
                Err(Failure::NotFound { .. }) if page == 0 => return Ok(None),
                answer => answer?,
            };
            let more: Vec<T> = answer.json(what)?;
            if !more.iter().all(|one| seen.insert(one.id().to_owned())) {
                return Err(Failure::unreadable(what, "the list has an entry twice"));
            }
            all.extend(more);
            next = self.0.next_page(what, &answer)?;
        }
        Err(Failure::unreadable(what, "the list does not end"))
    }

    /// The accounts of this login; Okta tells logins apart without regard to case.
    pub(super) async fn users_named(&self, login: &str) -> Result<Vec<User>, Failure> {
        let filter = equals("profile.login", login);
        let query = [("filter", filter.as_str())];
        let found = self
            .all("looking up the account", &["users"], &query)
            .await?;
        let same = |user: &User| user.profile.login.to_lowercase() == login.to_lowercase();
        Ok(found.into_iter().flatten().filter(same).collect())
    }

    /// The account of this id.
    pub(super) async fn user(&self, id: &str) -> Result<Option<User>, Failure> {
        let what = "looking up the account";
        let found = self.one::<User>(what, &["users", id]).await?;
        match found {
            // A login is taken for an id there, too.
            Some(user) if user.id != id => {
                Err(Failure::unreadable(what, "it is about another one"))
            }
            found => Ok(found),
        }
    }

    /// The account that our token belongs to, where it belongs to one.
    pub(super) async fn own(&self) -> Result<Option<User>, Failure> {
        self.one("looking up our own account", &["users", "me"])
            .await
    }

    /// The groups of exactly this name: an application may bring one of the name of another.
    pub(super) async fn groups_named(&self, name: &str) -> Result<Vec<Group>, Failure> {
        let search = equals("profile.name", name);
        let query = [("search", search.as_str())];
        let found = self
            .all("looking up the group", &["groups"], &query)
            .await?;
        let same = |group: &Group| group.profile.name == name;
        Ok(found.into_iter().flatten().filter(same).collect())
    }

    /// The group of this id.
    pub(super) async fn group(&self, id: &str) -> Result<Option<Group>, Failure> {
        let what = "looking up the group";
        let found = self.one::<Group>(what, &["groups", id]).await?;
        match found {
            Some(group) if group.id != id => {
                Err(Failure::unreadable(what, "it is about another one"))
            }
            found => Ok(found),
        }
    }

    /// Every group that an account is in; `None` where there is no such account.
    pub(super) async fn groups_of(&self, user: &str) -> Result<Option<Vec<Group>>, Failure> {
        self.all(
            "reading the account's groups",
            &["users", user, "groups"],
            &[],
        )
        .await
    }

    /// Everybody in a group.
    pub(super) async fn members(&self, group: &str) -> Result<Option<Vec<User>>, Failure> {
        self.all(
            "listing the group's members",
            &["groups", group, "users"],
            &[],
        )
        .await
    }

    /// Puts an account into a group (`PUT`) or takes it out (`DELETE`).
    pub(super) async fn change(
        &self,
        what: &str,
        method: Method,
        group: &str,
        user: &str,
    ) -> Result<(), Failure> {
        let url = self.route(&["groups", group, "users", user], &[])?;
        self.0.send(what, Call::new(method, url)).await.map(drop)
    }
}
