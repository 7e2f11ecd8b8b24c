//! A connection whose calls are counted and timed.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tracing::{Instrument as _, debug_span, field::Empty};

use super::{Gate, Provider, ProviderError};
use crate::domain::decision::Approved;
use crate::domain::ledger::{Granted, Holder, Revoked};
use crate::domain::model::{Access, Account, ConnectionName, Instant};
use crate::domain::target::{Change, Kind, Order};
use crate::metrics::Metrics;

/// A provider, and where its calls are counted.
pub struct Counted {
    connection: ConnectionName,
    inner: Arc<dyn Provider>,
    metrics: Metrics,
}

/// A call that is under way. Whoever gives up on it drops it, and then it counts as abandoned.
struct UnderWay<'a> {
    counted: &'a Counted,
    call: &'static str,
    begun: tokio::time::Instant,
    outcome: &'static str,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let Counted {
            connection,
            metrics,
            ..
        } = self.counted;
        metrics.called(connection, self.call, self.outcome, self.begun.elapsed());
    }
}

impl Counted {
    /// `inner`, which is `connection`, counted in `metrics`.
    pub fn new(connection: ConnectionName, inner: Arc<dyn Provider>, metrics: Metrics) -> Self {
        Self {
            connection,
            inner,
            metrics,
        }
    }

    async fn count<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        let mut under_way = UnderWay {
            counted: self,
            call,
            begun: tokio::time::Instant::now(),
            outcome: "abandoned",
        };
        let span = debug_span!(
            "target",
            otel.kind = "client",
            otel.status_code = Empty,
            provider.connection = %self.connection,
            provider.call = call,
            provider.outcome = Empty,
        );
        let answer = answer.instrument(span.clone()).await;
        under_way.outcome = match &answer {
            Ok(_) => "done",
            Err(ProviderError::Unavailable { .. }) => "unavailable",
            Err(ProviderError::Refused { .. }) => "refused",
            Err(ProviderError::UnknownSubject { .. }) => "unknown-subject",
        };
        span.record("provider.outcome", under_way.outcome);
        if answer.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        answer
    }
}

#[async_trait]
impl Provider for Counted {
    fn kind(&self) -> &'static Kind {
        self.inner.kind()
    }

    async fn grant(&self, approved: &Approved, order: &Order) -> Result<Granted, ProviderError> {
        self.count("grant", self.inner.grant(approved, order)).await
    }

    async fn revoke(&self, access: &Access, order: &Order) -> Result<Revoked, ProviderError> {
        self.count("revoke", self.inner.revoke(access, order)).await
    }

    fn preview(&self, change: Change, access: &Access) -> Vec<String> {
        self.inner.preview(change, access)
    }

    async fn has_account(&self, account: &Account) -> Result<Option<bool>, ProviderError> {
        self.count("account", self.inner.has_account(account)).await
    }

    async fn last_used(&self, account: &Account) -> Result<Option<Instant>, ProviderError> {
        self.count("last-use", self.inner.last_used(account)).await
    }

    fn gate(&self) -> Option<&dyn Gate> {
        self.inner.gate()
    }

    async fn holders(&self, entitlement: &Value) -> Result<Vec<Holder>, ProviderError> {
        self.count("holders", self.inner.holders(entitlement)).await
    }
}
