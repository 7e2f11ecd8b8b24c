//! The words of policies: one table, from which the schema, the documentation and the facts themselves are made.
//!
//! Invariant: what the schema promises, every question has. A row names an attribute, its type and what it means, and holds the
//! function that reads it, so neither can exist without the other.

use chrono::{Datelike, Timelike};

use super::facts::{Circumstances, Machine, Principal, Somebody, Wanted};
use crate::domain::model::{Field, Owner, Risk, RoleRef};

/// The type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `String`
    Text,
    /// `Long`
    Number,
    /// `Bool`
    Truth,
    /// An entity of this type.
    Entity(&'static str),
    /// `Set<...>` of entities of this type.
    Entities(&'static str),
}

impl Kind {
    /// The type as the schema writes it.
    pub fn cedar(self) -> String {
        match self {
            Self::Text => "String".to_owned(),
            Self::Number => "Long".to_owned(),
            Self::Truth => "Bool".to_owned(),
            Self::Entity(name) => name.to_owned(),
            Self::Entities(name) => format!("Set<{name}>"),
        }
    }
}

/// The value of an attribute; an entity is its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Truth(bool),
    Entity(String),
    Entities(Vec<String>),
}

/// One attribute of what a `T` is in policies.
pub(super) struct Attribute<T> {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether it can be missing: policies then ask `has` first.
    pub optional: bool,
    /// What it says, in a sentence, for whoever writes policies.
    pub meaning: &'static str,
    /// Its value. `None` only where it is optional.
    pub read: fn(&T) -> Option<Value>,
}

/// A row as documentation shows it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// Whether it can be missing.
    pub optional: bool,
    /// What it says.
    pub meaning: &'static str,
}

const fn row<T>(
    name: &'static str,
    kind: Kind,
    meaning: &'static str,
    read: fn(&T) -> Option<Value>,
) -> Attribute<T> {
    Attribute {
        name,
        kind,
        optional: false,
        meaning,
        read,
    }
}

const fn may<T>(
    name: &'static str,
    kind: Kind,
    meaning: &'static str,
    read: fn(&T) -> Option<Value>,
) -> Attribute<T> {
    Attribute {
        optional: true,
        ..row(name, kind, meaning, read)
    }
}

/// The days of a week, as policies name them.
pub const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// The risks of a resource, as policies name them, the least first.
pub const RISKS: [&str; 4] = ["low", "moderate", "high", "critical"];

fn level(risk: Risk) -> i64 {
    match risk {
        Risk::Low => 1,
        Risk::Moderate => 2,
        Risk::High => 3,
        Risk::Critical => 4,
    }
}

/// A team as policies name it: `acme/backend`.
pub fn team_id(team: &Owner) -> String {
    team.to_string().trim_start_matches('@').to_owned()
}

fn text(value: impl ToString) -> Option<Value> {
    Some(Value::Text(value.to_string()))
}

fn number(value: i64) -> Option<Value> {
    Some(Value::Number(value))
}

fn truth(value: bool) -> Option<Value> {
    Some(Value::Truth(value))
}

fn entity(id: impl ToString) -> Option<Value> {
    Some(Value::Entity(id.to_string()))
}

fn roles<'a>(all: impl Iterator<Item = &'a RoleRef>) -> Option<Value> {
    Some(Value::Entities(all.map(ToString::to_string).collect()))
}

fn minutes(length: crate::domain::model::TermLength) -> Option<Value> {
    number(length.delta().num_minutes())
}

pub(super) static PERSON: [Attribute<Somebody>; 2] = [
    row(
        "login",
        Kind::Text,
        "The GitHub login, in lower case.",
        |p| text(&p.login),
    ),
    row(
        "github_id",
        Kind::Number,
        "GitHub's number for the account.",
        |p| number(i64::try_from(p.github_id.0).unwrap_or(i64::MAX)),
    ),
];

pub(super) static SERVICE: [Attribute<Machine>; 2] = [
    row(
        "name",
        Kind::Text,
        "The name of the service account.",
        |s| text(&s.name),
    ),
    row(
        "owner",
        Kind::Entity("Person"),
        "The person who is accountable for it.",
        |s| entity(&s.owner.id),
    ),
];

const fn risk(meaning: &'static str) -> Attribute<Wanted> {
    row("risk", Kind::Entity("Risk"), meaning, |w| entity(w.risk))
}

const RISK_LEVEL: Attribute<Wanted> = row(
    "risk_level",
    Kind::Number,
    "The same as a number: 1 is low, 2 moderate, 3 high, 4 critical.",
    |w| number(level(w.risk)),
);

pub(super) static RESOURCE: [Attribute<Wanted>; 4] = [
    row("name", Kind::Text, "The name of the resource.", |w| {
        text(&w.resource)
    }),
    risk("How much harm access to it can do, such as `Risk::\"critical\"`."),
    RISK_LEVEL,
    row(
        "provider",
        Kind::Text,
        "The connection that gives its roles.",
        |w| text(&w.provider),
    ),
];

pub(super) static ROLE: [Attribute<Wanted>; 13] = [
    row(
        "name",
        Kind::Text,
        "The name of the role, without its resource.",
        |w| text(&w.name),
    ),
    row(
        "resource",
        Kind::Entity("Resource"),
        "The resource that it is a role of. `resource in Resource::\"orders\"` says the same of the scope.",
        |w| entity(&w.resource),
    ),
    risk("The risk of the resource."),
    RISK_LEVEL,
    row(
        "approvals",
        Kind::Number,
        "How many owners must approve a request for it.",
        |w| number(i64::from(w.role.approvals)),
    ),
    row(
        "min_minutes",
        Kind::Number,
        "The shortest term in minutes; 0 where the role does not say.",
        |w| minutes_or_zero(w.role.min_duration),
    ),
    row(
        "max_minutes",
        Kind::Number,
        "The longest term in minutes.",
        |w| minutes(w.role.max_duration),
    ),
    row(
        "max_total_minutes",
        Kind::Number,
        "How long renewals may keep it, in minutes.",
        |w| minutes(w.role.max_total),
    ),
    row(
        "requires_ticket",
        Kind::Truth,
        "Whether a request must name a ticket.",
        |w| truth(w.role.requires.contains(&Field::Ticket)),
    ),
    row(
        "requires_risk",
        Kind::Truth,
        "Whether a request must say what could go wrong.",
        |w| truth(w.role.requires.contains(&Field::Risk)),
    ),
    row(
        "rationale",
        Kind::Truth,
        "Whether an approving review must say why.",
        |w| truth(w.role.rationale),
    ),
    row(
        "offers_emergency",
        Kind::Truth,
        "Whether it can be asked for with `emergency: true`.",
        |w| truth(w.role.emergency.is_some()),
    ),
    row(
        "conflicts_with",
        Kind::Entities("Role"),
        "The roles that its file says exclude it.",
        |w| roles(w.role.conflicts_with.iter()),
    ),
];

fn minutes_or_zero(length: Option<crate::domain::model::TermLength>) -> Option<Value> {
    length.map_or(number(0), minutes)
}

pub(super) static CONTEXT: [Attribute<Circumstances>; 14] = [
    row(
        "minutes",
        Kind::Number,
        "How long the access is to last, in minutes; begun minutes count.",
        |c| number(c.minutes),
    ),
    row(
        "total_minutes",
        Kind::Number,
        "The same, from the begin of the first grant that it renews; equal to `minutes` for what renews nothing.",
        |c| number(c.total_minutes),
    ),
    row(
        "starts_in_minutes",
        Kind::Number,
        "How far ahead it begins, in minutes; 0 for access from the merge on.",
        |c| number(c.starts_in_minutes),
    ),
    row(
        "hour",
        Kind::Number,
        "The hour in which it begins, 0 to 23, in UTC. For an open pull request without `starts`: the hour of now.",
        |c| number(i64::from(c.begin.hour())),
    ),
    row(
        "weekday",
        Kind::Entity("Weekday"),
        "The day on which it begins, in UTC, such as `Weekday::\"sunday\"`.",
        |c| entity(WEEKDAYS[c.begin.weekday().num_days_from_monday() as usize]),
    ),
    may(
        "ticket",
        Kind::Text,
        "The ticket that the request names.",
        |c| c.ticket.clone().map(Value::Text),
    ),
    row(
        "has_risk",
        Kind::Truth,
        "Whether the requester wrote down what could go wrong.",
        |c| truth(c.has_risk),
    ),
    row(
        "self_requested",
        Kind::Truth,
        "Whether the author and everybody who pushed is the one who receives the access, or accountable for the service that does. `false` where that is not known.",
        |c| truth(c.self_requested),
    ),
    row(
        "live_roles",
        Kind::Entities("Role"),
        "What the one who receives the access has already, by other files. What the same pull request asks for beside it, and what is on file but was never given, can make a policy forbid and never permit.",
        |c| roles(c.live_roles.iter()),
    ),
    row(
        "live_count",
        Kind::Number,
        "How many `live_roles` there are. Where that is in doubt, policies are asked with the least and with the most, and not between: compare it by `>=`, `>`, `<` or `<=`, and what is in doubt can make a policy forbid and never permit.",
        |c| number(i64::try_from(c.live_roles.len()).unwrap_or(i64::MAX)),
    ),
    row(
        OPEN_REQUESTS,
        Kind::Number,
        "How many pull requests that its author opened before it are still open and ask for access, drafts among them. 0 for one that is merged, and where only files are known.",
        |c| number(c.open_requests),
    ),
    row(
        "emergency",
        Kind::Truth,
        "Whether the request says `emergency: true`.",
        |c| truth(c.emergency),
    ),
    row(
        "renewal",
        Kind::Truth,
        "Whether the same file gives the same role to the same subject today.",
        |c| truth(c.renewal),
    ),
    may(
        "author",
        Kind::Entity("Person"),
        "Who opened the pull request; missing if the account no longer exists.",
        |c| c.author.as_ref().and_then(|a| entity(&a.id)),
    ),
];

/// Which asks how many older requests the author has open.
pub(super) const OPEN_REQUESTS: &str = "open_requests";

/// Which asks for how long an approver has been an owner.
pub(super) const OWNER_MINUTES: &str = "owner_minutes";

/// What only the context of `approve` has: the principal is the reviewer there.
pub(super) static REVIEW: [Attribute<Circumstances>; 3] = [
    may(
        "person",
        Kind::Entity("Person"),
        "The person who is to receive the role; missing for a service account.",
        |c| match &c.subject {
            Some(Principal::Person(person)) => entity(&person.id),
            Some(Principal::Service(_)) | None => None,
        },
    ),
    may(
        "service",
        Kind::Entity("Service"),
        "The service account that is to receive the role; missing for a person.",
        |c| match &c.subject {
            Some(Principal::Service(service)) => entity(&service.name),
            Some(Principal::Person(_)) | None => None,
        },
    ),
    row(
        OWNER_MINUTES,
        Kind::Number,
        "For how many whole minutes Hallpass has seen the reviewer in the team through which the approval counts; of several the longest. By a minute less while the pull request is open. 52560000, a hundred years, for who was there when it was first read, or is named by login.",
        |c| number(c.owner_minutes),
    ),
];

fn rows<T>(attributes: &[Attribute<T>]) -> Vec<Row> {
    let row = |a: &Attribute<T>| Row {
        name: a.name,
        kind: a.kind,
        optional: a.optional,
        meaning: a.meaning,
    };
    attributes.iter().map(row).collect()
}

/// Every entity type that has attributes, and the two kinds of context, in the order of the documentation.
pub fn table() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("Person", rows(&PERSON)),
        ("Service", rows(&SERVICE)),
        ("Resource", rows(&RESOURCE)),
        ("Role", rows(&ROLE)),
        ("context", rows(&CONTEXT)),
        ("context of approve", rows(&REVIEW)),
    ]
}
