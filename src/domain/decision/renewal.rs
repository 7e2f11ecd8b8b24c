//! Renewals: for how long in total access may be kept by changing the terms of a live grant.

use super::super::finding::Finding;
use super::super::ledger::Holding;
use super::super::model::{Grant, Instant, RoleRef, TermLength};
use super::{Case, Change, Request};

/// Renewals that would keep access for longer than the role allows in total.
pub(super) fn findings(case: &Case<'_>, requests: &[Request]) -> Vec<Finding> {
    let finding = |request: &Request| {
        let grant = request.grant.as_ref()?;
        if !matches!(request.change, Change::Amend(_)) {
            return None;
        }
        let role = |role: &RoleRef| case.base.role(&role.resource, &role.role);
        let limits = request.binding().filter_map(role);
        let limit = limits.map(|(_, role)| role.max_total).min()?;
        let since = held_since(case, request, grant)?;
        let latest = since.checked_add_signed(limit.delta())?;
        let ends = grant.end(case.judged_at());
        (ends > latest).then(|| too_long(case, request, limit, (since, latest)))
    };
    requests.iter().filter_map(finding).collect()
}

/// When the unbroken access began that `request` would go on with.
fn held_since(case: &Case<'_>, request: &Request, grant: &Grant) -> Option<Instant> {
    let role = request.role.as_ref()?;
    let goes_on = |held: &&Holding| {
        held.path == request.path && held.subject == grant.subject && held.role == *role
    };
    let held = case.holdings.iter().filter(goes_on);
    held.filter_map(|held| held.since).min()
}

fn too_long(
    case: &Case<'_>,
    request: &Request,
    limit: TermLength,
    (since, latest): (Instant, Instant),
) -> Finding {
    let at = |instant: Instant| instant.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let (since, latest) = (at(since), at(latest));
    Finding::error(
        "total-too-long",
        request.path.as_str(),
        case.changes.places(&request.path).term,
        format!(
            "{} has been held since {since}; with renewals the role allows {limit} in total, so until {latest}",
            request
                .part()
                .map_or("this access".to_owned(), ToString::to_string)
        ),
        format!("Let it end by {latest}, and ask anew when it is over."),
    )
}
