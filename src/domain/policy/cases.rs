//! Cases that are written beside policies: questions, and the answers that they should give.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{TimeDelta, TimeZone, Utc};

use super::facts::{Action, Circumstances, Machine, Principal, Question, Somebody, Wanted};
use super::{Answer, PolicyRef, WEEKDAYS};
use crate::domain::catalogue::Catalogue;
use crate::domain::finding::Place;
use crate::domain::model::{
    Instant, Login, Owner, RepoPath, RoleRef, ServiceName, Subject, UserId,
};
use crate::domain::schema::nearest;
use crate::domain::tenure::ALWAYS;

/// One file of cases: `access/policies/<name>.test.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyTests {
    /// Its path.
    pub path: RepoPath,
    /// People of these cases, with their attributes. They take precedence over those of the tree.
    pub people: BTreeMap<Login, BTreeMap<String, String>>,
    /// Service accounts of these cases, with their owners.
    pub services: BTreeMap<ServiceName, Login>,
    /// Roles of these cases.
    pub roles: BTreeMap<RoleRef, Wanted>,
    /// In the order of the file.
    pub cases: Vec<PolicyCase>,
}

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyCase {
    /// What it shows.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What is to be done.
    pub action: Action,
    /// Who receives the access, or for a review who reviews.
    pub subject: Subject,
    /// Which teams they are in.
    pub teams: BTreeSet<Owner>,
    /// Which role.
    pub role: RoleRef,
    /// How.
    pub context: Overrides,
    /// What the policies should say.
    pub expect: Expectation,
}

/// What a case says of the circumstances; what it leaves out is as in an ordinary request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the schema")]
pub struct Overrides {
    pub minutes: Option<i64>,
    pub total_minutes: Option<i64>,
    pub starts_in_minutes: Option<i64>,
    pub hour: Option<u32>,
    pub weekday: Option<String>,
    pub ticket: Option<String>,
    pub has_risk: Option<bool>,
    pub self_requested: Option<bool>,
    pub live_roles: BTreeSet<RoleRef>,
    pub open_requests: Option<i64>,
    pub emergency: Option<bool>,
    pub renewal: Option<bool>,
    pub author: Option<Login>,
    pub person: Option<Login>,
    pub service: Option<ServiceName>,
    pub owner_minutes: Option<i64>,
}

/// The answer that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Yes or no.
    pub verdict: Expected,
    /// A policy that decides.
    pub by: Option<String>,
    /// What the requester reads.
    pub message: Option<String>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the two words of the schema")]
pub enum Expected {
    Allow,
    Deny,
}

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CaseResult {
    /// The file.
    pub file: RepoPath,
    /// Where the case stands in it, from 1.
    pub line: u32,
    /// What it shows.
    pub name: String,
    /// Why it failed; `None` where the policies said what was expected.
    pub failure: Option<String>,
}

/// How many cases one tree may have: each is a question to all policies.
pub const MAX_CASES: usize = 1_000;

/// An ordinary hour: ten on a tuesday.
const HOUR: u32 = 10;
const WEEKDAY: &str = "tuesday";

/// Asks the policies of `tree` everything that `tests` hold.
pub fn run(tests: &PolicyTests, tree: &Catalogue) -> Vec<CaseResult> {
    let result = |case: &PolicyCase| CaseResult {
        file: tests.path.clone(),
        line: case.place.line,
        name: case.name.clone(),
        failure: failure(tests, case, tree),
    };
    tests.cases.iter().map(result).collect()
}

fn failure(tests: &PolicyTests, case: &PolicyCase, tree: &Catalogue) -> Option<String> {
    let question = match (Setting { tests, tree }).question(case) {
        Ok(question) => question,
        Err(why) => return Some(why),
    };
    let answer = tree.policies.ask(&question);
    let (said, policies) = match &answer {
        Answer::Permitted(policies) => (Expected::Allow, policies.as_slice()),
        Answer::Forbidden(policies) => (Expected::Deny, policies.as_slice()),
        Answer::NotPermitted => (Expected::Deny, [].as_slice()),
        Answer::Unusable(why) => return Some(format!("the policies cannot answer: {why}")),
    };
    let Expectation {
        verdict,
        by,
        message,
    } = &case.expect;
    if said != *verdict {
        let word = match said {
            Expected::Allow => "allowed",
            Expected::Deny => "denied",
        };
        return Some(format!("it is {word}{}", deciding(said, policies)));
    }
    if let Some(by) = by
        .as_ref()
        .filter(|by| policies.iter().all(|p| p.id != **by))
    {
        return Some(format!("not by {by}{}", deciding(said, policies)));
    }
    let says = |wanted: &&String| policies.iter().any(|p| p.message.as_ref() == Some(*wanted));
    let silent = message.as_ref().filter(|wanted| !says(wanted));
    silent.map(|_| {
        let said = policies.iter().filter_map(|p| p.message.as_deref());
        let said: Vec<String> = said.map(|m| format!("{m:?}")).collect();
        match said.as_slice() {
            [] => "nothing is said to the requester".to_owned(),
            said => format!("the requester reads {}", said.join(" and ")),
        }
    })
}

fn deciding(said: Expected, policies: &[PolicyRef]) -> String {
    let one = |p: &PolicyRef| format!("{} ({}:{})", p.id, p.file, p.line);
    let all: Vec<String> = policies.iter().map(one).collect();
    match (all.as_slice(), said) {
        ([], Expected::Deny) => ": no policy permits it".to_owned(),
        ([], Expected::Allow) => ": there are no policies".to_owned(),
        (all, _) => format!(" by {}", all.join(", ")),
    }
}

/// Where the names of cases are looked up: in the file of the cases, then in the tree.
struct Setting<'a> {
    tests: &'a PolicyTests,
    tree: &'a Catalogue,
}

impl Setting<'_> {
    fn question(&self, case: &PolicyCase) -> Result<Question, String> {
        let principal = self.principal(&case.subject, &case.teams)?;
        let context = &case.context;
        let minutes = context.minutes.unwrap_or(60);
        let author = match (&context.author, &principal) {
            (Some(login), _) => self.person(login, &BTreeSet::new())?,
            (None, Principal::Person(person)) => person.clone(),
            (None, Principal::Service(service)) => service.owner.clone(),
        };
        Ok(Question {
            action: case.action,
            wanted: self.role(&case.role)?,
            circumstances: Circumstances {
                minutes,
                total_minutes: context.total_minutes.unwrap_or(minutes),
                starts_in_minutes: context.starts_in_minutes.unwrap_or(0),
                begin: begin(context),
                ticket: context.ticket.clone(),
                has_risk: context.has_risk.unwrap_or(false),
                self_requested: context.self_requested.unwrap_or(context.author.is_none()),
                live_roles: context.live_roles.clone(),
                open_requests: context.open_requests.unwrap_or(0),
                emergency: context
                    .emergency
                    .unwrap_or(case.action == Action::Emergency),
                renewal: context.renewal.unwrap_or(case.action == Action::Renew),
                author: Some(author),
                subject: self.subject(context)?,
                owner_minutes: context.owner_minutes.unwrap_or(ALWAYS),
            },
            principal,
        })
    }

    /// Who is to receive the role that is reviewed.
    fn subject(&self, context: &Overrides) -> Result<Option<Principal>, String> {
        let subject = match (&context.person, &context.service) {
            (Some(login), _) => Subject::Person(login.clone()),
            (None, Some(name)) => Subject::Service(name.clone()),
            (None, None) => return Ok(None),
        };
        self.principal(&subject, &BTreeSet::new()).map(Some)
    }

    fn principal(&self, subject: &Subject, teams: &BTreeSet<Owner>) -> Result<Principal, String> {
        match subject {
            Subject::Person(login) => self.person(login, teams).map(Principal::Person),
            Subject::Service(name) => {
                let inline = self.tests.services.get(name);
                let owner = inline.or_else(|| self.tree.services.get(name).map(|s| &s.owner));
                let known = self.tests.services.keys().chain(self.tree.services.keys());
                let known = known.map(ServiceName::as_str);
                let owner =
                    owner.ok_or_else(|| unknown("service account", name.as_str(), known))?;
                Ok(Principal::Service(Machine {
                    name: name.clone(),
                    owner: self.person(owner, teams)?,
                }))
            }
        }
    }

    fn person(&self, login: &Login, teams: &BTreeSet<Owner>) -> Result<Somebody, String> {
        let declared = self.tree.people.get(login);
        let inline = self.tests.people.get(login);
        let known = self.tests.people.keys().chain(self.tree.people.keys());
        let attributes = inline
            .or_else(|| declared.map(|person| &person.attributes))
            .ok_or_else(|| unknown("person", login.as_str(), known.map(Login::as_str)))?;
        Ok(Somebody {
            id: login.to_string(),
            login: login.clone(),
            github_id: declared.map_or(UserId(0), |person| person.github_id),
            attributes: attributes.clone(),
            teams: teams.clone(),
        })
    }

    fn role(&self, name: &RoleRef) -> Result<Wanted, String> {
        let declared = || {
            let resource = self.tree.resources.get(&name.resource)?;
            Wanted::of(resource, &name.role)
        };
        let inline = self.tests.roles.get(name).cloned();
        if inline.is_none() && self.tree.parts(name).is_some() {
            return Err(format!(
                "{name} is a bundle: policies are asked about each role that it bundles"
            ));
        }
        inline.or_else(declared).ok_or_else(|| {
            let declared = self.tree.resources.values().flat_map(|r| {
                let roles = r.roles.keys();
                roles.map(move |role| format!("{}/{role}", r.name))
            });
            let inline = self.tests.roles.keys().map(ToString::to_string);
            let known: Vec<String> = inline.chain(declared).collect();
            unknown("role", &name.to_string(), known.iter().map(String::as_str))
        })
    }
}

fn unknown<'k>(kind: &str, name: &str, known: impl Iterator<Item = &'k str>) -> String {
    let near = nearest(name, known);
    let hint = near
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    format!("there is no {kind} {name}, neither in the tree nor in this file{hint}")
}

/// An instant on that day, at that hour.
fn begin(context: &Overrides) -> Instant {
    let weekday = context.weekday.as_deref().unwrap_or(WEEKDAY);
    let days = WEEKDAYS.iter().position(|day| *day == weekday).unwrap_or(0);
    let monday = Utc
        .with_ymd_and_hms(2026, 11, 23, 0, 0, 0)
        .single()
        .expect("midnights are in every calendar of UTC");
    let days = TimeDelta::days(i64::try_from(days).unwrap_or(0));
    monday + days + TimeDelta::hours(i64::from(context.hour.unwrap_or(HOUR)))
}
