//! What an unsuccessful call means, named by what the caller should do.

use chrono::{DateTime, TimeDelta};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::domain::model::Instant;

/// Any error, as a cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long to wait when GitHub limits us and does not say for how long: its documentation says a minute.
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
const LIMITED: TimeDelta = TimeDelta::seconds(60);

/// What went wrong. `what` is always a noun phrase: "reviews of pull request 12".
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Try again, not before `retry_at` where GitHub says so. Whether the call had an effect is unknown.
    #[error("GitHub is unavailable: {what}")]
    Unavailable {
        /// What was asked for.
        what: String,
        /// When trying again makes sense.
        retry_at: Option<Instant>,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A person must act.
    #[error("GitHub refuses: {what}: {reason}")]
    Refused {
        /// What was asked for.
        what: String,
        /// What GitHub said, and what to do about it.
        reason: String,
    },
    /// There is no such thing, or it is hidden from us.
    #[error("GitHub knows no {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// GitHub understood and would not, because of the state of things: 405, 409, 422 and the like.
    #[error("GitHub would not: {what}: {words}")]
    Declined {
        /// What was asked for.
        what: String,
        /// The status.
        status: StatusCode,
        /// GitHub's words.
        words: String,
    },
}

impl Failure {
    /// No answer, or one that says "later".
    pub(super) fn unavailable(what: &str, source: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            what: what.to_owned(),
            retry_at: None,
            source: source.into(),
        }
    }

    /// An answer that makes no sense: as good as none.
    pub fn unreadable(what: &str, source: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            what: format!("{what} (the answer cannot be read)"),
            retry_at: None,
            source: source.into(),
        }
    }

    /// The failure with its causes, in one line.
    pub fn sentence(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// How the call ended, in a word.
    pub(super) fn outcome(&self) -> &'static str {
        let source = match self {
            Self::Unavailable { source, .. } => source.downcast_ref::<Said>(),
            _ => return "client-error",
        };
        match source.map(|said| said.status) {
            None => "lost",
            Some(status) if status.is_server_error() => "server-error",
            Some(_) => "limited",
        }
    }

    /// A 401 for a token that was fresh.
    pub(super) fn unauthorized_is_final(self) -> Self {
        match self {
            Self::Declined {
                what,
                status: StatusCode::UNAUTHORIZED,
                words,
            } => Self::Refused {
                what,
                reason: format!(
                    "{words}: even a fresh installation token is not accepted. Check that the App is installed and its key is its own"
                ),
            },
            other => other,
        }
    }
}

/// An answer that says no.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {words}")]
struct Said {
    status: StatusCode,
    words: String,
}

/// What an unsuccessful answer means.
pub(super) fn of_answer(
    what: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Instant,
) -> Failure {
    let what = what.to_owned();
    let words = words(status, body);
    let unavailable = |what, retry_at, words| Failure::Unavailable {
        what,
        retry_at,
        source: Box::new(Said { status, words }),
    };
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            unavailable(what, Some(limited_until(headers, now)), words)
        }
        StatusCode::FORBIDDEN if is_limited(headers, &words) => {
            unavailable(what, Some(limited_until(headers, now)), words)
        }
        StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => Failure::Refused {
            what,
            reason: refusal(words, headers),
        },
        StatusCode::NOT_FOUND | StatusCode::GONE => Failure::NotFound { what },
        StatusCode::REQUEST_TIMEOUT => unavailable(what, retry_after(headers, now), words),
        _ if status.is_server_error() => unavailable(what, retry_after(headers, now), words),
        _ if status.is_redirection() => Failure::Refused {
            what,
            reason: format!(
                "{status}: it has moved. Was the repository renamed or transferred? Correct the configuration"
            ),
        },
        _ => Failure::Declined {
            what,
            status,
            words,
        },
    }
}

fn is_limited(headers: &HeaderMap, words: &str) -> bool {
    headers.contains_key("retry-after")
        || number(headers, "x-ratelimit-remaining") == Some(0)
        || words.to_ascii_lowercase().contains("rate limit")
}

fn limited_until(headers: &HeaderMap, now: Instant) -> Instant {
    let reset = || {
        let exhausted = number(headers, "x-ratelimit-remaining") == Some(0);
        let at = number(headers, "x-ratelimit-reset").filter(|_| exhausted)?;
        DateTime::from_timestamp(at, 0).filter(|at| *at > now)
    };
    retry_after(headers, now)
        .or_else(reset)
        .unwrap_or(now + LIMITED)
}

fn retry_after(headers: &HeaderMap, now: Instant) -> Option<Instant> {
    let seconds = number(headers, "retry-after").filter(|s| (0..=86_400).contains(s))?;
    Some(now + TimeDelta::seconds(seconds))
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn refusal(words: String, headers: &HeaderMap) -> String {
    let needed = headers
        .get("x-accepted-github-permissions")
        .and_then(|v| v.to_str().ok());
    if words.to_ascii_lowercase().contains("suspended") {
        return format!(
            "{words}: ask an owner of the organisation to unsuspend the App's installation"
        );
    }
    match needed {
        Some(needed) if words.contains("not accessible by integration") => {
            format!(
                "{words}: give the App the permission `{needed}` and have the organisation accept it"
            )
        }
        _ if words.contains("not accessible by integration") => {
            format!(
                "{words}: the App lacks a permission for this; compare its permissions with the documentation"
            )
        }
        _ => words,
    }
}

/// GitHub's own words, without control characters, at most 600 characters.
fn words(status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Words {
        #[serde(default)]
        message: String,
        #[serde(default)]
        errors: Vec<serde_json::Value>,
    }
    let Ok(said) = serde_json::from_slice::<Words>(body) else {
        return status.to_string();
    };
    let mut all = vec![said.message];
    for error in &said.errors {
        let text = error.as_str().or_else(|| error["message"].as_str());
        all.push(text.map_or_else(|| error.to_string(), ToOwned::to_owned));
    }
    all.retain(|text| !text.is_empty());
    let text: String = all
        .join("; ")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(600)
        .collect();
    if text.is_empty() {
        status.to_string()
    } else {
        text
    }
}
