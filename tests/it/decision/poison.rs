//! What strangers write, in a verdict.

use hallpass::domain::decision::{Change, Outcome, Standing, Verdict};
use hallpass::domain::finding::{Finding, Severity};

/// The verdict, with untrusted text wherever it can stand: the reason, ticket and risk of its first request, the message and the path of a
/// finding, and what the forge did not tell.
pub fn poisoned(mut verdict: Verdict, texts: &[String; 6]) -> Verdict {
    let [reason, ticket, risk, message, path, unknown] = texts.clone();
    let request = &mut verdict.requests[0];
    let mut grant = request.grant.clone().expect("a grant");
    grant.reason.clone_from(&reason);
    grant.ticket = Some(ticket.clone());
    grant.risk = Some(risk.clone());
    let mut before = grant.clone();
    before.reason.push_str("before");
    before.ticket = Some(format!("before{risk}"));
    before.risk = Some(format!("before{ticket}"));
    request.grant = Some(grant);
    request.change = Change::Amend(Some(before));
    if let Standing::Missing(missing) = &mut request.approval {
        missing.unknown.push(unknown.clone());
    }
    for severity in [Severity::Error, Severity::Warning] {
        verdict.findings.push(Finding {
            path: path.clone(),
            line: 3,
            column: 7,
            rule: "some-rule",
            severity,
            message: message.clone(),
            help: reason.clone(),
        });
    }
    verdict.outcome = Outcome::Uncertain(vec![unknown]);
    verdict
}
