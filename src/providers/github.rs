//! What the kinds of GitHub share: whose login it is, what goes by which number, and what GitHub's answers mean.
//!
//! Promises:
//! - A login is only a label, and so is the name of a repository, a team or a role. What counts is GitHub's number: of the account as
//!   `access/` recorded it, or as it was when the access was given; of what was given as it was then. Who or what else has the name by
//!   now gets nothing and loses nothing.
//! - GitHub answers 404 for what is gone and for what the App may not see. Nothing is called gone for a 404 alone.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ProviderError;
use crate::domain::model::{Account, ConnectionName};
use crate::github_app::{Failure, Installation, path, query};

/// An account, as GitHub tells it.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub id: u64,
    pub login: String,
}

/// Which repositories an App was given: `all` or `selected`.
#[derive(Deserialize)]
struct Selection {
    repository_selection: Option<String>,
}

/// GitHub, as one connection sees it.
#[derive(Debug)]
pub(super) struct Hub {
    connection: ConnectionName,
    api: Installation,
}

impl Hub {
    pub(super) fn new(connection: ConnectionName, api: Installation) -> Self {
        Self { connection, api }
    }

    /// The account must be the one that was recorded: somebody else may have taken the login since. So must the one that has it already,
    /// where somebody has.
    pub(super) async fn login_for_giving(
        &self,
        account: &Account,
    ) -> Result<String, ProviderError> {
        let recorded = self.number(account)?;
        if let Some(said) = account.github_id.filter(|id| id.0 != recorded) {
            return Err(self.unknown(
                account,
                format!("account {recorded} holds it, and access/ says {said} by now: the grant cannot go on for another account"),
            ));
        }
        let what = format!("account @{}", account.name);
        match self.api.get::<User>(&what, &path(&["users", &account.name])).await {
            Ok(user) if user.id == recorded => Ok(user.login),
            Ok(user) => Err(self.unknown(
                account,
                format!(
                    "the login belongs to account {} now, not to {recorded} as access/people says. Find out whose it is, then \
                     correct access/people",
                    user.id
                ),
            )),
            Err(Failure::NotFound { .. }) => Err(self.unknown(
                account,
                "there is no such login any more; was the account renamed? Correct access/people",
            )),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// The login of now; `None` where GitHub shows no such account: it is gone, or hidden.
    pub(super) async fn login_for_taking(
        &self,
        account: &Account,
    ) -> Result<Option<String>, ProviderError> {
        let recorded = self.number(account)?.to_string();
        let what = format!("account {recorded}");
        let user: Option<User> = self.find(&what, &path(&["user", &recorded])).await?;
        Ok(user.map(|user| user.login))
    }

    /// GitHub calls accounts by login where they are to be changed: `login` must be the account's after that still.
    pub(super) async fn still_has(
        &self,
        account: &Account,
        login: &str,
    ) -> Result<(), ProviderError> {
        match self.login_for_taking(account).await? {
            Some(now) if !now.eq_ignore_ascii_case(login) => {
                let what = format!("what was done for @{login}");
                Err(self.without_effect(what, &format!("that the account is @{now} since")))
            }
            _ => Ok(()),
        }
    }

    /// The account's number: as it was when the access was given, or else as `access/` says.
    pub(super) fn number(&self, account: &Account) -> Result<u64, ProviderError> {
        match (&account.id, account.github_id) {
            (Some(id), _) => id.parse().map_err(|_| {
                self.unknown(account, format!("{id:?} is no number of an account"))
            }),
            (None, Some(id)) => Ok(id.0),
            (None, None) => Err(self.unknown(
                account,
                "no `github_id` is recorded for it in access/, so nobody can tell whose login it is",
            )),
        }
    }

    /// The number of what was given, where it is known.
    pub(super) fn given(&self, known: Option<&str>) -> Result<Option<u64>, ProviderError> {
        let number = |id: &str| {
            let odd = |_| self.refused(format!("{id:?} is no number of anything at GitHub"));
            id.parse().map_err(odd)
        };
        known.map(number).transpose()
    }

    /// What has the name of `what` now must be what somebody has already, where somebody has.
    pub(super) fn is_given(
        &self,
        what: &str,
        id: u64,
        known: Option<&str>,
    ) -> Result<(), ProviderError> {
        match self.given(known)? {
            Some(held) if held != id => Err(self.refused(format!(
                "{what} is number {id} by now, and what is held is number {held}: the grant cannot go on there. Correct the name in \
                 access/resources, or let the grant end and ask anew"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether the App is shown every repository of the organisation, so that one that it is not shown is not there.
    pub(super) async fn sees_every_repository(&self) -> Result<bool, ProviderError> {
        let route = query(
            &path(&["installation", "repositories"]),
            &[("per_page", "1")],
        );
        let found: Option<Selection> = self.find("repositories of the App", &route).await?;
        let selection = found.and_then(|found| found.repository_selection);
        Ok(selection.as_deref() == Some("all"))
    }

    /// One thing, or `None` where GitHub shows none: it is gone, or hidden.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
    ) -> Result<Option<T>, ProviderError> {
        match self.api.get(what, route).await {
            Ok(found) => Ok(Some(found)),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// A list, to its last page; [`ProviderError::Refused`] where GitHub shows none.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
    ) -> Result<Vec<T>, ProviderError> {
        self.api.list(what, route).await.map_err(|e| self.failed(e))
    }

    /// A list that GitHub wraps, to its last page; [`ProviderError::Refused`] where there is nothing that could have one.
    pub(super) async fn all_in<P: DeserializeOwned, T>(
        &self,
        what: &str,
        route: &str,
        rows: fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, ProviderError> {
        let found = self.api.list_in(what, route, rows).await;
        found.map_err(|e| self.failed(e))
    }

    /// Says something, or hears in GitHub's words why it would not be said now: nothing waits for it.
    pub(super) async fn say(
        &self,
        what: &str,
        route: &str,
        body: &impl Serialize,
    ) -> Result<Result<(), String>, ProviderError> {
        match self
            .api
            .post::<serde::de::IgnoredAny>(what, route, body)
            .await
        {
            Ok(_) => Ok(Ok(())),
            Err(Failure::Declined { words, .. }) => Ok(Err(words)),
            Err(Failure::NotFound { what }) => Ok(Err(format!("there is no {what}"))),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// The number of the App that speaks.
    pub(super) fn app_id(&self) -> u64 {
        self.api.app_id()
    }

    /// Puts something in place; `missing` says what it is a sign of when there is no such thing.
    pub(super) async fn put<T: DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
        body: &impl Serialize,
        missing: impl FnOnce() -> String,
    ) -> Result<T, ProviderError> {
        match self.api.put(what, route, body).await {
            Ok(found) => Ok(found),
            Err(Failure::NotFound { .. }) => Err(self.refused(missing())),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// Puts in place what the address says by itself; `missing` is as with [`Self::put`].
    pub(super) async fn assign(
        &self,
        what: &str,
        route: &str,
        missing: impl FnOnce() -> String,
    ) -> Result<(), ProviderError> {
        match self.api.assign(what, route).await {
            Ok(()) => Ok(()),
            Err(Failure::NotFound { .. }) => Err(self.refused(missing())),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// Removes something. What is gone already is as good.
    pub(super) async fn delete(&self, what: &str, route: &str) -> Result<(), ProviderError> {
        match self.api.delete(what, route).await {
            Ok(()) | Err(Failure::NotFound { .. }) => Ok(()),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    pub(super) fn refused(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::Refused {
            connection: self.connection.to_string(),
            reason: reason.into(),
        }
    }

    pub(super) fn unknown(&self, account: &Account, reason: impl Into<String>) -> ProviderError {
        ProviderError::UnknownSubject {
            connection: self.connection.to_string(),
            account: format!("@{}", account.name),
            reason: reason.into(),
        }
    }

    /// The call said yes, and the read-back says no.
    pub(super) fn without_effect(&self, what: String, found: &str) -> ProviderError {
        let connection = self.connection.to_string();
        ProviderError::Unavailable {
            connection,
            what,
            retry_at: None,
            source: format!("the read-back shows {found}").into(),
        }
    }

    fn failed(&self, failure: Failure) -> ProviderError {
        let connection = self.connection.to_string();
        match failure {
            Failure::Unavailable {
                what,
                retry_at,
                source,
            } => ProviderError::Unavailable {
                connection,
                what,
                retry_at,
                source,
            },
            Failure::Refused { what, reason } => ProviderError::Refused {
                connection,
                reason: format!("{what}: {reason}"),
            },
            Failure::NotFound { what } => ProviderError::Refused {
                connection,
                reason: format!(
                    "GitHub shows the App no {what}: it is not there, or a permission of the App is missing"
                ),
            },
            Failure::Declined { what, words, .. } => ProviderError::Refused {
                connection,
                reason: format!("{what}: {words}"),
            },
        }
    }
}
