//! Bytes to typed values, once: prefilter, strict YAML, one `serde_json::Value`, schema, typed. The value that is judged is the
//! value that is granted.
//!
//! Invariant: a file that any of the steps refuses is absent from the [`Catalogue`]'s maps and present in its findings, each
//! with its line and column.

mod document;
mod governed;
mod policy_test;
mod prefilter;
mod scalar;
mod typed;
mod yaml;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rayon::prelude::*;
use regex::Regex;

use super::catalogue::{Catalogue, Declared, File, REGULAR_FILE};
use super::codeowners::{Codeowners, LOCATIONS};
use super::emergency::Record;
use super::finding::{Finding, Place};
use super::model::{
    GrantPath, Person, RecordPath, ReleasePath, Resource, RoleName, Service, SheetPath,
};
use super::policy::cases::PolicyTests;
use super::policy::{self, PolicyFile};
use super::release::Release;
use super::round::{Answers, Schedule};
use super::schema::Kind;
use document::Document;

pub use governed::MAX_PATH;
pub(crate) use governed::{Governed, classify};
pub use prefilter::MAX_BYTES;
pub(crate) use prefilter::{is_hidden, place};
pub use typed::instant;
pub(crate) use typed::ticket_pattern;
pub use yaml::{MAX_DEPTH, MAX_NODES};

/// Whether a text is text for every reader of YAML, as it stands and without quotes.
pub(crate) fn is_plain_text(text: &str) -> bool {
    matches!(
        scalar::plain(text.to_owned()),
        Ok(serde_json::Value::String(_))
    )
}

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
    pub reason: Place,
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
            "reason" => self.reason = place,
            _ => {}
        }
    }
}

/// A resource with what its rules need beside it.
#[derive(Debug, Clone)]
pub(crate) struct ReadResource {
    pub resource: Resource,
    pub tickets: BTreeMap<RoleName, Regex>,
    pub places: BTreeMap<(RoleName, String), Place>,
}

/// One governed file, read.
#[derive(Debug, Clone)]
pub(crate) enum Read {
    Grant(GrantPath, Declared, Arc<GrantPlaces>),
    Person(Person, Place),
    Service(Service, Place),
    Resource(Box<ReadResource>),
    Policy(PolicyFile),
    PolicyTest(PolicyTests),
    Emergency(RecordPath, Record),
    Release(ReleasePath, Release),
    Reviews(Schedule, Place),
    Sheet(SheetPath, Answers),
    /// A file whose content is read elsewhere (CODEOWNERS) or not at all.
    Other,
}

/// Reads every governed file of a tree: `access/**`, the CODEOWNERS locations, `.gitattributes`. Other paths are ignored.
pub fn read_tree(files: &[File]) -> Catalogue {
    read_tree_after(files, &Catalogue::default())
}

/// [`read_tree`] for the tree of another commit than `before`: a grant that has the same content there is not read again, and is held
/// by both, so that keeping both takes little more memory than keeping one.
pub fn read_tree_after(files: &[File], before: &Catalogue) -> Catalogue {
    let known = before.grants.iter().zip(&before.index.places);
    let known: HashMap<&str, (&GrantPath, &Declared, &Arc<GrantPlaces>)> = known
        .map(|((path, declared), places)| (path.as_str(), (path, declared, places)))
        .collect();
    let mut grants = Vec::new();
    let mut unread = Vec::new();
    for file in files {
        match known.get(file.path.as_str()) {
            Some((path, declared, places)) if declared.is(file.mode, &file.blob) => {
                let (path, declared) = ((*path).clone(), (*declared).clone());
                grants.push((path, declared, Arc::clone(places)));
            }
            _ => unread.push(file),
        }
    }
    drop(known);
    let read = unread
        .par_iter()
        .with_min_len(64)
        .filter_map(|file| read_file(file))
        .fold(Reads::default, Reads::with)
        .reduce(Reads::default, Reads::and);
    grants.extend(read.grants);
    let mut tree = Catalogue::default();
    for read in read.others {
        match read {
            Ok(other) => insert(&mut tree, other),
            Err(findings) => {
                note_broken(&mut tree, &findings);
                tree.findings.extend(findings);
            }
        }
    }
    grants.par_sort_by(|a, b| a.0.cmp(&b.0));
    tree.index.places = grants.iter().map(|(_, _, p)| Arc::clone(p)).collect();
    tree.grants = grants
        .into_iter()
        .map(|(path, declared, _)| (path, declared))
        .collect();
    for file in files {
        if let Some(location) = LOCATIONS.iter().find(|l| **l == file.path) {
            tree.index.owners_files.insert(location, file.clone());
        }
    }
    tree.codeowners = owners_in_force(&tree.index.owners_files);
    tree.findings.extend(twins(files));
    tree.findings.sort();
    tree
}

/// What was read: the grants by themselves, as there may be a hundred thousand of them.
#[derive(Default)]
struct Reads {
    grants: Vec<(GrantPath, Declared, Arc<GrantPlaces>)>,
    others: Vec<Result<Read, Vec<Finding>>>,
}

impl Reads {
    fn with(mut self, read: Result<Read, Vec<Finding>>) -> Self {
        match read {
            Ok(Read::Grant(path, declared, mut places)) => {
                // Most are written in the same order, so that one copy is enough.
                let before = self.grants.last().map(|(_, _, before)| before);
                if let Some(same) = before.filter(|before| **before == places) {
                    places = Arc::clone(same);
                }
                self.grants.push((path, declared, places));
            }
            other => self.others.push(other),
        }
        self
    }

    fn and(mut self, mut other: Self) -> Self {
        self.grants.append(&mut other.grants);
        self.others.append(&mut other.others);
        self
    }
}

/// The CODEOWNERS in force among what stands at its locations.
pub(crate) fn owners_in_force(files: &BTreeMap<&'static str, File>) -> Codeowners {
    Codeowners::in_force(&files.values().cloned().collect::<Vec<_>>())
}

/// Policies that stand in a tree and cannot be read deny every request, whatever is wrong with them: a link, a name, a letter.
pub(crate) fn note_broken(tree: &mut Catalogue, findings: &[Finding]) {
    if let Some(first) = findings.iter().find(|f| is_policy(&f.path)) {
        let why = format!("line {}: {}", first.line, first.message);
        tree.policies.insert_broken(&first.path, why);
    }
}

fn is_policy(path: &str) -> bool {
    path.starts_with("access/policies/") && path.to_ascii_lowercase().ends_with(".cedar")
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
        Read::Policy(file) => tree.policies.insert(file),
        Read::PolicyTest(tests) => {
            tree.policy_tests.insert(tests.path.clone(), tests);
        }
        Read::Emergency(path, record) => {
            tree.emergencies.insert(path, record);
        }
        Read::Release(path, release) => {
            tree.releases.insert(path, release);
        }
        Read::Reviews(schedule, place) => {
            tree.schedule = Some(schedule);
            tree.index.schedule = place;
        }
        Read::Sheet(path, answers) => {
            tree.sheets.insert(path, answers);
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
    // CODEOWNERS says for itself when it is no regular file.
    if file.mode != REGULAR_FILE && !matches!(governed, Governed::Codeowners(_)) {
        return Some(Err(vec![
            governed::mode_fault(file.mode).in_file(&file.path),
        ]));
    }
    Some(read_governed(governed, file))
}

fn read_governed(governed: Governed, file: &File) -> Result<Read, Vec<Finding>> {
    match governed {
        Governed::Grant(path) => {
            let mut places = GrantPlaces::default();
            let document = Document::read(Kind::Grant, file, &mut |k, p| places.note(k, p))?;
            let grant = document.typed(typed::grant)?;
            let declared = Declared {
                blob: file.blob.clone(),
                grant: grant.into(),
            };
            Ok(Read::Grant(path, declared, Arc::new(places)))
        }
        Governed::Person(login) => {
            let mut place = Place::START;
            let document = Document::read(Kind::Person, file, &mut |field, at| {
                if field == "github_id" {
                    place = at;
                }
            })?;
            Ok(Read::Person(
                document.typed(|value| typed::person(login, value))?,
                place,
            ))
        }
        Governed::Service(name) => {
            let mut place = Place::START;
            let document = Document::read(Kind::Service, file, &mut |field, at| {
                if field == "owner" {
                    place = at;
                }
            })?;
            Ok(Read::Service(
                document.typed(|value| typed::service(name, value))?,
                place,
            ))
        }
        Governed::Resource(name) => {
            let document = Document::read(Kind::Resource, file, &mut |_, _| {})?;
            let places = document.role_places();
            let (resource, tickets) = document.typed(|value| typed::resource(name, value))?;
            Ok(Read::Resource(Box::new(ReadResource {
                resource,
                tickets,
                places,
            })))
        }
        Governed::Policy(path) => Ok(Read::Policy(policy::read(&path, file)?)),
        Governed::PolicyTest(path) => {
            let document = Document::read(Kind::PolicyTest, file, &mut |_, _| {})?;
            Ok(Read::PolicyTest(document.policy_tests(path)?))
        }
        Governed::Emergency(path) => {
            let document = Document::read(Kind::Emergency, file, &mut |_, _| {})?;
            Ok(Read::Emergency(path, document.typed(typed::record)?))
        }
        Governed::Release(path) => {
            let document = Document::read(Kind::Release, file, &mut |_, _| {})?;
            Ok(Read::Release(path, document.typed(typed::read)?))
        }
        Governed::Reviews => {
            let mut place = Place::START;
            let document = Document::read(Kind::Reviews, file, &mut |field, at| {
                if field == "within" {
                    place = at;
                }
            })?;
            Ok(Read::Reviews(document.typed(typed::schedule)?, place))
        }
        Governed::Sheet(path) => {
            let document = Document::read(Kind::ReviewSheet, file, &mut |_, _| {})?;
            Ok(Read::Sheet(path, document.typed(typed::answers)?))
        }
        Governed::Codeowners(_) | Governed::Attributes => Ok(Read::Other),
    }
}

/// The text of a policy file, in which a reviewer sees every character.
pub(crate) fn policy_text(file: &File) -> Result<&str, Finding> {
    prefilter::text(&file.bytes).map_err(|fault| fault.in_file(&file.path))
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
