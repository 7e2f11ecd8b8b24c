//! The named rules: one table, one name each, one remedy each.

mod beside;
mod bundle;
mod cases;
mod change;
mod control;
mod eligible;
mod emergency;
mod grant;
mod limits;
mod page;
mod renewal;
mod reviews;
mod table;

use rayon::prelude::*;

use super::catalogue::{Catalogue, role_at};
use super::codeowners::LOCATIONS;
use super::finding::{Finding, Severity};
use super::model::{Grant, GrantPath, Instant, RoleRef};
use super::parse::GrantPlaces;

pub(crate) use beside::ended;
pub(crate) use change::resulting;
pub use change::{MOST_GRANTS, MOST_POLICY_FILES, check_change, check_change_knowing};
pub(crate) use eligible::{Eligible, eligible, refusal};
pub use page::{find, page, url};
pub use table::{FoundIn, RULES, Rule, Warning};

/// Whether a grant is being asked for, or stands in the tree already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Asked,
    Standing,
}

/// Checks a whole tree: the findings of single files and everything that only shows between files. Sorted.
pub fn check_tree(tree: &Catalogue, now: Instant) -> Vec<Finding> {
    let mut found = tree.findings.clone();
    found.extend_from_slice(&tree.codeowners.problems);
    control::check(tree, &mut found);
    found.extend(cases::failed(tree));
    let grants: Vec<_> = tree.grants.iter().enumerate().collect();
    let of_grants =
        grants
            .par_iter()
            .with_min_len(64)
            .fold(Vec::new, |mut found, (i, (path, declared))| {
                let judged = grant::Judged {
                    base: tree,
                    path,
                    grant: &declared.grant,
                    asked: role_at(path, &declared.grant),
                    places: tree
                        .index
                        .places
                        .get(*i)
                        .map(|places| **places)
                        .unwrap_or_default(),
                    now,
                    setting: Setting::Standing,
                };
                judged.check(&mut found);
                judged.beside(
                    |role| tree.giving(&declared.grant.subject, role).collect(),
                    &mut found,
                );
                found
            });
    found.par_extend(of_grants.flatten());
    sorted(found)
}

/// What would be refused of a request for `asked` by the files of `tree`, at `now`: errors only, without the way out, because nobody
/// asks. `others` are the live grants that give a role to the same subject.
pub(crate) fn check_request<'o>(
    tree: &Catalogue,
    asked: (&GrantPath, &Grant),
    others: impl Fn(&RoleRef) -> Vec<(&'o GrantPath, &'o Grant)>,
    now: Instant,
) -> Vec<Finding> {
    let judged = grant::Judged {
        base: tree,
        path: asked.0,
        grant: asked.1,
        asked: role_at(asked.0, asked.1),
        places: GrantPlaces::default(),
        now,
        setting: Setting::Asked,
    };
    let mut found = Vec::new();
    judged.check(&mut found);
    judged.beside(others, &mut found);
    found.retain(|finding| finding.severity == Severity::Error);
    sorted(found)
}

/// Whether what was found is for a person to look at, so that no policy approves the file by itself.
pub fn is_for_a_person(finding: &Finding) -> bool {
    let warning = find(finding.rule).and_then(|rule| rule.warning);
    finding.severity == Severity::Error || warning != Some(Warning::InPassing)
}

fn sorted(mut found: Vec<Finding>) -> Vec<Finding> {
    found.par_sort();
    found.dedup();
    found
}

/// Whether changing `path` changes who decides or by what rules: CODEOWNERS in any location, `.gitattributes` anywhere, and
/// everything under `access/` that is not a grant.
pub fn is_control_path(path: &str) -> bool {
    let attributes = path == ".gitattributes" || path.ends_with("/.gitattributes");
    let access = path == "access" || path.starts_with("access/");
    attributes || LOCATIONS.contains(&path) || access && !is_grant_path(path)
}

/// Whether `path` lies where grants do, well formed or not.
pub(crate) fn is_grant_path(path: &str) -> bool {
    path.starts_with("access/grants/") && !path.ends_with("/.gitattributes")
}
