//! The value that the schema accepted, as a typed value.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime};
use indexmap::IndexMap;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::model::{
    ConnectionName, Field, Grant, Instant, Login, Person, Resource, ResourceName, Risk, Role,
    RoleName, RoleRef, Service, ServiceName, Subject, Term, TermLength, UserId,
};

/// Reads an instant in its one accepted form, `2026-11-30T18:00:00Z`; `None` for any other text.
pub fn instant(text: &str) -> Option<Instant> {
    let form = text.len() == 20 && text.is_ascii() && text.as_bytes()[10] == b'T';
    // chrono reads `:60` as a leap second; no other instant is written so.
    if !form || text.get(17..19) == Some("60") {
        return None;
    }
    let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ").ok()?;
    Some(DateTime::from_naive_utc_and_offset(naive, chrono::Utc))
}

/// Compiles a role's `ticket_pattern`, which must match the whole ticket: `^a|b$` does not let `ax` through.
pub(crate) fn ticket_pattern(pattern: &str) -> Option<Regex> {
    // Alone first, so that `^a)|(?:b$` cannot close the group that holds it.
    // The limit refuses counted repetitions that would take memory and time out of proportion.
    let compile = |text: &str| RegexBuilder::new(text).size_limit(256 * 1024).build().ok();
    compile(pattern)?;
    compile(&format!("^(?:{pattern})$"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantFile {
    person: Option<Login>,
    service: Option<ServiceName>,
    role: RoleName,
    duration: Option<TermLength>,
    expires: Option<String>,
    starts: Option<String>,
    reason: String,
    ticket: Option<String>,
    risk: Option<String>,
    #[serde(default)]
    emergency: bool,
}

pub(super) fn grant(value: Value) -> Result<Grant, String> {
    let file: GrantFile = read(value)?;
    let at = |text: String| instant(&text).ok_or_else(|| format!("{text:?} is not an instant"));
    let subject = match (file.person, file.service) {
        (Some(login), None) => Subject::Person(login),
        (None, Some(name)) => Subject::Service(name),
        _ => return Err("the subject is not exactly one of `person` and `service`".into()),
    };
    let term = match (file.duration, file.expires) {
        (Some(length), None) => Term::Duration(length),
        (None, Some(text)) => Term::Expires(at(text)?),
        _ => return Err("the term is not exactly one of `duration` and `expires`".into()),
    };
    Ok(Grant {
        subject,
        role: file.role,
        term,
        starts: file.starts.map(at).transpose()?,
        reason: file.reason,
        ticket: file.ticket,
        risk: file.risk,
        emergency: file.emergency,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonFile {
    github_id: UserId,
    name: Option<String>,
    #[serde(default)]
    identities: BTreeMap<ConnectionName, String>,
}

pub(super) fn person(login: Login, value: Value) -> Result<Person, String> {
    let PersonFile {
        github_id,
        name,
        identities,
    } = read(value)?;
    Ok(Person {
        login,
        github_id,
        name,
        identities,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    description: String,
    owner: Login,
    github_id: Option<UserId>,
    #[serde(default)]
    identities: BTreeMap<ConnectionName, String>,
}

pub(super) fn service(name: ServiceName, value: Value) -> Result<Service, String> {
    let ServiceFile {
        description,
        owner,
        github_id,
        identities,
    } = read(value)?;
    Ok(Service {
        name,
        description,
        owner,
        github_id,
        identities,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceFile {
    description: String,
    risk: Risk,
    provider: ConnectionName,
    roles: IndexMap<RoleName, RoleFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleFile {
    description: String,
    entitlement: Value,
    max_duration: TermLength,
    #[serde(default = "one")]
    approvals: u32,
    #[serde(default)]
    requires: BTreeSet<Field>,
    ticket_pattern: Option<String>,
    rationale: Option<Required>,
    #[serde(default)]
    conflicts_with: BTreeSet<RoleRef>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Required {
    Required,
}

fn one() -> u32 {
    1
}

type Tickets = BTreeMap<RoleName, Regex>;

pub(super) fn resource(name: ResourceName, value: Value) -> Result<(Resource, Tickets), String> {
    let ResourceFile {
        description,
        risk,
        provider,
        roles,
    } = read(value)?;
    let mut tickets = Tickets::new();
    let mut typed = IndexMap::new();
    for (role, file) in roles {
        if let Some(pattern) = &file.ticket_pattern {
            let compiled = ticket_pattern(pattern)
                .ok_or_else(|| format!("{pattern:?} is not a regular expression"))?;
            tickets.insert(role.clone(), compiled);
        }
        typed.insert(role, typed_role(file));
    }
    let resource = Resource {
        name,
        description,
        risk,
        provider,
        roles: typed,
    };
    Ok((resource, tickets))
}

fn typed_role(file: RoleFile) -> Role {
    Role {
        description: file.description,
        entitlement: file.entitlement,
        max_duration: file.max_duration,
        approvals: file.approvals,
        requires: file.requires,
        ticket_pattern: file.ticket_pattern,
        rationale: file.rationale.is_some(),
        conflicts_with: file.conflicts_with,
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}
