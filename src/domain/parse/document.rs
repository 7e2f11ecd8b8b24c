//! One file as the one value that everything else reads.

use std::collections::BTreeMap;

use serde_json::Value;

use super::yaml::{Places, Side};
use super::{Fault, policy_test, prefilter, yaml};
use crate::domain::catalogue::File;
use crate::domain::finding::{Finding, Place};
use crate::domain::model::{RepoPath, RoleName, RoleRef};
use crate::domain::policy::cases::PolicyTests;
use crate::domain::schema::{self, Kind, Problem};

/// The one value of a file, which its schema accepts.
pub(super) struct Document<'f> {
    path: &'f str,
    text: &'f str,
    value: Value,
}

impl<'f> Document<'f> {
    /// Reads a file of `kind`. `field` is told the place of each value of the outermost mapping.
    pub(super) fn read(
        kind: Kind,
        file: &'f File,
        field: &mut dyn FnMut(&str, Place),
    ) -> Result<Self, Vec<Finding>> {
        let path = file.path.as_str();
        let in_file = |fault: Fault| vec![fault.in_file(path)];
        let text = prefilter::text(&file.bytes).map_err(in_file)?;
        let strict = yaml::read(text, field).map_err(in_file)?;
        let value = agreed(text, strict).map_err(in_file)?;
        let problems = schema::check(kind, &value);
        if problems.is_empty() {
            return Ok(Self { path, text, value });
        }
        let places = Places::of(text);
        let told = |problem| finding(path, &places, problem);
        let mut findings: Vec<Finding> = problems.into_iter().map(told).collect();
        findings.sort();
        Err(findings)
    }

    /// The value as a type. Whatever the schema accepts, the types accept: a test holds them together. Should they ever part,
    /// nothing is granted.
    pub(super) fn typed<T>(
        self,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Result<T, Vec<Finding>> {
        let help = "Compare with the examples in access/ and with the schema of the file.";
        read(self.value).map_err(|what| {
            vec![Finding::error(
                "bad-value",
                self.path,
                Place::START,
                what,
                help,
            )]
        })
    }

    /// The value as policy tests, each case with its place.
    pub(super) fn policy_tests(self, path: RepoPath) -> Result<PolicyTests, Vec<Finding>> {
        let places = Places::of(self.text);
        let at = |case: usize| places.at(&format!("/cases/{case}"), Side::Value);
        let cases = self.value.get("cases").and_then(Value::as_array);
        let unclear = |case: &Value| case.get("person").is_some() == case.get("service").is_some();
        let unclear: Vec<Finding> = (0..)
            .zip(cases.into_iter().flatten())
            .filter(|(_, case)| unclear(case))
            .map(|(i, _)| {
                let message = "the case is not about exactly one of `person` and `service`";
                let help = "Name either the one or the other.";
                Finding::error("one-subject", self.path, at(i), message, help)
            })
            .collect();
        if !unclear.is_empty() {
            return Err(unclear);
        }
        let mut tests = self.typed(|value| policy_test::tests(path, value))?;
        for (i, case) in tests.cases.iter_mut().enumerate() {
            case.place = at(i);
        }
        Ok(tests)
    }

    /// Where each entry of each `conflicts_with` of a resource stands.
    pub(super) fn conflict_places(&self) -> BTreeMap<(RoleName, RoleRef), Place> {
        let all = Places::of(self.text);
        let mut places = BTreeMap::new();
        let roles = self.value.get("roles").and_then(Value::as_object);
        for (name, role) in roles.into_iter().flatten() {
            let conflicts = role.get("conflicts_with").and_then(Value::as_array);
            for (i, other) in conflicts.into_iter().flatten().enumerate() {
                let other = other.as_str().unwrap_or_default().to_owned();
                if let (Ok(name), Ok(other)) = (RoleName::new(name), RoleRef::try_from(other)) {
                    let pointer = format!("/roles/{name}/conflicts_with/{i}");
                    places.insert((name, other), all.at(&pointer, Side::Value));
                }
            }
        }
        places
    }

    /// Where each part of each role's `emergency` stands: by the role and the path below, which is empty for the
    /// whole and `people/<login>` for a person.
    pub(super) fn emergency_places(&self) -> BTreeMap<(RoleName, String), Place> {
        let offers = |(name, role): (&String, &Value)| {
            let name = RoleName::new(name).ok()?;
            Some((name, role.get("emergency")?.as_object()?.clone()))
        };
        let roles = self.value.get("roles").and_then(Value::as_object);
        let offers: Vec<_> = roles.into_iter().flatten().filter_map(offers).collect();
        if offers.is_empty() {
            return BTreeMap::new();
        }
        let all = Places::of(self.text);
        let mut places = BTreeMap::new();
        for (name, offer) in offers {
            let whole = format!("/roles/{name}/emergency");
            places.insert((name.clone(), String::new()), all.at(&whole, Side::Key));
            for below in offer.keys() {
                let at = all.at(&format!("{whole}/{below}"), Side::Value);
                places.insert((name.clone(), below.clone()), at);
            }
            let people = offer.get("people").and_then(Value::as_array);
            for (i, login) in people.into_iter().flatten().enumerate() {
                let at = all.at(&format!("{whole}/people/{i}"), Side::Value);
                let login = login.as_str().unwrap_or_default().to_ascii_lowercase();
                places.insert((name.clone(), format!("people/{login}")), at);
            }
        }
        places
    }
}

fn finding(path: &str, places: &Places, problem: Problem) -> Finding {
    let side = if problem.at_key {
        Side::Key
    } else {
        Side::Value
    };
    let place = places.at(&problem.pointer, side);
    Finding::error(problem.rule, path, place, problem.message, problem.help)
}

/// The value as `serde_yaml` reads it, if that is what the strict reader read: a text in which two readers see different
/// things is refused, whichever of them is right.
///
/// The strict reader goes first: it refuses what `serde_yaml` would resolve without a word (anchors, tags, repeated keys) or
/// choke on (depth, size).
fn agreed(text: &str, strict: Value) -> Result<Value, Fault> {
    match serde_yaml::from_str::<Value>(text) {
        Ok(value) if value == strict => Ok(value),
        Ok(_) | Err(_) => Err(Fault {
            rule: "yaml-syntax",
            place: Place::START,
            message: "YAML readers do not agree on what this file says".to_owned(),
            help: "Write it as the examples in access/ are written: plain keys, quoted text where in doubt.".to_owned(),
        }),
    }
}
