//! The value that the schema accepted, as a typed value.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime};
use indexmap::IndexMap;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::emergency::Record;
use crate::domain::model::{
    CommitId, ConnectionName, DriftMode, Eligibility, EmergencyOffer, Field, Gives, Grant, GrantId,
    Instant, Login, Owner, Person, PullNumber, Resource, ResourceName, Risk, Role, RoleName,
    RoleRef, Service, ServiceName, Subject, Term, TermLength, UserId,
};
use crate::domain::round::{Answer, AnswerLine, Answers, Schedule};

/// Reads an instant in its one accepted form, `2026-11-30T18:00:00Z`; `None` for any other text.
pub fn instant(text: &str) -> Option<Instant> {
    // chrono also reads blanks and signs where digits belong.
    let fits = |(form, found): (u8, u8)| form == found || form == b'0' && found.is_ascii_digit();
    let form = b"0000-00-00T00:00:00Z";
    if text.len() != form.len() || !form.iter().copied().zip(text.bytes()).all(fits) {
        return None;
    }
    // chrono reads `:60` as a leap second; no other instant is written so.
    if text.get(17..19) == Some("60") {
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
    #[serde(default)]
    adopt: bool,
}

pub(super) fn grant(value: Value) -> Result<Grant, String> {
    let file: GrantFile = read(value)?;
    let at = |text: String| at(&text);
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
        adopt: file.adopt,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonFile {
    github_id: UserId,
    name: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    identities: BTreeMap<ConnectionName, String>,
}

pub(super) fn person(login: Login, value: Value) -> Result<Person, String> {
    let PersonFile {
        github_id,
        name,
        attributes,
        identities,
    } = read(value)?;
    Ok(Person {
        login,
        github_id,
        name,
        attributes,
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
    provider: Option<ConnectionName>,
    #[serde(default)]
    drift: DriftMode,
    roles: IndexMap<RoleName, RoleFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleFile {
    description: String,
    entitlement: Option<Value>,
    bundle: Option<BTreeSet<RoleRef>>,
    min_duration: Option<TermLength>,
    max_duration: TermLength,
    max_total: Option<TermLength>,
    eligible: Option<EligibilityFile>,
    approval_max_age: Option<TermLength>,
    emergency: Option<EmergencyFile>,
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
#[serde(deny_unknown_fields)]
struct EligibilityFile {
    #[serde(default)]
    people: BTreeSet<Login>,
    #[serde(default)]
    services: BTreeSet<ServiceName>,
    #[serde(default)]
    teams: BTreeSet<String>,
    #[serde(default)]
    attributes: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmergencyFile {
    #[serde(default = "one")]
    approvals: u32,
    max_duration: TermLength,
    review_within: Option<TermLength>,
    #[serde(default)]
    people: BTreeSet<Login>,
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
        drift,
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
        typed.insert(role, typed_role(file, provider.as_ref())?);
    }
    let resource = Resource {
        name,
        description,
        risk,
        drift,
        roles: typed,
    };
    Ok((resource, tickets))
}

fn typed_role(file: RoleFile, provider: Option<&ConnectionName>) -> Result<Role, String> {
    let gives = match (provider, file.entitlement, file.bundle) {
        (Some(connection), Some(value), None) => Gives::Entitlement {
            connection: connection.clone(),
            value,
        },
        (None, None, Some(parts)) => Gives::Roles(parts),
        _ => return Err("a role is neither one of a provider's nor a bundle".into()),
    };
    Ok(Role {
        description: file.description,
        gives,
        min_duration: file.min_duration,
        max_duration: file.max_duration,
        // A role that allows one longer term means it.
        max_total: file
            .max_total
            .unwrap_or_else(|| Role::MAX_TOTAL.max(file.max_duration)),
        eligible: file.eligible.map(eligibility).transpose()?,
        approval_max_age: file.approval_max_age.unwrap_or(Role::APPROVAL_MAX_AGE),
        emergency: file.emergency.map(emergency),
        approvals: file.approvals,
        requires: file.requires,
        ticket_pattern: file.ticket_pattern,
        rationale: file.rationale.is_some(),
        conflicts_with: file.conflicts_with,
    })
}

fn eligibility(file: EligibilityFile) -> Result<Eligibility, String> {
    Ok(Eligibility {
        people: file.people,
        services: file.services,
        teams: file
            .teams
            .iter()
            .map(|text| team(text))
            .collect::<Result<_, String>>()?,
        attributes: file.attributes,
    })
}

/// A team, written `@organisation/team`.
pub(super) fn team(text: &str) -> Result<Owner, String> {
    let slug = text.strip_prefix('@').and_then(|t| t.split_once('/'));
    let (organisation, slug) = slug.ok_or_else(|| format!("{text:?} is not a team"))?;
    Ok(Owner::Team {
        organisation: Login::new(organisation).map_err(|e| e.to_string())?,
        slug: slug.to_ascii_lowercase(),
    })
}

fn emergency(file: EmergencyFile) -> EmergencyOffer {
    EmergencyOffer {
        approvals: file.approvals,
        max_duration: file.max_duration,
        review_within: file.review_within.unwrap_or(TermLength::days(3)),
        people: file.people,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordFile {
    grant: GrantId,
    person: Login,
    role: RoleRef,
    merge: CommitId,
    pull: PullNumber,
    granted: String,
    ends: String,
    review_by: String,
    #[serde(default = "one")]
    attempt: u32,
}

pub(super) fn record(value: Value) -> Result<Record, String> {
    let file: RecordFile = read(value)?;
    Ok(Record {
        grant: file.grant,
        person: file.person,
        role: file.role,
        merge: file.merge,
        pull: file.pull,
        granted: at(&file.granted)?,
        ends: at(&file.ends)?,
        review_by: at(&file.review_by)?,
        attempt: file.attempt,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleFile {
    first: String,
    every: TermLength,
    within: TermLength,
    #[serde(default = "keep")]
    unanswered: Answer,
}

fn keep() -> Answer {
    Answer::Keep
}

pub(super) fn schedule(value: Value) -> Result<Schedule, String> {
    let file: ScheduleFile = read(value)?;
    Ok(Schedule {
        first: at(&file.first)?,
        every: file.every,
        within: file.within,
        unanswered: file.unanswered,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswersFile {
    round: String,
    answer_by: String,
    unanswered: Answer,
    count: u64,
    digest: String,
    #[serde(default = "one")]
    attempt: u32,
    lines: Vec<LineOfFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineOfFile {
    decision: Answer,
    who: String,
    role: RoleRef,
    since: String,
    until: String,
    account_last_used: Option<String>,
    grant: GrantId,
}

pub(super) fn answers(value: Value) -> Result<Answers, String> {
    let file: AnswersFile = read(value)?;
    let lines = file.lines.into_iter().map(answer_line);
    Ok(Answers {
        round: at(&file.round)?,
        answer_by: at(&file.answer_by)?,
        unanswered: file.unanswered,
        count: file.count,
        digest: file.digest,
        attempt: file.attempt,
        lines: lines.collect::<Result<_, _>>()?,
    })
}

fn answer_line(line: LineOfFile) -> Result<AnswerLine, String> {
    Ok(AnswerLine {
        decision: line.decision,
        who: line.who,
        role: line.role,
        since: at(&line.since)?,
        until: at(&line.until)?,
        account_last_used: line.account_last_used.as_deref().map(at).transpose()?,
        grant: line.grant,
    })
}

fn at(text: &str) -> Result<Instant, String> {
    instant(text).ok_or_else(|| format!("{text:?} is not an instant"))
}

pub(super) fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}
