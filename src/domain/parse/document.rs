//! One file as the one value that everything else reads.

use std::collections::BTreeMap;

use serde_json::Value;

use super::yaml::{Places, Side};
use super::{Fault, policy_test, prefilter, yaml};
use crate::domain::catalogue::File;
use crate::domain::finding::{Finding, Place};
use crate::domain::model::{RepoPath, RoleName};
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

    /// Where the fields of each role of a resource stand, and the entries of its lists: by the role and a label such as
    /// `max_duration`, `conflicts_with/ledger/approver` or `eligible/people/octocat`, in lower case.
    pub(super) fn role_places(&self) -> BTreeMap<(RoleName, String), Place> {
        let all = Places::of(self.text);
        let mut places = BTreeMap::new();
        let roles = self.value.get("roles").and_then(Value::as_object);
        for (name, role) in roles.into_iter().flatten() {
            let Ok(role_name) = RoleName::new(name) else {
                continue;
            };
            let mut note = |label: &str, pointer: &str, side| {
                let place = all.at(pointer, side);
                places.insert((role_name.clone(), label.to_ascii_lowercase()), place);
            };
            for (field, value) in role.as_object().into_iter().flatten() {
                // What a provider gives is the provider's own, whatever its shape.
                if field == "entitlement" {
                    note("entitlement", &format!("/roles/{name}/{field}"), Side::Key);
                } else {
                    labels(field, &format!("/roles/{name}/{field}"), value, &mut note);
                }
            }
        }
        places
    }
}

/// Tells `note` the label and the pointer of `value` and of everything in it.
fn labels(label: &str, pointer: &str, value: &Value, note: &mut dyn FnMut(&str, &str, Side)) {
    // What has parts is pointed at by its name.
    let side = if value.is_object() {
        Side::Key
    } else {
        Side::Value
    };
    note(label, pointer, side);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let (label, pointer) = (format!("{label}/{name}"), format!("{pointer}/{name}"));
                labels(&label, &pointer, value, note);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                if let Some(text) = item.as_str() {
                    note(
                        &format!("{label}/{text}"),
                        &format!("{pointer}/{i}"),
                        Side::Value,
                    );
                }
            }
        }
        _ => {}
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
