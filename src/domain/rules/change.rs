//! What a change must satisfy, judged by the base it is made against.
//!
//! The cost grows with the change: grants of the base are searched, not walked, and control files are checked together only if
//! one of them changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::grant::Judged;
use super::{Setting, bundle, cases, control, emergency, is_control_path, is_grant_path, sorted};
use crate::domain::catalogue::{Catalogue, ChangedFile, File, role_at};
use crate::domain::changes::{Changes, Reading};
use crate::domain::codeowners::LOCATIONS;
use crate::domain::finding::{Finding, Place};
use crate::domain::model::{Grant, GrantPath, Instant, RoleRef};
use crate::domain::parse::{self, Governed, GrantPlaces, Read, classify, owners_in_force, twin};

/// How many grants one change may ask for: as many as somebody can weigh one by one.
pub const MOST_GRANTS: usize = 50;

/// How many files of policies and of their cases one change may bring: reading one takes long.
pub const MOST_POLICY_FILES: usize = 20;

/// Checks what a change brings, judged by `base`: grant files against the resources, people and owners of the base; control
/// files (everything else that is governed) against the tree that they would make. Only findings of changed files. Sorted.
pub fn check_change(base: &Catalogue, changes: &[ChangedFile], now: Instant) -> Vec<Finding> {
    let changes = Changes::read(changes.to_vec());
    check_change_knowing(base, &changes, now, &BTreeSet::new())
}

/// [`check_change`] by somebody who knows the ledger: `over` are files of the base whose grants have ended, which stand in
/// nobody's way any more.
pub fn check_change_knowing(
    base: &Catalogue,
    changes: &Changes,
    now: Instant,
    over: &BTreeSet<GrantPath>,
) -> Vec<Finding> {
    if let Some(found) = too_many_policies(changes) {
        return vec![found];
    }
    let mut found = shape(changes);
    found.extend(case_twins(base, changes));
    let mut asked = Vec::new();
    for (_, reading) in changes.readings(|_| true) {
        match reading {
            Some(Ok(Read::Grant(path, declared, places))) => {
                asked.push((path.clone(), Arc::clone(&declared.grant), **places))
            }
            Some(Err(findings)) => found.extend_from_slice(findings),
            Some(Ok(_)) | None => {}
        }
    }
    let live = Live {
        base,
        replaced: changes
            .iter()
            .filter(|change| change.after.is_some())
            .map(|change| change.path.as_str())
            .collect(),
        over,
    };
    grants(&live, &asked, now, &mut found);
    emergency::asked(changes, &asked, &mut found);
    if changes.iter().any(|change| is_control_path(&change.path)) {
        found.extend(control_findings(base, changes));
    }
    sorted(found)
}

/// What is wrong with the change as a whole: told at the first file that makes it so.
fn shape(changes: &[ChangedFile]) -> Vec<Finding> {
    let paths = || changes.iter().map(|change| change.path.as_str());
    let Some(grant) = paths().find(|path| is_grant_path(path)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if let Some(other) = paths().find(|path| is_control_path(path)) {
        found.push(Finding::error(
            "control-and-grants",
            grant,
            Place::START,
            format!("the change also touches {other:?}, which decides about grants"),
            "Make two pull requests: first who decides and by what rules, then the grants.",
        ));
    }
    if let Some(other) = paths().find(|path| !is_control_path(path) && !is_grant_path(path)) {
        found.push(Finding::error(
            "mixed-change",
            grant,
            Place::START,
            format!("the change also touches {other:?}, which has nothing to do with access"),
            "Make a pull request of its own for the grants.",
        ));
    }
    let asked: Vec<&ChangedFile> = changes
        .iter()
        .filter(|c| is_grant_path(&c.path) && c.after.is_some())
        .collect();
    if let Some(first) = asked.first().filter(|_| asked.len() > MOST_GRANTS) {
        found.push(Finding::error(
            "too-many-grants",
            &first.path,
            Place::START,
            format!(
                "the change asks for {} grants; the limit is {MOST_GRANTS}",
                asked.len()
            ),
            "Split it, so that each can be weighed.",
        ));
    }
    found
}

/// More files of policies than are read at once. Nothing else is told beside.
fn too_many_policies(changes: &[ChangedFile]) -> Option<Finding> {
    let brought = changes.iter().filter(|change| change.after.is_some());
    let mut policies = brought.filter(|change| change.path.starts_with("access/policies/"));
    let first = policies.next()?;
    (policies.count() >= MOST_POLICY_FILES).then(|| {
        Finding::error(
            "policy-too-complex",
            &first.path,
            Place::START,
            format!("the change brings more than {MOST_POLICY_FILES} files of policies and cases"),
            "Split it, so that each can be weighed.",
        )
    })
}

/// Files of the change that a disk without regard to case would take for another file that is there.
fn case_twins(base: &Catalogue, changes: &[ChangedFile]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.after.is_some()) {
        if classify(&change.path).is_none() {
            continue;
        }
        let lower = change.path.to_ascii_lowercase();
        let gone = || changes.iter().any(|c| c.path == lower && c.after.is_none());
        if lower != change.path && declares(base, &lower) && !gone() {
            found.push(twin(&change.path, &lower));
        }
        if let Some(other) = seen.insert(lower, &change.path) {
            found.push(twin(&change.path, other));
        }
    }
    found
}

fn declares(base: &Catalogue, path: &str) -> bool {
    match classify(path) {
        Some(Ok(Governed::Grant(path))) => base.grants.contains_key(&path),
        Some(Ok(Governed::Person(login))) => base.people.contains_key(&login),
        Some(Ok(Governed::Service(name))) => base.services.contains_key(&name),
        Some(Ok(Governed::Resource(name))) => base.resources.contains_key(&name),
        Some(Ok(Governed::Emergency(path))) => base.emergencies.contains_key(&path),
        Some(Ok(Governed::Release(path))) => base.releases.contains_key(&path),
        Some(Ok(Governed::Reviews)) => base.schedule.is_some(),
        Some(Ok(Governed::Sheet(path))) => base.sheets.contains_key(&path),
        _ => false,
    }
}

/// A grant that a change asks for: its path, what it says, and where.
pub(super) type Asked = (GrantPath, Arc<Grant>, GrantPlaces);

/// The grants of the base that count as live beside a change.
struct Live<'a> {
    base: &'a Catalogue,
    /// Files that are judged as they will be. What is removed counts until it was taken away, which may fail or be held back.
    replaced: BTreeSet<&'a str>,
    over: &'a BTreeSet<GrantPath>,
}

impl Live<'_> {
    fn counts(&self, path: &GrantPath) -> bool {
        !self.replaced.contains(path.as_str()) && !self.over.contains(path)
    }
}

fn grants(live: &Live<'_>, asked: &[Asked], now: Instant, found: &mut Vec<Finding>) {
    let base = live.base;
    let mut together: BTreeMap<_, Vec<(&GrantPath, &Grant)>> = BTreeMap::new();
    for (path, grant, _) in asked {
        for role in base.binding(path, grant) {
            let key = (grant.subject.clone(), role);
            let asking: &mut Vec<(&GrantPath, &Grant)> = together.entry(key).or_default();
            asking.push((path, grant));
        }
    }
    for (path, grant, places) in asked {
        let judged = Judged {
            base,
            path,
            grant,
            asked: role_at(path, grant),
            places: *places,
            now,
            setting: Setting::Asked,
        };
        judged.check(found);
        judged.renewal(found);
        let others = |role: &RoleRef| {
            let here = together.get(&(grant.subject.clone(), role.clone()));
            let there = base.giving(&grant.subject, role);
            let there = there.filter(|(path, _)| live.counts(path));
            here.into_iter().flatten().copied().chain(there).collect()
        };
        judged.beside(others, found);
    }
}

/// What is wrong between the control files of the tree that the change would make, told at the changed ones.
fn control_findings(base: &Catalogue, changes: &Changes) -> Vec<Finding> {
    let after = apply(base, changes.readings(|_| true));
    let mut found = after.codeowners.problems.clone();
    control::check(&after, &mut found);
    let changed: BTreeSet<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    found.extend(gone_permits(changes, &found));
    found.retain(|finding| changed.contains(finding.path.as_str()));
    bundle::broken(base, &after, &changed, &mut found);
    found.extend(cases::newly_failed(base, &after, changes));
    found
}

/// That nothing is permitted any more is told at the policy files whose removal makes it so, too.
fn gone_permits(changes: &[ChangedFile], found: &[Finding]) -> Vec<Finding> {
    let nothing = found.iter().find(|f| f.rule == "policy-permits-nothing");
    let policy = |path: &str| matches!(classify(path), Some(Ok(Governed::Policy(_))));
    let gone = changes
        .iter()
        .filter(|c| c.after.is_none() && policy(&c.path));
    let told = |change: &ChangedFile| {
        let path = change.path.clone();
        nothing.map(|f| Finding { path, ..f.clone() })
    };
    gone.filter_map(told).collect()
}

/// The tree that a change of control files would make.
#[derive(Debug)]
pub(crate) struct Resulting {
    /// Its control files. Grants are left out: they stay those of the base.
    pub tree: Catalogue,
    /// Changed files that cannot be read, by path. The tree has what the base says there.
    pub unread: Vec<String>,
}

/// The tree that `changes` would make of `base`.
pub(crate) fn resulting(base: &Catalogue, changes: &Changes) -> Resulting {
    if too_many_policies(changes).is_some() {
        return Resulting {
            tree: apply(base, []),
            unread: changes.iter().map(|change| change.path.clone()).collect(),
        };
    }
    let control = changes.readings(|change| is_control_path(&change.path));
    let (unread, readable): (Vec<_>, Vec<_>) =
        control.partition(|(_, reading)| matches!(reading, Some(Err(_))));
    let paths = unread.into_iter().map(|(change, _)| change.path.clone());
    let mut unread: Vec<String> = paths.collect();
    unread.sort();
    Resulting {
        tree: apply(base, readable),
        unread,
    }
}

/// The control files of the tree that the change would make, without those that cannot be read. Grants are left out.
fn apply<'a>(base: &Catalogue, changes: impl IntoIterator<Item = Reading<'a>>) -> Catalogue {
    let mut tree = Catalogue {
        people: base.people.clone(),
        services: base.services.clone(),
        resources: base.resources.clone(),
        policies: base.policies.clone(),
        policy_tests: base.policy_tests.clone(),
        emergencies: base.emergencies.clone(),
        releases: base.releases.clone(),
        schedule: base.schedule,
        sheets: base.sheets.clone(),
        ..Catalogue::default()
    };
    tree.index.owners_files = base.index.owners_files.clone();
    tree.index.keep_tickets(&base.index);
    let (mut reads, mut owners_touched) = (Vec::new(), false);
    for (change, reading) in changes {
        reads.extend(reading.and_then(Result::ok));
        owners_touched |= LOCATIONS.contains(&change.path.as_str());
        match classify(&change.path) {
            Some(Ok(Governed::Person(login))) => drop(tree.people.remove(&login)),
            Some(Ok(Governed::Service(name))) => drop(tree.services.remove(&name)),
            Some(Ok(Governed::Resource(name))) => drop(tree.resources.remove(&name)),
            Some(Ok(Governed::PolicyTest(path))) => drop(tree.policy_tests.remove(&path)),
            Some(Ok(Governed::Policy(path))) => tree.policies.remove(path.as_str()),
            Some(Ok(Governed::Emergency(path))) => drop(tree.emergencies.remove(&path)),
            Some(Ok(Governed::Release(path))) => drop(tree.releases.remove(&path)),
            Some(Ok(Governed::Reviews)) => tree.schedule = None,
            Some(Ok(Governed::Sheet(path))) => drop(tree.sheets.remove(&path)),
            Some(Ok(Governed::Codeowners(location))) => {
                replace_owners(&mut tree, location, change.after.as_ref())
            }
            _ => {}
        }
    }
    for read in reads {
        parse::insert(&mut tree, read.clone());
    }
    tree.codeowners = if owners_touched {
        owners_in_force(&tree.index.owners_files)
    } else {
        base.codeowners.clone()
    };
    tree
}

fn replace_owners(tree: &mut Catalogue, location: &'static str, after: Option<&File>) {
    match after {
        Some(file) => drop(tree.index.owners_files.insert(location, file.clone())),
        None => drop(tree.index.owners_files.remove(location)),
    }
}
