//! The end of a membership, under the name that it was given by: the servers have no numbers of accounts and roles.
//!
//! What is taken is the row that says so, whatever else the names are by now; and who else may be meant is named.

use super::fault::Needs;
use super::names::Name;
use super::server::Server;
use super::{DefaultRole, MySql};
use crate::domain::ledger::Revoked;
use crate::domain::model::Access;
use crate::providers::ProviderError;

/// How many accounts are named that still have the role when one is gone.
const NAMED: usize = 20;

/// Whom to take the role from.
enum Holder {
    Account(Name),
    /// A role that has it, as it is listed among the holders.
    Role(Name),
}

impl MySql {
    pub(super) async fn take(&self, access: &Access) -> Result<Revoked, ProviderError> {
        let name = self.entitlement(&access.entitlement)?.role;
        let wanted = &access.account.name;
        let failed = |error| self.fault("looking up the membership", Needs::Tables, error);
        let mut server = self.connect().await?;
        let Some(role) = server.role_called(&name) else {
            return Ok(gone(format!("there is no role {name} any more")));
        };
        let holder = match self.holder(&mut server, &role, wanted).await? {
            Some(Holder::Role(inner)) => {
                return self.take_from_role(&mut server, &role, &inner).await;
            }
            Some(Holder::Account(account)) => account,
            None => return Ok(gone(format!("there is no account {wanted} any more"))),
        };
        if holder == server.own {
            return Err(self.own(wanted));
        }
        let has = server.member(&role, &holder).await.map_err(failed)?;
        if has.is_none() {
            if server.find(&role).await.map_err(failed)?.is_none() {
                return Ok(gone(format!("there is no role {name} any more")));
            }
            if server.find(&holder).await.map_err(failed)?.is_none() {
                return self.nobody(&mut server, &role, &holder).await;
            }
        }
        let mut revoked = self.end(&mut server, &role, &holder).await?;
        (revoked.sessions, revoked.sessions_ended) = self.sessions(&mut server, &holder).await?;
        // Last: it takes nothing away, and whoever lacks the right for it shall not keep access for that.
        if self.default_role == DefaultRole::Set {
            let unmade = server.unmake_default(&holder, &role).await;
            unmade.map_err(|error| {
                self.fault("making it no default role any more", Needs::Defaults, error)
            })?;
        }
        Ok(revoked)
    }

    /// Who is meant by a name among the holders of the role; `None` for what nobody can be called.
    async fn holder(
        &self,
        server: &mut Server,
        role: &Name,
        wanted: &str,
    ) -> Result<Option<Holder>, ProviderError> {
        let failed = |error| self.fault("looking up the membership", Needs::Tables, error);
        let inner = Name::after_role(wanted).and_then(|inner| server.role_listed(inner));
        if let Some(inner) = inner
            && server.member(role, &inner).await.map_err(failed)?.is_some()
        {
            if server.role_called(&inner.user).is_none() {
                return Err(self.refused(format!(
                    "everybody has {role}: REVOKE {} FROM {inner} by hand",
                    role.quoted()
                )));
            }
            return Ok(Some(Holder::Role(inner)));
        }
        Ok(Name::account(wanted).map(Holder::Account))
    }

    async fn take_from_role(
        &self,
        server: &mut Server,
        role: &Name,
        inner: &Name,
    ) -> Result<Revoked, ProviderError> {
        let mut revoked = self.end(server, role, inner).await?;
        let listed = inner.listed_as_role();
        revoked.read_back = format!("{listed} does not have {role}");
        revoked.sessions = vec![format!(
            "sessions in which the {listed} is in effect are not told"
        )];
        Ok(revoked)
    }

    /// Revokes it where it is there, and reads that back.
    async fn end(
        &self,
        server: &mut Server,
        role: &Name,
        holder: &Name,
    ) -> Result<Revoked, ProviderError> {
        let failed = |error| self.fault("looking up the membership", Needs::Tables, error);
        let _turn = self.turns.of(&role.user).await;
        if server.member(role, holder).await.map_err(failed)?.is_some() {
            self.not_the_last(server, role).await?;
            let revoked = server.revoke(role, holder).await;
            revoked.map_err(|error| self.fault("revoking", Needs::Admin(&role.user), error))?;
        }
        self.taken(server, role, holder).await
    }

    /// Reads back that the membership is gone, and by what other ways the holder still has the role.
    async fn taken(
        &self,
        server: &mut Server,
        role: &Name,
        holder: &Name,
    ) -> Result<Revoked, ProviderError> {
        let failed = |error| self.fault("reading the membership back", Needs::Tables, error);
        if server.member(role, holder).await.map_err(failed)?.is_some() {
            return Err(self.refused(format!(
                "{holder} still has {role} although the server revoked it"
            )));
        }
        let mut ways = Vec::new();
        for via in server.roles_of(holder).await.map_err(failed)? {
            if server.closure(&via).await.map_err(failed)?.contains(role) {
                ways.push(format!("the role {via}, which has {role}"));
            }
        }
        for via in server.everybodys().await.map_err(failed)? {
            if server.closure(&via).await.map_err(failed)?.contains(role) {
                ways.push(format!("the role {via}, which everybody has"));
            }
        }
        Ok(Revoked {
            read_back: format!("{holder} does not have {role}"),
            still_effective_through: ways,
            ..Revoked::default()
        })
    }

    /// The account is not there: dropped, or renamed, which the servers do not tell. Who still has the role is told, and who may be
    /// the account by its name counts as still having it.
    async fn nobody(
        &self,
        server: &mut Server,
        role: &Name,
        account: &Name,
    ) -> Result<Revoked, ProviderError> {
        let failed = |error| self.fault("asking who else has the role", Needs::Tables, error);
        let mut members = server.most_members(role).await.map_err(failed)?;
        members.retain(|member| member.name != server.own);
        let mut ways = Vec::new();
        let mut names = Vec::new();
        for name in members.into_iter().map(|member| member.name) {
            let same = name.user == account.user;
            let is_role = name.host.is_empty();
            let listed = match is_role {
                true => name.listed_as_role(),
                false => name.to_string(),
            };
            match (same, is_role) {
                (true, true) => ways.push(format!(
                    "{listed}, which has {role} and the name of {account}"
                )),
                (true, false) => ways.push(format!(
                    "{listed}, which has {role} and may be {account} under another host"
                )),
                (false, _) => names.push(listed),
            }
        }
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let still = match names.is_empty() {
            true => String::new(),
            false => format!(
                "; if it was renamed, it is one of who still has {role}: {}{more}",
                names.join(", ")
            ),
        };
        Ok(Revoked {
            read_back: format!("there is no account {account} any more{still}"),
            still_effective_through: ways,
            ..Revoked::default()
        })
    }
}

fn gone(read_back: String) -> Revoked {
    Revoked {
        read_back,
        ..Revoked::default()
    }
}
