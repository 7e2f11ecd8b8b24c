//! Groups, in the ways that directories keep them, and who is in them.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use ldap3::ldap_escape;

use super::Ldap;
use super::account::Account;
use super::directory::{Directory, ENTRY_ID, Entry, OBJECT_ID, too_many, with_id};
use super::dn::Dn;
use crate::domain::ledger::Holder;
use crate::providers::ProviderError;
use crate::providers::limits::MOST;

/// How many members are looked up at the same time.
pub(super) const PARALLEL: usize = 16;

/// How many groups are looked through for one that contains another.
pub(super) const MOST_GROUPS: usize = 2000;

/// A group as it was found.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub dn: String,
    /// The attribute that lists its members.
    pub attribute: &'static str,
    /// Whether it lists names, not distinguished names.
    pub by_name: bool,
    /// Whether Active Directory counts it among those that administer the domain.
    pub protected: bool,
    /// What stays when it is renamed.
    pub id: Option<String>,
    /// When it was last changed, as the directory writes it.
    pub changed: Option<String>,
    gid: Option<String>,
    token: Option<String>,
}

/// What to ask for of a group.
pub(super) const WANTED: [&str; 7] = [
    "objectClass",
    "adminCount",
    "gidNumber",
    "primaryGroupToken",
    "modifyTimestamp",
    ENTRY_ID,
    OBJECT_ID,
];

impl Group {
    pub fn read(entry: &Entry) -> Option<Self> {
        let classes = entry.values("objectClass");
        let is = |class: &str| classes.iter().any(|c| c.eq_ignore_ascii_case(class));
        let (attribute, by_name) = if is("groupOfNames") || is("group") {
            ("member", false)
        } else if is("groupOfUniqueNames") {
            ("uniqueMember", false)
        } else if is("posixGroup") {
            ("memberUid", true)
        } else {
            return None;
        };
        let one = |attribute| entry.values(attribute).first().map(|v| (*v).to_owned());
        Some(Self {
            dn: entry.dn().to_owned(),
            attribute,
            by_name,
            protected: one("adminCount").is_some_and(|count| count == "1"),
            id: entry.id(),
            changed: one("modifyTimestamp"),
            gid: one("gidNumber").filter(|_| is("posixGroup")),
            token: one("primaryGroupToken"),
        })
    }

    /// What it lists for the account.
    pub fn value<'a>(&self, account: &'a Account) -> Option<&'a str> {
        match self.by_name {
            true => account.uids.first().map(String::as_str),
            false => Some(&account.dn),
        }
    }
}

impl Ldap {
    /// The group of this name; `None` where there is none.
    pub(super) async fn group(
        &self,
        directory: &mut Directory,
        dn: &str,
    ) -> Result<Option<Group>, ProviderError> {
        let (base, within) = &self.settings.groups;
        if !Dn::parse(dn).is_some_and(|dn| dn.is_within(within)) {
            return Err(self.refused(format!(
                "{dn:?} is not the distinguished name of a group below {base:?}"
            )));
        }
        let found = directory.entry(dn, &WANTED).await;
        let found = found.map_err(|error| self.fault("looking up the group", error))?;
        let Some(found) = found else {
            self.sees(directory, base).await?;
            return Ok(None);
        };
        self.read_group(&found).map(Some)
    }

    fn read_group(&self, entry: &Entry) -> Result<Group, ProviderError> {
        Group::read(entry).ok_or_else(|| {
            self.refused(format!(
                "{:?} is none of groupOfNames, groupOfUniqueNames, posixGroup, group",
                entry.dn()
            ))
        })
    }

    /// The group that something was given by, whatever it is called by now and wherever it stands; `None` where it is gone.
    pub(super) async fn given_group(
        &self,
        directory: &mut Directory,
        dn: &str,
        id: Option<&str>,
    ) -> Result<Option<Group>, ProviderError> {
        let Some(id) = id else {
            return self.group(directory, dn).await;
        };
        let failed = |error| self.fault("looking up the group", error);
        let base = &self.settings.groups.0;
        let found = directory.below(base, &with_id(id), &WANTED).await;
        if let Some(found) = found.map_err(failed)?.pop() {
            return self.read_group(&found).map(Some);
        }
        self.sees_ids(directory, base).await?;
        if let Some(moved) = self.anywhere(directory, id, &WANTED).await? {
            return self.read_group(&moved).map(Some);
        }
        let named = directory.entry(dn, &WANTED).await.map_err(failed)?;
        match named {
            Some(named) if named.id().is_none() => Err(self.refused(format!(
                "the account that Hallpass connects with may not read {ENTRY_ID} (in Active Directory {OBJECT_ID}) of {dn:?}, so that it cannot be told from another"
            ))),
            _ => Ok(None),
        }
    }

    /// Whether the directory counts the account as a direct member.
    pub(super) async fn is_member(
        &self,
        directory: &mut Directory,
        group: &Group,
        account: &Account,
    ) -> Result<bool, ProviderError> {
        let values = self.values(directory, group, account).await?;
        Ok(!values.is_empty())
    }

    /// What the group lists of the account. Names count in any case: that is how directories find accounts.
    pub(super) async fn values(
        &self,
        directory: &mut Directory,
        group: &Group,
        account: &Account,
    ) -> Result<Vec<String>, ProviderError> {
        if !group.by_name {
            let is_member = self.is_one_by_dn(directory, group, account).await?;
            return Ok(is_member.then(|| account.dn.clone()).into_iter().collect());
        }
        let names: BTreeSet<String> = account.uids.iter().map(|uid| uid.to_lowercase()).collect();
        let members = self.members(directory, group).await?;
        let own = members.into_iter();
        Ok(own.filter(|m| names.contains(&m.to_lowercase())).collect())
    }

    async fn is_one_by_dn(
        &self,
        directory: &mut Directory,
        group: &Group,
        account: &Account,
    ) -> Result<bool, ProviderError> {
        let filter = format!("({}={})", group.attribute, ldap_escape(&*account.dn));
        let found = directory
            .matching(&group.dn, &filter, &["objectClass"])
            .await;
        let found = found.map_err(|error| self.fault("reading the membership", error))?;
        Ok(found.is_some())
    }

    /// Everything that the group lists, the placeholder too. Active Directory tells long lists in parts; one of more than [`MOST`] is
    /// refused.
    pub(super) async fn members(
        &self,
        directory: &mut Directory,
        group: &Group,
    ) -> Result<Vec<String>, ProviderError> {
        let failed = |error| self.fault("listing the members", error);
        let mut members = Vec::new();
        let mut wanted = group.attribute.to_owned();
        loop {
            let found = directory
                .entry(&group.dn, &[&wanted])
                .await
                .map_err(failed)?;
            let Some(found) = found else { break };
            let (part, next) = found
                .range(group.attribute)
                .unwrap_or_else(|| (found.values(group.attribute), None));
            if members.len() + part.len() > MOST {
                return Err(failed(too_many()));
            }
            members.extend(part.into_iter().map(str::to_owned));
            match next {
                Some(next) => wanted = format!("{};range={next}-*", group.attribute),
                None => break,
            }
        }
        Ok(members)
    }

    /// Whether it stands in a group that has no other member.
    pub(super) fn is_placeholder(&self, group: &Group, member: &str) -> bool {
        let placeholder = self.settings.placeholder.as_ref().map(|(_, dn)| dn);
        let dn = Dn::parse(member);
        !group.by_name && dn.is_some() && dn.as_ref() == placeholder
    }

    /// Refuses to empty a group that administers the domain, but for the placeholder and our own account. Hallpass gives no such
    /// group; it may have become one since, or have been given by hand where a resource enforces what the repository says. The caller has
    /// the group's turn until the account is removed: two who look at the same time would each see the other.
    pub(super) async fn not_the_last(
        &self,
        directory: &mut Directory,
        group: &Group,
        account: &str,
    ) -> Result<(), ProviderError> {
        if !group.protected {
            return Ok(());
        }
        let own = Dn::parse(&self.settings.bind_dn);
        let placeholder = self.settings.placeholder.as_ref().map(|(_, dn)| dn);
        let mine = Dn::parse(account);
        let counts = |member: &String| {
            let dn = Dn::parse(member);
            dn != own && dn.as_ref() != placeholder && dn != mine
        };
        if self.members(directory, group).await?.iter().any(counts) {
            return Ok(());
        }
        Err(self.refused(format!(
            "{account:?} is the last member of {:?}, which administers the domain (adminCount is 1); make somebody else a member first",
            group.dn
        )))
    }

    /// What an account that is gone left in the group: whoever is given its name next would have the membership.
    pub(super) async fn left_behind(
        &self,
        directory: &mut Directory,
        group: &Group,
        name: &str,
    ) -> Result<Vec<String>, ProviderError> {
        if !self.is_free(directory, name).await? {
            return Ok(Vec::new());
        }
        let mut left = Vec::new();
        let attribute = &self.settings.account_attribute;
        for member in self.members(directory, group).await? {
            if group.by_name {
                let named = member.to_lowercase() == name.to_lowercase();
                let same = attribute.eq_ignore_ascii_case("uid") && named;
                left.extend(same.then_some(member));
                continue;
            }
            let named = Dn::parse(&member).is_some_and(|dn| {
                dn.is_named(attribute, name) && dn.is_within(&self.settings.accounts.1)
            });
            if named {
                let found = directory.entry(&member, &["objectClass"]).await;
                let found = found.map_err(|error| self.fault("looking up a member", error))?;
                left.extend(found.is_none().then_some(member));
            }
        }
        Ok(left)
    }

    /// Each member under the name by which `identities` knows it; one that is no account (a group, a name of nobody) as it is listed.
    pub(super) async fn holders_of(
        &self,
        directory: &Directory,
        group: &Group,
        members: Vec<String>,
    ) -> Result<Vec<Holder>, ProviderError> {
        let look_ups = members.into_iter().map(|member| {
            let mut directory = directory.clone();
            async move {
                let (name, id) = self.holder(&mut directory, group, &member).await?;
                let name = name.unwrap_or(member);
                let pending = false;
                Ok::<_, ProviderError>(Holder { name, id, pending })
            }
        });
        let mut holders: Vec<Holder> = stream::iter(look_ups)
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        holders.sort();
        holders.dedup();
        Ok(holders)
    }

    async fn holder(
        &self,
        directory: &mut Directory,
        group: &Group,
        member: &str,
    ) -> Result<(Option<String>, Option<String>), ProviderError> {
        let failed = |error| self.fault("looking up a member", error);
        let wanted = self.account_attributes();
        let found = if group.by_name {
            let (base, filter) = (
                &self.settings.accounts.0,
                format!("(uid={})", ldap_escape(member)),
            );
            let mut found = directory
                .below(base, &filter, &wanted)
                .await
                .map_err(failed)?;
            found.pop().filter(|_| found.is_empty())
        } else {
            directory.entry(member, &wanted).await.map_err(failed)?
        };
        let Some(found) = found else {
            return Ok((None, None));
        };
        let ours = Dn::parse(found.dn()).is_some_and(|dn| dn.is_within(&self.settings.accounts.1));
        let account = self.account_in(&found).filter(|_| ours);
        Ok((account.map(|account| account.name), found.id()))
    }

    /// By what other ways the account is in the group: groups within it, and its primary group.
    pub(super) async fn ways(
        &self,
        directory: &mut Directory,
        group: &Group,
        account: &Account,
    ) -> Result<Vec<String>, ProviderError> {
        let mut ways = Vec::new();
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        if same(&group.gid, &account.gid) || same(&group.token, &account.primary_group) {
            ways.push("its primary group, which this is".to_owned());
        }
        let target = Dn::parse(&group.dn);
        let mut seen = BTreeSet::new();
        // Each group with the one of the account's own groups that leads to it.
        let mut open = vec![(account.dn.clone(), None::<String>)];
        while let Some((inner, via)) = open.pop() {
            for outer in self.groups_with(directory, &inner).await? {
                let dn = Dn::parse(&outer);
                let first = via.clone().unwrap_or_else(|| outer.clone());
                if dn == target {
                    ways.push(format!("membership of {first}, which is in it"));
                } else if seen.insert(dn) {
                    open.push((outer, Some(first)));
                }
            }
            if seen.len() > MOST_GROUPS {
                return Err(self.refused(format!(
                    "the groups of {} are too many to look through",
                    account.name
                )));
            }
        }
        ways.sort();
        ways.dedup();
        Ok(ways)
    }

    /// The groups that list this entry, below the bases of groups and of accounts.
    async fn groups_with(
        &self,
        directory: &mut Directory,
        dn: &str,
    ) -> Result<Vec<String>, ProviderError> {
        let value = ldap_escape(dn);
        let filter = format!("(|(member={value})(uniqueMember={value}))");
        let (groups, accounts) = (&self.settings.groups, &self.settings.accounts);
        let bases = match (
            groups.1.is_within(&accounts.1),
            accounts.1.is_within(&groups.1),
        ) {
            (true, _) => vec![&accounts.0],
            (_, true) => vec![&groups.0],
            _ => vec![&groups.0, &accounts.0],
        };
        let mut found = Vec::new();
        for base in bases {
            let below = directory.below(base, &filter, &["objectClass"]).await;
            let below =
                below.map_err(|error| self.fault("looking for groups within groups", error))?;
            found.extend(below.iter().map(|entry| entry.dn().to_owned()));
        }
        Ok(found)
    }
}
