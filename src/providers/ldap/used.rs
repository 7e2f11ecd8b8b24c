//! When an account last signed in, as the directory notes it.

use chrono::{DateTime, NaiveDateTime};

use super::Ldap;
use crate::domain::model::{self, Instant};
use crate::providers::ProviderError;

/// OpenLDAP 2.5 and later, with `lastbind on`: when somebody last signed in.
const LAST_SUCCESS: &str = "pwdLastSuccess";

/// OpenLDAP before, with the overlay `lastbind`.
const LAST_BIND: &str = "authTimestamp";

/// Active Directory: may be up to fourteen days behind.
const LAST_LOGON: &str = "lastLogonTimestamp";

/// Between the beginnings of the times of Windows (1601) and of Unix, in seconds.
const WINDOWS: i64 = 11_644_473_600;

impl Ldap {
    /// The last sign-in that the directory notes; `None` where it notes none, or the account that Hallpass connects with may not read it.
    pub(super) async fn used(
        &self,
        account: &model::Account,
    ) -> Result<Option<Instant>, ProviderError> {
        let mut directory = self.open().await?;
        let found = self.located(&mut directory, &account.name, account.id.as_deref());
        let Some(found) = found.await? else {
            return Ok(None);
        };
        let wanted = [LAST_SUCCESS, LAST_BIND, LAST_LOGON];
        let entry = directory.entry(&found.dn, &wanted).await;
        let entry =
            entry.map_err(|error| self.fault("reading when the account was used", error))?;
        let Some(entry) = entry else {
            return Ok(None);
        };
        let noted = [LAST_SUCCESS, LAST_BIND].into_iter();
        let noted = noted.flat_map(|attribute| entry.values(attribute));
        let noted = noted.filter_map(generalized);
        let logons = entry.values(LAST_LOGON).into_iter().filter_map(windows);
        Ok(noted.chain(logons).max())
    }
}

/// `20261123090000Z`, perhaps with a fraction of the second.
fn generalized(text: &str) -> Option<Instant> {
    let digits = text.strip_suffix('Z')?;
    let whole = digits.split(['.', ',']).next()?;
    let at = NaiveDateTime::parse_from_str(whole, "%Y%m%d%H%M%S").ok()?;
    Some(at.and_utc())
}

/// Steps of 100 nanoseconds since 1601; 0 is never.
fn windows(text: &str) -> Option<Instant> {
    let steps: i64 = text.parse().ok().filter(|steps| *steps > 0)?;
    DateTime::from_timestamp(steps / 10_000_000 - WINDOWS, 0)
}
