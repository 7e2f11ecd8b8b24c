//! Renewals: for how long in total access may be kept, and that it is not interrupted.

use super::super::finding::Finding;
use super::super::ledger::Holding;
use super::super::model::{Access, Grant, Instant, RoleRef, TermLength};
use super::{Case, Request};

/// Requests that would keep access for longer than the role allows in total, and renewals that would interrupt it.
pub(super) fn findings(case: &Case<'_>, requests: &[Request]) -> Vec<Finding> {
    let total = |request: &Request| {
        let grant = request.grant.as_ref()?;
        let role = |role: &RoleRef| case.base.role(&role.resource, &role.role);
        let limits = request.binding().filter_map(role);
        let limit = limits.map(|(_, role)| role.max_total).min()?;
        let since = held_since(case, request, grant)?;
        let latest = since.checked_add_signed(limit.delta())?;
        let ends = grant.end(case.judged_at());
        (ends > latest).then(|| too_long(case, request, limit, (since, latest)))
    };
    let mut found: Vec<Finding> = requests.iter().filter_map(total).collect();
    found.extend(requests.iter().filter_map(|request| later(case, request)));
    found
}

/// When the unbroken access began that `request` would go on with, by whatever file: another name for the same file, or for the
/// same access, is no fresh start.
fn held_since(case: &Case<'_>, request: &Request, grant: &Grant) -> Option<Instant> {
    let role = request.role.as_ref()?;
    let key = request.access.as_ref().map(Access::key);
    let begins = grant.begin(case.judged_at());
    let goes_on = |held: &&Holding| {
        held.subject == grant.subject
            && (held.role == *role || key.as_ref() == Some(&held.access_key))
            && begins <= held.ends
    };
    let held = case.holdings.iter().filter(goes_on);
    held.filter_map(|held| held.since).min()
}

/// A renewal takes the place of what is held at its merge, so one that begins later would end that first.
fn later(case: &Case<'_>, request: &Request) -> Option<Finding> {
    let grant = request.grant.as_ref()?;
    let starts = grant.starts.filter(|at| *at > case.judged_at())?;
    // What this very merge has given since is no access that it would interrupt.
    let before = |since: Instant| since <= case.judged_at();
    let is_held = |held: &Holding| held.path == request.path && held.since.is_some_and(before);
    case.holdings.iter().any(is_held).then(|| {
        let starts = starts.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        Finding::error(
            "renewal-starts-later",
            request.path.as_str(),
            case.changes.places(&request.path).starts,
            format!("the access that this file gives now would end at the merge, and begin again only at {starts}"),
            "Remove `starts`: a renewal counts from its merge. Or ask for the later time when this access is over.",
        )
    })
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
