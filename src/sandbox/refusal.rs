//! How the stand-in says no.

use serde_json::{Value, json};

/// A refusal with GitHub's status and words, to a caller of the API or to a person at the web page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// GitHub's words.
    pub message: String,
    /// The `errors` of a 422.
    pub(super) errors: Vec<Value>,
}

impl Refusal {
    /// A refusal with this status and these words.
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
        }
    }

    /// 404, also for what the caller may not see.
    pub(super) fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    /// 422 with words of its own.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        let message = message.into();
        let errors =
            vec![json!({ "resource": "PullRequest", "code": "custom", "message": message })];
        Self {
            status: 422,
            message: format!("Validation Failed: {message}"),
            errors,
        }
    }

    /// The body of the answer.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": self.status.to_string(),
        });
        if !self.errors.is_empty() {
            body["errors"] = Value::Array(self.errors.clone());
        }
        body
    }
}

impl From<git2::Error> for Refusal {
    fn from(error: git2::Error) -> Self {
        match error.code() {
            git2::ErrorCode::NotFound | git2::ErrorCode::InvalidSpec => Self::new(404, "Not Found"),
            _ => Self::new(500, format!("git: {}", error.message())),
        }
    }
}
