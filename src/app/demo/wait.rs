//! Waiting for what should happen, never for ever.

use std::time::{Duration, Instant};

/// How long anything may take before the step has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks. Short, because what is measured is measured by looking.
const PAUSE: Duration = Duration::from_millis(5);

/// Something did not happen.
#[derive(Debug, thiserror::Error)]
#[error("\n  expected: {expected}\n  seen:     {seen}")]
pub struct Missed {
    expected: String,
    seen: String,
}

impl Missed {
    /// What should have been, and what was.
    pub fn new(expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            seen: seen.into(),
        }
    }
}

/// Looks until `look` finds what is expected; an `Err` says what was seen instead.
pub async fn until<T>(
    expected: &str,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, Missed> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(seen) if begun.elapsed() > PATIENCE => {
                let expected = format!("{expected}, within {} seconds", PATIENCE.as_secs());
                return Err(Missed::new(expected, seen));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
