//! Bundles: what they may be made of, and what a request for one must satisfy part by part.

use std::collections::BTreeSet;

use super::grant::Judged;
use crate::domain::catalogue::Catalogue;
use crate::domain::finding::{Finding, Place};
use crate::domain::model::{Role, RoleRef, TermLength};
use crate::domain::schema::nearest;

const OTHER_PARTS: &str = "Ask for the roles that you need one by one, or let the bundle be repaired in a pull request of its own.";

/// Something that is wrong with a bundle as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    rule: &'static str,
    bundle: RoleRef,
    /// The parts that it is about.
    parts: Vec<RoleRef>,
    message: String,
    help: String,
}

impl Problem {
    fn told(self, path: String, place: Place) -> Finding {
        Finding::error(self.rule, path, place, self.message, self.help)
    }
}

/// Every finding of the bundles of `tree`, each at the bundle.
pub(super) fn check(tree: &Catalogue, found: &mut Vec<Finding>) {
    for problem in problems(tree) {
        let label = problem.parts.last().map(|part| format!("bundle/{part}"));
        let at = |label: &str| tree.index.role_place(&problem.bundle, label);
        let place = label.and_then(|label| at(&label)).unwrap_or_default();
        found.push(problem.clone().told(file(&problem.bundle), place));
    }
}

/// What a change of resources breaks of bundles whose own files it leaves alone, told at a changed file.
pub(super) fn broken(
    base: &Catalogue,
    after: &Catalogue,
    changed: &BTreeSet<&str>,
    found: &mut Vec<Finding>,
) {
    let before: BTreeSet<Problem> = problems(base).into_iter().collect();
    for problem in problems(after) {
        if changed.contains(file(&problem.bundle).as_str()) || before.contains(&problem) {
            continue;
        }
        let files = problem.parts.iter().map(file);
        let at = files
            .into_iter()
            .find(|file| changed.contains(file.as_str()));
        // The conflict may be declared by a role that is no part of it; then any of the changed files tells it.
        let at = at.or_else(|| changed.first().map(|path| (*path).to_owned()));
        found.extend(at.map(|path| problem.told(path, Place::START)));
    }
}

fn file(role: &RoleRef) -> String {
    format!("access/resources/{}.yaml", role.resource)
}

fn problems(tree: &Catalogue) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, resource) in &tree.resources {
        for (role_name, role) in &resource.roles {
            let bundle = RoleRef {
                resource: name.clone(),
                role: role_name.clone(),
            };
            let Some(parts) = role.bundled() else {
                continue;
            };
            found.extend(parts.iter().filter_map(|p| unusable(tree, &bundle, p)));
            found.extend(conflicts(tree, &bundle, parts));
            found.extend(contradiction(tree, &bundle, role));
        }
    }
    found
}

/// A part that gives nothing itself.
fn unusable(tree: &Catalogue, bundle: &RoleRef, part: &RoleRef) -> Option<Problem> {
    let problem = |message: String, help: String| Problem {
        rule: "unknown-part",
        bundle: bundle.clone(),
        parts: vec![part.clone()],
        message,
        help,
    };
    match tree.role(&part.resource, &part.role) {
        Some((_, role)) if role.bundled().is_none() => None,
        Some(_) => Some(problem(
            format!("{bundle} bundles {part}, which is a bundle itself"),
            "Name the roles that it bundles: whoever asks should see all of them here.".to_owned(),
        )),
        None => {
            let declared = tree.resources.iter();
            let known: Vec<String> = declared
                .flat_map(|(name, r)| r.roles.keys().map(move |role| format!("{name}/{role}")))
                .collect();
            let near = nearest(&part.to_string(), known.iter().map(String::as_str));
            let hint = near.map(|near| format!("Did you mean `{near}`? "));
            Some(problem(
                format!("{bundle} bundles {part}, and there is no such role"),
                format!(
                    "{}Name a role that is declared, as <resource>/<role>, or remove the entry.",
                    hint.unwrap_or_default()
                ),
            ))
        }
    }
}

/// Parts that nobody may hold together.
fn conflicts(tree: &Catalogue, bundle: &RoleRef, parts: &BTreeSet<RoleRef>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (i, one) in parts.iter().enumerate() {
        let excluded = tree.excluded_by(one);
        for other in parts.iter().skip(i + 1) {
            if excluded.is_some_and(|excluded| excluded.contains(other)) {
                found.push(Problem {
                    rule: "bundle-conflict",
                    bundle: bundle.clone(),
                    parts: vec![one.clone(), other.clone()],
                    message: format!(
                        "{bundle} bundles {one} and {other}, which exclude each other"
                    ),
                    help: "Remove one of the two from the bundle.".to_owned(),
                });
            }
        }
    }
    found
}

/// Limits of the parts, or of a part and the bundle, between which no term lies.
fn contradiction(tree: &Catalogue, bundle: &RoleRef, role: &Role) -> Option<Problem> {
    let parts = role.bundled().into_iter().flatten();
    let parts = parts.filter_map(|part| Some((part, tree.role(&part.resource, &part.role)?.1)));
    let bound: Vec<(&RoleRef, &Role)> = [(bundle, role)].into_iter().chain(parts).collect();
    let least = |(name, role): &(&RoleRef, &Role)| Some((role.min_duration?, (*name).clone()));
    let most = |(name, role): &(&RoleRef, &Role)| (role.max_duration, (*name).clone());
    let (low, long): (TermLength, RoleRef) = bound.iter().filter_map(least).max_by_key(|l| l.0)?;
    let (high, short) = bound.iter().map(most).min_by_key(|l| l.0)?;
    // Of one role alone it is told already.
    (low > high && long != short).then(|| Problem {
        rule: "limits-contradict",
        bundle: bundle.clone(),
        parts: [&long, &short].into_iter().filter(|role| *role != bundle).cloned().collect(),
        message: format!(
            "nobody can ask for {bundle}: {long} has min_duration {low}, which is longer than max_duration {high} of {short}"
        ),
        help: "Change one of the two limits, or remove one of the two roles from the bundle.".to_owned(),
    })
}

impl Judged<'_> {
    /// Every finding of the parts of a bundle, each as if it were asked for by itself.
    pub(super) fn parts(&self, parts: &BTreeSet<RoleRef>, found: &mut Vec<Finding>) {
        let bundle = self.role_ref();
        for problem in conflicts(self.base, &bundle, parts) {
            let (message, place) = (problem.message, self.places.role);
            found.push(self.error(problem.rule, place, message, OTHER_PARTS));
        }
        for part in parts {
            if let Some(problem) = unusable(self.base, &bundle, part) {
                let (message, place) = (problem.message, self.places.role);
                found.push(self.error(problem.rule, place, message, OTHER_PARTS));
                continue;
            }
            let Some((resource, role)) = self.base.role(&part.resource, &part.role) else {
                continue;
            };
            let judged = Judged {
                asked: part.clone(),
                ..*self
            };
            judged.ownership(found);
            judged.identity(resource, found);
            judged.role(role, found);
        }
    }
}
