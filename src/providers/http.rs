//! The HTTP client as the kinds use it: what goes wrong is told as their connection's.

use http::StatusCode;

use super::ProviderError;
use crate::domain::model::ConnectionName;

pub use crate::http_client::*;

impl Failure {
    /// The same as the connection's callers are told it. Where the kind does not say better, what is not there is for a person.
    pub fn told(self, connection: &ConnectionName) -> ProviderError {
        let connection = connection.to_string();
        match self {
            Self::Unavailable {
                what,
                retry_at,
                source,
            } => ProviderError::Unavailable {
                connection,
                what,
                retry_at,
                source,
            },
            // What is there already, or was changed meanwhile, may be another attempt of ours.
            Self::Declined {
                what,
                status: status @ (StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED),
                words,
            } => ProviderError::Unavailable {
                connection,
                what,
                retry_at: None,
                source: format!("{status}: {words}").into(),
            },
            other => ProviderError::Refused {
                connection,
                reason: other.to_string(),
            },
        }
    }
}

/// All that one change or one listing needs, which may be several calls: within [`CALL`] too.
///
/// # Errors
/// Those of `calls`, and [`ProviderError::Unavailable`] when they do not end.
pub async fn within<T>(
    connection: &ConnectionName,
    calls: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    match tokio::time::timeout(CALL, calls).await {
        Ok(done) => done,
        Err(elapsed) => Err(Failure::unavailable("a call", elapsed).told(connection)),
    }
}
