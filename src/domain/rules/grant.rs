//! What a single grant must satisfy, judged by the catalogue of the base.

use chrono::TimeDelta;

use super::Setting;
use super::eligible::{Eligible, eligible, refusal};
use crate::domain::catalogue::Catalogue;
use crate::domain::codeowners::Ownership;
use crate::domain::finding::{Finding, Place};
use crate::domain::model::{
    Field, Grant, GrantPath, Instant, Resource, Role, RoleRef, Service, Subject, Term,
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
    /// The role whose rules are asked: the grant's own, or one that it bundles.
    pub asked: RoleRef,
    pub places: GrantPlaces,
    pub now: Instant,
    pub setting: Setting,
}

/// Something that is named and is not declared.
struct Missing {
    rule: &'static str,
    place: Place,
    /// The file that would declare it.
    file: String,
    message: String,
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
            return found.extend(self.unknown_resource(resource.as_str()));
        };
        self.identity(resource, found);
        let Some(role) = resource.roles.get(&self.grant.role) else {
            return found.push(self.unknown_role(resource));
        };
        self.role(role, found);
        self.length(&self.bound(), found);
        self.emergency(role, found);
        if let Some(parts) = role.bundled() {
            self.parts(parts, found);
        }
    }

    pub(super) fn role_ref(&self) -> RoleRef {
        self.asked.clone()
    }

    /// The roles whose limits bind the grant, that are declared.
    fn bound(&self) -> Vec<(RoleRef, &Role)> {
        let roles = self.base.binding(self.path, self.grant).into_iter();
        let declared = |role: &RoleRef| Some(self.base.role(&role.resource, &role.role)?.1);
        roles
            .filter_map(|name| Some((name.clone(), declared(&name)?)))
            .collect()
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
        match &self.grant.subject {
            Subject::Person(login) if !self.base.people.contains_key(login) => {
                let known = self.base.people.keys().map(|known| known.as_str());
                let missing = Missing {
                    rule: "unknown-person",
                    place: self.places.subject,
                    file: format!("access/people/{login}.yaml"),
                    message: format!("nobody is known as {}", shown(login.as_str())),
                };
                found.extend(self.missing(missing, nearest(login.as_str(), known)));
            }
            Subject::Service(name) => match self.base.services.get(name) {
                None => {
                    let known = self.base.services.keys().map(|known| known.as_str());
                    let missing = Missing {
                        rule: "unknown-service",
                        place: self.places.subject,
                        file: format!("access/services/{name}.yaml"),
                        message: format!("there is no service account {}", shown(name.as_str())),
                    };
                    found.extend(self.missing(missing, nearest(name.as_str(), known)));
                }
                Some(service) => found.extend(self.service_owner(service)),
            },
            Subject::Person(_) => {}
        }
    }

    fn service_owner(&self, service: &Service) -> Option<Finding> {
        let Service { name, owner, .. } = service;
        if self.base.people.contains_key(owner) {
            return None;
        }
        let missing = Missing {
            rule: "unknown-owner",
            place: self.places.subject,
            file: format!("access/people/{owner}.yaml"),
            message: format!("the owner of service {name}, {owner}, is not known"),
        };
        let mut finding = self.missing(missing, None)?;
        if self
            .base
            .first_fault(&format!("access/people/{owner}.yaml"))
            .is_none()
        {
            finding.help =
                format!("Name a known person as `owner` in access/services/{name}.yaml.");
        }
        Some(finding)
    }

    /// The finding of naming something that has no file. One that has a file with faults of its own is told as that: by the file
    /// itself where the whole tree is looked at, and by its fault where a change is.
    fn missing(&self, missing: Missing, near: Option<&str>) -> Option<Finding> {
        let Missing {
            rule,
            place,
            file,
            message,
        } = missing;
        if let Some(fault) = self.base.first_fault(&file) {
            let (line, column) = (fault.line, fault.column);
            let message = format!("{file} cannot be used: {} at {line}:{column}", fault.rule);
            let help = format!("Repair {file} first, in a pull request of its own.");
            return (self.setting == Setting::Asked)
                .then(|| self.error(rule, place, message, help));
        }
        let help = match near {
            Some(near) => {
                format!("Did you mean `{near}`? Otherwise add {file} in a pull request of its own.")
            }
            None => format!("Add {file} in a pull request of its own."),
        };
        Some(self.error(rule, place, message, help))
    }

    fn unknown_resource(&self, name: &str) -> Option<Finding> {
        let known = self.base.resources.keys().map(|known| known.as_str());
        let missing = Missing {
            rule: "unknown-resource",
            place: Place::START,
            file: format!("access/resources/{name}.yaml"),
            message: format!(
                "the folder names the resource {}, which is not declared",
                shown(name)
            ),
        };
        self.missing(missing, nearest(name, known))
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

    pub(super) fn identity(&self, resource: &Resource, found: &mut Vec<Finding>) {
        let Some(connection) = resource.connection() else {
            return;
        };
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
        if !identities.contains_key(connection) {
            found.push(self.error(
                "no-identity",
                self.places.subject,
                format!("{} has no account in {connection}, which gives {}", self.grant.subject, resource.name),
                format!("Add `identities: {{ {connection}: <account> }}` to {file} in a pull request of its own."),
            ));
        }
    }

    pub(super) fn role(&self, role: &Role, found: &mut Vec<Finding>) {
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
        self.eligible(role, found);
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

    /// Who may ask. Teams are not decided here, as a tree does not tell who is in them.
    fn eligible(&self, role: &Role, found: &mut Vec<Finding>) {
        if let Eligible::No(named) = eligible(self.base, self.grant, role) {
            let (message, help) = refusal(&self.grant.subject, &self.role_ref(), named);
            let refused = self.error("not-eligible", self.places.subject, message, help);
            found.push(match self.setting {
                Setting::Asked => refused,
                // It was right when it was given.
                Setting::Standing => refused.as_warning(),
            });
        }
    }

    /// How long it lasts if it merges now.
    pub(super) fn lasts(&self) -> TimeDelta {
        match self.grant.term {
            Term::Duration(length) => length.delta(),
            Term::Expires(at) => at - self.grant.begin(self.now),
        }
    }

    /// The strictest of `roles` decides.
    fn length(&self, roles: &[(RoleRef, &Role)], found: &mut Vec<Finding>) {
        let length = self.lasts();
        let asked = match self.grant.term {
            Term::Duration(length) => format!("{length} is asked for"),
            Term::Expires(at) => format!("it would last until {}", written(at)),
        };
        let limits = roles.iter().flat_map(|(role_ref, role)| {
            [
                (role.max_duration, "max_duration", role_ref),
                (role.max_total, "max_total", role_ref),
            ]
        });
        // The first of equals.
        let strictest = limits.min_by_key(|(limit, ..)| *limit);
        if let Some((limit, name, role_ref)) = strictest.filter(|l| length > l.0.delta()) {
            found.push(self.error(
                "term-too-long",
                self.places.term,
                format!("{asked}; {role_ref} lasts at most {limit}, its `{name}`"),
                format!("Ask for at most {limit}, and for more in another request when that ends."),
            ));
        }
        // What is over has a rule of its own; so has ending sooner what is held.
        let least = roles
            .iter()
            .filter_map(|(role_ref, role)| Some((role.min_duration?, role_ref)));
        let longest = least.max_by_key(|(least, _)| *least);
        let short = longest.filter(|(least, _)| length < least.delta());
        let judged = length > TimeDelta::zero() && !self.grant.emergency && !self.only_shortens();
        if let Some((least, role_ref)) = short.filter(|_| judged && self.setting == Setting::Asked)
        {
            found.push(self.error(
                "term-too-short",
                self.places.term,
                format!("{asked}; {role_ref} lasts at least {least}, its `min_duration`"),
                format!("Ask for at least {least}; remove the file when you need it no longer."),
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

    pub(super) fn ownership(&self, found: &mut Vec<Finding>) {
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
        // The owners of a part of a bundle are those of such a grant by itself.
        let folder = &self.asked.resource;
        let path = self.path.within(folder);
        let what = if path == *self.path {
            "this path".to_owned()
        } else {
            format!("{path}, so nobody can approve {}", self.asked)
        };
        let message = match owners.owners(&path.as_repo_path()) {
            Ownership::Owned { .. } => return,
            Ownership::Cleared { line, pattern } => {
                format!("nobody owns {what}: line {line} of {file}, `{pattern}`, names no owner")
            }
            Ownership::Unowned => format!("nobody owns {what}: no line of {file} matches it"),
        };
        let help =
            format!("Add a line `/access/grants/{folder}/ @owner` to {file}, below the others.");
        found.push(self.error("owner-missing", Place::START, message, help));
    }

    /// Policies that cannot be relied on permit nothing.
    fn policies(&self, found: &mut Vec<Finding>) {
        if let (Setting::Asked, Some((file, why))) = (self.setting, self.base.policies.broken()) {
            let message = format!("nothing can be granted: {file} cannot be relied on ({why})");
            let help = format!("Repair {} in a pull request of its own.", shown(file));
            found.push(self.error("policy-broken", Place::START, message, help));
        }
    }
}

pub(super) fn written(at: Instant) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
