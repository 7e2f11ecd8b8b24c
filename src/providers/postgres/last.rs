//! The lock-out guard: who is the last to have control of the server keeps it, whatever a pull request says.

use sqlx::PgConnection;

use super::Postgres;
use super::roles::{self, Role};
use crate::providers::ProviderError;

impl Postgres {
    /// Refuses to take a role that gives control of the server from the last account that has it, beside our own. Hallpass gives no
    /// such role; it may have become one since, or have been given by hand where a resource enforces what the repository says. The
    /// caller has the role's turn until it is taken: two who look at the same time would each see the other.
    pub(super) async fn not_the_last(
        &self,
        server: &mut PgConnection,
        role: &Role,
        account: &Role,
    ) -> Result<(), ProviderError> {
        let failed = |error| self.fault("asking who controls the server", error);
        let Some(power) = roles::power(server, role).await.map_err(failed)? else {
            return Ok(());
        };
        if !roles::is_alone(server, role, account)
            .await
            .map_err(failed)?
        {
            return Ok(());
        }
        Err(self.refused(format!(
            "{:?} is the last account with {:?}, which gives control of the server through {power:?}; make somebody else a member first",
            account.name, role.name
        )))
    }
}
