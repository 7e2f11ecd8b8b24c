//! Who of a group's members may be an account, or a group that has it, where that cannot be asked for by name.
//!
//! Each member's entry is read and its id compared. One that cannot be read or compared is not taken for another.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use ldap3::ldap_escape;

use super::Ldap;
use super::account::Account;
use super::directory::{Directory, Entry};
use super::dn::Dn;
use super::group::{Group, MOST_GROUPS, PARALLEL, WANTED};
use crate::domain::model;
use crate::providers::ProviderError;

/// Whom to look for among the members.
#[derive(Clone, Copy)]
enum Who<'a> {
    /// An account that was found: only groups that have it are looked for.
    Found(&'a Account),
    /// One that was not.
    Lost(&'a model::Account),
}

/// What a member is.
enum Verdict {
    Its,
    Another,
    Group(Group),
    /// It may be it, and why that cannot be told.
    Perhaps(String),
}

/// What a group has of an account that cannot be found.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// The members that are the account.
    pub its: Vec<String>,
    /// By what other ways it has what the group gives, or may have it.
    pub ways: Vec<String>,
}

/// A look through a group, and what it needs at each member.
struct Look<'a> {
    ldap: &'a Ldap,
    who: Who<'a>,
    /// The trees that the directory holds.
    roots: Vec<Dn>,
}

impl Ldap {
    /// What the group has of an account that cannot be found.
    pub(super) async fn compared(
        &self,
        directory: &mut Directory,
        group: &Group,
        account: &model::Account,
    ) -> Result<Compared, ProviderError> {
        let look = self.look(directory, Who::Lost(account)).await?;
        let mut found = Compared::default();
        let members = look.members(directory, group).await?;
        for (member, verdict) in look.verdicts(directory, group, members).await? {
            match verdict {
                Verdict::Its => found.its.push(member),
                Verdict::Another => {}
                Verdict::Group(inner) => found.ways.extend(look.inside(directory, inner).await?),
                Verdict::Perhaps(why) => found.ways.push(format!("{member}, {why}")),
            }
        }
        Ok(found)
    }

    /// By what groups that stand elsewhere an account is in the group, or may be: those below the bases are asked
    /// for by name.
    pub(super) async fn beyond(
        &self,
        directory: &mut Directory,
        group: &Group,
        account: &Account,
    ) -> Result<Vec<String>, ProviderError> {
        if group.by_name {
            return Ok(Vec::new());
        }
        let look = self.look(directory, Who::Found(account)).await?;
        let bases = [&self.settings.accounts.1, &self.settings.groups.1];
        let is_below = |dn: &Dn| bases.iter().any(|base| dn.is_within(base));
        let mut members = look.members(directory, group).await?;
        if Dn::parse(&group.dn).as_ref().is_some_and(is_below) {
            members.retain(|member| !Dn::parse(member).as_ref().is_some_and(is_below));
        }
        let mut ways = Vec::new();
        for (member, verdict) in look.verdicts(directory, group, members).await? {
            match verdict {
                Verdict::Its | Verdict::Another => {}
                Verdict::Group(inner) => ways.extend(look.inside(directory, inner).await?),
                Verdict::Perhaps(why) => ways.push(format!("{member}, {why}")),
            }
        }
        Ok(ways)
    }

    async fn look<'a>(
        &'a self,
        directory: &mut Directory,
        who: Who<'a>,
    ) -> Result<Look<'a>, ProviderError> {
        let roots = directory.roots().await;
        let roots = roots.map_err(|error| self.fault("asking what the directory holds", error))?;
        let roots = roots.iter().filter_map(|root| Dn::parse(root)).collect();
        let ldap = self;
        Ok(Look { ldap, who, roots })
    }
}

impl Look<'_> {
    /// Everything that a group lists, but for the placeholder.
    async fn members(
        &self,
        directory: &mut Directory,
        group: &Group,
    ) -> Result<Vec<String>, ProviderError> {
        let mut members = self.ldap.members(directory, group).await?;
        members.retain(|member| !self.ldap.is_placeholder(group, member));
        Ok(members)
    }

    /// What each of these members of a group is.
    async fn verdicts(
        &self,
        directory: &Directory,
        group: &Group,
        members: Vec<String>,
    ) -> Result<Vec<(String, Verdict)>, ProviderError> {
        let look_ups = members.into_iter().map(|member| {
            let mut directory = directory.clone();
            async move {
                if self.is_named(&member) {
                    return Ok((member, Verdict::Its));
                }
                let entries = self.entries(&mut directory, group, &member).await?;
                let verdict = self.verdict(group, &member, &entries);
                Ok::<_, ProviderError>((member, verdict))
            }
        });
        stream::iter(look_ups)
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    /// Whether it is the name of the account that was found, which needs no look.
    fn is_named(&self, member: &str) -> bool {
        let Who::Found(account) = self.who else {
            return false;
        };
        let dn = Dn::parse(member);
        dn.is_some() && dn == Dn::parse(&account.dn)
    }

    /// The entry of a member, or the entries that have its name.
    async fn entries(
        &self,
        directory: &mut Directory,
        group: &Group,
        member: &str,
    ) -> Result<Vec<Entry>, ProviderError> {
        let wanted: BTreeSet<&str> = self
            .ldap
            .account_attributes()
            .into_iter()
            .chain(WANTED)
            .collect();
        let wanted: Vec<&str> = wanted.into_iter().collect();
        let found = match group.by_name {
            true => {
                let filter = format!("(uid={})", ldap_escape(member));
                let base = &self.ldap.settings.accounts.0;
                directory.below(base, &filter, &wanted).await
            }
            false => {
                let found = directory.entry(member, &wanted).await;
                found.map(|entry| entry.into_iter().collect())
            }
        };
        found.map_err(|error| self.ldap.fault("looking up a member", error))
    }

    fn verdict(&self, group: &Group, member: &str, entries: &[Entry]) -> Verdict {
        let account = match (self.who, entries) {
            (_, []) => return self.unread(group, member),
            (_, [entry, ..]) if !group.by_name && Group::read(entry).is_some() => {
                let inner = Group::read(entry).filter(|inner| !inner.by_name);
                return inner.map_or(Verdict::Another, Verdict::Group);
            }
            (Who::Found(_), _) => return Verdict::Another,
            (Who::Lost(account), _) => account,
        };
        let mut perhaps = None;
        for entry in entries {
            match self.compare(group, account, (member, entry)) {
                Verdict::Its => return Verdict::Its,
                Verdict::Perhaps(why) => perhaps = Some(why),
                Verdict::Another | Verdict::Group(_) => {}
            }
        }
        perhaps.map_or(Verdict::Another, Verdict::Perhaps)
    }

    /// A member of which there is nothing to be seen.
    fn unread(&self, group: &Group, member: &str) -> Verdict {
        let cannot = "which cannot be read: remove it if nothing is there, or let Hallpass read it";
        let settings = &self.ldap.settings;
        let dn = Dn::parse(member);
        let within = |base: &Dn| dn.as_ref().is_some_and(|dn| dn.is_within(base));
        let nothing = match self.who {
            // What grants write there is the name, and this is another.
            Who::Lost(account) if group.by_name => {
                let by_name = settings.account_attribute.eq_ignore_ascii_case("uid");
                by_name && member.to_lowercase() != account.name.to_lowercase()
            }
            Who::Lost(_) => false,
            Who::Found(_) => within(&settings.groups.1) || within(&settings.accounts.1),
        };
        let foreign = !group.by_name && !self.roots.is_empty() && !self.roots.iter().any(within);
        match nothing || foreign {
            true => Verdict::Another,
            false => Verdict::Perhaps(cannot.to_owned()),
        }
    }

    /// Whether the entry is the account that cannot be found.
    fn compare(
        &self,
        group: &Group,
        account: &model::Account,
        (member, entry): (&str, &Entry),
    ) -> Verdict {
        let attribute = &self.ldap.settings.account_attribute;
        let same = |text: &&str| text.to_lowercase() == account.name.to_lowercase();
        let named = Dn::parse(member).is_some_and(|dn| dn.is_named(attribute, &account.name))
            || group.by_name && same(&member);
        let Some(known) = &account.id else {
            let names = entry.values(attribute);
            return match (named || names.iter().any(same), names.is_empty()) {
                (true, _) => Verdict::Perhaps(format!(
                    "which has the name of {} and cannot be told from it",
                    account.name
                )),
                (false, true) => Verdict::Perhaps(format!(
                    "whose {attribute} cannot be read, so that it may be {}",
                    account.name
                )),
                (false, false) => Verdict::Another,
            };
        };
        let changed = group.changed.as_deref().and_then(seconds);
        let inherited = changed
            .zip(entry.made())
            .is_some_and(|(changed, made)| changed < made);
        match entry.id() {
            Some(id) if id == *known => Verdict::Its,
            // It was listed before it was there: what is listed was the account's before it.
            Some(_) if inherited && named => Verdict::Its,
            Some(_) if inherited => Verdict::Perhaps(format!(
                "which is newer than its place in the group, so that this may have been {}'s",
                account.name
            )),
            Some(_) => Verdict::Another,
            None => Verdict::Perhaps(format!(
                "whose id cannot be read, so that it may be {}",
                account.name
            )),
        }
    }

    /// By what ways the account is in a group within the group, or may be.
    async fn inside(
        &self,
        directory: &mut Directory,
        first: Group,
    ) -> Result<Vec<String>, ProviderError> {
        let way = format!("membership of {}, which is in it", first.dn);
        let (mut ways, mut seen) = (Vec::new(), BTreeSet::new());
        let mut open = vec![first];
        while let Some(next) = open.pop() {
            if !seen.insert(Dn::parse(&next.dn)) {
                continue;
            }
            if seen.len() > MOST_GROUPS {
                return Err(self
                    .ldap
                    .refused("the groups within the group are too many to look through"));
            }
            let members = self.members(directory, &next).await?;
            for (member, verdict) in self.verdicts(directory, &next, members).await? {
                match verdict {
                    Verdict::Its => ways.push(way.clone()),
                    Verdict::Another => {}
                    Verdict::Group(inner) => open.push(inner),
                    Verdict::Perhaps(why) => ways.push(format!("{member}, {why}")),
                }
            }
        }
        Ok(ways)
    }
}

impl Entry {
    /// When it was made, if the directory tells.
    fn made(&self) -> Option<u64> {
        seconds(self.values("createTimestamp").first()?)
    }
}

/// A generalized time in UTC as a number that grows with it: `20261130020000Z`, or `20261130020000.0Z`.
fn seconds(text: &str) -> Option<u64> {
    let whole = text.strip_suffix('Z')?.get(..14)?;
    whole.parse().ok()
}
