//! What a directory answers, named by what the caller should do. <https://www.rfc-editor.org/rfc/rfc4511#appendix-A>

use std::error::Error as _;

use ldap3::{LdapError, LdapResult};

use super::Ldap;
use crate::providers::ProviderError;
use crate::providers::limits::TooMany;

impl Ldap {
    /// A failure while doing `what`.
    pub(super) fn fault(&self, what: &str, error: LdapError) -> ProviderError {
        match error {
            LdapError::LdapResult { result } => self.said_no(what, result),
            error if is_tls(&error) => self.refused(format!(
                "{what}: no protected connection: {error}; see ca_file and starttls"
            )),
            LdapError::Io { source } if source.get_ref().is_some_and(|why| why.is::<TooMany>()) => {
                self.refused(format!("{what}: {source}"))
            }
            LdapError::FilterParsing | LdapError::UnknownScheme(_) => {
                self.refused(format!("{what}: {error}"))
            }
            error => self.unavailable(what, Box::new(error)),
        }
    }

    /// The directory's own refusal.
    pub(super) fn said_no(&self, what: &str, result: LdapResult) -> ProviderError {
        let way_out = match result.rc {
            // operationsError is what some servers say while they start; timeLimitExceeded, busy, unavailable, other.
            3 | 51 | 52 | 80 => {
                return self.unavailable(what, Box::new(LdapError::LdapResult { result }));
            }
            49 => "; correct bind_dn or the password",
            50 => "; give the account that Hallpass connects with this right",
            4 | 11 => {
                "; lift the limit on results for the account that Hallpass connects with: a part of a list is no list"
            }
            10 => "; this server only reads: name the one that writes",
            _ => "",
        };
        let (rc, said) = (result.rc, result.text.trim());
        self.refused(format!(
            "{what}: {} (code {rc}){}{said}{way_out}",
            name(rc),
            if said.is_empty() { "" } else { ": " },
        ))
    }

    fn unavailable(
        &self,
        what: &str,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> ProviderError {
        ProviderError::Unavailable {
            connection: self.connection.to_string(),
            what: what.to_owned(),
            retry_at: None,
            source,
        }
    }
}

/// A certificate that does not fit, or a server without TLS: waiting will not heal it.
fn is_tls(error: &LdapError) -> bool {
    if matches!(error, LdapError::Rustls { .. } | LdapError::DNSName { .. }) {
        return true;
    }
    let LdapError::Io { source } = error else {
        return false;
    };
    let inner = source.get_ref();
    inner.is_some_and(|inner| inner.is::<rustls::Error>())
        || source
            .source()
            .is_some_and(|inner| inner.is::<rustls::Error>())
}

fn name(code: u32) -> &'static str {
    match code {
        2 => "protocol error",
        4 => "size limit exceeded",
        8 => "stronger authentication required",
        10 => "referral",
        11 => "administrative limit exceeded",
        13 => "confidentiality required",
        16 => "no such attribute",
        17 => "undefined attribute",
        19 => "constraint violation",
        21 => "invalid syntax",
        32 => "no such object",
        34 => "invalid name",
        49 => "invalid credentials",
        50 => "insufficient access",
        53 => "unwilling to perform",
        65 => "object class violation",
        _ => "refused",
    }
}
