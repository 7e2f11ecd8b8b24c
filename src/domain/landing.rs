//! Comparing what landed on the protected branch with what a pull request asked for, and whom a change is about.

use std::collections::BTreeMap;

use serde_json::Value;

use super::catalogue::ChangedFile;
use super::changes::Changes;
use super::decision::{Outcome, Request, Verdict};
use super::finding::{Finding, Place};
use super::model::{BlobId, ConnectionName, Gives, Role, RoleName, entitlement_text};
use super::parse::{Read, ReadResource};
use super::target::Kind;

/// Whether two changes leave the same content at the same paths: nothing more, nothing less, not even a mode.
///
/// An edited conflict, an indirect merge and a part of a rebase all differ.
pub fn same_result(landed: &[ChangedFile], asked: &[ChangedFile]) -> bool {
    fn after(changes: &[ChangedFile]) -> BTreeMap<&str, Option<(&BlobId, u32)>> {
        changes
            .iter()
            .map(|c| (c.path.as_str(), c.after.as_ref().map(|f| (&f.blob, f.mode))))
            .collect()
    }
    after(landed) == after(asked)
}

/// Whether two changes are the same one: [`same_result`], from the same content. What a rebase brings in several commits can leave
/// with the last of them the result of all, but it does not begin with what the first one found.
pub fn same_change(landed: &[ChangedFile], asked: &[ChangedFile]) -> bool {
    fn before(changes: &[ChangedFile]) -> BTreeMap<&str, Option<&(BlobId, u32)>> {
        changes
            .iter()
            .map(|c| (c.path.as_str(), c.before.as_ref()))
            .collect()
    }
    same_result(landed, asked) && before(landed) == before(asked)
}

/// The server's connections, each with the kind that it is.
pub type Connections = BTreeMap<ConnectionName, &'static Kind>;

/// What connections give, by connection and [`entitlement_text`], that they say they do not have, and their words.
pub type Unknown = BTreeMap<(ConnectionName, String), String>;

/// Denies requests for a connection that the server does not have, and resources that name one, or that promise what their connection
/// cannot give: nobody should approve what cannot be given.
pub fn demand_connections(
    mut verdict: Verdict,
    changes: &Changes,
    configured: &Connections,
    unknown: &Unknown,
) -> Verdict {
    let unconfigured = |r: &Request| {
        let access = r.access.as_ref()?;
        let missing = !configured.contains_key(&access.connection);
        missing.then(|| unknown_connection(r.path.as_str(), Place::START, &access.connection))
    };
    let mut found: Vec<Finding> = verdict.requests.iter().filter_map(unconfigured).collect();
    for (path, resource) in resources(changes) {
        found.extend(promises(path, resource, configured, unknown));
    }
    if !found.is_empty() {
        verdict.outcome = Outcome::Denied;
    }
    verdict.findings.extend(found);
    verdict.findings.sort();
    verdict.findings.dedup();
    verdict
}

/// What the resources that a change brings give and a configured connection could be asked for: once each.
pub fn promised(changes: &Changes, configured: &Connections) -> Vec<(ConnectionName, Value)> {
    let mut promised = BTreeMap::new();
    for (_, read) in resources(changes) {
        for role in read.resource.roles.values() {
            if let Gives::Entitlement { connection, value } = &role.gives
                && configured
                    .get(connection)
                    .is_some_and(|kind| kind.gives_this(value))
            {
                let key = (connection.clone(), entitlement_text(value));
                promised.insert(key, value.clone());
            }
        }
    }
    promised
        .into_iter()
        .map(|((connection, _), value)| (connection, value))
        .collect()
}

fn resources(changes: &Changes) -> impl Iterator<Item = (&str, &ReadResource)> {
    let of_resources = |c: &ChangedFile| c.path.starts_with("access/resources/");
    changes
        .readings(of_resources)
        .filter_map(|(change, reading)| match reading {
            Some(Ok(Read::Resource(read))) => Some((change.path.as_str(), &**read)),
            _ => None,
        })
}

fn promises(
    path: &str,
    read: &ReadResource,
    configured: &Connections,
    unknown: &Unknown,
) -> Vec<Finding> {
    let finding = |(name, role): (&RoleName, &Role)| {
        let Gives::Entitlement { connection, value } = &role.gives else {
            return None;
        };
        let place = read.places.get(&(name.clone(), "entitlement".to_owned()));
        let place = place.copied().unwrap_or(Place::START);
        let Some(kind) = configured.get(connection) else {
            return Some(unknown_connection(path, Place::START, connection));
        };
        if !kind.gives_this(value) {
            let message = format!(
                "role {name}: a connection of kind `{}` gives {}, and this entitlement does not say which",
                kind.name, kind.gives
            );
            let help = format!("Write it as docs/providers/{}.md says.", kind.name);
            return Some(Finding::error(
                "entitlement-shape",
                path,
                place,
                message,
                help,
            ));
        }
        let words = unknown.get(&(connection.clone(), entitlement_text(value)))?;
        let message = format!("role {name}: {words}");
        let help = "Correct the entitlement, or create it in the target system first; the check looks again by itself.";
        Some(Finding::error(
            "entitlement-unknown",
            path,
            place,
            message,
            help,
        ))
    };
    read.resource.roles.iter().filter_map(finding).collect()
}

fn unknown_connection(path: &str, place: Place, connection: &ConnectionName) -> Finding {
    let message = format!(
        "this server has no connection `{connection}`, which the resource names as its provider"
    );
    let help =
        format!("ask whoever runs Hallpass to add [providers.{connection}] to its configuration");
    Finding::error("unknown-connection", path, place, message, help)
}
