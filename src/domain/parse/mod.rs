//! Bytes to typed values, once: prefilter, strict YAML, one `serde_json::Value`, schema, typed. The value that is judged is the
//! value that is granted.
//!
//! Invariant: a file that any of the steps refuses is absent from the [`Catalogue`]'s maps and present in its findings, each
//! with its line and column.

mod governed;
mod prefilter;
mod scalar;
mod typed;
mod yaml;

use std::collections::BTreeMap;

use rayon::prelude::*;
use regex::Regex;
use serde_json::Value;

use super::catalogue::{Catalogue, Declared, File, REGULAR_FILE};
use super::codeowners::{Codeowners, LOCATIONS};
use super::finding::{Finding, Place};
use super::model::{GrantPath, Person, Resource, RoleName, RoleRef, Service};
use super::schema::{self, Kind, Problem};

pub use governed::MAX_PATH;
pub(crate) use governed::{Governed, classify};
pub use prefilter::MAX_BYTES;
pub use typed::instant;
pub(crate) use typed::ticket_pattern;
pub use yaml::{MAX_DEPTH, MAX_NODES};

/// Something wrong in one file, before it is known which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    rule: &'static str,
    place: Place,
    message: String,
    help: String,
}

impl Fault {
    pub(crate) fn in_file(self, path: &str) -> Finding {
        Finding::error(self.rule, path, self.place, self.message, self.help)
    }
}

/// Where the fields of a grant stand, for findings that only show between files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct GrantPlaces {
    pub subject: Place,
    pub role: Place,
    pub term: Place,
    pub starts: Place,
    pub ticket: Place,
    pub emergency: Place,
}

impl GrantPlaces {
    fn note(&mut self, field: &str, place: Place) {
        match field {
            "person" | "service" => self.subject = place,
            "role" => self.role = place,
            "duration" | "expires" => self.term = place,
            "starts" => self.starts = place,
            "ticket" => self.ticket = place,
            "emergency" => self.emergency = place,
            _ => {}
        }
    }
}

/// A resource with what its rules need beside it.
#[derive(Debug, Clone)]
pub(crate) struct ReadResource {
    pub resource: Resource,
    pub tickets: BTreeMap<RoleName, Regex>,
    pub conflicts: BTreeMap<(RoleName, RoleRef), Place>,
}

/// One governed file, read.
#[derive(Debug, Clone)]
pub(crate) enum Read {
    Grant(GrantPath, Declared, GrantPlaces),
    Person(Person, Place),
    Service(Service, Place),
    Resource(Box<ReadResource>),
    /// A file whose content is read elsewhere (CODEOWNERS) or not at all.
    Other,
}

/// Reads every governed file of a tree: `access/**`, the CODEOWNERS locations, `.gitattributes`. Other paths are ignored.
pub fn read_tree(files: &[File]) -> Catalogue {
    let reads: Vec<Result<Read, Vec<Finding>>> = files
        .par_iter()
        .with_min_len(64)
        .filter_map(read_file)
        .collect();
    let mut tree = Catalogue::default();
    let mut grants = Vec::new();
    for read in reads {
        match read {
            Ok(Read::Grant(path, declared, places)) => grants.push((path, declared, places)),
            Ok(other) => insert(&mut tree, other),
            Err(findings) => tree.findings.extend(findings),
        }
    }
    grants.par_sort_by(|a, b| a.0.cmp(&b.0));
    tree.index.places = grants.iter().map(|(_, _, places)| *places).collect();
    tree.grants = grants
        .into_iter()
        .map(|(path, declared, _)| (path, declared))
        .collect();
    for file in files {
        if let Some(location) = LOCATIONS
            .iter()
            .find(|l| **l == file.path && file.mode == REGULAR_FILE)
        {
            tree.index.owners_files.insert(location, file.bytes.clone());
        }
    }
    tree.codeowners = owners_in_force(&tree.index.owners_files);
    tree.findings.extend(twins(files));
    tree.findings.sort();
    tree
}

/// CODEOWNERS as GitHub would pick it from what stands at the three locations.
pub(crate) fn owners_in_force(files: &BTreeMap<&'static str, std::sync::Arc<[u8]>>) -> Codeowners {
    LOCATIONS
        .iter()
        .find_map(|location| Some(Codeowners::parse(location, files.get(location)?)))
        .unwrap_or_default()
}

pub(crate) fn insert(tree: &mut Catalogue, read: Read) {
    match read {
        Read::Person(person, place) => {
            tree.index.people.insert(person.login.clone(), place);
            tree.people.insert(person.login.clone(), person);
        }
        Read::Service(service, place) => {
            tree.index.services.insert(service.name.clone(), place);
            tree.services.insert(service.name.clone(), service);
        }
        Read::Resource(read) => {
            let name = read.resource.name.clone();
            tree.index.add(&read);
            tree.resources.insert(name, read.resource);
        }
        Read::Grant(..) | Read::Other => {}
    }
}

/// Reads one file; `None` for one that is not governed.
pub(crate) fn read_file(file: &File) -> Option<Result<Read, Vec<Finding>>> {
    let governed = match classify(&file.path)? {
        Ok(governed) => governed,
        Err(fault) => return Some(Err(vec![fault.in_file(&file.path)])),
    };
    if file.mode != REGULAR_FILE {
        return Some(Err(vec![
            governed::mode_fault(file.mode).in_file(&file.path),
        ]));
    }
    Some(read_governed(governed, file))
}

fn read_governed(governed: Governed, file: &File) -> Result<Read, Vec<Finding>> {
    let document = |kind| Document::read(kind, file);
    match governed {
        Governed::Grant(path) => {
            let mut places = GrantPlaces::default();
            let document = Document::read_noting(Kind::Grant, file, &mut |k, p| places.note(k, p))?;
            let grant = document.typed(typed::grant)?;
            let declared = Declared {
                blob: file.blob.clone(),
                grant: grant.into(),
            };
            Ok(Read::Grant(path, declared, places))
        }
        Governed::Person(login) => {
            let document = document(Kind::Person)?;
            let place = document.place("/github_id", yaml::Side::Value);
            Ok(Read::Person(
                document.typed(|value| typed::person(login, value))?,
                place,
            ))
        }
        Governed::Service(name) => {
            let document = document(Kind::Service)?;
            let place = document.place("/owner", yaml::Side::Value);
            Ok(Read::Service(
                document.typed(|value| typed::service(name, value))?,
                place,
            ))
        }
        Governed::Resource(name) => {
            let document = document(Kind::Resource)?;
            let conflicts = document.conflict_places();
            let (resource, tickets) = document.typed(|value| typed::resource(name, value))?;
            Ok(Read::Resource(Box::new(ReadResource {
                resource,
                tickets,
                conflicts,
            })))
        }
        Governed::Policy => Err(vec![Finding::error(
            "policy-not-enforced",
            &file.path,
            Place::START,
            "this version of Hallpass does not enforce policies, so it does not accept any",
            "Remove the file. Limits of a role go into access/resources/<name>.yaml.",
        )]),
        Governed::Codeowners(_) | Governed::Attributes => Ok(Read::Other),
    }
}

/// The one value of a file, which its schema accepts.
struct Document<'f> {
    path: &'f str,
    text: &'f str,
    value: Value,
}

impl<'f> Document<'f> {
    fn read(kind: Kind, file: &'f File) -> Result<Self, Vec<Finding>> {
        Self::read_noting(kind, file, &mut |_, _| {})
    }

    fn read_noting(
        kind: Kind,
        file: &'f File,
        field: &mut dyn FnMut(&str, Place),
    ) -> Result<Self, Vec<Finding>> {
        let in_file = |fault: Fault| vec![fault.in_file(&file.path)];
        let text = prefilter::text(&file.bytes).map_err(in_file)?;
        let value = yaml::read(text, field).map_err(in_file)?;
        let document = Self {
            path: &file.path,
            text,
            value,
        };
        let problems = schema::check(kind, &document.value);
        if problems.is_empty() {
            return Ok(document);
        }
        let mut findings: Vec<Finding> =
            problems.into_iter().map(|p| document.finding(p)).collect();
        findings.sort();
        Err(findings)
    }

    fn finding(&self, problem: Problem) -> Finding {
        let side = if problem.at_key {
            yaml::Side::Key
        } else {
            yaml::Side::Value
        };
        let place = self.place(&problem.pointer, side);
        Finding::error(
            problem.rule,
            self.path,
            place,
            problem.message,
            problem.help,
        )
    }

    fn place(&self, pointer: &str, side: yaml::Side) -> Place {
        let segments: Vec<String> = pointer.split('/').skip(1).map(schema::unescape).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        yaml::locate(self.text, &segments, side).unwrap_or_default()
    }

    fn typed<T>(self, read: impl FnOnce(Value) -> Result<T, String>) -> Result<T, Vec<Finding>> {
        let path = self.path;
        // Whatever the schema accepts, the types accept: a test holds them together. Should they ever part, nothing is granted.
        read(self.value).map_err(|message| {
            let help = "Compare with the examples in access/ and with the schema of the file.";
            vec![Finding::error(
                "bad-value",
                path,
                Place::START,
                message,
                help,
            )]
        })
    }

    fn conflict_places(&self) -> BTreeMap<(RoleName, RoleRef), Place> {
        let mut places = BTreeMap::new();
        let roles = self.value.get("roles").and_then(Value::as_object);
        for (name, role) in roles.into_iter().flatten() {
            let conflicts = role.get("conflicts_with").and_then(Value::as_array);
            for (i, other) in conflicts.into_iter().flatten().enumerate() {
                let other = other
                    .as_str()
                    .map(|text| RoleRef::try_from(text.to_owned()));
                if let (Ok(name), Some(Ok(other))) = (RoleName::new(name), other) {
                    let pointer = format!("/roles/{name}/conflicts_with/{i}");
                    places.insert((name, other), self.place(&pointer, yaml::Side::Value));
                }
            }
        }
        places
    }
}

/// Files that a disk without regard to case would take for the same one.
fn twins(files: &[File]) -> Vec<Finding> {
    let mut paths: Vec<(String, &str)> = files
        .iter()
        .filter(|file| file.path.bytes().any(|b| b.is_ascii_uppercase()))
        .map(|file| (file.path.to_ascii_lowercase(), file.path.as_str()))
        .collect();
    // A path without capitals is nobody's twin but of one with them, so only those few are looked for.
    let folded: std::collections::BTreeSet<String> =
        paths.iter().map(|(lower, _)| lower.clone()).collect();
    let plain = files.iter().filter(|file| folded.contains(&file.path));
    paths.extend(plain.map(|file| (file.path.clone(), file.path.as_str())));
    paths.sort();
    paths.dedup();
    let twins = paths.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    twins.map(|pair| twin(pair[1].1, pair[0].1)).collect()
}

/// The finding of a file that differs from `other` in case alone.
pub(crate) fn twin(path: &str, other: &str) -> Finding {
    let message = format!("{path:?} and {other:?} differ in case alone");
    Finding::error(
        "case-twin",
        path,
        Place::START,
        message,
        "Remove or rename one of them.",
    )
}

/// `text` as a message shows it: quoted, controls escaped, not longer than a line.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
