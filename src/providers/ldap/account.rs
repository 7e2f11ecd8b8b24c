//! Accounts: found by name or by what stays when they are renamed.

use ldap3::ldap_escape;

use super::Ldap;
use super::directory::{Directory, Entry, with_id};
use crate::providers::ProviderError;

/// An account as it was found.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// Its distinguished name, as the directory writes it.
    pub dn: String,
    /// What `identities` calls it: of several values of the attribute, the first in alphabetical order.
    pub name: String,
    /// Its names to groups that list names.
    pub uids: Vec<String>,
    /// What stays when it is renamed.
    pub id: Option<String>,
    /// The number of its primary group on POSIX systems.
    pub gid: Option<String>,
    /// The number of its primary group in Active Directory.
    pub primary_group: Option<String>,
}

impl Ldap {
    /// What to ask for of an account.
    pub(super) fn account_attributes(&self) -> [&str; 6] {
        let attribute = self.settings.account_attribute.as_str();
        let (gid, primary) = ("gidNumber", "primaryGroupID");
        [attribute, "uid", "entryUUID", "objectGUID", gid, primary]
    }

    /// An account, if the entry has the attribute by which accounts are named.
    pub(super) fn account_in(&self, entry: &Entry) -> Option<Account> {
        let one = |attribute| entry.values(attribute).first().map(|v| (*v).to_owned());
        let mut uids: Vec<String> = entry.values("uid").into_iter().map(str::to_owned).collect();
        uids.sort();
        let name = entry
            .values(&self.settings.account_attribute)
            .into_iter()
            .min()?
            .to_owned();
        Some(Account {
            dn: entry.dn().to_owned(),
            name,
            uids,
            id: entry.id(),
            gid: one("gidNumber"),
            primary_group: one("primaryGroupID"),
        })
    }

    /// The accounts that match.
    async fn accounts(
        &self,
        directory: &mut Directory,
        filter: &str,
    ) -> Result<Vec<Account>, ProviderError> {
        let base = &self.settings.accounts.0;
        let wanted = self.account_attributes();
        let found = directory.below(base, filter, &wanted);
        let found = found
            .await
            .map_err(|e| self.fault("looking up the account", e))?;
        if found.is_empty() {
            self.sees(directory, base).await?;
        }
        Ok(found.iter().filter_map(|e| self.account_in(e)).collect())
    }

    async fn named(
        &self,
        directory: &mut Directory,
        name: &str,
    ) -> Result<Vec<Account>, ProviderError> {
        if name.is_empty() || name.contains('\0') {
            return Ok(Vec::new());
        }
        let attribute = &self.settings.account_attribute;
        let filter = format!("({attribute}={})", ldap_escape(name));
        self.accounts(directory, &filter).await
    }

    /// An entry that is hidden looks like one that is gone. Whoever sees the base sees what is below, by our page's advice.
    pub(super) async fn sees(
        &self,
        directory: &mut Directory,
        base: &str,
    ) -> Result<(), ProviderError> {
        let found = directory.entry(base, &["objectClass"]).await;
        match found.map_err(|error| self.fault("looking up the base", error))? {
            Some(_) => Ok(()),
            None => Err(self.refused(format!(
                "there is nothing at {base:?}, or the account that Hallpass connects with may not read it"
            ))),
        }
    }

    /// The account to give something to.
    pub(super) async fn fit(
        &self,
        directory: &mut Directory,
        name: &str,
    ) -> Result<Account, ProviderError> {
        let mut found = self.named(directory, name).await?;
        let (attribute, base) = (&self.settings.account_attribute, &self.settings.accounts.0);
        let account = match (found.pop(), found.is_empty()) {
            (None, _) => {
                return Err(self.unknown(name, format!("no entry below {base:?} has this {attribute}; create the account, or correct the person's file")));
            }
            (Some(_), false) => {
                return Err(self.unknown(
                    name,
                    format!("several entries below {base:?} have this {attribute}"),
                ));
            }
            (Some(account), true) => account,
        };
        if account.name != name {
            return Err(self.unknown(
                name,
                format!("it must be written {:?}: two spellings of one account would be two holders of one access", account.name),
            ));
        }
        Ok(account)
    }

    /// The account that something was given to, whatever it is called by now; `None` where it is gone.
    pub(super) async fn located(
        &self,
        directory: &mut Directory,
        name: &str,
        id: Option<&str>,
    ) -> Result<Option<Account>, ProviderError> {
        let mut found = match id {
            Some(id) => self.accounts(directory, &with_id(id)).await?,
            None => self.named(directory, name).await?,
        };
        if found.len() > 1 {
            return Err(self.unknown(
                name,
                "several entries have this name; it is not clear whose membership to end",
            ));
        }
        Ok(found.pop())
    }

    /// Whether nobody has this name.
    pub(super) async fn is_free(
        &self,
        directory: &mut Directory,
        name: &str,
    ) -> Result<bool, ProviderError> {
        Ok(self.named(directory, name).await?.is_empty())
    }
}
