//! A connection of which nobody hears the secrets, whatever its target says.
//!
//! The last place before errors reach the log and the ledger, and answers the evidence. What a kind itself cuts or logs, it must hide itself.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::http::chain;
use super::{Gate, Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, Account, ConnectionName, Instant};
use crate::domain::target::{Change, Kind, Order};
use crate::secrets::Secrets;

/// A provider, and what it must not repeat.
pub struct Discreet {
    connection: ConnectionName,
    inner: Arc<dyn Provider>,
    secrets: Secrets,
}

impl Discreet {
    /// `inner`, which is `connection`, without `secrets` in its words.
    pub fn new(connection: ConnectionName, inner: Arc<dyn Provider>, secrets: Secrets) -> Self {
        Self {
            connection,
            inner,
            secrets,
        }
    }

    fn hide(&self, text: &str) -> String {
        self.secrets.hide(text)
    }

    fn all(&self, texts: Vec<String>) -> Vec<String> {
        texts.iter().map(|text| self.hide(text)).collect()
    }

    fn told(&self, error: ProviderError) -> ProviderError {
        match error {
            ProviderError::Unavailable {
                connection,
                what,
                retry_at,
                source,
            } => {
                let told = chain(source.as_ref());
                let hidden = self.hide(&told);
                ProviderError::Unavailable {
                    connection,
                    what: self.hide(&what),
                    retry_at,
                    source: if hidden == told {
                        source
                    } else {
                        hidden.into()
                    },
                }
            }
            ProviderError::Refused { connection, reason } => ProviderError::Refused {
                connection,
                reason: self.hide(&reason),
            },
            ProviderError::UnknownSubject {
                connection,
                account,
                reason,
            } => ProviderError::UnknownSubject {
                connection,
                account: self.hide(&account),
                reason: self.hide(&reason),
            },
        }
    }

    /// The name or the id of an account, which is compared and so must not be changed.
    fn account(&self, text: String) -> Result<String, ProviderError> {
        match self.secrets.named_in(&text) {
            None => Ok(text),
            Some(name) => Err(ProviderError::Refused {
                connection: self.connection.to_string(),
                reason: format!(
                    "the answer holds {name} where an account belongs: look at who answers there"
                ),
            }),
        }
    }
}

#[async_trait]
impl Provider for Discreet {
    fn kind(&self) -> &'static Kind {
        self.inner.kind()
    }

    async fn grant(&self, approved: &Approved, order: &Order) -> Result<Granted, ProviderError> {
        let granted = self.inner.grant(approved, order).await;
        let granted = granted.map_err(|error| self.told(error))?;
        Ok(Granted {
            read_back: self.hide(&granted.read_back),
            pending: granted.pending.map(|text| self.hide(&text)),
            account_id: granted.account_id.map(|id| self.account(id)).transpose()?,
            entitlement_id: granted
                .entitlement_id
                .map(|id| self.account(id))
                .transpose()?,
        })
    }

    async fn revoke(&self, access: &Access, order: &Order) -> Result<Revoked, ProviderError> {
        let revoked = self.inner.revoke(access, order).await;
        let revoked = revoked.map_err(|error| self.told(error))?;
        Ok(Revoked {
            read_back: self.hide(&revoked.read_back),
            still_effective_through: self.all(revoked.still_effective_through),
            sessions: self.all(revoked.sessions),
            sessions_ended: revoked.sessions_ended,
        })
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        self.all(self.inner.preview(change, access))
    }

    async fn has_account(&self, account: &Account) -> Result<Option<bool>, ProviderError> {
        let known = self.inner.has_account(account).await;
        known.map_err(|error| self.told(error))
    }

    async fn last_used(&self, account: &Account) -> Result<Option<Instant>, ProviderError> {
        let used = self.inner.last_used(account).await;
        used.map_err(|error| self.told(error))
    }

    fn gate(&self) -> Option<&dyn Gate> {
        self.inner.gate()
    }

    async fn holders(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        let holders = self.inner.holders(entitlement).await;
        let holders = holders.map_err(|error| self.told(error))?;
        let holder = |holder: Holder| {
            Ok(Holder {
                name: self.account(holder.name)?,
                id: holder.id.map(|id| self.account(id)).transpose()?,
                ..holder
            })
        };
        holders.into_iter().map(holder).collect()
    }
}
