//! What people, services and resources must satisfy beside each other.

use std::collections::BTreeMap;

use super::{bundle, emergency, limits, reviews};
use crate::domain::catalogue::Catalogue;
use crate::domain::codeowners::{LOCATIONS, Ownership};
use crate::domain::finding::{Finding, Place};
use crate::domain::model::{GrantPath, Login, RepoPath, RoleRef, UserId};
use crate::domain::schema::nearest;

/// Every finding between the control files of `tree`. `known` is not asked for grants.
pub(super) fn check(tree: &Catalogue, found: &mut Vec<Finding>) {
    numbers(tree, found);
    service_owners(tree, found);
    conflicts(tree, found);
    bundle::check(tree, found);
    limits::check(tree, found);
    ownership(tree, found);
    tree.policies.check(tree, found);
    emergency::check(tree, found);
    reviews::check(tree, found);
}

/// Two people with one account would be one person who approves for the other.
fn numbers(tree: &Catalogue, found: &mut Vec<Finding>) {
    let mut seen: BTreeMap<UserId, &Login> = BTreeMap::new();
    for (login, person) in &tree.people {
        let Some(other) = seen.insert(person.github_id, login) else {
            continue;
        };
        for (login, other) in [(login, other), (other, login)] {
            found.push(Finding::error(
                "duplicate-github-id",
                format!("access/people/{login}.yaml"),
                tree.index.people.get(login).copied().unwrap_or_default(),
                format!(
                    "{login} and {other} have the same github_id, {}",
                    person.github_id
                ),
                "Give each person their own: `gh api users/<login> --jq .id`.",
            ));
        }
    }
}

fn service_owners(tree: &Catalogue, found: &mut Vec<Finding>) {
    for (name, service) in &tree.services {
        let file = format!("access/people/{}.yaml", service.owner);
        // A file with faults of its own tells them itself.
        if tree.people.contains_key(&service.owner) || tree.first_fault(&file).is_some() {
            continue;
        }
        let near = nearest(
            service.owner.as_str(),
            tree.people.keys().map(|login| login.as_str()),
        );
        let hint = near
            .map(|near| format!("Did you mean `{near}`? "))
            .unwrap_or_default();
        found.push(Finding::error(
            "unknown-owner",
            format!("access/services/{name}.yaml"),
            tree.index.services.get(name).copied().unwrap_or_default(),
            format!("nobody is known as `{}`", service.owner),
            format!("{hint}Name a person who has a file in access/people/."),
        ));
    }
}

fn conflicts(tree: &Catalogue, found: &mut Vec<Finding>) {
    for (name, role, other) in tree.conflicts() {
        let own = RoleRef {
            resource: name.clone(),
            role: role.clone(),
        };
        let message = if own == *other {
            format!("{own} excludes itself")
        } else if tree.role(&other.resource, &other.role).is_none() {
            format!("there is no role {other}")
        } else {
            continue;
        };
        let label = format!("conflicts_with/{other}");
        found.push(Finding::error(
            "unknown-conflict",
            format!("access/resources/{name}.yaml"),
            tree.index.role_place(&own, &label).unwrap_or_default(),
            message,
            "Name another role that is declared, as <resource>/<role>, or remove the entry.",
        ));
    }
}

/// A folder of grants or a kind of control file that nobody owns.
fn ownership(tree: &Catalogue, found: &mut Vec<Finding>) {
    let Some(file) = tree.codeowners.path else {
        found.push(Finding::error(
            "owner-missing",
            LOCATIONS[0],
            Place::START,
            "there is no CODEOWNERS file, so nobody can approve anything",
            "Add .github/CODEOWNERS with a line for access/, such as `/access/ @organisation/security`.",
        ));
        return;
    };
    let owned = |path: &RepoPath| matches!(tree.codeowners.owners(path), Ownership::Owned { .. });
    for name in tree.resources.keys() {
        // A file of a name that is as good as any: most lines own folders.
        let request = GrantPath::new(format!("access/grants/{name}/request.yaml"));
        if request.is_ok_and(|path| !owned(&path.as_repo_path())) {
            found.push(Finding::error(
                "owner-missing",
                file,
                Place::START,
                format!("nobody owns access/grants/{name}/, so nothing there can be approved"),
                format!("Add a line such as `/access/grants/{name}/ @organisation/team`, below the others."),
            ));
        }
    }
    let mut control: Vec<String> = vec![file.to_owned()];
    control.extend(
        tree.people
            .keys()
            .next()
            .map(|name| format!("access/people/{name}.yaml")),
    );
    control.extend(
        tree.services
            .keys()
            .next()
            .map(|name| format!("access/services/{name}.yaml")),
    );
    control.extend(
        tree.resources
            .keys()
            .next()
            .map(|name| format!("access/resources/{name}.yaml")),
    );
    for path in control {
        if RepoPath::new(&path).is_ok_and(|path| !owned(&path)) {
            let message = format!(
                "nobody owns {path}, so anybody with write access could change who decides"
            );
            let help = "Own /access/ and /.github/CODEOWNERS in CODEOWNERS.";
            found.push(
                Finding::error("control-unowned", file, Place::START, message, help).as_warning(),
            );
        }
    }
}
