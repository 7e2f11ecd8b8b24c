//! Asking Okta: each question with its answer read to the end.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use url::Url;

use crate::domain::model::Instant;
use crate::providers::http::{Answer, Call, Failure, Http, Listing};
use crate::providers::scim::wire::equals;

/// How many entries are asked for at a time; Okta gives no more.
const PAGE: &str = "200";

/// The longest page, in bytes: an entry takes about 2 KiB.
const LONGEST: usize = 4 << 20;

/// Okta's code for what is not there.
const MISSING: &str = "E0000007";

/// An account.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    pub id: String,
    pub status: String,
    /// When somebody last signed in with it.
    #[serde(default, rename = "lastLogin")]
    pub last_login: Option<Instant>,
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    error_code: String,
}

/// Whether Okta itself says that something is not there.
fn gone(body: &[u8]) -> bool {
    serde_json::from_slice::<Said>(body).is_ok_and(|said| said.error_code == MISSING)
}

fn nowhere(what: &str) -> Failure {
    let why =
        "neither accounts nor groups are at this address; check the address of the connection";
    Failure::unavailable(what, why)
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

    async fn ask(&self, what: &str, call: Call) -> Result<Answer, Failure> {
        self.0.ask(what, call.at_most(LONGEST), gone).await
    }

    /// Nothing that is said not to be there is gone, where there are no accounts or groups at this address at all.
    async fn is_there(&self, what: &str, collection: &str) -> Result<(), Failure> {
        let url = self.route(&[collection], &[("limit", "1")])?;
        match self.ask(what, Call::get(url)).await {
            Ok(answer) => answer.json::<Vec<IgnoredAny>>(what).map(drop),
            Err(Failure::NotFound { .. }) => Err(nowhere(what)),
            Err(failure) => Err(failure),
        }
    }

    /// One thing, or `None` where there is none.
    async fn one<T: DeserializeOwned + Entry>(
        &self,
        what: &str,
        [collection, id]: [&str; 2],
    ) -> Result<Option<T>, Failure> {
        let url = self.route(&[collection, id], &[])?;
        match self.ask(what, Call::get(url)).await {
            Ok(answer) => answer.json(what).map(Some),
            Err(Failure::NotFound { .. }) => self.is_there(what, collection).await.map(|()| None),
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
        let mut listing = Listing::default();
        while let Some(url) = next {
            let answer = match self.ask(what, Call::get(url)).await {
                // Gone between two pages is no end of a list.
                Err(Failure::NotFound { .. }) if listing.is_new() => match segments {
                    [collection, _, ..] => {
                        return self.is_there(what, collection).await.map(|()| None);
                    }
                    _ => return Err(nowhere(what)),
                },
                answer => answer?,
            };
            listing.add(what, &answer)?;
            let more: Vec<T> = answer.json(what)?;
            if !more.iter().all(|one| seen.insert(one.id().to_owned())) {
                return Err(Failure::unreadable(what, "the list has an entry twice"));
            }
            all.extend(more);
            next = self.0.next_page(what, &answer)?;
        }
        Ok(Some(all))
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
        let found = self.one::<User>(what, ["users", id]).await?;
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
        self.one("looking up our own account", ["users", "me"])
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
        let found = self.one::<Group>(what, ["groups", id]).await?;
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
        self.ask(what, Call::new(method, url)).await.map(drop)
    }
}
