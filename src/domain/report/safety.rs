//! A check in safe mode: what is asked for is shown as ever, and that nothing is decided by it.

use super::super::decision::{Outcome, Verdict};
use super::super::safety::SafeMode;
use super::{Check, CheckStatus};

/// `check`, where nothing may be granted for now. What is wrong with the files stays wrong; whatever could get through waits.
pub fn paused(check: Check, verdict: &Verdict, mode: &SafeMode) -> Check {
    if verdict.outcome == Outcome::NotConcerned {
        return check;
    }
    let why = format!(
        "> **Hallpass is in safe mode: nothing is granted for now, whoever approves or merges.** Something contradicts what was known \
         ({}), and its operators must look. Access that is over is still taken away on time. Approvals are kept; this check goes on \
         by itself.\n\n",
        mode.as_str()
    );
    let summary = format!("{why}{}", check.summary);
    match verdict.outcome {
        Outcome::Denied => Check { summary, ..check },
        _ => Check {
            status: CheckStatus::InProgress,
            title: "Paused: Hallpass is in safe mode, nothing is granted".to_owned(),
            summary,
            ..check
        },
    }
}
