//! What may be given, and to whom.

use super::MySql;
use super::fault::Needs;
use super::names::Name;
use super::power;
use super::server::{Member, Server};
use crate::providers::ProviderError;

impl MySql {
    /// The role of exactly this name.
    pub(super) async fn role(
        &self,
        server: &mut Server,
        name: &str,
    ) -> Result<Name, ProviderError> {
        let failed = |error| self.fault("looking up the role", Needs::Tables, error);
        let Some(role) = server.role_called(name) else {
            return Err(self.no_role(name));
        };
        match server.find(&role).await.map_err(failed)? {
            Some(found) if found.role => Ok(found.name),
            Some(_) => Err(self.refused(format!(
                "{name:?} is an account that can log in and no role; lock it, or correct the resource"
            ))),
            None => Err(self.no_role(name)),
        }
    }

    /// The role to be given, existing and fit for it.
    pub(super) async fn fit_role(
        &self,
        server: &mut Server,
        name: &str,
    ) -> Result<Name, ProviderError> {
        let role = self.role(server, name).await?;
        let grants = server.grants_of(&role).await.map_err(|error| {
            self.fault("reading what the role may do", Needs::Admin(name), error)
        })?;
        match power::control(&grants) {
            None => Ok(role),
            Some(grant) => Err(self.refused(format!(
                "the role {name:?} gives control of the server or could be handed on, through {grant:?}; Hallpass does not give such roles"
            ))),
        }
    }

    /// Refuses to take a role that gives control of the server from the last who has it, beside our own account. Hallpass gives no such
    /// role; it may have become one since, or have been given by hand where a resource enforces what the repository says. The caller
    /// has the role's turn until it is taken: two who look at the same time would each see the other.
    pub(super) async fn not_the_last(
        &self,
        server: &mut Server,
        role: &Name,
    ) -> Result<(), ProviderError> {
        let failed = |error| self.fault("asking who else has the role", Needs::Tables, error);
        let members = server.most_members(role).await.map_err(failed)?;
        let others = members.iter().filter(|member| member.name != server.own);
        if others.count() > 1 {
            return Ok(());
        }
        let grants = server
            .grants_of(role)
            .await
            .map_err(|error| self.fault("reading what the role may do", Needs::Tables, error))?;
        match power::control(&grants) {
            None => Ok(()),
            Some(grant) => Err(self.refused(format!(
                "it is the last account with {role}, which gives control of the server through {grant:?}; give it to somebody else first"
            ))),
        }
    }

    pub(super) fn no_role(&self, name: &str) -> ProviderError {
        self.refused(format!(
            "there is no role {name:?}; create it, or correct the resource"
        ))
    }

    /// The account to give it to, existing and fit for it.
    pub(super) async fn fit_account(
        &self,
        server: &mut Server,
        text: &str,
    ) -> Result<Name, ProviderError> {
        let missing = || {
            self.unknown(text, "there is no such account on the server; create it, or correct the person's file: `user` is 'user'@'%', `user@host` any other")
        };
        let name = Name::account(text).ok_or_else(missing)?;
        let found = server.find(&name).await;
        let found =
            found.map_err(|error| self.fault("looking up the account", Needs::Tables, error))?;
        let found = found.ok_or_else(missing)?;
        if name.to_string() != text {
            return Err(self.unknown(
                text,
                format!("it must be written {:?}: two spellings of one account would be two holders of one access", name.to_string()),
            ));
        }
        if name == server.own {
            return Err(self.own(text));
        }
        if found.role {
            return Err(self.unknown(
                text,
                "nobody can log in with it, so it is a role and not the account of one subject",
            ));
        }
        Ok(name)
    }

    pub(super) fn own(&self, account: &str) -> ProviderError {
        self.refused(format!(
            "{account:?} is the account that Hallpass itself connects with"
        ))
    }

    /// The account's membership; it never has ADMIN OPTION, with which it could hand the role on to people who would keep it.
    pub(super) async fn membership(
        &self,
        server: &mut Server,
        role: &Name,
        account: &Name,
    ) -> Result<Option<Member>, ProviderError> {
        let failed = |error| self.fault("reading the membership", Needs::Tables, error);
        let found = server.member(role, account).await.map_err(failed)?;
        if found.as_ref().is_some_and(|member| member.admin) {
            return Err(self.refused(format!(
                "{:?} already has {:?} with ADMIN OPTION, and could hand it on; revoke that option first",
                account.to_string(),
                role.to_string()
            )));
        }
        Ok(found)
    }
}
