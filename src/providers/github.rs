//! What the kinds of GitHub share: whose login it is, and what GitHub's answers mean.
//!
//! A login is only a label. Before anything is given, the login must still be the account that `access/` recorded; before anything is
//! taken, the account's login of now is asked for. A login that somebody else took over gets nothing.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ProviderError;
use crate::domain::model::{Account, ConnectionName, UserId};
use crate::github_app::{Failure, Installation, path};

/// An account, as GitHub tells it.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub id: u64,
    pub login: String,
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

    /// The account must be the one that was recorded: somebody else may have taken the login since.
    pub(super) async fn login_for_giving(
        &self,
        account: &Account,
    ) -> Result<String, ProviderError> {
        let recorded = self.recorded(account)?;
        let what = format!("account @{}", account.name);
        match self.api.get::<User>(&what, &path(&["users", &account.name])).await {
            Ok(user) if UserId(user.id) == recorded => Ok(user.login),
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

    /// The login of now; `None` when the account is gone.
    pub(super) async fn login_for_taking(
        &self,
        account: &Account,
    ) -> Result<Option<String>, ProviderError> {
        let recorded = self.recorded(account)?.to_string();
        let what = format!("account {recorded}");
        let user: Option<User> = self.find(&what, &path(&["user", &recorded])).await?;
        Ok(user.map(|user| user.login))
    }

    fn recorded(&self, account: &Account) -> Result<UserId, ProviderError> {
        account.github_id.ok_or_else(|| {
            self.unknown(account, "no `github_id` is recorded for it in access/, so nobody can tell whose login it is")
        })
    }

    /// One thing, or `None` where GitHub shows none.
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

    /// A list, to its last page.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
    ) -> Result<Vec<T>, ProviderError> {
        self.api.list(what, route).await.map_err(|e| self.failed(e))
    }

    /// A list, to its last page, or `None` where there is nothing that could have one.
    pub(super) async fn all_of<T: DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
    ) -> Result<Option<Vec<T>>, ProviderError> {
        match self.api.list(what, route).await {
            Ok(found) => Ok(Some(found)),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(self.failed(failure)),
        }
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
                reason: format!("there is no {what}"),
            },
            Failure::Declined { what, words, .. } => ProviderError::Refused {
                connection,
                reason: format!("{what}: {words}"),
            },
        }
    }
}
