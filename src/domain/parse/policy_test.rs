//! The cases of a policy test, typed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::typed::{read, team};
use crate::domain::model::{
    ConnectionName, EmergencyOffer, Field, Gives, Login, RepoPath, Risk, Role, RoleRef,
    ServiceName, Subject, TermLength,
};
use crate::domain::policy::cases::{Expectation, Expected, Overrides, PolicyCase, PolicyTests};
use crate::domain::policy::{Action, Wanted};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    #[serde(default)]
    people: BTreeMap<Login, PersonSays>,
    #[serde(default)]
    services: BTreeMap<ServiceName, ServiceSays>,
    #[serde(default)]
    roles: BTreeMap<RoleRef, RoleSays>,
    cases: Vec<CaseSays>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonSays {
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceSays {
    owner: Login,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleSays {
    risk: Risk,
    provider: Option<ConnectionName>,
    min_duration: Option<TermLength>,
    max_duration: Option<TermLength>,
    max_total: Option<TermLength>,
    approvals: Option<u32>,
    #[serde(default)]
    requires: BTreeSet<Field>,
    #[serde(default)]
    rationale: bool,
    #[serde(default)]
    offers_emergency: bool,
    #[serde(default)]
    conflicts_with: BTreeSet<RoleRef>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseSays {
    name: String,
    action: ActionSays,
    person: Option<Login>,
    service: Option<ServiceName>,
    #[serde(default)]
    teams: BTreeSet<String>,
    role: RoleRef,
    #[serde(default)]
    context: ContextSays,
    expect: ExpectSays,
    by: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ActionSays {
    Request,
    Renew,
    Emergency,
    AutoApprove,
    Approve,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ExpectSays {
    Allow,
    Deny,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextSays {
    minutes: Option<i64>,
    total_minutes: Option<i64>,
    starts_in_minutes: Option<i64>,
    hour: Option<u32>,
    weekday: Option<String>,
    ticket: Option<String>,
    has_risk: Option<bool>,
    self_requested: Option<bool>,
    #[serde(default)]
    live_roles: BTreeSet<RoleRef>,
    open_requests: Option<i64>,
    emergency: Option<bool>,
    renewal: Option<bool>,
    author: Option<Login>,
    person: Option<Login>,
    service: Option<ServiceName>,
    owner_minutes: Option<i64>,
}

/// The tests of a file, whose places are not known yet.
pub(super) fn tests(path: RepoPath, value: Value) -> Result<PolicyTests, String> {
    let file: TestFile = read(value)?;
    let people = file.people.into_iter();
    let services = file.services.into_iter();
    let roles = file.roles.into_iter();
    Ok(PolicyTests {
        path,
        people: people.map(|(login, p)| (login, p.attributes)).collect(),
        services: services.map(|(name, s)| (name, s.owner)).collect(),
        roles: roles
            .map(|(name, says)| (name.clone(), wanted(name, says)))
            .collect(),
        cases: file.cases.into_iter().map(case).collect::<Result<_, _>>()?,
    })
}

fn case(says: CaseSays) -> Result<PolicyCase, String> {
    let subject = match (says.person, says.service) {
        (Some(login), None) => Subject::Person(login),
        (None, Some(name)) => Subject::Service(name),
        _ => return Err("a case is not about exactly one of `person` and `service`".into()),
    };
    let teams = says.teams.iter().map(|text| team(&format!("@{text}")));
    Ok(PolicyCase {
        name: says.name,
        place: Default::default(),
        action: match says.action {
            ActionSays::Request => Action::Request,
            ActionSays::Renew => Action::Renew,
            ActionSays::Emergency => Action::Emergency,
            ActionSays::AutoApprove => Action::AutoApprove,
            ActionSays::Approve => Action::Approve,
        },
        subject,
        teams: teams.collect::<Result<_, _>>()?,
        role: says.role,
        context: overrides(says.context),
        expect: Expectation {
            verdict: match says.expect {
                ExpectSays::Allow => Expected::Allow,
                ExpectSays::Deny => Expected::Deny,
            },
            by: says.by,
            message: says.message,
        },
    })
}

fn overrides(says: ContextSays) -> Overrides {
    Overrides {
        minutes: says.minutes,
        total_minutes: says.total_minutes,
        starts_in_minutes: says.starts_in_minutes,
        hour: says.hour,
        weekday: says.weekday,
        ticket: says.ticket,
        has_risk: says.has_risk,
        self_requested: says.self_requested,
        live_roles: says.live_roles,
        open_requests: says.open_requests,
        emergency: says.emergency,
        renewal: says.renewal,
        author: says.author,
        person: says.person,
        service: says.service,
        owner_minutes: says.owner_minutes,
    }
}

fn wanted(name: RoleRef, says: RoleSays) -> Wanted {
    let hours = |hours: u32| TermLength::from_seconds(hours * 3600).unwrap_or(TermLength::days(1));
    let max_duration = says.max_duration.unwrap_or_else(|| hours(8));
    let offer = EmergencyOffer {
        approvals: 1,
        max_duration: hours(1),
        review_within: TermLength::days(3),
        people: BTreeSet::new(),
    };
    let provider = says.provider.unwrap_or_else(example);
    Wanted {
        resource: name.resource,
        risk: says.risk,
        provider: provider.clone(),
        name: name.role,
        role: Role {
            description: String::new(),
            gives: Gives::Entitlement {
                connection: provider,
                value: Value::Null,
            },
            min_duration: says.min_duration,
            max_duration,
            max_total: says.max_total.unwrap_or(Role::MAX_TOTAL),
            eligible: None,
            approval_max_age: Role::APPROVAL_MAX_AGE,
            emergency: says.offers_emergency.then_some(offer),
            approvals: says.approvals.unwrap_or(1),
            requires: says.requires,
            ticket_pattern: None,
            rationale: says.rationale,
            conflicts_with: says.conflicts_with,
        },
    }
}

fn example() -> ConnectionName {
    ConnectionName::new("example").expect("it has the form of a name")
}
