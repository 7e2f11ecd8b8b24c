//! Membership of groups in an LDAP directory: `groupOfNames`, `groupOfUniqueNames`, `posixGroup`, and Active Directory's `group`.
//!
//! Invariants: an account is searched by its name, escaped, and everything after that is done to the entry that was found; whether it
//! is a member is asked as a filter, so that the directory compares names by its own rules. What a change did is read back. Nothing
//! goes over the network unprotected.
//!
//! A directory that hides an entry says that there is none. So an entry counts as gone only where the base that it stands below is
//! seen; and an account only where no member of the group can be it.

mod account;
mod compare;
mod directory;
mod dn;
mod fault;
mod group;
mod removal;
mod trust;
mod used;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::ClientConfig;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::turns::Turns;
use super::{Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{self, Access, ConnectionName};
use crate::domain::target::{Change, Kind, Names, Order};
use account::Account;
use directory::Directory;
use dn::Dn;
use trust::{is_local, trusting};

/// LDAP directories.
pub const KIND: Kind = Kind {
    name: "ldap",
    gives: "membership of a group",
    entitlement: r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "What an LDAP connection gives",
  "type": "object",
  "properties": {
    "group": {
      "description": "The distinguished name of the group that the account becomes a member of.",
      "type": "string",
      "minLength": 1,
      "maxLength": 1024
    }
  },
  "required": ["group"],
  "additionalProperties": false
}"#,
    residual: "What reads the directory decides how often: a host's cache commonly an hour and a half, a Kerberos ticket of Active Directory until it ends, commonly ten hours.",
    native_expiry: None,
    names: Names::CaseInsensitive,
};

/// How long one call may take in all.
const CALL: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entitlement {
    group: String,
}

/// A directory, as whom to speak to it, and where in it to look.
#[derive(Debug, Clone)]
pub struct Connecting {
    /// `ldaps://host` or `ldap://host`.
    pub url: Url,
    /// Whether an `ldap:` connection is protected before anything is said.
    pub starttls: bool,
    /// The certificates of the only authorities to trust, as PEM; those of the system where left out.
    pub ca: Option<String>,
    /// Whom to bind as.
    pub bind_dn: String,
    /// Its password.
    pub password: SecretString,
    /// Where the accounts are.
    pub accounts: String,
    /// The attribute that holds what `identities` says.
    pub account_attribute: String,
    /// Where the groups are; no other is touched.
    pub groups: String,
    /// Stands in a group that must have a member when it has no other; nobody's name.
    pub placeholder: Option<String>,
}

/// What is true of a connection, checked.
#[derive(Debug)]
struct Settings {
    url: Url,
    starttls: bool,
    tls: Option<Arc<ClientConfig>>,
    bind_dn: String,
    password: SecretString,
    accounts: (String, Dn),
    account_attribute: String,
    groups: (String, Dn),
    placeholder: Option<(String, Dn)>,
}

/// One directory.
#[derive(Debug)]
pub struct Ldap {
    connection: ConnectionName,
    settings: Settings,
    turns: Turns,
}

impl Ldap {
    /// A directory. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] when the address is not protected, a distinguished name is none, or the certificates cannot be read.
    pub fn new(connection: ConnectionName, how: Connecting) -> Result<Self, ProviderError> {
        let refused = |reason: String| ProviderError::Refused {
            connection: connection.to_string(),
            reason,
        };
        let named = |text: String| match Dn::parse(&text) {
            Some(dn) => Ok((text, dn)),
            None => Err(refused(format!("{text:?} is no distinguished name"))),
        };
        let protected = how.url.scheme() == "ldaps" || how.starttls;
        if how.url.host_str().is_none_or(str::is_empty) || !(protected || is_local(&how.url)) {
            return Err(refused(
                "its address must be ldaps://host, or ldap://host with starttls".to_owned(),
            ));
        }
        let tls = how.ca.as_deref().map(trusting).transpose();
        let settings = Settings {
            starttls: how.starttls,
            tls: tls.map_err(|why| refused(format!("ca_file cannot be used: {why}")))?,
            bind_dn: named(how.bind_dn)?.0,
            password: how.password,
            accounts: named(how.accounts)?,
            account_attribute: how.account_attribute,
            groups: named(how.groups)?,
            placeholder: how.placeholder.map(named).transpose()?,
            url: how.url,
        };
        Ok(Self {
            connection,
            settings,
            turns: Turns::default(),
        })
    }

    fn entitlement(&self, value: &serde_json::Value) -> Result<Entitlement, ProviderError> {
        Entitlement::deserialize(value).map_err(|error| {
            self.refused(format!(
                "the entitlement must look like {{ \"group\": \"cn=on-call,ou=groups,dc=example,dc=org\" }}: {error}"
            ))
        })
    }

    fn refused(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::Refused {
            connection: self.connection.to_string(),
            reason: reason.into(),
        }
    }

    fn unknown(&self, account: &str, reason: impl Into<String>) -> ProviderError {
        let (connection, account) = (self.connection.to_string(), account.to_owned());
        ProviderError::UnknownSubject {
            connection,
            account,
            reason: reason.into(),
        }
    }

    /// Runs a whole call, but not for ever.
    async fn within<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        match tokio::time::timeout(CALL, call).await {
            Ok(result) => result,
            Err(elapsed) => Err(ProviderError::Unavailable {
                connection: self.connection.to_string(),
                what: format!("{what}: no answer in {} seconds", CALL.as_secs()),
                retry_at: None,
                source: Box::new(elapsed),
            }),
        }
    }

    async fn open(&self) -> Result<Directory, ProviderError> {
        let opened = Directory::open(&self.settings).await;
        opened.map_err(|error| self.fault("connecting", error))
    }

    /// Whether it is the account that Hallpass binds as, or the placeholder: nobody's to have anything.
    fn is_nobodys(&self, account: &Account) -> Result<(), ProviderError> {
        let dn = Dn::parse(&account.dn);
        let placeholder = self.settings.placeholder.as_ref().map(|(_, dn)| dn);
        if dn == Dn::parse(&self.settings.bind_dn) {
            return Err(self.refused(format!(
                "{:?} is the account that Hallpass itself connects with",
                account.name
            )));
        }
        if dn.is_some() && dn.as_ref() == placeholder {
            return Err(self.refused(format!(
                "{:?} is the placeholder of groups without members; name one that is nobody's",
                account.name
            )));
        }
        Ok(())
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?.group;
        let mut directory = self.open().await?;
        let group = self.group(&mut directory, &wanted).await?;
        let group = group.ok_or_else(|| self.no_group(&wanted))?;
        if group.protected {
            return Err(self.refused(format!(
                "the group {wanted:?} is one of those that administer the domain (adminCount is 1); Hallpass does not give such groups"
            )));
        }
        if access.entitlement_id.is_some() && access.entitlement_id != group.id {
            return Err(self.refused(format!(
                "{wanted:?} is another group than the one that was given and goes on, or its id cannot be read; let that end, and ask for this one anew"
            )));
        }
        let account = self.fit(&mut directory, &access.account).await?;
        self.is_nobodys(&account)?;
        let value = group.value(&account).ok_or_else(|| {
            self.unknown(
                &account.name,
                format!("it has no uid, by which {wanted:?} names its members"),
            )
        })?;
        if !self.is_member(&mut directory, &group, &account).await? {
            let what = format!("making {} a member", account.name);
            let added = [value];
            let changed = directory.change(&group.dn, group.attribute, &added, &[]);
            let changed = changed.await.map_err(|error| self.fault(&what, error))?;
            // Success, "value exists", and what Active Directory says for that.
            if !matches!(changed.rc, 0 | 20 | 68) {
                return Err(self.said_no(&what, changed));
            }
        }
        if !self.is_member(&mut directory, &group, &account).await? {
            return Err(self.refused(format!(
                "{} is no member of {wanted} although the directory made it one",
                account.name
            )));
        }
        Ok(Granted {
            read_back: format!("{} is a member of {wanted}", account.name),
            pending: None,
            account_id: account.id,
            entitlement_id: group.id,
        })
    }

    fn no_group(&self, wanted: &str) -> ProviderError {
        self.refused(format!(
            "there is no group {wanted:?}; create it, or correct the resource"
        ))
    }

    async fn list(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        let wanted = self.entitlement(entitlement)?.group;
        let mut directory = self.open().await?;
        let group = self.group(&mut directory, &wanted).await?;
        let group = group.ok_or_else(|| self.no_group(&wanted))?;
        let mut members = self.members(&mut directory, &group).await?;
        members.retain(|member| !self.is_placeholder(&group, member));
        self.holders_of(&directory, &group, members).await
    }
}

#[async_trait]
impl Provider for Ldap {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    async fn grant(&self, approved: &Approved, _: &Order) -> Result<Granted, ProviderError> {
        self.within("granting", self.give(approved.access())).await
    }

    async fn revoke(&self, access: &Access, _: &Order) -> Result<Revoked, ProviderError> {
        self.within("revoking", self.take(access)).await
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        let group = access.entitlement["group"].as_str().unwrap_or_default();
        let (attribute, base) = (&self.settings.account_attribute, &self.settings.accounts.0);
        let account = &access.account.name;
        let (verb, side) = match change {
            Change::Grant => ("add", "to"),
            Change::Revoke => ("delete", "from"),
        };
        vec![
            format!("search {attribute} = {account} below {base:?}"),
            format!("modify {group:?}: {verb} what was found {side} its members"),
        ]
    }

    async fn has_account(&self, account: &model::Account) -> Result<Option<bool>, ProviderError> {
        let found = async {
            let mut directory = self.open().await?;
            Ok(Some(!self.is_free(&mut directory, &account.name).await?))
        };
        self.within("looking up", found).await
    }

    async fn last_used(
        &self,
        account: &model::Account,
    ) -> Result<Option<model::Instant>, ProviderError> {
        self.within("looking up", self.used(account)).await
    }

    async fn holders(&self, entitlement: &serde_json::Value) -> Result<Vec<Holder>, ProviderError> {
        self.within("listing", self.list(entitlement)).await
    }
}
