//! What an unsuccessful call means, named by what the caller should do.

use chrono::{DateTime, TimeDelta, Utc};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::domain::model::Instant;
use crate::secrets::Secrets;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long to wait when we are limited and not told for how long.
const LIMITED: TimeDelta = TimeDelta::seconds(60);

/// The longest wait that a server may ask for.
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// How much of a server's words is repeated.
const WORDS: usize = 300;

/// What went wrong. `what` says what was being done: "looking up the account".
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Try again, not before `retry_at` where the server says so. Whether the call had an effect is unknown.
    #[error("{what}: no answer that can be used")]
    Unavailable {
        /// What was being done.
        what: String,
        /// When trying again makes sense.
        retry_at: Option<Instant>,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A person must act.
    #[error("{what}: {reason}")]
    Refused {
        /// What was being done.
        what: String,
        /// What the server said, and what to do about it.
        reason: String,
    },
    /// There is no such thing, or it is hidden from us: so says the server itself, in words of its own.
    #[error("{what}: there is no such thing")]
    NotFound {
        /// What was being done.
        what: String,
    },
    /// The server understood and would not: 400, 409, 422 and the like.
    #[error("{what}: {status}: {words}")]
    Declined {
        /// What was being done.
        what: String,
        /// The status.
        status: StatusCode,
        /// The server's words, shortened.
        words: String,
    },
}

/// An answer that says no.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {words}")]
struct Said {
    status: StatusCode,
    words: String,
}

impl Failure {
    /// No answer, or one that says "later".
    pub fn unavailable(what: &str, source: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            what: what.to_owned(),
            retry_at: None,
            source: source.into(),
        }
    }

    /// An answer that makes no sense: as good as none.
    pub fn unreadable(what: &str, source: impl Into<BoxError>) -> Self {
        Self::unavailable(&format!("{what} (the answer cannot be read)"), source)
    }

    /// A person must act.
    pub fn refused(what: &str, reason: impl Into<String>) -> Self {
        Self::Refused {
            what: what.to_owned(),
            reason: reason.into(),
        }
    }

    /// What an unsuccessful answer means.
    pub(super) fn of_answer(
        what: &str,
        status: StatusCode,
        headers: &HeaderMap,
        words: String,
        now: Instant,
    ) -> Self {
        let later = |retry_at, words| Self::Unavailable {
            what: what.to_owned(),
            retry_at,
            source: Said { status, words }.into(),
        };
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                let at = retry_after(headers, now).or_else(|| limited_until(headers, now));
                later(Some(at.unwrap_or(now + LIMITED)), words)
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::LOCKED => {
                later(retry_after(headers, now), words)
            }
            StatusCode::NOT_IMPLEMENTED => Self::refused(what, format!("{status}: {words}")),
            _ if status.is_server_error() => later(retry_after(headers, now), words),
            StatusCode::UNAUTHORIZED => Self::refused(
                what,
                format!("{status}: {words}: check the credentials of the connection"),
            ),
            StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => Self::refused(
                what,
                format!("{status}: {words}: check the rights of the connection"),
            ),
            // Whatever stands before the server says so too, and so does the server at another address than that of its API.
            StatusCode::NOT_FOUND | StatusCode::GONE => later(
                retry_after(headers, now),
                format!("{words}: not said by the API; check the address of the connection"),
            ),
            _ if status.is_client_error() => Self::Declined {
                what: what.to_owned(),
                status,
                words,
            },
            _ => Self::refused(
                what,
                format!(
                    "{status}: redirects are not followed; correct the address of the connection"
                ),
            ),
        }
    }
}

/// `Retry-After`: seconds, or an instant (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Instant) -> Option<Instant> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let at = match value.parse::<u32>() {
        Ok(seconds) => now + TimeDelta::seconds(seconds.into()),
        Err(_) => DateTime::parse_from_rfc2822(value)
            .ok()?
            .with_timezone(&Utc),
    };
    Some(at.clamp(now, now + LONGEST))
}

/// `X-Rate-Limit-Reset`, as Okta says it: seconds since 1970.
fn limited_until(headers: &HeaderMap, now: Instant) -> Option<Instant> {
    let seconds = headers.get("x-rate-limit-reset")?.to_str().ok()?;
    let at = DateTime::from_timestamp(seconds.parse().ok()?, 0)?;
    Some(at.clamp(now, now + LONGEST))
}

/// What the server says about its no: the field in which one of our kinds says it, in one line. `secrets` are not repeated.
pub(super) fn words(status: StatusCode, body: &[u8], secrets: &Secrets) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let said = ["detail", "errorSummary", "message", "reason", "error"]
        .iter()
        .find_map(|field| body[*field].as_str());
    let Some(said) = said.filter(|said| !said.trim().is_empty()) else {
        return status.canonical_reason().unwrap_or("no words").to_owned();
    };
    let said = secrets.hide(said);
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = line.chars().filter(|c| !c.is_control());
    plain.take(WORDS).collect()
}
