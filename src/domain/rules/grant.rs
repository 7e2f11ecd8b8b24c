//! What a single grant must satisfy, judged by the catalogue of the base.

use chrono::TimeDelta;

use super::Setting;
use crate::domain::catalogue::{Catalogue, role_at};
use crate::domain::codeowners::Ownership;
use crate::domain::finding::{Finding, Place};
use crate::domain::model::{
    Field, Grant, GrantPath, Instant, Resource, Role, RoleRef, Subject, Term, TermLength,
};
use crate::domain::parse::{GrantPlaces, shown};
use crate::domain::schema::nearest;

/// How far ahead access may be scheduled.
pub(crate) const FARTHEST_START: TimeDelta = TimeDelta::days(14);

/// A grant with what surrounds it.
pub(super) struct Judged<'a> {
    pub base: &'a Catalogue,
    pub path: &'a GrantPath,
    pub grant: &'a Grant,
    pub places: GrantPlaces,
    pub now: Instant,
    pub setting: Setting,
}

impl Judged<'_> {
    /// Every finding but those that compare with other grants.
    pub(super) fn check(&self, found: &mut Vec<Finding>) {
        self.subject(found);
        self.times(found);
        self.ownership(found);
        self.policies(found);
        let resource = self.path.resource();
        let Some(resource) = self.base.resources.get(&resource) else {
            return found.push(self.unknown_resource(resource.as_str()));
        };
        self.identity(resource, found);
        match resource.roles.get(&self.grant.role) {
            Some(role) => self.role(role, found),
            None => found.push(self.unknown_role(resource)),
        }
    }

    pub(super) fn role_ref(&self) -> RoleRef {
        role_at(self.path, self.grant)
    }

    pub(super) fn error(
        &self,
        rule: &'static str,
        place: Place,
        message: String,
        help: impl Into<String>,
    ) -> Finding {
        Finding::error(rule, self.path.as_str(), place, message, help)
    }

    fn subject(&self, found: &mut Vec<Finding>) {
        let place = self.places.subject;
        match &self.grant.subject {
            Subject::Person(login) if !self.base.people.contains_key(login) => {
                let known = self.base.people.keys().map(|known| known.as_str());
                let file = format!("access/people/{login}.yaml");
                let message = format!("nobody is known as {}", shown(login.as_str()));
                let help = self.missing(&file, nearest(login.as_str(), known));
                found.push(self.error("unknown-person", place, message, help));
            }
            Subject::Service(name) => match self.base.services.get(name) {
                None => {
                    let known = self.base.services.keys().map(|known| known.as_str());
                    let file = format!("access/services/{name}.yaml");
                    let message = format!("there is no service account {}", shown(name.as_str()));
                    let help = self.missing(&file, nearest(name.as_str(), known));
                    found.push(self.error("unknown-service", place, message, help));
                }
                Some(service) if !self.base.people.contains_key(&service.owner) => {
                    let message = format!(
                        "the owner of service {name}, {}, is not known",
                        service.owner
                    );
                    let help =
                        format!("Name a known person as `owner` in access/services/{name}.yaml.");
                    found.push(self.error("unknown-owner", place, message, help));
                }
                Some(_) => {}
            },
            Subject::Person(_) => {}
        }
    }

    /// The way out of naming something that has no file, or one with faults of its own.
    fn missing(&self, file: &str, near: Option<&str>) -> String {
        if self.base.is_faulty(file) {
            return format!("{file} exists, but has faults of its own: repair it first.");
        }
        match near {
            Some(near) => {
                format!("Did you mean `{near}`? Otherwise add {file} in a pull request of its own.")
            }
            None => format!("Add {file} in a pull request of its own."),
        }
    }

    fn unknown_resource(&self, name: &str) -> Finding {
        let known = self.base.resources.keys().map(|known| known.as_str());
        let file = format!("access/resources/{name}.yaml");
        let message = format!(
            "the folder names the resource {}, which is not declared",
            shown(name)
        );
        let help = self.missing(&file, nearest(name, known));
        self.error("unknown-resource", Place::START, message, help)
    }

    fn unknown_role(&self, resource: &Resource) -> Finding {
        let known: Vec<&str> = resource.roles.keys().map(|known| known.as_str()).collect();
        let asked = self.grant.role.as_str();
        let message = format!("{} has no role {}", resource.name, shown(asked));
        let help = match nearest(asked, known.iter().copied()) {
            Some(near) => format!("Did you mean `{near}`? Offered are {}.", known.join(", ")),
            None => format!("Offered are {}.", known.join(", ")),
        };
        self.error("unknown-role", self.places.role, message, help)
    }

    fn identity(&self, resource: &Resource, found: &mut Vec<Finding>) {
        let (identities, file) = match &self.grant.subject {
            Subject::Person(login) => {
                let Some(person) = self.base.people.get(login) else {
                    return;
                };
                (&person.identities, format!("access/people/{login}.yaml"))
            }
            Subject::Service(name) => {
                let Some(service) = self.base.services.get(name) else {
                    return;
                };
                (&service.identities, format!("access/services/{name}.yaml"))
            }
        };
        let connection = &resource.provider;
        if !identities.contains_key(connection) {
            found.push(self.error(
                "no-identity",
                self.places.subject,
                format!("{} has no account in {connection}, which gives {}", self.grant.subject, resource.name),
                format!("Add `identities: {{ {connection}: <account> }}` to {file} in a pull request of its own."),
            ));
        }
    }

    fn role(&self, role: &Role, found: &mut Vec<Finding>) {
        let grant = self.grant;
        for field in &role.requires {
            let (name, value) = match field {
                Field::Ticket => ("ticket", &grant.ticket),
                Field::Risk => ("risk", &grant.risk),
            };
            if value.is_none() {
                found.push(self.error(
                    "field-required",
                    self.places.role,
                    format!("{} demands a `{name}`, which is missing", self.role_ref()),
                    format!("Add `{name}: ...`."),
                ));
            }
        }
        self.ticket(role, found);
        self.length(role.max_duration, found);
        self.emergency(role, found);
    }

    fn ticket(&self, role: &Role, found: &mut Vec<Finding>) {
        let pattern = self.base.ticket_pattern(&self.role_ref(), role);
        let (Some(ticket), Some(pattern)) = (&self.grant.ticket, pattern) else {
            return;
        };
        // A pattern that is no expression, which the schema refuses, is matched by nothing.
        if pattern.is_some_and(|pattern| pattern.is_match(ticket)) {
            return;
        }
        let form = role.ticket_pattern.as_deref().unwrap_or_default();
        let message = format!("the ticket {} does not look like {form}", shown(ticket));
        let help = format!(
            "Name a ticket that matches {form}, as {} demands.",
            self.role_ref()
        );
        found.push(self.error("ticket-pattern", self.places.ticket, message, help));
    }

    /// How long it lasts if it merges now.
    pub(super) fn lasts(&self) -> TimeDelta {
        match self.grant.term {
            Term::Duration(length) => length.delta(),
            Term::Expires(at) => at - self.grant.begin(self.now),
        }
    }

    fn length(&self, limit: TermLength, found: &mut Vec<Finding>) {
        if self.lasts() > limit.delta() {
            let asked = match self.grant.term {
                Term::Duration(length) => format!("{length} is asked for"),
                Term::Expires(at) => format!("it would last until {}", written(at)),
            };
            found.push(self.error(
                "term-too-long",
                self.places.term,
                format!("{asked}; {} lasts at most {limit}", self.role_ref()),
                format!("Ask for at most {limit}, and for more in another request when that ends."),
            ));
        }
    }

    fn times(&self, found: &mut Vec<Finding>) {
        let Grant { starts, term, .. } = self.grant;
        if let Term::Expires(at) = *term {
            if starts.is_some_and(|starts| at <= starts) {
                found.push(self.error(
                    "ends-before-start",
                    self.places.term,
                    format!("it ends at {}, not after it starts", written(at)),
                    "Choose a later `expires` or an earlier `starts`.",
                ));
            } else if at <= self.now {
                let expired = self.error(
                    "expired",
                    self.places.term,
                    format!("it ended at {}", written(at)),
                    match self.setting {
                        Setting::Asked => "Choose a later end.",
                        Setting::Standing => {
                            "Remove the file; Hallpass does so with its next revert."
                        }
                    },
                );
                found.push(match self.setting {
                    Setting::Asked => expired,
                    Setting::Standing => expired.as_warning(),
                });
            }
        }
        self.start(found);
    }

    fn start(&self, found: &mut Vec<Finding>) {
        let Some(starts) = self.grant.starts else {
            return;
        };
        let place = self.places.starts;
        if starts > self.now + FARTHEST_START {
            let message = format!("it starts at {}, more than 14 days ahead", written(starts));
            let help = "Choose an earlier start, or ask later.";
            found.push(self.error("starts-too-late", place, message, help));
        } else if starts < self.now && self.setting == Setting::Asked {
            // Only a warning: review takes time, and the merge decides when access begins. Nothing is backdated.
            let message = format!("the start, {}, has passed", written(starts));
            let help = "Nothing needs to be done: access begins at the merge.";
            found.push(
                self.error("starts-in-past", place, message, help)
                    .as_warning(),
            );
        }
    }

    fn ownership(&self, found: &mut Vec<Finding>) {
        let owners = &self.base.codeowners;
        let standing = self.setting == Setting::Standing;
        let Some(file) = owners.path else {
            // One finding for the whole tree says it better than one for each file.
            if !standing {
                let message = "nobody owns this path: there is no CODEOWNERS file".to_owned();
                let help =
                    "Add .github/CODEOWNERS with a line for access/ in a pull request of its own.";
                found.push(self.error("owner-missing", Place::START, message, help));
            }
            return;
        };
        if let (false, Some(problem)) = (standing, owners.problems.first()) {
            let message = format!(
                "nothing can be granted: line {} of {file} cannot be relied on ({})",
                problem.line, problem.message
            );
            let help = format!("Repair {file} in a pull request of its own.");
            found.push(self.error("codeowners-broken", Place::START, message, help));
        }
        let message = match owners.owners(&self.path.as_repo_path()) {
            Ownership::Owned { .. } => return,
            Ownership::Cleared { line, pattern } => {
                format!("nobody owns this path: line {line} of {file}, `{pattern}`, names no owner")
            }
            Ownership::Unowned => format!("nobody owns this path: no line of {file} matches it"),
        };
        let folder = self.path.resource();
        let help =
            format!("Add a line `/access/grants/{folder}/ @owner` to {file}, below the others.");
        found.push(self.error("owner-missing", Place::START, message, help));
    }

    /// Policies that cannot be relied on permit nothing.
    fn policies(&self, found: &mut Vec<Finding>) {
        if let (Setting::Asked, Some((file, why))) = (self.setting, self.base.policies.broken()) {
            let message = format!("nothing can be granted: {file} cannot be relied on ({why})");
            let help = format!("Repair {} in a pull request of its own.", shown(&file));
            found.push(self.error("policy-broken", Place::START, message, help));
        }
    }

    /// What shows only beside `others`: grants that give `role` to the same subject.
    pub(super) fn beside<'o>(
        &self,
        others: impl Fn(&RoleRef) -> Vec<(&'o GrantPath, &'o Grant)>,
        found: &mut Vec<Finding>,
    ) {
        let live = |role: &RoleRef| {
            let others = others(role).into_iter();
            others
                .filter(|(path, grant)| *path != self.path && !ended(grant, self.now))
                .map(|(path, _)| path)
                .min()
        };
        let own = self.role_ref();
        if ended(self.grant, self.now) {
            return;
        }
        if let Some(other) = live(&own) {
            let message = format!("{other} already gives {own} to {}", self.grant.subject);
            let help = format!("Change {other} to renew that access, or remove one of the two.");
            found.push(self.error("duplicate-grant", self.places.subject, message, help));
        }
        for excluded in self
            .base
            .excluded_by(&own)
            .into_iter()
            .flatten()
            .filter(|role| **role != own)
        {
            if let Some(other) = live(excluded) {
                let message = format!(
                    "{own} and {excluded} exclude each other, and {} is given {excluded} by {other}",
                    self.grant.subject
                );
                let help = "Ask for it when the other has ended, or for somebody else.";
                found.push(self.error("role-conflict", self.places.role, message, help));
            }
        }
    }
}

fn ended(grant: &Grant, now: Instant) -> bool {
    matches!(grant.term, Term::Expires(at) if at <= now)
}

fn written(at: Instant) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
