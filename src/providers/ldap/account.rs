//! Accounts: found by name or by what stays when they are renamed.

use ldap3::ldap_escape;

use super::Ldap;
use super::directory::{Directory, ENTRY_ID, Entry, OBJECT_ID, with_id};
use super::dn::Dn;
use crate::domain::model;
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

impl Account {
    /// Whatever the entry is, under its distinguished name.
    fn of(entry: &Entry) -> Self {
        let one = |attribute| entry.values(attribute).first().map(|v| (*v).to_owned());
        let mut uids: Vec<String> = entry.values("uid").into_iter().map(str::to_owned).collect();
        uids.sort();
        Self {
            dn: entry.dn().to_owned(),
            name: entry.dn().to_owned(),
            uids,
            id: entry.id(),
            gid: one("gidNumber"),
            primary_group: one("primaryGroupID"),
        }
    }
}

impl Ldap {
    /// What to ask for of an account.
    pub(super) fn account_attributes(&self) -> [&str; 7] {
        let attribute = self.settings.account_attribute.as_str();
        let [made, gid, primary] = ["createTimestamp", "gidNumber", "primaryGroupID"];
        [attribute, "uid", ENTRY_ID, OBJECT_ID, made, gid, primary]
    }

    /// An account, if the entry has the attribute by which accounts are named.
    pub(super) fn account_in(&self, entry: &Entry) -> Option<Account> {
        let names = entry.values(&self.settings.account_attribute);
        let name = (*names.iter().min()?).to_owned();
        Some(Account {
            name,
            ..Account::of(entry)
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

    /// The same for what is searched by its id, which may be hidden where names are not.
    pub(super) async fn sees_ids(
        &self,
        directory: &mut Directory,
        base: &str,
    ) -> Result<(), ProviderError> {
        self.sees(directory, base).await?;
        let found = directory.entry(base, &[ENTRY_ID, OBJECT_ID]).await;
        let found = found.map_err(|error| self.fault("looking up the base", error))?;
        match found.and_then(|base| base.id()) {
            Some(_) => Ok(()),
            None => Err(self.refused(format!(
                "the account that Hallpass connects with may not read {ENTRY_ID} (in Active Directory {OBJECT_ID}) at {base:?}, so that nothing can be told by its id"
            ))),
        }
    }

    /// What has this id, wherever we may see it in the trees that hold accounts and groups.
    pub(super) async fn anywhere(
        &self,
        directory: &mut Directory,
        id: &str,
        wanted: &[&str],
    ) -> Result<Option<Entry>, ProviderError> {
        let failed = |error| self.fault("looking outside the base", error);
        let bases = [&self.settings.accounts.1, &self.settings.groups.1];
        for root in directory.roots().await.map_err(failed)? {
            let holds = |root: &Dn| bases.iter().any(|base| base.is_within(root));
            if !Dn::parse(&root).as_ref().is_some_and(holds) {
                continue;
            }
            let found = directory.seen_below(&root, &with_id(id), wanted).await;
            if let Some(found) = found.map_err(failed)?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The account to give something to, if it is the one whose access goes on where one does.
    pub(super) async fn fit(
        &self,
        directory: &mut Directory,
        named: &model::Account,
    ) -> Result<Account, ProviderError> {
        let name = named.name.as_str();
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
        if named.id.is_some() && named.id != account.id {
            return Err(self.unknown(
                name,
                "it is another account than the one whose access goes on, or its id cannot be read; let that end, and ask anew",
            ));
        }
        Ok(account)
    }

    /// The account that something was given to, whatever it is called by now and wherever it stands; `None` where it cannot be found.
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
        if let (true, Some(id)) = (found.is_empty(), id) {
            self.sees_ids(directory, &self.settings.accounts.0).await?;
            let wanted = self.account_attributes();
            let moved = self.anywhere(directory, id, &wanted).await?;
            return Ok(moved.map(|entry| self.account_in(&entry).unwrap_or(Account::of(&entry))));
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
