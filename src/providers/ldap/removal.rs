//! The end of a membership: of the account that has the id that was read when it was given, in the group that has, whatever both are
//! called by now.

use ldap3::LdapResult;

use super::directory::Directory;
use super::dn::Dn;
use super::group::Group;
use super::{Ldap, account::Account};
use crate::domain::ledger::Revoked;
use crate::domain::model::{self, Access};
use crate::providers::ProviderError;

/// `noSuchAttribute`: it is no member.
const NO_SUCH_VALUE: u32 = 16;

/// `invalidAttributeSyntax`: no group can list it.
const NO_VALUE: u32 = 21;

/// `unwillingToPerform`: what Active Directory says of who is no member.
const UNWILLING: u32 = 53;

/// `objectClassViolation`: a group that must have a member would have none.
const LAST_MEMBER: u32 = 65;

/// What is being done when a member is removed.
const ENDING: &str = "ending the membership";

impl Ldap {
    pub(super) async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let wanted = self.entitlement(&access.entitlement)?.group;
        let given = access.entitlement_id.as_deref();
        let mut directory = self.open().await?;
        let group = self.given_group(&mut directory, &wanted, given).await?;
        let Some(group) = group else {
            return Ok(Revoked {
                read_back: format!("there is no group {wanted} any more"),
                ..Revoked::default()
            });
        };
        let (name, id) = (&access.account.name, access.account.id.as_deref());
        let turn = group.id.as_ref().unwrap_or(&group.dn);
        let _turn = self.turns.of(&turn.to_lowercase()).await;
        match self.located(&mut directory, name, id).await? {
            Some(account) => self.take_from(&mut directory, &group, &account, name).await,
            None => {
                self.take_from_nobody(&mut directory, &group, &access.account)
                    .await
            }
        }
    }

    async fn take_from(
        &self,
        directory: &mut Directory,
        group: &Group,
        account: &Account,
        was_called: &str,
    ) -> Result<Revoked, ProviderError> {
        self.is_nobodys(account)?;
        let values = self.values(directory, group, account).await?;
        if values.is_empty() {
            self.remove_unseen(directory, group, account).await?;
        } else {
            self.not_the_last(directory, group, &account.dn).await?;
            self.remove(directory, group, &values).await?;
        }
        if self.is_member(directory, group, account).await? {
            return Err(self.refused(format!(
                "{} is still a member of {} although the directory removed it",
                account.name, group.dn
            )));
        }
        if account.name != was_called {
            self.clear(directory, group, was_called).await?;
        }
        let mut ways = self.ways(directory, group, account).await?;
        ways.extend(self.beyond(directory, group, account).await?);
        ways.sort();
        ways.dedup();
        Ok(Revoked {
            read_back: format!("{} is no member of {}", account.name, group.dn),
            still_effective_through: ways,
            ..Revoked::default()
        })
    }

    /// The account cannot be found: it is gone only as far as no member can be it.
    async fn take_from_nobody(
        &self,
        directory: &mut Directory,
        group: &Group,
        account: &model::Account,
    ) -> Result<Revoked, ProviderError> {
        let cleared = self.clear(directory, group, &account.name).await?;
        let found = self.compared(directory, group, account).await?;
        for value in &found.its {
            self.not_the_last(directory, group, value).await?;
            self.remove(directory, group, std::slice::from_ref(value))
                .await?;
        }
        let also = match cleared == 0 && found.its.is_empty() {
            true => "",
            false => ", and what it left in the group is removed",
        };
        let read_back = match found.ways.is_empty() {
            true => format!(
                "the account {} is gone from the directory{also}",
                account.name
            ),
            false => format!("the account {} cannot be found{also}", account.name),
        };
        Ok(Revoked {
            read_back,
            still_effective_through: found.ways,
            ..Revoked::default()
        })
    }

    /// Removes what nobody of this name left in the group; how much that was.
    async fn clear(
        &self,
        directory: &mut Directory,
        group: &Group,
        name: &str,
    ) -> Result<usize, ProviderError> {
        let left = self.left_behind(directory, group, name).await?;
        for value in &left {
            self.remove(directory, group, std::slice::from_ref(value))
                .await?;
        }
        Ok(left.len())
    }

    /// Removes these values, which are listed.
    async fn remove(
        &self,
        directory: &mut Directory,
        group: &Group,
        values: &[String],
    ) -> Result<(), ProviderError> {
        if values.is_empty() {
            return Ok(());
        }
        if !self.is_in_place(group) {
            return Err(self.refused(format!(
                "{ENDING}: the group is {:?} now, which is not below {:?}; move it back, or remove {values:?} from it by hand",
                group.dn, self.settings.groups.0
            )));
        }
        let changed = self.ask_to_remove(directory, group, values).await?;
        match changed.rc {
            0 | NO_SUCH_VALUE => Ok(()),
            _ => Err(self.said_no(ENDING, changed)),
        }
    }

    /// What is not listed may only be hidden from us, so the directory is asked to remove it all the same: one value after the other,
    /// for of several it removes none where one is not there.
    async fn remove_unseen(
        &self,
        directory: &mut Directory,
        group: &Group,
        account: &Account,
    ) -> Result<(), ProviderError> {
        if !self.is_in_place(group) {
            return Ok(());
        }
        let values = match group.by_name {
            true => account.uids.as_slice(),
            false => std::slice::from_ref(&account.dn),
        };
        for value in values {
            let value = std::slice::from_ref(value);
            let changed = self.ask_to_remove(directory, group, value).await?;
            if !matches!(changed.rc, 0 | NO_SUCH_VALUE | NO_VALUE | UNWILLING) {
                return Err(self.said_no(ENDING, changed));
            }
        }
        Ok(())
    }

    /// Whether the group stands where groups may be changed.
    fn is_in_place(&self, group: &Group) -> bool {
        let within = &self.settings.groups.1;
        Dn::parse(&group.dn).is_some_and(|dn| dn.is_within(within))
    }

    /// What the directory says to the removal of these values, with the placeholder in their place where the group may not be empty.
    async fn ask_to_remove(
        &self,
        directory: &mut Directory,
        group: &Group,
        values: &[String],
    ) -> Result<LdapResult, ProviderError> {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let failed = |error| self.fault(ENDING, error);
        let changed = directory.change(&group.dn, group.attribute, &[], &values);
        let changed = changed.await.map_err(failed)?;
        if changed.rc != LAST_MEMBER {
            return Ok(changed);
        }
        let Some((placeholder, _)) = &self.settings.placeholder else {
            return Err(self.refused(format!(
                "{ENDING}: it is the last member of {:?}, which may not be empty; set `placeholder` for this connection, or make somebody else a member",
                group.dn
            )));
        };
        let added = [placeholder.as_str()];
        let replaced = directory.change(&group.dn, group.attribute, &added, &values);
        replaced.await.map_err(failed)
    }
}
