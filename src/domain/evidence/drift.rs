//! How a target system was found to differ from the ledger, and what was done about it.

use sha2::{Digest as _, Sha256};

use super::super::drift::{Drift, Known};
use super::super::ledger::Revoked;
use super::super::model::{Instant, RoleRef};
use super::draft::{Draft, instant, one_line};
use super::{Event, Kind};

/// A difference was seen for the first time.
pub fn drifted(drift: &Drift, at: Instant) -> Event {
    let sentence = format!("Drift: {} {}", who(drift), drift.difference.clause());
    draft(Kind::Drifted, "drift", drift, at, at, &sentence).finish()
}

/// A difference that was known is not there any more.
pub fn drift_over(known: &Known, at: Instant) -> Event {
    let sentence = format!("Drift over: {} is as it should be", who(&known.drift));
    let kind = Kind::DriftOver;
    draft(
        kind,
        "drift-over",
        &known.drift,
        known.first_seen,
        at,
        &sentence,
    )
    .finish()
}

/// What was given outside was taken away, because its resources enforce what the repository says.
pub fn drift_removed(known: &Known, answer: &Revoked, called_at: Instant, at: Instant) -> Event {
    let sentence = format!("Drift removed: {}", who(&known.drift));
    let kind = Kind::DriftRemoved;
    draft(
        kind,
        "drift-removed",
        &known.drift,
        known.first_seen,
        at,
        &sentence,
    )
    .line("Called-at", instant(called_at))
    .line("Read-back", &answer.read_back)
    .lines("Still-effective-through", &answer.still_effective_through)
    .finish()
}

/// The account at the connection, on one line: a target's names are its own.
fn who(drift: &Drift) -> String {
    one_line(&format!("{} at {}", drift.account, drift.connection))
}

fn draft(
    kind: Kind,
    word: &str,
    drift: &Drift,
    first_seen: Instant,
    at: Instant,
    sentence: &str,
) -> Draft {
    // Names of accounts and entitlements may be long, and hold anything.
    let digest = hex::encode(Sha256::digest(drift.key()));
    let key = format!("{word}:{digest}@{}", instant(first_seen));
    let roles: Vec<String> = drift.roles.iter().map(RoleRef::to_string).collect();
    let grants: Vec<String> = drift.grants.iter().map(ToString::to_string).collect();
    Draft::new(kind, key, at, sentence)
        .line("Connection", drift.connection.as_str())
        .line("Account", &drift.account)
        .maybe("Account-Id", drift.account_id.as_deref())
        .line("Entitlement", &drift.entitlement)
        .line("Difference", drift.difference.as_str())
        .lines("Role", &roles)
        .lines("Grant", &grants)
        .line("First-seen", instant(first_seen))
}
