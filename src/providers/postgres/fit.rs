//! What may be given, and to whom.

use sqlx::PgConnection;

use super::Postgres;
use super::roles::{self, Role};
use crate::domain::model::Access;
use crate::providers::ProviderError;

impl Postgres {
    /// Whom and what a grant is for, both existing and both fit for it.
    pub(super) async fn fit(
        &self,
        server: &mut PgConnection,
        access: &Access,
    ) -> Result<(Role, Role), ProviderError> {
        let role = self.fit_role(server, access).await?;
        let wanted = &access.account.name;
        let account = self.named_account(server, access).await?;
        if account.own {
            return Err(self.refused(format!(
                "{wanted:?} is the account that Hallpass itself connects with"
            )));
        }
        if !account.can_login || account.oid == role.oid {
            return Err(self.unknown(
                wanted,
                "it cannot log in, so it is a group and not the account of one subject",
            ));
        }
        Ok((role, account))
    }

    /// The role of this name, if it may be given and is the one that goes on where one does.
    async fn fit_role(
        &self,
        server: &mut PgConnection,
        access: &Access,
    ) -> Result<Role, ProviderError> {
        let name = self.entitlement(&access.entitlement)?.role;
        let known = self.ids(access)?.role;
        let asked = |error| self.fault("looking up the role", error);
        let seen = roles::look_up(server, &name, known).await.map_err(asked)?;
        let role = match (seen.named, seen.numbered) {
            (Some(role), _) if known.is_none_or(|oid| oid == role.oid) => role,
            (_, Some(renamed)) => {
                return Err(self.refused(format!(
                    "the role that was given as {name:?} is called {:?} now; correct the resource, and ask for it anew",
                    renamed.name
                )));
            }
            (Some(_), None) => {
                return Err(self.refused(format!(
                    "{name:?} is another role than the one that was given and goes on; let that end, and ask for this one anew"
                )));
            }
            (None, None) => return Err(self.no_role(&name)),
        };
        match roles::power(server, &role).await.map_err(asked)? {
            None => Ok(role),
            Some(power) => Err(self.refused(format!(
                "the role {name:?} gives control of the server, through {power:?}; Hallpass does not give such roles"
            ))),
        }
    }

    /// The account of this name, if it is the one whose access goes on where one does.
    async fn named_account(
        &self,
        server: &mut PgConnection,
        access: &Access,
    ) -> Result<Role, ProviderError> {
        let wanted = &access.account.name;
        let known = self.ids(access)?.account;
        let seen = roles::look_up(server, wanted, known).await;
        let seen = seen.map_err(|error| self.fault("looking up the account", error))?;
        match (seen.named, seen.numbered) {
            (Some(account), _) if known.is_none_or(|oid| oid == account.oid) => Ok(account),
            (_, Some(renamed)) => Err(self.unknown(
                wanted,
                format!("the account whose access goes on is called {:?} now; correct the person's file, and ask for it anew", renamed.name),
            )),
            (Some(_), None) => Err(self.unknown(
                wanted,
                "it is another account than the one whose access goes on; let that end, and ask anew",
            )),
            (None, None) => Err(self.unknown(wanted, "there is no such role on the server; create the account, or correct the person's file")),
        }
    }

    pub(super) fn no_role(&self, name: &str) -> ProviderError {
        self.refused(format!(
            "there is no role {name:?}; create it, or correct the resource"
        ))
    }
}
